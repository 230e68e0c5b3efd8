// What makes variables' first values: the ops that TF1's initializers build, in the scope "w/Initializer".

#include <cmath>

#include "api/op_builder.h"
#include "api/variable_impl.h"
#include "millrace/variables.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

// Larger constants would swell the GraphDef.
constexpr int64_t kMaxConstElements = 1000;

Output shape_const(const TensorShape& shape, std::string_view name) {
  const std::vector<int32_t> dims(shape.dims().begin(), shape.dims().end());
  return constant(Tensor(dims), {.name = name});
}

Output scalar_const(double value, DataType dtype, std::string_view name) {
  const bool integer = is_integer(dtype);
  const Tensor literal = integer ? Tensor(static_cast<int64_t>(value)) : Tensor(value);
  return constant(literal, {.dtype = dtype, .name = name});
}

AttrMap random_attrs(DataType dtype, std::optional<int64_t> seed) {
  AttrMap attrs;
  set_seed_attrs(seed, &attrs);
  if (dtype != DataType::kInvalid) attrs.emplace("dtype", dtype);
  return attrs;
}

Output random_uniform(const TensorShape& shape, double low, double high, std::optional<int64_t> seed, DataType dtype) {
  const name_scope scope("random_uniform");
  const Output dims = shape_const(shape, "shape");
  const Output min = scalar_const(low, dtype, "min"), max = scalar_const(high, dtype, "max");
  if (is_integer(dtype))
    return create_output("RandomUniformInt", {dims, min, max}, random_attrs(DataType::kInvalid, seed), scope.name());
  const Output unit = create_output("RandomUniform", {dims}, random_attrs(dtype, seed));
  const Output range = create_output("Sub", {max, min}, {}, "sub");
  const Output scaled = create_output("Mul", {unit, range}, {}, "mul");
  return create_output("AddV2", {scaled, min}, {}, scope.name());
}

Output random_gaussian(std::string_view op, std::string_view name, const TensorShape& shape, double mean, double stddev,
                       std::optional<int64_t> seed, DataType dtype) {
  const name_scope scope(name);
  const Output dims = shape_const(shape, "shape");
  const Output center = scalar_const(mean, dtype, "mean"), width = scalar_const(stddev, dtype, "stddev");
  const Output unit = create_output(op, {dims}, random_attrs(dtype, seed));
  const Output scaled = create_output("Mul", {unit, width}, {}, "mul");
  return create_output("AddV2", {scaled, center}, {}, scope.name());
}

Output truncated_normal(const TensorShape& shape, double mean, double stddev, std::optional<int64_t> seed,
                        DataType dtype) {
  return random_gaussian("TruncatedNormal", "truncated_normal", shape, mean, stddev, seed, dtype);
}

struct Fans {
  double in = 1;
  double out = 1;
};

// Of a weight's shape: the last two dimensions are inputs and outputs, those before them the receptive field.
Fans fans_of(const TensorShape& shape) {
  if (shape.rank() == 0) return {};
  if (shape.rank() == 1) return {static_cast<double>(shape.dim(0)), static_cast<double>(shape.dim(0))};
  double field = 1;
  for (int i = 0; i + 2 < shape.rank(); ++i) field *= static_cast<double>(shape.dim(i));
  return {field * static_cast<double>(shape.dim(shape.rank() - 2)),
          field * static_cast<double>(shape.dim(shape.rank() - 1))};
}

// The standard deviation of a normal distribution cut at two of its own.
constexpr double kTruncatedStddev = .87962566103423978;

Output scaled_variance(const VarianceScalingOptions& o, const Initializer::Request& request) {
  const Fans fans = fans_of(request.shape);
  const double n = o.mode == "fan_in" ? fans.in : o.mode == "fan_out" ? fans.out : (fans.in + fans.out) / 2;
  const double scale = o.scale / std::max(1.0, n);
  if (o.distribution == "uniform") {
    const double limit = std::sqrt(3 * scale);
    return random_uniform(request.shape, -limit, limit, o.seed, request.dtype);
  }
  if (o.distribution == "untruncated_normal")
    return random_gaussian("RandomStandardNormal", "random_normal", request.shape, 0, std::sqrt(scale), o.seed,
                           request.dtype);
  return truncated_normal(request.shape, 0, std::sqrt(scale) / kTruncatedStddev, o.seed, request.dtype);
}

Initializer seeded_scaling(double scale, const char* mode, const char* distribution,
                           const SeededInitializerOptions& o) {
  return variance_scaling_initializer(
      {.scale = scale, .mode = mode, .distribution = distribution, .seed = o.seed, .dtype = o.dtype});
}

}  // namespace

Output filled(const TensorShape& shape, DataType dtype, int value, std::string_view name) {
  const Input one_value = dtype == DataType::kBool     ? Input(Tensor(value != 0))
                          : dtype == DataType::kString ? Input(Tensor(""))
                                                       : Input(Tensor(static_cast<int32_t>(value)));
  if (shape.num_elements() < kMaxConstElements)
    return constant(one_value, {.dtype = dtype, .shape = shape, .name = name});
  const name_scope scope(name);
  const Output dims = shape_const(shape, "shape_as_tensor");
  return create_output("Fill", {dims, constant(one_value, {.dtype = dtype})}, {}, scope.name());
}

