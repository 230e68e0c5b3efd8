// Convolutions of two and three spatial dimensions, depthwise ones, and their backprops, which are ops of their own:
// the gradient of each is made of the other two. Also _FusedConv2D, which graph passes make of Conv2D, BiasAdd, Add and
// an activation.
//
// A depthwise filter [h, w, channels, multiplier] lies in memory as [h, w, 1, channels * multiplier], the filter of a
// convolution with as many groups as channels; so all are one kernel.

#include "kernels/convolution.h"

#include <algorithm>
#include <vector>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/window.h"

namespace millrace {
namespace {

bool is_depthwise(const NodeInfo& node) { return node.op.starts_with("Depthwise"); }

// --- Shapes

// The channels on both sides, as far as the sizes are known (-1: unknown).
struct Channels {
  int64_t in = -1, out = -1, groups = -1;
};

// `in` of the input, `filter_in` and `filter_out` the filter's last two dimensions.
absl::StatusOr<Channels> channels_of(bool depthwise, int64_t in, int64_t filter_in, int64_t filter_out) {
  if (depthwise) {
    MR_ASSIGN_OR_RETURN(const int64_t channels, merge_dim(in, filter_in));
    return Channels{channels, multiply_dims(filter_in, filter_out), channels};
  }
  Channels c{in, filter_out, -1};
  if (filter_in == 0) return invalid_argument("Depth of filter must not be 0");
  if (in < 0 || filter_in < 0) return c;
  if (in % filter_in != 0) {
    return invalid_argument("input depth must be evenly divisible by filter depth: depth of input (", in,
                            ") is not a multiple of input depth of filter (", filter_in, ")");
  }
  c.groups = in / filter_in;
  if (c.groups > 0 && filter_out >= 0 && filter_out % c.groups != 0) {
    return invalid_argument("Depth of output (", filter_out, ") is not a multiple of the number of groups (", c.groups,
                            ")");
  }
  return c;
}

absl::Status conv_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape filter, c.with_rank(1, a.rank()));
  MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(is_depthwise(c.node()), input.dim(a.channel()),
                                                           filter.dim(a.spatial), filter.dim(a.spatial + 1)));
  std::vector<int64_t> dims(static_cast<size_t>(a.rank()));
  dims[0] = input.dim(0);
  dims[static_cast<size_t>(a.channel())] = channels.out;
  for (int i = 0; i < a.spatial; ++i) {
    MR_ASSIGN_OR_RETURN(dims[static_cast<size_t>(a.dim(i))], output_size(a, i, input.dim(a.dim(i)), filter.dim(i)));
  }
  return c.set_output(0, make_partial_shape(dims));
}

// What input i, a vector of sizes, says of a shape of this rank. Conv2DBackpropInput may be given height and width
// only.
absl::StatusOr<PartialTensorShape> sizes_as_shape(ShapeContext& c, int i, int rank) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape shape, c.as_shape(i));
  if (!shape.has_rank()) return unknown_shape_of_rank(rank);
  if (shape.rank() != rank && shape.rank() != 2)
    return invalid_argument(c.node().op, " requires its sizes to contain ", rank, " values, but got: ", shape.rank());
  return shape;
}

