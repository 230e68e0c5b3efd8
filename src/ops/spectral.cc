// Eigenvalues, singular values and functions of matrices, by kernels/linear_algebra.h.

#include <algorithm>

#include "kernels/linear_algebra.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/linear_algebra_gradients.h"
#include "ops/matrix_batch.h"

namespace millrace {
namespace {

template <class T> class SelfAdjointEig final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(compute_v_, init.attr<bool>("compute_v"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const TensorShape e_shape, batch_of(m.outer, {m.rows}));
    MR_ASSIGN_OR_RETURN(const TensorShape none, make_shape({0}));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto e, ctx.output<T>(0, e_shape));
    MR_ASSIGN_OR_RETURN(const auto v, ctx.output<T>(1, compute_v_ ? ctx.shape(0) : none));
    WideInput<T> from;
    WideOutput<T> values, vectors;
    std::vector<Wide<T>> unused(compute_v_ ? 0 : static_cast<size_t>(m.size));
    for (int64_t i = 0; i < m.count && m.size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      self_adjoint_eigen(m.rows, from.load(a, i * m.size, m.size), values.prepare(e, i * m.rows, m.rows),
                         compute_v_ ? vectors.prepare(v, i * m.size, m.size) : unused.data());
      values.store();
      if (compute_v_) vectors.store();
    }
    return absl::OkStatus();
  }
  bool compute_v_ = true;
};

template <class T> class Svd final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(compute_uv_, init.attr<bool>("compute_uv"));
    MR_ASSIGN_OR_RETURN(full_, init.attr<bool>("full_matrices"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, matrices_of(ctx.shape(0)));
    const bool full = full_ && compute_uv_;
    const int64_t p = std::min(m.rows, m.columns), u_columns = full ? m.rows : p, v_columns = full ? m.columns : p;
    MR_ASSIGN_OR_RETURN(const TensorShape s_shape, batch_of(m.outer, {p}));
    MR_ASSIGN_OR_RETURN(const TensorShape u_shape, batch_of(m.outer, {m.rows, u_columns}));
    MR_ASSIGN_OR_RETURN(const TensorShape v_shape, batch_of(m.outer, {m.columns, v_columns}));
    MR_ASSIGN_OR_RETURN(const TensorShape none, make_shape({0}));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto s, ctx.output<T>(0, s_shape));
    MR_ASSIGN_OR_RETURN(const auto u, ctx.output<T>(1, compute_uv_ ? u_shape : none));
    MR_ASSIGN_OR_RETURN(const auto v, ctx.output<T>(2, compute_uv_ ? v_shape : none));
    const int64_t u_size = m.rows * u_columns, v_size = m.columns * v_columns;
    WideInput<T> from;
    WideOutput<T> to_s, to_u, to_v;
    const bool unused = !compute_uv_ && m.count > 0;
    std::vector<Wide<T>> unused_u(unused ? static_cast<size_t>(u_size) : 0);
    std::vector<Wide<T>> unused_v(unused ? static_cast<size_t>(v_size) : 0);
    for (int64_t i = 0; i < m.count && p + u_size + v_size > 0; ++i) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      singular_values(m.rows, m.columns, from.load(a, i * m.size, m.size), full, to_s.prepare(s, i * p, p),
                      compute_uv_ ? to_u.prepare(u, i * u_size, u_size) : unused_u.data(),
                      compute_uv_ ? to_v.prepare(v, i * v_size, v_size) : unused_v.data());
      to_s.store();
      if (!compute_uv_) continue;
      to_u.store();
      to_v.store();
    }
    return absl::OkStatus();
  }
  bool compute_uv_ = true, full_ = false;
};

