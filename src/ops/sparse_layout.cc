// Sparse tensors reordered, reshaped, sliced, joined, split and filled up: values move, no arithmetic on them.

#include <algorithm>

#include "base/checked.h"
#include "kernels/elements.h"
#include "kernels/number.h"
#include "op/gradient_context.h"
#include "ops/gradient_ops.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

absl::Status output_dims(KernelContext& ctx, int i, std::span<const int64_t> dims) {
  MR_ASSIGN_OR_RETURN(Tensor t, make_vector<int64_t>(dims));
  return ctx.set_output(i, std::move(t));
}

class SparseReorder final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    return output_entries(ctx, 0, 1, sparse, sorted_order(sparse));
  }
};

// --- SparseReshape

// The new dimensions with the one that is -1 computed.
absl::StatusOr<std::vector<int64_t>> infer_dims(std::span<const int64_t> from, std::span<const int64_t> to) {
  MR_ASSIGN_OR_RETURN(const TensorShape dense, make_shape(from));
  std::vector<int64_t> dims(to.begin(), to.end());
  int unknown = -1;
  CheckedInt product = int64_t{1};
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == -1) {
      if (unknown >= 0) return invalid_argument("only one output dimension may be -1, not both ", unknown, " and ", d);
      unknown = static_cast<int>(d);
      continue;
    }
    if (dims[d] < 0) return invalid_argument("size ", d, " must be non-negative, not ", dims[d]);
    product *= dims[d];
  }
  if (!product.valid()) return invalid_argument("the requested shape ", list_text(to), " has too many elements");
  const int64_t n = dense.num_elements(), known = product.value();
  if (unknown >= 0) {
    if (known <= 0)
      return invalid_argument(
          "reshape cannot infer the missing dimension for an empty tensor unless all specified input sizes are "
          "non-zero");
    if (n % known != 0)
      return invalid_argument("Input to reshape is a SparseTensor with ", n,
                              " dense values, but the requested shape requires a multiple of ", known,
                              ". input_shape=", list_text(from), " output_shape=", list_text(to));
    dims[static_cast<size_t>(unknown)] = n / known;
  } else if (known != n) {
    return invalid_argument("Input to reshape is a tensor with ", n, " dense values, but the requested shape has ",
                            known, ". input_shape=", list_text(from), " output_shape=", list_text(to));
  }
  MR_RETURN_IF_ERROR(make_shape(dims).status());
  return dims;
}

class SparseReshape final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_indices(ctx.input(0), ctx.input(1)));
    // Indices without columns take no memory, however many there are said to be.
    if (sparse.rank() == 0 && sparse.size() > 1)
      return invalid_argument("A sparse scalar has at most one entry, got ", sparse.size());
    if (ctx.shape(2).rank() != 1)
      return invalid_argument("Target shape should be a vector but received shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const auto target, ctx.vector<int64_t>(2));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, infer_dims(sparse.dims, target));
    MR_RETURN_IF_ERROR(output_dims(ctx, 1, dims));
    const auto rank = static_cast<int64_t>(dims.size());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({sparse.size(), rank}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(0, shape));
    if (dims == sparse.dims) {
      std::ranges::copy(sparse.indices.unchecked<int64_t>(), out.begin());
      return absl::OkStatus();
    }
    if (std::ranges::find(dims, 0) != dims.end() && sparse.size() > 0)
      return invalid_argument("Entries in a sparse tensor whose shape ", list_text(sparse.dims), " has none");
    MR_RETURN_IF_ERROR(check_indices(sparse, false));
    for (int64_t i = 0; i < sparse.size(); ++i) {
      int64_t at = 0;
      for (size_t d = 0; d < sparse.dims.size(); ++d) at = at * sparse.dims[d] + sparse.index(i)[d];
      for (int64_t d = rank - 1; d >= 0; --d) {
        const int64_t size = dims[static_cast<size_t>(d)];
        out[static_cast<size_t>(i * rank + d)] = at % size;
        at /= size;
      }
    }
    return absl::OkStatus();
  }
};

