#include "millrace/nn.h"

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/random_ops.h"
#include "tensor/shape.h"

namespace millrace::nn {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

Tensor int_vector(std::initializer_list<int32_t> values) {
  return Tensor(TensorShape({static_cast<int64_t>(values.size())}), std::vector<int32_t>(values));
}

// tf.slice with one computed bound: Python packs it under the slice's own scope.
Output slice_at(const Output& input, const Input& begin, const Input& size) {
  const name_scope scope("Slice");
  const auto bound = [](const Input& b, std::string_view name) {
    if (b.is_literal()) return constant(b, {.name = name});
    return create_output("Pack", {std::vector<Output>{b.output()}}, {{"axis", 0}}, name);
  };
  const Output first = bound(begin, "begin"), count = bound(size, "size");
  return create_output("Slice", {input, first, count}, {}, scope.name());
}

// A concatenation of parts of which literals are constants "values_I" in its scope.
Output concat_parts(const std::vector<Input>& parts) {
  const name_scope scope("concat");
  std::vector<Output> values;
  for (size_t i = 0; i < parts.size(); ++i)
    values.push_back(convert_to_tensor(parts[i], int32, "values_" + std::to_string(i)));
  return create_output("ConcatV2", {values, Input(0)}, {}, scope.name());
}

// [d0, ..., dk, n] -> [d0 * ... * dk, n]
Output flatten_outer_dims(const Output& logits) {
  const Output r = rank(logits);
  const Output shape = shape_tensor(logits);
  const Output last = slice_at(shape, subtract(r, 1), int_vector({1}));
  const Output flat = reshape(logits, concat_parts({int_vector({-1}), last}));
  const PartialTensorShape known = logits.shape();
  if (known.rank() > 0) {
    int64_t product = 1;
    for (int i = 0; i + 1 < known.rank() && product >= 0; ++i) product = known.dim(i) < 0 ? -1 : product * known.dim(i);
    flat.set_shape(PartialTensorShape({product, known.dim(known.rank() - 1)}));
  }
  return flat;
}

// Exchanges dimension `axis` and the last one; rank is known to TF1 only as a tensor here.
Output swap_with_last(const Output& logits, const Output& last_index, int64_t axis) {
  const auto part = [](const Input& from, const Input& to) { return range(from, to, 1); };
  const Output before = part(Input(0), Input(static_cast<int32_t>(axis)));
  const Output between = part(Input(static_cast<int32_t>(axis) + 1), last_index);
  const name_scope scope("concat");
  const Output last = create_output("Pack", {std::vector<Output>{last_index}}, {{"axis", 0}}, "values_1");
  const Output moved = convert_to_tensor(int_vector({static_cast<int32_t>(axis)}), int32, "values_3");
  const Output perm =
      create_output("ConcatV2", {std::vector<Output>{before, last, between, moved}, Input(0)}, {}, scope.name());
  return perm;
}

Output softmax_along(std::string_view type, const Input& input, const SoftmaxOptions& o) {
  const SourceScope source(input);
  const Output logits = convert_to_tensor(input, DataType::kInvalid, "logits");
  const PartialTensorShape shape = logits.shape();
  const bool last = o.axis == -1 || (shape.has_rank() && o.axis == shape.rank() - 1);
  if (last) return create_output(type, {logits}, {}, o.name);
  if (!shape.has_rank()) raise(invalid_argument("softmax: an axis other than the last needs logits of known rank"));
  const int64_t axis = value_or_raise(canonical_axis(o.axis, shape.rank(), "softmax"));
  rank(logits);  // TF1 makes this node and does not use it
  const Output r = rank(logits);
  const Output swapped = transpose(logits, swap_with_last(logits, subtract(r, 1), axis));
  const Output result = create_output(type, {swapped});
  return transpose(result, swap_with_last(result, subtract(r, 1), axis), {.name = o.name});
}

Output softmax_cross_entropy(const Output& labels, const Output& logits, std::string_view scope_name) {
  const bool narrow = base_dtype(logits.dtype()) == float16 || base_dtype(logits.dtype()) == bfloat16;
  const Output precise = narrow ? cast(logits, float32) : logits;
  const Output precise_labels = cast(labels, base_dtype(precise.dtype()));
  const Output input_rank = rank(precise);
  const Output input_shape = shape_tensor(precise);
  const Output flat_logits = flatten_outer_dims(precise);
  const Output flat_labels = flatten_outer_dims(precise_labels);
  const Output cost = create_output("SoftmaxCrossEntropyWithLogits", {flat_logits, flat_labels}, {}, scope_name);
  const Output output_shape = slice_at(input_shape, int_vector({0}), subtract(input_rank, 1));
  const Output shaped = reshape(cost, output_shape);
  if (const PartialTensorShape s = logits.shape(); s.rank() > 0)
    shaped.set_shape(PartialTensorShape(s.dims().first(s.dims().size() - 1)));
  return narrow ? cast(shaped, base_dtype(logits.dtype())) : shaped;
}

void check_axis(const CrossEntropyOptions& o, const Output& logits) {
  if (o.axis != -1 && o.axis != logits.shape().rank() - 1) {
    raise(unimplemented("softmax_cross_entropy_with_logits: only the last axis is implemented, got axis ", o.axis,
                        "; transpose first"));
  }
}

}  // namespace

