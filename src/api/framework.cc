#include "millrace/framework.h"

#include <algorithm>
#include <mutex>

#include "api/op_builder.h"
#include "graph/constant_value.h"
#include "graph/control_ops.h"
#include "graph/graph.h"
#include "graph/graph_def.h"
#include "ops/all_ops.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {
namespace {

constexpr int64_t kDefaultGraphSeed = 87654321;

// The thread's stack of as_default(), and below it the process's own graph.
thread_local std::vector<std::shared_ptr<GraphImpl>> default_stack;
std::mutex process_mutex;
std::shared_ptr<GraphImpl> process_graph;

std::shared_ptr<GraphImpl> new_graph() { return std::make_shared<GraphImpl>(all_ops()); }

std::vector<Node*> nodes_of(GraphImpl& graph, const std::vector<Operation>& ops) {
  std::vector<Node*> nodes;
  for (const Operation& op : ops) {
    if (!op) errors::raise(errors::Code::kInvalidArgument, "An absent operation was given as control input");
    if (&op.node()->graph() != &graph)
      errors::raise(errors::Code::kInvalidArgument, "Control input '" + op.name() + "' is of another graph");
    nodes.push_back(op.node());
  }
  return nodes;
}

}  // namespace

void Output::set_shape(const PartialTensorShape& shape) const {
  raise_if_error(node_->graph().set_shape(*this, shape));
}
Graph Operation::graph() const { return Graph(node_->graph().shared_from_this()); }

// ---- graphs

DefaultGraph::DefaultGraph(std::shared_ptr<GraphImpl> graph) : graph_(std::move(graph)) {
  default_stack.push_back(graph_);
}
DefaultGraph::~DefaultGraph() {
  if (!graph_) return;
  // Guards mostly end innermost first; another order removes the right one all the same.
  for (auto it = default_stack.rbegin(); it != default_stack.rend(); ++it)
    if (*it == graph_) {
      default_stack.erase(std::next(it).base());
      return;
    }
}

Graph get_default_graph() {
  if (!default_stack.empty()) return Graph(default_stack.back());
  const std::lock_guard lock(process_mutex);
  if (!process_graph) process_graph = new_graph();
  return Graph(process_graph);
}

void reset_default_graph() {
  if (!default_stack.empty())
    errors::raise(errors::Code::kFailedPrecondition,
                  "Do not use tf.reset_default_graph() to clear nested graphs. Leave the graph's as_default() first.");
  const std::lock_guard lock(process_mutex);
  process_graph = new_graph();
}

Graph::Graph() : impl_(new_graph()) {}

Operation Graph::get_operation_by_name(std::string_view name) const {
  return Operation(value_or_raise(impl_->find_node(name)));
}

Output Graph::get_tensor_by_name(std::string_view name) const {
  if (name.find(':') == std::string_view::npos)
    errors::raise(
        errors::Code::kInvalidArgument,
        str_cat(
            "The name '", name,
            "' refers to an Operation, not a Tensor. Tensor names must be of the form \"<op_name>:<output_index>\"."));
  return value_or_raise(impl_->find_output(name));
}

bool Graph::has_operation(std::string_view name) const { return impl_->find(name) != nullptr; }

std::vector<Operation> Graph::get_operations() const {
  const std::lock_guard lock(impl_->mutex());
  return {impl_->nodes().begin(), impl_->nodes().end()};
}

tensorflow::GraphDef Graph::as_graph_def(const AsGraphDefOptions& options) const {
  tensorflow::GraphDef def;
  to_graph_def(*impl_, &def, {.from_node = options.from_version, .add_shapes = options.add_shapes});
  return def;
}

std::string Graph::graph_def_text() const { return text_proto(as_graph_def()); }
std::string Graph::graph_def_bytes() const { return deterministic_bytes(as_graph_def()); }

void Graph::finalize() const { impl_->finalize(); }
bool Graph::finalized() const { return impl_->finalized(); }
int64_t Graph::version() const { return impl_->last_id(); }
std::optional<int64_t> Graph::seed() const { return impl_->seed(); }
std::string Graph::unique_name(std::string_view name, bool mark_as_used) const {
  return impl_->unique_name(name, mark_as_used);
}
std::string Graph::get_name_scope() const { return impl_->scopes().name; }

namespace {

std::string item_name(const CollectionItem& item) {
  if (const auto* output = std::get_if<Output>(&item)) return output->name();
  if (const auto* op = std::get_if<Operation>(&item)) return op->name();
  if (const auto* object = std::get_if<std::shared_ptr<CollectionObject>>(&item)) return (*object)->name();
  return {};
}

}  // namespace

