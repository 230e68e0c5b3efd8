#include "ops/einsum_equation.h"

#include <algorithm>

namespace millrace {
namespace {

absl::StatusOr<std::string> parse_subscripts(std::string_view text) {
  std::string subscripts;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.') {
      if (text.substr(i, 3) != "...") return invalid_argument("Invalid ellipsis in subscripts: ", text);
      if (subscripts.find('.') != std::string::npos)
        return invalid_argument("More than one ellipsis in subscripts: ", text);
      i += 2;
    } else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
      return invalid_argument("Invalid character in subscripts: ", text);
    }
    subscripts += c;
  }
  return subscripts;
}

// The labels of a tensor whose ellipsis stands for `broadcast` dimensions.
EinsumLabels labels_of(const std::string& subscripts, int broadcast) {
  EinsumLabels labels;
  for (const char c : subscripts) {
    if (c != '.') labels.push_back(c);
    else
      for (int d = broadcast; d-- > 0;) labels.push_back(kEinsumBroadcast + d);
  }
  return labels;
}

absl::Status merge_size(int label, int64_t size, const PartialTensorShape& shape, int64_t& known) {
  if (size < 0) return absl::OkStatus();
  const bool may_broadcast = label >= kEinsumBroadcast;
  if (known < 0 || (may_broadcast && known == 1)) known = size;
  else if (size != known && !(may_broadcast && size == 1))
    return invalid_argument("Expected dimension ", known, " in the input shaped ", shape, " but got dimension ", size);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EinsumEquation> parse_einsum(std::string_view equation) {
  const size_t arrow = equation.find("->");
  if (arrow == std::string_view::npos || equation.find("->", arrow + 2) != std::string_view::npos)
    return invalid_argument("Expecting exactly one '->' in einsum equation: ", equation);
  EinsumEquation parsed;
  for (std::string_view left = equation.substr(0, arrow);;) {
    const size_t comma = left.find(',');
    MR_ASSIGN_OR_RETURN(std::string subscripts, parse_subscripts(left.substr(0, comma)));
    parsed.inputs.push_back(std::move(subscripts));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  if (parsed.inputs.size() > 2)
    return invalid_argument("Expecting 1 or 2 input subscripts in equation '", equation,
                            "' but got: ", parsed.inputs.size());
  MR_ASSIGN_OR_RETURN(parsed.output, parse_subscripts(equation.substr(arrow + 2)));
  for (const char c : parsed.output) {
    if (std::ranges::none_of(parsed.inputs, [&](const std::string& s) { return s.find(c) != std::string::npos; }))
      return invalid_argument("Label '", std::string(1, c),
                              "' of the output is in no input of einsum equation: ", equation);
  }
  return parsed;
}

absl::StatusOr<EinsumLayout> lay_out_einsum(const EinsumEquation& equation,
                                            const std::vector<PartialTensorShape>& shapes) {
  if (shapes.size() != equation.inputs.size())
    return invalid_argument("Expected ", equation.inputs.size(), " inputs but got: ", shapes.size());
  EinsumLayout layout;
  int broadcast = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const std::string& subscripts = equation.inputs[i];
    const bool ellipsis = subscripts.find('.') != std::string::npos;
    const int letters = static_cast<int>(subscripts.size()) - (ellipsis ? 1 : 0), spare = shapes[i].rank() - letters;
    if (spare < 0 || (spare > 0 && !ellipsis))
      return invalid_argument("Expected input ", i, " to have rank ", ellipsis ? "at least " : "", letters,
                              " but got: ", shapes[i].rank());
    layout.inputs.push_back(labels_of(subscripts, spare));
    broadcast = std::max(broadcast, spare);
  }
  layout.output = labels_of(equation.output, broadcast);
  layout.sizes.assign(static_cast<size_t>(kEinsumBroadcast + broadcast), -1);
  for (size_t i = 0; i < shapes.size(); ++i) {
    for (size_t d = 0; d < layout.inputs[i].size(); ++d) {
      const int label = layout.inputs[i][d];
      MR_RETURN_IF_ERROR(
          merge_size(label, shapes[i].dim(static_cast<int>(d)), shapes[i], layout.sizes[static_cast<size_t>(label)]));
    }
  }
  return layout;
}

}  // namespace millrace