absl::Status conv_input_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape filter, c.with_rank(1, a.rank()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dy, c.with_rank(2, a.rank()));
  MR_ASSIGN_OR_RETURN(PartialTensorShape input, sizes_as_shape(c, 0, a.rank()));
  if (input.rank() != a.rank()) {
    if (a.spatial != 2 || is_depthwise(c.node()))
      return invalid_argument(c.node().op, " requires input_sizes to contain ", a.rank(), " values, but got: 2");
    std::vector<int64_t> dims(4);
    dims[0] = dy.dim(0);
    for (int i = 0; i < 2; ++i) dims[static_cast<size_t>(a.dim(i))] = input.dim(i);
    dims[static_cast<size_t>(a.channel())] = filter.dim(2);
    MR_ASSIGN_OR_RETURN(input, make_partial_shape(dims));
  }
  MR_ASSIGN_OR_RETURN(const int64_t batch, merge_dim(input.dim(0), dy.dim(0)));
  MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(is_depthwise(c.node()), input.dim(a.channel()),
                                                           filter.dim(a.spatial), filter.dim(a.spatial + 1)));
  if (absl::StatusOr<int64_t> out = merge_dim(channels.out, dy.dim(a.channel())); !out.ok()) return out.status();
  std::vector<int64_t> dims = to_dims(input);
  dims[0] = batch;
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status conv_filter_grad_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, window_attrs(c.node()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank(0, a.rank()));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dy, c.with_rank(2, a.rank()));
  if (absl::StatusOr<int64_t> batch = merge_dim(input.dim(0), dy.dim(0)); !batch.ok()) return batch.status();
  MR_ASSIGN_OR_RETURN(PartialTensorShape filter, c.as_shape(1));
  if (filter.has_rank() && filter.rank() != a.rank())
    return invalid_argument("Shape must be rank ", a.rank(), " but is rank ", filter.rank());
  if (!filter.has_rank()) filter = unknown_shape_of_rank(a.rank());
  return c.set_output(0, std::move(filter));
}

// --- Kernels

struct Geometry {
  ConvShape shape;       // meaningful where no size is 0
  TensorShape output;    // of the convolution
  bool is_empty = true;  // some size is 0
};

class ConvolutionKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(attrs_, window_attrs(init.node()));
    depthwise_ = is_depthwise(init.node());
    const auto h = static_cast<size_t>(attrs_.dim(0)), w = static_cast<size_t>(attrs_.dim(1));
    if (depthwise_ && attrs_.strides[h] != attrs_.strides[w]) {
      return invalid_argument(init.node().op,
                              ": only equal strides in the row and column dimensions are supported, got ",
                              attrs_.strides[h], " and ", attrs_.strides[w]);
    }
    return check_kernel_can(init.node(), attrs_);
  }

 protected:
  absl::StatusOr<Geometry> geometry(const NodeInfo& node, const TensorShape& input, const TensorShape& filter) const {
    const WindowAttrs& a = attrs_;
    if (input.rank() != a.rank())
      return invalid_argument(node.op, ": input must be ", a.rank(), "-dimensional, got ", input);
    if (filter.rank() != a.rank())
      return invalid_argument(node.op, ": filter must be ", a.rank(), "-dimensional, got ", filter);
    MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(depthwise_, input.dim(a.channel()), filter.dim(a.spatial),
                                                             filter.dim(a.spatial + 1)));
    Geometry g;
    g.shape.batch = input.dim(0);
    g.shape.in_channels = channels.in;
    g.shape.out_channels = channels.out;
    g.shape.groups = channels.groups;
    g.shape.channels_first = a.channels_first;
    std::vector<int64_t> dims(static_cast<size_t>(a.rank()));
    dims[0] = input.dim(0);
    dims[static_cast<size_t>(a.channel())] = channels.out;
    for (int i = 0; i < a.spatial; ++i) {
      MR_ASSIGN_OR_RETURN(const WindowDim d, place_window(a, i, input.dim(a.dim(i)), filter.dim(i)));
      g.shape.dims[static_cast<size_t>(3 - a.spatial + i)] = d;
      dims[static_cast<size_t>(a.dim(i))] = d.output;
    }
    MR_ASSIGN_OR_RETURN(g.output, make_shape(dims));
    g.is_empty = input.num_elements() == 0 || filter.num_elements() == 0 || g.output.num_elements() == 0;
    return g;
  }

  // The backprops' check that dy is what the convolution would have made.
  absl::Status check_output(const NodeInfo& node, const Geometry& g, const TensorShape& dy) const {
    if (g.output == dy) return absl::OkStatus();
    return invalid_argument(node.op, ": Size of out_backprop doesn't match computed: actual = ", dy,
                            ", computed = ", g.output);
  }

  const WindowAttrs& attrs() const { return attrs_; }
  bool depthwise() const { return depthwise_; }

 private:
  WindowAttrs attrs_;
  bool depthwise_ = false;
};

