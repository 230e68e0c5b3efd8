#pragma once
// The state that `with` statements of TF1 keep in a graph while they are open, and guards that set and restore it.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "millrace/graph.h"

namespace millrace {

class GraphImpl;

// One control_dependencies scope: new nodes depend on `inputs`, unless they already do through a node made inside.
struct ControlDependencies {
  std::vector<Node*> inputs;
  absl::flat_hash_set<Node*> seen;  // nodes made inside the scope
};

// A conditional or a loop whose body is being built; the API's control flow implements it.
class ControlFlowContext {
 public:
  virtual ~ControlFlowContext() = default;
  virtual std::string name() const = 0;
  // A node has been made inside: route its outside inputs through the context.
  virtual absl::Status add_op(Node* node) = 0;
  // The value as seen inside.
  virtual absl::StatusOr<Output> add_value(const Output& value) = 0;
};

using DeviceFunction = std::function<std::string(const Operation&)>;

struct Scopes {
  std::string name;  // "a/b", without a trailing slash
  std::vector<std::shared_ptr<ControlDependencies>> control_dependencies;
  std::vector<DeviceFunction> devices;  // outermost first; a null one (tf.device(None)) hides those around
  std::vector<Node*> colocation;        // innermost last
  std::vector<std::pair<std::string, AttrValue>> attrs;  // innermost last
  std::string container;
  ControlFlowContext* control_flow = nullptr;
};

// Opens a name scope. "" goes back to the root; "a/b/" re-enters that very scope; any other name is made unique.
class NameScope {
 public:
  NameScope(GraphImpl& graph, std::string_view name);
  ~NameScope();
  NameScope(const NameScope&) = delete;
  NameScope& operator=(const NameScope&) = delete;
  const std::string& name() const {
    return name_;
  }  // "a/b/"; empty for the root. Passed as a node's name it names the node "a/b"
  // InvalidArgument if the name was not a valid one; the scope is then the one around.
  const absl::Status& status() const { return status_; }

 private:
  GraphImpl& graph_;
  std::string before_;
  std::string name_;
  absl::Status status_;
};

// Restores any of the scopes' state at its end: set what you like after making one.
class ScopesGuard {
 public:
  explicit ScopesGuard(GraphImpl& graph);
  ~ScopesGuard();
  ScopesGuard(const ScopesGuard&) = delete;
  ScopesGuard& operator=(const ScopesGuard&) = delete;

 private:
  GraphImpl& graph_;
  Scopes before_;
};

// Within the guard's life new nodes depend on `inputs`.
void push_control_dependencies(GraphImpl& graph, std::vector<Node*> inputs);
// tf.control_dependencies(None): nothing, and no control flow context.
void clear_control_dependencies(GraphImpl& graph);
// What a new node with these inputs must add, outermost scope first.
std::vector<Node*> control_dependencies_for(const GraphImpl& graph, const std::vector<Output>& inputs);

// tf.device with a string: merged into what is set, inner scopes winning.
absl::StatusOr<DeviceFunction> device_merger(std::string_view device);
// Sets the node's device by all open scopes, innermost first.
void apply_devices(GraphImpl& graph, Node* node);

// tf.colocate_with: `_class` and the device of `node`; `ignore_existing` as TF1's.
void push_colocation(GraphImpl& graph, Node* node, bool ignore_existing);
std::vector<std::string> colocation_groups(const Node& node);  // "loc:@name"s

}  // namespace millrace
