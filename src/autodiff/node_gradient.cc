#include "autodiff/node_gradient.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "autodiff/slices.h"
#include "base/errors.h"
#include "graph/constant_value.h"
#include "graph/op_maker.h"
#include "op/gradient_context.h"

namespace millrace {
namespace {

// What first_time() remembers of a graph.
struct RuleMemory {
  std::set<std::string> keys;
};

class RuleContext final : public GradientContext {
 public:
  RuleContext(GraphImpl& graph, Node* node, const std::vector<Gradient>& dys, const std::string& source)
      : graph_(graph),
        node_(node),
        dys_(dys),
        source_(source),
        dxs_(static_cast<size_t>(node->num_inputs())),
        scopes_{graph.scopes().name} {}

  const NodeInfo& node() const override { return node_->info(); }
  int num_inputs() const override { return node_->num_inputs(); }
  int num_outputs() const override { return node_->num_outputs(); }
  Output x(int i) const override { return i >= 0 && i < num_inputs() ? node_->input(i) : Output(); }
  Output y(int i) const override { return i >= 0 && i < num_outputs() ? node_->output(i) : Output(); }

  bool has_dy(int i) const override { return static_cast<size_t>(i) < dys_.size() && dys_[static_cast<size_t>(i)]; }
  const IndexedSlices* dy_slices(int i) const override {
    return has_dy(i) && dys_[static_cast<size_t>(i)].is_slices() ? &dys_[static_cast<size_t>(i)].slices() : nullptr;
  }
  Output dy(int i) override {
    if (!has_dy(i)) return {};
    const Gradient& given = dys_[static_cast<size_t>(i)];
    if (!given.is_slices()) return given.dense();
    Output& dense = dense_dys_[i];
    if (!dense && status_.ok()) take(dense_form(graph_, given.slices(), {}, source_), &dense);
    return dense;
  }

  void set_dx(int i, Output dx) override {
    if (status_.ok() && dx && check_index(i)) dxs_[static_cast<size_t>(i)] = Gradient(dx);
  }
  void set_dx(int i, const IndexedSlices& dx) override {
    if (status_.ok() && dx.values && check_index(i)) dxs_[static_cast<size_t>(i)] = Gradient(dx);
  }

  PartialTensorShape shape(const Output& output) const override {
    return output ? output.shape() : PartialTensorShape();
  }
  PartialTensorShape variable_shape(const Output& handle) const override {
    if (!handle) return {};
    const std::vector<HandleType>& types = handle.node()->output_handle(handle.index());
    return types.empty() ? PartialTensorShape() : types[0].shape;
  }
  bool is_zero(const Output& output) const override {
    if (!output) return false;
    if (output.node()->info().op == "ZerosLike" || output.node()->info().op == "Zeros") return true;
    const Tensor* value = constant_value(output);
    if (value == nullptr || !is_pod(value->dtype())) return false;
    const auto* bytes = static_cast<const char*>(value->raw_data());
    return std::all_of(bytes, bytes + value->byte_size(), [](char b) { return b == 0; });
  }
  DataType dtype(const Output& output) const override {
    return output ? base_dtype(output.dtype()) : DataType::kInvalid;
  }
  const Tensor* constant_value(const Output& output) const override {
    if (!output) return nullptr;
    std::shared_ptr<const Tensor> value = static_value(output);
    if (value) kept_.push_back(value);
    return value.get();
  }

  std::vector<Output> op_outputs(std::string_view type, const std::vector<Output>& inputs, AttrMap attrs,
                                 std::string_view name) override {
    return build(type, {inputs.begin(), inputs.end()}, std::move(attrs), name);
  }
  std::vector<Output> op_with_lists(std::string_view type, const std::vector<std::vector<Output>>& inputs,
                                    AttrMap attrs, std::string_view name) override {
    const OpEntry* entry = graph_.registry().find(type);
    std::vector<OpArg> args;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const ArgDef* arg = entry && i < entry->def.inputs.size() ? &entry->def.inputs[i] : nullptr;
      const bool is_list = !arg || !arg->number_attr.empty() || !arg->type_list_attr.empty();
      if (!is_list && inputs[i].size() == 1) args.emplace_back(inputs[i][0]);
      else args.emplace_back(inputs[i]);
    }
    return build(type, std::move(args), std::move(attrs), name);
  }
  Output constant(const Tensor& value, std::string_view name, bool compact) override {
    Output result;
    if (status_.ok()) take(make_const(graph_, value, full_name(name), source_, compact), &result);
    return result;
  }