// A function of complex matrices. Of real ones the result is real, or there is none.
template <class T, void (*kFn)(int64_t, const Complex128*, Complex128*)> class MatrixFunction final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Matrices m, square_matrices(ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(0)));
    const auto size = static_cast<size_t>(m.size);
    std::vector<Complex128> from(size), to(size);
    for (size_t at = 0; at < out.size(); at += size) {
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      std::ranges::transform(a.subspan(at, size), from.begin(), [](const T& x) { return Complex128(x); });
      kFn(m.rows, from.data(), to.data());
      const bool real = is_real(to);
      std::ranges::transform(to, out.begin() + static_cast<std::ptrdiff_t>(at), [&](const Complex128& x) {
        if constexpr (std::is_floating_point_v<T>)
          return real ? static_cast<T>(x.real()) : std::numeric_limits<T>::quiet_NaN();
        else return static_cast<T>(x);
      });
    }
    return absl::OkStatus();
  }
  static bool is_real(std::span<const Complex128> values) {
    double real = 0, imaginary = 0;
    for (const Complex128& x : values) {
      real = std::max(real, std::abs(x.real()));
      imaginary = std::max(imaginary, std::abs(x.imag()));
    }
    return imaginary <= 1e-8 * real;
  }
};
template <class T> using MatrixSquareRoot = MatrixFunction<T, matrix_square_root>;
template <class T> using MatrixLogarithm = MatrixFunction<T, matrix_logarithm>;

absl::Status square_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  return c.set_output(0, joined(m.outer, {m.rows, m.columns}));
}

absl::Status eigen_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool compute_v, c.attr<bool>("compute_v"));
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, true));
  MR_RETURN_IF_ERROR(c.set_output(0, joined(m.outer, {m.rows})));
  return c.set_output(1, compute_v ? joined(m.outer, {m.rows, m.columns}) : make_partial_shape({0}));
}

absl::Status svd_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool compute_uv, c.attr<bool>("compute_uv"));
  MR_ASSIGN_OR_RETURN(const bool full, c.attr<bool>("full_matrices"));
  MR_ASSIGN_OR_RETURN(const KnownMatrices m, known_matrices(c, 0, false));
  const int64_t p = m.smaller();
  MR_RETURN_IF_ERROR(c.set_output(0, joined(m.outer, {p})));
  for (const int i : {1, 2}) {
    const int64_t rows = i == 1 ? m.rows : m.columns;
    MR_RETURN_IF_ERROR(
        c.set_output(i, compute_uv ? joined(m.outer, {rows, full ? rows : p}) : make_partial_shape({0})));
  }
  return absl::OkStatus();
}

using Scalars = Types<float, double, Complex64, Complex128>;

}  // namespace

void register_spectral(Registry& registry) {
  registry.op("SelfAdjointEigV2")
      .input("input: T")
      .output("e: T")
      .output("v: T")
      .attr("compute_v: bool = true")
      .attr("T: {double, float, half, complex64, complex128}")
      .shape(eigen_shape)
      .cpu_for<SelfAdjointEig>(Scalars())
      .gradient(self_adjoint_eigen_gradient)
      .doc("Eigenvalues, in rising order, and eigenvectors of Hermitian matrices, whose lower triangles are read.");
  registry.op("Svd")
      .input("input: T")
      .output("s: T")
      .output("u: T")
      .output("v: T")
      .attr("compute_uv: bool = true")
      .attr("full_matrices: bool = false")
      .attr("T: {double, float, half, complex64, complex128}")
      .shape(svd_shape)
      .cpu_for<Svd>(Scalars())
      .gradient(svd_gradient)
      .doc("Singular values, in falling order, and vectors.");
  registry.op("MatrixSquareRoot")
      .input("input: T")
      .output("output: T")
      .attr("T: {double, float, half, complex64, complex128}")
      .shape(square_shape)
      .cpu_for<MatrixSquareRoot>(Scalars())
      .gradient(matrix_square_root_gradient)
      .doc("The principal square roots of matrices.");
  registry.op("MatrixLogarithm")
      .input("input: T")
      .output("output: T")
      .attr("T: {complex64, complex128}")
      .shape(square_shape)
      .cpu<MatrixLogarithm, Complex64, Complex128>()
      .doc("The principal logarithms of matrices.");
}

}  // namespace millrace
