#include "autodiff/gradients.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "autodiff/cond_gradient.h"
#include "autodiff/node_gradient.h"
#include "autodiff/slices.h"
#include "base/errors.h"
#include "graph/constant_value.h"
#include "graph/control_ops.h"
#include "graph/op_maker.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

// The dtypes through which gradients flow.
bool is_trainable(DataType dtype) {
  const DataType base = base_dtype(dtype);
  return is_floating(base) || is_complex(base) || base == DataType::kResource || base == DataType::kVariant;
}

absl::StatusOr<Tensor> scalar_of(DataType dtype, int value) {
  MR_ASSIGN_OR_RETURN(const Tensor one, make_scalar<int32_t>(value));
  if (dtype == DataType::kBool) return make_scalar<bool>(value != 0);
  return cast_literal(one, dtype);
}

// tf.gradients: from ys back to xs, an op at a time, each once all gradients of its outputs are there.
class Driver {
 public:
  Driver(GraphImpl& graph, const GradientSpec& spec) : graph_(graph), spec_(spec) {}

  absl::StatusOr<std::vector<Gradient>> run() {
    {
      const NameScope scope(graph_, spec_.name.empty() ? "gradients" : spec_.name);
      MR_RETURN_IF_ERROR(scope.status());
      graph_.unique_name("uid");  // TF1 takes this name too
      MR_RETURN_IF_ERROR(seed_ys());
      find_between();
      MR_RETURN_IF_ERROR(walk());
    }
    std::vector<Gradient> result;
    for (const Output& x : spec_.xs) {
      MR_ASSIGN_OR_RETURN(Gradient gradient, gradient_of(x));
      result.push_back(std::move(gradient));
    }
    return result;
  }

 private:
  using Contributions = std::vector<std::vector<Gradient>>;  // per output of a node

  std::unique_ptr<ScopesGuard> colocate(Node* node) {
    if (!spec_.colocate_with_ops) return nullptr;
    auto guard = std::make_unique<ScopesGuard>(graph_);
    push_colocation(graph_, node, false);
    return guard;
  }

  // ---- the start: gradients of the ys

  absl::Status seed_ys() {
    if (!spec_.grad_ys.empty() && spec_.grad_ys.size() != spec_.ys.size())
      return invalid_argument("Passed ", spec_.grad_ys.size(), " grad_ys for ", spec_.ys.size(), " ys");
    std::vector<Gradient> seeds;
    for (size_t i = 0; i < spec_.ys.size(); ++i) {
      const auto guard = colocate(spec_.ys[i].node());
      const Gradient given = i < spec_.grad_ys.size() ? spec_.grad_ys[i] : Gradient();
      MR_ASSIGN_OR_RETURN(Gradient seed, given ? named(given, spec_.ys[i], i) : ones_like(spec_.ys[i], i));
      seeds.push_back(std::move(seed));
    }
    for (size_t i = 0; i < spec_.ys.size(); ++i) add(spec_.ys[i], seeds[i]);
    return absl::OkStatus();
  }

  absl::StatusOr<Gradient> ones_like(const Output& y, size_t i) {
    const DataType dtype = base_dtype(y.dtype());
    if (is_complex(dtype))
      return invalid_argument("Gradients of complex tensors (", y.name(),
                              ") must set grad_ys (y.dtype = ", dtype_name(dtype), ")");
    MR_ASSIGN_OR_RETURN(Output shape, shape_of(y));
    const NameScope scope(graph_, str_cat("grad_ys_", i));
    MR_ASSIGN_OR_RETURN(const Tensor one, scalar_of(dtype, 1));
    MR_ASSIGN_OR_RETURN(const Output value, make_const(graph_, one, "Const", spec_.source));
    MR_ASSIGN_OR_RETURN(
        Node * fill,
        make_op(graph_, {.type = "Fill", .args = {shape, value}, .name = scope.name(), .source = spec_.source}));
    return Gradient(fill->output(0));
  }

  // A constant where the shape is known.
  absl::StatusOr<Output> shape_of(const Output& y) {
    const PartialTensorShape shape = y.shape();
    if (shape.is_fully_defined()) {
      const std::vector<int32_t> dims(shape.dims().begin(), shape.dims().end());
      MR_ASSIGN_OR_RETURN(const Tensor value, make_vector<int32_t>(dims));
      return make_const(graph_, value, "Shape", spec_.source);
    }
    MR_ASSIGN_OR_RETURN(
        Node * node,
        make_op(graph_,
                {.type = "Shape", .args = {y}, .attrs = {{"out_type", DataType::kInt32}}, .source = spec_.source}));
    return node->output(0);
  }

