// A vector added along one dimension: BiasAdd, and its gradient as an op.

#include <vector>

#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

// The input seen as outer x channels x inner; inner is 1 for NHWC.
struct Layout {
  int64_t outer = 1, channels = 1, inner = 1;
};

int channel_dim(int rank, bool nchw) { return nchw ? 1 : rank - 1; }

Layout layout_of(const TensorShape& s, bool nchw) {
  Layout l;
  const int c = channel_dim(s.rank(), nchw);
  for (int d = 0; d < c; ++d) l.outer *= s.dim(d);
  l.channels = s.dim(c);
  for (int d = c + 1; d < s.rank(); ++d) l.inner *= s.dim(d);
  return l;
}

template <class Context> absl::StatusOr<bool> is_nchw(const Context& c) {
  MR_ASSIGN_OR_RETURN(const std::string format, c.template attr<std::string>("data_format"));
  return format == "NCHW";
}

absl::Status check_rank(const PartialTensorShape& value) {
  if (value.has_rank() && value.rank() < 2) return invalid_argument("Input tensor must be at least 2D: ", value);
  return absl::OkStatus();
}

absl::Status bias_shape(ShapeContext& c, bool nchw) {
  const PartialTensorShape& value = c.input(0);
  const PartialTensorShape& bias = c.input(1);
  MR_RETURN_IF_ERROR(check_rank(value));
  if (bias.has_rank() && bias.rank() != 1) return invalid_argument("Biases must be 1D: ", bias);
  if (!value.has_rank() || !bias.has_rank()) return c.set_output(0, value);
  const int channel = channel_dim(value.rank(), nchw);
  const int64_t have = value.dim(channel), add = bias.dim(0);
  if (have >= 0 && add >= 0 && have != add) {
    return invalid_argument("Must provide as many biases as the last dimension of the input tensor: ", bias, " vs. ",
                            value);
  }
  std::vector<int64_t> dims(value.dims().begin(), value.dims().end());
  dims[static_cast<size_t>(channel)] = have >= 0 ? have : add;
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status bias_add_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool nchw, is_nchw(c));
  return bias_shape(c, nchw);
}
absl::Status bias_add_v1_shape(ShapeContext& c) { return bias_shape(c, false); }

absl::Status bias_add_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool nchw, is_nchw(c));
  const PartialTensorShape& dy = c.input(0);
  MR_RETURN_IF_ERROR(check_rank(dy));
  return c.set_output(0, make_partial_shape({dy.has_rank() ? dy.dim(channel_dim(dy.rank(), nchw)) : -1}));
}

// Sums go on in float for the narrow floats; integers wrap.
template <class T> struct SumType { using type = T; };
template <> struct SumType<Half> { using type = float; };
template <> struct SumType<BFloat16> { using type = float; };
template <class T>
requires std::is_integral_v<T>
struct SumType<T> {
  using type = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
};

template <class T> T plus(T a, T b) {
  using S = typename SumType<T>::type;
  return static_cast<T>(static_cast<S>(a) + static_cast<S>(b));
}

template <class T> class BiasAdd final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    if (init.has_attr("data_format")) {
      MR_ASSIGN_OR_RETURN(nchw_, is_nchw(init));
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> value, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> bias, ctx.vector<T>(1));
    const TensorShape& shape = ctx.shape(0);
    MR_RETURN_IF_ERROR(check_rank(shape));
    const Layout l = layout_of(shape, nchw_);
    if (static_cast<int64_t>(bias.size()) != l.channels) {
      return invalid_argument("Must provide as many biases as the last dimension of the input tensor: ", ctx.shape(1),
                              " vs. ", shape);
    }
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.forward_or_allocate<T>(0, 0, shape));
    if (out.empty()) return absl::OkStatus();
    parallel_for(l.outer, l.channels * l.inner / 4 + 1, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const int64_t at = o * l.channels * l.inner;
        if (l.inner == 1) {
          add_row(value.data() + at, bias.data(), out.data() + at, l.channels);
        } else {
          for (int64_t c = 0; c < l.channels; ++c)
            for (int64_t i = at + c * l.inner; i < at + (c + 1) * l.inner; ++i)
              out[static_cast<size_t>(i)] = plus(value[static_cast<size_t>(i)], bias[static_cast<size_t>(c)]);
        }
      }
    });
    return absl::OkStatus();
  }

 private:
  static void add_row(const T* x, const T* bias, T* y, int64_t n) {
    for (int64_t c = 0; c < n; ++c) y[c] = plus(x[c], bias[c]);
  }
  bool nchw_ = false;
};

template <class T> class BiasAddGrad final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(nchw_, is_nchw(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    using S = typename SumType<T>::type;
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    const TensorShape& shape = ctx.shape(0);
    MR_RETURN_IF_ERROR(check_rank(shape));
    const Layout l = layout_of(shape, nchw_);
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, make_shape({l.channels}));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    if (out.empty()) return absl::OkStatus();
    if (dy.empty()) {  // of any number of rows without columns
      std::fill(out.begin(), out.end(), T{});
      return absl::OkStatus();
    }
    // By channels, so that each sum has one order whatever the number of threads.
    constexpr int64_t kBlock = 64;
    parallel_for((l.channels + kBlock - 1) / kBlock, l.outer * l.inner * kBlock / 4 + 1,
                 [&](int64_t begin, int64_t end) {
                   const int64_t c0 = begin * kBlock, c1 = std::min(end * kBlock, l.channels);
                   std::vector<S> sums(static_cast<size_t>(c1 - c0), S{});
                   for (int64_t o = 0; o < l.outer; ++o) {
                     const T* row = dy.data() + (o * l.channels + c0) * l.inner;
                     if (l.inner == 1) {
                       for (int64_t c = 0; c < c1 - c0; ++c) sums[static_cast<size_t>(c)] += static_cast<S>(row[c]);
                     } else {
                       for (int64_t c = 0; c < c1 - c0; ++c) {
                         S sum{};
                         for (int64_t i = 0; i < l.inner; ++i) sum += static_cast<S>(row[c * l.inner + i]);
                         sums[static_cast<size_t>(c)] += sum;
                       }
                     }
                   }
                   for (int64_t c = c0; c < c1; ++c)
                     out[static_cast<size_t>(c)] = static_cast<T>(sums[static_cast<size_t>(c - c0)]);
                 });
    return absl::OkStatus();
  }

 private:
  bool nchw_ = false;
};