Output leaky_relu(const Input& features, const LeakyReluOptions& o) {
  const SourceScope source(features);
  const name_scope scope(name_or(o.name, "LeakyRelu"));
  return create_output("LeakyRelu", {convert_to_tensor(features, DataType::kInvalid, "features")}, {{"alpha", o.alpha}},
                       scope.name());
}

Output softmax(const Input& logits, const SoftmaxOptions& o) { return softmax_along("Softmax", logits, o); }
Output log_softmax(const Input& logits, const SoftmaxOptions& o) { return softmax_along("LogSoftmax", logits, o); }

Output bias_add(const Input& value, const Input& bias, const BiasAddOptions& o) {
  const SourceScope source(value);
  return create_output("BiasAdd", {value, bias}, {{"data_format", o.data_format}}, o.name);
}

Output xw_plus_b(const Input& x, const Input& weights, const Input& biases, const NameOptions& o) {
  const SourceScope source(x);
  const name_scope scope(name_or(o.name, "xw_plus_b"));
  return bias_add(matmul(x, weights), biases, {.name = scope.name()});
}

Output dropout(const Input& input, const DropoutOptions& o) {
  const SourceScope source(input);
  if (o.rate.has_value() == o.keep_prob.has_value())
    raise(invalid_argument("dropout: exactly one of rate and keep_prob must be given"));
  const double rate = o.rate ? *o.rate : 1 - *o.keep_prob;
  if (!(rate >= 0 && rate < 1))
    raise(invalid_argument("dropout: rate must be a value in the range [0, 1), got ", rate));
  const name_scope scope(name_or(o.name, "dropout"));
  const Output x = convert_to_tensor(input, DataType::kInvalid, "x");
  const DataType dtype = base_dtype(x.dtype());
  if (!is_floating(dtype))
    raise(invalid_argument("dropout: x must be of a floating type, since it is going to be scaled; got ",
                           dtype_name(dtype)));
  if (rate == 0) return x;
  const Output scaled = multiply(x, constant(1 / (1 - rate), {.dtype = dtype}));
  const Output noise_shape = o.noise_shape ? convert_to_tensor(o.noise_shape, int32) : shape_tensor(x);
  const Output uniform = random_uniform(noise_shape, {.dtype = dtype, .seed = o.seed});
  const Output keep = greater_equal(uniform, rate);
  const Output result = create_output("SelectV2", {keep, scaled, constant(0.0, {.dtype = dtype})});
  result.set_shape(x.shape());
  return result;
}

