// Matrix products: MatMul, the BatchMatMul family, and _FusedMatMul, which graph passes make of MatMul, BiasAdd and an
// activation.

#include <algorithm>
#include <vector>

#include "kernels/gemm.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

// Rows and columns of a matrix after the transposition that an attribute asks for.
struct Matrix {
  int64_t rows, cols;
};
template <class Shape> Matrix matrix_of(const Shape& shape, bool transposed) {
  const int64_t rows = shape.dim(shape.rank() - 2), cols = shape.dim(shape.rank() - 1);
  return transposed ? Matrix{cols, rows} : Matrix{rows, cols};
}

absl::Status check_inner(const PartialTensorShape& a, const PartialTensorShape& b, Matrix ma, Matrix mb) {
  if (ma.cols < 0 || mb.rows < 0 || ma.cols == mb.rows) return absl::OkStatus();
  return invalid_argument("Dimensions must be equal, but are ", ma.cols, " and ", mb.rows,
                          ": Matrix size-incompatible: In[0]: ", a, ", In[1]: ", b);
}

template <class T>
absl::Status multiply(bool transpose_a, bool transpose_b, bool conjugate_a, bool conjugate_b, int64_t m, int64_t n,
                      int64_t k, const T* a, const T* b, T* c) {
  if constexpr (std::is_same_v<T, float>) {
    return matmul({.m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b}, a, b, nullptr, c);
  } else {
    plain_matmul(transpose_a, transpose_b, conjugate_a, conjugate_b, m, n, k, a, b, c);
    return absl::OkStatus();
  }
}

absl::Status matmul_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape a, c.with_rank(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape b, c.with_rank(1, 2));
  MR_ASSIGN_OR_RETURN(const bool transpose_a, c.attr<bool>("transpose_a"));
  MR_ASSIGN_OR_RETURN(const bool transpose_b, c.attr<bool>("transpose_b"));
  const Matrix ma = a.has_rank() ? matrix_of(a, transpose_a) : Matrix{-1, -1};
  const Matrix mb = b.has_rank() ? matrix_of(b, transpose_b) : Matrix{-1, -1};
  MR_RETURN_IF_ERROR(check_inner(a, b, ma, mb));
  return c.set_output(0, make_partial_shape({ma.rows, mb.cols}));
}

template <class T> class MatMul final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(transpose_a_, init.attr<bool>("transpose_a"));
    MR_ASSIGN_OR_RETURN(transpose_b_, init.attr<bool>("transpose_b"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> b, ctx.flat<T>(1));
    const TensorShape &sa = ctx.shape(0), &sb = ctx.shape(1);
    if (sa.rank() != 2) return invalid_argument("In[0] is not a matrix. Instead it has shape ", sa);
    if (sb.rank() != 2) return invalid_argument("In[1] is not a matrix. Instead it has shape ", sb);
    const Matrix ma = matrix_of(sa, transpose_a_), mb = matrix_of(sb, transpose_b_);
    MR_RETURN_IF_ERROR(check_inner(sa, sb, ma, mb));
    MR_ASSIGN_OR_RETURN(const TensorShape out, make_shape({ma.rows, mb.cols}));
    MR_ASSIGN_OR_RETURN(const std::span<T> c, ctx.output<T>(0, out));
    return multiply<T>(transpose_a_, transpose_b_, false, false, ma.rows, mb.cols, ma.cols, a.data(), b.data(),
                       c.data());
  }

 private:
  bool transpose_a_ = false, transpose_b_ = false;
};

// MatMul over float or bfloat16 into float; the hints that a side is mostly zero are not used.
template <class TA, class TB> class SparseMatMul final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(transpose_a_, init.attr<bool>("transpose_a"));
    MR_ASSIGN_OR_RETURN(transpose_b_, init.attr<bool>("transpose_b"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const TA> a, ctx.flat<TA>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const TB> b, ctx.flat<TB>(1));
    const TensorShape &sa = ctx.shape(0), &sb = ctx.shape(1);
    if (sa.rank() != 2 || sb.rank() != 2) return invalid_argument("a and b must be matrices, got ", sa, " and ", sb);
    const Matrix ma = matrix_of(sa, transpose_a_), mb = matrix_of(sb, transpose_b_);
    MR_RETURN_IF_ERROR(check_inner(sa, sb, ma, mb));
    MR_ASSIGN_OR_RETURN(const TensorShape out, make_shape({ma.rows, mb.cols}));
    MR_ASSIGN_OR_RETURN(const std::span<float> c, ctx.output<float>(0, out));
    plain_matmul(transpose_a_, transpose_b_, false, false, ma.rows, mb.cols, ma.cols, a.data(), b.data(), c.data());
    return absl::OkStatus();
  }

 private:
  bool transpose_a_ = false, transpose_b_ = false;
};

