// Transpose and its relatives.

#include "kernels/bounded_index.h"
#include "kernels/parallel.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strides.h"

namespace millrace {
namespace {

// InvalidArgument unless `perm` holds each of 0 .. rank-1 (negative ones counted from the end) once; made non-negative.
absl::Status check_permutation(std::vector<int64_t>* perm, int rank) {
  if (perm->size() != static_cast<size_t>(rank)) {
    return invalid_argument("transpose expects a vector of size ", rank, ". But input(1) is a vector of size ",
                            perm->size());
  }
  std::vector<bool> seen(perm->size());
  for (int64_t& d : *perm) {
    if (d < -rank || d >= rank) return invalid_argument(d, " is out of range [0 .. ", rank, ")");
    if (d < 0) d += rank;
    seen[static_cast<size_t>(d)] = true;
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) return invalid_argument(i, " is missing from the permutation.");
  }
  return absl::OkStatus();
}

absl::Status transpose_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(std::optional<std::vector<int64_t>> perm, known_ints(c, 1));
  int rank = x.rank();
  if (rank < 0 && perm) rank = static_cast<int>(std::min<size_t>(perm->size(), Dims::kMaxRank));
  if (rank < 0 && vector.dim(0) >= 0 && vector.dim(0) <= Dims::kMaxRank) rank = static_cast<int>(vector.dim(0));
  if (rank < 0) return absl::OkStatus();
  if (vector.dim(0) >= 0 && vector.dim(0) != rank) {
    return c.set_output(0, invalid_argument("Dimension must be ", rank, " but is ", vector.dim(0)));
  }
  if (!perm) return c.set_output(0, unknown_shape_of_rank(rank));
  if (absl::Status status = check_permutation(&*perm, rank); !status.ok()) return c.set_output(0, status);
  std::vector<int64_t> dims(static_cast<size_t>(rank), -1);
  for (size_t i = 0; x.has_rank() && i < dims.size(); ++i) dims[i] = x.dim(static_cast<int>((*perm)[i]));
  return c.set_output(0, make_partial_shape(dims));
}

template <class T> void conjugate(Tensor& tensor) {
  const std::span<T> values = tensor.unchecked_mutable<T>();
  parallel_for(tensor.num_elements(), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) values[i] = std::conj(values[i]);
  });
}

template <bool kConjugate> class TransposeKernel final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor x = ctx.input(0);
    if (ctx.input(1).rank() != 1) return invalid_argument("perm must be rank 1, got shape ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> perm, ctx.int_values(1));
    MR_RETURN_IF_ERROR(check_permutation(&perm, x.rank()));
    const std::vector<int64_t> x_strides = row_major_strides(x.shape().dims());
    std::vector<int64_t> dims(perm.size());
    std::vector<int64_t> strides(perm.size());
    int64_t last = -1;
    bool moves = false;  // true if elements change their order, not only dimensions of size one
    for (size_t i = 0; i < perm.size(); ++i) {
      dims[i] = x.dim(static_cast<int>(perm[i]));
      strides[i] = x_strides[static_cast<size_t>(perm[i])];
      if (dims[i] == 1) continue;
      moves |= perm[i] < last;
      last = perm[i];
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    const bool is_conjugate = kConjugate && is_complex(x.dtype());
    if (!moves && !is_conjugate) {
      MR_ASSIGN_OR_RETURN(Tensor out, reshaped(x, shape));
      return ctx.set_output(0, std::move(out));
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    MR_RETURN_IF_ERROR(
        strided_copy(x.dtype(), dims, x.raw_data(), strides, out->raw_mutable_data(), row_major_strides(dims)));
    if (is_conjugate && x.dtype() == DataType::kComplex64) conjugate<Complex64>(*out);
    if (is_conjugate && x.dtype() == DataType::kComplex128) conjugate<Complex128>(*out);
    return absl::OkStatus();
  }
};

absl::Status transpose_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output inverse = g.op("InvertPermutation", {g.x(1)});
  const std::string& type = g.node().op;
  // Python's tf.transpose opens a scope of this name for both.
  g.set_dx(0, g.op(type, {dy, inverse}, {}, "transpose"));
  return absl::OkStatus();
}

absl::Status invert_permutation_shape(ShapeContext& c) { return c.set_output(0, c.with_rank(0, 1)); }

template <class T> class InvertPermutation final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(0).rank() != 1) return invalid_argument("invert_permutation expects a 1D vector.");
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.vector<T>(0));
    const auto n = static_cast<int64_t>(x.size());
    std::vector<T> out(x.size(), T{-1});
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t at = 0;
      if (!read_bounded(&x[i], n, &at)) return invalid_argument(at, " is not between 0 and ", n);
      T& slot = out[static_cast<size_t>(at)];
      if (slot != -1) return invalid_argument(at, " is duplicated in the input.");
      slot = static_cast<T>(i);
    }
    MR_ASSIGN_OR_RETURN(Tensor y, make_vector<T>(out));
    return ctx.set_output(0, std::move(y));
  }
};

}  // namespace

void register_transpose(Registry& registry) {
  registry.op("Transpose")
      .input("x: T")
      .input("perm: Tperm")
      .output("y: T")
      .attr("T: type")
      .attr("Tperm: {int32, int64} = DT_INT32")
      .shape(transpose_shape)
      .cpu<TransposeKernel<false>>()
      .gradient(transpose_gradient)
      .doc("Dimension i of the result is dimension perm[i] of x.");
  registry.op("ConjugateTranspose")
      .input("x: T")
      .input("perm: Tperm")
      .output("y: T")
      .attr("T: type")
      .attr("Tperm: {int32, int64} = DT_INT32")
      .shape(transpose_shape)
      .cpu<TransposeKernel<true>>()
      .gradient(transpose_gradient)
      .doc("Transpose, of complex conjugates.");
  registry.op("InvertPermutation")
      .input("x: T")
      .output("y: T")
      .attr("T: {int32, int64} = DT_INT32")
      .shape(invert_permutation_shape)
      .cpu<InvertPermutation, int32_t, int64_t>()
      .not_differentiable()
      .doc("y[x[i]] = i for a permutation x of 0 .. n-1.");
}

}  // namespace millrace
