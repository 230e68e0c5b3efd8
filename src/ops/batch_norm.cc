// Batch normalization in one op, all versions, and its gradient.
//
// Outputs 1 and 2 are what a caller keeps moving averages of: the batch's mean and its variance with Bessel's
// correction, mixed into the given ones by exponential_avg_factor. Outputs 3 and 4 are for the gradient: mean and
// biased variance.

#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

struct Format {
  int rank = 4;
  bool channels_first = false;
  int channel() const { return channels_first ? 1 : rank - 1; }
};

template <class Context> absl::StatusOr<Format> format_of(const Context& c) {
  MR_ASSIGN_OR_RETURN(const std::string format, c.template attr<std::string>("data_format"));
  return Format{static_cast<int>(format.size()), format[1] == 'C'};
}

// --- Shapes

// Merges `channels` with the length of vector i.
absl::Status merge_channels(ShapeContext& c, int i, int64_t* channels) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(i, 1));
  MR_ASSIGN_OR_RETURN(*channels, merge_dim(*channels, vector.dim(0)));
  return absl::OkStatus();
}

absl::StatusOr<PartialTensorShape> with_channels(const PartialTensorShape& shape, const Format& f, int64_t channels) {
  std::vector<int64_t> dims = to_dims(shape);
  dims[static_cast<size_t>(f.channel())] = channels;
  return make_partial_shape(dims);
}

absl::Status batch_norm_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const Format f, format_of(c));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank(0, f.rank));
  MR_ASSIGN_OR_RETURN(const bool training, c.attr<bool>("is_training"));
  MR_ASSIGN_OR_RETURN(const float average, c.attr<float>("exponential_avg_factor"));
  int64_t channels = x.dim(f.channel());
  const int vectors = !training || average != 1.0f ? 4 : 2;
  for (int i = 1; i <= vectors; ++i) MR_RETURN_IF_ERROR(merge_channels(c, i, &channels));
  MR_RETURN_IF_ERROR(c.set_output(0, with_channels(x, f, channels)));
  for (int i = 1; i < 5; ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({channels})));
  return absl::OkStatus();  // output 5 of V3: unknown, as in TensorFlow
}

absl::Status batch_norm_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const Format f, format_of(c));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dy, c.with_rank(0, f.rank));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank(1, f.rank));
  MR_ASSIGN_OR_RETURN(int64_t channels, merge_dim(dy.dim(f.channel()), x.dim(f.channel())));
  for (int i = 2; i < 5; ++i) MR_RETURN_IF_ERROR(merge_channels(c, i, &channels));
  MR_RETURN_IF_ERROR(c.set_output(0, with_channels(dy, f, channels)));
  for (int i = 1; i < 3; ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({channels})));
  for (int i = 3; i < 5; ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({0})));
  return absl::OkStatus();
}

// --- Kernels

class BatchNormKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(format_, format_of(init));
    MR_ASSIGN_OR_RETURN(epsilon_, init.attr<float>("epsilon"));
    MR_ASSIGN_OR_RETURN(training_, init.attr<bool>("is_training"));
    return absl::OkStatus();
  }

 protected:
  absl::StatusOr<BatchNormShape> layout(const NodeInfo& node, const TensorShape& x) const {
    if (x.rank() != format_.rank)
      return invalid_argument(node.op, ": input must be ", format_.rank, "-dimensional, got ", x);
    BatchNormShape s{.outer = x.dim(0), .channels = x.dim(format_.channel())};
    for (int d = 1; d < x.rank(); ++d) {
      if (d == format_.channel()) continue;
      (format_.channels_first ? s.inner : s.outer) *= x.dim(d);
    }
    return s;
  }
  // Input i, a vector with an element per channel.
  static absl::StatusOr<const float*> channel_vector(KernelContext& ctx, int i, std::string_view what,
                                                     const BatchNormShape& s) {
    MR_ASSIGN_OR_RETURN(const std::span<const float> v, ctx.vector<float>(i));
    if (static_cast<int64_t>(v.size()) != s.channels) {
      return invalid_argument(ctx.node().op, ": ", what,
                              " must have the same number of elements as the channels of x, ", "got ", v.size(),
                              " and ", s.channels);
    }
    return v.data();
  }
  float inverse_deviation(float variance) const { return 1.0f / std::sqrt(variance + epsilon_); }
  bool training() const { return training_; }

 private:
  Format format_;
  float epsilon_ = 0;
  bool training_ = true;
};