// --- SparseSlice

class SparseSlice final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    MR_ASSIGN_OR_RETURN(const auto start, bounds(ctx, 3, "start", sparse.rank()));
    MR_ASSIGN_OR_RETURN(const auto size, bounds(ctx, 4, "size", sparse.rank()));
    std::vector<int64_t> dims(sparse.dims.size());
    for (size_t d = 0; d < dims.size(); ++d) {
      if (size[d] < 0) return invalid_argument("Expected a non-negative size, got ", size[d]);
      if (start[d] < sparse.dims[d])
        dims[d] = std::min(size[d], checked_sub(sparse.dims[d], start[d]).value_or(size[d]));
    }
    MR_RETURN_IF_ERROR(make_shape(dims).status());
    std::vector<int64_t> kept;
    for (int64_t i = 0; i < sparse.size(); ++i) {
      bool inside = true;
      for (size_t d = 0; d < dims.size(); ++d) {
        const int64_t at = sparse.index(i)[d];
        inside &= at >= start[d] &&
                  static_cast<uint64_t>(at) - static_cast<uint64_t>(start[d]) < static_cast<uint64_t>(dims[d]);
      }
      if (inside) kept.push_back(i);
    }
    const auto n = static_cast<int64_t>(kept.size());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({n, sparse.rank()}));
    MR_ASSIGN_OR_RETURN(Tensor moved, make_tensor(DataType::kInt64, shape));
    auto to = moved.unchecked_mutable<int64_t>().begin();
    for (const int64_t i : kept)
      for (size_t d = 0; d < dims.size(); ++d) *to++ = sparse.index(i)[d] - start[d];
    MR_RETURN_IF_ERROR(output_entries(ctx, 0, 1, sparse, kept));
    MR_RETURN_IF_ERROR(ctx.set_output(0, std::move(moved)));
    return output_dims(ctx, 2, dims);
  }

  static absl::StatusOr<std::span<const int64_t>> bounds(const KernelContext& ctx, int i, const char* what,
                                                         int64_t rank) {
    const TensorShape& shape = ctx.shape(i);
    if (shape.rank() != 1) return invalid_argument("Input ", what, " should be a vector but received shape ", shape);
    if (shape.dim(0) != rank)
      return invalid_argument("Expected ", what, " to be a vector of length ", rank, " but got length ", shape.dim(0));
    return ctx.vector<int64_t>(i);
  }
};

template <class T> class SparseSliceGrad final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor &in = ctx.input(1), &kept = ctx.input(3);
    if (ctx.shape(0).rank() != 1 || in.rank() != 2 || kept.rank() != 2 || ctx.shape(2).rank() != 1)
      return invalid_argument("SparseSliceGrad: gradient and start must be vectors, indices matrices, got shapes ",
                              ctx.shape(0), ", ", in.shape(), ", ", ctx.shape(2), " and ", kept.shape());
    if (in.dim(1) != kept.dim(1) || ctx.shape(2).dim(0) != in.dim(1))
      return invalid_argument("The input and output should have the same ndims: got: ", in.dim(1), " and ",
                              kept.dim(1));
    if (kept.dim(0) > in.dim(0))
      return invalid_argument("# rows of output_indices should be not greater than of input_indices, got ", kept.dim(0),
                              " and ", in.dim(0));
    if (ctx.shape(0).dim(0) != kept.dim(0))
      return invalid_argument("# elements of backprop_val_grad and # rows of output_indices should match: got ",
                              ctx.shape(0).dim(0), " and ", kept.dim(0));
    MR_ASSIGN_OR_RETURN(const auto dy, ctx.vector<T>(0));
    MR_ASSIGN_OR_RETURN(const auto from, ctx.flat<int64_t>(1));
    MR_ASSIGN_OR_RETURN(const auto start, ctx.vector<int64_t>(2));
    MR_ASSIGN_OR_RETURN(const auto to, ctx.flat<int64_t>(3));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({in.dim(0)}));
    MR_ASSIGN_OR_RETURN(const auto dx, ctx.output<T>(0, shape));
    std::ranges::fill(dx, number<T>(0));
    const auto rank = static_cast<size_t>(in.dim(1));
    size_t next = 0;
    for (size_t i = 0; i < dx.size() && next < dy.size(); ++i) {
      bool same = true;
      for (size_t d = 0; d < rank; ++d)
        same &= static_cast<uint64_t>(from[i * rank + d]) ==
                static_cast<uint64_t>(to[next * rank + d]) + static_cast<uint64_t>(start[d]);
      if (same) dx[i] = dy[next++];
    }
    if (next == dy.size()) return absl::OkStatus();
    return invalid_argument("Elements of backprop_val_grad aren't all propagated. Num elements:", dy.size(),
                            ", used: ", next);
  }
};

