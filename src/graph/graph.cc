#include "graph/graph.h"

#include <algorithm>
#include <charconv>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "base/errors.h"
#include "graph/constant_value.h"
#include "op/building.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

bool is_name_char(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '\\' || c == '/' ||
         c == '>' || c == '-';
}

std::string lower(std::string_view name) { return absl::AsciiStrToLower(to_absl(name)); }

// "{{node y}} = MatMul[T=DT_FLOAT](a, b)" as TensorFlow shows a node in messages.
std::string summary(const Node& node) {
  std::string attrs;
  for (const auto& [name, value] : node.attrs())
    str_append(&attrs, attrs.empty() ? "" : ", ", name, "=", value.to_string());
  std::string text = str_cat("{{node ", node.name(), "}} = ", node.op(), "[", attrs, "](");
  for (int i = 0; i < node.num_inputs(); ++i) {
    const Output& input = node.input(i);
    if (i > 0) text += ", ";
    if (input) text += input.index() == 0 ? input.node()->name() : input.name();
  }
  return text + ")";
}

std::string shapes_text(const std::vector<PartialTensorShape>& shapes) {
  std::string text;
  for (const PartialTensorShape& s : shapes)
    str_append(&text, text.empty() ? "" : ", ", s.has_rank() ? s.to_string() : "?");
  return text;
}

}  // namespace

bool is_valid_node_name(std::string_view name) {
  if (name.empty() || !(absl::ascii_isalnum(static_cast<unsigned char>(name[0])) || name[0] == '.' || name[0] == '_'))
    return false;
  return std::all_of(name.begin(), name.end(), is_name_char);
}

bool is_valid_scope_name(std::string_view name) { return std::all_of(name.begin(), name.end(), is_name_char); }

GraphImpl::GraphImpl(const Registry& registry, std::shared_ptr<FunctionLibrary> library)
    : registry_(registry), library_(library ? std::move(library) : std::make_shared<FunctionLibrary>(registry)) {}
GraphImpl::~GraphImpl() = default;

Node* GraphImpl::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto it = by_name_.find(to_absl(name));
  return it == by_name_.end() ? nullptr : it->second;
}

absl::StatusOr<Node*> GraphImpl::find_node(std::string_view name) const {
  if (Node* node = find(name)) return node;
  if (name.find(':') != std::string_view::npos)
    return invalid_argument("The name '", name, "' appears to refer to a Tensor, not an Operation.");
  return not_found("The name '", name, "' refers to an Operation not in the graph.");
}

absl::StatusOr<Output> GraphImpl::find_output(std::string_view tensor_name) const {
  const size_t colon = tensor_name.rfind(':');
  const std::string_view op_name = tensor_name.substr(0, colon);
  int index = 0;
  if (colon != std::string_view::npos) {
    const std::string_view digits = tensor_name.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error != std::errc() || end != digits.data() + digits.size() || index < 0 || op_name.empty())
      return invalid_argument("The name ", tensor_name,
                              " looks a like a Tensor name, but is not a valid one. Tensor names must be of the form "
                              "\"<op_name>:<output_index>\".");
  }
  Node* node = find(op_name);
  if (!node)
    return not_found("The name '", tensor_name, "' refers to a Tensor which does not exist. The operation, '", op_name,
                     "', does not exist in the graph.");
  if (index >= node->num_outputs())
    return not_found("The name '", tensor_name, "' refers to a Tensor which does not exist. The operation, '", op_name,
                     "', exists but only has ", node->num_outputs(), " outputs.");
  return Output(node, index);
}

absl::Status GraphImpl::check_spec(const NodeSpec& spec) const {
  if (finalized_) return failed_precondition("Graph is finalized and cannot be modified.");
  if (!is_valid_node_name(spec.name)) return invalid_argument("'", spec.name, "' is not a valid node name");
  if (by_name_.contains(spec.name)) return invalid_argument("Node name '", spec.name, "' already exists in the Graph");
  for (const Output& input : spec.inputs) {
    if (!input) continue;
    if (&input.node()->graph() != this)
      return invalid_argument("Node '", spec.name, "': input ", input.name(), " is of another graph");
    if (input.index() < 0 || input.index() >= input.node()->num_outputs())
      return out_of_range("Node '", spec.name, "' (type: '", spec.type,
                          "', num of outputs: ", input.node()->num_outputs(), ") does not have output ", input.index());
  }
  for (const Node* control : spec.control_inputs)
    if (&control->graph() != this)
      return invalid_argument("Node '", spec.name, "': control input ", control->name(), " is of another graph");
  return absl::OkStatus();
}

