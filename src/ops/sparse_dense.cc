// Sparse tensors with dense ones: written into one, multiplied with one, combined elementwise.

#include <algorithm>
#include <complex>

#include "kernels/bounded_index.h"
#include "kernels/elements.h"
#include "kernels/number.h"
#include "op/gradient_context.h"
#include "ops/gradient_ops.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

// --- SparseToDense

// Indices of int32 or int64, a scalar, vector or matrix, as rows of `rank`.
struct IndexRows {
  std::vector<int64_t> values;
  int64_t rows = 0, rank = 0;
};

absl::StatusOr<IndexRows> index_rows(const KernelContext& ctx, int i, int64_t rank) {
  const TensorShape& shape = ctx.shape(i);
  if (shape.rank() > 2)
    return invalid_argument("sparse_indices should be a scalar, vector, or matrix, got shape ", shape);
  IndexRows rows;
  rows.rows = shape.rank() > 0 ? shape.dim(0) : 1;
  rows.rank = shape.rank() > 1 ? shape.dim(1) : 1;
  if (rows.rank != rank)
    return invalid_argument("output_shape has incorrect number of elements: ", rank, " should be: ", rows.rank);
  MR_ASSIGN_OR_RETURN(rows.values, ctx.int_values(i));
  return rows;
}

class SparseToDense final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(validate_, init.attr<bool>("validate_indices"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(1).rank() != 1) return invalid_argument("output_shape must be rank 1, got shape ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(const IndexRows rows, index_rows(ctx, 0, static_cast<int64_t>(dims.size())));
    const Tensor &values = ctx.input(2), &filler = ctx.input(3);
    if (values.rank() > 1 || (values.rank() == 1 && values.dim(0) != rows.rows))
      return invalid_argument("sparse_values has incorrect shape ", values.shape(), ", should be [] or [", rows.rows,
                              "]");
    if (filler.rank() != 0) return invalid_argument("default_value should be a scalar.");
    if (validate_) MR_RETURN_IF_ERROR(validate(rows, dims));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      S* to = static_cast<S*>(out->raw_mutable_data());
      const S* from = static_cast<const S*>(values.raw_data());
      std::fill_n(to, shape.num_elements(), *static_cast<const S*>(filler.raw_data()));
      for (int64_t i = 0; i < rows.rows; ++i) {
        int64_t at = 0;
        for (size_t d = 0; d < dims.size(); ++d) {
          const int64_t index = rows.values[static_cast<size_t>(i * rows.rank) + d];
          if (index < 0 || index >= dims[d])
            return invalid_argument("Indices are not valid (out of bounds).  Shape: ", shape);
          at = at * dims[d] + index;
        }
        to[at] = from[values.rank() == 0 ? 0 : i];
      }
      return absl::OkStatus();
    });
  }

  static absl::Status validate(const IndexRows& rows, const std::vector<int64_t>& dims) {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows.rows, rows.rank}));
    SparseTensor sparse{{}, {}, dims};
    MR_ASSIGN_OR_RETURN(sparse.indices, make_tensor(DataType::kInt64, shape));
    std::ranges::copy(rows.values, sparse.indices.unchecked_mutable<int64_t>().begin());
    return check_indices(sparse, true);
  }

  bool validate_ = true;
};

// --- SparseTensorDenseMatMul

template <class T> T conjugate(const T& x) {
  if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) return std::conj(x);
  else return x;
}

// Half types are summed as floats.
template <class T> using Sum = std::conditional_t<is_half<T>, float, T>;

