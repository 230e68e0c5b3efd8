#include "millrace/random_ops.h"

#include "api/op_builder.h"
#include "millrace/math_ops.h"

namespace millrace {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

AttrMap seeded(std::optional<int64_t> seed) {
  AttrMap attrs;
  set_seed_attrs(seed, &attrs);
  return attrs;
}

Output normal(std::string_view type, std::string_view default_name, const Input& shape, const RandomNormalOptions& o) {
  const SourceScope source(shape);
  const name_scope scope(name_or(o.name, default_name));
  const Output dims = convert_to_tensor(shape, DataType::kInvalid, "shape");
  const Output mean = convert_to_tensor(o.mean, o.dtype, "mean");
  const Output stddev = convert_to_tensor(o.stddev, o.dtype, "stddev");
  AttrMap attrs = seeded(o.seed);
  attrs.emplace("dtype", o.dtype);
  const Output draws = create_output(type, {dims}, std::move(attrs));
  return add(draws * stddev, mean, {.name = scope.name()});
}

}  // namespace

Output random_uniform(const IntList& shape, const RandomUniformOptions& o) {
  const SourceScope source(shape);
  const bool integers = o.dtype == int32 || o.dtype == int64;
  if (!integers && !is_floating(o.dtype))
    raise(invalid_argument("random_uniform: invalid dtype ", dtype_name(o.dtype)));
  if (integers && !o.maxval)
    raise(invalid_argument("random_uniform: must specify maxval for integer dtype ", dtype_name(o.dtype)));
  const name_scope scope(name_or(o.name, "random_uniform"));
  const Output dims = convert_to_tensor(shape, DataType::kInvalid, "shape");
  if (integers) {
    const Output low = convert_to_tensor(o.minval, o.dtype, "min"), high = convert_to_tensor(o.maxval, o.dtype, "max");
    return create_output("RandomUniformInt", {dims, low, high}, seeded(o.seed), scope.name());
  }
  const auto is_number = [](const Input& input, double value) {
    return input.is_literal() && input.literal().rank() == 0 &&
           value_or_raise(cast_literal(input.literal(), float64)).scalar<double>() == value;
  };
  const bool from_zero = is_number(o.minval, 0), to_one = !o.maxval || is_number(o.maxval, 1);
  AttrMap attrs = seeded(o.seed);
  attrs.emplace("dtype", o.dtype);
  if (from_zero && to_one) return create_output("RandomUniform", {dims}, std::move(attrs));
  const Output low = from_zero ? Output() : convert_to_tensor(o.minval, o.dtype, "min");
  const Output high = convert_to_tensor(o.maxval ? o.maxval : Input(1), o.dtype, "max");
  const Output draws = create_output("RandomUniform", {dims}, std::move(attrs));
  if (from_zero) return multiply(draws, high, {.name = scope.name()});
  return add(draws * (high - low), low, {.name = scope.name()});
}

Output random_normal(const IntList& shape, const RandomNormalOptions& o) {
  return normal("RandomStandardNormal", "random_normal", shape, o);
}
Output truncated_normal(const IntList& shape, const RandomNormalOptions& o) {
  return normal("TruncatedNormal", "truncated_normal", shape, o);
}

Output random_shuffle(const Input& value, const SeedOptions& o) {
  const SourceScope source(value);
  return create_output("RandomShuffle", {value}, seeded(o.seed), o.name);
}

Output multinomial(const Input& logits, const Input& num_samples, const SeedOptions& o) {
  const SourceScope source(logits);
  const name_scope scope(name_or(o.name, "multinomial"));
  const Output x = convert_to_tensor(logits, DataType::kInvalid, "logits");
  return create_output("Multinomial", {x, num_samples}, seeded(o.seed));
}

}  // namespace millrace
