#include "runtime/passes/passes.h"
#include "runtime/program.h"
#include "runtime/step.h"

namespace millrace {
namespace {

// What a fold may make: more would only move work and memory from the step into the program.
constexpr size_t kMaxFoldedBytes = 1 << 20;

class FoldServices final : public StepServices {
 public:
  explicit FoldServices(Runtime& runtime) : runtime_(runtime) {}
  ResourceManager& resources() override { return runtime_.resources(); }
  ResourceManager& step_resources() override { return step_; }
  CancellationScope* cancellation() override { return runtime_.scope(); }
  FunctionRunner* functions() override { return &runtime_; }
  int64_t step_id() const override { return 0; }
  void schedule(std::function<void()> work) override { runtime_.schedule(std::move(work)); }

 private:
  Runtime& runtime_;
  ResourceManager step_;
};

bool is_plain(DataType type) { return is_pod(type) || type == DataType::kString; }

bool can_fold(const Plan& plan, const PlanNode& node) {
  if (!node.state || node.removed || node.is_constant() || node.is_stateful() || node.inputs.empty() ||
      !node.control_inputs.empty())
    return false;
  if (flow_kind(node.op) != FlowKind::kNone || node.num_outputs() == 0) return false;
  for (const ValueRef& input : node.inputs) {
    if (!plan.at(input.node).is_constant() || input.index != 0 || !plan.at(input.node).control_inputs.empty())
      return false;
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (!is_plain(node.output_type(i))) return false;  // references are no plain types either
  }
  return true;
}

// The outputs, or none where the op cannot be run now: it then fails, or works, in the step.
std::vector<Tensor> evaluate(const Plan& plan, const PlanNode& node, Runtime& runtime) {
  if (!runtime.ensure_kernel(*node.state).ok() || node.state->kernel->is_async()) return {};
  std::vector<InputValue> inputs(node.inputs.size()), outputs(static_cast<size_t>(node.num_outputs()));
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].tensor = plan.at(node.inputs[i].node).constant;
  if (node.state->op->shape != nullptr) {
    Program::Op op;
    op.state = node.state.get();
    op.constant_inputs = ~uint64_t{0};
    if (!check_contract(op, inputs).ok()) return {};
  }
  FoldServices services(runtime);
  const ComputeGuard guard(runtime.options());
  KernelContext context(node.info(), node.info().output_types.data(), inputs, outputs, &services);
  try {
    if (!node.state->kernel->compute(context).ok()) return {};
  } catch (...) {
    return {};
  }
  std::vector<Tensor> values;
  size_t bytes = 0;
  for (InputValue& output : outputs) {
    if (!output.tensor.has_value() || output.variable) return {};
    bytes += output.tensor.byte_size();
    values.push_back(std::move(output.tensor));
  }
  return bytes <= kMaxFoldedBytes ? values : std::vector<Tensor>();
}

template <class T> absl::StatusOr<Tensor> shape_tensor(const PartialTensorShape& shape) {
  std::vector<T> dims;
  for (const int64_t d : shape.dims()) dims.push_back(static_cast<T>(d));
  return make_vector<T>(dims);
}

template <class T> absl::StatusOr<Tensor> known_shape_as(const PlanNode& node, const PartialTensorShape& shape) {
  if (node.op == "Shape") return shape_tensor<T>(shape);
  if (node.op == "Rank") return make_scalar<T>(static_cast<T>(shape.rank()));
  return make_scalar<T>(static_cast<T>(shape.num_elements()));
}

// The value of Shape, Size or Rank of something whose shape is known for certain; none otherwise.
Tensor known_shape(const Plan& plan, const PlanNode& node) {
  if (!node.state || node.removed || !node.control_inputs.empty() || node.inputs.size() != 1) return {};
  if (node.op != "Shape" && node.op != "Size" && node.op != "Rank") return {};
  const PlanNode& from = plan.at(node.inputs[0].node);
  const auto index = static_cast<size_t>(node.inputs[0].index);
  if (index >= from.shapes.size() || !from.shapes[index].is_fully_defined()) return {};
  absl::StatusOr<Tensor> value = node.output_type(0) == DataType::kInt64
                                     ? known_shape_as<int64_t>(node, from.shapes[index])
                                     : known_shape_as<int32_t>(node, from.shapes[index]);
  return value.ok() ? *std::move(value) : Tensor();
}

}  // namespace

absl::Status fold_constants(Plan& plan, Runtime& runtime) {
  MR_ASSIGN_OR_RETURN(const std::vector<int> order, topological_order(plan));
  infer_shapes(plan, order);
  Replacements replacements(plan.nodes.size());
  for (const int i : order) {
    for (ValueRef& input : plan.at(i).inputs) input = replacements.find(input);
    std::vector<Tensor> values;
    if (can_fold(plan, plan.at(i))) {
      values = evaluate(plan, plan.at(i), runtime);
    } else if (!plan.has_control_flow) {
      if (Tensor value = known_shape(plan, plan.at(i)); value.has_value()) values.push_back(std::move(value));
    }
    for (size_t o = 0; o < values.size(); ++o) {
      MR_ASSIGN_OR_RETURN(PlanNode constant,
                          make_plan_constant(runtime, str_cat(plan.at(i).name, o ? str_cat("/folded_", o) : "/folded"),
                                             std::move(values[o]), plan.at(i)));
      constant.rank = i;
      replacements.add({i, static_cast<int>(o)}, {static_cast<int>(plan.nodes.size()), 0});
      plan.nodes.push_back(std::move(constant));
    }
  }
  replacements.apply(plan);
  return absl::OkStatus();
}

}  // namespace millrace