absl::Status check_filter(const NodeInfo& node, const TensorShape& filter) {
  for (int i = 0; i + 1 < filter.rank(); ++i) {
    if (filter.dim(i) == 0)
      return invalid_argument(node.op, ": filter must not have zero elements (dimensions before the last), got ",
                              filter);
  }
  return absl::OkStatus();
}

template <class T> void fill_with_zero(std::span<T> out) { std::fill(out.begin(), out.end(), T{}); }

template <class T> class Convolution final : public ConvolutionKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> w, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), ctx.shape(0), ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_filter(ctx.node(), ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.output<T>(0, g.output));
    if (!g.is_empty) return convolve<T>(g.shape, x.data(), w.data(), y.data());
    fill_with_zero(y);
    return absl::OkStatus();
  }
};

template <class T> class ConvolutionInputGrad final : public ConvolutionKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> w, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const TensorShape input, input_shape(ctx));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), input, ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_output(ctx.node(), g, ctx.shape(2)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, input));
    if (!g.is_empty) return convolve_input_grad<T>(g.shape, w.data(), dy.data(), dx.data());
    fill_with_zero(dx);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<TensorShape> input_shape(KernelContext& ctx) const {
    MR_ASSIGN_OR_RETURN(const TensorShape sizes, ctx.shape_value(0));
    if (sizes.rank() != 2 || attrs().spatial != 2 || depthwise()) return sizes;
    if (ctx.input(1).rank() != 4 || ctx.input(2).rank() != 4)
      return invalid_argument(ctx.node().op, ": filter and out_backprop must be 4-dimensional, got ", ctx.shape(1),
                              " and ", ctx.shape(2));
    std::vector<int64_t> dims(4);
    dims[0] = ctx.shape(2).dim(0);
    for (int i = 0; i < 2; ++i) dims[static_cast<size_t>(attrs().dim(i))] = sizes.dim(i);
    dims[static_cast<size_t>(attrs().channel())] = ctx.shape(1).dim(2);
    return make_shape(dims);
  }
};

template <class T> class ConvolutionFilterGrad final : public ConvolutionKernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(2));
    MR_ASSIGN_OR_RETURN(const TensorShape filter, ctx.shape_value(1));
    MR_ASSIGN_OR_RETURN(const Geometry g, geometry(ctx.node(), ctx.shape(0), filter));
    MR_RETURN_IF_ERROR(check_output(ctx.node(), g, ctx.shape(2)));
    MR_ASSIGN_OR_RETURN(const std::span<T> dw, ctx.output<T>(0, filter));
    if (!g.is_empty) return convolve_filter_grad<T>(g.shape, x.data(), dy.data(), dw.data());
    fill_with_zero(dw);
    return absl::OkStatus();
  }
};

// --- _FusedConv2D