template <class T, class I> class SparseTensorDenseMatMul final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(adjoint_a_, init.attr<bool>("adjoint_a"));
    MR_ASSIGN_OR_RETURN(adjoint_b_, init.attr<bool>("adjoint_b"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check(ctx));
    MR_ASSIGN_OR_RETURN(const auto a_shape, ctx.vector<int64_t>(2));
    const TensorShape& b_shape = ctx.shape(3);
    const int64_t rows = a_shape[adjoint_a_ ? 1 : 0], inner = a_shape[adjoint_a_ ? 0 : 1];
    const int64_t b_inner = b_shape.dim(adjoint_b_ ? 1 : 0), columns = b_shape.dim(adjoint_b_ ? 0 : 1);
    if (inner != b_inner)
      return invalid_argument("Cannot multiply A and B because inner dimension does not match: ", inner, " vs. ",
                              b_inner, ".  Did you forget a transpose?  Dimensions of A: [", a_shape[0], ", ",
                              a_shape[1], ").  Dimensions of B: ", b_shape);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows, columns}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    MR_ASSIGN_OR_RETURN(const auto b, ctx.flat<T>(3));
    const Strides strides{adjoint_b_ ? 1 : columns, adjoint_b_ ? inner : 1, columns};
    if constexpr (is_half<T>) {
      MR_ASSIGN_OR_RETURN(Tensor sums, make_zeroed_tensor(DataType::kFloat, shape));
      const auto sum = sums.unchecked_mutable<float>();
      MR_RETURN_IF_ERROR(multiply(ctx, rows, inner, b, strides, sum));
      std::ranges::transform(sum, out.begin(), [](float x) { return T(x); });
      return absl::OkStatus();
    } else {
      std::ranges::fill(out, T());
      return multiply(ctx, rows, inner, b, strides, out);
    }
  }

  struct Strides {
    int64_t inner, column, columns;  // of B
  };

  absl::Status multiply(const KernelContext& ctx, int64_t rows, int64_t inner, std::span<const T> b, Strides s,
                        std::span<Sum<T>> out) const {
    MR_ASSIGN_OR_RETURN(const auto index, ctx.flat<I>(0));
    MR_ASSIGN_OR_RETURN(const auto values, ctx.vector<T>(1));
    for (size_t i = 0; i < values.size(); ++i) {
      int64_t row = 0, k = 0;
      if (!read_bounded(&index[2 * i + (adjoint_a_ ? 0 : 1)], inner, &k))
        return invalid_argument("k (", k, ") from index[", i, ",", adjoint_a_ ? 0 : 1, "] out of bounds (>=", inner,
                                ")");
      if (!read_bounded(&index[2 * i + (adjoint_a_ ? 1 : 0)], rows, &row))
        return invalid_argument("m (", row, ") from index[", i, ",", adjoint_a_ ? 1 : 0, "] out of bounds (>=", rows,
                                ")");
      const auto a = static_cast<Sum<T>>(adjoint_a_ ? conjugate(values[i]) : values[i]);
      Sum<T>* to = out.data() + row * s.columns;
      const T* from = b.data() + k * s.inner;
      for (int64_t c = 0; c < s.columns; ++c, from += s.column) {
        const auto x = static_cast<Sum<T>>(adjoint_b_ ? conjugate(*from) : *from);
        to[c] = Add::apply(to[c], Multiply::apply(a, x));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status check(const KernelContext& ctx) {
    const TensorShape &indices = ctx.shape(0), &values = ctx.shape(1), &dense = ctx.shape(2), &b = ctx.shape(3);
    if (b.rank() != 2) return invalid_argument("Tensor 'b' is not a matrix");
    if (dense.rank() != 1) return invalid_argument("Tensor 'a_shape' is not a vector");
    if (dense.dim(0) != 2) return invalid_argument("Tensor 'a_shape' must have 2 elements");
    if (values.rank() != 1) return invalid_argument("Tensor 'a_values' is not a vector");
    if (indices.rank() != 2) return invalid_argument("Tensor 'a_indices' is not a matrix");
    if (indices.dim(0) != values.dim(0))
      return invalid_argument("Number of rows of a_indices does not match number of entries in a_values");
    if (indices.dim(1) != 2)
      return invalid_argument("Number of columns of a_indices does not match number of entries in a_shape");
    return make_shape(ctx.input(2).unchecked<int64_t>()).status();
  }

  bool adjoint_a_ = false, adjoint_b_ = false;
};

// --- elementwise, at the entries of the sparse tensor

template <class T> struct Divide {
  static absl::Status apply(const T& a, const T& b, T* out) {
    if constexpr (is_half<T>) {
      *out = T(static_cast<float>(a) / static_cast<float>(b));
    } else if constexpr (std::is_integral_v<T>) {
      if (b == 0) return invalid_argument("Integer division by zero");
      *out = std::is_signed_v<T> && b == T(-1) ? Subtract::apply(T(0), a) : static_cast<T>(a / b);
    } else {
      *out = a / b;
    }
    return absl::OkStatus();
  }
};
template <class T> struct Product {
  static absl::Status apply(const T& a, const T& b, T* out) {
    *out = Multiply::apply(a, b);
    return absl::OkStatus();
  }
};
template <class T> struct Total {
  static absl::Status apply(const T& a, const T& b, T* out) {
    *out = Add::apply(a, b);
    return absl::OkStatus();
  }
};

template <template <class> class Fn, class T> class SparseDenseCwise final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const SparseTensor sparse, sparse_input(ctx, 0, 1, 2));
    const TensorShape& dense = ctx.shape(3);
    const int64_t added = sparse.rank() - dense.rank();
    bool fits = added >= 0;
    for (int d = 0; fits && d < dense.rank(); ++d)
      fits = dense.dim(d) == 1 || dense.dim(d) == sparse.dims[static_cast<size_t>(added + d)];
    if (!fits)
      return invalid_argument("SparseDenseBinaryOpShared broadcasts dense to sparse only; got incompatible shapes: ",
                              list_text(sparse.dims), " vs. ", list_text(dense.dims()));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.vector<T>(1));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<T>(3));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(1)));
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t* index = sparse.index(static_cast<int64_t>(i));
      int64_t at = 0;
      for (int64_t d = 0; d < sparse.rank(); ++d) {
        if (index[d] < 0 || index[d] >= sparse.dims[static_cast<size_t>(d)])
          return invalid_argument("Provided indices are out-of-bounds w.r.t. dense side with broadcasted shape");
        if (d < added) continue;
        const int64_t size = dense.dim(static_cast<int>(d - added));
        at = at * size + (size == 1 ? 0 : index[d]);
      }
      MR_RETURN_IF_ERROR(Fn<T>::apply(x[i], y[static_cast<size_t>(at)], &out[i]));
    }
    return absl::OkStatus();
  }
};
template <class T> using CwiseAdd = SparseDenseCwise<Total, T>;
template <class T> using CwiseMul = SparseDenseCwise<Product, T>;
template <class T> using CwiseDiv = SparseDenseCwise<Divide, T>;

