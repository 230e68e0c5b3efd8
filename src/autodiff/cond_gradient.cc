#include "autodiff/cond_gradient.h"

#include <algorithm>

#include "autodiff/slices.h"
#include "graph/cond_context.h"
#include "graph/op_maker.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr std::string_view kName = "cond_grad";

// A loop's Merge takes the next iteration's value; its Switch obeys the LoopCond.
bool belongs_to_loop(const Node& node) {
  const auto comes_from = [](const Output& input, std::string_view op) { return input && input.node()->op() == op; };
  if (is_switch(node)) return comes_from(node.input(1), "LoopCond");
  return std::ranges::any_of(node.inputs(), [&](const Output& input) {
    return !input || comes_from(input, "NextIteration") || comes_from(input, "RefNextIteration");
  });
}

class CondGradient {
 public:
  CondGradient(GraphImpl& graph, Node* node, const std::string& source)
      : graph_(graph), node_(node), context_(cond_context_of(graph, node)), source_(source) {}

  absl::StatusOr<std::vector<Gradient>> of_switch(const std::vector<Gradient>& dys) {
    std::vector<Gradient> dxs(2);
    if (context_) {
      const Gradient& taken = dys[static_cast<size_t>(context_->branch())];
      if (!taken || !dys[static_cast<size_t>(1 - context_->branch())]) return dxs;
      MR_ASSIGN_OR_RETURN(dxs[0], merge(dys[0], dys[1], kName));
      return dxs;
    }
    if (!dys[0] || !dys[1]) return dxs;
    MR_ASSIGN_OR_RETURN(const Gradient off, switched(dys[0], node_->input(1), 0, "Switch"));
    MR_ASSIGN_OR_RETURN(const Gradient on, switched(dys[1], node_->input(1), 1, "Switch"));
    MR_ASSIGN_OR_RETURN(dxs[0], merge(off, on, "Merge"));
    return dxs;
  }

  absl::StatusOr<std::vector<Gradient>> of_merge(const Gradient& dy) {
    std::vector<Gradient> dxs(static_cast<size_t>(node_->num_inputs()));
    if (!dy) return dxs;
    // The branches' own nodes know the condition; a Merge stands outside of both.
    if (const CondContext* branch = cond_context_of(graph_, node_->input(0).node()); branch && dxs.size() == 2) {
      MR_ASSIGN_OR_RETURN(const auto both, switch_of(dy, branch->pred(), kName));
      for (int i = 0; i < 2; ++i) dxs[static_cast<size_t>(i)] = output_of(both, i);
      return dxs;
    }
    std::vector<Output> chosen;
    for (size_t i = 0; i < dxs.size(); ++i) {
      MR_ASSIGN_OR_RETURN(const Tensor index, make_scalar(static_cast<int32_t>(i)));
      MR_ASSIGN_OR_RETURN(Node * equal, op("Equal", {node_->output(1), index}, {}));
      chosen.push_back(equal->output(0));
    }
    for (size_t i = 0; i < dxs.size(); ++i) {
      MR_ASSIGN_OR_RETURN(dxs[i], switched(dy, chosen[i], 1, "Switch"));
    }
    return dxs;
  }

 private:
  struct Switched {
    Node* values = nullptr;
    Node* indices = nullptr;  // of slices
    Output dense_shape;
  };

  absl::StatusOr<Node*> op(std::string_view type, const std::vector<OpArg>& args, std::string_view name) {
    return make_op(graph_, {.type = type, .args = args, .name = name, .source = source_});
  }

  absl::StatusOr<Switched> switch_of(const Gradient& gradient, const Output& pred, std::string_view name) {
    Switched result;
    if (!gradient.is_slices()) {
      MR_ASSIGN_OR_RETURN(result.values, make_switch(graph_, gradient.dense(), pred, name));
      return result;
    }
    const NameScope scope(graph_, name);
    MR_ASSIGN_OR_RETURN(result.values, make_switch(graph_, gradient.slices().values, pred));
    MR_ASSIGN_OR_RETURN(result.indices, make_switch(graph_, gradient.slices().indices, pred));
    result.dense_shape = gradient.slices().dense_shape;
    return result;
  }

  static Gradient output_of(const Switched& s, int i) {
    if (!s.indices) return Gradient(s.values->output(i));
    return Gradient(IndexedSlices{s.values->output(i), s.indices->output(i), s.dense_shape});
  }