  absl::StatusOr<Output> identity(const Output& value, const std::string& name) {
    MR_ASSIGN_OR_RETURN(Node * node,
                        make_op(graph_, {.type = "Identity", .args = {value}, .name = name, .source = spec_.source}));
    return node->output(0);
  }

  absl::StatusOr<Gradient> named(const Gradient& given, const Output& y, size_t i) {
    const std::string name = str_cat("grad_ys_", i);
    const DataType dtype = base_dtype(given.is_slices() ? given.slices().values.dtype() : given.dense().dtype());
    const DataType wanted = base_dtype(y.dtype());
    const bool real_y = is_floating(wanted) || is_integer(wanted);
    if ((real_y && !is_floating(dtype) && !is_integer(dtype)) || (is_complex(wanted) && !is_complex(dtype)))
      return invalid_argument("Gradient type ", dtype_name(dtype), " generated for ",
                              real_y ? "real or integer-valued" : "complex", " tensor ", y.name(), " with type ",
                              dtype_name(wanted), " must be ", real_y ? "real or integer" : "complex");
    if (!given.is_slices()) {
      MR_ASSIGN_OR_RETURN(const Output dense, identity(given.dense(), name));
      return Gradient(dense);
    }
    IndexedSlices slices;
    MR_ASSIGN_OR_RETURN(slices.indices, identity(given.slices().indices, name + "_indices"));
    MR_ASSIGN_OR_RETURN(slices.values, identity(given.slices().values, name + "_values"));
    if (given.slices().dense_shape) {
      MR_ASSIGN_OR_RETURN(slices.dense_shape, identity(given.slices().dense_shape, name + "_shape"));
    }
    return Gradient(std::move(slices));
  }

  // ---- which ops lie between xs and ys

  void find_between() {
    absl::flat_hash_set<Node*> reached;
    std::deque<Node*> queue;
    for (const Output& x : spec_.xs) queue.push_back(x.node());
    while (!queue.empty()) {
      Node* node = queue.front();
      queue.pop_front();
      if (!reached.insert(node).second) continue;
      for (int i = 0; i < node->num_outputs(); ++i)
        if (is_trainable(node->output_type(i)))
          for (const Node::Use& use : node->uses(i)) queue.push_back(use.node);
    }
    for (const Output& y : spec_.ys)
      if (reached.contains(y.node())) reachable_ys_.insert(y.node());
    std::vector<Node*> between;
    absl::flat_hash_set<Node*> between_set;
    for (const Output& y : spec_.ys) queue.push_back(y.node());
    while (!queue.empty()) {
      Node* node = queue.front();
      queue.pop_front();
      if (!reached.erase(node)) continue;
      between_set.insert(node);
      between.push_back(node);
      for (const Output& input : node->inputs())
        if (input) queue.push_back(input.node());
    }
    for (Node* node : between)
      for (const Output& input : node->inputs())
        if (input && between_set.contains(input.node())) ++pending_[input.node()];
  }

  // The xs behind which nothing between lies, and what the caller told to hold constant.
  absl::flat_hash_set<Node*> stops() {
    absl::flat_hash_set<Node*> result;
    for (const Output& x : spec_.xs) {
      const auto& inputs = x.node()->inputs();
      if (std::none_of(inputs.begin(), inputs.end(),
                       [&](const Output& input) { return input && pending_[input.node()] > 0; }))
        result.insert(x.node());
    }
    for (const Output& stop : spec_.stop_gradients) result.insert(stop.node());
    return result;
  }

  // ---- the walk

  absl::Status walk() {
    std::deque<Node*> queue;
    absl::flat_hash_set<Node*> queued;
    for (const Output& y : spec_.ys)
      if (pending_[y.node()] == 0 && reachable_ys_.contains(y.node()) && queued.insert(y.node()).second)
        queue.push_back(y.node());
    const absl::flat_hash_set<Node*> stop_nodes = stops();
    while (!queue.empty()) {
      Node* node = queue.front();
      queue.pop_front();
      MR_RETURN_IF_ERROR(visit(node, stop_nodes.contains(node)));
      for (const Output& input : node->inputs())
        if (input && --pending_[input.node()] == 0) queue.push_back(input.node());
    }
    return absl::OkStatus();
  }

