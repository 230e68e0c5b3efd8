#include "graph/constant_value.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <numeric>

#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr int64_t kMaxElements = 4096;

bool is_index_type(DataType dtype) {
  return dtype == DataType::kInt32 || dtype == DataType::kInt64 || dtype == DataType::kBool;
}

using Ints = std::vector<int64_t>;

std::optional<Ints> ints_of(const Tensor* tensor) {
  if (!tensor || tensor->num_elements() > kMaxElements) return std::nullopt;
  switch (tensor->dtype()) {
    case DataType::kInt32: {
      const auto v = tensor->unchecked<int32_t>();
      return Ints(v.begin(), v.end());
    }
    case DataType::kInt64: {
      const auto v = tensor->unchecked<int64_t>();
      return Ints(v.begin(), v.end());
    }
    case DataType::kBool: {
      const auto v = tensor->unchecked<bool>();
      return Ints(v.begin(), v.end());
    }
    default: return std::nullopt;
  }
}

// Null where the values do not fit the dtype or the shape.
std::shared_ptr<const Tensor> tensor_of(const Ints& values, DataType dtype, const TensorShape& shape) {
  if (shape.num_elements() != static_cast<int64_t>(values.size())) return nullptr;
  absl::StatusOr<Tensor> tensor = make_tensor(dtype, shape);
  if (!tensor.ok()) return nullptr;
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DataType::kInt32) {
      if (values[i] != static_cast<int32_t>(values[i])) return nullptr;
      tensor->unchecked_mutable<int32_t>()[i] = static_cast<int32_t>(values[i]);
    } else if (dtype == DataType::kInt64) {
      tensor->unchecked_mutable<int64_t>()[i] = values[i];
    } else if (dtype == DataType::kBool) {
      tensor->unchecked_mutable<bool>()[i] = values[i] != 0;
    } else {
      return nullptr;
    }
  }
  return std::make_shared<const Tensor>(*std::move(tensor));
}

const Tensor* input_constant(const Node& node, int i) {
  const Output& input = node.input(i);
  return input ? input.node()->constant_value(input.index()) : nullptr;
}
std::optional<Ints> input_ints(const Node& node, int i) {
  return i < node.num_inputs() ? ints_of(input_constant(node, i)) : std::nullopt;
}
PartialTensorShape input_shape(const Node& node, int i) {
  return node.input(i) ? node.input(i).shape() : PartialTensorShape();
}

int64_t int_attr(const Node& node, std::string_view name) {
  const AttrValue* attr = node.find_attr(name);
  const int64_t* value = attr ? attr->get<int64_t>() : nullptr;
  return value ? *value : 0;
}

// ---- elementwise arithmetic on integers, with scalars repeated

using Binary = std::optional<int64_t> (*)(int64_t, int64_t);

