#include <algorithm>
#include <span>

#include "runtime/passes/passes.h"

namespace millrace {
namespace {

constexpr std::string_view kActivations[] = {"Relu", "Relu6", "Elu", "Tanh", "Sigmoid"};

class Fuser {
 public:
  Fuser(Plan& plan, Runtime& runtime)
      : plan_(plan), runtime_(runtime), uses_(count_uses(plan)), reader_(plan.nodes.size(), -1) {
    for (size_t i = 0; i < plan.nodes.size(); ++i) {
      if (plan.nodes[i].removed) continue;
      for (const ValueRef& input : plan.nodes[i].inputs) reader_[static_cast<size_t>(input.node)] = static_cast<int>(i);
    }
  }

  absl::Status run() {
    const size_t n = plan_.nodes.size();
    for (size_t i = 0; i < n; ++i) {
      if (is_product(plan_.nodes[i])) MR_RETURN_IF_ERROR(fuse(static_cast<int>(i)));
    }
    replacements_.apply(plan_);
    return absl::OkStatus();
  }

 private:
  bool is_product(const PlanNode& node) const {
    return node.state && !node.removed && (node.op == "MatMul" || node.op == "Conv2D") &&
           node.output_type(0) == DataType::kFloat && node.control_inputs.empty();
  }

  // The node that alone reads output 0 of `i`, if nothing else looks at `i`; else -1.
  int only_reader(int i) const {
    const auto at = static_cast<size_t>(i);
    if (uses_.control[at] > 0 || uses_.data[at][0] != 1) return -1;
    const int reader = reader_[at];
    return reader >= 0 && plan_.at(reader).control_inputs.empty() ? reader : -1;
  }

  // "NHWC" for ops that know no other format.
  static std::string data_format(const PlanNode& node) {
    const auto format = get_attr<std::string>(node.info(), "data_format");
    return format.ok() ? *format : "NHWC";
  }

  bool is_bias(int i, int product) const {
    if (i < 0 || plan_.at(i).inputs[0] != ValueRef{product, 0}) return false;
    const PlanNode& node = plan_.at(i);
    if (node.op != "BiasAdd" && node.op != "BiasAddV1") return false;
    return data_format(node) == data_format(plan_.at(product));
  }

  absl::StatusOr<PlanNode> fused_node(const PlanNode& product, const std::vector<std::string>& fused,
                                      const PlanNode& last) const {
    AttrMap attrs = {{"T", DataType::kFloat}, {"num_args", 1}, {"fused_ops", fused}};
    const bool is_matmul = product.op == "MatMul";
    if (!is_matmul) attrs["TArgs"] = std::vector<DataType>{DataType::kFloat};
    constexpr std::string_view kMatMul[] = {"transpose_a", "transpose_b"};
    constexpr std::string_view kConv2D[] = {"strides", "padding", "explicit_paddings", "data_format", "dilations"};
    for (const std::string_view name : is_matmul ? std::span<const std::string_view>(kMatMul) : kConv2D)
      if (const auto it = product.info().attrs.find(name); it != product.info().attrs.end()) attrs.insert(*it);
    return make_plan_node(runtime_, is_matmul ? "_FusedMatMul" : "_FusedConv2D", last.name, std::move(attrs), last);
  }

  absl::Status fuse(int product) {
    const int bias = only_reader(product);
    if (!is_bias(bias, product)) return absl::OkStatus();
    int last = bias;
    std::vector<std::string> fused = {"BiasAdd"};
    if (const int next = only_reader(bias);
        next >= 0 && std::ranges::find(kActivations, plan_.at(next).op) != std::end(kActivations)) {
      fused.push_back(plan_.at(next).op);
      last = next;
    }
    const PlanNode& mm = plan_.at(product);
    MR_ASSIGN_OR_RETURN(PlanNode node, fused_node(mm, fused, plan_.at(last)));
    node.inputs = {mm.inputs[0], mm.inputs[1], plan_.at(bias).inputs[1]};
    node.rank = last;
    replacements_.add({last, 0}, {static_cast<int>(plan_.nodes.size()), 0});
    // Who waited for the last one, or asked for it, now means the new node.
    const int made = static_cast<int>(plan_.nodes.size());
    for (PlanNode& other : plan_.nodes) std::ranges::replace(other.control_inputs, last, made);
    std::ranges::replace(plan_.targets, last, made);
    plan_.nodes.push_back(std::move(node));
    return absl::OkStatus();
  }

  Plan& plan_;
  Runtime& runtime_;
  const Uses uses_;
  std::vector<int> reader_;
  Replacements replacements_{plan_.nodes.size()};
};

}  // namespace

absl::Status fuse_bias(Plan& plan, Runtime& runtime) {
  // A fused node runs where its parts did; with branches that may be dead that still holds, as all parts share their
  // fate.
  if (!runtime.registry().find("_FusedMatMul") || !runtime.registry().find("_FusedConv2D")) return absl::OkStatus();
  return Fuser(plan, runtime).run();
}

}  // namespace millrace
