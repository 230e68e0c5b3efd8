#include <algorithm>

#include "runtime/passes/passes.h"

namespace millrace {
namespace {

// FusedBatchNorm -> Relu, and FusedBatchNorm -> AddV2 with a value of the same shape -> Relu: the end of a layer, and
// of a residual block. The other outputs go on to be read.
class Fuser {
 public:
  Fuser(Plan& plan, Runtime& runtime)
      : plan_(plan), runtime_(runtime), uses_(count_uses(plan)), reader_(plan.nodes.size(), -1) {
    for (size_t i = 0; i < plan.nodes.size(); ++i) {
      if (plan.nodes[i].removed) continue;
      for (const ValueRef& input : plan.nodes[i].inputs)
        if (input.index == 0) reader_[static_cast<size_t>(input.node)] = static_cast<int>(i);
    }
  }

  absl::Status run() {
    const size_t n = plan_.nodes.size();
    for (size_t i = 0; i < n; ++i)
      if (is_batch_norm(plan_.nodes[i])) MR_RETURN_IF_ERROR(fuse(static_cast<int>(i)));
    replacements_.apply(plan_);
    return absl::OkStatus();
  }

 private:
  static bool is_batch_norm(const PlanNode& node) {
    if (!node.state || node.removed || !node.op.starts_with("FusedBatchNorm") || !node.control_inputs.empty())
      return false;
    if (node.op != "FusedBatchNorm" && node.op != "FusedBatchNormV2" && node.op != "FusedBatchNormV3") return false;
    const auto format = get_attr<std::string>(node.info(), "data_format");
    return format.ok() && (*format == "NHWC" || *format == "NCHW");
  }

  // The node that alone reads output 0 of `i`; else -1. It may be anything that waits for nothing else.
  int only_reader(int i) const {
    const auto at = static_cast<size_t>(i);
    if (uses_.control[at] > 0 || uses_.data[at][0] != 1) return -1;
    const int reader = reader_[at];
    return reader >= 0 && plan_.at(reader).control_inputs.empty() ? reader : -1;
  }

  // What an addition adds to output 0 of `norm`; nothing if their shapes might differ. Shapes are those that constant
  // folding has found.
  ValueRef addend(const PlanNode& add, int norm) const {
    if (add.op != "AddV2" && add.op != "Add") return {};
    const ValueRef ours{norm, 0};
    const ValueRef other = add.inputs[0] == ours ? add.inputs[1] : add.inputs[0];
    if (other == ours || other.node == norm) return {};
    const PartialTensorShape& shape = plan_.at(norm).shapes.empty() ? unknown_ : plan_.at(norm).shapes[0];
    const PlanNode& from = plan_.at(other.node);
    if (!shape.is_fully_defined() || static_cast<size_t>(other.index) >= from.shapes.size()) return {};
    if (from.shapes[static_cast<size_t>(other.index)] != shape || depends_on(other.node, norm)) return {};
    return other;
  }

  // True if `node` needs `norm`, as by the batch's mean: then it cannot be an input of the fused node.
  bool depends_on(int node, int norm) const {
    std::vector<bool> seen(plan_.nodes.size(), false);
    std::vector<int> open = {node};
    while (!open.empty()) {
      const int i = open.back();
      open.pop_back();
      if (i == norm) return true;
      if (seen[static_cast<size_t>(i)]) continue;
      seen[static_cast<size_t>(i)] = true;
      for (const ValueRef& input : plan_.at(i).inputs) open.push_back(input.node);
      open.insert(open.end(), plan_.at(i).control_inputs.begin(), plan_.at(i).control_inputs.end());
    }
    return false;
  }

  absl::Status fuse(int norm) {
    int next = only_reader(norm);
    if (next < 0) return absl::OkStatus();
    ValueRef side;
    int last = -1;
    if (plan_.at(next).op == "Relu") {
      last = next;
    } else if (side = addend(plan_.at(next), norm); side.node >= 0) {
      const int relu = only_reader(next);
      if (relu >= 0 && plan_.at(relu).op == "Relu") last = relu;
    }
    if (last < 0) return absl::OkStatus();
    const PlanNode& from = plan_.at(norm);
    AttrMap attrs = {{"T", from.output_type(0)},
                     {"U", DataType::kFloat},
                     {"num_side_inputs", side.node >= 0 ? 1 : 0},
                     {"activation_mode", "Relu"}};
    for (const char* name : {"epsilon", "exponential_avg_factor", "data_format", "is_training"})
      if (const auto it = from.info().attrs.find(name); it != from.info().attrs.end()) attrs.insert(*it);
    MR_ASSIGN_OR_RETURN(PlanNode node, make_plan_node(runtime_, "_FusedBatchNormEx", plan_.at(last).name,
                                                      std::move(attrs), plan_.at(last)));
    node.inputs.assign(from.inputs.begin(), from.inputs.begin() + 5);
    if (side.node >= 0) node.inputs.push_back(side);
    node.rank = last;
    const int made = static_cast<int>(plan_.nodes.size());
    replacements_.add({last, 0}, {made, 0});
    for (int i = 1; i < from.num_outputs(); ++i) replacements_.add({norm, i}, {made, i});
    for (PlanNode& other : plan_.nodes) std::ranges::replace(other.control_inputs, last, made);
    std::ranges::replace(plan_.targets, last, made);
    plan_.nodes.push_back(std::move(node));
    return absl::OkStatus();
  }

  Plan& plan_;
  Runtime& runtime_;
  const PartialTensorShape unknown_;
  const Uses uses_;
  std::vector<int> reader_;
  Replacements replacements_{plan_.nodes.size()};
};

}  // namespace

absl::Status fuse_batch_norm(Plan& plan, Runtime& runtime) {
  if (runtime.registry().find("_FusedBatchNormEx") == nullptr) return absl::OkStatus();
  // Parts that may be dead share their fate only with what they come from: a side input may be dead where the rest
  // lives.
  if (plan.has_control_flow) return absl::OkStatus();
  return Fuser(plan, runtime).run();
}

}  // namespace millrace
