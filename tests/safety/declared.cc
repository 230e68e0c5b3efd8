// Calls made up from an op's declaration: attributes from their ranges, inputs whose shapes often fit together.

#include <algorithm>

#include "ops/all_ops.h"
#include "tests/safety/functions.h"
#include "tests/safety/trial.h"
#include "tests/safety/values.h"

namespace millrace {
namespace {

// How the inputs reach the op: known while the graph is built, or fed, with or without a shape that is known before.
enum class Form { kConstant, kFedWithShape, kFed };

bool has_word(std::string_view text, std::initializer_list<const char*> words) {
  return std::ranges::any_of(words, [&](const char* word) { return text.find(word) != std::string_view::npos; });
}

// What one call is made of, before it becomes a graph.
struct Call {
  AttrMap attrs;
  std::vector<DataType> types;      // of the inputs, flat; reference types for references
  std::vector<const ArgDef*> args;  // of each input
  std::vector<Tensor> values;       // of each input; of a reference: its variable's value, none if uninitialized
};

AttrMap random_attrs(Chance& chance, const OpEntry& entry, const Sizes& sizes) {
  AttrMap attrs;
  for (const AttrDef& def : entry.def.attrs) attrs[def.name] = random_attr(chance, def, sizes);
  for (const ArgDef& arg : entry.def.inputs) {
    if (!arg.number_attr.empty()) attrs[arg.number_attr] = chance.pick<int64_t>({1, 1, 2, 2, 3, 0, 5});
  }
  if (!entry.kernels.empty() && chance.percent(92)) {
    for (const auto& [attr, type] : chance.pick(entry.kernels).constraints) {
      const AttrDef* def = entry.def.find_attr(attr);
      if (def != nullptr && def->type == "list(type)") attrs[attr] = std::vector<DataType>(1, type);
      else attrs[attr] = type;
    }
  }
  // What only makes sense together.
  if (const AttrDef* def = entry.def.find_attr("output_types");
      def && def->type == "list(type)" && chance.percent(80)) {
    attrs["output_types"] = std::vector<DataType>{int64};
    if (entry.def.find_attr("output_shapes")) attrs["output_shapes"] = std::vector<PartialTensorShape>{{}};
    for (const char* name : {"Targuments", "other_arguments", "Tother_arguments"})
      if (entry.def.find_attr(name)) attrs[name] = std::vector<DataType>();
  }
  for (const char* name : {"Tin", "Tout", "T"}) {
    const AttrDef* list = entry.def.find_attr(name);
    if (list && list->type == "list(type)" && entry.def.find_attr("f") && chance.percent(70))
      attrs[name] = std::vector<DataType>{int64};
  }
  if (const auto* type = attrs.contains("dtype") ? attrs["dtype"].get<DataType>() : nullptr;
      type && attrs.contains("value") && attrs["value"].get<Tensor>() && chance.percent(85))
    attrs["value"] = random_tensor(chance, *type, random_dims(chance), false);
  return attrs;
}

class Maker {
 public:
  Maker(const OpEntry& entry, Chance& chance) : entry_(entry), chance_(chance), sizes_(chance) {}

  // Calls are cheap to check by their shape functions: among several, one that is accepted comes nearest to a kernel.
  absl::StatusOr<Trial> make() {
    Call call;
    bool accepted = false;
    for (int tries = 0; tries < 30 && !accepted; ++tries) {
      sizes_ = Sizes(chance_);
      absl::StatusOr<Call> candidate = random_call();
      if (!candidate.ok()) continue;
      call = *std::move(candidate);
      accepted = build(call, Form::kConstant).ok();
    }
    if (call.attrs.empty() && call.types.empty() && !entry_.def.inputs.empty())
      return invalid_argument("no attributes that make a call of ", entry_.def.name);
    if (chance_.percent(45) && !call.values.empty()) {
      Tensor& value = call.values[static_cast<size_t>(chance_.below(static_cast<int64_t>(call.values.size())))];
      if (value.has_value()) value = mutated_tensor(chance_, value);
    }
    return build(call, accepted ? chance_.pick({Form::kConstant, Form::kFedWithShape, Form::kFed}) : Form::kFed);
  }

