// Fourier transforms over the last one to three dimensions, of complex and of real numbers. The transform of a line
// stands in kernels/fourier.h.

#include <algorithm>

#include "kernels/fourier.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_algebra.h"
#include "ops/gradient_ops.h"
#include "ops/matrix_batch.h"

namespace millrace {
namespace {

constexpr int64_t kLongest = int64_t{1} << 30;

absl::Status check_length(int64_t n) {
  return n <= kLongest ? absl::OkStatus() : invalid_argument("A Fourier transform of ", n, " elements is too long");
}

// Transforms every line along one dimension, in place.
template <class C>
absl::Status transform_along(const KernelContext& ctx, const TensorShape& shape, int axis, bool inverse,
                             std::span<C> data) {
  const int64_t n = shape.dim(axis);
  MR_RETURN_IF_ERROR(check_length(n));
  int64_t inner = 1;
  for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape.dim(d);
  FourierTransform transform(n);
  std::vector<Complex128> line(static_cast<size_t>(n));
  const auto stride = static_cast<size_t>(inner), block = static_cast<size_t>(n * inner);
  for (size_t begin = 0; begin < data.size(); begin += block) {
    MR_RETURN_IF_ERROR(ctx.check_cancelled());
    for (size_t at = begin; at < begin + stride; ++at) {
      for (size_t i = 0; i < line.size(); ++i) line[i] = Complex128(data[at + i * stride]);
      transform.run(line, inverse);
      for (size_t i = 0; i < line.size(); ++i) data[at + i * stride] = C(line[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status check_rank(const TensorShape& shape, int axes) {
  if (shape.rank() >= axes) return absl::OkStatus();
  return invalid_argument("Input must have rank of at least ", axes, " but got: ", shape);
}

template <int kAxes, bool kInverse, class C> class Fft final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    MR_RETURN_IF_ERROR(check_rank(shape, kAxes));
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<C>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<C>(0, shape));
    std::ranges::copy(in, out.begin());
    if (out.empty()) return absl::OkStatus();
    for (int d = shape.rank() - kAxes; d < shape.rank(); ++d)
      MR_RETURN_IF_ERROR(transform_along<C>(ctx, shape, d, kInverse, out));
    return absl::OkStatus();
  }
};

// fft_length: of the real side, one for each dimension that is transformed.
absl::StatusOr<std::vector<int64_t>> fft_lengths(const KernelContext& ctx, int axes) {
  const TensorShape& shape = ctx.shape(1);
  if (shape.rank() != 1 || shape.dim(0) != axes)
    return invalid_argument("Input fft_length must have shape [", axes, "]");
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, ctx.int_values(1));
  for (const int64_t n : lengths) {
    if (n < 0) return invalid_argument("fft_length must be >= 0, but got: ", n);
  }
  return lengths;
}

// Copies the beginning of each of the last dimensions; `to` is not longer than `from` in any of them.
template <class A, class B>
void copy_corner(std::span<const A> from, const TensorShape& from_shape, std::span<B> to, const TensorShape& to_shape) {
  const int rank = to_shape.rank();
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  for (B& value : to) {
    int64_t at = 0;
    for (int d = 0; d < rank; ++d) at = at * from_shape.dim(d) + index[static_cast<size_t>(d)];
    if constexpr (std::is_same_v<A, B>) value = from[static_cast<size_t>(at)];
    else if constexpr (std::is_floating_point_v<A>) value = B(from[static_cast<size_t>(at)], 0);
    else value = from[static_cast<size_t>(at)].real();
    for (int d = rank - 1; d >= 0 && ++index[static_cast<size_t>(d)] == to_shape.dim(d); --d)
      index[static_cast<size_t>(d)] = 0;
  }
}

// The shape with its last dimensions replaced; each must be there in full.
absl::StatusOr<TensorShape> cropped(const TensorShape& shape, std::span<const int64_t> dims) {
  std::vector<int64_t> all(shape.dims().begin(), shape.dims().end());
  const size_t first = all.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    // An empty input is transformed whatever it is said to be.
    if (all[first + i] < dims[i] && shape.num_elements() > 0)
      return invalid_argument("Input dimension ", first + i, " must have length of at least ", dims[i],
                              " but got: ", all[first + i]);
    all[first + i] = dims[i];
  }
  return make_shape(all);
}

template <int kAxes, class R> class Rfft final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    using C = std::complex<R>;
    MR_RETURN_IF_ERROR(check_rank(ctx.shape(0), kAxes));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, fft_lengths(ctx, kAxes));
    MR_ASSIGN_OR_RETURN(const TensorShape full_shape, cropped(ctx.shape(0), lengths));
    const int last = full_shape.rank() - 1;
    const int64_t n = full_shape.dim(last);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(full_shape, last, n == 0 ? 0 : n / 2 + 1));
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<R>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<C>(0, shape));
    if (out.empty() || in.empty()) {
      std::ranges::fill(out, C());
      return absl::OkStatus();
    }
    MR_ASSIGN_OR_RETURN(Tensor whole, ctx.allocate_temp(dtype_of<C>, full_shape));
    const auto work = whole.unchecked_mutable<C>();
    copy_corner<R, C>(in, ctx.shape(0), work, full_shape);
    for (int d = last; d > last - kAxes; --d) MR_RETURN_IF_ERROR(transform_along<C>(ctx, full_shape, d, false, work));
    copy_corner<C, C>(work, full_shape, out, shape);
    return absl::OkStatus();
  }
};