Initializer zeros_initializer(const InitializerOptions&) {
  return Initializer([](const Initializer::Request& r) { return filled(r.shape, r.dtype, 0, "zeros"); });
}
Initializer ones_initializer(const InitializerOptions&) {
  return Initializer([](const Initializer::Request& r) { return filled(r.shape, r.dtype, 1, "ones"); });
}

Initializer constant_initializer(const Tensor& value, const ConstantInitializerOptions& options) {
  return Initializer([value, verify = options.verify_shape](const Initializer::Request& r) {
    if (verify && !(value.shape() == r.shape))
      errors::raise(errors::Code::kInvalidArgument,
                    str_cat("Expected Tensor's shape: ", r.shape, ", got ", value.shape(), "."));
    return constant(value, {.dtype = r.dtype, .shape = r.shape});
  });
}

Initializer random_uniform_initializer(const RandomUniformInitializerOptions& o) {
  if (!o.maxval && is_integer(o.dtype))
    errors::raise(errors::Code::kInvalidArgument, "Must specify maxval for integer dtype " + dtype_name(o.dtype));
  return Initializer([o](const Initializer::Request& r) {
    return random_uniform(r.shape, o.minval, o.maxval.value_or(1), o.seed, r.dtype);
  });
}
Initializer random_normal_initializer(const RandomNormalInitializerOptions& o) {
  return Initializer([o](const Initializer::Request& r) {
    return random_gaussian("RandomStandardNormal", "random_normal", r.shape, o.mean, o.stddev, o.seed, r.dtype);
  });
}
Initializer truncated_normal_initializer(const RandomNormalInitializerOptions& o) {
  return Initializer(
      [o](const Initializer::Request& r) { return truncated_normal(r.shape, o.mean, o.stddev, o.seed, r.dtype); });
}

Initializer uniform_unit_scaling_initializer(const UniformUnitScalingOptions& o) {
  return Initializer([o](const Initializer::Request& r) {
    double inputs = 1;
    for (int i = 0; i + 1 < r.shape.rank(); ++i) inputs *= static_cast<double>(r.shape.dim(i));
    const double limit = std::sqrt(3 / std::max(inputs, 1.0)) * o.factor;
    return random_uniform(r.shape, -limit, limit, o.seed, r.dtype);
  });
}

Initializer variance_scaling_initializer(const VarianceScalingOptions& o) {
  const auto refuse = [](const std::string& message) { errors::raise(errors::Code::kInvalidArgument, message); };
  if (o.scale <= 0) refuse("`scale` must be positive float.");
  if (o.mode != "fan_in" && o.mode != "fan_out" && o.mode != "fan_avg") refuse("Invalid `mode` argument: " + o.mode);
  if (o.distribution != "uniform" && o.distribution != "normal" && o.distribution != "truncated_normal" &&
      o.distribution != "untruncated_normal")
    refuse("Invalid `distribution` argument: " + o.distribution);
  return Initializer([o](const Initializer::Request& r) { return scaled_variance(o, r); });
}
Initializer glorot_uniform_initializer(const SeededInitializerOptions& o) {
  return seeded_scaling(1, "fan_avg", "uniform", o);
}
Initializer glorot_normal_initializer(const SeededInitializerOptions& o) {
  return seeded_scaling(1, "fan_avg", "truncated_normal", o);
}

namespace initializers {

Initializer he_normal(const SeededInitializerOptions& o) { return seeded_scaling(2, "fan_in", "truncated_normal", o); }
Initializer he_uniform(const SeededInitializerOptions& o) { return seeded_scaling(2, "fan_in", "uniform", o); }
Initializer lecun_normal(const SeededInitializerOptions& o) {
  return seeded_scaling(1, "fan_in", "truncated_normal", o);
}
Initializer lecun_uniform(const SeededInitializerOptions& o) { return seeded_scaling(1, "fan_in", "uniform", o); }

Initializer identity(const IdentityInitializerOptions& o) {
  return Initializer([o](const Initializer::Request& r) {
    if (r.shape.rank() != 2)
      errors::raise(errors::Code::kInvalidArgument, "Identity matrix initializer can only be used for 2D matrices.");
    Output eye;
    {
      const name_scope scope("eye");
      const Output ones = filled(TensorShape({std::min(r.shape.dim(0), r.shape.dim(1))}), r.dtype, 1, "ones");
      if (r.shape.dim(0) == r.shape.dim(1)) {
        const name_scope diag("diag");
        const Output k = millrace::constant(0, {.name = "k"}), rows = millrace::constant(-1, {.name = "num_rows"}),
                     columns = millrace::constant(-1, {.name = "num_cols"});
        eye = create_output(
            "MatrixDiagV3",
            {ones, k, rows, columns, millrace::constant(Tensor(0), {.dtype = r.dtype, .name = "padding_value"})}, {},
            diag.name());
      } else {
        eye = create_output("MatrixSetDiagV3",
                            {filled(r.shape, r.dtype, 0, "zeros"), ones, millrace::constant(0, {.name = "k"})}, {},
                            scope.name());
      }
    }
    const name_scope scope("mul");
    return create_output("Mul", {scalar_const(o.gain, r.dtype, "x"), eye}, {}, scope.name());
  });
}

}  // namespace initializers

}  // namespace millrace