 private:
  absl::StatusOr<Call> random_call() {
    Call call;
    call.attrs = random_attrs(chance_, entry_, sizes_);
    AttrMap complete = call.attrs;
    MR_RETURN_IF_ERROR(check_and_complete_attrs(entry_.def, &complete));
    MR_ASSIGN_OR_RETURN(const ArgTypes types, resolve_args(entry_.def.inputs, complete));
    if (types.types.size() > 100) return invalid_argument("more inputs than the test cares to make");
    call.types = types.types;
    call.args.resize(types.types.size());
    for (size_t i = 0; i < entry_.def.inputs.size(); ++i) {
      for (int k = types.begin[i]; k < types.begin[i + 1]; ++k)
        call.args[static_cast<size_t>(k)] = &entry_.def.inputs[i];
    }
    calm_ = chance_.percent(50);
    profile_ = static_cast<int>(chance_.below(6));
    for (size_t i = 0; i < call.types.size(); ++i) call.values.push_back(random_value(call, i));
    return call;
  }

  Tensor random_value(const Call& call, size_t i) {
    if (is_ref(call.types[i]) && chance_.percent(10)) return {};
    const DataType type = base_dtype(call.types[i]);
    const bool is_index = type == int32 || type == int64;
    Tensor value = random_tensor(chance_, type, random_input_dims(call, i), chance_.percent(is_index ? 80 : 50));
    if (is_index && calm_) {
      if (type == int32)
        for (int32_t& v : value.unchecked_mutable<int32_t>()) v &= 1;
      else
        for (int64_t& v : value.unchecked_mutable<int64_t>()) v &= 1;
    }
    return value;
  }

  std::vector<int64_t> random_input_dims(const Call& call, size_t i) {
    const std::string_view name = call.args[i]->name;
    const auto rank = static_cast<int64_t>(sizes_.base.size());
    if (chance_.percent(8)) return random_dims(chance_);
    if (chance_.percent(80)) {
      if (has_word(name, {"padding", "crops"})) return {rank, 2};
      if (has_word(name, {"shape", "begin", "end", "strides", "multiples", "perm", "axes", "size", "dims"}) &&
          call.types[i] != float32 && !name.ends_with("_size"))
        return {chance_.percent(80) ? rank : chance_.between(0, 3)};
      if (name == "seed" && entry_.def.name.starts_with("Stateless")) return {2};
      if (has_word(name, {"axis",  "dim",   "num_",     "depth", "count",    "seed",   "epsilon",
                          "beta",  "rho",   "momentum", "_size", "filename", "prefix", "compression",
                          "start", "limit", "delta",    "stop",  "step",     "tag"}) ||
          name == "k" || name == "lr" || name == "l1" || name == "l2" || name == "alpha")
        return {};
    }
    if (i == 0 || profile_ == 0) return sizes_.base;
    switch (profile_) {
      case 1: return {sizes_.common};
      case 2: return {};
      case 3: return broadcast_friend();
      case 4: return chance_.percent(50) ? sizes_.base : std::vector<int64_t>{sizes_.common};
      default: return chance_.percent(50) ? random_dims(chance_) : sizes_.base;
    }
  }

  std::vector<int64_t> broadcast_friend() {
    std::vector<int64_t> dims = sizes_.base;
    if (!dims.empty() && chance_.percent(40)) dims.erase(dims.begin(), dims.begin() + chance_.below(std::ssize(dims)));
    for (int64_t& d : dims)
      if (chance_.percent(30)) d = 1;
    return dims;
  }

  absl::StatusOr<Trial> build(const Call& call, Form form) {
    trial_ = Trial();
    trial_.graph = std::make_shared<GraphImpl>(all_ops(), safety_functions());
    trial_.repeatable = is_repeatable(entry_);
    NodeSpec spec;
    spec.type = entry_.def.name;
    spec.name = "op";
    spec.attrs = call.attrs;
    for (size_t i = 0; i < call.types.size(); ++i) {
      absl::StatusOr<Output> input = input_of(call, i, form);
      if (!input.ok()) return input.status();
      spec.inputs.push_back(*input);
    }
    MR_ASSIGN_OR_RETURN(trial_.node, trial_.graph->add_node(std::move(spec)));
    for (int i = 0; i < trial_.node->num_outputs(); ++i) trial_.main.fetches.push_back(trial_.node->output(i));
    trial_.main.targets.push_back(trial_.node);
    add_iteration();
    return trial_;
  }