// --- SparseConcat and SparseSplit

class SparseConcat final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("concat_dim"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs() / 3;
    std::vector<SparseTensor> parts;
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      absl::StatusOr<SparseTensor> part = sparse_input(ctx, i, n + i, 2 * n + i);
      if (!part.ok()) return invalid_argument(part.status().message(), " at position ", i);
      total += part->size();
      parts.push_back(*std::move(part));
    }
    const int64_t rank = parts[0].rank();
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (axis < 0 || axis >= rank)
      return invalid_argument("Concat dimension must be in range [", -rank, ", ", rank, "), got ", axis_);
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, joined_dims(parts, static_cast<size_t>(axis)));
    MR_ASSIGN_OR_RETURN(const SparseTensor joined, join(parts, static_cast<size_t>(axis), total, dims));
    MR_RETURN_IF_ERROR(output_entries(ctx, 0, 1, joined, sorted_order(joined)));
    return output_dims(ctx, 2, dims);
  }

  static absl::StatusOr<std::vector<int64_t>> joined_dims(std::span<const SparseTensor> parts, size_t axis) {
    std::vector<int64_t> dims = parts[0].dims;
    for (size_t i = 1; i < parts.size(); ++i) {
      if (parts[i].dims.size() != dims.size())
        return invalid_argument("Ranks of all input tensors must match: expected ", dims.size(), " but got ",
                                parts[i].rank(), " at position ", i);
      for (size_t d = 0; d < dims.size(); ++d) {
        if (d == axis) {
          const auto sum = checked_add(dims[d], parts[i].dims[d]);
          if (!sum) return invalid_argument("SparseConcat: dimension ", d, " is too large");
          dims[d] = *sum;
        } else if (parts[i].dims[d] != dims[d]) {
          return invalid_argument("Input shapes must match: expected ", dims[d], " for dimension ", d, " but got ",
                                  parts[i].dims[d], " at position ", i);
        }
      }
    }
    MR_RETURN_IF_ERROR(make_shape(dims).status());
    return dims;
  }

  static absl::StatusOr<SparseTensor> join(std::span<const SparseTensor> parts, size_t axis, int64_t total,
                                           const std::vector<int64_t>& dims) {
    SparseTensor joined{Tensor(), Tensor(), dims};
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({total, joined.rank()}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({total}));
    MR_ASSIGN_OR_RETURN(joined.indices, make_tensor(DataType::kInt64, indices_shape));
    MR_ASSIGN_OR_RETURN(joined.values, make_tensor(parts[0].values.dtype(), values_shape));
    int64_t* index = joined.indices.unchecked_mutable<int64_t>().data();
    int64_t offset = 0, at = 0;
    for (const SparseTensor& part : parts) {
      for (int64_t i = 0; i < part.size(); ++i, index += joined.rank()) {
        copy_run(part.index(i), index, joined.rank());
        index[axis] = static_cast<int64_t>(static_cast<uint64_t>(index[axis]) + static_cast<uint64_t>(offset));
      }
      MR_RETURN_IF_ERROR(with_storage(part.values.dtype(), [&]<class S>(std::type_identity<S>) {
        copy_run(static_cast<const S*>(part.values.raw_data()), static_cast<S*>(joined.values.raw_mutable_data()) + at,
                 part.size());
        return absl::OkStatus();
      }));
      at += part.size();
      offset += part.dims[axis];
    }
    return joined;
  }

  int64_t axis_ = 0;
};

