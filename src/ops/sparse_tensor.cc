#include "ops/sparse_tensor.h"

#include <algorithm>
#include <numeric>

#include "kernels/elements.h"

namespace millrace {

std::string list_text(std::span<const int64_t> values) {
  std::string text = "[";
  for (const int64_t v : values) str_append(&text, text.size() > 1 ? "," : "", v);
  return text + "]";
}

absl::StatusOr<SparseTensor> sparse_indices(const Tensor& indices, const Tensor& shape) {
  if (indices.dtype() != DataType::kInt64 || indices.rank() != 2)
    return invalid_argument("Input indices should be a matrix but received shape: ", indices.shape());
  if (shape.dtype() != DataType::kInt64 || shape.rank() != 1)
    return invalid_argument("Input shape should be a vector but received shape: ", shape.shape());
  if (indices.dim(1) != shape.dim(0))
    return invalid_argument("Index rank ", indices.dim(1), " and shape rank ", shape.dim(0), " do not match");
  const auto dims = shape.unchecked<int64_t>();
  SparseTensor sparse{indices, Tensor(), {dims.begin(), dims.end()}};
  MR_RETURN_IF_ERROR(make_shape(sparse.dims).status());
  return sparse;
}

absl::StatusOr<SparseTensor> make_sparse(Tensor indices, Tensor values, const Tensor& shape) {
  if (values.rank() != 1)
    return invalid_argument("Input values should be a vector but received shape: ", values.shape());
  MR_ASSIGN_OR_RETURN(SparseTensor sparse, sparse_indices(indices, shape));
  if (values.dim(0) != sparse.size())
    return invalid_argument("Number of values must match first dimension of indices. Got ", values.dim(0),
                            " values, indices shape: ", indices.shape());
  sparse.values = std::move(values);
  return sparse;
}

absl::StatusOr<SparseTensor> sparse_input(const KernelContext& ctx, int indices, int values, int shape) {
  return make_sparse(ctx.input(indices), ctx.input(values), ctx.input(shape));
}

int compare_indices(const int64_t* a, const int64_t* b, int64_t rank) {
  for (int64_t d = 0; d < rank; ++d) {
    if (a[d] != b[d]) return a[d] < b[d] ? -1 : 1;
  }
  return 0;
}

absl::Status check_indices(const SparseTensor& sparse, bool ordered) {
  const int64_t rank = sparse.rank();
  const auto text = [&](int64_t i) {
    return str_cat("indices[", i, "] = ", list_text({sparse.index(i), static_cast<size_t>(rank)}));
  };
  for (int64_t i = 0; i < sparse.size(); ++i) {
    const int64_t* index = sparse.index(i);
    for (int64_t d = 0; d < rank; ++d) {
      if (index[d] < 0 || index[d] >= sparse.dims[static_cast<size_t>(d)])
        return invalid_argument(text(i), " is out of bounds: need 0 <= index < ", list_text(sparse.dims));
    }
    if (!ordered || i == 0) continue;
    const int order = compare_indices(sparse.index(i - 1), index, rank);
    if (order > 0)
      return invalid_argument(text(i),
                              " is out of order. Many sparse ops require sorted indices.\n"
                              "    Use `tf.sparse.reorder` to create a correctly ordered copy.\n\n");
    if (order == 0) return invalid_argument(text(i), " is repeated");
  }
  return absl::OkStatus();
}

std::vector<int64_t> sorted_order(const SparseTensor& sparse) {
  std::vector<int64_t> order(static_cast<size_t>(sparse.size()));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    return compare_indices(sparse.index(a), sparse.index(b), sparse.rank()) < 0;
  });
  return order;
}

absl::Status output_entries(KernelContext& ctx, int indices, int values, const SparseTensor& sparse,
                            std::span<const int64_t> order) {
  const auto n = static_cast<int64_t>(order.size());
  MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({n, sparse.rank()}));
  MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({n}));
  MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(indices, indices_shape));
  MR_ASSIGN_OR_RETURN(Tensor * to, ctx.allocate_output(values, values_shape));
  for (int64_t i = 0; i < n; ++i)
    copy_run(sparse.index(order[static_cast<size_t>(i)]), out.data() + i * sparse.rank(), sparse.rank());
  return with_storage(sparse.values.dtype(), [&]<class S>(std::type_identity<S>) {
    const S* from = static_cast<const S*>(sparse.values.raw_data());
    S* target = static_cast<S*>(to->raw_mutable_data());
    for (const int64_t i : order) *target++ = from[i];
    return absl::OkStatus();
  });
}

absl::StatusOr<PartialTensorShape> check_sparse_shapes(ShapeContext& c, int indices, int values, int shape) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape index, c.with_rank(indices, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape value, c.with_rank(values, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dense, c.with_rank(shape, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape index_rows, make_partial_shape({index.has_rank() ? index.dim(0) : -1}));
  MR_RETURN_IF_ERROR(merge(index_rows, value).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape index_rank, make_partial_shape({index.has_rank() ? index.dim(1) : -1}));
  return merge(index_rank, dense);
}

absl::Status set_sparse_outputs(ShapeContext& c, int i, int64_t rank) {
  MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({-1, rank})));
  MR_RETURN_IF_ERROR(c.set_output(i + 1, make_partial_shape({-1})));
  return c.set_output(i + 2, make_partial_shape({rank}));
}

}  // namespace millrace