// Also _FusedBatchNormEx: with an addend and an activation.
template <class T> class BatchNorm final : public BatchNormKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(BatchNormKernel::init(init));
    MR_ASSIGN_OR_RETURN(average_, init.attr<float>("exponential_avg_factor"));
    if (!init.has_attr("activation_mode")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const std::string activation, init.attr<std::string>("activation_mode"));
    if (activation != "Identity" && activation != "Relu")
      return invalid_argument(init.node().op, ": unsupported activation mode ", activation);
    relu_ = activation == "Relu";
    MR_ASSIGN_OR_RETURN(const int64_t sides, init.attr<int64_t>("num_side_inputs"));
    if (sides > 1) return invalid_argument(init.node().op, ": at most one side input is supported, got ", sides);
    has_side_ = sides == 1;
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const BatchNormShape s, layout(ctx.node(), ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const float* scale, channel_vector(ctx, 1, "scale", s));
    MR_ASSIGN_OR_RETURN(const float* offset, channel_vector(ctx, 2, "offset", s));
    MR_ASSIGN_OR_RETURN(const T* side, side_of(ctx));
    const auto channels = static_cast<size_t>(s.channels);
    const bool needs_given = !training() || average_ != 1.0f;
    const float *given_mean = nullptr, *given_variance = nullptr;
    if (needs_given) {
      MR_ASSIGN_OR_RETURN(given_mean, channel_vector(ctx, 3, "mean", s));
      MR_ASSIGN_OR_RETURN(given_variance, channel_vector(ctx, 4, "variance", s));
    }
    MR_ASSIGN_OR_RETURN(const TensorShape vector, make_shape({s.channels}));
    std::span<float> out[4];
    for (int i = 0; i < 4; ++i) {
      MR_ASSIGN_OR_RETURN(out[i], ctx.output<float>(i + 1, vector));
    }
    const std::span<float> mean = out[2], variance = out[3];
    if (training()) {
      batch_moments(s, x.data(), mean.data(), variance.data());
      const auto n = static_cast<float>(s.per_channel());
      const float bessel = n > 1 ? n / (n - 1) : 1.0f;
      for (size_t c = 0; c < channels; ++c) {
        out[0][c] = average_ == 1.0f ? mean[c] : mixed(given_mean[c], mean[c]);
        out[1][c] = average_ == 1.0f ? variance[c] * bessel : mixed(given_variance[c], variance[c] * bessel);
      }
    } else {
      for (const int i : {0, 2}) std::copy_n(given_mean, channels, out[i].begin());
      for (const int i : {1, 3}) std::copy_n(given_variance, channels, out[i].begin());
    }
    std::vector<float> factor(channels);
    for (size_t c = 0; c < channels; ++c) factor[c] = scale[c] * inverse_deviation(variance[c]);
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    batch_normalize<T>(s, x.data(),
                       {.mean = mean.data(), .factor = factor.data(), .offset = offset, .side = side, .relu = relu_},
                       y.data());
    return ctx.num_outputs() > 5 ? ctx.set_scalar(5, 0.0f) : absl::OkStatus();  // for cuDNN's use
  }

 private:
  float mixed(float given, float batch) const { return (1 - average_) * given + average_ * batch; }
  absl::StatusOr<const T*> side_of(KernelContext& ctx) const {
    if (!has_side_) return nullptr;
    MR_ASSIGN_OR_RETURN(const std::span<const T> side, ctx.flat<T>(5));
    if (ctx.shape(5) != ctx.shape(0))
      return invalid_argument(ctx.node().op, ": Incompatible shapes: ", ctx.shape(0), " vs. ", ctx.shape(5));
    return side.data();
  }
  float average_ = 1;
  bool relu_ = false, has_side_ = false;
};

// dx = scale / deviation (dy - mean(dy) - (x - mean) mean(dy (x - mean)) / variance), or, where mean and variance were
// given, scale / deviation dy.
template <class T> class BatchNormGrad final : public BatchNormKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const BatchNormShape s, layout(ctx.node(), ctx.shape(1)));
    if (ctx.shape(0) != ctx.shape(1)) {
      return invalid_argument(ctx.node().op, ": x and y_backprop must have same shape, but x has shape ", ctx.shape(1),
                              " and y_backprop has shape ", ctx.shape(0));
    }
    MR_ASSIGN_OR_RETURN(const float* scale, channel_vector(ctx, 2, "scale", s));
    MR_ASSIGN_OR_RETURN(const float* mean, channel_vector(ctx, 3, "mean", s));
    MR_ASSIGN_OR_RETURN(const float* variance, channel_vector(ctx, 4, "variance", s));
    MR_ASSIGN_OR_RETURN(const TensorShape vector, make_shape({s.channels}));
    MR_ASSIGN_OR_RETURN(const TensorShape none, make_shape({0}));
    MR_ASSIGN_OR_RETURN(const std::span<float> dscale, ctx.output<float>(1, vector));
    MR_ASSIGN_OR_RETURN(const std::span<float> doffset, ctx.output<float>(2, vector));
    for (const int i : {3, 4}) MR_RETURN_IF_ERROR(ctx.output<float>(i, none).status());
    const auto channels = static_cast<size_t>(s.channels);
    std::vector<float> a(channels), b(channels), c(channels), products(channels);
    batch_norm_grad_sums(s, dy.data(), x.data(), mean, doffset.data(), products.data());
    const auto n = static_cast<float>(std::max<int64_t>(1, s.per_channel()));
    for (size_t k = 0; k < channels; ++k) {
      const float inverse = inverse_deviation(variance[k]);
      dscale[k] = products[k] * inverse;
      a[k] = scale[k] * inverse;
      if (!training()) continue;
      b[k] = a[k] * doffset[k] / n;
      c[k] = a[k] * dscale[k] * inverse / n;
    }
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    batch_norm_grad_input<T>(s, dy.data(), x.data(), {.mean = mean, .a = a.data(), .b = b.data(), .c = c.data()},
                             dx.data());
    return absl::OkStatus();
  }
};