template <class F> std::optional<int64_t> checked(F f, int64_t a, int64_t b) {
  int64_t r;
  return f(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
}
std::optional<int64_t> add(int64_t a, int64_t b) {
  return checked([](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); }, a, b);
}
std::optional<int64_t> sub(int64_t a, int64_t b) {
  return checked([](int64_t x, int64_t y, int64_t* r) { return __builtin_sub_overflow(x, y, r); }, a, b);
}
std::optional<int64_t> mul(int64_t a, int64_t b) {
  return checked([](int64_t x, int64_t y, int64_t* r) { return __builtin_mul_overflow(x, y, r); }, a, b);
}
std::optional<int64_t> floor_div(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) return std::nullopt;
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
std::optional<int64_t> floor_mod(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return b == 0 ? std::nullopt : std::optional<int64_t>(0);
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
std::optional<int64_t> maximum(int64_t a, int64_t b) { return std::max(a, b); }
std::optional<int64_t> minimum(int64_t a, int64_t b) { return std::min(a, b); }
std::optional<int64_t> equal(int64_t a, int64_t b) { return a == b; }
std::optional<int64_t> not_equal(int64_t a, int64_t b) { return a != b; }

struct NamedBinary {
  std::string_view op;
  Binary function;
};
constexpr std::array kBinaries = {
    NamedBinary{"Add", add},           NamedBinary{"AddV2", add},          NamedBinary{"Sub", sub},
    NamedBinary{"Mul", mul},           NamedBinary{"FloorDiv", floor_div}, NamedBinary{"FloorMod", floor_mod},
    NamedBinary{"Maximum", maximum},   NamedBinary{"Minimum", minimum},    NamedBinary{"Equal", equal},
    NamedBinary{"NotEqual", not_equal}};

std::optional<Ints> fold_binary(const Node& node) {
  const auto it =
      std::find_if(kBinaries.begin(), kBinaries.end(), [&](const NamedBinary& b) { return b.op == node.op(); });
  if (it == kBinaries.end()) return std::nullopt;
  const std::optional<Ints> a = input_ints(node, 0), b = input_ints(node, 1);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return std::nullopt;
  if (a->size() != 1 && b->size() != 1 && !(input_shape(node, 0) == input_shape(node, 1))) return std::nullopt;
  const size_t n = a->size() == 1 ? b->size() : a->size();
  Ints out(n);
  for (size_t i = 0; i < n; ++i) {
    const std::optional<int64_t> r = it->function((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]);
    if (!r) return std::nullopt;
    out[i] = *r;
  }
  return out;
}

// ---- vectors

std::optional<Ints> fold_range(const Node& node) {
  const auto start = input_ints(node, 0), limit = input_ints(node, 1), delta = input_ints(node, 2);
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 || delta->size() != 1 || (*delta)[0] == 0)
    return std::nullopt;
  Ints out;
  const int64_t step = (*delta)[0];
  for (int64_t v = (*start)[0]; step > 0 ? v < (*limit)[0] : v > (*limit)[0];) {
    if (out.size() >= kMaxElements) return std::nullopt;
    out.push_back(v);
    if (__builtin_add_overflow(v, step, &v)) break;
  }
  return out;
}

std::optional<Ints> fold_joined(const Node& node, int first, int count) {
  Ints out;
  for (int i = first; i < first + count; ++i) {
    const std::optional<Ints> part = input_ints(node, i);
    if (!part || input_shape(node, i).rank() > 1 || out.size() + part->size() > kMaxElements) return std::nullopt;
    out.insert(out.end(), part->begin(), part->end());
  }
  return out;
}

// x[begin:end:stride] or x[i] of a vector; nothing for other forms.
template <class T> std::optional<std::vector<T>> strided(const Node& node, const std::vector<T>& x) {
  const auto begin = input_ints(node, 1), end = input_ints(node, 2), stride = input_ints(node, 3);
  if (!begin || !stride || begin->size() != 1 || stride->size() != 1) return std::nullopt;
  if (int_attr(node, "ellipsis_mask") != 0 || int_attr(node, "new_axis_mask") != 0) return std::nullopt;
  const int64_t n = static_cast<int64_t>(x.size()), s = (*stride)[0];
  if (s == 0 || s == std::numeric_limits<int64_t>::min()) return std::nullopt;
  const auto canonical = [n](int64_t i) { return i < 0 ? i + n : i; };
  if (int_attr(node, "shrink_axis_mask") & 1) {
    const int64_t i = canonical((*begin)[0]);
    if (i < 0 || i >= n) return std::nullopt;
    return std::vector<T>{x[static_cast<size_t>(i)]};
  }
  const bool open_end = int_attr(node, "end_mask") & 1;
  if (!open_end && (!end || end->size() != 1)) return std::nullopt;
  const int64_t low = s > 0 ? 0 : -1, high = s > 0 ? n : n - 1;
  const int64_t from =
      int_attr(node, "begin_mask") & 1 ? (s > 0 ? 0 : n - 1) : std::clamp(canonical((*begin)[0]), low, high);
  const int64_t to = open_end ? (s > 0 ? n : -1) : std::clamp(canonical((*end)[0]), low, high);
  std::vector<T> out;
  for (int64_t i = from; s > 0 ? i < to : i > to; i += s) {
    out.push_back(x[static_cast<size_t>(i)]);
    if (s > n || s < -n) break;
  }
  return out;
}

