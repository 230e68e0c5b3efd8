#include "api/data/dataset_function.h"

#include <atomic>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "api/op_builder.h"

namespace millrace::data {
namespace {

int64_t next_function_number() {
  static std::atomic<int64_t> counter{0};
  return counter++;
}

// A name that the library does not know yet.
std::string new_function_name(const GraphImpl& graph, std::string_view prefix) {
  std::string name;
  do {
    name = str_cat(prefix, next_function_number());
  } while (graph.library().find(name) != nullptr);
  return name;
}

// A body's graph: the same functions and seed as the graph around it.
std::shared_ptr<GraphImpl> new_body(const GraphImpl& outer) {
  auto body = std::make_shared<GraphImpl>(outer.registry(), outer.shared_library());
  body->set_seed(outer.seed());
  return body;
}

Output argument(size_t i, DataType dtype, const PartialTensorShape& shape) {
  return create_output("Placeholder", {}, {{"dtype", dtype}, {"shape", shape}}, str_cat("args_", i));
}

// Results wait for all that changes something outside, as TensorFlow's automatic control dependencies make them.
void order_side_effects(GraphImpl& body, const std::vector<Output>& results, size_t num_nodes_before,
                        FunctionSpec* spec) {
  std::vector<Node*> effects;
  for (size_t i = 0; i < num_nodes_before; ++i) {
    Node* node = body.nodes()[i];
    if (node->entry() != nullptr && node->entry()->is_stateful() && node->op() != "Placeholder")
      effects.push_back(node);
  }
  if (effects.empty()) return;
  const Operation all = no_op();
  for (Node* node : effects) raise_if_error(body.add_control_input(all.node(), node));
  for (const Output& result : results) raise_if_error(body.add_control_input(result.node(), all.node()));
  spec->control_outputs = effects;
  for (Node* node : effects) spec->control_output_names.push_back(node->name());
}

}  // namespace

DatasetFunction make_dataset_function(std::string_view kind, const ElementSpec& arguments,
                                      const ElementFunction& function) {
  GraphImpl& outer = default_graph();
  const std::shared_ptr<GraphImpl> body = new_body(outer);
  DatasetFunction made;
  std::vector<std::pair<Output, Output>> captures;  // outside, inside
  FunctionSpec spec;
  AttrMap arg_shapes;
  {
    const DefaultGraph as_default{body};
    for (size_t i = 0; i < arguments.types.size(); ++i)
      spec.inputs.push_back(argument(i, arguments.types[i], arguments.shapes[i]));
    const std::vector<Output> args = spec.inputs;
    body->set_capture([&](const Output& outside) -> absl::StatusOr<Output> {
      for (const auto& [known, inside] : captures) {
        if (known == outside) return inside;
      }
      const control_dependencies none(nullptr);
      const name_scope root("");
      const Output inside =
          argument(arguments.types.size() + captures.size(), base_dtype(outside.dtype()), outside.shape());
      captures.emplace_back(outside, inside);
      return inside;
    });
    const std::vector<Output> results = function(args);
    if (results.empty()) raise(invalid_argument("the function given to ", kind, " must return at least one output"));
    for (const Output& result : results) {
      if (!result) raise(invalid_argument("the function given to ", kind, " returned an absent output"));
      spec.outputs.push_back(identity(result));
    }
    body->set_capture({});
    order_side_effects(*body, spec.outputs, body->nodes().size() - spec.outputs.size(), &spec);
    for (const Output& output : spec.outputs) {
      made.results.types.push_back(base_dtype(output.dtype()));
      made.results.shapes.push_back(output.shape());
    }
  }
  for (const auto& [outside, inside] : captures) {
    spec.inputs.push_back(inside);
    made.captured.push_back(outside);
    made.captured_types.push_back(base_dtype(outside.dtype()));
  }
  spec.name = new_function_name(outer, str_cat("__inference_Dataset_", kind, "_fn_"));
  spec.attrs = {{"_tf_data_function", true}, {"_construction_context", "kEagerRuntime"}};
  FunctionDef def = value_or_raise(graph_to_function(*body, spec));
  for (size_t i = 0; i < arguments.types.size(); ++i) {
    def.arg_attrs[static_cast<uint32_t>(i)] = {{"_output_shapes", std::vector<PartialTensorShape>{arguments.shapes[i]}},
                                               {"_user_specified_name", str_cat("args_", i)}};
  }
  raise_if_error(outer.library().add(std::move(def)));
  made.ref = FunctionRef(spec.name, {{"_tf_data_function", true}});
  return made;
}

namespace {

// Copies an output and all that it needs into the body, inputs first. A node is copied as often as it is used, as TF1
// does. The graph is one that the user built: its depth is walked on an explicit stack.
class Copier {
 public:
  explicit Copier(GraphImpl& body) : body_(body) {}

  Output copy(const Output& output) {
    struct Frame {
      Node* node;
      int index;  // the output wanted of it
      std::vector<Output> inputs;
    };
    std::vector<Frame> stack = {{output.node(), output.index(), {}}};
    while (true) {
      Frame& top = stack.back();
      if (top.inputs.size() < static_cast<size_t>(top.node->num_inputs())) {
        const Output& next = top.node->input(static_cast<int>(top.inputs.size()));
        stack.push_back({next.node(), next.index(), {}});
        continue;
      }
      const Output copied(copy_node(*top.node, top.inputs), top.index);
      stack.pop_back();
      if (stack.empty()) return copied;
      stack.back().inputs.push_back(copied);
    }
  }

 private:
  Node* copy_node(const Node& node, const std::vector<Output>& inputs) {
    if (++copies_ > kMostCopies)
      raise(resource_exhausted("make_one_shot_iterator: the dataset depends on too many operations"));
    if (node.op().starts_with("Placeholder")) {
      raise(invalid_argument("Cannot capture a placeholder (name:", node.name(), ", type:", node.op(),
                             ") by value. Use make_initializable_iterator() instead."));
    }
    const bool dataset_op = node.op().ends_with("Dataset") || node.op().find("DatasetV") != std::string::npos;
    if (node.entry() != nullptr && node.entry()->is_stateful() && !dataset_op) {
      raise(invalid_argument("Cannot capture a stateful node (name:", node.name(), ", type:", node.op(),
                             ") by value. Use make_initializable_iterator() instead."));
    }
    NodeSpec spec;
    spec.type = node.op();
    spec.name = body_.unique_name(node.name());
    spec.inputs = inputs;
    spec.attrs = node.attrs();
    spec.device = node.device();
    spec.source = node.source();
    return value_or_raise(body_.add_node(std::move(spec)));
  }

  static constexpr int kMostCopies = 100'000;
  GraphImpl& body_;
  int copies_ = 0;
};

}  // namespace

FunctionRef make_dataset_factory(const Dataset& dataset) {
  GraphImpl& outer = default_graph();
  const std::shared_ptr<GraphImpl> body = new_body(outer);
  FunctionSpec spec;
  spec.outputs = {Copier(*body).copy(dataset.variant_tensor())};
  spec.name = new_function_name(outer, "_make_dataset_");
  spec.attrs = {{"_disable_call_shape_inference", true}};
  spec.description = "Factory function for a dataset.";
  raise_if_error(outer.library().add(value_or_raise(graph_to_function(*body, spec))));
  return FunctionRef(spec.name);
}

}  // namespace millrace::data