template <int kAxes, class R> class Irfft final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    using C = std::complex<R>;
    MR_RETURN_IF_ERROR(check_rank(ctx.shape(0), kAxes));
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> lengths, fft_lengths(ctx, kAxes));
    const int64_t n = lengths.back();
    lengths.back() = n == 0 ? 0 : n / 2 + 1;
    MR_ASSIGN_OR_RETURN(const TensorShape half_shape, cropped(ctx.shape(0), lengths));
    const int last = half_shape.rank() - 1;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(half_shape, last, n));
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<C>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<R>(0, shape));
    if (out.empty() || in.empty()) {
      std::ranges::fill(out, R(0));
      return absl::OkStatus();
    }
    MR_ASSIGN_OR_RETURN(Tensor half, ctx.allocate_temp(dtype_of<C>, half_shape));
    const auto work = half.unchecked_mutable<C>();
    copy_corner<C, C>(in, ctx.shape(0), work, half_shape);
    for (int d = last - kAxes + 1; d < last; ++d)
      MR_RETURN_IF_ERROR(transform_along<C>(ctx, half_shape, d, true, work));
    return inverse_lines(work, static_cast<size_t>(half_shape.dim(last)), out, static_cast<size_t>(n));
  }

  // Each line of the half is that of real numbers: the other half is its conjugate.
  static absl::Status inverse_lines(std::span<const std::complex<R>> half, size_t width, std::span<R> out, size_t n) {
    MR_RETURN_IF_ERROR(check_length(static_cast<int64_t>(n)));
    FourierTransform transform(static_cast<int64_t>(n));
    std::vector<Complex128> line(n);
    for (size_t from = 0, to = 0; to < out.size(); from += width, to += n) {
      for (size_t i = 0; i < n; ++i)
        line[i] = i < width ? Complex128(half[from + i]) : std::conj(Complex128(half[from + n - i]));
      line[0] = line[0].real();
      if (n % 2 == 0) line[n / 2] = line[n / 2].real();
      transform.run(line, true);
      for (size_t i = 0; i < n; ++i) out[to + i] = static_cast<R>(line[i].real());
    }
    return absl::OkStatus();
  }
};

// --- shapes

absl::Status fft_shape(ShapeContext& c, int axes) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape in, c.with_rank_at_least(0, axes));
  return c.set_output(0, in);
}

