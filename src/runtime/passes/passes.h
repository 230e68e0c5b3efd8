#pragma once
// What is done to a plan between placing and layout: one ordered list of passes (passes.cc), one file each. A pass
// keeps every value that is fetched and every effect; it may change which kernels run. Only the fusions may change a
// value's last bits.

#include "runtime/plan.h"

namespace millrace {

// All passes that the session's options allow, in order.
absl::Status run_passes(Plan& plan, Runtime& runtime);

// Calls of library functions become the nodes of their bodies.
absl::Status inline_functions(Plan& plan, Runtime& runtime);
// Fetched references become values where the variable stands in the step's order: what a fetch saw before the updates.
absl::Status dereference_fetches(Plan& plan, Runtime& runtime);
// Computes what depends on constants alone, and shapes that are known.
absl::Status fold_constants(Plan& plan, Runtime& runtime);
// Nodes without state that do the same to the same values become one.
absl::Status merge_subexpressions(Plan& plan, Runtime& runtime);
// Drops control edges that order nothing.
absl::Status loosen_controls(Plan& plan, Runtime& runtime);
// Passes by nodes that hand on their input.
absl::Status skip_identities(Plan& plan, Runtime& runtime);
// Drops nodes without effects that are waited for but not read.
absl::Status skip_unread(Plan& plan, Runtime& runtime);
// MatMul or Conv2D, BiasAdd and an activation become _FusedMatMul or _FusedConv2D.
absl::Status fuse_bias(Plan& plan, Runtime& runtime);
// FusedBatchNorm, an addition and Relu become _FusedBatchNormEx.
absl::Status fuse_batch_norm(Plan& plan, Runtime& runtime);
// Groups of elementwise float ops become _FusedElementwise.
absl::Status fuse_elementwise(Plan& plan, Runtime& runtime);

// --- What passes are made of.

// A node that a pass makes; the attributes are completed. It runs where `like` runs.
absl::StatusOr<PlanNode> make_plan_node(const Runtime& runtime, std::string_view op, std::string name, AttrMap attrs,
                                        const PlanNode& like);
absl::StatusOr<PlanNode> make_plan_constant(const Runtime& runtime, std::string name, Tensor value,
                                            const PlanNode& like);

// Readers of `from` read `to` instead, fetches included.
class Replacements {
 public:
  explicit Replacements(size_t nodes) : by_node_(nodes) {}  // grows where more are replaced
  void add(ValueRef from, ValueRef to);
  bool empty() const { return empty_; }
  ValueRef find(ValueRef value);  // follows chains, and shortens them for the next time
  void apply(Plan& plan);

 private:
  std::vector<std::vector<ValueRef>> by_node_;
  bool empty_ = true;
};

// How often each node is read, by output; and whether others wait for it, or the run asks for it.
struct Uses {
  std::vector<std::vector<int>> data;  // node, output: readers, fetches included
  std::vector<int> control;
};
Uses count_uses(const Plan& plan);

// Ops whose failing is what they are there for: they run though nobody reads what they give.
bool runs_for_errors(std::string_view op);

// Readers that run behind an update of a reference variable see the new value, as in TF1.
void read_behind_updates(Plan& plan);

}  // namespace millrace
