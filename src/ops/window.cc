#include "ops/window.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "op/building.h"

namespace millrace {
namespace {

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();

absl::Status check_list(std::string_view op, std::string_view what, const std::vector<int64_t>& list, int rank) {
  if (static_cast<int>(list.size()) != rank) {
    return invalid_argument(op, " requires the ", what, " attribute to contain ", rank,
                            " values, but got: ", list.size());
  }
  for (const int64_t v : list) {
    if (v < std::numeric_limits<int32_t>::min() || v > kMaxInt32)
      return invalid_argument("Attr ", what, " has value ", v, " out of range for an int32");
  }
  return absl::OkStatus();
}

absl::Status check_at_least_one(std::string_view text, const std::vector<int64_t>& list) {
  for (const int64_t v : list)
    if (v < 1) return invalid_argument(text, v);
  return absl::OkStatus();
}

absl::Status check_explicit_paddings(const WindowAttrs& a) {
  const std::vector<int64_t>& p = a.explicit_paddings;
  if (a.padding != Padding::kExplicit) {
    if (p.empty()) return absl::OkStatus();
    return invalid_argument("explicit_paddings attribute must be empty if the padding attribute is not EXPLICIT");
  }
  if (static_cast<int>(p.size()) != 2 * a.rank()) {
    return invalid_argument("explicit_paddings attribute must contain ", 2 * a.rank(), " values, but got: ", p.size());
  }
  for (const int64_t v : p) {
    if (v < 0) return invalid_argument("All elements of explicit_paddings must be nonnegative");
    if (v > kMaxInt32) return invalid_argument("Attr explicit_paddings has value ", v, " out of range for an int32");
  }
  for (const int d : {0, a.channel()}) {
    if (p[static_cast<size_t>(2 * d)] != 0 || p[static_cast<size_t>(2 * d + 1)] != 0)
      return invalid_argument("Nonzero explicit padding in the batch or depth dimensions is not supported");
  }
  return absl::OkStatus();
}

absl::StatusOr<Padding> padding_of(std::string_view name) {
  if (name == "VALID") return Padding::kValid;
  if (name == "SAME") return Padding::kSame;
  if (name == "EXPLICIT") return Padding::kExplicit;
  return invalid_argument("Unknown padding type: ", name);
}

// The list attribute, or `otherwise` where the op has none.
absl::StatusOr<std::vector<int64_t>> list_attr(const NodeInfo& node, std::string_view name,
                                               std::vector<int64_t> otherwise) {
  if (!node.attrs.contains(name)) return otherwise;
  return get_attr<std::vector<int64_t>>(node, name);
}

}  // namespace

absl::StatusOr<WindowAttrs> window_attrs(const NodeInfo& node) {
  WindowAttrs a;
  if (node.attrs.contains("data_format")) {
    MR_ASSIGN_OR_RETURN(const std::string format, get_attr<std::string>(node, "data_format"));
    constexpr std::string_view kFormats[] = {"NHWC", "NCHW", "NDHWC", "NCDHW"};
    if (std::ranges::find(kFormats, format) == std::end(kFormats))
      return invalid_argument(node.op, ": data_format ", format, " is not supported on CPU");
    a.spatial = static_cast<int>(format.size()) - 2;
    a.channels_first = format[1] == 'C';
  }
  MR_ASSIGN_OR_RETURN(const std::string padding, get_attr<std::string>(node, "padding"));
  MR_ASSIGN_OR_RETURN(a.padding, padding_of(padding));
  const std::vector<int64_t> ones(static_cast<size_t>(a.rank()), 1);
  MR_ASSIGN_OR_RETURN(a.strides, list_attr(node, "strides", ones));
  MR_ASSIGN_OR_RETURN(a.dilations, list_attr(node, "dilations", ones));
  MR_ASSIGN_OR_RETURN(a.explicit_paddings, list_attr(node, "explicit_paddings", {}));
  if (node.attrs.contains("ksize")) {
    MR_ASSIGN_OR_RETURN(a.window, get_attr<std::vector<int64_t>>(node, "ksize"));
    MR_RETURN_IF_ERROR(check_list(node.op, "ksize", a.window, a.rank()));
    MR_RETURN_IF_ERROR(check_at_least_one("Sliding window ksize must be positive, but got ", a.window));
  }
  MR_RETURN_IF_ERROR(check_list(node.op, "strides", a.strides, a.rank()));
  MR_RETURN_IF_ERROR(check_list(node.op, "dilations", a.dilations, a.rank()));
  MR_RETURN_IF_ERROR(check_at_least_one("Stride must be > 0, but got ", a.strides));
  MR_RETURN_IF_ERROR(check_at_least_one("Dilation rate must be >= 1, but got ", a.dilations));
  MR_RETURN_IF_ERROR(check_explicit_paddings(a));
  return a;
}

absl::Status set_window(std::string_view op, std::vector<int64_t> window, std::vector<int64_t> strides,
                        WindowAttrs* a) {
  if (static_cast<int>(window.size()) != a->rank())
    return invalid_argument(op, ": ksize must be a vector of ", a->rank(), " elements, got ", window.size());
  if (static_cast<int>(strides.size()) != a->rank())
    return invalid_argument(op, ": strides must be a vector of ", a->rank(), " elements, got ", strides.size());
  MR_RETURN_IF_ERROR(check_at_least_one("Sliding window ksize must be positive, but got ", window));
  MR_RETURN_IF_ERROR(check_at_least_one("Stride must be > 0, but got ", strides));
  a->window = std::move(window);
  a->strides = std::move(strides);
  return absl::OkStatus();
}

absl::Status check_kernel_can(const NodeInfo& node, const WindowAttrs& a) {
  const auto reaches = [&](const std::vector<int64_t>& list) {
    return !list.empty() && (list[0] != 1 || list[static_cast<size_t>(a.channel())] != 1);
  };
  if (reaches(a.strides))
    return unimplemented(node.op, ": strides in the batch and depth dimensions are not supported");
  if (reaches(a.dilations))
    return unimplemented(node.op, ": dilations in the batch and depth dimensions are not supported");
  if (reaches(a.window))
    return unimplemented(node.op, ": pooling over the batch and depth dimensions is not supported");
  return absl::OkStatus();
}

absl::StatusOr<WindowDim> place_window(const WindowAttrs& a, int i, int64_t input, int64_t window) {
  const auto d = static_cast<size_t>(a.dim(i));
  WindowDim w{.input = input, .window = window, .stride = a.strides[d], .dilation = a.dilations[d]};
  const CheckedInt reach = (CheckedInt(window) - 1) * w.dilation + 1;
  CheckedInt steps = reach;  // what `output` is computed from, so that the sums below do not overflow
  if (a.padding == Padding::kExplicit) {
    w.pad_before = a.explicit_paddings[2 * d];
    w.pad_after = a.explicit_paddings[2 * d + 1];
  }
  steps += CheckedInt(input) + w.pad_before + w.pad_after + w.stride;
  if (!steps.valid_and_at_most(std::numeric_limits<int64_t>::max() / 4))
    return invalid_argument("Window of size ", window, " on an input of size ", input, " is too large");
  if (a.padding == Padding::kSame) {
    w.output = (input + w.stride - 1) / w.stride;
    const int64_t total = std::max<int64_t>(0, (w.output - 1) * w.stride + reach.value() - input);
    w.pad_before = total / 2;
    w.pad_after = total - w.pad_before;
  } else {
    w.output = (input + w.pad_before + w.pad_after - reach.value() + w.stride) / w.stride;
  }
  if (w.output < 0) {
    return invalid_argument("Computed output size would be negative: ", w.output, " [input_size: ", input,
                            ", effective_filter_size: ", reach.value(), ", stride: ", w.stride, "]");
  }
  return w;
}

absl::StatusOr<int64_t> output_size(const WindowAttrs& a, int i, int64_t input, int64_t window) {
  if (a.padding == Padding::kSame && input >= 0 && window < 0) window = 1;  // the window plays no part
  if (input < 0 || window < 0) return int64_t{-1};
  MR_ASSIGN_OR_RETURN(const WindowDim w, place_window(a, i, input, window));
  const int64_t reach = (window - 1) * w.dilation + 1, room = input + w.pad_before + w.pad_after;
  if (is_building_node() && a.padding != Padding::kSame && room < reach)
    return invalid_argument("Negative dimension size caused by subtracting ", reach, " from ", room);
  return w.output;
}

AttrMap copied_attrs(const NodeInfo& node, std::initializer_list<std::string_view> names) {
  AttrMap attrs;
  for (const std::string_view name : names)
    if (const auto it = node.attrs.find(name); it != node.attrs.end()) attrs.emplace(it->first, it->second);
  return attrs;
}

}  // namespace millrace
