// Pooling over windows of images and volumes: maxima (with where they lie, if asked) and means, and their gradients.

#include "kernels/pooling.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/number.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/window.h"

namespace millrace {
namespace {

// --- Shapes

// The pooled shape of an image shape, as far as it is known.
absl::StatusOr<PartialTensorShape> pooled_shape(const WindowAttrs& a, const PartialTensorShape& input) {
  std::vector<int64_t> dims = to_dims(input);
  for (int i = 0; i < a.spatial; ++i) {
    const auto d = static_cast<size_t>(a.dim(i));
    MR_ASSIGN_OR_RETURN(dims[d], output_size(a, i, dims[d], a.window[d]));
  }
  const auto channel = static_cast<size_t>(a.channel());
  if (a.window[channel] > 1 && dims[channel] >= 0) dims[channel] /= a.window[channel];
  return make_partial_shape(dims);
}

absl::Status pool_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  return c.set_output(0, pooled_shape(a, input));
}

// Window and strides are inputs `first` and `first` + 1; false where they are not known yet.
absl::StatusOr<bool> set_window_from(ShapeContext& c, int first, WindowAttrs* a) {
  for (const int i : {first, first + 1}) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape s, c.with_rank(i, 1));
    if (s.dim(0) >= 0 && s.dim(0) != a->rank())
      return invalid_argument("Dimension must be ", a->rank(), " but is ", s.dim(0));
  }
  MR_ASSIGN_OR_RETURN(auto window, known_ints(c, first));
  MR_ASSIGN_OR_RETURN(auto strides, known_ints(c, first + 1));
  if (!window || !strides) return false;
  MR_RETURN_IF_ERROR(set_window(c.node().op, *std::move(window), *std::move(strides), a));
  return true;
}

absl::Status max_pool_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  MR_ASSIGN_OR_RETURN(const bool known, set_window_from(c, 1, &a));
  return c.set_output(0, known ? pooled_shape(a, input) : unknown_shape_of_rank(a.rank()));
}

absl::Status max_pool_with_argmax_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(pool_shape(c));
  return c.set_output(1, c.output(0));
}

// The gradients have the shape of the images, input 0.
absl::Status max_pool_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  return c.set_output(0, input);
}

// Of MaxPoolGradGrad: like the pooled images, input 1; the gradient is like the images.
absl::Status max_pool_grad_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape output, c.with_rank(1, a.rank()));
  if (absl::StatusOr<PartialTensorShape> same = merge(input, c.input(2)); !same.ok()) return same.status();
  return c.set_output(0, output);
}

absl::Status avg_pool_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(PartialTensorShape input, c.as_shape(0));
  if (input.has_rank() && input.rank() != a.rank())
    return invalid_argument("Shape must be rank ", a.rank(), " but is rank ", input.rank());
  if (!input.has_rank()) input = unknown_shape_of_rank(a.rank());
  return c.set_output(0, std::move(input));
}

// --- Kernels

struct Geometry {
  PoolShape shape;       // meaningful where no size is 0
  TensorShape output;    // the pooled shape
  bool is_empty = true;  // some size is 0
};

// Explicit paddings of a window's size or more would leave windows without an element.
absl::Status check_window(const NodeInfo& node, const WindowAttrs& a) {
  for (int i = 0; i < a.spatial; ++i) {
    const auto d = static_cast<size_t>(a.dim(i));
    if (a.padding != Padding::kExplicit) continue;
    if (std::max(a.explicit_paddings[2 * d], a.explicit_paddings[2 * d + 1]) >= a.window[d])
      return invalid_argument(node.op, ": explicit paddings must be smaller than the window, which is ", a.window[d]);
  }
  return absl::OkStatus();
}

