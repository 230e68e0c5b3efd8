#pragma once
// One branch of tf.cond, as TensorFlow's first form of control flow builds it (Switch and Merge): values from outside
// enter through a Switch each, nodes without inputs hang on the branch's pivot, so that all that was built inside is
// dead where the other branch is taken.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tensorflow {
class CondContextDef;
}

namespace millrace {

class CondContext final : public ControlFlowContext, public CollectionObject {
 public:
  // `pivot` is alive where the branch is taken. The context around is the one that is open now.
  static std::shared_ptr<CondContext> create(GraphImpl& graph, const Output& pred, const Output& pivot, int branch);
  // As a MetaGraphDef stores it, nested ones included; every name below `import_scope`. NotFound if nodes are missing.
  static absl::StatusOr<std::shared_ptr<CondContext>> from_proto(GraphImpl& graph,
                                                                 const tensorflow::CondContextDef& def,
                                                                 const std::string& import_scope);

  std::string name() const override { return name_; }
  std::string to_proto() const override;
  absl::Status add_op(Node* node) override;
  absl::StatusOr<Output> add_value(const Output& value) override;

  // What the branch yields for a value that its function returned: values from outside enter like arguments do.
  absl::StatusOr<Output> result(const Output& value);
  // An operation as a result: the pivot, once the operation is done.
  absl::StatusOr<Output> result(Node* operation);
  // Makes a result known to the context around.
  void leave(const Output& result);

  const Output& pred() const { return pred_; }
  int branch() const { return branch_; }
  CondContext* outer() const { return outer_; }

 private:
  explicit CondContext(GraphImpl& graph) : graph_(graph) {}
  void to_proto(tensorflow::CondContextDef* def) const;
  absl::Status read_proto(const tensorflow::CondContextDef& def, const std::string& import_scope);
  std::optional<Output> seen(const Output& value) const;                   // as it is inside, if it has been seen there
  absl::StatusOr<Output> enter(const Output& value, bool in_open_scopes);  // the Switch's output of this branch
  void mark_seen(const std::string& tensor);                               // here and in all contexts around

  GraphImpl& graph_;
  std::string name_;
  Output pred_, pivot_;
  int branch_ = 0;
  CondContext* outer_ = nullptr;
  std::vector<CondContext*> nested_;
  std::set<std::string> values_;                // names of tensors that have been seen inside
  std::map<std::string, Output> from_outside_;  // by their names there
};

// The branch in which the node was built; null if in none.
CondContext* cond_context_of(const GraphImpl& graph, const Node* node);

// A Switch, or a RefSwitch of a reference, standing where the value stands.
absl::StatusOr<Node*> make_switch(GraphImpl& graph, const Output& value, const Output& pred,
                                  std::string_view name = "Switch");

}  // namespace millrace