class SparseSplit final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).num_elements() != 1)
      return invalid_argument("Input split_dim should be a scalar but received shape ", ctx.shape(0));
    const int64_t given = ctx.input(0).unchecked<int64_t>()[0];
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 1, 2, 3));
    if (given < -sparse.rank() || given >= sparse.rank())
      return invalid_argument("Input axis should be in range [", -sparse.rank(), ", ", sparse.rank(), "), got ", given);
    const int64_t axis = given < 0 ? given + sparse.rank() : given;
    const auto along = static_cast<size_t>(axis);
    const int64_t n = ctx.num_outputs() / 3, size = sparse.dims[along];
    if (n < 1 || n > size)
      return invalid_argument("Input num_split should be between 1 and the splitting dimension size (", size, "), got ",
                              n);
    MR_RETURN_IF_ERROR(check_indices(sparse, false));
    // The first `longer` parts are one longer than the others.
    const int64_t width = size / n, longer = size % n, border = longer * (width + 1);
    const auto part_of = [&](int64_t at) { return at < border ? at / (width + 1) : longer + (at - border) / width; };
    std::vector<std::vector<int64_t>> entries(static_cast<size_t>(n));
    for (int64_t i = 0; i < sparse.size(); ++i)
      entries[static_cast<size_t>(part_of(sparse.index(i)[axis]))].push_back(i);
    for (int64_t p = 0; p < n; ++p)
      MR_RETURN_IF_ERROR(output_part(ctx, sparse, along, p,
                                     std::min(p, longer) * (width + 1) + std::max<int64_t>(0, p - longer) * width,
                                     width + (p < longer ? 1 : 0), entries[static_cast<size_t>(p)]));
    return absl::OkStatus();
  }

  static absl::Status output_part(KernelContext& ctx, const SparseTensor& sparse, size_t axis, int64_t part,
                                  int64_t begin, int64_t width, std::span<const int64_t> entries) {
    const int n = ctx.num_outputs() / 3, p = static_cast<int>(part);
    MR_RETURN_IF_ERROR(output_entries(ctx, p, n + p, sparse, entries));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(entries.size()), sparse.rank()}));
    MR_ASSIGN_OR_RETURN(Tensor moved, make_tensor(DataType::kInt64, shape));
    int64_t* index = moved.unchecked_mutable<int64_t>().data();
    for (const int64_t i : entries) {
      copy_run(sparse.index(i), index, sparse.rank());
      index[axis] -= begin;
      index += sparse.rank();
    }
    MR_RETURN_IF_ERROR(ctx.set_output(p, std::move(moved)));
    std::vector<int64_t> dims = sparse.dims;
    dims[axis] = width;
    return output_dims(ctx, 2 * n + p, dims);
  }
};

// --- SparseFillEmptyRows