// MaxPool can also go over the channels: then over nothing else, and without overlap.
absl::StatusOr<Geometry> depth_geometry(const NodeInfo& node, const WindowAttrs& a, const TensorShape& input) {
  const auto channel = static_cast<size_t>(a.channel());
  const int64_t window = a.window[channel], depth = input.dim(a.channel());
  if (a.channels_first || node.op.starts_with("MaxPoolGrad") || !node.op.starts_with("MaxPool") || a.spatial != 2)
    return unimplemented(node.op, ": pooling is not supported on the depth dimension");
  if (a.window[1] != 1 || a.window[2] != 1 || a.strides[1] != 1 || a.strides[2] != 1 || a.window[0] != 1)
    return unimplemented(node.op, ": max pooling over depth cannot go over other dimensions too");
  if (window != a.strides[channel])
    return unimplemented(node.op, ": max pooling over depth requires the window to equal the stride");
  if (depth % window != 0)
    return unimplemented(node.op, ": max pooling over depth requires the window to divide the depth evenly");
  Geometry g;
  MR_ASSIGN_OR_RETURN(g.output, with_dim(input, a.channel(), depth / window));
  g.shape.batch = input.dim(0) * input.dim(1) * input.dim(2);
  g.shape.dims[2] = {.input = depth, .window = window, .output = depth / window, .stride = window};
  g.is_empty = input.num_elements() == 0;
  return g;
}

absl::StatusOr<Geometry> pool_geometry(const NodeInfo& node, const WindowAttrs& a, const TensorShape& input) {
  if (input.rank() != a.rank())
    return invalid_argument(node.op, ": tensor_in must be ", a.rank(), "-dimensional, got ", input);
  if (a.window[static_cast<size_t>(a.channel())] > 1) return depth_geometry(node, a, input);
  MR_RETURN_IF_ERROR(check_kernel_can(node, a));
  MR_RETURN_IF_ERROR(check_window(node, a));
  Geometry g;
  const int64_t channels = input.dim(a.channel());
  std::vector<int64_t> dims(input.dims().begin(), input.dims().end());
  for (int i = 0; i < a.spatial; ++i) {
    const auto d = static_cast<size_t>(a.dim(i));
    MR_ASSIGN_OR_RETURN(const WindowDim w, place_window(a, i, dims[d], a.window[d]));
    g.shape.dims[static_cast<size_t>(3 - a.spatial + i)] = w;
    dims[d] = w.output;
  }
  MR_ASSIGN_OR_RETURN(g.output, make_shape(dims));
  g.is_empty = input.num_elements() == 0 || g.output.num_elements() == 0;
  g.shape.batch = a.channels_first ? input.dim(0) * channels : input.dim(0);
  g.shape.channels = a.channels_first ? 1 : channels;
  return g;
}

class PoolKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(attrs_, window_attrs(init.node()));
    return absl::OkStatus();
  }

 protected:
  absl::StatusOr<Geometry> geometry(const NodeInfo& node, const TensorShape& input) const {
    return pool_geometry(node, attrs_, input);
  }
  // With window and strides from inputs `first` and `first` + 1, if there are so many.
  absl::StatusOr<Geometry> geometry(KernelContext& ctx, int first, const TensorShape& input) const {
    if (ctx.num_inputs() <= first) return geometry(ctx.node(), input);
    WindowAttrs a = attrs_;
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> window, ctx.int_values(first));
    MR_ASSIGN_OR_RETURN(std::vector<int64_t> strides, ctx.int_values(first + 1));
    MR_RETURN_IF_ERROR(set_window(ctx.node().op, std::move(window), std::move(strides), &a));
    return pool_geometry(ctx.node(), a, input);
  }

 private:
  WindowAttrs attrs_;
};

absl::Status check_same(const NodeInfo& node, std::string_view what, const TensorShape& wanted,
                        const TensorShape& got) {
  if (wanted == got) return absl::OkStatus();
  return invalid_argument(node.op, ": Expected ", what, " shape to be ", wanted, ", but got ", got);
}

template <class T> class MaxPool final : public PoolKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx, 1, ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, g.output));
    if (!g.is_empty) max_pool(g.shape, x.data(), y.data());
    return absl::OkStatus();
  }
};

template <class T> class AvgPool final : public PoolKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, g.output));
    if (!g.is_empty) avg_pool(g.shape, x.data(), y.data());
    return absl::OkStatus();
  }
};

