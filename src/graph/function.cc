#include "graph/function.h"

#include <algorithm>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "graph/graph.h"
#include "graph/graph_import.h"

namespace millrace {

bool operator==(const NodeDef& a, const NodeDef& b) {
  return a.name == b.name && a.op == b.op && a.device == b.device && a.inputs == b.inputs && a.attrs == b.attrs;
}

namespace {

bool same_arg(const ArgDef& a, const ArgDef& b) {
  return a.name == b.name && a.type == b.type && a.type_attr == b.type_attr && a.number_attr == b.number_attr &&
         a.type_list_attr == b.type_list_attr && a.is_ref == b.is_ref;
}

}  // namespace

bool same_function(const FunctionDef& a, const FunctionDef& b) {
  const auto& x = a.signature;
  const auto& y = b.signature;
  return x.name == y.name && std::equal(x.inputs.begin(), x.inputs.end(), y.inputs.begin(), y.inputs.end(), same_arg) &&
         std::equal(x.outputs.begin(), x.outputs.end(), y.outputs.begin(), y.outputs.end(), same_arg) &&
         a.nodes == b.nodes && a.ret == b.ret && a.control_ret == b.control_ret;
}

// ---- the library

absl::Status FunctionLibrary::add(FunctionDef def) {
  const std::string name = def.name();
  if (name.empty()) return invalid_argument("A function without a name");
  if (registry_.find(name))
    return invalid_argument("Cannot add function '", name, "' because an op with the same name already exists.");
  const std::lock_guard lock(mutex_);
  const auto it = functions_.find(name);
  if (it == functions_.end()) {
    functions_.emplace(name, std::make_shared<const FunctionDef>(std::move(def)));
    return absl::OkStatus();
  }
  if (same_function(*it->second, def)) return absl::OkStatus();
  return invalid_argument("Cannot add function '", name,
                          "' because a different function with the same name already exists.");
}

absl::Status FunctionLibrary::add_gradient(std::string name, std::string gradient) {
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = gradients_.emplace(name, gradient);
  if (!is_new && it->second != gradient)
    return invalid_argument("Cannot assign gradient function '", gradient, "' to '", name,
                            "' because it already has gradient function '", it->second, "'");
  return absl::OkStatus();
}

std::shared_ptr<const FunctionDef> FunctionLibrary::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto it = functions_.find(name);
  return it == functions_.end() ? nullptr : it->second;
}

std::string FunctionLibrary::find_gradient(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto it = gradients_.find(name);
  return it == gradients_.end() ? std::string() : it->second;
}

std::vector<std::shared_ptr<const FunctionDef>> FunctionLibrary::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const FunctionDef>> result;
  for (const auto& [name, def] : functions_) result.push_back(def);
  return result;
}

std::vector<std::pair<std::string, std::string>> FunctionLibrary::gradients() const {
  const std::lock_guard lock(mutex_);
  return {gradients_.begin(), gradients_.end()};
}

size_t FunctionLibrary::size() const {
  const std::lock_guard lock(mutex_);
  return functions_.size();
}

// ---- bodies

namespace {

// The attributes' values where the body names the function's own attributes.
absl::StatusOr<AttrValue> substitute(const AttrValue& value, const AttrMap& attrs, std::string_view function) {
  if (const auto* placeholder = value.get<AttrPlaceholder>()) {
    const auto it = attrs.find(placeholder->name);
    if (it == attrs.end())
      return invalid_argument("Function '", function, "': attribute '", placeholder->name, "' has no value");
    return it->second;
  }
  const auto* inner = value.get<FunctionRef>();
  if (!inner || !inner->attrs) return value;
  AttrMap inner_attrs;
  for (const auto& [name, v] : *inner->attrs) {
    const auto* placeholder = v.get<AttrPlaceholder>();
    const auto it = placeholder ? attrs.find(placeholder->name) : attrs.end();
    inner_attrs.emplace(name, it == attrs.end() ? v : it->second);
  }
  return AttrValue(FunctionRef(inner->name, std::move(inner_attrs)));
}

// Rewrites a body's nodes as those of a graph: "node:out:1" becomes "node:3", arguments and results become nodes.
class BodyBuilder {
 public:
  BodyBuilder(const FunctionDef& def, const Registry& registry, const FunctionLibrary& library, AttrMap attrs)
      : def_(def), registry_(registry), library_(library), attrs_(std::move(attrs)) {}