template <class T, class I> class SparseTensorDenseAdd final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape &indices = ctx.shape(0), &values = ctx.shape(1), &dense = ctx.shape(2), &b = ctx.shape(3);
    if (indices.rank() != 2)
      return invalid_argument("Input a_indices should be a matrix but received shape: ", indices);
    if (values.rank() != 1 || dense.rank() != 1)
      return invalid_argument("Inputs a_values and a_shape should be vectors but received shapes: ", values, " and ",
                              dense);
    if (dense.dim(0) != b.rank())
      return invalid_argument("Two operands have different ranks; received: ", dense.dim(0), " and ", b.rank());
    if (indices.dim(0) != values.dim(0))
      return invalid_argument("The number of elements in a_values and the number of rows in a_indices do not match: ",
                              values, " and ", indices);
    if (indices.dim(1) != b.rank())
      return invalid_argument("a_indices has ", indices.dim(1), " columns, the shape of b is ", b);
    MR_ASSIGN_OR_RETURN(const auto dims, ctx.vector<I>(2));
    for (int d = 0; d < b.rank(); ++d) {
      if (static_cast<int64_t>(dims[static_cast<size_t>(d)]) != b.dim(d))
        return invalid_argument("Dimension ", d, " does not equal (no broadcasting is supported): sparse side ",
                                dims[static_cast<size_t>(d)], " vs dense side ", b.dim(d));
    }
    MR_ASSIGN_OR_RETURN(const auto index, ctx.flat<I>(0));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.vector<T>(1));
    MR_ASSIGN_OR_RETURN(const auto y, ctx.flat<T>(3));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, b));
    std::ranges::copy(y, out.begin());
    const auto rank = static_cast<size_t>(b.rank());
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t at = 0;
      for (size_t d = 0; d < rank; ++d) {
        int64_t one = 0;
        const int64_t size = b.dim(static_cast<int>(d));
        if (!read_bounded(&index[i * rank + d], size, &one))
          return invalid_argument("Sparse tensor has an invalid index on dimension ", d, ": a_indices(", i, ",", d,
                                  ") = ", one, ", dense tensor shape: ", b);
        at = at * size + one;
      }
      T& to = out[static_cast<size_t>(at)];
      to = Add::apply(to, x[i]);
    }
    return absl::OkStatus();
  }
};

// --- shapes

absl::Status to_dense_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_most(2, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
  return c.set_output(0, c.as_shape(1));
}

absl::Status matmul_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape a, c.as_shape(2));
  if (a.has_rank() && a.rank() != 2) return invalid_argument("Shape must be rank 2 but is rank ", a.rank());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape b, c.with_rank(3, 2));
  MR_ASSIGN_OR_RETURN(const bool adjoint_a, c.attr<bool>("adjoint_a"));
  MR_ASSIGN_OR_RETURN(const bool adjoint_b, c.attr<bool>("adjoint_b"));
  const int64_t rows = a.has_rank() ? a.dim(adjoint_a ? 1 : 0) : -1,
                inner = a.has_rank() ? a.dim(adjoint_a ? 0 : 1) : -1;
  const int64_t b_inner = b.has_rank() ? b.dim(adjoint_b ? 1 : 0) : -1;
  if (inner >= 0 && b_inner >= 0 && inner != b_inner)
    return invalid_argument("Dimensions must be equal, but are ", inner, " and ", b_inner);
  return c.set_output(0, make_partial_shape({rows, b.has_rank() ? b.dim(adjoint_b ? 0 : 1) : -1}));
}