std::optional<Ints> fold_gather(const Node& node) {
  const auto params = input_ints(node, 0), indices = input_ints(node, 1);
  if (!params || !indices || input_shape(node, 0).rank() != 1) return std::nullopt;
  if (node.num_inputs() > 2 && input_ints(node, 2) != Ints{0}) return std::nullopt;
  Ints out;
  for (const int64_t i : *indices) {
    if (i < 0 || i >= static_cast<int64_t>(params->size())) return std::nullopt;
    out.push_back((*params)[static_cast<size_t>(i)]);
  }
  return out;
}

// A reduction of all elements to one.
std::optional<Ints> fold_reduction(const Node& node) {
  const auto x = input_ints(node, 0), axes = input_ints(node, 1);
  if (!x || !axes) return std::nullopt;
  const int rank = input_shape(node, 0).rank();
  if (rank > 1 || (rank == 1 && (axes->size() != 1 || ((*axes)[0] != 0 && (*axes)[0] != -1)))) return std::nullopt;
  if (rank == 0) return x;
  const bool prod = node.op() == "Prod";
  if (!prod && node.op() != "Sum" && x->empty()) return std::nullopt;
  std::optional<int64_t> r = prod ? 1 : node.op() == "Sum" ? 0 : (*x)[0];
  for (const int64_t v : *x) {
    r = prod ? mul(*r, v) : node.op() == "Sum" ? add(*r, v) : node.op() == "Max" ? std::max(*r, v) : std::min(*r, v);
    if (!r) return std::nullopt;
  }
  return Ints{*r};
}

// x without the elements of y.
std::optional<Ints> fold_list_diff(const Node& node) {
  const auto x = input_ints(node, 0), y = input_ints(node, 1);
  if (!x || !y || x->size() * y->size() > kMaxElements * 16) return std::nullopt;
  Ints out;
  for (const int64_t v : *x)
    if (std::find(y->begin(), y->end(), v) == y->end()) out.push_back(v);
  return out;
}

std::optional<Ints> fold_inverse_permutation(const Node& node) {
  const auto x = input_ints(node, 0);
  if (!x) return std::nullopt;
  Ints out(x->size(), -1);
  for (size_t i = 0; i < x->size(); ++i) {
    const int64_t v = (*x)[i];
    if (v < 0 || v >= static_cast<int64_t>(x->size()) || out[static_cast<size_t>(v)] != -1) return std::nullopt;
    out[static_cast<size_t>(v)] = static_cast<int64_t>(i);
  }
  return out;
}