absl::Status GraphImpl::resolve_op(const NodeSpec& spec, Node* node) const {
  node->entry_ = registry_.find(spec.type);
  if (!node->entry_) {
    if (spec.type.empty()) return invalid_argument("Node '", spec.name, "' does not specify an operation");
    std::shared_ptr<const FunctionDef> function = library_->find(spec.type);
    if (!function)
      return not_found("Op type not registered '", spec.type,
                       "' in binary running on millrace. Make sure the Op and Kernel are registered in the ",
                       "binary running in this process. (node '", spec.name, "')");
    const OpDef* signature = &function->signature;
    node->function_signature_ = std::shared_ptr<const OpDef>(std::move(function), signature);
  }
  const OpDef& def = node->def();
  MR_RETURN_IF_ERROR(check_and_complete_attrs(def, &node->info_.attrs));
  MR_ASSIGN_OR_RETURN(ArgTypes inputs, resolve_args(def.inputs, node->info_.attrs));
  MR_ASSIGN_OR_RETURN(ArgTypes outputs, resolve_args(def.outputs, node->info_.attrs));
  node->info_.input_types = std::move(inputs.types);
  node->info_.output_types = std::move(outputs.types);
  return absl::OkStatus();
}

absl::Status GraphImpl::check_inputs(const Node& node) const {
  const std::vector<DataType>& wanted = node.info_.input_types;
  if (wanted.size() != node.inputs_.size())
    return invalid_argument("NodeDef expected ", wanted.size(), " inputs but ", node.inputs_.size(),
                            " inputs were given for ", summary(node));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Output& input = node.inputs_[i];
    if (!input) continue;
    const DataType got = input.dtype();
    if (base_dtype(got) == base_dtype(wanted[i]) && (is_ref(got) || !is_ref(wanted[i]))) continue;
    return invalid_argument("Input ", i, " of node ", node.name(), " was passed ", dtype_name(got), " from ",
                            input.name(), " incompatible with expected ", dtype_name(wanted[i]), ".");
  }
  return absl::OkStatus();
}

absl::Status GraphImpl::infer(Node* node) {
  const size_t n = node->inputs_.size();
  std::vector<PartialTensorShape> shapes(n);
  std::vector<const Tensor*> values(n, nullptr);
  std::vector<std::optional<PartialTensorShape>> partials(n);
  std::vector<std::vector<HandleType>> handles(n);
  for (size_t i = 0; i < n; ++i) {
    const Output& input = node->inputs_[i];
    if (!input) continue;
    const Node::OutputInfo& info = input.node()->outputs_[static_cast<size_t>(input.index())];
    shapes[i] = info.shape;
    values[i] = info.constant.get();
    partials[i] = info.partial_value;
    handles[i] = info.handle;
  }
  if (node->entry_ && node->entry_->shape) {
    ShapeContext context(node->info_, shapes, std::move(values), std::move(partials), std::move(handles));
    const BuildingNode building;
    if (absl::Status status = node->entry_->shape(context); !status.ok())
      return absl::Status(status.code(), str_cat(to_std(status.message()), " for '", summary(*node),
                                                 "' with input shapes: ", shapes_text(shapes), "."));
    for (size_t i = 0; i < node->outputs_.size(); ++i) {
      Node::OutputInfo& out = node->outputs_[i];
      const int index = static_cast<int>(i);
      out.shape = context.output(index);
      out.partial_value = context.partial_value(index);
      out.handle = context.output_handle(index);
    }
  }
  for (size_t i = 0; i < node->outputs_.size(); ++i) {
    Node::OutputInfo& out = node->outputs_[i];
    if (!out.partial_value) out.partial_value = partial_shape_value(*node, static_cast<int>(i));
    out.constant = fold_constant(*node, static_cast<int>(i));
  }
  return absl::OkStatus();
}