  absl::Status run(FunctionBody* body) {
    for (const AttrDef& attr : def_.signature.attrs)
      if (attr.default_value) attrs_.try_emplace(attr.name, *attr.default_value);
    MR_RETURN_IF_ERROR(add_args(body));
    for (const NodeDef& node : def_.nodes) MR_RETURN_IF_ERROR(declare(node));
    for (size_t i = args_; i < nodes_.size(); ++i)
      for (std::string& input : nodes_[i].inputs) {
        MR_ASSIGN_OR_RETURN(input, resolve_one(input));
      }
    MR_RETURN_IF_ERROR(add_rets(body));
    return absl::OkStatus();
  }
  std::vector<NodeDef> take_nodes() { return std::move(nodes_); }
  const std::vector<std::string>& ret_names() const { return ret_names_; }
  const std::vector<std::string>& arg_names() const { return arg_names_; }

 private:
  struct Outputs {
    OpDef const* def;
    ArgTypes types;
  };

  absl::Status add_args(FunctionBody* body) {
    MR_ASSIGN_OR_RETURN(const ArgTypes types, resolve_args(def_.signature.inputs, attrs_));
    for (size_t a = 0; a < def_.signature.inputs.size(); ++a) {
      const ArgDef& arg = def_.signature.inputs[a];
      const int begin = types.begin[a], end = types.begin[a + 1];
      const bool is_list = !arg.number_attr.empty() || !arg.type_list_attr.empty();
      for (int k = begin; k < end; ++k) {
        NodeDef node;
        node.name = is_list ? str_cat(arg.name, "_", k - begin) : arg.name;
        node.op = "_Arg";
        node.attrs = {{"T", types.types[static_cast<size_t>(k)]}, {"index", int64_t{k}}};
        if (const auto it = def_.arg_attrs.find(static_cast<uint32_t>(k)); it != def_.arg_attrs.end())
          for (const auto& [name, value] : it->second)
            if (name.starts_with("_")) node.attrs.insert_or_assign(name, value);
        arg_outputs_[arg.name].push_back(node.name);
        arg_names_.push_back(node.name);
        nodes_.push_back(std::move(node));
      }
      arg_outputs_.try_emplace(arg.name);
    }
    body->arg_types = types.types;
    args_ = nodes_.size();
    return absl::OkStatus();
  }

  absl::Status declare(const NodeDef& node) {
    NodeDef copy = node;
    for (auto& [name, value] : copy.attrs) {
      MR_ASSIGN_OR_RETURN(value, substitute(value, attrs_, def_.name()));
    }
    const OpEntry* entry = registry_.find(node.op);
    std::shared_ptr<const FunctionDef> function = entry ? nullptr : library_.find(node.op);
    if (!entry && !function)
      return not_found("Op type not registered '", node.op, "' in binary running on millrace. (node '", node.name,
                       "' of function '", def_.name(), "')");
    const OpDef& op = entry ? entry->def : function->signature;
    AttrMap complete = copy.attrs;
    MR_RETURN_IF_ERROR(check_and_complete_attrs(op, &complete));
    MR_ASSIGN_OR_RETURN(ArgTypes types, resolve_args(op.outputs, complete));
    if (arg_outputs_.contains(node.name) || !outputs_.emplace(node.name, Outputs{&op, std::move(types)}).second)
      return invalid_argument("Function '", def_.name(), "': node name '", node.name, "' is not unique");
    if (function) keep_.push_back(std::move(function));
    nodes_.push_back(std::move(copy));
    return absl::OkStatus();
  }

  // "arg", "arg:1", "node:out", "node:out:1", "^node" as the names of graph tensors.
  absl::StatusOr<std::vector<std::string>> resolve(std::string_view input) const {
    if (input.starts_with("^")) return std::vector<std::string>{std::string(input)};
    const size_t first = input.find(':');
    const std::string name(input.substr(0, first));
    const std::string_view rest = first == std::string_view::npos ? std::string_view() : input.substr(first + 1);
    if (const auto arg = arg_outputs_.find(name); arg != arg_outputs_.end()) {
      if (rest.empty()) return arg->second;
      const TensorName parsed = parse_tensor_name(input);
      if (parsed.node != name || static_cast<size_t>(parsed.index) >= arg->second.size()) return unknown(input);
      return std::vector<std::string>{arg->second[static_cast<size_t>(parsed.index)]};
    }
    const auto node = outputs_.find(name);
    if (node == outputs_.end()) return unknown(input);
    const TensorName parsed = parse_tensor_name(rest);
    const bool has_index = parsed.node.size() != rest.size();
    const int output = node->second.def->output_index(parsed.node);
    if (output < 0) return unknown(input);
    const ArgTypes& types = node->second.types;
    const int begin = types.begin[static_cast<size_t>(output)], end = types.begin[static_cast<size_t>(output) + 1];
    if (has_index && parsed.index >= end - begin) return unknown(input);
    std::vector<std::string> result;
    for (int k = begin; k < end; ++k)
      if (!has_index || k - begin == parsed.index) result.push_back(k == 0 ? name : str_cat(name, ":", k));
    return result;
  }