absl::Status rfft_shape(ShapeContext& c, int axes, bool forward) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape in, c.with_rank_at_least(0, axes));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape length, c.with_rank(1, 1));
  if (length.has_rank() && length.dim(0) >= 0 && length.dim(0) != axes)
    return invalid_argument("Dimension must be ", axes, " but is ", length.dim(0));
  if (!in.has_rank()) return unknown_shapes(c);
  MR_ASSIGN_OR_RETURN(const auto values, c.int_values(1));
  std::vector<int64_t> dims(in.dims().begin(), in.dims().end());
  for (int i = 0; i < axes; ++i) {
    int64_t n = values ? (*values)[static_cast<size_t>(i)] : -1;
    if (n < -1) return invalid_argument("fft_length must be >= 0, but got: ", n);
    if (forward && i == axes - 1 && n > 0) n = n / 2 + 1;
    dims[dims.size() - static_cast<size_t>(axes - i)] = n;
  }
  return c.set_output(0, make_partial_shape(dims));
}

template <int kAxes> absl::Status complex_shape(ShapeContext& c) { return fft_shape(c, kAxes); }
template <int kAxes> absl::Status real_shape(ShapeContext& c) { return rfft_shape(c, kAxes, true); }
template <int kAxes> absl::Status inverse_real_shape(ShapeContext& c) { return rfft_shape(c, kAxes, false); }

// --- gradients

// The number of elements that one transform of `x` runs over, as a number of `dtype`.
Output transform_size(GradientContext& g, GradientAlgebra& m, const Output& x, int axes, DataType dtype) {
  const Output dims = slice_vector(g, m.shape(x), {.has_end = false, .begin = -axes});
  return m.cast(g.op("Prod", {dims, int_list(g, {0})}), dtype);
}

std::string with_suffix(const char* name, int axes) { return axes == 1 ? name : str_cat(name, axes, "D"); }

DataType real_of(DataType dtype) { return dtype == DataType::kComplex64 ? DataType::kFloat : DataType::kDouble; }

// The adjoint of a transform is its inverse but for the scale.
template <int kAxes> absl::Status fft_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output dy = g.dy(0);
  g.set_dx(0, m.mul(g.op(with_suffix("IFFT", kAxes), {dy}), transform_size(g, m, dy, kAxes, g.dtype(dy))));
  return absl::OkStatus();
}
template <int kAxes> absl::Status ifft_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output dy = g.dy(0), size = transform_size(g, m, dy, kAxes, real_of(g.dtype(dy)));
  g.set_dx(0, m.mul(g.op(with_suffix("FFT", kAxes), {dy}), m.cast(g.op("Reciprocal", {size}), g.dtype(dy))));
  return absl::OkStatus();
}

// The half that was dropped has no gradient: zeros in its place, then the adjoint of the whole transform.
template <int kAxes> absl::Status rfft_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output dy = g.dy(0), x = g.x(0);
  const Output outer = slice_vector(g, m.shape(x), {.has_begin = false, .end = -kAxes});
  const Output missing = m.sub(concat(g, {outer, g.x(1)}, 0), m.shape(dy));
  const std::vector<Output> widths = g.op_with_lists(
      "Pack", {{g.op("ZerosLike", {missing}, {}, "zeros_like"), missing}}, {{"axis", int64_t{1}}}, "stack");
  if (widths.empty()) return absl::OkStatus();  // the context keeps the error
  const Output whole = g.op("Pad", {dy, widths[0]});
  const DataType real = real_of(g.dtype(dy));
  const Output back = g.op("Real", {g.op(with_suffix("IFFT", kAxes), {whole})}, {{"Tout", real}});
  g.set_dx(0, m.pad_to(m.mul(back, transform_size(g, m, whole, kAxes, real)), x));
  return absl::OkStatus();
}

