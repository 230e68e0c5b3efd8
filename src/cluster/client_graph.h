#pragma once
// The graph of a client's session, as data. The client sends all of its graph, pruned of nothing, and a step needs a
// part of it; so nodes are made only when a step first needs them. What the server does not know or would refuse harms
// no step that does without it.

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/graph.h"

namespace tensorflow {
class GraphDef;
class NodeDef;
}  // namespace tensorflow

namespace millrace {

// Thread-safe.
class ClientGraph {
 public:
  explicit ClientGraph(std::shared_ptr<GraphImpl> graph);
  ~ClientGraph();

  const std::shared_ptr<GraphImpl>& graph() const { return graph_; }
  // Takes the nodes out of `def`. InvalidArgument, and nothing is added, where a name is taken or an input unknown.
  absl::Status add(tensorflow::GraphDef* def);

  // The node, made if need be with all that it reads. NotFound names the node or the op type that is missing.
  absl::StatusOr<Node*> node(std::string_view name);
  absl::StatusOr<Output> output(std::string_view tensor_name);  // "node:1" or "node"
  size_t size() const;

 private:
  struct Entry {
    std::unique_ptr<tensorflow::NodeDef> def;  // null once the node is made
    Node* node = nullptr;
    int64_t order = 0;
  };
  absl::Status check_names(const tensorflow::GraphDef& def) const;
  absl::Status make(std::string_view name);
  absl::StatusOr<std::vector<Entry*>> missing_for(Entry* last);

  const std::shared_ptr<GraphImpl> graph_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_;
};

}  // namespace millrace
