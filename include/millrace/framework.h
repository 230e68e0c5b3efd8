#pragma once
// Graphs and what TF1's `with` statements set in them. Guards stand for `with`:
//
//   tf::Graph graph;
//   auto as_default = graph.as_default();          // with graph.as_default():
//   tf::name_scope scope("tower");                 //   with tf.name_scope('tower'):
//   tf::device on("/cpu:0");                       //     with tf.device('/cpu:0'):
//   tf::Output y = tf::identity(x, {.name = "y"});  // "tower/y"
//
// A graph is built by one thread at a time. Guards end in the reverse order of their making.

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/collection.h"
#include "millrace/graph.h"

namespace tensorflow {
class GraphDef;  // <millrace/protos.h>
}

namespace millrace {

class GraphImpl;
struct ScopeState;  // what a guard restores

#pragma GCC visibility push(default)

// While it lives its graph is the thread's default graph.
class [[nodiscard]] DefaultGraph {
 public:
  explicit DefaultGraph(std::shared_ptr<GraphImpl> graph);
  DefaultGraph(DefaultGraph&& other) noexcept : graph_(std::move(other.graph_)) {}
  DefaultGraph& operator=(DefaultGraph&&) = delete;
  ~DefaultGraph();

 private:
  std::shared_ptr<GraphImpl> graph_;  // null once moved from
};

struct AsGraphDefOptions {
  int from_version = 0;     // only nodes made after this version
  bool add_shapes = false;  // with the attribute _output_shapes
};

// A handle: copies are the same graph, which lives as long as any handle or session of it.
class Graph {
 public:
  Graph();  // a new, empty graph
  explicit Graph(std::shared_ptr<GraphImpl> impl) : impl_(std::move(impl)) {}

  DefaultGraph as_default() const { return DefaultGraph(impl_); }

  // "name" of an operation, "name:0" of a tensor. NotFoundError (TF1's KeyError) if there is none, InvalidArgumentError
  // for names of the other kind.
  Operation get_operation_by_name(std::string_view name) const;
  Output get_tensor_by_name(std::string_view name) const;
  bool has_operation(std::string_view name) const;
  std::vector<Operation> get_operations() const;  // in order of creation

  tensorflow::GraphDef as_graph_def(const AsGraphDefOptions& options = {}) const;
  std::string graph_def_text() const;  // the same as text proto
  std::string graph_def_bytes() const;

  // From then on building fails, so that a loop cannot grow the graph.
  void finalize() const;
  bool finalized() const;

  int64_t version() const;  // the number of operations made so far
  std::optional<int64_t> seed() const;
  std::string unique_name(std::string_view name, bool mark_as_used = true) const;
  std::string get_name_scope() const;  // "a/b"; empty at the root

  void add_to_collection(std::string_view name, CollectionItem value) const;
  std::vector<CollectionItem> get_collection(std::string_view name, std::string_view scope = {}) const;
  std::vector<CollectionItem>& get_collection_ref(std::string_view name) const;
  std::vector<std::string> get_all_collection_keys() const;
  void clear_collection(std::string_view name) const;

  GraphImpl& impl() const { return *impl_; }
  const std::shared_ptr<GraphImpl>& shared_impl() const { return impl_; }
  friend bool operator==(const Graph&, const Graph&) = default;

 private:
  std::shared_ptr<GraphImpl> impl_;
};

// The innermost as_default() of this thread, else the process's own default graph.
Graph get_default_graph();
// Replaces the process's default graph by an empty one. FailedPreconditionError inside as_default().
void reset_default_graph();

// --- scopes. Each acts on the graph that is the default when it is made.

class [[nodiscard]] ScopeGuard {
 public:
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;
  ~ScopeGuard();

 protected:
  ScopeGuard();
  std::shared_ptr<GraphImpl> graph_;

