#include "api/weights_broadcast.h"

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"

namespace millrace {
namespace {

constexpr std::string_view kPrefix = "weights can not be broadcast to values.";

// Each dimension of the weights is 1 or the values'. Only known while running.
Operation assert_dims(const Output& weights, const Output& values, const Output& weights_shape,
                      const Output& values_shape) {
  const Output same_rank = equal(rank(weights), rank(values));
  const Output scalar = equal(rank(weights), 0);
  const Output dims = create_output(
      "Slice", {create_output("Pad", {values_shape, Tensor(TensorShape({1, 2}), std::vector<int32_t>{0, 254})}),
                Tensor(TensorShape({1}), std::vector<int32_t>{0}),
                create_output("Pack", {std::vector<Output>{size(weights_shape)}}, {{"axis", 0}})});
  const Output fits = reduce_all(logical_or(equal(weights_shape, 1), equal(weights_shape, dims)));
  const Output ok = logical_or(scalar, logical_and(same_rank, fits));
  return create_op("Assert", {ok, std::vector<Output>{constant(std::string(kPrefix)), constant("weights.shape="),
                                                      weights_shape, constant("values.shape="), values_shape}});
}

}  // namespace

Operation assert_broadcastable(const Input& weights_input, const Input& values_input) {
  const name_scope scope("assert_broadcastable");
  const Output values = convert_to_tensor(values_input, DataType::kInvalid, "values");
  const Output weights = convert_to_tensor(weights_input, DataType::kInvalid, "weights");
  const Output weights_shape = shape_tensor(weights, int32, "weights/shape");
  rank(weights, {.name = "weights/rank"});  // TF1 makes the ranks in any case
  const Output values_shape = shape_tensor(values, int32, "values/shape");
  rank(values, {.name = "values/rank"});
  const PartialTensorShape ws = weights.shape(), vs = values.shape();
  if (ws.rank() == 0) return no_op({.name = "static_scalar_check_success"});
  if (ws.has_rank() && vs.has_rank()) {
    if (ws.rank() != vs.rank()) {
      raise(invalid_argument(kPrefix, " values.rank=", vs.rank(), ". weights.rank=", ws.rank(), ". values.shape=", vs,
                             ". weights.shape=", ws, "."));
    }
    if (ws.is_fully_defined() && vs.is_fully_defined()) {
      for (int i = 0; i < ws.rank(); ++i) {
        if (ws.dim(i) != 1 && ws.dim(i) != vs.dim(i)) {
          raise(invalid_argument(kPrefix, " Mismatch at dim ", i, ". values.shape=", vs, ". weights.shape=", ws, "."));
        }
      }
      return no_op({.name = "static_dims_check_success"});
    }
  }
  return assert_dims(weights, values, weights_shape, values_shape);
}

Output broadcast_weights(const Output& weights, const Output& values) {
  const name_scope scope("broadcast_weights");
  const PartialTensorShape ws = weights.shape(), vs = values.shape();
  if (ws.is_fully_defined() && vs.is_fully_defined() && ws == vs) return weights;
  const control_dependencies checked({assert_broadcastable(weights, values)});
  return multiply(weights, ones_like(values), {.name = scope.name()});
}

}  // namespace millrace