template <class T> class AvgPoolGrad final : public PoolKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape input, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), input));
    MR_RETURN_IF_ERROR(check_same(ctx.node(), "grad", g.output, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, input));
    if (!g.is_empty) avg_pool_grad(g.shape, dy.data(), dx.data());
    else std::fill(dx.begin(), dx.end(), T{});
    return absl::OkStatus();
  }
};

// Inputs: the images, the pooled images (only their shape counts), the gradient; and window and strides for V2.
template <class T, bool kSecond> class MaxPoolGradKernel final : public PoolKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx, 3, ctx.shape(0)));
    MR_RETURN_IF_ERROR(check_same(ctx.node(), "orig_output", g.output, ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_same(ctx.node(), "grad", kSecond ? ctx.shape(0) : g.output, ctx.shape(2)));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, kSecond ? g.output : ctx.shape(0)));
    if (g.is_empty) std::fill(out.begin(), out.end(), T{});
    else if constexpr (kSecond) max_pool_grad_grad(g.shape, x.data(), dy.data(), out.data());
    else max_pool_grad(g.shape, x.data(), dy.data(), out.data());
    return absl::OkStatus();
  }
};
template <class T> using MaxPoolGrad = MaxPoolGradKernel<T, false>;
template <class T> using MaxPoolGradGrad = MaxPoolGradKernel<T, true>;

template <class T, class I> class MaxPoolWithArgmax final : public PoolKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(include_batch_, init.attr<bool>("include_batch_in_index"));
    return PoolKernel::init(init);
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), ctx.shape(0)));
    const TensorShape& input = ctx.shape(0);
    if (input.num_elements() > std::numeric_limits<I>::max())
      return invalid_argument(ctx.node().op, ": indices into ", input, " do not fit Targmax");
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, g.output));
    MR_ASSIGN_OR_RETURN(const std::span<I> argmax, ctx.output<I>(1, g.output));
    if (g.is_empty) return absl::OkStatus();
    std::vector<int64_t> index(argmax.size());
    max_pool_with_argmax(g.shape, x.data(), y.data(), index.data());
    const auto out_image = argmax.size() / static_cast<size_t>(g.shape.batch);
    const int64_t image = include_batch_ ? input.num_elements() / g.shape.batch : 0;
    for (size_t i = 0; i < argmax.size(); ++i)
      argmax[i] = static_cast<I>(index[i] + static_cast<int64_t>(i / out_image) * image);
    return absl::OkStatus();
  }

 private:
  bool include_batch_ = false;
};

template <class T, class I> class MaxPoolGradWithArgmax final : public PoolKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(include_batch_, init.attr<bool>("include_batch_in_index"));
    return PoolKernel::init(init);
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& input = ctx.shape(0);
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const I> argmax, ctx.flat<I>(2));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), input));
    MR_RETURN_IF_ERROR(check_same(ctx.node(), "grad", g.output, ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_same(ctx.node(), "argmax", g.output, ctx.shape(2)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, input));
    std::fill(dx.begin(), dx.end(), T{});
    if (g.is_empty) return absl::OkStatus();
    const int64_t out_image = g.output.num_elements() / input.dim(0), image = input.num_elements() / input.dim(0);
    for (size_t i = 0; i < dy.size(); ++i) {
      const int64_t first = include_batch_ ? 0 : static_cast<int64_t>(i) / out_image * image;
      const int64_t limit = include_batch_ ? input.num_elements() : image;
      const auto index = static_cast<int64_t>(argmax[i]);
      if (index < 0 || index >= limit) {
        return invalid_argument(ctx.node().op, ": argmax[", i, "] = ", index, " is out of range [0, ", limit, ")");
      }
      T& to = dx[static_cast<size_t>(first + index)];
      to = Add::apply(to, dy[i]);
    }
    return absl::OkStatus();
  }

 private:
  bool include_batch_ = false;
};

// --- Gradients