absl::StatusOr<Node*> GraphImpl::add_node(NodeSpec spec) {
  const std::lock_guard lock(mutex_);
  const errors::Where where{spec.name, spec.type, spec.device, spec.source};
  if (absl::Status status = check_spec(spec); !status.ok()) return with_where(std::move(status), where);
  std::unique_ptr<Node> node(new Node);
  node->graph_ = this;
  node->info_.name = std::move(spec.name);
  node->info_.op = spec.type;
  node->info_.device = std::move(spec.device);
  node->info_.attrs = std::move(spec.attrs);
  node->source_ = std::move(spec.source);
  node->compact_value_ = spec.compact_value;
  node->inputs_ = std::move(spec.inputs);
  spec.name = node->info_.name;
  absl::Status status = resolve_op(spec, node.get());
  if (status.ok()) status = check_inputs(*node);
  if (status.ok()) {
    node->outputs_.resize(node->info_.output_types.size());
    status = infer(node.get());
  }
  if (!status.ok()) return with_where(std::move(status), where);
  Node* made = insert(std::move(node));
  absl::flat_hash_set<Node*> once;
  for (Node* control : spec.control_inputs)
    if (once.insert(control).second) {
      made->control_inputs_.push_back(control);
      control->control_outputs_.push_back(made);
    }
  return made;
}

Node* GraphImpl::insert(std::unique_ptr<Node> node) {
  Node* made = node.get();
  made->id_ = static_cast<int>(nodes_.size());
  storage_.push_back(std::move(node));
  nodes_.push_back(made);
  by_name_.emplace(made->name(), made);
  made->took_name_ = mark_name_used(made->name());
  for (size_t i = 0; i < made->inputs_.size(); ++i)
    if (const Output& input = made->inputs_[i])
      input.node()->outputs_[static_cast<size_t>(input.index())].uses.push_back({made, static_cast<int>(i)});
  ++version_;
  return made;
}

void GraphImpl::take_back_from(int first_id) {
  const std::lock_guard lock(mutex_);
  const auto is_new = [&](const Node* node) { return node->id_ >= first_id; };
  for (size_t i = static_cast<size_t>(first_id); i < nodes_.size(); ++i) {
    const Node* node = nodes_[i];
    for (const Output& input : node->inputs_) {
      if (!input || is_new(input.node())) continue;
      std::erase_if(input.node()->outputs_[static_cast<size_t>(input.index())].uses,
                    [&](const Node::Use& use) { return is_new(use.node); });
    }
    for (Node* control : node->control_inputs_) {
      if (!is_new(control)) std::erase_if(control->control_outputs_, is_new);
    }
    by_name_.erase(node->name());
    if (node->took_name_) names_in_use_.erase(lower(node->name()));
  }
  for (const auto& scope : scopes_.control_dependencies) absl::erase_if(scope->seen, is_new);
  nodes_.resize(static_cast<size_t>(first_id));
  storage_.resize(static_cast<size_t>(first_id));
  ++version_;
}

absl::Status GraphImpl::set_input(Node* node, int index, const Output& input) {
  const std::lock_guard lock(mutex_);
  if (finalized_) return failed_precondition("Graph is finalized and cannot be modified.");
  if (&node->graph() != this || !input || &input.node()->graph() != this)
    return invalid_argument("set_input: nodes of another graph");
  if (index < 0 || index >= node->num_inputs()) return out_of_range("Node '", node->name(), "' has no input ", index);
  if (input.index() < 0 || input.index() >= input.node()->num_outputs())
    return out_of_range("Node '", input.node()->name(), "' has no output ", input.index());
  Output& slot = node->inputs_[static_cast<size_t>(index)];
  const Output before = slot;
  slot = input;
  if (absl::Status status = check_inputs(*node); !status.ok()) {
    slot = before;
    return status;
  }
  if (before) {
    auto& uses = before.node()->outputs_[static_cast<size_t>(before.index())].uses;
    std::erase_if(uses, [&](const Node::Use& use) { return use.node == node && use.input == index; });
  }
  input.node()->outputs_[static_cast<size_t>(input.index())].uses.push_back({node, index});
  ++version_;
  return absl::OkStatus();
}