  absl::Status visit(Node* node, bool is_stop) {
    const auto guard = colocate(node);
    MR_ASSIGN_OR_RETURN(std::vector<Gradient> dys, aggregate(node));
    const bool has_dys = std::any_of(dys.begin(), dys.end(), [](const Gradient& g) { return static_cast<bool>(g); });
    if (is_stop || !has_dys) {
      finished_[node] = std::move(dys);
      return absl::OkStatus();
    }
    const OpEntry* entry = node->entry();
    const bool is_cond = is_switch_or_merge(*node);
    const bool is_call = entry == nullptr && graph_.library().find(node->op()) != nullptr;
    if (!is_cond && !is_call && (!entry || (!entry->gradient && !entry->not_differentiable)))
      return with_where(not_found("No gradient defined for operation '", node->name(), "' (op type: ", node->op(),
                                  "). In general every operation must have an associated gradient for correct "
                                  "autodiff, which this op is lacking. To treat "
                                  "it as a constant, insert tf.stop_gradient."),
                        {node->name(), node->op(), node->device(), node->source()});
    std::vector<Gradient> dxs(static_cast<size_t>(node->num_inputs()));
    if (is_cond || is_call || entry->gradient) {
      MR_RETURN_IF_ERROR(fill_missing(node, &dys));
      MR_ASSIGN_OR_RETURN(dxs, apply_rule(node, dys));
    }
    finished_[node] = std::move(dys);
    for (int i = 0; i < node->num_inputs(); ++i) {
      const Gradient& dx = dxs[static_cast<size_t>(i)];
      if (!dx) continue;
      MR_RETURN_IF_ERROR(narrow(*node, i, dx));
      add(node->input(i), dx);
    }
    return absl::OkStatus();
  }