class FusedConv2D final : public ConvolutionKernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_RETURN_IF_ERROR(ConvolutionKernel::init(init));
    MR_ASSIGN_OR_RETURN(alpha_, init.attr<float>("leakyrelu_alpha"));
    MR_ASSIGN_OR_RETURN(const std::vector<std::string> fused, init.attr<std::vector<std::string>>("fused_ops"));
    for (const std::string& op : fused) {
      if (op == "BiasAdd" && !has_bias_ && !has_side_ && activation_ == Activation::kNone) {
        has_bias_ = true;
      } else if (op == "Add" && !has_side_ && activation_ == Activation::kNone) {
        has_side_ = true;
      } else {
        if (activation_ != Activation::kNone) return unimplemented("_FusedConv2D: cannot fuse ", op, " here");
        MR_ASSIGN_OR_RETURN(activation_, activation_of(op));
      }
    }
    if (init.node().input_types.size() != static_cast<size_t>(2 + has_bias_ + has_side_))
      return invalid_argument("_FusedConv2D: fused_ops do not agree with the number of inputs");
    MR_ASSIGN_OR_RETURN(const std::string format, init.attr<std::string>("filter_format"));
    if (format != "HWIO") return unimplemented("_FusedConv2D: filter_format ", format);
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const float> x, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const float> w, ctx.flat<float>(1));
    MR_ASSIGN_OR_RETURN(Geometry g, geometry(ctx.node(), ctx.shape(0), ctx.shape(1)));
    MR_RETURN_IF_ERROR(check_filter(ctx.node(), ctx.shape(1)));
    const float *bias = nullptr, *side = nullptr;
    const int side_input = has_bias_ ? 3 : 2;
    if (has_bias_) {
      MR_ASSIGN_OR_RETURN(const std::span<const float> add, ctx.vector<float>(2));
      if (static_cast<int64_t>(add.size()) != g.shape.out_channels) {
        return invalid_argument("Must provide as many biases as the last dimension of the input tensor: ", ctx.shape(2),
                                " vs. ", g.output);
      }
      bias = add.data();
    }
    if (has_side_) {
      MR_ASSIGN_OR_RETURN(const std::span<const float> add, ctx.flat<float>(side_input));
      if (ctx.shape(side_input) != g.output)
        return invalid_argument("_FusedConv2D: Incompatible shapes: ", g.output, " vs. ", ctx.shape(side_input));
      side = add.data();
    }
    std::span<float> y;
    if (has_side_) {
      MR_ASSIGN_OR_RETURN(y, ctx.forward_or_allocate<float>(side_input, 0, g.output));
    } else {
      MR_ASSIGN_OR_RETURN(y, ctx.output<float>(0, g.output));
    }
    if (y.empty()) return absl::OkStatus();
    if (g.is_empty) return invalid_argument("_FusedConv2D: input has no elements: ", ctx.shape(0));
    g.shape.has_bias = has_bias_;
    g.shape.has_side = has_side_;
    g.shape.activation = activation_;
    g.shape.alpha = alpha_;
    return convolve(g.shape, x.data(), w.data(), bias, side, y.data());
  }

 private:
  static absl::StatusOr<Activation> activation_of(std::string_view op) {
    if (op == "Relu") return Activation::kRelu;
    if (op == "Relu6") return Activation::kRelu6;
    if (op == "Elu") return Activation::kElu;
    if (op == "LeakyRelu") return Activation::kLeakyRelu;
    if (op == "Tanh") return Activation::kTanh;
    if (op == "Sigmoid") return Activation::kSigmoid;
    return unimplemented("_FusedConv2D: cannot fuse ", op);
  }
  bool has_bias_ = false, has_side_ = false;
  Activation activation_ = Activation::kNone;
  float alpha_ = 0;
};

// --- Gradients

// The three ops of a family.
struct Family {
  const char *forward, *input_grad, *filter_grad;
};
constexpr Family kConv2D = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"};
constexpr Family kConv3D = {"Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2"};
constexpr Family kDepthwise = {"DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput",
                               "DepthwiseConv2dNativeBackpropFilter"};

AttrMap conv_attrs(GradientContext& g) {
  return copied_attrs(g.node(),
                      {"strides", "padding", "explicit_paddings", "data_format", "dilations", "use_cudnn_on_gpu"});
}

template <const Family& f> absl::Status conv_gradient(GradientContext& g) {
  const Output x = g.x(0), w = g.x(1), dy = g.dy(0);
  if constexpr (&f == &kDepthwise) {
    const Output input_sizes = shape_of(g, x);
    g.set_dx(0, g.op(f.input_grad, {input_sizes, w, dy}, conv_attrs(g)));
    const Output filter_sizes = shape_of(g, w);
    g.set_dx(1, g.op(f.filter_grad, {x, filter_sizes, dy}, conv_attrs(g)));
  } else {
    const std::vector<Output> sizes = shapes_of(g, {x, w});
    if (sizes.size() != 2) return absl::OkStatus();  // an earlier error
    g.set_dx(0, g.op(f.input_grad, {sizes[0], w, dy}, conv_attrs(g)));
    g.set_dx(1, g.op(f.filter_grad, {x, sizes[1], dy}, conv_attrs(g)));
  }
  return absl::OkStatus();
}