absl::Status bias_add_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string format, g.attr<std::string>("data_format"));
  g.set_dx(0, g.dy(0));
  g.set_dx(1, g.op("BiasAddGrad", {g.dy(0)}, {{"data_format", format}}));
  return absl::OkStatus();
}

// All dimensions but the last are summed.
absl::Status bias_add_v1_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output rank = rank_of(g, dy);
  Output last, axes;
  {
    const auto scope = g.name_scope("sub");
    const Output one = g.int32_scalar(1, "y");
    last = g.op("Sub", {rank, one}, {}, "/");
  }
  {
    const auto scope = g.name_scope("range");
    const Output start = g.int32_scalar(0, "start"), delta = g.int32_scalar(1, "delta");
    axes = g.op("Range", {start, last, delta}, {}, "/");
  }
  g.set_dx(0, dy);
  g.set_dx(1, g.op("Sum", {dy, axes}));
  return absl::OkStatus();
}

Output ones_like(GradientContext& g, const Output& x) {
  const auto scope = g.name_scope("ones_like");
  const PartialTensorShape s = g.shape(x);
  Output shape;
  if (s.is_fully_defined()) {
    std::vector<int32_t> dims;
    for (const int64_t d : s.dims()) dims.push_back(static_cast<int32_t>(d));
    shape = g.constant(Tensor(dims), "Shape/shape_as_tensor");
  } else {
    shape = g.op("Shape", {x});
  }
  const Output one = g.int32_scalar(1, "Const");
  return g.op("Fill", {shape, one}, {}, "/");
}

Output tiles_around(GradientContext& g, std::vector<Output> values) {
  const auto scope = g.name_scope("concat");
  values[1] = g.constant(Tensor(std::vector<int32_t>{1}), "values_1");
  const Output axis = g.int32_scalar(0, "axis");
  const std::vector<Output> out = g.op_with_lists("ConcatV2", {values, {axis}}, {}, "/");
  return out.empty() ? Output() : out[0];
}

// The gradient is repeated along every dimension but the channels'.
absl::Status bias_add_grad_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const bool nchw, is_nchw(g));
  const Output dy = g.dy(0);
  const Output shape = shape_of(g, g.x(0)), bias_shape = shape_of(g, dy);
  const auto before = [&](int32_t end) { return slice_vector(g, shape, {.has_begin = false, .end = end}); };
  const auto after = [&](int32_t begin) { return slice_vector(g, shape, {.has_end = false, .begin = begin}); };
  Output expanded, tiles;
  if (nchw) {
    const Output outer_ones = ones_like(g, before(1));
    const Output inner_ones = ones_like(g, after(2));
    expanded = concat(g, {outer_ones, bias_shape, inner_ones}, 0);
    const Output outer = before(1);
    const Output inner = after(2);
    tiles = tiles_around(g, {outer, Output(), inner});
  } else {
    const Output outer_ones = ones_like(g, before(-1));
    expanded = concat(g, {outer_ones, bias_shape}, 0);
    const Output outer = before(-1);
    tiles = tiles_around(g, {outer, Output()});
  }
  const Output reshaped = g.op("Reshape", {dy, expanded});
  g.set_dx(0, g.op("Tile", {reshaped, tiles}));
  return absl::OkStatus();
}

}  // namespace

void register_bias(Registry& registry) {
  constexpr const char* kT =
      "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
      "quint16, uint16, "
      "complex128, half, uint32, uint64}";
  registry.op("BiasAdd")
      .input("value: T")
      .input("bias: T")
      .output("output: T")
      .attr(kT)
      .attr("data_format: {'NHWC', 'NCHW'} = 'NHWC'")
      .shape(bias_add_shape)
      .cpu_for<BiasAdd>(NumberTypes())
      .gradient(bias_add_gradient)
      .doc("value + bias, a vector over the last dimension (NHWC) or the second (NCHW).");
  registry.op("BiasAddV1")
      .input("value: T")
      .input("bias: T")
      .output("output: T")
      .attr(kT)
      .shape(bias_add_v1_shape)
      .cpu_for<BiasAdd>(NumberTypes())
      .gradient(bias_add_v1_gradient)
      .doc("value + bias, a vector over the last dimension.");
  registry.op("BiasAddGrad")
      .input("out_backprop: T")
      .output("output: T")
      .attr(kT)
      .attr("data_format: {'NHWC', 'NCHW'} = 'NHWC'")
      .shape(bias_add_grad_shape)
      .cpu_for<BiasAddGrad>(NumberTypes())
      .gradient(bias_add_grad_gradient)
      .doc("The sum of out_backprop over all dimensions but the channels'.");
}

}  // namespace millrace