  absl::StatusOr<std::string> resolve_one(std::string_view input) const {
    MR_ASSIGN_OR_RETURN(std::vector<std::string> all, resolve(input));
    if (all.size() != 1)
      return invalid_argument("Function '", def_.name(), "': input '", input, "' stands for ", all.size(), " tensors");
    return std::move(all[0]);
  }

  absl::Status unknown(std::string_view input) const {
    return invalid_argument("Function '", def_.name(), "': input ", input, " is not found");
  }

  absl::Status add_rets(FunctionBody* body) {
    MR_ASSIGN_OR_RETURN(const ArgTypes types, resolve_args(def_.signature.outputs, attrs_));
    int index = 0;
    for (size_t a = 0; a < def_.signature.outputs.size(); ++a) {
      const std::string& name = def_.signature.outputs[a].name;
      const auto it =
          std::find_if(def_.ret.begin(), def_.ret.end(), [&](const auto& ret) { return ret.first == name; });
      if (it == def_.ret.end()) return invalid_argument("Function '", def_.name(), "': return '", name, "' is missing");
      MR_ASSIGN_OR_RETURN(const std::vector<std::string> tensors, resolve(it->second));
      if (static_cast<int>(tensors.size()) != types.begin[a + 1] - types.begin[a])
        return invalid_argument("Function '", def_.name(), "': return '", name, "' stands for ", tensors.size(),
                                " tensors");
      for (const std::string& tensor : tensors) {
        NodeDef node;
        node.name = unique(str_cat(name, "_RetVal"));
        node.op = "_Retval";
        node.inputs = {tensor};
        node.attrs = {{"T", types.types[static_cast<size_t>(index)]}, {"index", int64_t{index}}};
        ret_names_.push_back(node.name);
        nodes_.push_back(std::move(node));
        ++index;
      }
    }
    body->ret_types = types.types;
    return absl::OkStatus();
  }

  std::string unique(std::string name) const {
    std::string candidate = name;
    const auto taken = [&] {
      return outputs_.contains(candidate) || arg_outputs_.contains(candidate) ||
             std::find(ret_names_.begin(), ret_names_.end(), candidate) != ret_names_.end();
    };
    for (int k = 1; taken(); ++k) candidate = str_cat(name, "_", k);
    return candidate;
  }

  const FunctionDef& def_;
  const Registry& registry_;
  const FunctionLibrary& library_;
  AttrMap attrs_;
  std::vector<NodeDef> nodes_;
  size_t args_ = 0;
  absl::flat_hash_map<std::string, std::vector<std::string>> arg_outputs_;
  absl::flat_hash_map<std::string, Outputs> outputs_;
  std::vector<std::shared_ptr<const FunctionDef>> keep_;
  std::vector<std::string> arg_names_;
  std::vector<std::string> ret_names_;
};

}  // namespace

absl::StatusOr<FunctionBody> FunctionLibrary::instantiate(const FunctionRef& function) const {
  FunctionBody body;
  body.def = find(function.name);
  if (!body.def) return not_found("Function ", function.name, " is not defined.");
  BodyBuilder builder(*body.def, registry_, *this, function.attrs ? *function.attrs : AttrMap());
  MR_RETURN_IF_ERROR(builder.run(&body));
  body.graph = std::make_shared<GraphImpl>(registry_, std::const_pointer_cast<FunctionLibrary>(shared_from_this()));
  absl::StatusOr<Imported> imported = import_nodes(builder.take_nodes(), {}, body.graph.get());
  if (!imported.ok()) return annotate(imported.status(), str_cat("Function '", function.name, "': "));
  for (const std::string& name : builder.arg_names()) body.args.push_back(body.graph->find(name));
  for (const std::string& name : builder.ret_names()) body.rets.push_back(body.graph->find(name));
  for (const auto& [name, node] : body.def->control_ret) {
    Node* found = body.graph->find(node);
    if (!found) return invalid_argument("Function '", function.name, "': control output '", node, "' is not found");
    body.control_rets.push_back(found);
  }
  for (const Node* node : body.graph->nodes())
    body.is_stateful |= node->def().is_stateful && node->op() != "_Arg" && node->op() != "_Retval";
  return body;
}

