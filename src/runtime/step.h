#pragma once
// One run of a program under way: its slots and what its kernels may ask for. Steps are kept and used again.

#include <optional>

#include "runtime/program.h"

namespace millrace {

class Step final : public StepServices {
 public:
  explicit Step(const Program& program);

  // --- StepServices
  ResourceManager& resources() override { return runtime_.resources(); }
  ResourceManager& step_resources() override {
    used_step_resources_.store(true, std::memory_order_relaxed);
    return step_resources_;
  }
  CancellationScope* cancellation() override { return scope_; }
  FunctionRunner* functions() override { return &runtime_; }
  int64_t step_id() const override { return step_id_; }
  void schedule(std::function<void()> work) override { runtime_.schedule(std::move(work)); }

  void begin(CancellationScope* scope) {
    scope_ = scope;
    step_id_ = runtime_.next_step_id();
  }
  // Empties what the step held. After an error all slots may hold something.
  void end(bool failed);

  // True if the op's inputs have the shapes that its shape function accepted last time.
  bool shapes_as_seen(const Program::Op& op, size_t index, std::span<const InputValue> inputs) const;
  void remember_shapes(const Program::Op& op, size_t index, std::span<const InputValue> inputs);

  std::vector<InputValue> slots;    // the root frame's, then those of fetches
  std::vector<InputValue> scratch;  // outputs of the op that runs (walked programs)

 private:
  const Program& program_;
  Runtime& runtime_;
  CancellationScope* scope_ = nullptr;
  int64_t step_id_ = 0;
  std::atomic<bool> used_step_resources_{false};
  ResourceManager step_resources_;
  std::vector<TensorShape> seen_;  // by slot over all frames
  std::vector<bool> seen_valid_;   // by op
};

// --- What both ways of scheduling share.

// Turns reference inputs into values where the op wants values. FailedPrecondition for uninitialized variables.
absl::Status dereference(std::span<const Program::Deref> derefs, InputValue* slots);
// The op's input contract: its shape function on the actual shapes.
absl::Status check_contract(const Program::Op& op, std::span<const InputValue> inputs);
// Adds the node, its inputs and source line to an error of its kernel.
absl::Status node_error(const NodeState& state, std::span<const InputValue> inputs, const absl::Status& status);
absl::Status missing_output(const NodeState& state, size_t output);
void record_node(const NodeState& state, int64_t start, std::span<const InputValue> outputs, StepStatsCollector* stats);
// The exception in flight as a status; only in a catch block.
absl::Status exception_status();

// How deep functions call each other on this thread, and the limit on it.
inline constexpr int kMaxCallDepth = 500;
int& call_depth();

// Denormals are zero, and the wanted number of OpenMP threads holds, while one lives.
class ComputeGuard {
 public:
  explicit ComputeGuard(const RuntimeOptions& options);
  ~ComputeGuard();
  ComputeGuard(const ComputeGuard&) = delete;
  ComputeGuard& operator=(const ComputeGuard&) = delete;

 private:
  uint32_t csr_ = 0;
  int threads_before_ = 0;  // 0: unchanged
};

}  // namespace millrace