std::optional<Ints> fold_ints(const Node& node, int output) {
  const std::string& op = node.op();
  if (op == "Shape" || op == "ShapeN") {
    const PartialTensorShape shape = input_shape(node, output);
    if (!shape.is_fully_defined()) return std::nullopt;
    return Ints(shape.dims().begin(), shape.dims().end());
  }
  if (op == "Size") {
    const PartialTensorShape shape = input_shape(node, 0);
    return shape.is_fully_defined() && shape.num_elements() >= 0 ? std::optional(Ints{shape.num_elements()})
                                                                 : std::nullopt;
  }
  if (op == "Rank") {
    const PartialTensorShape shape = input_shape(node, 0);
    return shape.has_rank() ? std::optional(Ints{shape.rank()}) : std::nullopt;
  }
  if (op == "Identity" || op == "Cast" || op == "StopGradient" || op == "CheckNumericsV2" || op == "Reshape" ||
      op == "ExpandDims" || op == "Squeeze")
    return input_ints(node, 0);
  if (op == "Range") return fold_range(node);
  if (op == "ListDiff") return output == 0 ? fold_list_diff(node) : std::nullopt;
  if (op == "InvertPermutation") return fold_inverse_permutation(node);
  if (op == "Pack") return input_shape(node, 0).rank() == 0 ? fold_joined(node, 0, node.num_inputs()) : std::nullopt;
  if (op == "ConcatV2") return fold_joined(node, 0, node.num_inputs() - 1);
  if (op == "Concat") return fold_joined(node, 1, node.num_inputs() - 1);
  if (op == "StridedSlice") {
    const auto x = input_ints(node, 0);
    return x && input_shape(node, 0).rank() == 1 ? strided(node, *x) : std::nullopt;
  }
  if (op == "Gather" || op == "GatherV2") return fold_gather(node);
  if (op == "Prod" || op == "Sum" || op == "Max" || op == "Min") return fold_reduction(node);
  if (op == "Fill") {
    const auto value = input_ints(node, 1);
    const PartialTensorShape& shape = node.output_shape(0);
    if (!value || value->size() != 1 || !shape.is_fully_defined() || shape.num_elements() > kMaxElements)
      return std::nullopt;
    return Ints(static_cast<size_t>(shape.num_elements()), (*value)[0]);
  }
  if (op == "Neg") {
    auto x = input_ints(node, 0);
    if (!x) return std::nullopt;
    for (int64_t& v : *x) {
      if (v == std::numeric_limits<int64_t>::min()) return std::nullopt;
      v = -v;
    }
    return x;
  }
  return fold_binary(node);
}

const std::optional<PartialTensorShape>& input_partial(const Node& node, int i) {
  static const std::optional<PartialTensorShape> none;
  const Output& input = node.input(i);
  return input ? input.node()->partial_value(input.index()) : none;
}

// Appends what is known of vector or scalar input i to `dims`.
bool append_partial(const Node& node, int i, Ints* dims) {
  if (const std::optional<Ints> values = input_ints(node, i)) {
    for (const int64_t v : *values) dims->push_back(v < -1 ? -1 : v);
    return true;
  }
  const PartialTensorShape shape = input_shape(node, i);
  if (const auto& partial = input_partial(node, i); partial && partial->has_rank() && shape.rank() == 1) {
    dims->insert(dims->end(), partial->dims().begin(), partial->dims().end());
    return true;
  }
  if (!shape.is_fully_defined() || shape.num_elements() > Dims::kMaxRank) return false;
  dims->insert(dims->end(), static_cast<size_t>(shape.num_elements()), -1);
  return true;
}

