#include "ops/array_shapes.h"

#include "base/checked.h"

namespace millrace {

absl::StatusOr<std::optional<std::vector<int64_t>>> known_ints(ShapeContext& c, int i) {
  MR_ASSIGN_OR_RETURN(std::optional<std::vector<int64_t>> values, c.int_values(i));
  if (values) return values;
  const std::optional<PartialTensorShape>& partial = c.input_partial_value(i);
  if (partial && partial->is_fully_defined())
    return std::optional(std::vector<int64_t>(partial->dims().begin(), partial->dims().end()));
  return std::optional<std::vector<int64_t>>();
}

absl::StatusOr<std::optional<int64_t>> known_int(ShapeContext& c, int i) {
  MR_ASSIGN_OR_RETURN(const auto values, known_ints(c, i));
  if (!values) return std::optional<int64_t>();
  if (values->size() != 1) return invalid_argument("Input must be scalar but has ", values->size(), " elements");
  return std::optional(values->front());
}

std::optional<PartialTensorShape> known_partial(ShapeContext& c, int i) {
  const Tensor* value = c.value(i);
  if (value == nullptr || !value->has_value()) return c.input_partial_value(i);
  if (value->rank() > 1 || value->num_elements() > Dims::kMaxRank) return std::nullopt;
  if (value->dtype() != DataType::kInt32 && value->dtype() != DataType::kInt64) return std::nullopt;
  const auto values = c.int_values(i);
  if (!values.ok() || !*values) return std::nullopt;
  const auto shape = make_partial_shape(**values);
  return shape.ok() ? std::optional(*shape) : std::nullopt;
}

absl::StatusOr<int64_t> checked_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return invalid_argument("Shape must be at least rank ", axis >= 0 ? axis + 1 : -(axis + 1) + 1, " but is rank ",
                            rank, ": axis ", axis, " not in [", -rank, ", ", rank, ")");
  }
  return axis < 0 ? axis + rank : axis;
}

absl::Status identity_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    MR_RETURN_IF_ERROR(c.set_output(i, c.input(i)));
    if (const std::optional<PartialTensorShape> value = known_partial(c, i); value && value->is_fully_defined())
      c.set_partial_value(i, *value);
    const auto handle = c.handle(i);
    if (!handle.empty()) c.set_handle(i, {handle.begin(), handle.end()});
  }
  return absl::OkStatus();
}

std::vector<int64_t> to_dims(const PartialTensorShape& shape) { return {shape.dims().begin(), shape.dims().end()}; }

absl::StatusOr<int64_t> merge_dim(int64_t a, int64_t b) {
  if (a < 0) return b;
  if (b < 0 || a == b) return a;
  return invalid_argument("Dimensions must be equal, but are ", a, " and ", b);
}

int64_t multiply_dims(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  if (a < 0 || b < 0) return -1;
  return CheckedInt(a).operator*=(b).value_or(-1);
}

int64_t add_dims(int64_t a, int64_t b) {
  if (a < 0 || b < 0) return -1;
  return CheckedInt(a).operator+=(b).value_or(-1);
}

}  // namespace millrace