// dx is linear in the filter and in dy.
template <const Family& f> absl::Status conv_input_grad_gradient(GradientContext& g) {
  const Output w = g.x(1), dy = g.x(2), ddx = g.dy(0);
  const Output filter_sizes = shape_of(g, w);
  g.set_dx(1, g.op(f.filter_grad, {ddx, filter_sizes, dy}, conv_attrs(g)));
  g.set_dx(2, g.op(f.forward, {ddx, w}, conv_attrs(g)));
  return absl::OkStatus();
}

template <const Family& f> absl::Status conv_filter_grad_gradient(GradientContext& g) {
  const Output x = g.x(0), dy = g.x(2), ddw = g.dy(0);
  const Output input_sizes = shape_of(g, x);
  g.set_dx(0, g.op(f.input_grad, {input_sizes, ddw, dy}, conv_attrs(g)));
  g.set_dx(2, g.op(f.forward, {x, ddw}, conv_attrs(g)));
  return absl::OkStatus();
}

// --- Registration

constexpr const char* kPadding = "padding: {'SAME', 'VALID', 'EXPLICIT'}";
constexpr const char* kExplicit = "explicit_paddings: list(int) = []";
constexpr const char* kFormat = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
constexpr const char* kDilations = "dilations: list(int) = [1, 1, 1, 1]";
using ConvTypes = Types<Half, BFloat16, float, double, int32_t>;

void register_conv2d(Registry& registry) {
  const auto with_attrs = [](OpBuilder b, const char* types) {
    return b.attr(types)
        .attr("strides: list(int)")
        .attr("use_cudnn_on_gpu: bool = true")
        .attr(kPadding)
        .attr(kExplicit)
        .attr(kFormat)
        .attr(kDilations);
  };
  constexpr const char* kWithInt = "T: {half, bfloat16, float, double, int32}";
  with_attrs(registry.op("Conv2D").input("input: T").input("filter: T").output("output: T"), kWithInt)
      .shape(conv_shape)
      .cpu_for<Convolution>(ConvTypes())
      .gradient(conv_gradient<kConv2D>)
      .doc("The filter [height, width, in channels / groups, out channels] slid over images.");
  with_attrs(registry.op("Conv2DBackpropInput")
                 .input("input_sizes: int32")
                 .input("filter: T")
                 .input("out_backprop: T")
                 .output("output: T"),
             kWithInt)
      .shape(conv_input_grad_shape)
      .cpu_for<ConvolutionInputGrad>(ConvTypes())
      .gradient(conv_input_grad_gradient<kConv2D>)
      .doc("The gradient of Conv2D with respect to its input; also the transposed convolution.");
  with_attrs(registry.op("Conv2DBackpropFilter")
                 .input("input: T")
                 .input("filter_sizes: int32")
                 .input("out_backprop: T")
                 .output("output: T"),
             "T: {half, bfloat16, float, double}")
      .shape(conv_filter_grad_shape)
      .cpu_for<ConvolutionFilterGrad>(FloatTypes())
      .gradient(conv_filter_grad_gradient<kConv2D>)
      .doc("The gradient of Conv2D with respect to its filter.");
}