// Where an element of the half stands for two of the whole, it gets the gradient of both.
template <int kAxes> absl::Status irfft_gradient(GradientContext& g) {
  GradientAlgebra m(g);
  const Output dy = g.dy(0), x = g.x(0);
  const DataType real = g.dtype(dy), complex = g.dtype(x);
  const Output half = g.op(with_suffix("RFFT", kAxes), {dy, g.x(1)}, {{"Treal", real}, {"Tcomplex", complex}});
  const auto last = [&](const Output& dims) {
    return g.op("Squeeze", {slice_vector(g, dims, {.has_end = false, .begin = -1})});
  };
  const Output zero = g.int32_scalar(0), one = g.int32_scalar(1), two = g.int32_scalar(2);
  const Output k = g.op("Range", {zero, last(m.shape(half)), one});
  const Output doubled = g.op("LogicalAnd", {g.op("Greater", {k, zero}), g.op("Less", {m.mul(k, two), last(g.x(1))})});
  const Output weights = m.add(m.scalar(real, 1), m.cast(doubled, real));
  const Output scale = m.mul(g.op("Reciprocal", {transform_size(g, m, dy, kAxes, real)}), weights);
  g.set_dx(0, m.pad_to(m.mul(half, m.cast(scale, complex)), x));
  return absl::OkStatus();
}

template <int kAxes> struct Transforms {
  template <class C> using Forward = Fft<kAxes, false, C>;
  template <class C> using Inverse = Fft<kAxes, true, C>;
  template <class R> using Real = Rfft<kAxes, R>;
  template <class R> using InverseReal = Irfft<kAxes, R>;
};

// Kernels exist for a real type with the complex type of its precision.
template <template <class> class K> void real_kernels(OpBuilder& op) {
  op.kernel({"CPU", {{"Treal", DataType::kFloat}, {"Tcomplex", DataType::kComplex64}}, [] {
               return std::unique_ptr<Kernel>(new K<float>);
             }});
  op.kernel({"CPU", {{"Treal", DataType::kDouble}, {"Tcomplex", DataType::kComplex128}}, [] {
               return std::unique_ptr<Kernel>(new K<double>);
             }});
}

template <int kAxes> void register_axes(Registry& registry) {
  using T = Transforms<kAxes>;
  const auto complex_op = [&](const char* name) {
    OpBuilder op = registry.op(with_suffix(name, kAxes));
    op.input("input: Tcomplex")
        .output("output: Tcomplex")
        .attr("Tcomplex: {complex64, complex128} = DT_COMPLEX64")
        .shape(complex_shape<kAxes>);
    return op;
  };
  complex_op("FFT")
      .template cpu<T::template Forward, Complex64, Complex128>("Tcomplex")
      .gradient(fft_gradient<kAxes>)
      .doc("The Fourier transform over the last dimensions.");
  complex_op("IFFT")
      .template cpu<T::template Inverse, Complex64, Complex128>("Tcomplex")
      .gradient(ifft_gradient<kAxes>)
      .doc("The inverse Fourier transform over the last dimensions.");
  const auto real_op = [&](const char* name, const char* input, const char* output) {
    OpBuilder op = registry.op(with_suffix(name, kAxes));
    op.input(input)
        .input("fft_length: int32")
        .output(output)
        .attr("Treal: {float, double} = DT_FLOAT")
        .attr("Tcomplex: {complex64, complex128} = DT_COMPLEX64");
    return op;
  };
  OpBuilder rfft = real_op("RFFT", "input: Treal", "output: Tcomplex");
  rfft.shape(real_shape<kAxes>).doc("The Fourier transform of real numbers: its first half.");
  OpBuilder irfft = real_op("IRFFT", "input: Tcomplex", "output: Treal");
  irfft.shape(inverse_real_shape<kAxes>).doc("Real numbers of the first half of their Fourier transform.");
  real_kernels<T::template Real>(rfft);
  real_kernels<T::template InverseReal>(irfft);
  if (kAxes < 3) {  // as in TensorFlow
    rfft.gradient(rfft_gradient<kAxes>);
    irfft.gradient(irfft_gradient<kAxes>);
  }
}

}  // namespace

void register_fft(Registry& registry) {
  register_axes<1>(registry);
  register_axes<2>(registry);
  register_axes<3>(registry);
}

}  // namespace millrace