Output softmax_cross_entropy_with_logits(const Input& labels, const Input& logits, const CrossEntropyOptions& o) {
  const SourceScope source(logits);
  const name_scope scope(name_or(o.name, "softmax_cross_entropy_with_logits_sg"));
  const Output x = convert_to_tensor(logits, DataType::kInvalid, "logits");
  check_axis(o, x);
  const Output y =
      stop_gradient(convert_to_tensor(labels, DataType::kInvalid, "labels"), {.name = "labels_stop_gradient"});
  return softmax_cross_entropy(y, x, scope.name());
}

Output softmax_cross_entropy_with_logits_v2(const Input& labels, const Input& logits, const CrossEntropyOptions& o) {
  const SourceScope source(logits);
  const name_scope scope(name_or(o.name, "softmax_cross_entropy_with_logits"));
  const Output x = convert_to_tensor(logits, DataType::kInvalid, "logits");
  check_axis(o, x);
  return softmax_cross_entropy(convert_to_tensor(labels, DataType::kInvalid, "labels"), x, scope.name());
}

Output sparse_softmax_cross_entropy_with_logits(const Input& labels_input, const Input& logits_input,
                                                const NameOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.name, "SparseSoftmaxCrossEntropyWithLogits"));
  const Output labels = convert_to_tensor(labels_input);
  const Output logits = convert_to_tensor(logits_input);
  const bool narrow = base_dtype(logits.dtype()) == float16 || base_dtype(logits.dtype()) == bfloat16;
  const Output precise = narrow ? cast(logits, float32) : logits;
  const Output labels_shape = shape_tensor(labels);
  const PartialTensorShape ls = labels.shape(), xs = logits.shape();
  if (xs.has_rank() && xs.rank() == 0)
    raise(invalid_argument("sparse_softmax_cross_entropy_with_logits: logits cannot be scalars, received shape ", xs));
  if (ls.has_rank() && xs.has_rank() && ls.rank() != xs.rank() - 1) {
    raise(invalid_argument("sparse_softmax_cross_entropy_with_logits: Rank mismatch: rank of labels (received ",
                           ls.rank(), ") should equal rank of logits minus 1 (received ", xs.rank(), ")."));
  }
  if (xs.rank() == 2) {
    const Output cost = create_output("SparseSoftmaxCrossEntropyWithLogits", {precise, labels}, {}, o.name);
    return narrow ? cast(cost, base_dtype(logits.dtype())) : cost;
  }
  const Output classes = index(millrace::shape(logits), {IndexItem(-1)});
  const Output flat_labels = reshape(labels, int_vector({-1}));
  const Output flat_logits = reshape(precise, stack({constant(-1), classes}, {.name = "Reshape_1/shape"}));
  const Output cost = create_output("SparseSoftmaxCrossEntropyWithLogits", {flat_logits, flat_labels}, {}, o.name);
  const Output shaped = reshape(cost, labels_shape);
  shaped.set_shape(ls);
  return narrow ? cast(shaped, base_dtype(logits.dtype())) : shaped;
}

// max(x, 0) - x * z + log(1 + exp(-|x|)), without overflow
Output sigmoid_cross_entropy_with_logits(const Input& labels_input, const Input& logits_input, const NameOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.name, "logistic_loss"));
  const Output logits = convert_to_tensor(logits_input, DataType::kInvalid, "logits");
  const Output labels = convert_to_tensor(labels_input, base_dtype(logits.dtype()), "labels");
  if (!labels.shape().is_compatible_with(logits.shape())) {
    raise(invalid_argument("sigmoid_cross_entropy_with_logits: logits and labels must have the same shape (",
                           logits.shape(), " vs ", labels.shape(), ")"));
  }
  const Output zero = zeros_like(logits);
  const Output positive = greater_equal(logits, zero);
  const Output relu_logits = where(positive, logits, zero);
  const Output neg_abs_logits = where(positive, negative(logits), logits);
  return add(relu_logits - logits * labels, log1p(exp(neg_abs_logits)), {.name = scope.name()});
}