absl::Status GraphImpl::add_control_input(Node* node, Node* control_input) {
  const std::lock_guard lock(mutex_);
  if (finalized_) return failed_precondition("Graph is finalized and cannot be modified.");
  if (std::find(node->control_inputs_.begin(), node->control_inputs_.end(), control_input) !=
      node->control_inputs_.end())
    return absl::OkStatus();
  node->control_inputs_.push_back(control_input);
  control_input->control_outputs_.push_back(node);
  ++version_;
  return absl::OkStatus();
}

absl::Status GraphImpl::set_shape(const Output& output, const PartialTensorShape& shape) {
  const std::lock_guard lock(mutex_);
  PartialTensorShape& known = output.node()->outputs_.at(static_cast<size_t>(output.index())).shape;
  auto merged = merge(known, shape);
  if (!merged.ok()) return invalid_argument("Tensor's shape ", known, " is not compatible with supplied shape ", shape);
  known = *std::move(merged);
  return absl::OkStatus();
}

absl::Status GraphImpl::set_attr(Node* node, std::string_view name, AttrValue value) {
  const std::lock_guard lock(mutex_);
  if (finalized_) return failed_precondition("Graph is finalized and cannot be modified.");
  node->info_.attrs.insert_or_assign(std::string(name), std::move(value));
  ++version_;
  return absl::OkStatus();
}

void GraphImpl::set_device(Node* node, std::string device) {
  const std::lock_guard lock(mutex_);
  node->info_.device = std::move(device);
  ++version_;
}

void GraphImpl::set_handle(const Output& output, std::vector<HandleType> handle) {
  const std::lock_guard lock(mutex_);
  output.node()->outputs_.at(static_cast<size_t>(output.index())).handle = std::move(handle);
}

// TF1's rule: the first taker of a name gets it, the next ones name_1, name_2, ..., skipping what is taken; each
// composed name counts as taken itself.
std::string GraphImpl::unique_name(std::string_view name, bool mark_as_used) {
  std::string full = scopes_.name.empty() ? std::string(name) : str_cat(scopes_.name, "/", name);
  const std::string key = lower(full);
  const auto it = names_in_use_.find(key);
  int next = it == names_in_use_.end() ? 0 : it->second;
  if (next == 0) {
    if (mark_as_used) names_in_use_[key] = 1;
    return full;
  }
  const int counter = next + 1;
  std::string candidate;
  do candidate = str_cat(key, "_", next++);
  while (names_in_use_.contains(candidate));
  if (mark_as_used) {
    names_in_use_[key] = counter;
    names_in_use_[candidate] = 1;
  }
  return str_cat(full, "_", next - 1);
}

bool GraphImpl::is_name_used(std::string_view name) const { return names_in_use_.contains(lower(name)); }
bool GraphImpl::mark_name_used(std::string_view name) { return names_in_use_.emplace(lower(name), 1).second; }

std::vector<CollectionItem>& GraphImpl::collection(std::string_view key) {
  for (auto& [name, items] : collections_)
    if (name == key) return items;
  return collections_.emplace_back(std::string(key), std::vector<CollectionItem>()).second;
}

void GraphImpl::add_to_collection(std::string_view key, CollectionItem item) {
  collection(key).push_back(std::move(item));
}

const std::vector<CollectionItem>* GraphImpl::find_collection(std::string_view key) const {
  for (const auto& [name, items] : collections_)
    if (name == key) return &items;
  return nullptr;
}

std::vector<std::string> GraphImpl::collection_keys() const {
  std::vector<std::string> keys;
  for (const auto& [name, items] : collections_)
    if (!items.empty()) keys.push_back(name);
  return keys;
}

absl::StatusOr<Output> GraphImpl::own(const Output& output) {
  if (!output || &output.node()->graph() == this) return output;
  if (capture_) return capture_(output);
  return invalid_argument("Tensor(\"", output.name(), "\", dtype=", dtype_name(output.dtype()),
                          ") must be from the same graph as the op that takes it.");
}

}  // namespace millrace