  // Rules see zeros for outputs that do not matter, where gradients may flow.
  absl::Status fill_missing(Node* node, std::vector<Gradient>* dys) {
    for (int i = 0; i < node->num_outputs(); ++i) {
      Gradient& dy = (*dys)[static_cast<size_t>(i)];
      const DataType dtype = base_dtype(node->output_type(i));
      if (dy || !is_trainable(dtype)) continue;
      if (is_switch(*node)) {
        MR_ASSIGN_OR_RETURN(const Output zeros, zeros_of_other_branch(graph_, node->output(i), spec_.source));
        dy = Gradient(zeros);
        continue;
      }
      if (dtype == DataType::kResource || dtype == DataType::kVariant) continue;
      MR_ASSIGN_OR_RETURN(
          Node * zeros,
          make_op(graph_,
                  {.type = "ZerosLike", .args = {node->output(i)}, .name = "zeros_like", .source = spec_.source}));
      dy = Gradient(zeros->output(0));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Gradient>> apply_rule(Node* node, const std::vector<Gradient>& dys) {
    const NameScope scope(graph_, node->name() + "_grad");
    MR_RETURN_IF_ERROR(scope.status());
    MR_ASSIGN_OR_RETURN(std::vector<Gradient> dxs, is_switch_or_merge(*node)
                                                       ? cond_gradient(graph_, node, dys, spec_.source)
                                                       : node_gradient(graph_, node, dys, spec_.source));
    const auto count = std::count_if(dxs.begin(), dxs.end(), [](const Gradient& g) { return static_cast<bool>(g); });
    if (spec_.gate && count > 1) MR_RETURN_IF_ERROR(gate(&dxs));
    return dxs;
  }

  // Each gradient waits for all of the op, so that its inputs may be freed together.
  absl::Status gate(std::vector<Gradient>* dxs) {
    const ScopesGuard guard(graph_);
    graph_.scopes().devices.push_back(nullptr);
    push_colocation(graph_, nullptr, true);
    std::vector<Output> values;
    std::vector<Node*> also;
    for (const Gradient& dx : *dxs) {
      values.push_back(dx.is_slices() ? dx.slices().values : dx.dense());
      if (dx.is_slices()) also.push_back(dx.slices().indices.node());
    }
    MR_ASSIGN_OR_RETURN(const std::vector<Output> gated, make_tuple_op(graph_, values, {}, {}, spec_.source));
    for (size_t i = 0; i < dxs->size(); ++i) {
      Gradient& dx = (*dxs)[i];
      if (dx.is_slices()) dx = Gradient(IndexedSlices{gated[i], dx.slices().indices, dx.slices().dense_shape});
      else if (dx) dx = Gradient(gated[i]);
    }
    return absl::OkStatus();
  }

  absl::Status narrow(const Node& node, int i, const Gradient& dx) {
    const Output& input = node.input(i);
    if (dx.is_slices() || base_dtype(input.dtype()) == DataType::kResource) return absl::OkStatus();
    const PartialTensorShape before = dx.dense().shape();
    if (graph_.set_shape(dx.dense(), input.shape()).ok()) return absl::OkStatus();
    return invalid_argument("Incompatible shapes between op input and calculated input gradient.  Forward operation: ",
                            node.name(), ".  Input index: ", i, ". Original input shape: ", input.shape(),
                            ".  Calculated input gradient shape: ", before);
  }

  // ---- sums of gradients

  void add(const Output& output, const Gradient& gradient) {
    Contributions& all = contributions_[output.node()];
    if (all.empty()) all.resize(static_cast<size_t>(output.node()->num_outputs()));
    all[static_cast<size_t>(output.index())].push_back(gradient);
  }

  absl::StatusOr<std::vector<Gradient>> aggregate(Node* node) {
    std::vector<Gradient> result(static_cast<size_t>(node->num_outputs()));
    const auto it = contributions_.find(node);
    if (it == contributions_.end()) return result;
    for (size_t i = 0; i < result.size(); ++i) {
      MR_ASSIGN_OR_RETURN(result[i], sum(*node, it->second[i]));
    }
    return result;
  }

  absl::StatusOr<Gradient> sum(const Node& node, const std::vector<Gradient>& parts) {
    if (parts.empty()) return Gradient();
    if (parts.size() == 1) return parts[0];
    if (std::any_of(parts.begin(), parts.end(), [](const Gradient& g) { return g.is_slices(); }))
      return sum_of_slices(graph_, parts, spec_.source);
    std::vector<Output> values;
    for (const Gradient& part : parts) values.push_back(part.dense());
    if (spec_.aggregation == AggregationMethod::ADD_N) return sum_by_device(values);
    const NameScope scope(graph_, node.name() + "_gradient_sum");
    Output running = values[0];
    for (size_t i = 1; i < values.size(); ++i) {
      MR_ASSIGN_OR_RETURN(running, add_n({running, values[i]}));
    }
    return Gradient(running);
  }

  absl::StatusOr<Gradient> sum_by_device(const std::vector<Output>& values) {
    std::map<std::string, std::vector<Output>> by_device;
    for (const Output& value : values) by_device[value.node()->device()].push_back(value);
    std::vector<Output> sums;
    for (const auto& [device, on_device] : by_device) {
      const ScopesGuard guard(graph_);
      push_colocation(graph_, on_device[0].node(), true);
      MR_ASSIGN_OR_RETURN(const Output s, add_n(on_device));
      sums.push_back(s);
    }
    MR_ASSIGN_OR_RETURN(const Output total, add_n(sums));
    return Gradient(total);
  }

  absl::StatusOr<Output> add_n(const std::vector<Output>& values) {
    if (values.size() == 1) return values[0];
    MR_ASSIGN_OR_RETURN(Node * node, make_op(graph_, {.type = "AddN", .args = {values}, .source = spec_.source}));
    return node->output(0);
  }

  // ---- the end

  absl::StatusOr<Gradient> gradient_of(const Output& x) {
    const auto it = finished_.find(x.node());
    if (it != finished_.end() && it->second[static_cast<size_t>(x.index())])
      return it->second[static_cast<size_t>(x.index())];
    if (it == finished_.end()) {
      // Not visited: an x that is a y as well, or a part that no path from a y leads to.
      const auto parts = contributions_.find(x.node());
      if (parts != contributions_.end() && reachable_ys_.contains(x.node()))
        return sum(*x.node(), parts->second[static_cast<size_t>(x.index())]);
    }
    if (!spec_.zeros_for_unconnected) return Gradient();
    return zeros_like(x);
  }

  absl::StatusOr<Gradient> zeros_like(const Output& x) {
    const PartialTensorShape shape = x.shape();
    if (shape.is_fully_defined()) {
      MR_ASSIGN_OR_RETURN(const TensorShape known, as_tensor_shape(shape));
      MR_ASSIGN_OR_RETURN(const Tensor zeros, make_zeroed_tensor(base_dtype(x.dtype()), known));
      MR_ASSIGN_OR_RETURN(const Output value, make_const(graph_, zeros, "zeros_like", spec_.source, true));
      return Gradient(value);
    }
    MR_ASSIGN_OR_RETURN(
        Node * node, make_op(graph_, {.type = "ZerosLike", .args = {x}, .name = "zeros_like", .source = spec_.source}));
    return Gradient(node->output(0));
  }

  GraphImpl& graph_;
  const GradientSpec& spec_;
  absl::flat_hash_set<Node*> reachable_ys_;
  absl::flat_hash_map<Node*, int> pending_;  // readers between xs and ys that have not been visited
  absl::flat_hash_map<Node*, Contributions> contributions_;
  absl::flat_hash_map<Node*, std::vector<Gradient>> finished_;
};

}  // namespace

absl::StatusOr<std::vector<Gradient>> add_gradients(GraphImpl& graph, const GradientSpec& spec) {
  if (graph.finalized()) return failed_precondition("Graph is finalized and cannot be modified.");
  for (const auto* list : {&spec.ys, &spec.xs, &spec.stop_gradients})
    for (const Output& output : *list)
      if (!output || &output.node()->graph() != &graph)
        return invalid_argument("gradients: a tensor is absent or of another graph");
  return Driver(graph, spec).run();
}

}  // namespace millrace