// --- _FusedMatMul

absl::Status fused_matmul_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(matmul_shape(c));
  return absl::OkStatus();
}

class FusedMatMul final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(shape_.transpose_a, init.attr<bool>("transpose_a"));
    MR_ASSIGN_OR_RETURN(shape_.transpose_b, init.attr<bool>("transpose_b"));
    MR_ASSIGN_OR_RETURN(shape_.alpha, init.attr<float>("leakyrelu_alpha"));
    MR_ASSIGN_OR_RETURN(const std::vector<std::string> fused, init.attr<std::vector<std::string>>("fused_ops"));
    for (const std::string& op : fused) {
      if (op == "BiasAdd" && !shape_.has_bias && shape_.activation == Activation::kNone) {
        shape_.has_bias = true;
      } else {
        MR_ASSIGN_OR_RETURN(const Activation activation, activation_of(op));
        if (shape_.activation != Activation::kNone) return invalid_argument("_FusedMatMul: two activations");
        shape_.activation = activation;
      }
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const float> a, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const float> b, ctx.flat<float>(1));
    const TensorShape &sa = ctx.shape(0), &sb = ctx.shape(1);
    if (sa.rank() != 2 || sb.rank() != 2)
      return invalid_argument("_FusedMatMul: a and b must be matrices, got ", sa, " and ", sb);
    const Matrix ma = matrix_of(sa, shape_.transpose_a), mb = matrix_of(sb, shape_.transpose_b);
    MR_RETURN_IF_ERROR(check_inner(sa, sb, ma, mb));
    const float* bias = nullptr;
    if (shape_.has_bias) {
      MR_ASSIGN_OR_RETURN(const std::span<const float> add, ctx.vector<float>(2));
      if (static_cast<int64_t>(add.size()) != mb.cols) {
        return invalid_argument("Must provide as many biases as the last dimension of the input tensor: ", ctx.shape(2),
                                " vs. [", ma.rows, ",", mb.cols, "]");
      }
      bias = add.data();
    }
    MR_ASSIGN_OR_RETURN(const TensorShape out, make_shape({ma.rows, mb.cols}));
    MR_ASSIGN_OR_RETURN(const std::span<float> c, ctx.output<float>(0, out));
    MatMulShape shape = shape_;
    shape.m = ma.rows;
    shape.n = mb.cols;
    shape.k = ma.cols;
    return matmul(shape, a.data(), b.data(), bias, c.data());
  }

 private:
  static absl::StatusOr<Activation> activation_of(std::string_view op) {
    if (op == "Relu") return Activation::kRelu;
    if (op == "Relu6") return Activation::kRelu6;
    if (op == "Elu") return Activation::kElu;
    if (op == "LeakyRelu") return Activation::kLeakyRelu;
    if (op == "Tanh") return Activation::kTanh;
    if (op == "Sigmoid") return Activation::kSigmoid;
    return unimplemented("_FusedMatMul: cannot fuse ", op);
  }
  MatMulShape shape_;
};

// --- BatchMatMul

// The shape of a product of batches; `broadcasting` as numpy does, else the batch dimensions must be equal.
absl::StatusOr<PartialTensorShape> batch_product_shape(const PartialTensorShape& a, const PartialTensorShape& b,
                                                       bool adj_a, bool adj_b, bool broadcasting) {
  if (!a.has_rank() || !b.has_rank()) return PartialTensorShape();
  if (a.rank() < 2) return invalid_argument("In[0] ndims must be >= 2: ", a.rank());
  if (b.rank() < 2) return invalid_argument("In[1] ndims must be >= 2: ", b.rank());
  const Matrix ma = matrix_of(a, adj_a), mb = matrix_of(b, adj_b);
  MR_RETURN_IF_ERROR(check_inner(a, b, ma, mb));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch_a,
                      make_partial_shape(a.dims().first(static_cast<size_t>(a.rank() - 2))));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape batch_b,
                      make_partial_shape(b.dims().first(static_cast<size_t>(b.rank() - 2))));
  absl::StatusOr<PartialTensorShape> batch = broadcasting ? broadcast(batch_a, batch_b) : merge(batch_a, batch_b);
  if (!batch.ok()) {
    if (!broadcasting) return invalid_argument("In[0] and In[1] must have the same batch dimensions: ", a, " vs ", b);
    return invalid_argument("In[0] and In[1] must have compatible batch dimensions: ", a, " vs. ", b);
  }
  if (!batch->has_rank()) return PartialTensorShape();
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rest, make_partial_shape({ma.rows, mb.cols}));
  return concatenate(*batch, rest);
}