absl::Status cwise_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(0, 2));
  return c.set_output(0, make_partial_shape({indices.has_rank() ? indices.dim(0) : -1}));
}

absl::Status dense_add_shape(ShapeContext& c) { return c.set_output(0, c.input(3)); }

// --- gradients

absl::Status to_dense_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output d_values = g.op("GatherNd", {dy, g.x(0)});
  const Output all =
      g.op("Range", {g.int32_scalar(0, "range/start"), rank_of(g, dy), g.int32_scalar(1, "range/delta")}, {}, "range");
  const Output total = g.op("Sum", {dy, all}, {}, "Sum");
  const Output zero = int_list(g, {0}, "Const");
  const Output used = g.op("Sum", {d_values, zero}, {}, "Sum");
  g.set_dx(2, d_values);
  g.set_dx(3, g.op("Sub", {total, used}, {}, "sub"));
  return absl::OkStatus();
}

// Column 0 or 1 of the indices.
Output index_column(GradientContext& g, const Output& indices, int32_t column) {
  const auto scope = g.name_scope("strided_slice");
  const Output begin = int_list(g, {0, column}, "stack"), end = int_list(g, {0, column + 1}, "stack_1");
  const Output strides = int_list(g, {1, 1}, "stack_2");
  return g.op("StridedSlice", {indices, begin, end, strides},
              {{"begin_mask", int64_t{1}}, {"end_mask", int64_t{1}}, {"shrink_axis_mask", int64_t{2}}}, "/");
}

Output gather_rows(GradientContext& g, const Output& from, const Output& rows) {
  const Output axis = g.int32_scalar(0, "GatherV2/axis");
  return g.op("GatherV2", {from, rows, axis});
}

Output transposed(GradientContext& g, const Output& matrix, bool conjugate) {
  const auto scope = g.name_scope("transpose");
  const Output perm = int_list(g, {1, 0}, "perm");
  return g.op(conjugate && is_complex(g.dtype(matrix)) ? "ConjugateTranspose" : "Transpose", {matrix, perm}, {}, "/");
}

absl::Status matmul_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool adjoint_a, g.attr<bool>("adjoint_a"));
  MR_ASSIGN_OR_RETURN(const bool adjoint_b, g.attr<bool>("adjoint_b"));
  const Output dy = g.dy(0), b = g.x(3);
  Output db = g.op("SparseTensorDenseMatMul", {g.x(0), g.x(1), g.x(2), dy}, {{"adjoint_a", !adjoint_a}});
  if (adjoint_b) db = transposed(g, db, true);
  g.set_dx(3, db);
  // At each entry (r, c) of a: the product of row r of dy and column c of b, with both swapped or adjoint as the op has
  // them.
  const Output rows = index_column(g, g.x(0), 0), columns = index_column(g, g.x(0), 1);
  const Output left = gather_rows(g, dy, adjoint_a ? columns : rows);
  const Output right = gather_rows(g, adjoint_b ? transposed(g, b, false) : b, adjoint_a ? rows : columns);
  const auto expand = [&](const Output& x, int32_t dim) {
    return op_with_literal(g, "ExpandDims", x, Tensor(dim), "dim", "ExpandDims");
  };
  const Output l = expand(left, adjoint_a ? -1 : -2), r = expand(right, adjoint_a != adjoint_b ? -1 : -2);
  const Output product =
      g.op("BatchMatMulV2", {l, r}, {{"adj_x", adjoint_a}, {"adj_y", adjoint_a == adjoint_b}}, "MatMul");
  g.set_dx(1, g.op("Squeeze", {product}, {{"squeeze_dims", std::vector<int64_t>{-2, -1}}}));
  return absl::OkStatus();
}

absl::Status dense_add_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(1, g.op("GatherNd", {dy, g.x(0)}));
  g.set_dx(3, dy);
  return absl::OkStatus();
}