  absl::StatusOr<Node*> add(std::string_view type, std::vector<Output> inputs, AttrMap attrs) {
    NodeSpec spec;
    spec.type = type;
    spec.name = str_cat("n", trial_.graph->last_id());
    spec.inputs = std::move(inputs);
    spec.attrs = std::move(attrs);
    return trial_.graph->add_node(std::move(spec));
  }
  absl::StatusOr<Output> constant(const Tensor& value) {
    MR_ASSIGN_OR_RETURN(Node* const node, add("Const", {}, {{"dtype", value.dtype()}, {"value", value}}));
    return node->output(0);
  }
  absl::StatusOr<Output> fed(const Tensor& value, bool with_shape) {
    const PartialTensorShape shape = with_shape ? PartialTensorShape(value.shape()) : PartialTensorShape();
    MR_ASSIGN_OR_RETURN(Node* const node, add("Placeholder", {}, {{"dtype", value.dtype()}, {"shape", shape}}));
    trial_.feeds.emplace_back(node->output(0), value);
    return node->output(0);
  }

  absl::StatusOr<Output> input_of(const Call& call, size_t i, Form form) {
    const DataType type = call.types[i];
    const Tensor& value = call.values[i];
    if (is_ref(type) || type == resource || type == variant) trial_.repeatable = false;
    if (is_ref(type)) {
      if (call.args[i]->type_attr.empty() && chance_.percent(80))
        if (absl::StatusOr<Output> made = produced(type); made.ok()) return made;
      return variable(type, value);
    }
    if (chance_.percent(85)) {
      absl::StatusOr<Output> made = not_found("");
      if (type == resource) made = resource_for(call, value);
      if (type == variant) made = variant_for(*call.args[i]);
      if (made.ok()) return made;
    }
    if (form != Form::kConstant || !(is_pod(type) || type == string)) return fed(value, form == Form::kFedWithShape);
    return constant(value);
  }

  absl::StatusOr<Output> variable(DataType type, const Tensor& value) {
    PartialTensorShape shape;
    if (value.has_value() && chance_.percent(80)) shape = value.shape();
    MR_ASSIGN_OR_RETURN(Node* const node, add("VariableV2", {}, {{"dtype", base_dtype(type)}, {"shape", shape}}));
    if (value.has_value()) {
      MR_ASSIGN_OR_RETURN(const Output initial, fed(value, false));
      MR_ASSIGN_OR_RETURN(Node* const assign, add("Assign", {node->output(0), initial}, {{"T", base_dtype(type)}}));
      trial_.before.push_back({.fetches = {}, .targets = {assign}});
    }
    return node->output(0);
  }

  // Of an op without inputs that makes such things, rather one that shares a word with ours.
  absl::StatusOr<Output> produced(DataType type) {
    static const std::vector<const OpEntry*> sources = [] {
      std::vector<const OpEntry*> found;
      for (const std::string& name : all_ops().names()) {
        const OpEntry* entry = all_ops().find(name);
        if (entry->def.inputs.empty() && !entry->def.outputs.empty() && name[0] != '_' &&
            entry->def.outputs[0].type_attr.empty())
          found.push_back(entry);
      }
      return found;
    }();
    std::vector<const OpEntry*> fitting, related;
    for (const OpEntry* source : sources) {
      const ArgDef& out = source->def.outputs[0];
      if (out.type != base_dtype(type) || out.is_ref != is_ref(type)) continue;
      fitting.push_back(source);
      if (shares_word(source->def.name)) related.push_back(source);
    }
    if (fitting.empty()) return not_found("nothing makes a ", dtype_name(type));
    const OpEntry& source = *(!related.empty() && chance_.percent(85) ? chance_.pick(related) : chance_.pick(fitting));
    absl::StatusOr<Node*> node = not_found("");
    for (int tries = 0; tries < 8 && !node.ok(); ++tries)
      node = add(source.def.name, {}, random_attrs(chance_, source, sizes_));
    if (!node.ok()) return node.status();
    return (*node)->output(0);
  }

  bool shares_word(std::string_view other) const {
    const std::string& name = entry_.def.name;
    for (size_t begin = 0; begin < name.size();) {
      size_t end = begin + 1;
      while (end < name.size() && !(name[end] >= 'A' && name[end] <= 'Z')) ++end;
      if (end - begin >= 4 && other.find(name.substr(begin, end - begin)) != std::string_view::npos) return true;
      begin = end;
    }
    return false;
  }