template <bool kBroadcasting> absl::Status batch_matmul_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool adj_x, c.attr<bool>("adj_x"));
  MR_ASSIGN_OR_RETURN(const bool adj_y, c.attr<bool>("adj_y"));
  return c.set_output(0, batch_product_shape(c.input(0), c.input(1), adj_x, adj_y, kBroadcasting));
}

// Which matrix of an input each matrix of the output is made of.
std::vector<int64_t> batch_indices(const TensorShape& in, const TensorShape& out) {
  const int batch_rank = out.rank() - 2, missing = out.rank() - in.rank();
  int64_t count = 1;
  for (int d = 0; d < batch_rank; ++d) count *= out.dim(d);
  std::vector<int64_t> indices(static_cast<size_t>(count), 0);
  int64_t in_stride = 1, out_stride = 1;
  for (int d = batch_rank - 1; d >= missing; --d) {
    if (in.dim(d - missing) != 1)
      for (int64_t i = 0; i < count; ++i) indices[static_cast<size_t>(i)] += i / out_stride % out.dim(d) * in_stride;
    in_stride *= in.dim(d - missing);
    out_stride *= out.dim(d);
  }
  return indices;
}

template <class TA, class TB, class T> class BatchMatMulKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(adj_x_, init.attr<bool>("adj_x"));
    MR_ASSIGN_OR_RETURN(adj_y_, init.attr<bool>("adj_y"));
    broadcasting_ = init.node().op != "BatchMatMul";
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const TA> a, ctx.flat<TA>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const TB> b, ctx.flat<TB>(1));
    const TensorShape &sa = ctx.shape(0), &sb = ctx.shape(1);
    MR_ASSIGN_OR_RETURN(const PartialTensorShape product, batch_product_shape(sa, sb, adj_x_, adj_y_, broadcasting_));
    MR_ASSIGN_OR_RETURN(const TensorShape out, as_tensor_shape(product));
    MR_ASSIGN_OR_RETURN(const std::span<T> c, ctx.output<T>(0, out));
    if (c.empty()) return absl::OkStatus();
    const Matrix ma = matrix_of(sa, adj_x_), mb = matrix_of(sb, adj_y_);
    const int64_t size_c = ma.rows * mb.cols;
    const int64_t batch = out.num_elements() / size_c;
    const int64_t batch_a = count_matrices(sa), batch_b = count_matrices(sb);
    if constexpr (std::is_same_v<T, float> && std::is_same_v<TA, float> && std::is_same_v<TB, float>) {
      if ((batch_a == batch || batch_a == 1) && (batch_b == batch || batch_b == 1)) {
        return matmul({.batch = batch,
                       .m = ma.rows,
                       .n = mb.cols,
                       .k = ma.cols,
                       .transpose_a = adj_x_,
                       .transpose_b = adj_y_,
                       .broadcast_a = batch_a != batch,
                       .broadcast_b = batch_b != batch},
                      a.data(), b.data(), nullptr, c.data());
      }
    }
    const std::vector<int64_t> at_a = batch_indices(sa, out), at_b = batch_indices(sb, out);
    for (int64_t i = 0; i < batch; ++i) {
      const TA* pa = a.data() + at_a[static_cast<size_t>(i)] * ma.rows * ma.cols;
      const TB* pb = b.data() + at_b[static_cast<size_t>(i)] * mb.rows * mb.cols;
      T* pc = c.data() + i * size_c;
      if constexpr (std::is_same_v<TA, T> && std::is_same_v<TB, T>) {
        MR_RETURN_IF_ERROR(multiply<T>(adj_x_, adj_y_, adj_x_, adj_y_, ma.rows, mb.cols, ma.cols, pa, pb, pc));
      } else {
        plain_matmul(adj_x_, adj_y_, false, false, ma.rows, mb.cols, ma.cols, pa, pb, pc);
      }
    }
    return absl::OkStatus();
  }

 private:
  static int64_t count_matrices(const TensorShape& s) {
    int64_t count = 1;
    for (int d = 0; d + 2 < s.rank(); ++d) count *= s.dim(d);
    return count;
  }
  bool adj_x_ = false, adj_y_ = false, broadcasting_ = true;
};
template <class T> class BatchMatMul final : public BatchMatMulKernel<T, T, T> {};