// Of SparseDenseCwiseMul and SparseDenseCwiseDiv: the dense side's elements that the entries met, and what was
// broadcast summed up.
absl::Status cwise_gradient(GradientContext& g) {
  const bool is_mul = g.node().op == "SparseDenseCwiseMul";
  const Output dy = g.dy(0), values = g.x(1), dense = g.x(3);
  const Output dense_shape = g.op("Cast", {shape_of(g, dense)}, {{"DstT", DataType::kInt64}}, "Cast");
  const Output missing = g.op("Sub", {size_of(g, g.x(2)), size_of(g, dense_shape)}, {}, "sub");
  const Output added = op_with_literal(g, "ExpandDims", missing, Tensor(int32_t{0}), "dim", "ExpandDims");
  const Output one = g.constant(Tensor(int64_t{1}), "ones/Const");
  const Output ones = g.op("Fill", {added, one}, {}, "ones");
  const Output full_shape = concat(g, {ones, dense_shape}, 0);
  const Output scaling = g.op("FloorDiv", {g.x(2), full_shape}, {}, "floordiv");
  const Output scaled = g.op("FloorDiv", {g.x(0), scaling}, {}, "floordiv");
  const Output begin = concat(g, {int_list(g, {0}, "concat_1/values_0"), added}, 0);
  const Output places = g.op("Slice", {scaled, begin, int_list(g, {-1, -1}, "Slice/size")}, {}, "Slice");
  const Output met = g.op("GatherNd", {dense, places});
  Output dx, d_met;
  if (is_mul) {
    dx = g.op("Mul", {dy, met}, {}, "mul");
    d_met = g.op("Mul", {dy, values}, {}, "mul");
  } else {
    dx = g.op("RealDiv", {dy, met}, {}, "truediv");
    const Output negative = g.op("Neg", {values});
    const Output square = g.op("Square", {met});
    d_met = g.op("Mul", {dy, g.op("RealDiv", {negative, square}, {}, "truediv")}, {}, "mul");
  }
  g.set_dx(1, dx);
  g.set_dx(3, g.op("SparseTensorDenseAdd", {places, d_met, dense_shape, zeros_like(g, dense)}));
  return absl::OkStatus();
}

OpBuilder cwise_op(Registry& registry, const char* name) {
  return registry.op(name)
      .input("sp_indices: int64")
      .input("sp_values: T")
      .input("sp_shape: int64")
      .input("dense: T")
      .output("output: T")
      .attr("T: numbertype")
      .shape(cwise_shape)
      .doc("The values of a sparse tensor combined with a dense one, which is broadcast to it.");
}

}  // namespace

void register_sparse_dense(Registry& registry) {
  registry.op("SparseToDense")
      .input("sparse_indices: Tindices")
      .input("output_shape: Tindices")
      .input("sparse_values: T")
      .input("default_value: T")
      .output("dense: T")
      .attr("validate_indices: bool = true")
      .attr("T: type")
      .attr("Tindices: {int32, int64}")
      .shape(to_dense_shape)
      .cpu<SparseToDense>()
      .gradient(to_dense_gradient)
      .doc("Values written at indices of a tensor that is filled with a default.");
  registry.op("SparseTensorDenseMatMul")
      .input("a_indices: Tindices")
      .input("a_values: T")
      .input("a_shape: int64")
      .input("b: T")
      .output("product: T")
      .attr("T: type")
      .attr("Tindices: {int32, int64} = DT_INT64")
      .attr("adjoint_a: bool = false")
      .attr("adjoint_b: bool = false")
      .shape(matmul_shape)
      .cpu_for<SparseTensorDenseMatMul>(Types<Half, BFloat16, float, double, int32_t, Complex64, Complex128>(), "T",
                                        Types<int32_t, int64_t>(), "Tindices")
      .gradient(matmul_gradient)
      .doc("A sparse matrix times a dense one; adjoint: transposed and conjugated.");
  cwise_op(registry, "SparseDenseCwiseAdd").cpu_for<CwiseAdd>(RealTypes());
  cwise_op(registry, "SparseDenseCwiseMul").cpu_for<CwiseMul>(RealTypes()).gradient(cwise_gradient);
  cwise_op(registry, "SparseDenseCwiseDiv").cpu_for<CwiseDiv>(RealTypes()).gradient(cwise_gradient);
  registry.op("SparseTensorDenseAdd")
      .input("a_indices: Tindices")
      .input("a_values: T")
      .input("a_shape: Tindices")
      .input("b: T")
      .output("output: T")
      .attr("T: numbertype")
      .attr("Tindices: {int32, int64}")
      .shape(dense_add_shape)
      .cpu_for<SparseTensorDenseAdd>(NumberTypes(), "T", Types<int32_t, int64_t>(), "Tindices")
      .gradient(dense_add_gradient)
      .doc("A sparse tensor added to a dense one of the same shape.");
}

}  // namespace millrace