  absl::StatusOr<Output> resource_for(const Call& call, const Tensor& unused) {
    const bool wants_variable = has_word(entry_.def.name, {"Resource", "Variable", "VarIs"});
    if (!wants_variable || chance_.percent(5)) return produced(resource);
    DataType type = float32;
    for (const char* name : {"T", "dtype"}) {
      const auto it = call.attrs.find(name);
      if (const auto* t = it == call.attrs.end() ? nullptr : it->second.get<DataType>()) type = *t;
    }
    const Tensor value = random_tensor(chance_, type, sizes_.base, false);
    PartialTensorShape shape;
    if (chance_.percent(80)) shape = value.shape();
    MR_ASSIGN_OR_RETURN(
        Node* const node,
        add("VarHandleOp", {},
            {{"dtype", type}, {"shape", shape}, {"shared_name", str_cat("v", trial_.graph->last_id())}}));
    if (chance_.percent(90)) {
      MR_ASSIGN_OR_RETURN(const Output initial, fed(value, false));
      MR_ASSIGN_OR_RETURN(Node* const assign, add("AssignVariableOp", {node->output(0), initial}, {{"dtype", type}}));
      trial_.before.push_back({.fetches = {}, .targets = {assign}});
    }
    return node->output(0);
  }

  absl::StatusOr<Output> variant_for(const ArgDef& arg) {
    if (!has_word(arg.name, {"dataset"})) return produced(variant);
    const AttrMap attrs = {{"output_types", std::vector<DataType>{int64}},
                           {"output_shapes", std::vector<PartialTensorShape>{PartialTensorShape::scalar()}}};
    MR_ASSIGN_OR_RETURN(const Output start, constant(Tensor(int64_t{0})));
    MR_ASSIGN_OR_RETURN(const Output stop, constant(Tensor(chance_.pick<int64_t>({0, 1, 5, 5, 40}))));
    MR_ASSIGN_OR_RETURN(const Output step, constant(Tensor(int64_t{1})));
    MR_ASSIGN_OR_RETURN(Node* const node, add("RangeDataset", {start, stop, step}, attrs));
    return node->output(0);
  }

  // A dataset has done nothing before somebody asks for its elements.
  void add_iteration() {
    if (entry_.def.name.find("Dataset") == std::string::npos || trial_.node->num_outputs() != 1 ||
        trial_.node->output_type(0) != variant)
      return;
    AttrMap attrs = {{"output_types", std::vector<DataType>{int64}},
                     {"output_shapes", std::vector<PartialTensorShape>{{}}}};
    for (auto& [name, value] : attrs)
      if (const AttrValue* own = trial_.node->find_attr(name)) value = *own;
    AttrMap named = attrs;
    named["shared_name"] = "iterator";
    named["container"] = "";
    const auto iterator = add("IteratorV2", {}, named);
    if (!iterator.ok()) return;
    const Output handle = (*iterator)->output(0);
    const auto start = add("MakeIterator", {trial_.node->output(0), handle}, {});
    const auto next = add("IteratorGetNext", {handle}, attrs);
    const auto state = add("SerializeIterator", {handle}, {});
    if (!start.ok() || !next.ok() || !state.ok()) return;
    const auto restore = add("DeserializeIterator", {handle, (*state)->output(0)}, {});
    trial_.after.push_back({.fetches = {}, .targets = {*start}});
    Trial::Step element;
    for (int i = 0; i < (*next)->num_outputs(); ++i) element.fetches.push_back((*next)->output(i));
    element.targets.push_back(*next);
    for (int i = 0; i < 3; ++i) trial_.after.push_back(element);
    if (restore.ok()) trial_.after.push_back({.fetches = {}, .targets = {*restore}});
    for (int i = 0; i < 12; ++i) trial_.after.push_back(element);
  }

  const OpEntry& entry_;
  Chance& chance_;
  Sizes sizes_;
  bool calm_ = true;  // integers are 0 and 1
  int profile_ = 0;   // how the shapes of the inputs relate
  Trial trial_;
};

}  // namespace

absl::StatusOr<Trial> declared_trial(const std::string& op, Chance& chance) {
  return Maker(*all_ops().find(op), chance).make();
}

}  // namespace millrace