AttrMap pool_attrs(GradientContext& g) {
  return copied_attrs(g.node(), {"ksize", "strides", "padding", "explicit_paddings", "data_format"});
}
// MaxPoolGradGrad knows no explicit paddings.
AttrMap plain_pool_attrs(GradientContext& g) {
  return copied_attrs(g.node(), {"ksize", "strides", "padding", "data_format"});
}

template <bool kVolume> absl::Status avg_pool_gradient(GradientContext& g) {
  const Output sizes = shape_of(g, g.x(0));
  g.set_dx(0, g.op(kVolume ? "AvgPool3DGrad" : "AvgPoolGrad", {sizes, g.dy(0)}, pool_attrs(g)));
  return absl::OkStatus();
}
template <bool kVolume> absl::Status avg_pool_grad_gradient(GradientContext& g) {
  g.op("StopGradient", {g.x(0)});  // TensorFlow hands this on as the gradient of the sizes, which nothing follows
  g.set_dx(1, g.op(kVolume ? "AvgPool3D" : "AvgPool", {g.dy(0)}, pool_attrs(g)));
  return absl::OkStatus();
}

absl::Status max_pool_gradient(GradientContext& g) {
  g.set_dx(0, g.op("MaxPoolGrad", {g.x(0), g.y(0), g.dy(0)}, pool_attrs(g)));
  return absl::OkStatus();
}
absl::Status max_pool_v2_gradient(GradientContext& g) {
  g.set_dx(0, g.op("MaxPoolGradV2", {g.x(0), g.y(0), g.dy(0), g.x(1), g.x(2)}, plain_pool_attrs(g)));
  return absl::OkStatus();
}
absl::Status max_pool_3d_gradient(GradientContext& g) {
  g.set_dx(0, g.op("MaxPool3DGrad", {g.x(0), g.y(0), g.dy(0)}, pool_attrs(g)));
  return absl::OkStatus();
}
absl::Status max_pool_with_argmax_gradient(GradientContext& g) {
  g.set_dx(0, g.op("MaxPoolGradWithArgmax", {g.x(0), g.dy(0), g.y(1)},
                   copied_attrs(g.node(), {"ksize", "strides", "padding", "include_batch_in_index"})));
  return absl::OkStatus();
}

// The maxima lie where they lie for small changes of the images: only the gradient has a gradient.
absl::Status linear_in_gradient(GradientContext& g, const char* type) {
  if (g.node().attrs.contains("explicit_paddings")) {
    MR_ASSIGN_OR_RETURN(const std::string padding, g.attr<std::string>("padding"));
    if (padding == "EXPLICIT") return unimplemented(g.node().op, ": no second derivative with EXPLICIT padding");
  }
  g.set_dx(0, zeros_like(g, g.x(0)));
  g.set_dx(1, zeros_like(g, g.x(1)));
  std::vector<Output> inputs = {g.x(0), g.x(1), g.dy(0)};
  for (int i = 3; i < g.num_inputs(); ++i) inputs.push_back(g.x(i));
  g.set_dx(2, g.op(type, inputs, plain_pool_attrs(g)));
  return absl::OkStatus();
}
absl::Status max_pool_grad_gradient(GradientContext& g) { return linear_in_gradient(g, "MaxPoolGradGrad"); }
absl::Status max_pool_grad_v2_gradient(GradientContext& g) { return linear_in_gradient(g, "MaxPoolGradGradV2"); }
absl::Status max_pool_grad_grad_gradient(GradientContext& g) { return linear_in_gradient(g, "MaxPoolGrad"); }
absl::Status max_pool_3d_grad_gradient(GradientContext& g) { return linear_in_gradient(g, "MaxPool3DGradGrad"); }
absl::Status max_pool_3d_grad_grad_gradient(GradientContext& g) { return linear_in_gradient(g, "MaxPool3DGrad"); }

// --- Registration

constexpr const char* kSize = "ksize: list(int) >= 4";
constexpr const char* kStrides = "strides: list(int) >= 4";
constexpr const char* kSameOrValid = "padding: {'SAME', 'VALID'}";
constexpr const char* kFormat = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
constexpr const char* kFloats = "T: {half, bfloat16, float, double}";
constexpr const char* kReals =
    "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}";