// ---- definitions from bodies

namespace {

// Argument names as TensorFlow makes them from node names: lower case, '_' for other signs, unique.
class ArgNames {
 public:
  std::string make(std::string_view from) {
    std::string name;
    for (const char c : from) {
      const auto u = static_cast<unsigned char>(c);
      if (absl::ascii_isalnum(u)) name += absl::ascii_tolower(u);
      else if (!name.empty()) name += '_';
    }
    name.erase(0, std::find_if(name.begin(), name.end(), [](char c) {
                    return absl::ascii_isalpha(static_cast<unsigned char>(c));
                  }) - name.begin());
    if (name.empty()) name = "unknown";
    std::string candidate = name;
    for (int k = 0; !used_.insert(candidate).second; ++k) candidate = str_cat(name, "_", k);
    return candidate;
  }
  void reserve(const std::string& name) { used_.insert(name); }

 private:
  std::set<std::string> used_;
};

// "node:out:1" for a node's output.
absl::StatusOr<std::string> body_name(const Output& output) {
  const Node& node = *output.node();
  MR_ASSIGN_OR_RETURN(const ArgTypes types, resolve_args(node.def().outputs, node.attrs()));
  for (size_t a = 0; a < node.def().outputs.size(); ++a)
    if (output.index() < types.begin[a + 1])
      return str_cat(node.name(), ":", node.def().outputs[a].name, ":", output.index() - types.begin[a]);
  return internal_error("Node '", node.name(), "' has no output ", output.index());
}

}  // namespace

absl::StatusOr<FunctionDef> graph_to_function(const GraphImpl& body, const FunctionSpec& spec) {
  FunctionDef def;
  def.signature.name = spec.name;
  def.signature.doc = spec.description;
  def.attrs = spec.attrs;
  absl::flat_hash_map<const Node*, std::string> args;
  ArgNames names;
  for (const Output& input : spec.inputs) {
    ArgDef arg;
    arg.name = names.make(input.node()->name());
    arg.type = base_dtype(input.dtype());
    args.emplace(input.node(), arg.name);
    // A handle's type, so that shapes are known inside.
    AttrMap attrs;
    for (const auto& [name, value] : input.node()->attrs())
      if (name.starts_with("_")) attrs.emplace(name, value);
    if (!attrs.empty()) def.arg_attrs[static_cast<uint32_t>(def.signature.inputs.size())] = std::move(attrs);
    def.signature.inputs.push_back(std::move(arg));
  }
  const auto tensor_name = [&](const Output& output) -> absl::StatusOr<std::string> {
    const auto it = args.find(output.node());
    if (it != args.end()) return it->second;
    return body_name(output);
  };
  for (const Node* node : body.nodes()) {
    if (args.contains(node)) continue;
    NodeDef copy;
    copy.name = node->name();
    copy.op = node->op();
    copy.device = node->device();
    copy.attrs = node->attrs();
    copy.compact_value = node->compact_value();
    for (const Output& input : node->inputs()) {
      if (!input) return invalid_argument("Function '", spec.name, "': node '", node->name(), "' has an absent input");
      MR_ASSIGN_OR_RETURN(std::string name, tensor_name(input));
      copy.inputs.push_back(std::move(name));
    }
    std::vector<std::string> controls;
    for (const Node* control : node->control_inputs()) {
      const auto it = args.find(control);
      controls.push_back("^" + (it == args.end() ? control->name() : it->second));
    }
    std::sort(controls.begin(), controls.end());
    copy.inputs.insert(copy.inputs.end(), controls.begin(), controls.end());
    def.signature.is_stateful |= node->def().is_stateful;
    def.nodes.push_back(std::move(copy));
  }
  ArgNames out_names;
  for (size_t i = 0; i < spec.outputs.size(); ++i) {
    const Output& output = spec.outputs[i];
    ArgDef arg;
    arg.name = i < spec.output_names.size() ? spec.output_names[i] : out_names.make(output.node()->name());
    arg.type = base_dtype(output.dtype());
    MR_ASSIGN_OR_RETURN(std::string name, tensor_name(output));
    def.ret.emplace_back(arg.name, std::move(name));
    def.signature.outputs.push_back(std::move(arg));
  }
  for (size_t i = 0; i < spec.control_outputs.size(); ++i) {
    const std::string& node = spec.control_outputs[i]->name();
    const std::string name = i < spec.control_output_names.size() ? spec.control_output_names[i] : node;
    def.control_outputs.push_back(name);
    def.control_ret.emplace_back(name, node);
  }
  return def;
}

}  // namespace millrace