// --- Gradients

Output conjugated(GradientContext& g, const Output& x) { return is_complex(g.dtype(x)) ? g.op("Conj", {x}) : x; }

absl::Status matmul_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool ta, g.attr<bool>("transpose_a"));
  MR_ASSIGN_OR_RETURN(const bool tb, g.attr<bool>("transpose_b"));
  const Output dy = g.dy(0), a = conjugated(g, g.x(0)), b = conjugated(g, g.x(1));
  const auto product = [&](const Output& x, const Output& y, bool tx, bool ty, const char* which) {
    return g.op("MatMul", {x, y}, {{"transpose_a", tx}, {"transpose_b", ty}, {which, true}});
  };
  if (!ta && !tb) {
    g.set_dx(0, product(dy, b, false, true, "grad_a"));
    g.set_dx(1, product(a, dy, true, false, "grad_b"));
  } else if (!ta && tb) {
    g.set_dx(0, product(dy, b, false, false, "grad_a"));
    g.set_dx(1, product(dy, a, true, false, "grad_b"));
  } else if (ta && !tb) {
    g.set_dx(0, product(b, dy, false, true, "grad_a"));
    g.set_dx(1, product(a, dy, false, false, "grad_b"));
  } else {
    g.set_dx(0, product(b, dy, true, true, "grad_a"));
    g.set_dx(1, product(dy, a, true, true, "grad_b"));
  }
  return absl::OkStatus();
}

struct BatchProducts {
  Output dx, dy;
};
BatchProducts batch_products(GradientContext& g, bool ax, bool ay, bool mark) {
  const Output d = g.dy(0), x = g.x(0), y = g.x(1);
  const auto product = [&](const Output& a, const Output& b, bool adj_a, bool adj_b, const char* which) {
    AttrMap attrs = {{"adj_x", adj_a}, {"adj_y", adj_b}};
    if (mark) attrs.insert_or_assign(which, true);
    return g.op("BatchMatMulV2", {a, b}, std::move(attrs), "MatMul");
  };
  BatchProducts r;
  if (!ax && !ay) {
    r.dx = product(d, y, false, true, "grad_x");
    r.dy = product(x, d, true, false, "grad_y");
  } else if (!ax && ay) {
    r.dx = product(d, y, false, false, "grad_x");
    r.dy = product(d, x, true, false, "grad_y");
  } else if (ax && !ay) {
    r.dx = product(y, d, false, true, "grad_x");
    r.dy = product(x, d, false, false, "grad_y");
  } else {
    r.dx = product(y, d, true, true, "grad_x");
    r.dy = product(d, x, true, true, "grad_y");
  }
  return r;
}

absl::Status batch_matmul_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool ax, g.attr<bool>("adj_x"));
  MR_ASSIGN_OR_RETURN(const bool ay, g.attr<bool>("adj_y"));
  const BatchProducts p = batch_products(g, ax, ay, false);
  g.set_dx(0, p.dx);
  g.set_dx(1, p.dy);
  return absl::OkStatus();
}

// shape(x)[:-2]
Output batch_dims_of(GradientContext& g, const Output& shape) {
  return slice_vector(g, shape, {.has_begin = false, .end = -2});
}

// Batch dimensions that were broadcast are summed; statically equal ones need nothing.
absl::Status broadcasting_batch_matmul_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool ax, g.attr<bool>("adj_x"));
  MR_ASSIGN_OR_RETURN(const bool ay, g.attr<bool>("adj_y"));
  const BatchProducts p = batch_products(g, ax, ay, true);
  g.set_dx(0, p.dx);
  g.set_dx(1, p.dy);
  const PartialTensorShape sx = g.shape(g.x(0)), sy = g.shape(g.x(1));
  if (sx.has_rank() && sy.has_rank()) {
    const auto batch_x = sx.dims().first(static_cast<size_t>(std::max(sx.rank() - 2, 0)));
    const auto batch_y = sy.dims().first(static_cast<size_t>(std::max(sy.rank() - 2, 0)));
    const auto known = [](std::span<const int64_t> dims) { return std::ranges::find(dims, -1) == dims.end(); };
    if ((batch_x.empty() && batch_y.empty()) ||
        (known(batch_x) && known(batch_y) && std::ranges::equal(batch_x, batch_y)))
      return absl::OkStatus();
  }
  const Output shape_x = shape_of(g, g.x(0)), shape_y = shape_of(g, g.x(1));
  const Output batch_x = batch_dims_of(g, shape_x), batch_y = batch_dims_of(g, shape_y);
  const std::vector<Output> axes = g.op_outputs("BroadcastGradientArgs", {batch_x, batch_y});
  if (axes.size() != 2) return absl::OkStatus();  // the context keeps the error
  const Output dx = g.op("Sum", {p.dx, axes[0]});
  g.set_dx(0, g.op("Reshape", {dx, shape_x}));
  const Output dy = g.op("Sum", {p.dy, axes[1]});
  g.set_dx(1, g.op("Reshape", {dy, shape_y}));
  return absl::OkStatus();
}

