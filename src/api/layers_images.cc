// The layers that work on images: tf.layers.conv2d and its kin, pooling, batch normalization.

#include <algorithm>

#include "api/op_builder.h"
#include "api/training.h"
#include "api/variable_impl.h"
#include "millrace/array_ops.h"
#include "millrace/layers.h"
#include "millrace/math_ops.h"
#include "millrace/nn.h"
#include "tensor/shape.h"

namespace millrace::layers {
namespace {

VariableScopeOptions scope_options(const std::string& name, const char* default_name, Reuse reuse) {
  VariableScopeOptions options;
  if (name.empty()) options.default_name = default_name;
  options.reuse = reuse;
  return options;
}

// Where the channels lie, in tf.nn's words.
struct Format {
  std::string name;  // "NHWC" or "NCHW"
  int channel = 3, height = 1;
};
Format format_of(std::string_view layer, const std::string& data_format) {
  if (data_format == "channels_last") return {"NHWC", 3, 1};
  if (data_format == "channels_first") return {"NCHW", 1, 2};
  raise(invalid_argument(layer, ": data_format must be \"channels_first\" or \"channels_last\", got \"", data_format,
                         "\""));
}

std::string padding_of(std::string_view layer, const std::string& padding) {
  if (padding == "valid" || padding == "VALID") return "VALID";
  if (padding == "same" || padding == "SAME") return "SAME";
  raise(invalid_argument(layer, ": padding must be \"valid\" or \"same\", got \"", padding, "\""));
}

Output image_input(std::string_view layer, const Input& inputs) {
  const Output x = convert_to_tensor(inputs);
  if (x.shape().has_rank() && x.shape().rank() != 4)
    raise(invalid_argument(layer, ": inputs must have 4 dimensions, got shape ", x.shape()));
  return x;
}

int64_t known_channels(std::string_view layer, const Output& x, int axis) {
  const PartialTensorShape shape = x.shape();
  if (!shape.has_rank() || shape.dim(axis) < 0) {
    raise(invalid_argument(layer, ": the channel dimension of the inputs should be defined, got shape ", shape));
  }
  return shape.dim(axis);
}

void check_sizes(std::string_view layer, std::string_view what, const Size2d& size) {
  if (size.height < 1 || size.width < 1)
    raise(invalid_argument(layer, ": ", what, " must be positive, got ", size.height, " and ", size.width));
}
nn::Sizes as_sizes(const Size2d& size) { return {size.height, size.width}; }

// What all convolutions end with.
template <class Options> Output finish(Output y, const Variable& bias, const Format& format, const Options& o) {
  if (bias) y = nn::bias_add(y, bias, {.data_format = format.name});
  if (o.activation) y = o.activation(y);
  if (o.activity_regularizer) {
    if (const Output loss = o.activity_regularizer(y)) add_to_collection(GraphKeys::REGULARIZATION_LOSSES, loss);
  }
  return y;
}

template <class Options> Variable bias_variable(const Options& o, int64_t filters, DataType dtype) {
  if (!o.use_bias) return {};
  return layer_variable("bias", {filters},
                        {.dtype = dtype,
                         .initializer = o.bias_initializer,
                         .regularizer = o.bias_regularizer,
                         .trainable = o.trainable,
                         .constraint = o.bias_constraint});
}

// The size of a transposed convolution's output; -1 if the input's is unknown.
int64_t transposed_size(int64_t input, int64_t window, int64_t stride, bool same) {
  if (input < 0) return -1;
  return input * stride + (same ? 0 : std::max<int64_t>(window - stride, 0));
}

// tf.stack of sizes that are tensors or, where these are absent, numbers.
Output pack_sizes(std::vector<Output> sizes, const std::vector<int64_t>& dims) {
  const name_scope scope("stack");
  for (size_t i = 0; i < sizes.size(); ++i)
    if (!sizes[i]) sizes[i] = constant(static_cast<int32_t>(dims[i]), {.name = std::to_string(i)});
  return create_output("Pack", {sizes}, {{"axis", 0}}, scope.name());
}

Output pool(bool max, const char* layer, const Input& inputs, const Size2d& pool_size, const Size2d& strides,
            const Pooling2dOptions& o) {
  const SourceScope source(inputs);
  const Output x = image_input(layer, inputs);
  const Format format = format_of(layer, o.data_format);
  const std::string padding = padding_of(layer, o.padding);
  check_sizes(layer, "pool_size", pool_size);
  check_sizes(layer, "strides", strides);
  const variable_scope scope(o.name, scope_options(o.name, layer, Reuse::kInherit));
  const nn::PoolOptions options{.data_format = format.name};
  return max ? nn::max_pool(x, as_sizes(pool_size), as_sizes(strides), padding, options)
             : nn::avg_pool(x, as_sizes(pool_size), as_sizes(strides), padding, options);
}

}  // namespace

Output conv2d(const Input& inputs, int64_t filters, const Size2d& kernel_size, const Conv2dOptions& o) {
  const SourceScope source(inputs);
  const Output x = image_input("conv2d", inputs);
  const Format format = format_of("conv2d", o.data_format);
  const std::string padding = padding_of("conv2d", o.padding);
  if (filters < 1) raise(invalid_argument("conv2d: filters must be positive, got ", filters));
  check_sizes("conv2d", "kernel_size", kernel_size);
  check_sizes("conv2d", "strides", o.strides);
  check_sizes("conv2d", "dilation_rate", o.dilation_rate);
  const bool strided = o.strides.height > 1 || o.strides.width > 1;
  if (strided && (o.dilation_rate.height > 1 || o.dilation_rate.width > 1))
    raise(invalid_argument("conv2d: strides > 1 are not supported in conjunction with dilation_rate > 1"));
  const int64_t channels = known_channels("conv2d", x, format.channel);
  const DataType dtype = base_dtype(x.dtype());

  const variable_scope scope(o.name, scope_options(o.name, "conv2d", o.reuse));
  const Variable kernel = layer_variable("kernel", {kernel_size.height, kernel_size.width, channels, filters},
                                         {.dtype = dtype,
                                          .initializer = o.kernel_initializer,
                                          .regularizer = o.kernel_regularizer,
                                          .trainable = o.trainable,
                                          .constraint = o.kernel_constraint});
  const Variable bias = bias_variable(o, filters, dtype);
  const Output y = nn::conv2d(x, kernel, as_sizes(o.strides), padding,
                              {.data_format = format.name, .dilations = as_sizes(o.dilation_rate)});
  return finish(y, bias, format, o);
}

Output conv2d_transpose(const Input& inputs, int64_t filters, const Size2d& kernel_size,
                        const Conv2dTransposeOptions& o) {
  const SourceScope source(inputs);
  const Output x = image_input("conv2d_transpose", inputs);
  const Format format = format_of("conv2d_transpose", o.data_format);
  const std::string padding = padding_of("conv2d_transpose", o.padding);
  if (filters < 1) raise(invalid_argument("conv2d_transpose: filters must be positive, got ", filters));
  check_sizes("conv2d_transpose", "kernel_size", kernel_size);
  check_sizes("conv2d_transpose", "strides", o.strides);
  const int64_t channels = known_channels("conv2d_transpose", x, format.channel);
  const DataType dtype = base_dtype(x.dtype());

  const variable_scope scope(o.name, scope_options(o.name, "conv2d_transpose", o.reuse));
  const Variable kernel = layer_variable("kernel", {kernel_size.height, kernel_size.width, filters, channels},
                                         {.dtype = dtype,
                                          .initializer = o.kernel_initializer,
                                          .regularizer = o.kernel_regularizer,
                                          .trainable = o.trainable,
                                          .constraint = o.kernel_constraint});
  const Variable bias = bias_variable(o, filters, dtype);
  const Output shape = shape_tensor(x);
  const Output batch = index(shape, {IndexItem(0)});
  const PartialTensorShape known = x.shape();
  const bool same = padding == "SAME";
  std::vector<int64_t> dims = {known.dim(0), 0, 0, 0};
  dims[static_cast<size_t>(format.channel)] = filters;
  std::vector<Output> sizes(4);  // absent where it is a number of dims
  sizes[0] = batch;
  for (int i = 0; i < 2; ++i) {
    const int64_t window = i == 0 ? kernel_size.height : kernel_size.width;
    const int64_t stride = i == 0 ? o.strides.height : o.strides.width;
    const int axis = format.height + i;
    const int64_t size = transposed_size(known.dim(axis), window, stride, same);
    dims[static_cast<size_t>(axis)] = size;
    if (size >= 0) continue;
    const Output scaled = index(shape, {IndexItem(axis)}) * static_cast<int32_t>(stride);
    const int64_t more = same ? 0 : std::max<int64_t>(window - stride, 0);
    sizes[static_cast<size_t>(axis)] = more > 0 ? scaled + static_cast<int32_t>(more) : scaled;
  }
  const Output output_shape = pack_sizes(std::move(sizes), dims);
  index(output_shape, {IndexItem(0)});  // TensorFlow makes this node and does not use it
  const Output y =
      nn::conv2d_transpose(x, kernel, output_shape, as_sizes(o.strides), padding, {.data_format = format.name});
  y.set_shape(PartialTensorShape(std::span<const int64_t>(dims)));
  return finish(y, bias, format, o);
}

Output separable_conv2d(const Input& inputs, int64_t filters, const Size2d& kernel_size,
                        const SeparableConv2dOptions& o) {
  const SourceScope source(inputs);
  const Output x = image_input("separable_conv2d", inputs);
  const Format format = format_of("separable_conv2d", o.data_format);
  const std::string padding = padding_of("separable_conv2d", o.padding);
  if (filters < 1) raise(invalid_argument("separable_conv2d: filters must be positive, got ", filters));
  if (o.depth_multiplier < 1)
    raise(invalid_argument("separable_conv2d: depth_multiplier must be positive, got ", o.depth_multiplier));
  check_sizes("separable_conv2d", "kernel_size", kernel_size);
  check_sizes("separable_conv2d", "strides", o.strides);
  check_sizes("separable_conv2d", "dilation_rate", o.dilation_rate);
  const int64_t channels = known_channels("separable_conv2d", x, format.channel);
  const DataType dtype = base_dtype(x.dtype());

  const variable_scope scope(o.name, scope_options(o.name, "separable_conv2d", o.reuse));
  const Variable depthwise =
      layer_variable("depthwise_kernel", {kernel_size.height, kernel_size.width, channels, o.depth_multiplier},
                     {.dtype = dtype,
                      .initializer = o.depthwise_initializer,
                      .regularizer = o.depthwise_regularizer,
                      .trainable = o.trainable,
                      .constraint = o.depthwise_constraint});
  const Variable pointwise = layer_variable("pointwise_kernel", {1, 1, channels * o.depth_multiplier, filters},
                                            {.dtype = dtype,
                                             .initializer = o.pointwise_initializer,
                                             .regularizer = o.pointwise_regularizer,
                                             .trainable = o.trainable,
                                             .constraint = o.pointwise_constraint});
  const Variable bias = bias_variable(o, filters, dtype);
  const Output y = nn::separable_conv2d(x, depthwise, pointwise, as_sizes(o.strides), padding,
                                        {.rate = as_sizes(o.dilation_rate), .data_format = format.name});
  return finish(y, bias, format, o);
}

Output max_pooling2d(const Input& inputs, const Size2d& pool_size, const Size2d& strides, const Pooling2dOptions& o) {
  return pool(true, "max_pooling2d", inputs, pool_size, strides, o);
}
Output average_pooling2d(const Input& inputs, const Size2d& pool_size, const Size2d& strides,
                         const Pooling2dOptions& o) {
  return pool(false, "average_pooling2d", inputs, pool_size, strides, o);
}

// --- Batch normalization

namespace {

struct BatchNormVariables {
  Variable gamma, beta, moving_mean, moving_variance;
};

BatchNormVariables batch_norm_variables(int64_t channels, DataType dtype, const BatchNormalizationOptions& o) {
  const auto trained = [&](std::string_view name, const Initializer& initializer, const Regularizer& regularizer,
                           const Constraint& constraint) {
    return layer_variable(name, {channels},
                          {.dtype = dtype,
                           .initializer = initializer,
                           .regularizer = regularizer,
                           .trainable = o.trainable,
                           .constraint = constraint});
  };
  const auto moving = [&](std::string_view name, const Initializer& initializer) {
    return layer_variable(name, {channels}, {.dtype = dtype, .initializer = initializer, .trainable = false});
  };
  BatchNormVariables v;
  if (o.scale) v.gamma = trained("gamma", o.gamma_initializer, o.gamma_regularizer, o.gamma_constraint);
  if (o.center) v.beta = trained("beta", o.beta_initializer, o.beta_regularizer, o.beta_constraint);
  v.moving_mean = moving("moving_mean", o.moving_mean_initializer);
  v.moving_variance = moving("moving_variance", o.moving_variance_initializer);
  return v;
}

// variable -= (variable - value) * decay, where decay is 1 - momentum.
template <class MakeDecay>
Output assign_moving_average(const Variable& variable, const Output& value, MakeDecay&& make_decay) {
  const name_scope scope("AssignMovingAvg");
  const colocate_with colocated(variable.op());
  const Output decay = make_decay();
  const Output delta = (Output(variable) - value) * decay;
  return variable.assign_sub(delta, {.name = scope.name()});
}

Output fused(const Output& x, const BatchNormVariables& v, int64_t channels, const std::string& format,
             const Training& training, const BatchNormalizationOptions& o) {
  const TensorShape vector = {channels};
  const Output beta =
      v.beta ? Output(v.beta) : constant(Tensor(vector, std::vector<float>(static_cast<size_t>(channels), 0.0f)));
  const Output gamma =
      v.gamma ? Output(v.gamma) : constant(Tensor(vector, std::vector<float>(static_cast<size_t>(channels), 1.0f)));
  const auto normalize = [&](bool is_training) {
    const nn::FusedBatchNorm result = nn::fused_batch_norm(x, gamma, beta,
                                                           {.mean = v.moving_mean,
                                                            .variance = v.moving_variance,
                                                            .epsilon = o.epsilon,
                                                            .data_format = format,
                                                            .is_training = is_training});
    return std::vector<Output>{result.y, result.batch_mean, result.batch_variance};
  };
  const std::vector<Output> result = training.choose([&] { return normalize(true); }, [&] { return normalize(false); });
  if (training.never()) return result[0];
  const Output momentum =
      training.choose([&] { return constant(static_cast<float>(o.momentum)); }, [] { return constant(1.0f); });
  const auto decay = [&] { return 1.0 - momentum; };
  for (const auto& [variable, value] : {std::pair(v.moving_mean, result[1]), std::pair(v.moving_variance, result[2])})
    add_to_collection(GraphKeys::UPDATE_OPS, assign_moving_average(variable, value, decay).op());
  return result[0];
}

// Of ops over all dimensions but the channels'; for inputs that are no images.
Output unfused(const Output& x, const BatchNormVariables& v, int axis, const Training& training,
               const BatchNormalizationOptions& o) {
  std::vector<int32_t> axes;
  for (int d = 0; d < x.shape().rank(); ++d)
    if (d != axis) axes.push_back(d);
  Output mean = v.moving_mean, variance = v.moving_variance;
  if (!training.never()) {
    const nn::Moments moments = nn::moments(x, axes);
    const auto old = [](const Output& value) { return [value] { return value; }; };
    mean = training.choose([&] { return moments.mean; }, old(mean));
    variance = training.choose([&] { return moments.variance; }, old(variance));
    const auto decay = [&] { return constant(static_cast<float>(1 - o.momentum), {.name = "decay"}); };
    for (const auto& [variable, value] : {std::pair(v.moving_mean, mean), std::pair(v.moving_variance, variance)}) {
      const Output updated = training.choose([&] { return assign_moving_average(variable, value, decay); },
                                             [&] { return Output(variable); });
      add_to_collection(GraphKeys::UPDATE_OPS, updated.op());
    }
  }
  return nn::batch_normalization(x, mean, variance, v.beta ? Input(v.beta) : Input(),
                                 v.gamma ? Input(v.gamma) : Input(), o.epsilon);
}

}  // namespace

Output batch_normalization(const Input& inputs, const BatchNormalizationOptions& o) {
  const SourceScope source(inputs);
  const Output x = convert_to_tensor(inputs);
  const PartialTensorShape shape = x.shape();
  if (!shape.has_rank()) raise(invalid_argument("batch_normalization: the rank of the inputs must be known"));
  const int axis = value_or_raise(canonical_axis(o.axis, shape.rank(), "batch_normalization: axis"));
  const int64_t channels = known_channels("batch_normalization", x, axis);
  const DataType dtype = base_dtype(x.dtype());
  if (!is_floating(dtype))
    raise(invalid_argument("batch_normalization: inputs must be of a floating type, got ", dtype_name(dtype)));
  const bool can_fuse = shape.rank() == 4 && (axis == 1 || axis == 3) && dtype != float64;
  if (o.fused.value_or(false) && !can_fuse) {
    raise(invalid_argument("batch_normalization: only images normalized over axis 1 or 3 can be fused, got shape ",
                           shape, " and axis ", axis));
  }
  const bool is_fused = o.fused.value_or(can_fuse);
  if (!is_fused && axis != shape.rank() - 1)
    raise(unimplemented("batch_normalization: without fusion only the last axis is implemented, got axis ", axis));
  if (!is_fused && (dtype == float16 || dtype == bfloat16))
    raise(unimplemented("batch_normalization: without fusion float16 and bfloat16 are not implemented"));

  const Training training("batch_normalization", o.training);
  const variable_scope scope(o.name, scope_options(o.name, "batch_normalization", o.reuse));
  const DataType parameters = dtype == float64 ? float64 : float32;
  const BatchNormVariables v = batch_norm_variables(channels, parameters, o);
  return is_fused ? fused(x, v, channels, axis == 1 ? "NCHW" : "NHWC", training, o) : unfused(x, v, axis, training, o);
}

}  // namespace millrace::layers
