#include "op/shape_context.h"

namespace millrace {
namespace {

const PartialTensorShape& unknown() {
  static const PartialTensorShape shape{};
  return shape;
}

// "Shape must be rank 2 but is rank 1 for 'MatMul' (op: 'MatMul') with input shapes: [3], [3,4]."
std::string for_node(const NodeInfo& node, const std::vector<PartialTensorShape>& inputs) {
  std::string text = str_cat(" for '", node.name, "' (op: '", node.op, "') with input shapes: ");
  for (size_t i = 0; i < inputs.size(); ++i) str_append(&text, i ? ", " : "", inputs[i]);
  return text + ".";
}

template <class T> void append_ints(const Tensor& t, std::vector<int64_t>* out) {
  for (const T v : t.unchecked<T>()) out->push_back(static_cast<int64_t>(v));
}

}  // namespace

ShapeContext::ShapeContext(const NodeInfo& node, std::vector<PartialTensorShape> inputs,
                           std::vector<const Tensor*> values,
                           std::vector<std::optional<PartialTensorShape>> partial_values,
                           std::vector<std::vector<HandleType>> handles)
    : node_(node),
      inputs_(std::move(inputs)),
      values_(std::move(values)),
      partial_values_(std::move(partial_values)),
      handles_(std::move(handles)),
      outputs_(node.output_types.size()),
      partial_outputs_(node.output_types.size()),
      output_handles_(node.output_types.size()) {}

const PartialTensorShape& ShapeContext::input(int i) const {
  return i >= 0 && i < num_inputs() ? inputs_[static_cast<size_t>(i)] : unknown();
}

absl::StatusOr<PartialTensorShape> ShapeContext::with_rank(int i, int rank) const {
  const PartialTensorShape& shape = input(i);
  if (!shape.has_rank()) return unknown_shape_of_rank(rank);
  if (shape.rank() != rank) {
    return invalid_argument("Shape must be rank ", rank, " but is rank ", shape.rank(), for_node(node_, inputs_));
  }
  return shape;
}

absl::StatusOr<PartialTensorShape> ShapeContext::with_rank_at_least(int i, int rank) const {
  const PartialTensorShape& shape = input(i);
  if (shape.has_rank() && shape.rank() < rank) {
    return invalid_argument("Shape must be at least rank ", rank, " but is rank ", shape.rank(),
                            for_node(node_, inputs_));
  }
  return shape;
}

absl::StatusOr<PartialTensorShape> ShapeContext::with_rank_at_most(int i, int rank) const {
  const PartialTensorShape& shape = input(i);
  if (shape.has_rank() && shape.rank() > rank) {
    return invalid_argument("Shape must be at most rank ", rank, " but is rank ", shape.rank(),
                            for_node(node_, inputs_));
  }
  return shape;
}

const Tensor* ShapeContext::value(int i) const {
  return i >= 0 && static_cast<size_t>(i) < values_.size() ? values_[static_cast<size_t>(i)] : nullptr;
}

const std::optional<PartialTensorShape>& ShapeContext::input_partial_value(int i) const {
  static const std::optional<PartialTensorShape> none;
  return i >= 0 && static_cast<size_t>(i) < partial_values_.size() ? partial_values_[static_cast<size_t>(i)] : none;
}

absl::StatusOr<std::optional<std::vector<int64_t>>> ShapeContext::int_values(int i) const {
  const Tensor* t = value(i);
  if (t == nullptr || !t->has_value()) return std::optional<std::vector<int64_t>>();
  std::vector<int64_t> out;
  switch (t->dtype()) {
    case DataType::kInt32: append_ints<int32_t>(*t, &out); break;
    case DataType::kInt64: append_ints<int64_t>(*t, &out); break;
    case DataType::kInt16: append_ints<int16_t>(*t, &out); break;
    case DataType::kUint8: append_ints<uint8_t>(*t, &out); break;
    default:
      return invalid_argument("input ", i, " of '", node_.name, "' must hold integers, holds ", dtype_name(t->dtype()));
  }
  return std::optional(std::move(out));
}

absl::StatusOr<std::optional<int64_t>> ShapeContext::int_scalar(int i) const {
  MR_ASSIGN_OR_RETURN(const auto values, int_values(i));
  if (!values) return std::optional<int64_t>();
  if (values->size() != 1) {
    return invalid_argument("Input ", i, " must be a scalar but has ", values->size(), " elements",
                            for_node(node_, inputs_));
  }
  return std::optional((*values)[0]);
}

absl::StatusOr<PartialTensorShape> ShapeContext::as_shape(int i) const {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, with_rank(i, 1));
  // Not moved out of its StatusOr: g++ 12 then warns of an optional that it thinks uninitialized.
  const auto values = int_values(i);
  if (!values.ok()) return values.status();
  if (values->has_value()) {
    if (absl::StatusOr<PartialTensorShape> shape = make_partial_shape(**values); shape.ok()) return shape;
    else return invalid_argument(to_std(shape.status().message()), for_node(node_, inputs_));
  }
  if (const auto& partial = input_partial_value(i)) return *partial;
  const int64_t length = vector.dim(0);
  if (length < 0) return PartialTensorShape();
  if (length > Dims::kMaxRank)
    return invalid_argument("a shape of ", length, " dimensions is too large", for_node(node_, inputs_));
  return unknown_shape_of_rank(static_cast<int>(length));
}

absl::Status ShapeContext::set_output(int i, PartialTensorShape shape) {
  outputs_.at(static_cast<size_t>(i)) = std::move(shape);
  return absl::OkStatus();
}

absl::Status ShapeContext::set_output(int i, absl::StatusOr<PartialTensorShape> shape) {
  if (!shape.ok()) {
    const std::string_view message = to_std(shape.status().message());
    if (message.find("for '") != std::string_view::npos) return shape.status();
    return absl::Status(shape.status().code(), str_cat(message, for_node(node_, inputs_)));
  }
  return set_output(i, *std::move(shape));
}

void ShapeContext::set_partial_value(int i, PartialTensorShape value) {
  partial_outputs_.at(static_cast<size_t>(i)) = std::move(value);
}

std::span<const HandleType> ShapeContext::handle(int i) const {
  if (i < 0 || static_cast<size_t>(i) >= handles_.size()) return {};
  return handles_[static_cast<size_t>(i)];
}

absl::Status unchanged_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, c.input(0)));
  return absl::OkStatus();
}

absl::Status scalar_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, PartialTensorShape::scalar()));
  return absl::OkStatus();
}

absl::Status no_outputs(ShapeContext&) { return absl::OkStatus(); }

absl::Status unknown_shapes(ShapeContext&) { return absl::OkStatus(); }

absl::Status broadcast_shape(ShapeContext& c) { return c.set_output(0, broadcast(c.input(0), c.input(1))); }

absl::Status merged_shape(ShapeContext& c) {
  PartialTensorShape shape;
  for (int i = 0; i < c.num_inputs(); ++i) {
    absl::StatusOr<PartialTensorShape> merged = merge(shape, c.input(i));
    if (!merged.ok()) return c.set_output(0, std::move(merged));
    shape = *std::move(merged);
  }
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, shape));
  return absl::OkStatus();
}

}  // namespace millrace