// C = A B where the sides may be marked sparse: gradients of MatMul, each by MatMul or SparseMatMul as TensorFlow
// chooses.
absl::Status sparse_matmul_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool ta, g.attr<bool>("transpose_a"));
  MR_ASSIGN_OR_RETURN(const bool tb, g.attr<bool>("transpose_b"));
  MR_ASSIGN_OR_RETURN(const bool a_sparse, g.attr<bool>("a_is_sparse"));
  MR_ASSIGN_OR_RETURN(const bool b_sparse, g.attr<bool>("b_is_sparse"));
  const Output dy = g.dy(0), a = g.x(0), b = g.x(1);
  struct Side {
    Output value;
    bool sparse;
  };
  const Side sa{a, a_sparse}, sb{b, b_sparse}, sd{dy, false};
  const auto product = [&](const Side& x, const Side& y, DataType out, bool tx, bool ty) {
    Output right = y.value;
    if (ty) {
      const Output perm = g.constant(Tensor(std::vector<int32_t>{1, 0}), "transpose/perm");
      right = g.op("Transpose", {right, perm}, {}, "transpose");
    }
    Output r;
    if (!x.sparse && !y.sparse && g.dtype(x.value) == g.dtype(right))
      r = g.op("MatMul", {x.value, right}, {{"transpose_a", tx}, {"transpose_b", false}});
    else
      r = g.op("SparseMatMul", {x.value, right},
               {{"transpose_a", tx}, {"transpose_b", false}, {"a_is_sparse", x.sparse}, {"b_is_sparse", y.sparse}},
               "MatMul");
    return g.dtype(r) == out ? r : g.op("Cast", {r}, {{"DstT", out}});
  };
  const DataType da = g.dtype(a), db = g.dtype(b);
  if (!ta && !tb) {
    g.set_dx(0, product(sd, sb, da, false, true));
    g.set_dx(1, product(sa, sd, db, true, false));
  } else if (!ta && tb) {
    g.set_dx(0, product(sd, sb, da, false, false));
    g.set_dx(1, product(sd, sa, db, true, false));
  } else if (ta && !tb) {
    g.set_dx(0, product(sb, sd, da, false, true));
    g.set_dx(1, product(sa, sd, db, false, false));
  } else {
    g.set_dx(0, product(sb, sd, da, true, true));
    g.set_dx(1, product(sd, sa, db, true, true));
  }
  return absl::OkStatus();
}

template <class TA, class TB, class T> KernelDef batch_kernel() {
  return {"CPU", {{"Ta", dtype_of<TA>}, {"Tb", dtype_of<TB>}, {"Tout", dtype_of<T>}}, [] {
            return std::unique_ptr<Kernel>(new BatchMatMulKernel<TA, TB, T>);
          }};
}

using ProductTypes = Types<Half, BFloat16, float, double, int32_t, int64_t, Complex64, Complex128>;

}  // namespace