class SparseFillEmptyRows final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check(ctx));
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    const int64_t n = sparse.size(), rows = sparse.dims[0];
    if (rows == 0 && n != 0)
      return invalid_argument("Received SparseTensor with dense_shape[0] = 0 but indices.shape[0] = ", n);
    MR_ASSIGN_OR_RETURN(const TensorShape row_shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(const auto is_empty, ctx.output<bool>(2, row_shape));
    MR_ASSIGN_OR_RETURN(const TensorShape entry_shape, make_shape({n}));
    MR_ASSIGN_OR_RETURN(const auto reverse, ctx.output<int64_t>(3, entry_shape));
    MR_ASSIGN_OR_RETURN(Tensor places, make_zeroed_tensor(DataType::kInt64, row_shape));
    const auto next = places.unchecked_mutable<int64_t>();  // entries of a row, then where its next one goes
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = sparse.index(i)[0];
      if (row < 0 || row >= rows) return invalid_argument("indices(", i, ", 0) is invalid: ", row, " >= ", rows);
      ++next[static_cast<size_t>(row)];
    }
    int64_t total = 0;
    for (size_t row = 0; row < next.size(); ++row) {
      is_empty[row] = next[row] == 0;
      total += std::exchange(next[row], total) + (is_empty[row] ? 1 : 0);
    }
    return fill(ctx, sparse, total, is_empty, next, reverse);
  }

  static absl::Status check(const KernelContext& ctx) {
    const TensorShape &indices = ctx.shape(0), &values = ctx.shape(1), &dense = ctx.shape(2);
    if (dense.rank() != 1) return invalid_argument("dense_shape must be a vector, saw: ", dense);
    if (indices.rank() != 2) return invalid_argument("indices must be a matrix, saw: ", indices);
    if (values.rank() != 1) return invalid_argument("values must be a vector, saw: ", values);
    if (indices.dim(0) != values.dim(0))
      return invalid_argument("The length of `values` (", values.dim(0),
                              ") must match the first dimension of `indices` (", indices.dim(0), ").");
    if (indices.dim(1) != dense.dim(0))
      return invalid_argument("The length of `dense_shape` (", dense.dim(0),
                              ") must match the second dimension of `indices` (", indices.dim(1), ").");
    if (ctx.shape(3).rank() != 0) return invalid_argument("default_value must be a scalar, saw: ", ctx.shape(3));
    if (dense.dim(0) == 0) return invalid_argument("Dense shape cannot be empty.");
    return absl::OkStatus();
  }

  static absl::Status fill(KernelContext& ctx, const SparseTensor& sparse, int64_t total,
                           std::span<const bool> is_empty, std::span<int64_t> next, std::span<int64_t> reverse) {
    const int64_t rank = sparse.rank();
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({total, rank}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({total}));
    MR_ASSIGN_OR_RETURN(const auto index, ctx.output<int64_t>(0, indices_shape));
    MR_ASSIGN_OR_RETURN(Tensor * values, ctx.allocate_output(1, values_shape));
    return with_storage(values->dtype(), [&]<class S>(std::type_identity<S>) {
      const S* from = static_cast<const S*>(sparse.values.raw_data());
      const S& filler = *static_cast<const S*>(ctx.input(3).raw_data());
      S* to = static_cast<S*>(values->raw_mutable_data());
      for (size_t row = 0; row < is_empty.size(); ++row) {
        if (!is_empty[row]) continue;
        int64_t* at = index.data() + next[row] * rank;
        std::fill_n(at, rank, int64_t{0});
        at[0] = static_cast<int64_t>(row);
        to[next[row]] = filler;
      }
      for (int64_t i = 0; i < sparse.size(); ++i) {
        const int64_t place = next[static_cast<size_t>(sparse.index(i)[0])]++;
        copy_run(sparse.index(i), index.data() + place * rank, rank);
        to[place] = from[i];
        reverse[static_cast<size_t>(i)] = place;
      }
      return absl::OkStatus();
    });
  }
};

template <class T> class SparseFillEmptyRowsGrad final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 1) return invalid_argument("reverse_index_map must be a vector, saw: ", ctx.shape(0));
    if (ctx.shape(1).rank() != 1) return invalid_argument("grad_values must be a vector, saw: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto map, ctx.vector<int64_t>(0));
    MR_ASSIGN_OR_RETURN(const auto dy, ctx.vector<T>(1));
    MR_ASSIGN_OR_RETURN(const auto dx, ctx.output<T>(0, ctx.shape(0)));
    std::vector<bool> used(dy.size());
    for (size_t i = 0; i < map.size(); ++i) {
      const int64_t at = map[i];
      if (at < 0 || static_cast<size_t>(at) >= dy.size())
        return invalid_argument("Elements in reverse index must be in [0, ", dy.size(), ") but got ", at);
      dx[i] = dy[static_cast<size_t>(at)];
      used[static_cast<size_t>(at)] = true;
    }
    T sum = number<T>(0);
    for (size_t i = 0; i < dy.size(); ++i) {
      if (!used[i]) sum = Add::apply(sum, dy[i]);
    }
    return ctx.set_scalar(1, sum);
  }
};