// --- Gradients

Output transposed(GradientContext& g, const Output& x, const std::vector<int32_t>& perm) {
  return op_with_literal(g, "Transpose", x, Tensor(perm), "perm", "transpose");
}

// Moves the channels last, or back, by the rank.
std::vector<int32_t> channels_last(int rank) {
  std::vector<int32_t> perm = {0};
  for (int d = 2; d < rank; ++d) perm.push_back(d);
  perm.push_back(1);
  return perm;
}
std::vector<int32_t> channels_second(int rank) {
  std::vector<int32_t> perm = {0, rank - 1};
  for (int d = 1; d < rank - 1; ++d) perm.push_back(d);
  return perm;
}

absl::Status batch_norm_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const Format f, format_of(g));
  MR_ASSIGN_OR_RETURN(const bool training, g.attr<bool>("is_training"));
  MR_ASSIGN_OR_RETURN(const float epsilon, g.attr<float>("epsilon"));
  MR_ASSIGN_OR_RETURN(std::string format, g.attr<std::string>("data_format"));
  Output x = g.x(0), dy = g.dy(0);
  for (int i = 1; i < g.num_outputs(); ++i) g.dy(i);  // TensorFlow makes zeros for these and does not use them
  Output mean = g.y(3), variance = g.y(4);
  if (!training) {
    mean = g.x(3);
    variance = g.x(4);
    if (f.channels_first) {
      x = transposed(g, x, channels_last(f.rank));
      dy = transposed(g, dy, channels_last(f.rank));
      format = f.rank == 4 ? "NHWC" : "NDHWC";
    }
  }
  std::vector<Output> inputs = {dy, x, g.x(1), mean, variance};
  const bool v3 = g.node().op == "FusedBatchNormV3";
  if (v3) inputs.push_back(g.y(5));
  const char* type = v3                                  ? "FusedBatchNormGradV3"
                     : g.node().op == "FusedBatchNormV2" ? "FusedBatchNormGradV2"
                                                         : "FusedBatchNormGrad";
  const std::vector<Output> grads =
      g.op_outputs(type, inputs, {{"epsilon", epsilon}, {"data_format", format}, {"is_training", training}});
  if (grads.size() < 3) return absl::OkStatus();  // an earlier error
  Output dx = grads[0];
  if (!training && f.channels_first) dx = transposed(g, dx, channels_second(f.rank));
  g.set_dx(0, dx);
  g.set_dx(1, grads[1]);
  g.set_dx(2, grads[2]);
  return absl::OkStatus();
}

// --- Registration

constexpr const char* kEpsilon = "epsilon: float = 9.99999975e-05";
constexpr const char* kAverage = "exponential_avg_factor: float = 1";
constexpr const char* kFormat = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
constexpr const char* kFormats = "data_format: {'NHWC', 'NCHW', 'NDHWC', 'NCDHW'} = 'NHWC'";
constexpr const char* kTraining = "is_training: bool = true";
constexpr const char* kT = "T: {half, bfloat16, float}";
using BatchNormTypes = Types<Half, BFloat16, float>;

template <template <class> class K, class... Ts> OpBuilder& with_kernels(OpBuilder& b, Types<Ts...>) {
  (b.kernel({"CPU", {{"T", dtype_of<Ts>}, {"U", DataType::kFloat}}, [] { return std::unique_ptr<Kernel>(new K<Ts>); }}),
   ...);
  return b;
}