  absl::StatusOr<Gradient> switched(const Gradient& gradient, const Output& pred, int branch, std::string_view name) {
    MR_ASSIGN_OR_RETURN(const Switched both, switch_of(gradient, pred, name));
    return output_of(both, branch);
  }

  // Both as slices, or made dense: the zeros of a branch that is not taken are dense.
  absl::StatusOr<Gradient> merge(const Gradient& a, const Gradient& b, std::string_view name) {
    if (a.is_slices() && b.is_slices() && a.slices().indices.dtype() == b.slices().indices.dtype()) {
      const NameScope scope(graph_, name);
      MR_ASSIGN_OR_RETURN(Node * values, merge(a.slices().values, b.slices().values, {}));
      MR_ASSIGN_OR_RETURN(Node * indices, merge(a.slices().indices, b.slices().indices, "indices"));
      return Gradient(IndexedSlices{values->output(0), indices->output(0), a.slices().dense_shape});
    }
    MR_ASSIGN_OR_RETURN(const Output dense_a, dense(a));
    MR_ASSIGN_OR_RETURN(const Output dense_b, dense(b));
    MR_ASSIGN_OR_RETURN(Node * node, merge(dense_a, dense_b, name));
    return Gradient(node->output(0));
  }
  absl::StatusOr<Node*> merge(const Output& a, const Output& b, std::string_view name) {
    return op("Merge", {OpArg(std::vector<Output>{a, b})}, name);
  }
  absl::StatusOr<Output> dense(const Gradient& g) {
    if (g.is_slices()) return dense_form(graph_, g.slices(), {}, source_);
    return g.dense();
  }

  GraphImpl& graph_;
  Node* node_;
  CondContext* context_;
  const std::string& source_;
};

}  // namespace

bool is_switch(const Node& node) { return node.op() == "Switch" || node.op() == "RefSwitch"; }
bool is_switch_or_merge(const Node& node) { return is_switch(node) || node.op() == "Merge" || node.op() == "RefMerge"; }

absl::StatusOr<std::vector<Gradient>> cond_gradient(GraphImpl& graph, Node* node, const std::vector<Gradient>& dys,
                                                    const std::string& source) {
  if (belongs_to_loop(*node))
    return unimplemented("Gradients of while loops are not there yet: '", node->name(), "' (op type: ", node->op(),
                         ") belongs to one");
  CondGradient gradient(graph, node, source);
  return is_switch(*node) ? gradient.of_switch(dys) : gradient.of_merge(dys[0]);
}

absl::StatusOr<Output> zeros_of_other_branch(GraphImpl& graph, const Output& output, const std::string& source) {
  const CondContext* context = cond_context_of(graph, output.node());
  const auto op = [&](std::string_view type, std::vector<OpArg> args, std::string_view name = {}) {
    return make_op(graph, {.type = type, .args = std::move(args), .name = name, .source = source});
  };
  if (!context) {
    MR_ASSIGN_OR_RETURN(Node * zeros, op("ZerosLike", {output}, "zeros_like"));
    return zeros->output(0);
  }
  MR_ASSIGN_OR_RETURN(Node * other, op("Switch", {output.node()->input(0), context->pred()}));
  const Output alive = other->output(1 - context->branch());
  MR_ASSIGN_OR_RETURN(Node * pivot, op("Identity", {alive}));
  const ScopesGuard guard(graph);
  DataType dtype = base_dtype(output.dtype());
  const bool is_handle = dtype == DataType::kResource;
  Node* shape = nullptr;
  if (is_handle) {
    const std::vector<HandleType>& types = output.node()->output_handle(output.index());
    if (types.empty()) return Output();
    dtype = types[0].dtype;
    push_control_dependencies(graph, {pivot});
    MR_ASSIGN_OR_RETURN(shape, op("VariableShape", {alive}));
  } else {
    MR_ASSIGN_OR_RETURN(shape, op("Shape", {alive}));
    push_control_dependencies(graph, {pivot});
  }
  const NameScope scope(graph, "zeros");
  MR_ASSIGN_OR_RETURN(const Tensor zero, cast_literal(Tensor(int32_t{0}), dtype));
  MR_ASSIGN_OR_RETURN(const Output value, make_const(graph, zero, "Const", source));
  MR_ASSIGN_OR_RETURN(Node * fill, op("Fill", {shape->output(0), value}, scope.name()));
  return fill->output(0);
}

}  // namespace millrace