bool python_folds(std::string_view op) {
  static constexpr std::array kOps = {"Const",        "Shape",           "Size",   "Rank", "Range", "Cast",
                                      "Concat",       "ConcatV2",        "Pack",   "Fill", "Equal", "NotEqual",
                                      "StopGradient", "CheckNumericsV2", "Unpack", "Split"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

}  // namespace

std::shared_ptr<const Tensor> fold_constant(const Node& node, int output) {
  if (node.op() == "Const") {
    const AttrValue* attr = node.find_attr("value");
    const Tensor* value = attr ? attr->get<Tensor>() : nullptr;
    return value ? std::make_shared<const Tensor>(*value) : nullptr;
  }
  if (!is_index_type(base_dtype(node.output_type(output)))) {
    // Other types pass through what does not change them.
    if ((node.op() == "Identity" || node.op() == "StopGradient") && input_constant(node, 0) &&
        !is_ref(node.input(0).dtype()))
      return std::make_shared<const Tensor>(*input_constant(node, 0));
    return nullptr;
  }
  const DataType dtype = node.output_type(output);
  const PartialTensorShape& shape = node.output_shape(output);
  std::optional<Ints> values = fold_ints(node, output);
  if (!values) {
    const auto& partial = node.partial_value(output);
    if (!partial || !partial->is_fully_defined() || is_ref(dtype)) return nullptr;
    values = Ints(partial->dims().begin(), partial->dims().end());
  }
  if (shape.is_fully_defined()) return tensor_of(*values, dtype, *as_tensor_shape(shape));
  if (shape.has_rank() && shape.rank() != 1) return nullptr;
  if (!shape.has_rank()) return nullptr;
  const absl::StatusOr<TensorShape> vector = make_shape({static_cast<int64_t>(values->size())});
  return vector.ok() ? tensor_of(*values, dtype, *vector) : nullptr;
}

std::optional<PartialTensorShape> partial_shape_value(const Node& node, int output) {
  const DataType dtype = node.output_type(output);
  if (dtype != DataType::kInt32 && dtype != DataType::kInt64) return std::nullopt;
  const std::string& op = node.op();
  Ints dims;
  if (op == "Shape" || op == "ShapeN") {
    const PartialTensorShape shape = input_shape(node, output);
    if (shape.has_rank()) return shape;
    return std::nullopt;
  }
  if ((op == "Cast" || op == "Identity") && input_shape(node, 0).rank() == 1) return input_partial(node, 0);
  if (op == "Pack") {
    if (input_shape(node, 0).rank() != 0) return std::nullopt;
    for (int i = 0; i < node.num_inputs(); ++i)
      if (!append_partial(node, i, &dims)) return std::nullopt;
  } else if (op == "ConcatV2") {
    for (int i = 0; i + 1 < node.num_inputs(); ++i)
      if (input_shape(node, i).rank() != 1 || !append_partial(node, i, &dims)) return std::nullopt;
  } else if (op == "StridedSlice" && node.output_shape(0).rank() == 1) {
    Ints x;
    if (input_shape(node, 0).rank() != 1 || !append_partial(node, 0, &x)) return std::nullopt;
    const auto part = strided(node, x);
    if (!part) return std::nullopt;
    dims = *part;
  } else {
    return std::nullopt;
  }
  const absl::StatusOr<PartialTensorShape> shape = make_partial_shape(dims);
  return shape.ok() ? std::optional(*shape) : std::nullopt;
}

std::shared_ptr<const Tensor> static_value(const Output& output) {
  // Depth-first over the ops that Python looks through, without recursion; deep chains count as unknown.
  std::vector<const Node*> pending{output.node()};
  for (size_t visited = 0; !pending.empty(); ++visited) {
    const Node* node = pending.back();
    pending.pop_back();
    if (!python_folds(node->op()) || visited > 256) return nullptr;
    if (node->op() == "Const" || node->op() == "Shape" || node->op() == "Size" || node->op() == "Rank") continue;
    for (const Output& input : node->inputs())
      if (input) pending.push_back(input.node());
  }
  if (const Tensor* value = output.node()->constant_value(output.index()))
    return std::make_shared<const Tensor>(*value);
  // A shape may have been set since the node was made.
  return fold_constant(*output.node(), output.index());
}

PartialTensorShape static_shape_value(const Output& output) {
  if (const std::shared_ptr<const Tensor> value = static_value(output)) {
    if (const std::optional<Ints> values = ints_of(value.get())) {
      if (const auto shape = make_partial_shape(*values); shape.ok()) return *shape;
    }
  }
  const Node& node = *output.node();
  if (node.op() == "Shape") return input_shape(node, 0);
  if (const auto& partial = node.partial_value(output.index())) return *partial;
  const PartialTensorShape shape = output.shape();
  if (shape.rank() == 1 && shape.dim(0) >= 0 && shape.dim(0) <= Dims::kMaxRank)
    return unknown_shape_of_rank(static_cast<int>(shape.dim(0)));
  return {};
}

}  // namespace millrace