 private:
  std::unique_ptr<ScopeState> before_;
};

// tf.name_scope(name, default_name): `default_name` is for functions whose caller may give no name. Absent names open
// none.
class [[nodiscard]] name_scope : public ScopeGuard {
 public:
  explicit name_scope(std::string_view name) : name_scope(std::optional<std::string_view>(name), {}) {}
  name_scope(std::optional<std::string_view> name, std::string_view default_name);
  const std::string& name() const { return name_; }      // "a/b/"
  operator const std::string&() const { return name_; }  // NOLINT

 private:
  std::string name_;
};

// New operations depend on these. Without arguments: on none, whatever is around.
class [[nodiscard]] control_dependencies : public ScopeGuard {
 public:
  explicit control_dependencies(const std::vector<Operation>& inputs);
  control_dependencies(std::initializer_list<Operation> inputs)
      : control_dependencies(std::vector<Operation>(inputs)) {}
  explicit control_dependencies(std::nullptr_t);
};

// A device name, "" for none within; or a function from a new operation to its device.
class [[nodiscard]] device : public ScopeGuard {
 public:
  explicit device(std::string_view name);
  explicit device(const char* name) : device(std::string_view(name)) {}
  explicit device(std::function<std::string(const Operation&)> function);
};

class [[nodiscard]] colocate_with : public ScopeGuard {
 public:
  explicit colocate_with(const Operation& op, bool ignore_existing = false);
};

// The resource container of stateful operations.
class [[nodiscard]] container : public ScopeGuard {
 public:
  explicit container(std::string_view name);
};

// --- collections of the default graph

struct GraphKeys {
#define MR_GRAPH_KEY(constant, value) static constexpr const char* constant = value;
  MR_GRAPH_KEY(ACTIVATIONS, "activations")
  MR_GRAPH_KEY(ASSET_FILEPATHS, "asset_filepaths")
  MR_GRAPH_KEY(BIASES, "biases")
  MR_GRAPH_KEY(CONCATENATED_VARIABLES, "concatenated_variables")
  MR_GRAPH_KEY(COND_CONTEXT, "cond_context")
  MR_GRAPH_KEY(EVAL_STEP, "eval_step")
  MR_GRAPH_KEY(GLOBAL_STEP, "global_step")
  MR_GRAPH_KEY(GLOBAL_VARIABLES, "variables")
  MR_GRAPH_KEY(INIT_OP, "init_op")
  MR_GRAPH_KEY(LOCAL_INIT_OP, "local_init_op")
  MR_GRAPH_KEY(LOCAL_RESOURCES, "local_resources")
  MR_GRAPH_KEY(LOCAL_VARIABLES, "local_variables")
  MR_GRAPH_KEY(LOSSES, "losses")
  MR_GRAPH_KEY(METRIC_VARIABLES, "metric_variables")
  MR_GRAPH_KEY(MODEL_VARIABLES, "model_variables")
  MR_GRAPH_KEY(MOVING_AVERAGE_VARIABLES, "moving_average_variables")
  MR_GRAPH_KEY(QUEUE_RUNNERS, "queue_runners")
  MR_GRAPH_KEY(READY_FOR_LOCAL_INIT_OP, "ready_for_local_init_op")
  MR_GRAPH_KEY(READY_OP, "ready_op")
  MR_GRAPH_KEY(REGULARIZATION_LOSSES, "regularization_losses")
  MR_GRAPH_KEY(RESOURCES, "resources")
  MR_GRAPH_KEY(SAVEABLE_OBJECTS, "saveable_objects")
  MR_GRAPH_KEY(SAVERS, "savers")
  MR_GRAPH_KEY(SUMMARIES, "summaries")
  MR_GRAPH_KEY(SUMMARY_OP, "summary_op")
  MR_GRAPH_KEY(TABLE_INITIALIZERS, "table_initializer")
  MR_GRAPH_KEY(TRAINABLE_RESOURCE_VARIABLES, "trainable_resource_variables")
  MR_GRAPH_KEY(TRAINABLE_VARIABLES, "trainable_variables")
  MR_GRAPH_KEY(TRAIN_OP, "train_op")
  MR_GRAPH_KEY(UPDATE_OPS, "update_ops")
  MR_GRAPH_KEY(VARIABLES, "variables")
  MR_GRAPH_KEY(WEIGHTS, "weights")
  MR_GRAPH_KEY(WHILE_CONTEXT, "while_context")
#undef MR_GRAPH_KEY
};

void add_to_collection(std::string_view name, CollectionItem value);
void add_to_collections(const std::vector<std::string>& names, const CollectionItem& value);
std::vector<CollectionItem> get_collection(std::string_view key, std::string_view scope = {});
std::vector<CollectionItem>& get_collection_ref(std::string_view key);
// The items that are a T (Output, Operation, std::string, ...), in order; variables: millrace/variables.h.
template <class T> std::vector<T> get_collection(std::string_view key, std::string_view scope = {}) {
  std::vector<T> result;
  for (const CollectionItem& item : get_collection(key, scope))
    if (const T* value = std::get_if<T>(&item)) result.push_back(*value);
  return result;
}

// The graph's seed: with it and the order of building, operation seeds are determined.
void set_random_seed(int64_t seed);
// The (seed, seed2) attributes of a random op; absent if neither graph nor op has a seed. Counts as a random op.
struct SeedPair {
  std::optional<int64_t> seed;
  std::optional<int64_t> seed2;
};
SeedPair get_seed(std::optional<int64_t> op_seed);

// --- the basic operations

struct ConstantOptions {
  DataType dtype = DataType::kInvalid;    // the value's own
  std::optional<TensorShape> shape = {};  // the value's own; a single value is repeated
  std::string_view name = "Const";
  std::source_location where = std::source_location::current();
};
// A plain number becomes float32 or int32 unless dtype says otherwise. InvalidArgumentError (TF1's TypeError or
// ValueError) where value, dtype and shape disagree.
Output constant(const Input& value, const ConstantOptions& options = {});

struct PlaceholderOptions {
  PartialTensorShape shape = {};
  std::string_view name = {};  // "Placeholder"
  std::source_location where = std::source_location::current();
};
Output placeholder(DataType dtype, const PlaceholderOptions& options = {});
Output placeholder(DataType dtype, const PartialTensorShape& shape, const PlaceholderOptions& options = {});

struct NameOptions {
  std::string_view name = {};
};
Output placeholder_with_default(const Input& input, const PartialTensorShape& shape, const NameOptions& options = {});
Output identity(const Input& input, const NameOptions& options = {});
Operation no_op(const NameOptions& options = {});
// Done when all inputs are.
Operation group(const std::vector<Operation>& inputs, const NameOptions& options = {});

struct TupleOptions {
  std::string_view name = {};  // "tuple"
  std::vector<Operation> control_inputs = {};
};
// The same tensors, each available only once all are. Absent ones stay absent.
std::vector<Output> tuple(const std::vector<Output>& tensors, const TupleOptions& options = {});

Output convert_to_tensor(const Input& value, DataType dtype = DataType::kInvalid, std::string_view name = {});
// The value where the graph determines it, else nothing: tensor_util.constant_value, tf.get_static_value.
std::optional<Tensor> get_static_value(const Output& tensor);

// --- import

struct ImportGraphDefOptions {
  std::vector<std::pair<std::string, Output>> input_map =
      {};                                         // "node:0" of the imported graph -> tensor to use instead
  std::vector<std::string> return_elements = {};  // "node" or "node:0"
  std::optional<std::string> name = "import";     // prefix; "" for none
};
struct ImportedElements {
  std::vector<Operation> operations;  // per return_elements
  std::vector<Output> outputs;        // per return_elements; absent for operations
};
// Into the default graph. NotFoundError for op types that are not registered.
ImportedElements import_graph_def(const tensorflow::GraphDef& graph_def, const ImportGraphDefOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace
