#include "autodiff/slices.h"

#include <algorithm>

#include "graph/op_maker.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

absl::StatusOr<Output> vector_const(GraphImpl& graph, int32_t value, std::string_view name, const std::string& source) {
  const std::vector<int32_t> values{value};
  MR_ASSIGN_OR_RETURN(const Tensor tensor, make_vector<int32_t>(values));
  return make_const(graph, tensor, name, source);
}

absl::StatusOr<Output> first_element(GraphImpl& graph, const Output& vector, const std::string& source) {
  const NameScope scope(graph, "strided_slice");
  MR_ASSIGN_OR_RETURN(const Output begin, vector_const(graph, 0, "stack", source));
  MR_ASSIGN_OR_RETURN(const Output end, vector_const(graph, 1, "stack_1", source));
  MR_ASSIGN_OR_RETURN(const Output stride, vector_const(graph, 1, "stack_2", source));
  MR_ASSIGN_OR_RETURN(Node * node, make_op(graph, {.type = "StridedSlice",
                                                   .args = {vector, begin, end, stride},
                                                   .attrs = {{"shrink_axis_mask", int64_t{1}}},
                                                   .name = scope.name(),
                                                   .source = source}));
  return node->output(0);
}

absl::StatusOr<Output> concat(GraphImpl& graph, const std::vector<Output>& values, const std::string& source) {
  const NameScope scope(graph, "concat");
  MR_ASSIGN_OR_RETURN(const Tensor zero, make_scalar<int32_t>(0));
  MR_ASSIGN_OR_RETURN(const Output axis, make_const(graph, zero, "axis", source));
  MR_ASSIGN_OR_RETURN(
      Node * node,
      make_op(graph, {.type = "ConcatV2", .args = {values, axis}, .name = scope.name(), .source = source}));
  return node->output(0);
}

// Indices of one width: int64 if they differ.
absl::Status widen_indices(GraphImpl& graph, std::vector<IndexedSlices>* slices, const std::string& source) {
  const auto is_wide = [](const IndexedSlices& s) { return s.indices.dtype() == DataType::kInt64; };
  if (std::all_of(slices->begin(), slices->end(), is_wide) || std::none_of(slices->begin(), slices->end(), is_wide))
    return absl::OkStatus();
  for (IndexedSlices& s : *slices) {
    if (is_wide(s)) continue;
    MR_ASSIGN_OR_RETURN(
        Node * cast,
        make_op(graph, {.type = "Cast", .args = {s.indices}, .attrs = {{"DstT", DataType::kInt64}}, .source = source}));
    s.indices = cast->output(0);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Output> dense_form(GraphImpl& graph, const IndexedSlices& slices, std::string_view name,
                                  const std::string& source) {
  if (!slices.dense_shape)
    return invalid_argument("Tensor conversion requested for IndexedSlices without dense_shape: ",
                            slices.values.name());
  MR_ASSIGN_OR_RETURN(const Output rows, first_element(graph, slices.dense_shape, source));
  MR_ASSIGN_OR_RETURN(Node * node, make_op(graph, {.type = "UnsortedSegmentSum",
                                                   .args = {slices.values, slices.indices, rows},
                                                   .name = name,
                                                   .source = source}));
  return node->output(0);
}

absl::StatusOr<Gradient> sum_of_slices(GraphImpl& graph, const std::vector<Gradient>& parts,
                                       const std::string& source) {
  if (std::any_of(parts.begin(), parts.end(), [](const Gradient& g) { return !g.is_slices(); })) {
    const NameScope scope(graph, "AddN");
    std::vector<Output> dense;
    for (size_t i = 0; i < parts.size(); ++i) {
      Output value = parts[i].dense();
      if (parts[i].is_slices()) {
        MR_ASSIGN_OR_RETURN(value, dense_form(graph, parts[i].slices(), str_cat("inputs_", i), source));
      }
      dense.push_back(value);
    }
    MR_ASSIGN_OR_RETURN(Node * node,
                        make_op(graph, {.type = "AddN", .args = {dense}, .name = scope.name(), .source = source}));
    return Gradient(node->output(0));
  }
  std::vector<IndexedSlices> slices;
  for (const Gradient& part : parts) slices.push_back(part.slices());
  MR_RETURN_IF_ERROR(widen_indices(graph, &slices, source));
  std::vector<Output> values, indices;
  for (const IndexedSlices& s : slices) {
    values.push_back(s.values);
    indices.push_back(s.indices);
  }
  IndexedSlices result;
  MR_ASSIGN_OR_RETURN(result.values, concat(graph, values, source));
  MR_ASSIGN_OR_RETURN(result.indices, concat(graph, indices, source));
  result.dense_shape = slices[0].dense_shape;
  return Gradient(std::move(result));
}

absl::StatusOr<Output> densify(GraphImpl& graph, const IndexedSlices& slices) {
  return dense_form(graph, slices, {}, {});
}

}  // namespace millrace
