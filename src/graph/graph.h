#pragma once
// The graph: nodes held against an op registry, their names and shapes, and the state that building them consults (name
// scopes, control dependencies, devices, collections, seeds). Nodes are only ever added, never removed or renamed; the
// one exception is an import that fails half way, whose nodes go again before anyone has seen them.
//
// add_node makes a node exactly as told; graph/op_maker.h makes one as TensorFlow's Python API does, with unique name,
// scopes, inferred attributes and literals turned into constants.
//
// Thread safety: mutex() is held by every function that changes nodes. A reader that runs while others build (a session
// compiling a signature) holds it too. Scopes and collections belong to the one thread that builds.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"
#include "graph/function.h"
#include "graph/node.h"
#include "graph/scopes.h"
#include "millrace/collection.h"

namespace millrace {

// What TensorFlow 2.21 writes into GraphDef.versions.
inline constexpr int kGraphProducer = 2474;
inline constexpr int kGraphMinConsumer = 12;

struct NodeSpec {
  std::string type;
  std::string name;                   // valid and unused
  std::vector<Output> inputs;         // flat. Absent ones are for loops: set_input fills them in later
  std::vector<Node*> control_inputs;  // doubled ones count once
  AttrMap attrs;                      // defaults are filled in; type and number attributes must be there
  std::string device;
  std::string source;
  bool compact_value = false;  // of a Const: see NodeDef
};

class GraphImpl : public std::enable_shared_from_this<GraphImpl> {
 public:
  explicit GraphImpl(const Registry& registry, std::shared_ptr<FunctionLibrary> library = nullptr);
  ~GraphImpl();
  GraphImpl(const GraphImpl&) = delete;
  GraphImpl& operator=(const GraphImpl&) = delete;

  const Registry& registry() const { return registry_; }
  std::recursive_mutex& mutex() const { return mutex_; }

  // --- nodes
  const std::vector<Node*>& nodes() const { return nodes_; }  // in order of creation: nodes()[i]->id() == i
  Node* find(std::string_view name) const;                    // null if there is none
  // "name:index", or "name" for index 0. NotFound or InvalidArgument say what is wrong, in TensorFlow's words.
  absl::StatusOr<Output> find_output(std::string_view tensor_name) const;
  absl::StatusOr<Node*> find_node(std::string_view node_name) const;

  // Checks name, op, attributes, input types and shapes. NotFound: "Op type not registered 'X' ...".
  absl::StatusOr<Node*> add_node(NodeSpec spec);
  absl::Status set_input(Node* node, int index, const Output& input);  // of the same dtype
  absl::Status add_control_input(Node* node, Node* control_input);
  absl::Status set_shape(const Output& output, const PartialTensorShape& shape);  // narrows
  absl::Status set_attr(Node* node, std::string_view name, AttrValue value);
  void set_device(Node* node, std::string device);
  void set_handle(const Output& output, std::vector<HandleType> handle);
  // Takes back the nodes from this id on, and their names. For imports that fail: mutex() has been held since the
  // first of them was added, so that nothing else refers to them.
  void take_back_from(int first_id);

  // Counts changes; a session recompiles nothing while it stands still.
  int64_t version() const { return version_; }
  bool finalized() const { return finalized_; }
  void finalize() { finalized_ = true; }
  void unfinalize() { finalized_ = false; }  // MonitoredSession's scaffold and tests: TF1's _unsafe_unfinalize

  // --- names
  // A name nobody uses, below the current name scope, as TF1 makes them: "foo", "foo_1"; case does not tell names
  // apart.
  std::string unique_name(std::string_view name, bool mark_as_used = true);
  bool is_name_used(std::string_view name) const;
  bool mark_name_used(std::string_view name);  // in full; false if it was used already

  // --- what building consults; graph/scopes.h has guards for these
  Scopes& scopes() { return scopes_; }
  const Scopes& scopes() const { return scopes_; }

  // --- seeds. The op seed that a graph seed gives counts the earlier ops with seeds, as TensorFlow 2 does.
  std::optional<int64_t> seed() const { return seed_; }
  void set_seed(std::optional<int64_t> seed) {
    seed_ = seed;
    next_op_seed_ = 0;
  }
  int64_t next_op_seed() { return next_op_seed_++; }
  int64_t last_id() const { return static_cast<int64_t>(nodes_.size()); }

  // --- collections, by key in order of first use
  void add_to_collection(std::string_view key, CollectionItem item);
  std::vector<CollectionItem>& collection(std::string_view key);  // made if absent
  const std::vector<CollectionItem>* find_collection(std::string_view key) const;
  std::vector<std::string> collection_keys() const;  // those with items, in order of first use

  // --- functions
  FunctionLibrary& library() const { return *library_; }
  const std::shared_ptr<FunctionLibrary>& shared_library() const { return library_; }

  int producer() const { return producer_; }
  int min_consumer() const { return min_consumer_; }
  void set_versions(int producer, int min_consumer) { producer_ = producer, min_consumer_ = min_consumer; }

  // A function body's graph may take values of the graph around it: `capture` turns them into arguments. Null
  // otherwise.
  using Capture = std::function<absl::StatusOr<Output>(const Output&)>;
  void set_capture(Capture capture) { capture_ = std::move(capture); }
  absl::StatusOr<Output> own(
      const Output& output);  // the output itself if of this graph, else captured or InvalidArgument

  // What parts of the API keep with a graph (variable stores, layer counters), by C++ type; made on first use.
  template <class T> T& attachment() {
    std::shared_ptr<void>& slot = attachments_[&typeid(T)];
    if (!slot) slot = std::make_shared<T>();
    return *static_cast<T*>(slot.get());
  }

 private:
  absl::Status check_spec(const NodeSpec& spec) const;
  absl::Status resolve_op(const NodeSpec& spec, Node* node) const;
  absl::Status check_inputs(const Node& node) const;
  absl::Status infer(Node* node);
  Node* insert(std::unique_ptr<Node> node);

  const Registry& registry_;
  std::shared_ptr<FunctionLibrary> library_;
  mutable std::recursive_mutex mutex_;
  std::vector<std::unique_ptr<Node>> storage_;
  std::vector<Node*> nodes_;
  absl::flat_hash_map<std::string, Node*> by_name_;
  absl::flat_hash_map<std::string, int> names_in_use_;  // lower case, to the next number to try
  Scopes scopes_;
  std::optional<int64_t> seed_;
  int64_t next_op_seed_ = 0;
  std::vector<std::pair<std::string, std::vector<CollectionItem>>> collections_;
  int producer_ = kGraphProducer;
  int min_consumer_ = kGraphMinConsumer;
  Capture capture_;
  std::map<const std::type_info*, std::shared_ptr<void>> attachments_;
  int64_t version_ = 0;
  bool finalized_ = false;
};

// "[A-Za-z0-9.][A-Za-z0-9_.\\-/]*", and what a scope may be called.
bool is_valid_node_name(std::string_view name);
bool is_valid_scope_name(std::string_view name);

}  // namespace millrace