constexpr const char* kRealsOrFloat =
    "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64} = DT_FLOAT";
constexpr const char* kMaxPoolTypes =
    "T: {half, bfloat16, float, double, int32, int64, uint8, int16, int8, uint16, qint8} = DT_FLOAT";
using MaxPoolTypes = Types<Half, BFloat16, float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t>;

void register_avg_pool(Registry& registry) {
  registry.op("AvgPool")
      .input("value: T")
      .output("output: T")
      .attr(kSize)
      .attr(kStrides)
      .attr(kSameOrValid)
      .attr(kFormat)
      .attr(kFloats)
      .shape(pool_shape)
      .cpu_for<AvgPool>(FloatTypes())
      .gradient(avg_pool_gradient<false>)
      .doc("The mean of each window, of what lies inside the image.");
  registry.op("AvgPoolGrad")
      .input("orig_input_shape: int32")
      .input("grad: T")
      .output("output: T")
      .attr(kSize)
      .attr(kStrides)
      .attr(kSameOrValid)
      .attr(kFormat)
      .attr(kFloats)
      .shape(avg_pool_grad_shape)
      .cpu_for<AvgPoolGrad>(FloatTypes())
      .gradient(avg_pool_grad_gradient<false>)
      .doc("The gradient of AvgPool.");
}

void register_max_pool(Registry& registry) {
  registry.op("MaxPool")
      .input("input: T")
      .output("output: T")
      .attr(kMaxPoolTypes)
      .attr(kSize)
      .attr(kStrides)
      .attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
      .attr("explicit_paddings: list(int) = []")
      .attr("data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'")
      .shape(pool_shape)
      .cpu_for<MaxPool>(MaxPoolTypes())
      .gradient(max_pool_gradient)
      .doc("The maximum of each window.");
  registry.op("MaxPoolV2")
      .input("input: T")
      .input("ksize: int32")
      .input("strides: int32")
      .output("output: T")
      .attr(kMaxPoolTypes)
      .attr(kSameOrValid)
      .attr("data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'")
      .shape(max_pool_v2_shape)
      .cpu_for<MaxPool>(MaxPoolTypes())
      .gradient(max_pool_v2_gradient)
      .doc("MaxPool with window and strides as inputs.");
  registry.op("MaxPoolWithArgmax")
      .input("input: T")
      .output("output: T")
      .output("argmax: Targmax")
      .attr(kSize)
      .attr(kStrides)
      .attr("Targmax: {int32, int64} = DT_INT64")
      .attr(kSameOrValid)
      .attr("include_batch_in_index: bool = false")
      .attr(kReals)
      .shape(max_pool_with_argmax_shape)
      .cpu_for<MaxPoolWithArgmax>(RealTypes(), "T", Types<int32_t, int64_t>(), "Targmax")
      .gradient(max_pool_with_argmax_gradient)
      .doc("The maximum of each window and its flat index in the image, or in the batch.");
}

