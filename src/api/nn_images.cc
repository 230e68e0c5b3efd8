// The part of tf.nn that works on images: convolutions, pooling, normalization of channels.

#include <algorithm>

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/nn.h"

namespace millrace::nn {
namespace {

// One value per dimension of the tensor; those of batch and channels are 1.
std::vector<int64_t> over_dimensions(std::string_view function, std::string_view what, const Sizes& sizes,
                                     std::string_view data_format) {
  const std::vector<int64_t>& v = sizes.values();
  if (v.size() == 4) return v;
  if (v.size() != 1 && v.size() != 2) {
    raise(invalid_argument(function, ": ", what, " should be of length 1, 2 or 4, but was ", v.size()));
  }
  const int64_t height = v.front(), width = v.back();
  if (data_format == "NCHW") return {1, 1, height, width};
  return {1, height, width, 1};
}

void check_format(std::string_view function, std::string_view data_format) {
  if (data_format != "NHWC" && data_format != "NCHW")
    raise(invalid_argument(function, ": data_format must be \"NHWC\" or \"NCHW\", got \"", data_format, "\""));
}

AttrMap conv_attrs(std::string_view function, const Sizes& strides, const Padding& padding,
                   const std::string& data_format, const Sizes& dilations) {
  check_format(function, data_format);
  return {{"strides", over_dimensions(function, "strides", strides, data_format)},
          {"padding", padding.name()},
          {"explicit_paddings", padding.zeros()},
          {"data_format", data_format},
          {"dilations", over_dimensions(function, "dilations", dilations, data_format)}};
}

Output pool(std::string_view type, std::string_view function, const Input& value, const Sizes& ksize,
            const Sizes& strides, const Padding& padding, const PoolOptions& o) {
  const SourceScope source(value);
  check_format(function, o.data_format);
  AttrMap attrs = {{"ksize", over_dimensions(function, "ksize", ksize, o.data_format)},
                   {"strides", over_dimensions(function, "strides", strides, o.data_format)},
                   {"padding", padding.name()},
                   {"data_format", o.data_format}};
  if (type == "MaxPool") {
    attrs.emplace("explicit_paddings", padding.zeros());
  } else if (!padding.zeros().empty()) {
    raise(invalid_argument(function, ": explicit paddings are not supported"));
  }
  return create_output(type, {value}, std::move(attrs), o.name.empty() ? function : o.name);
}

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

// What both functions on separate channels build first; TensorFlow looks at these where a rate is above 1.
Output convert_for_depthwise(const Input& input) {
  const Output x = convert_to_tensor(input, DataType::kInvalid, "tensor_in");
  shape_tensor(x);
  return x;
}
void dilation_rate_constant(const Sizes& rate) {
  constant(Tensor(std::vector<int32_t>{static_cast<int32_t>(rate.values().front()),
                                       static_cast<int32_t>(rate.values().back())}),
           {.name = "dilation_rate"});
}

Output depthwise(std::string_view function, const Output& x, const Output& filter, const Sizes& strides,
                 const Padding& padding, const DepthwiseConv2dOptions& o, std::string_view name) {
  if (o.rate.values().size() > 2) raise(invalid_argument(function, ": rate should be of length 1 or 2"));
  dilation_rate_constant(o.rate);
  return create_output("DepthwiseConv2dNative", {x, filter},
                       conv_attrs(function, strides, padding, o.data_format, o.rate), name);
}

}  // namespace

Output conv2d(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
              const Conv2dOptions& o) {
  const SourceScope source(input);
  return create_output("Conv2D", {input, filter}, conv_attrs("conv2d", strides, padding, o.data_format, o.dilations),
                       o.name);
}

Output conv2d_backprop_input(const Input& input_sizes, const Input& filter, const Input& out_backprop,
                             const Sizes& strides, const Padding& padding, const Conv2dOptions& o) {
  const SourceScope source(out_backprop);
  return create_output("Conv2DBackpropInput", {input_sizes, filter, out_backprop},
                       conv_attrs("conv2d_backprop_input", strides, padding, o.data_format, o.dilations), o.name);
}

Output conv2d_backprop_filter(const Input& input, const Input& filter_sizes, const Input& out_backprop,
                              const Sizes& strides, const Padding& padding, const Conv2dOptions& o) {
  const SourceScope source(input);
  return create_output("Conv2DBackpropFilter", {input, filter_sizes, out_backprop},
                       conv_attrs("conv2d_backprop_filter", strides, padding, o.data_format, o.dilations), o.name);
}

Output conv2d_transpose(const Input& value, const Input& filter, const Input& output_shape, const Sizes& strides,
                        const Padding& padding, const Conv2dOptions& o) {
  const SourceScope source(value);
  const name_scope scope(name_or(o.name, "conv2d_transpose"));
  return create_output("Conv2DBackpropInput", {convert_to_tensor(output_shape, int32, "input_sizes"), filter, value},
                       conv_attrs("conv2d_transpose", strides, padding, o.data_format, o.dilations), scope.name());
}

Output depthwise_conv2d_native(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
                               const Conv2dOptions& o) {
  const SourceScope source(input);
  return create_output("DepthwiseConv2dNative", {input, filter},
                       conv_attrs("depthwise_conv2d_native", strides, padding, o.data_format, o.dilations), o.name);
}

Output depthwise_conv2d(const Input& input, const Input& filter, const Sizes& strides, const Padding& padding,
                        const DepthwiseConv2dOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "depthwise"));
  const Output x = convert_for_depthwise(input);
  const Output w = convert_to_tensor(filter, DataType::kInvalid, "filter_in");
  return depthwise("depthwise_conv2d", x, w, strides, padding, o, scope.name());
}

Output separable_conv2d(const Input& input, const Input& depthwise_filter, const Input& pointwise_filter,
                        const Sizes& strides, const Padding& padding, const DepthwiseConv2dOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "separable_conv2d"));
  const Output x = convert_for_depthwise(input);
  const Output by_channel = convert_to_tensor(depthwise_filter, DataType::kInvalid, "depthwise_filter");
  const Output across = convert_to_tensor(pointwise_filter, DataType::kInvalid, "pointwise_filter");
  const Output y = depthwise("separable_conv2d", x, by_channel, strides, padding, o, "depthwise");
  return create_output("Conv2D", {y, across}, conv_attrs("separable_conv2d", 1, "VALID", o.data_format, 1),
                       scope.name());
}

Output max_pool(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                const PoolOptions& o) {
  return pool("MaxPool", "MaxPool", value, ksize, strides, padding, o);
}
Output max_pool2d(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                  const PoolOptions& o) {
  return pool("MaxPool", "MaxPool2d", value, ksize, strides, padding, o);
}
Output avg_pool(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                const PoolOptions& o) {
  return pool("AvgPool", "AvgPool", value, ksize, strides, padding, o);
}
Output avg_pool2d(const Input& value, const Sizes& ksize, const Sizes& strides, const Padding& padding,
                  const PoolOptions& o) {
  return pool("AvgPool", "AvgPool", value, ksize, strides, padding, o);
}

MaxPoolWithArgmax max_pool_with_argmax(const Input& input, const Sizes& ksize, const Sizes& strides,
                                       const Padding& padding, const MaxPoolWithArgmaxOptions& o) {
  const SourceScope source(input);
  const std::string_view function = "max_pool_with_argmax";
  const Operation op = create_op("MaxPoolWithArgmax", {input},
                                 {{"ksize", over_dimensions(function, "ksize", ksize, "NHWC")},
                                  {"strides", over_dimensions(function, "strides", strides, "NHWC")},
                                  {"padding", padding.name()},
                                  {"Targmax", o.Targmax},
                                  {"include_batch_in_index", o.include_batch_in_index}},
                                 o.name);
  return {op.output(0), op.output(1)};
}

Output local_response_normalization(const Input& input, const LocalResponseNormalizationOptions& o) {
  const SourceScope source(input);
  return create_output("LRN", {input},
                       {{"depth_radius", o.depth_radius}, {"bias", o.bias}, {"alpha", o.alpha}, {"beta", o.beta}},
                       o.name);
}

FusedBatchNorm fused_batch_norm(const Input& x, const Input& scale, const Input& offset,
                                const FusedBatchNormOptions& o) {
  const SourceScope source(x);
  check_format("fused_batch_norm", o.data_format);
  if (!o.is_training && (!o.mean || !o.variance))
    raise(invalid_argument("fused_batch_norm: both mean and variance must be given where is_training is false"));
  const Output input = convert_to_tensor(x, DataType::kInvalid, "input");
  const Output factor = convert_to_tensor(scale, float32, "scale");
  const Output shift = convert_to_tensor(offset, float32, "offset");
  const auto given = [](const Input& value) {
    return value ? convert_to_tensor(value, float32) : constant(Tensor(float32, TensorShape({0})));
  };
  const Output mean = given(o.mean);
  const Output variance = given(o.variance);
  constexpr double kLeastEpsilon = 1.001e-5;  // cuDNN's, which TensorFlow applies everywhere
  const Operation op = create_op("FusedBatchNormV3", {input, factor, shift, mean, variance},
                                 {{"epsilon", std::max(o.epsilon, kLeastEpsilon)},
                                  {"exponential_avg_factor", o.exponential_avg_factor},
                                  {"data_format", o.data_format},
                                  {"is_training", o.is_training}},
                                 o.name);
  return {op.output(0), op.output(1), op.output(2)};
}

}  // namespace millrace::nn