// --- shapes

int64_t length(const PartialTensorShape& vector) { return vector.has_rank() ? vector.dim(0) : -1; }

absl::Status reorder_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_sparse_shapes(c, 0, 1, 2).status());
  MR_RETURN_IF_ERROR(c.set_output(0, c.input(0)));
  return c.set_output(1, c.input(1));
}

absl::Status reshape_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(0, 2));
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape target, c.with_rank(2, 1));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({indices.has_rank() ? indices.dim(0) : -1, length(target)})));
  return c.set_output(1, target);
}

absl::Status slice_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dense, c.with_rank(2, 1));
  return set_sparse_outputs(c, 0, length(dense));
}

absl::Status slice_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 2));
  return c.set_output(0, make_partial_shape({indices.has_rank() ? indices.dim(0) : -1}));
}

absl::Status concat_shape(ShapeContext& c) {
  const int n = c.num_inputs() / 3;
  PartialTensorShape rank = unknown_shape_of_rank(1);
  for (int i = 0; i < n; ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape one, check_sparse_shapes(c, i, n + i, 2 * n + i));
    MR_ASSIGN_OR_RETURN(rank, merge(rank, one));
  }
  return set_sparse_outputs(c, 0, length(rank));
}

absl::Status split_shape(ShapeContext& c) {
  const int n = c.num_outputs() / 3;
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rank, check_sparse_shapes(c, 1, 2, 3));
  for (int i = 0; i < n; ++i) {
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({-1, length(rank)})));
    MR_RETURN_IF_ERROR(c.set_output(n + i, unknown_shape_of_rank(1)));
    MR_RETURN_IF_ERROR(c.set_output(2 * n + i, rank));
  }
  return absl::OkStatus();
}

absl::Status fill_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rank, check_sparse_shapes(c, 0, 1, 2));
  MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dense, c.as_shape(2));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({-1, length(rank)})));
  MR_RETURN_IF_ERROR(c.set_output(1, unknown_shape_of_rank(1)));
  const bool known = dense.has_rank() && dense.rank() > 0;
  MR_RETURN_IF_ERROR(c.set_output(2, make_partial_shape({known ? dense.dim(0) : -1})));
  return c.set_output(3, make_partial_shape({length(c.input(1))}));
}

absl::Status fill_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape map, c.with_rank(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.set_output(0, map));
  return c.set_output(1, PartialTensorShape::scalar());
}

// --- gradients

// The gradient of the values, put back where they came from.
absl::Status reorder_gradient(GradientContext& g) {
  const Output dy = g.dy(1);
  const Output shape = shape_of(g, g.x(0));
  Output rows;
  {
    const auto scope = g.name_scope("strided_slice");
    const Output begin = int_list(g, {0}, "stack"), end = int_list(g, {1}, "stack_1");
    rows =
        g.op("StridedSlice", {shape, begin, end, int_list(g, {1}, "stack_2")}, {{"shrink_axis_mask", int64_t{1}}}, "/");
  }
  Output entries;
  {
    const auto scope = g.name_scope("range");
    const Output start = g.int32_scalar(0, "start"), delta = g.int32_scalar(1, "delta");
    entries = g.op("Range", {start, rows, delta}, {}, "/");
  }
  const std::vector<Output> ordered = g.op_outputs("SparseReorder", {g.x(0), entries, g.x(2)});
  if (ordered.size() < 2) return absl::OkStatus();
  const Output back = g.op("InvertPermutation", {ordered[1]});
  const Output axis = g.int32_scalar(0, "GatherV2/axis");
  g.set_dx(1, g.op("GatherV2", {dy, back, axis}));
  return absl::OkStatus();
}

absl::Status slice_gradient(GradientContext& g) {
  g.set_dx(1, g.op("SparseSliceGrad", {g.dy(1), g.x(0), g.x(3), g.y(0)}));
  return absl::OkStatus();
}