void register_max_pool_grad(Registry& registry) {
  const auto three = [](OpBuilder b) { return b.input("orig_input: T").input("orig_output: T").input("grad: T"); };
  three(registry.op("MaxPoolGrad"))
      .output("output: T")
      .attr(kSize)
      .attr(kStrides)
      .attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
      .attr("explicit_paddings: list(int) = []")
      .attr(kFormat)
      .attr(kRealsOrFloat)
      .shape(max_pool_grad_shape)
      .cpu_for<MaxPoolGrad>(RealTypes())
      .gradient(max_pool_grad_gradient)
      .doc("The gradient of MaxPool: grad added up where the maxima lie.");
  three(registry.op("MaxPoolGradV2"))
      .input("ksize: int32")
      .input("strides: int32")
      .output("output: T")
      .attr(kSameOrValid)
      .attr(kFormat)
      .attr(kRealsOrFloat)
      .shape(max_pool_grad_shape)
      .cpu_for<MaxPoolGrad>(RealTypes())
      .gradient(max_pool_grad_v2_gradient)
      .doc("MaxPoolGrad with window and strides as inputs.");
  three(registry.op("MaxPoolGradGrad"))
      .output("output: T")
      .attr(kSize)
      .attr(kStrides)
      .attr(kSameOrValid)
      .attr(kFormat)
      .attr(kReals)
      .shape(max_pool_grad_grad_shape)
      .cpu_for<MaxPoolGradGrad>(RealTypes())
      .gradient(max_pool_grad_grad_gradient)
      .doc("The gradient of MaxPoolGrad: grad picked where the maxima lie.");
  three(registry.op("MaxPoolGradGradV2"))
      .input("ksize: int32")
      .input("strides: int32")
      .output("output: T")
      .attr(kSameOrValid)
      .attr(kFormat)
      .attr(kReals)
      .shape(max_pool_grad_grad_shape)
      .cpu_for<MaxPoolGradGrad>(RealTypes())
      .doc("MaxPoolGradGrad with window and strides as inputs.");
  registry.op("MaxPoolGradWithArgmax")
      .input("input: T")
      .input("grad: T")
      .input("argmax: Targmax")
      .output("output: T")
      .attr(kSize)
      .attr(kStrides)
      .attr(kSameOrValid)
      .attr("include_batch_in_index: bool = false")
      .attr("Targmax: {int32, int64}")
      .attr(kReals)
      .shape(max_pool_grad_shape)
      .cpu_for<MaxPoolGradWithArgmax>(RealTypes(), "T", Types<int32_t, int64_t>(), "Targmax")
      .doc("The gradient of MaxPoolWithArgmax.");
}

void register_pooling_3d(Registry& registry) {
  const auto with_attrs = [](OpBuilder b) {
    return b.attr("ksize: list(int) >= 5")
        .attr("strides: list(int) >= 5")
        .attr(kSameOrValid)
        .attr("data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'");
  };
  with_attrs(registry.op("AvgPool3D").input("input: T").output("output: T"))
      .attr(kFloats)
      .shape(pool_shape)
      .cpu_for<AvgPool>(FloatTypes())
      .gradient(avg_pool_gradient<true>)
      .doc("The mean of each window of volumes.");
  with_attrs(registry.op("AvgPool3DGrad").input("orig_input_shape: int32").input("grad: T").output("output: T"))
      .attr(kFloats)
      .shape(avg_pool_grad_shape)
      .cpu_for<AvgPoolGrad>(FloatTypes())
      .gradient(avg_pool_grad_gradient<true>)
      .doc("The gradient of AvgPool3D.");
  with_attrs(registry.op("MaxPool3D").input("input: T").output("output: T"))
      .attr("T: {half, bfloat16, float}")
      .shape(pool_shape)
      .cpu_for<MaxPool>(Types<Half, BFloat16, float>())
      .gradient(max_pool_3d_gradient)
      .doc("The maximum of each window of volumes.");
  with_attrs(registry.op("MaxPool3DGrad")
                 .input("orig_input: TInput")
                 .input("orig_output: TInput")
                 .input("grad: T")
                 .output("output: T"))
      .attr("T: {half, bfloat16, float} = DT_FLOAT")
      .attr("TInput: {half, bfloat16, float} = DT_FLOAT")
      .shape(max_pool_grad_shape)
      .cpu_for<MaxPoolGrad>(Types<Half, BFloat16, float>())
      .gradient(max_pool_3d_grad_gradient)
      .doc("The gradient of MaxPool3D.");
  with_attrs(registry.op("MaxPool3DGradGrad")
                 .input("orig_input: T")
                 .input("orig_output: T")
                 .input("grad: T")
                 .output("output: T"))
      .attr(kReals)
      .shape(max_pool_grad_grad_shape)
      .cpu_for<MaxPoolGradGrad>(RealTypes())
      .gradient(max_pool_3d_grad_grad_gradient)
      .doc("The gradient of MaxPool3DGrad.");
}

}  // namespace

void register_pooling(Registry& registry) {
  register_avg_pool(registry);
  register_max_pool(registry);
  register_max_pool_grad(registry);
  register_pooling_3d(registry);
}

}  // namespace millrace