void Graph::add_to_collection(std::string_view name, CollectionItem value) const {
  if (impl_->finalized())
    errors::raise(errors::Code::kFailedPrecondition, "Graph is finalized and cannot be modified.");
  impl_->add_to_collection(name, std::move(value));
}

std::vector<CollectionItem> Graph::get_collection(std::string_view name, std::string_view scope) const {
  std::vector<CollectionItem> result;
  const std::vector<CollectionItem>* items = impl_->find_collection(name);
  if (!items) return result;
  // TF1 matches the scope as a regular expression at the beginning of the name; scopes are plain prefixes in practice.
  for (const CollectionItem& item : *items)
    if (scope.empty() || item_name(item).starts_with(scope)) result.push_back(item);
  return result;
}

std::vector<CollectionItem>& Graph::get_collection_ref(std::string_view name) const { return impl_->collection(name); }
std::vector<std::string> Graph::get_all_collection_keys() const { return impl_->collection_keys(); }
void Graph::clear_collection(std::string_view name) const { impl_->collection(name).clear(); }

// ---- scopes

struct ScopeState {
  explicit ScopeState(GraphImpl& graph) : guard(graph) {}
  ScopesGuard guard;
};

ScopeGuard::ScopeGuard() : graph_(get_default_graph().shared_impl()), before_(std::make_unique<ScopeState>(*graph_)) {}
ScopeGuard::~ScopeGuard() = default;

name_scope::name_scope(std::optional<std::string_view> name, std::string_view default_name) {
  const std::string_view wanted = name ? *name : default_name;
  Scopes& scopes = graph_->scopes();
  if (!name && default_name.empty()) {
    name_ = scopes.name.empty() ? "" : scopes.name + "/";
    return;
  }
  const std::string around = scopes.name;
  std::string opened;
  {
    const NameScope scope(*graph_, wanted);
    raise_if_error(scope.status());
    name_ = scope.name();
    opened = scopes.name;
  }
  scopes.name = opened;
}

control_dependencies::control_dependencies(const std::vector<Operation>& inputs) {
  push_control_dependencies(*graph_, nodes_of(*graph_, inputs));
}
control_dependencies::control_dependencies(std::nullptr_t) { clear_control_dependencies(*graph_); }

device::device(std::string_view name) {
  if (name.empty()) graph_->scopes().devices.push_back(nullptr);
  else graph_->scopes().devices.push_back(value_or_raise(device_merger(name)));
}
device::device(std::function<std::string(const Operation&)> function) {
  graph_->scopes().devices.push_back(std::move(function));
}

colocate_with::colocate_with(const Operation& op, bool ignore_existing) {
  push_colocation(*graph_, op.node(), ignore_existing);
}

container::container(std::string_view name) { graph_->scopes().container = name; }

// ---- collections and seeds

void add_to_collection(std::string_view name, CollectionItem value) {
  get_default_graph().add_to_collection(name, std::move(value));
}
void add_to_collections(const std::vector<std::string>& names, const CollectionItem& value) {
  std::vector<std::string> done;
  for (const std::string& name : names) {
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    add_to_collection(name, value);
    done.push_back(name);
  }
}
std::vector<CollectionItem> get_collection(std::string_view key, std::string_view scope) {
  return get_default_graph().get_collection(key, scope);
}
std::vector<CollectionItem>& get_collection_ref(std::string_view key) {
  return get_default_graph().get_collection_ref(key);
}

void set_random_seed(int64_t seed) { default_graph().set_seed(seed); }

SeedPair get_seed(std::optional<int64_t> op_seed) {
  GraphImpl& graph = default_graph();
  SeedPair seeds;
  if (graph.seed()) {
    seeds.seed = *graph.seed();
    seeds.seed2 = op_seed ? *op_seed : graph.next_op_seed();
  } else if (op_seed) {
    seeds = {kDefaultGraphSeed, *op_seed};
  } else {
    return seeds;
  }
  // Seeds are taken modulo 2^31 - 1; (0, 0) would mean "none".
  constexpr int64_t kModulus = 2147483647;
  const auto reduce = [](int64_t s) { return ((s % kModulus) + kModulus) % kModulus; };
  seeds.seed = reduce(*seeds.seed);
  seeds.seed2 = reduce(*seeds.seed2);
  if (*seeds.seed == 0 && *seeds.seed2 == 0) seeds.seed2 = kModulus;
  return seeds;
}

// ---- basic operations

