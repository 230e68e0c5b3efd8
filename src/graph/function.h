#pragma once
// Functions of a graph's library: their definition as data, the library, and their bodies as graphs.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "millrace/graph.h"
#include "op/op_def.h"
#include "op/registry.h"

namespace millrace {

class GraphImpl;

// A node as data, as GraphDef and FunctionDef hold it: inputs are "node", "node:1" (in functions "node:out:0"),
// "^node".
struct NodeDef {
  std::string name;
  std::string op;
  std::string device;
  std::vector<std::string> inputs;
  AttrMap attrs;
  bool compact_value = false;  // the attribute "value" is written with its last element standing for all that follow
};

struct FunctionDef {
  OpDef signature;
  std::vector<NodeDef> nodes;
  std::vector<std::pair<std::string, std::string>> ret;          // output argument -> "node:out:0" or an input argument
  std::vector<std::pair<std::string, std::string>> control_ret;  // name -> node
  std::vector<std::string> control_outputs;                      // names of the signature's control outputs
  AttrMap attrs;
  std::map<uint32_t, AttrMap> arg_attrs;
  std::map<uint32_t, uint32_t> resource_arg_unique_id;
  const std::string& name() const { return signature.name; }
};

bool operator==(const NodeDef& a, const NodeDef& b);
bool same_function(const FunctionDef& a, const FunctionDef& b);

// A function's body made a graph, attributes filled in. Arguments are _Arg nodes, results _Retval nodes (attributes T
// and index). The graph shares the library, so functions that it calls resolve.
struct FunctionBody {
  std::shared_ptr<const FunctionDef> def;
  std::shared_ptr<GraphImpl> graph;
  std::vector<Node*> args;
  std::vector<Node*> rets;
  std::vector<Node*> control_rets;
  std::vector<DataType> arg_types;
  std::vector<DataType> ret_types;
  bool is_stateful = false;  // a node of the body is
};

// Thread-safe.
class FunctionLibrary : public std::enable_shared_from_this<FunctionLibrary> {
 public:
  explicit FunctionLibrary(const Registry& registry) : registry_(registry) {}

  // Doing it twice with the same definition is fine; with another, InvalidArgument, as for the name of an op.
  absl::Status add(FunctionDef def);
  // The gradient of function `name` is function `gradient`.
  absl::Status add_gradient(std::string name, std::string gradient);
  std::shared_ptr<const FunctionDef> find(std::string_view name) const;  // null if there is none
  std::string find_gradient(std::string_view name) const;                // empty if there is none
  std::vector<std::shared_ptr<const FunctionDef>> all() const;           // by name
  std::vector<std::pair<std::string, std::string>> gradients() const;
  // The arguments' and results' types, which may depend on attributes.
  absl::StatusOr<FunctionBody> instantiate(const FunctionRef& function) const;
  size_t size() const;

 private:
  const Registry& registry_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const FunctionDef>, std::less<>> functions_;
  std::map<std::string, std::string, std::less<>> gradients_;
};

// A body graph as a definition: `inputs` become arguments (names made as TF does), `outputs` results. Nodes are those
// that were made after the inputs, in order of creation.
struct FunctionSpec {
  std::string name;
  std::vector<Output> inputs;  // outputs of Placeholder or _Arg nodes of the body
  std::vector<Output> outputs;
  std::vector<std::string> output_names;  // empty: made from the nodes' names
  std::vector<Node*> control_outputs;
  std::vector<std::string> control_output_names;
  AttrMap attrs;
  std::string description;
};
absl::StatusOr<FunctionDef> graph_to_function(const GraphImpl& body, const FunctionSpec& spec);

}  // namespace millrace
