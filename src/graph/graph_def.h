#pragma once
// Graphs to and from GraphDef, as TensorFlow's as_graph_def and import_graph_def do it.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace tensorflow {
class GraphDef;
class NodeDef;
class OpList;
}  // namespace tensorflow

namespace google::protobuf {
class Message;
}

namespace millrace {

struct ExportOptions {
  int from_node = 0;        // leave out nodes with a smaller id
  bool add_shapes = false;  // attribute _output_shapes
  bool library = true;      // with the function library
};
void to_graph_def(const GraphImpl& graph, tensorflow::GraphDef* out, const ExportOptions& options = {});
std::vector<NodeDef> to_node_defs(const GraphImpl& graph);  // the same as data
NodeDef to_node_def(const Node& node);

struct ImportOptions {
  std::string prefix;           // "a/b"; empty for none
  bool uniquify_names = false;  // else a name that exists is an error
  std::vector<std::pair<std::string, Output>>
      input_map;                                     // "node:0" or "^node" of the imported graph -> what to use instead
  std::vector<std::string> return_elements;          // "node" or "node:0"
  std::vector<Node*> control_dependencies;           // of nodes without inputs
  const tensorflow::OpList* producer_ops = nullptr;  // attributes with the producer's defaults may be dropped
  bool apply_scopes = false;  // devices and colocation of the graph's open scopes, as Python's import does
};
struct Imported {
  std::vector<Node*> nodes;                // all new nodes, in the graph's order
  std::vector<Output> returned;            // per return_elements; index -1 for an operation
  std::vector<std::string> unused_inputs;  // of input_map
};
// All or nothing is not promised: after an error the graph may hold some of the nodes. NotFound "Op type not registered
// 'X' in
// ..." for unknown ops: is_unregistered_op tells that from other NotFounds, giving the op's name.
absl::StatusOr<Imported> import_graph_def(const tensorflow::GraphDef& def, const ImportOptions& options,
                                          GraphImpl* graph);
// A node as its producer meant it: up to version 21 a Placeholder's shape [] is any shape.
bool is_of_old(const tensorflow::NodeDef& node, int producer);
void bring_up_to_date(tensorflow::NodeDef* node);
std::string unregistered_op(const absl::Status& status);  // empty if the status is not that error

// Bytes (binary or, where that fails and it looks like it, text proto) to a message. DataLoss or InvalidArgument with
// the position say what is wrong. `what` begins the message: a file's name.
absl::Status parse_proto(std::string_view bytes, google::protobuf::Message* message, std::string_view what);
absl::Status parse_text_proto(std::string_view text, google::protobuf::Message* message, std::string_view what);
std::string text_proto(const google::protobuf::Message& message);

// Binary with sorted maps: equal messages give equal bytes.
std::string deterministic_bytes(const google::protobuf::Message& message);

}  // namespace millrace
