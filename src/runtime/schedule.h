#pragma once
// Running a program by counts of what each op still waits for: for asynchronous kernels, for branches side by side, and
// for TF1's dynamic control flow with its dead values and loop frames.
//
// A frame is one run of a loop; each of its iterations has slots and counts of its own. An op belongs to one frame,
// fixed at layout. Values cross frames only through Enter (into iteration 0 of the child, or into all of them for loop
// constants), NextIteration (one iteration on) and Exit (out to the iteration of the parent that entered). An op that
// gets a dead input does not run and gives dead outputs; a Merge runs with its first live input and is dead when all
// its inputs are. Dead values stop at NextIteration, and leave a loop only when it ends without ever giving a live
// value there.
//
// One mutex guards all bookkeeping; kernels run outside of it. Threads that run ops are called drivers: the caller of a
// synchronous run, and compute threads. A pending asynchronous kernel holds none.

#include <condition_variable>
#include <deque>
#include <mutex>

#include "runtime/step.h"

namespace millrace {

class Schedule : public std::enable_shared_from_this<Schedule> {
 public:
  Schedule(std::shared_ptr<const Program> program, std::unique_ptr<Step> step, const RunContext& context);
  ~Schedule();

  // Runs on the calling thread until finished.
  absl::Status run(std::span<Tensor> feeds, bool take_feeds);
  // Calls `done` once finished, with this object as long as its results are not taken.
  void run_async(std::span<Tensor> feeds, std::function<void(absl::Status)> done);

  // A partial run: feeds come one by one, and fetches are answered as soon as they are there. It ends, and calls
  // `ended`, when all feeds have come and nothing is left to do, or with the first error.
  void start_partial(std::function<void(absl::Status)> ended);
  void feed(std::vector<std::pair<int, Tensor>> feeds);  // by number, each at most once
  // Values of the slots, each taken once. No value where the op was in a branch that was not taken. `done` may be
  // called before this returns.
  using Fetched = std::function<void(absl::Status, std::vector<Tensor>)>;
  void when_fetched(std::vector<uint32_t> slots, Fetched done);

  // After the run: the value that arrived in a fetch's slot, and the step to use again.
  Tensor take_fetch(uint32_t slot) { return std::move(root_.iterations.front()->inputs[slot].tensor); }
  std::unique_ptr<Step> release_step() { return std::move(step_); }

 private:
  struct Counts {
    int32_t pending = 0;
    int32_t dead = 0;
  };
  struct LiveFrame;
  struct Iteration {
    std::vector<InputValue> inputs;
    std::vector<InputValue> outputs;
    std::vector<Counts> counts;                        // by the op's number in the frame
    std::vector<std::unique_ptr<LiveFrame>> children;  // loops entered from this iteration
    int outstanding = 0;                               // ops that are ready or run
  };
  struct LiveFrame {
    uint32_t id = 0;
    LiveFrame* parent = nullptr;  // null for the root
    int64_t parent_iteration = 0;
    int64_t first = 0;  // number of iterations.front()
    std::deque<std::unique_ptr<Iteration>> iterations;
    int missing_enters = 0;
    std::vector<std::pair<uint32_t, InputValue>> constants;  // Enter op, value, for iterations to come
    std::vector<uint32_t> dead_constants;
    std::vector<std::pair<uint32_t, InputValue>>
        waiting;                       // NextIteration op, value: more iterations than may run at once
    std::vector<uint32_t> dead_exits;  // of the newest iteration
    int64_t newest() const { return first + static_cast<int64_t>(iterations.size()) - 1; }
    Iteration& at(int64_t i) { return *iterations[static_cast<size_t>(i - first)]; }
  };
  struct Ready {
    uint32_t op;
    LiveFrame* frame;
    int64_t iteration;
    bool dead;
  };
  struct AsyncCall;
  // What a partial run keeps beyond the others.
  struct Waiter {
    std::vector<uint32_t> slots;
    size_t missing = 0;
    Fetched done;
  };
  struct Partial {
    int unfed = 0;              // counted as outstanding
    std::vector<char> arrived;  // by slot of the root frame
    std::vector<Waiter> waiters;
    std::vector<Waiter> answers;  // whose slots have all arrived
  };

  void start(std::span<Tensor> feeds, bool take_feeds);
  void drive(std::unique_lock<std::mutex>& lock);
  void process(const Ready& ready, std::unique_lock<std::mutex>& lock);
  void compute_async(const Ready& ready, std::span<InputValue> inputs, std::span<InputValue> outputs);
  void async_done(AsyncCall* call, absl::Status status);
  void help();
  void settle(std::unique_lock<std::mutex>& lock);
  void settle_partial(std::unique_lock<std::mutex>& lock);
  void answer(std::unique_lock<std::mutex>& lock);
  void end(std::unique_lock<std::mutex>& lock);

  // All below: with the mutex held.
  void finish_op(const Ready& ready, const absl::Status& status, std::unique_lock<std::mutex>& lock);
  void propagate(const Ready& ready);
  void deliver(const Program::Op& op, std::span<InputValue> outputs, bool dead, LiveFrame* frame, int64_t iteration,
               bool keep);
  void deliver_edge(const Program::Edge& edge, InputValue* value, bool move, LiveFrame* frame, int64_t iteration);
  void deliver_control(uint32_t op, bool dead, LiveFrame* frame, int64_t iteration);
  void make_ready(uint32_t op, LiveFrame* frame, int64_t iteration, bool dead);
  void enter(const Ready& ready, const Program::Op& op, std::span<InputValue> outputs);
  void next_iteration(const Ready& ready, const Program::Op& op, std::span<InputValue> outputs);
  Iteration& add_iteration(LiveFrame* frame);
  void advance(LiveFrame* frame);
  void clean_up(LiveFrame* frame);
  void fetch_arrived(uint32_t slot);
  void fail(absl::Status status);
  std::unique_ptr<Iteration> new_iteration(uint32_t frame);
  void recycle(uint32_t frame, std::unique_ptr<Iteration> iteration);

  const std::shared_ptr<const Program> program_;
  std::unique_ptr<Step> step_;
  const RunContext context_;
  std::optional<CancellationScope> scope_;  // of the step: cancelled by its first error; none once it has finished
  const int max_drivers_;
  const int depth_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Ready> ready_;
  LiveFrame root_;
  std::vector<std::vector<std::unique_ptr<Iteration>>> free_iterations_;  // by frame
  int64_t outstanding_ = 0;                                               // ops that are ready or run, over all frames
  int drivers_ = 0;
  bool caller_waits_ = false;
  bool synchronous_ = true;
  bool finished_ = false;
  std::unique_ptr<Partial> partial_;
  absl::Status status_;
  std::function<void(absl::Status)> done_;
};

}  // namespace millrace