void register_depthwise(Registry& registry) {
  const auto with_attrs = [](OpBuilder b) {
    return b.attr("T: {half, bfloat16, float, double}")
        .attr("strides: list(int)")
        .attr(kPadding)
        .attr(kExplicit)
        .attr(kFormat)
        .attr(kDilations);
  };
  with_attrs(registry.op("DepthwiseConv2dNative").input("input: T").input("filter: T").output("output: T"))
      .shape(conv_shape)
      .cpu_for<Convolution>(FloatTypes())
      .gradient(conv_gradient<kDepthwise>)
      .doc("Each channel convolved with filters of its own: [height, width, channels, multiplier].");
  with_attrs(registry.op("DepthwiseConv2dNativeBackpropInput")
                 .input("input_sizes: int32")
                 .input("filter: T")
                 .input("out_backprop: T")
                 .output("output: T"))
      .shape(conv_input_grad_shape)
      .cpu_for<ConvolutionInputGrad>(FloatTypes())
      .gradient(conv_input_grad_gradient<kDepthwise>)
      .doc("The gradient of DepthwiseConv2dNative with respect to its input.");
  with_attrs(registry.op("DepthwiseConv2dNativeBackpropFilter")
                 .input("input: T")
                 .input("filter_sizes: int32")
                 .input("out_backprop: T")
                 .output("output: T"))
      .shape(conv_filter_grad_shape)
      .cpu_for<ConvolutionFilterGrad>(FloatTypes())
      .gradient(conv_filter_grad_gradient<kDepthwise>)
      .doc("The gradient of DepthwiseConv2dNative with respect to its filter.");
}

void register_conv3d(Registry& registry) {
  const auto with_attrs = [](OpBuilder b) {
    return b.attr("T: {half, bfloat16, float, double}")
        .attr("strides: list(int) >= 5")
        .attr("padding: {'SAME', 'VALID'}")
        .attr("data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'")
        .attr("dilations: list(int) = [1, 1, 1, 1, 1]");
  };
  with_attrs(registry.op("Conv3D").input("input: T").input("filter: T").output("output: T"))
      .shape(conv_shape)
      .cpu_for<Convolution>(FloatTypes())
      .gradient(conv_gradient<kConv3D>)
      .doc("The filter [depth, height, width, in channels / groups, out channels] slid over volumes.");
  with_attrs(registry.op("Conv3DBackpropInputV2")
                 .input("input_sizes: Tshape")
                 .input("filter: T")
                 .input("out_backprop: T")
                 .output("output: T"))
      .attr("Tshape: {int32, int64} = DT_INT32")
      .shape(conv_input_grad_shape)
      .cpu_for<ConvolutionInputGrad>(FloatTypes())
      .gradient(conv_input_grad_gradient<kConv3D>)
      .doc("The gradient of Conv3D with respect to its input.");
  with_attrs(registry.op("Conv3DBackpropFilterV2")
                 .input("input: T")
                 .input("filter_sizes: int32")
                 .input("out_backprop: T")
                 .output("output: T"))
      .shape(conv_filter_grad_shape)
      .cpu_for<ConvolutionFilterGrad>(FloatTypes())
      .gradient(conv_filter_grad_gradient<kConv3D>)
      .doc("The gradient of Conv3D with respect to its filter.");
}

void register_fused_conv2d(Registry& registry) {
  registry.op("_FusedConv2D")
      .input("input: T")
      .input("filter: T")
      .input("args: TArgs")
      .input("host_args: num_host_args * float")
      .output("output: T")
      .attr("T: {half, float, double, int8, qint8}")
      .attr("TArgs: list(type) >= 1")
      .attr("num_args: int >= 0")
      .attr("num_host_args: int >= 0 = 0")
      .attr("strides: list(int)")
      .attr(kPadding)
      .attr(kExplicit)
      .attr("data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'")
      .attr("filter_format: {'HWIO', 'OIHW', 'OIHW_VECT_I'} = 'HWIO'")
      .attr(kDilations)
      .attr("use_cudnn_on_gpu: bool = true")
      .attr("fused_ops: list(string) = []")
      .attr("epsilon: float = 9.99999975e-05")
      .attr("leakyrelu_alpha: float = 0.200000003")
      .shape(conv_shape)
      .kernel({"CPU", {{"T", DataType::kFloat}}, [] { return std::unique_ptr<Kernel>(new FusedConv2D); }})
      .not_differentiable()
      .doc("Conv2D followed by what fused_ops says: BiasAdd, Add, an activation; made by graph passes.");
}

}  // namespace

void register_convolution(Registry& registry) {
  register_conv2d(registry);
  register_depthwise(registry);
  register_conv3d(registry);
  register_fused_conv2d(registry);
}

}  // namespace millrace