Output weighted_cross_entropy_with_logits(const Input& labels_input, const Input& logits_input, const Input& pos_weight,
                                          const NameOptions& o) {
  const SourceScope source(logits_input);
  const name_scope scope(name_or(o.name, "logistic_loss"));
  const Output logits = convert_to_tensor(logits_input, DataType::kInvalid, "logits");
  const Output labels = convert_to_tensor(labels_input, base_dtype(logits.dtype()), "labels");
  Output weight_minus_one;
  if (pos_weight.is_literal()) {
    const double weight = value_or_raise(cast_literal(pos_weight.literal(), float64)).scalar<double>();
    weight_minus_one = operator_ops::mul(weight - 1, labels);
  } else {
    weight_minus_one = operator_ops::mul(operator_ops::sub(pos_weight, 1), labels);
  }
  const Output log_weight = 1.0 + weight_minus_one;
  const Output first = (1.0 - labels) * logits;
  const Output second = log1p(exp(-millrace::abs(logits))) + relu(-logits);
  return add(first, log_weight * second, {.name = scope.name()});
}

Moments moments(const Input& input, const std::vector<int32_t>& axes, const MomentsOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "moments"));
  const Output x = convert_to_tensor(input);
  const bool narrow = base_dtype(x.dtype()) == float16;
  const Output y = narrow ? cast(x, float32) : x;
  Output mean = reduce_mean(y, axes, {.keepdims = true, .name = "mean"});
  Output variance =
      reduce_mean(squared_difference(y, stop_gradient(mean)), axes, {.keepdims = true, .name = "variance"});
  if (!o.keep_dims) {
    const std::vector<int64_t> dims(axes.begin(), axes.end());
    mean = squeeze(mean, {.axis = dims});
    variance = squeeze(variance, {.axis = dims});
  }
  if (narrow) return {cast(mean, float16), cast(variance, float16)};
  return {mean, variance};
}

Output batch_normalization(const Input& x, const Input& mean, const Input& variance, const Input& offset,
                           const Input& scale, double variance_epsilon, const NameOptions& o) {
  const SourceScope source(x);
  const name_scope scope(name_or(o.name, "batchnorm"));
  Output inv = rsqrt(operator_ops::add(variance, variance_epsilon));
  if (scale) inv = inv * scale;
  const Output scaled = operator_ops::mul(x, inv);
  const Output shift =
      offset ? operator_ops::sub(offset, operator_ops::mul(mean, inv)) : negative(operator_ops::mul(mean, inv));
  return scaled + shift;
}

Output l2_normalize(const Input& input, const IntList& axis, const L2NormalizeOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "l2_normalize"));
  const Output x = convert_to_tensor(input, DataType::kInvalid, "x");
  const Output square_sum = reduce_sum(square(x), axis, {.keepdims = true});
  const Output inverse_norm = rsqrt(maximum(square_sum, o.epsilon));
  return multiply(x, inverse_norm, {.name = scope.name()});
}

TopK top_k(const Input& input, const Input& k, const TopKOptions& o) {
  const SourceScope source(input);
  const Operation op = create_op("TopKV2", {input, k}, {{"sorted", o.sorted}}, o.name);
  return {op.output(0), op.output(1)};
}

Output in_top_k(const Input& predictions, const Input& targets, const Input& k, const NameOptions& o) {
  const SourceScope source(predictions);
  const name_scope scope(name_or(o.name, "in_top_k"));
  const Output p = convert_to_tensor(predictions), t = convert_to_tensor(targets);
  const Output count = k.is_literal() ? Output() : k.output();
  return create_output(
      "InTopKV2",
      {p, t, count ? Input(count) : Input(value_or_raise(cast_literal(k.literal(), base_dtype(t.dtype()))))});
}

Output embedding_lookup(const Input& params, const Input& ids, const NameOptions& o) {
  const SourceScope source(params);
  const name_scope scope(name_or(o.name, "embedding_lookup"));
  const Output table = convert_to_tensor(params);
  const Output rows = convert_to_tensor(ids, DataType::kInvalid, "ids");
  Output found;
  {
    const colocate_with colocated(table);
    found = create_output("GatherV2", {table, rows, convert_to_tensor(0, int32, "axis")}, {{"batch_dims", 0}},
                          scope.name());
  }
  return identity(found);
}

}  // namespace millrace::nn
