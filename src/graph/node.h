#pragma once
// One operation of a graph: what it is, what it reads, and what is known of what it gives. Nodes are made and changed
// by their graph only (graph/graph.h), and live as long as it does.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "millrace/graph.h"
#include "op/node_info.h"
#include "op/registry.h"
#include "op/shape_context.h"

namespace millrace {

class GraphImpl;

class Node {
 public:
  // A reader of one of this node's outputs.
  struct Use {
    Node* node;
    int input;
  };

  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const NodeInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  const std::string& op() const { return info_.op; }
  const std::string& device() const { return info_.device; }  // as requested; may be partial or empty
  const AttrMap& attrs() const { return info_.attrs; }
  const AttrValue* find_attr(std::string_view name) const;  // null if there is none
  // The signature; of the function where the op type is the name of a library function.
  const OpDef& def() const { return entry_ ? entry_->def : *function_signature_; }
  const OpEntry* entry() const { return entry_; }  // null for a call of a library function by its name
  GraphImpl& graph() const { return *graph_; }
  int id() const { return id_; }                         // its position in graph.nodes()
  const std::string& source() const { return source_; }  // "train.cc:42"; empty if imported

  bool compact_value() const { return compact_value_; }  // see NodeDef

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  const std::vector<Output>& inputs() const { return inputs_; }  // absent only while a loop is being imported
  const Output& input(int i) const { return inputs_.at(static_cast<size_t>(i)); }
  Output output(int i) { return {this, i}; }
  const std::vector<Node*>& control_inputs() const { return control_inputs_; }  // each once, in the order added
  const std::vector<Node*>& control_outputs() const { return control_outputs_; }
  const std::vector<Use>& uses(int output) const { return outputs_.at(static_cast<size_t>(output)).uses; }

  DataType input_type(int i) const { return info_.input_types.at(static_cast<size_t>(i)); }  // may be a reference type
  DataType output_type(int i) const { return info_.output_types.at(static_cast<size_t>(i)); }
  const PartialTensorShape& output_shape(int i) const { return outputs_.at(static_cast<size_t>(i)).shape; }
  const std::vector<HandleType>& output_handle(int i) const { return outputs_.at(static_cast<size_t>(i)).handle; }
  const std::optional<PartialTensorShape>& partial_value(int i) const {
    return outputs_.at(static_cast<size_t>(i)).partial_value;
  }
  // Its value where the graph determines it (constants and shapes, graph/constant_value.h), else null.
  const Tensor* constant_value(int i) const;

 private:
  friend class GraphImpl;
  struct OutputInfo {
    PartialTensorShape shape;
    std::vector<HandleType> handle;
    std::optional<PartialTensorShape> partial_value;
    std::shared_ptr<const Tensor> constant;  // null: unknown
    std::vector<Use> uses;
  };
  Node() = default;

  NodeInfo info_;
  GraphImpl* graph_ = nullptr;
  const OpEntry* entry_ = nullptr;
  std::shared_ptr<const OpDef> function_signature_;  // set if entry_ is null
  int id_ = -1;
  bool took_name_ = false;  // its name was unused before, also by scopes
  std::string source_;
  bool compact_value_ = false;
  std::vector<Output> inputs_;
  std::vector<Node*> control_inputs_;
  std::vector<Node*> control_outputs_;
  std::vector<OutputInfo> outputs_;
};

}  // namespace millrace