absl::Status fill_gradient(GradientContext& g) {
  const std::vector<Output> d = g.op_outputs("SparseFillEmptyRowsGrad", {g.y(3), g.dy(1)});
  if (d.size() < 2) return absl::OkStatus();
  g.set_dx(1, d[0]);
  g.set_dx(3, d[1]);
  return absl::OkStatus();
}

}  // namespace

void register_sparse_layout(Registry& registry) {
  registry.op("SparseReorder")
      .input("input_indices: int64")
      .input("input_values: T")
      .input("input_shape: int64")
      .output("output_indices: int64")
      .output("output_values: T")
      .attr("T: type")
      .shape(reorder_shape)
      .cpu<SparseReorder>()
      .gradient(reorder_gradient)
      .doc("The entries of a sparse tensor in row-major order.");
  registry.op("SparseReshape")
      .input("input_indices: int64")
      .input("input_shape: int64")
      .input("new_shape: int64")
      .output("output_indices: int64")
      .output("output_shape: int64")
      .shape(reshape_shape)
      .cpu<SparseReshape>()
      .not_differentiable()
      .doc("The indices of a sparse tensor under another dense shape; one dimension may be -1.");
  registry.op("SparseSlice")
      .input("indices: int64")
      .input("values: T")
      .input("shape: int64")
      .input("start: int64")
      .input("size: int64")
      .output("output_indices: int64")
      .output("output_values: T")
      .output("output_shape: int64")
      .attr("T: type")
      .shape(slice_shape)
      .cpu<SparseSlice>()
      .gradient(slice_gradient)
      .doc("A window of a sparse tensor, cut off at its bounds.");
  registry.op("SparseSliceGrad")
      .input("backprop_val_grad: T")
      .input("input_indices: int64")
      .input("input_start: int64")
      .input("output_indices: int64")
      .output("val_grad: T")
      .attr("T: numbertype")
      .shape(slice_grad_shape)
      .cpu_for<SparseSliceGrad>(NumberTypes())
      .doc("The gradient of SparseSlice with respect to its values.");
  registry.op("SparseConcat")
      .input("indices: N * int64")
      .input("values: N * T")
      .input("shapes: N * int64")
      .output("output_indices: int64")
      .output("output_values: T")
      .output("output_shape: int64")
      .attr("concat_dim: int")
      .attr("N: int >= 2")
      .attr("T: type")
      .shape(concat_shape)
      .cpu<SparseConcat>()
      .not_differentiable()
      .doc("Sparse tensors joined along a dimension, in row-major order.");
  registry.op("SparseSplit")
      .input("split_dim: int64")
      .input("indices: int64")
      .input("values: T")
      .input("shape: int64")
      .output("output_indices: num_split * int64")
      .output("output_values: num_split * T")
      .output("output_shape: num_split * int64")
      .attr("num_split: int >= 1")
      .attr("T: type")
      .shape(split_shape)
      .cpu<SparseSplit>()
      .doc("A sparse tensor cut along a dimension; the first parts are one longer where it does not divide.");
  registry.op("SparseFillEmptyRows")
      .input("indices: int64")
      .input("values: T")
      .input("dense_shape: int64")
      .input("default_value: T")
      .output("output_indices: int64")
      .output("output_values: T")
      .output("empty_row_indicator: bool")
      .output("reverse_index_map: int64")
      .attr("T: type")
      .shape(fill_shape)
      .cpu<SparseFillEmptyRows>()
      .gradient(fill_gradient)
      .doc("Rows without entries get one, the default value in the first column.");
  registry.op("SparseFillEmptyRowsGrad")
      .input("reverse_index_map: int64")
      .input("grad_values: T")
      .output("d_values: T")
      .output("d_default_value: T")
      .attr("T: type")
      .shape(fill_grad_shape)
      .cpu_for<SparseFillEmptyRowsGrad>(NumberTypes())
      .doc("The gradients of SparseFillEmptyRows.");
}

}  // namespace millrace