void register_matmul(Registry& registry) {
  registry.op("MatMul")
      .input("a: T")
      .input("b: T")
      .output("product: T")
      .attr("transpose_a: bool = false")
      .attr("transpose_b: bool = false")
      .attr("T: {bfloat16, half, float, double, int32, int64, uint8, uint16, uint32, uint64, complex64, complex128}")
      .attr("grad_a: bool = false")
      .attr("grad_b: bool = false")
      .shape(matmul_shape)
      .cpu_for<MatMul>(ProductTypes())
      .gradient(matmul_gradient)
      .doc("The matrix product of a and b, each transposed first where asked.");
  registry.op("BatchMatMul")
      .input("x: T")
      .input("y: T")
      .output("output: T")
      .attr("T: {bfloat16, half, float, double, int32, int64, complex64, complex128}")
      .attr("adj_x: bool = false")
      .attr("adj_y: bool = false")
      .attr("grad_x: bool = false")
      .attr("grad_y: bool = false")
      .shape(batch_matmul_shape<false>)
      .cpu_for<BatchMatMul>(ProductTypes())
      .gradient(batch_matmul_gradient)
      .doc("Products of the matrices in the last two dimensions; the other dimensions must be equal.");
  registry.op("BatchMatMulV2")
      .input("x: T")
      .input("y: T")
      .output("output: T")
      .attr(
          "T: {bfloat16, half, float, double, int16, int32, int64, uint8, uint16, uint32, uint64, complex64, "
          "complex128}")
      .attr("adj_x: bool = false")
      .attr("adj_y: bool = false")
      .attr("grad_x: bool = false")
      .attr("grad_y: bool = false")
      .shape(batch_matmul_shape<true>)
      .cpu_for<BatchMatMul>(ProductTypes())
      .cpu<BatchMatMul, int16_t>()
      .gradient(broadcasting_batch_matmul_gradient)
      .doc("Products of the matrices in the last two dimensions; the other dimensions broadcast.");
  auto v3 = registry.op("BatchMatMulV3");
  v3.input("x: Ta")
      .input("y: Tb")
      .output("output: Tout")
      .attr("Ta: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, complex128}")
      .attr("Tb: {bfloat16, half, float, double, uint8, int8, int16, int32, int64, complex64, complex128}")
      .attr("Tout: {bfloat16, half, float, double, int16, int32, int64, complex64, complex128}")
      .attr("adj_x: bool = false")
      .attr("adj_y: bool = false")
      .attr("grad_x: bool = false")
      .attr("grad_y: bool = false")
      .shape(batch_matmul_shape<true>)
      .gradient(broadcasting_batch_matmul_gradient)
      .doc("BatchMatMulV2 with element types of their own for both inputs and the output.");
  v3.kernel(batch_kernel<Half, Half, Half>())
      .kernel(batch_kernel<BFloat16, BFloat16, BFloat16>())
      .kernel(batch_kernel<float, float, float>())
      .kernel(batch_kernel<double, double, double>())
      .kernel(batch_kernel<int16_t, int16_t, int16_t>())
      .kernel(batch_kernel<int32_t, int32_t, int32_t>())
      .kernel(batch_kernel<int64_t, int64_t, int64_t>())
      .kernel(batch_kernel<int8_t, int8_t, int32_t>())
      .kernel(batch_kernel<uint8_t, int8_t, int32_t>())
      .kernel(batch_kernel<int8_t, uint8_t, int32_t>())
      .kernel(batch_kernel<uint8_t, uint8_t, int32_t>())
      .kernel(batch_kernel<Complex64, Complex64, Complex64>())
      .kernel(batch_kernel<Complex128, Complex128, Complex128>());
  registry.op("SparseMatMul")
      .input("a: Ta")
      .input("b: Tb")
      .output("product: float")
      .attr("transpose_a: bool = false")
      .attr("transpose_b: bool = false")
      .attr("a_is_sparse: bool = false")
      .attr("b_is_sparse: bool = false")
      .attr("Ta: {float, bfloat16} = DT_FLOAT")
      .attr("Tb: {float, bfloat16} = DT_FLOAT")
      .shape(matmul_shape)
      .cpu_for<SparseMatMul>(Types<float, BFloat16>(), "Ta", Types<float, BFloat16>(), "Tb")
      .gradient(sparse_matmul_gradient)
      .doc("The matrix product where many elements of a or b are expected to be zero.");
  registry.op("_FusedMatMul")
      .input("a: T")
      .input("b: T")
      .input("args: num_args * T")
      .output("product: T")
      .attr("transpose_a: bool = false")
      .attr("transpose_b: bool = false")
      .attr("T: {bfloat16, half, float}")
      .attr("num_args: int >= 0")
      .attr("fused_ops: list(string) = []")
      .attr("epsilon: float = 9.99999975e-05")
      .attr("leakyrelu_alpha: float = 0.200000003")
      .shape(fused_matmul_shape)
      .kernel({"CPU", {{"T", DataType::kFloat}}, [] { return std::unique_ptr<Kernel>(new FusedMatMul); }})
      .not_differentiable()
      .doc("MatMul followed by BiasAdd and an activation, as fused_ops says; made by graph passes.");
}

}  // namespace millrace