namespace {

// One value in as many elements as the shape has.
Tensor repeated(const Tensor& value, const TensorShape& shape) {
  Tensor out = value_or_raise(make_zeroed_tensor(value.dtype(), shape));
  if (value.dtype() == DataType::kString) {
    for (std::string& s : out.unchecked_mutable<std::string>()) s = value.unchecked<std::string>()[0];
  } else {
    const size_t size = dtype_size(value.dtype());
    auto* bytes = static_cast<char*>(out.raw_mutable_data());
    for (int64_t i = 0; i < shape.num_elements(); ++i)
      std::copy_n(static_cast<const char*>(value.raw_data()), size, bytes + static_cast<size_t>(i) * size);
  }
  return out;
}

}  // namespace

Output constant(const Input& value, const ConstantOptions& options) {
  const SourceScope source(options.where);
  if (!value.is_literal()) return convert_to_tensor(value, options.dtype);
  DataType dtype = options.dtype;
  if (dtype == DataType::kInvalid && value.is_number() && value.literal().dtype() == DataType::kDouble)
    dtype = DataType::kFloat;
  Tensor tensor = value_or_raise(cast_literal(value.literal(), dtype));
  bool compact = false;
  if (options.shape && !(*options.shape == tensor.shape())) {
    if (options.shape->num_elements() == tensor.num_elements()) {
      tensor = value_or_raise(reshaped(tensor, *options.shape));
    } else if (tensor.num_elements() == 1) {
      tensor = repeated(tensor, *options.shape);
      compact = true;
    } else {
      errors::raise(errors::Code::kInvalidArgument,
                    str_cat("Too many elements provided. Needed at most ", options.shape->num_elements(),
                            ", but received ", tensor.num_elements()));
    }
  }
  return value_or_raise(make_const(default_graph(), tensor, options.name, current_source(), compact));
}

Output placeholder(DataType dtype, const PlaceholderOptions& options) {
  const SourceScope source(options.where);
  return create_output("Placeholder", {}, {{"dtype", dtype}, {"shape", options.shape}}, options.name);
}
Output placeholder(DataType dtype, const PartialTensorShape& shape, const PlaceholderOptions& options) {
  PlaceholderOptions with_shape = options;
  with_shape.shape = shape;
  return placeholder(dtype, with_shape);
}

Output placeholder_with_default(const Input& input, const PartialTensorShape& shape, const NameOptions& options) {
  return create_output("PlaceholderWithDefault", {input}, {{"shape", shape}}, options.name);
}

Output identity(const Input& input, const NameOptions& options) {
  return create_output("Identity", {input}, {}, options.name);
}
Operation no_op(const NameOptions& options) { return create_op("NoOp", {}, {}, options.name); }

Operation group(const std::vector<Operation>& inputs, const NameOptions& options) {
  GraphImpl& graph = default_graph();
  return Operation(value_or_raise(make_group_op(graph, nodes_of(graph, inputs), options.name, current_source())));
}

std::vector<Output> tuple(const std::vector<Output>& tensors, const TupleOptions& options) {
  GraphImpl& graph = default_graph();
  return value_or_raise(
      make_tuple_op(graph, tensors, nodes_of(graph, options.control_inputs), options.name, current_source()));
}

Output convert_to_tensor(const Input& value, DataType dtype, std::string_view name) {
  return value_or_raise(to_output(default_graph(), value, dtype, name, false, current_source()));
}

std::optional<Tensor> get_static_value(const Output& tensor) {
  const std::shared_ptr<const Tensor> value = static_value(tensor);
  return value ? std::optional(*value) : std::nullopt;
}

ImportedElements import_graph_def(const tensorflow::GraphDef& graph_def, const ImportGraphDefOptions& options) {
  GraphImpl& graph = default_graph();
  if (graph.finalized()) errors::raise(errors::Code::kFailedPrecondition, "Graph is finalized and cannot be modified.");
  ImportOptions import;
  import.uniquify_names = true;
  import.apply_scopes = true;
  import.input_map = options.input_map;
  import.return_elements = options.return_elements;
  if (options.name && !options.name->empty()) {
    const NameScope scope(graph, *options.name);
    raise_if_error(scope.status());
    import.prefix = scope.name().substr(0, scope.name().size() - 1);
  } else {
    import.prefix = graph.scopes().name;
  }
  Imported imported = value_or_raise(import_graph_def(graph_def, import, &graph));
  if (!imported.unused_inputs.empty()) {
    std::string names;
    for (const std::string& name : imported.unused_inputs) str_append(&names, names.empty() ? "" : ", ", name);
    errors::raise(errors::Code::kInvalidArgument,
                  "Attempted to map inputs that were not found in graph_def: [" + names + "]");
  }
  ImportedElements result;
  for (const Output& element : imported.returned) {
    result.operations.push_back(Operation(element.node()));
    result.outputs.push_back(element.index() < 0 ? Output() : element);
  }
  return result;
}

}  // namespace millrace