OpBuilder batch_norm_op(Registry& registry, const char* name, const char* u) {
  const std::string type = u;
  OpBuilder b = registry.op(name);
  b.input("x: T");
  for (const char* arg : {"scale: ", "offset: ", "mean: ", "variance: "}) b.input(arg + type);
  return b;
}
OpBuilder& batch_norm_outputs(OpBuilder& b, const char* u, bool v3) {
  const std::string type = u;
  b.output("y: T");
  for (const char* arg : {"batch_mean: ", "batch_variance: ", "reserve_space_1: ", "reserve_space_2: "})
    b.output(arg + type);
  if (v3) b.output("reserve_space_3: " + type);
  return b;
}

void register_forward(Registry& registry) {
  OpBuilder v1 = batch_norm_op(registry, "FusedBatchNorm", "T");
  batch_norm_outputs(v1, "T", false)
      .attr("T: {float}")
      .attr(kEpsilon)
      .attr(kAverage)
      .attr(kFormat)
      .attr(kTraining)
      .shape(batch_norm_shape)
      .cpu<BatchNorm, float>()
      .gradient(batch_norm_gradient)
      .doc("Normalizes each channel over the batch, or with the given mean and variance.");
  OpBuilder v2 = batch_norm_op(registry, "FusedBatchNormV2", "U");
  batch_norm_outputs(v2, "U", false).attr(kT).attr("U: {float}").attr(kEpsilon).attr(kAverage).attr(kFormat);
  with_kernels<BatchNorm>(v2.attr(kTraining).shape(batch_norm_shape), BatchNormTypes())
      .gradient(batch_norm_gradient)
      .doc("FusedBatchNorm with statistics of a type of their own.");
  OpBuilder v3 = batch_norm_op(registry, "FusedBatchNormV3", "U");
  batch_norm_outputs(v3, "U", true).attr(kT).attr("U: {bfloat16, float}").attr(kEpsilon).attr(kAverage).attr(kFormats);
  with_kernels<BatchNorm>(v3.attr(kTraining).shape(batch_norm_shape), BatchNormTypes())
      .gradient(batch_norm_gradient)
      .doc("FusedBatchNormV2 also for volumes.");
  OpBuilder ex = batch_norm_op(registry, "_FusedBatchNormEx", "U");
  batch_norm_outputs(ex.input("side_input: num_side_inputs * T"), "U", true)
      .attr(kT)
      .attr("U: {float}")
      .attr(kEpsilon)
      .attr(kAverage)
      .attr("num_side_inputs: int >= 0 = 0")
      .attr("activation_mode: string = 'Identity'")
      .attr(kFormat);
  with_kernels<BatchNorm>(ex.attr(kTraining).shape(batch_norm_shape), BatchNormTypes())
      .not_differentiable()
      .doc("FusedBatchNormV3 followed by an addition and an activation; made by graph passes.");
}

OpBuilder batch_norm_grad_op(Registry& registry, const char* name, const char* scale, const char* u, bool v3) {
  const std::string type = u;
  OpBuilder b = registry.op(name);
  b.input("y_backprop: T").input("x: T").input(std::string("scale: ") + scale);
  b.input("reserve_space_1: " + type).input("reserve_space_2: " + type);
  if (v3) b.input("reserve_space_3: " + type);
  b.output("x_backprop: T").output("scale_backprop: " + type).output("offset_backprop: " + type);
  const char* const last[] = {"reserve_space_3: ", "reserve_space_4: ", "reserve_space_5: "};
  for (int i = v3 ? 1 : 0; i < (v3 ? 3 : 2); ++i) b.output(last[i] + type);
  return b;
}

void register_grad(Registry& registry) {
  batch_norm_grad_op(registry, "FusedBatchNormGrad", "T", "T", false)
      .attr("T: {float}")
      .attr(kEpsilon)
      .attr(kFormat)
      .attr(kTraining)
      .shape(batch_norm_grad_shape)
      .cpu<BatchNormGrad, float>()
      .doc("The gradient of FusedBatchNorm.");
  OpBuilder v2 = batch_norm_grad_op(registry, "FusedBatchNormGradV2", "float", "U", false);
  v2.attr(kT).attr("U: {float}").attr(kEpsilon).attr(kFormat).attr(kTraining).shape(batch_norm_grad_shape);
  with_kernels<BatchNormGrad>(v2, BatchNormTypes()).doc("The gradient of FusedBatchNormV2.");
  OpBuilder v3 = batch_norm_grad_op(registry, "FusedBatchNormGradV3", "float", "U", true);
  v3.attr(kT).attr("U: {float}").attr(kEpsilon).attr(kFormats).attr(kTraining).shape(batch_norm_grad_shape);
  with_kernels<BatchNormGrad>(v3, BatchNormTypes()).doc("The gradient of FusedBatchNormV3.");
}

}  // namespace

void register_batch_norm(Registry& registry) {
  register_forward(registry);
  register_grad(registry);
}

}  // namespace millrace