  std::unique_ptr<Guard> name_scope(std::string_view name) override {
    auto guard = std::make_unique<NameGuard>(*this, name);
    if (status_.ok()) status_ = guard->scope.status();
    return guard;
  }
  std::unique_ptr<Guard> control_dependencies(const std::vector<Output>& ops) override {
    auto guard = std::make_unique<StateGuard>(graph_);
    std::vector<Node*> nodes;
    for (const Output& op : ops)
      if (op) nodes.push_back(op.node());
    push_control_dependencies(graph_, std::move(nodes));
    return guard;
  }
  std::unique_ptr<Guard> colocate_with(const Output& op) override {
    auto guard = std::make_unique<StateGuard>(graph_);
    if (op) push_colocation(graph_, op.node(), false);
    return guard;
  }
  std::unique_ptr<Guard> device(std::string_view device) override {
    auto guard = std::make_unique<StateGuard>(graph_);
    absl::StatusOr<DeviceFunction> on = device_merger(device);
    if (on.ok()) graph_.scopes().devices.push_back(*std::move(on));
    else fail(on.status());
    return guard;
  }

  bool first_time(const std::string& key) override { return graph_.attachment<RuleMemory>().keys.insert(key).second; }
  void fail(absl::Status status) override {
    if (status_.ok()) status_ = std::move(status);
  }

  const absl::Status& status() const { return status_; }
  std::vector<Gradient> take_dxs() { return std::move(dxs_); }

 private:
  struct NameGuard final : Guard {
    NameGuard(RuleContext& c, std::string_view name) : context(c), scope(c.graph_, name) {
      context.scopes_.push_back(scope.name());
    }
    ~NameGuard() override { context.scopes_.pop_back(); }
    RuleContext& context;
    NameScope scope;
  };
  struct StateGuard final : Guard {
    // The name scope is not part of what it restores: guards of both kinds may end in any order.
    explicit StateGuard(GraphImpl& g) : graph(g), before(g.scopes()) {}
    ~StateGuard() override {
      before.name = graph.scopes().name;
      graph.scopes() = std::move(before);
    }
    GraphImpl& graph;
    Scopes before;
  };

  std::string full_name(std::string_view name) const { return name == "/" ? scopes_.back() : std::string(name); }

  bool check_index(int i) {
    if (i >= 0 && i < num_inputs()) return true;
    fail(internal_error("gradient of ", node_->op(), ": there is no input ", i));
    return false;
  }

  void take(absl::StatusOr<Output> output, Output* into) {
    if (output.ok()) *into = *output;
    else fail(output.status());
  }

  std::vector<Output> build(std::string_view type, std::vector<OpArg> args, AttrMap attrs, std::string_view name) {
    if (!status_.ok()) return absent(type);
    OpRequest request;
    request.type = type;
    request.args = std::move(args);
    request.attrs = std::move(attrs);
    const std::string full = full_name(name);
    request.name = full;
    request.source = source_;
    absl::StatusOr<Node*> node = make_op(graph_, request);
    if (!node.ok()) {
      fail(node.status());
      return absent(type);
    }
    std::vector<Output> outputs;
    for (int i = 0; i < (*node)->num_outputs(); ++i) outputs.push_back((*node)->output(i));
    return outputs;
  }

  // Rules index what they get: after an error that must still be safe.
  std::vector<Output> absent(std::string_view type) const {
    const OpEntry* entry = graph_.registry().find(type);
    const size_t declared = entry ? entry->def.outputs.size() : 1;
    return std::vector<Output>(std::max<size_t>(declared, 16));
  }

  GraphImpl& graph_;
  Node* node_;
  const std::vector<Gradient>& dys_;
  const std::string& source_;
  std::vector<Gradient> dxs_;
  std::map<int, Output> dense_dys_;
  std::vector<std::string> scopes_;
  mutable std::vector<std::shared_ptr<const Tensor>> kept_;
  absl::Status status_;
};

// Ops whose gradient is the gradient, slices included.
bool passes_through(std::string_view op) {
  static constexpr std::array kOps = {"Identity", "RefIdentity", "ReadVariableOp", "Snapshot"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

}  // namespace

absl::StatusOr<std::vector<Gradient>> node_gradient(GraphImpl& graph, Node* node, const std::vector<Gradient>& dys,
                                                    const std::string& source) {
  if (passes_through(node->op()) && dys[0].is_slices()) return std::vector<Gradient>{dys[0]};
  RuleContext context(graph, node, dys, source);
  // A call of a function by its name has no entry: the rule of calls is its own.
  const OpEntry* entry = node->entry() ? node->entry() : graph.registry().find("PartitionedCall");
  if (entry == nullptr || !entry->gradient) return not_found("No gradient defined for calls of ", node->op());
  absl::Status status = entry->gradient(context);
  if (!context.status().ok()) status = context.status();
  if (status.ok()) return context.take_dxs();
  const errors::Where where = where_of(status);
  if (!where.node_name.empty()) return status;
  return with_where(std::move(status), {node->name(), node->op(), node->device(), node->source()});
}

}  // namespace millrace
