#pragma once
// A compiled signature: kernels in one array, in an order that can be walked, with the slots that values pass through.
//
// Every input of every op is one slot; a kernel reads its slots side by side. What an op gives is moved to the slot of
// its last reader and copied (sharing the buffer) to the others; slots are emptied as soon as their op has run, so that
// a buffer has one owner at its last use and may be handed on or written in place. Constants sit in their slots for
// good.
//
// Programs without asynchronous kernels and without dynamic control flow are walked from first to last (walk.cc); the
// others are scheduled by counts of what each op still waits for (schedule.cc).

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan.h"
#include "runtime/step_stats.h"

namespace millrace {

class Schedule;
class Step;

// What a run may bring with it.
struct RunContext {
  CancellationScope* cancellation = nullptr;  // never null when a program runs; outlives the run
  StepStatsCollector* stats = nullptr;        // null unless traced
};

class Program : public std::enable_shared_from_this<Program> {
 public:
  using Done = std::function<void(absl::Status, std::vector<Tensor>)>;

  // Places the plan's kernels. `runtime` outlives the program.
  static absl::StatusOr<std::shared_ptr<Program>> lay_out(Plan plan, Runtime& runtime);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  int num_feeds() const { return static_cast<int>(feeds_.size()); }
  int num_fetches() const { return static_cast<int>(fetches_.size()); }
  size_t num_ops() const { return ops_.size(); }
  bool is_flat() const { return flat_; }
  Runtime& runtime() const { return runtime_; }
  // The nodes as they run, after all passes: for RunMetadata and tests.
  const Plan& plan() const { return plan_; }
  std::vector<NodeDef> node_defs() const;  // the same as data

  // Runs on the calling thread until finished. Feeds are moved from where `take_feeds`. `fetched` is resized.
  absl::Status run(std::span<Tensor> feeds, bool take_feeds, const RunContext& context, std::vector<Tensor>* fetched);
  // May return before it has finished; `done` is called once, from any thread.
  void run_async(std::vector<Tensor> feeds, const RunContext& context, Done done);

  // For partial runs, whose program is not flat.
  std::shared_ptr<Schedule> new_schedule(const RunContext& context);
  void give_back_step(Schedule& schedule, bool failed);

  static constexpr uint32_t kFetch = ~uint32_t{0};

  // A value's way from an op's output into a slot.
  struct Edge {
    uint32_t output;
    uint32_t slot;  // in the target's frame
    uint32_t op;    // whose slot it is; kFetch for the slots that fetches are taken from
  };
  struct Op {
    Kernel* kernel = nullptr;
    NodeState* state = nullptr;
    uint32_t input_begin = 0, num_inputs = 0;
    uint32_t output_begin = 0, num_outputs = 0;  // in the frame's output area (scheduled programs)
    uint32_t type_begin = 0;                     // where the types of its outputs are
    uint32_t edge_begin = 0, edge_end = 0;
    uint32_t control_begin = 0, control_end = 0;  // ops that wait for this one
    uint32_t deref_begin = 0, deref_end = 0;      // inputs that come as references
    uint32_t clear_begin = 0, clear_end = 0;      // slots to empty after the op ran
    uint32_t frame = 0, local = 0;                // its frame, and its number there
    uint32_t seen_begin = 0;                      // where the shapes of its inputs are remembered
    uint64_t constant_inputs = 0;                 // bit i: input i (< 64) is a constant
    uint32_t child_frame = 0;                     // of an Enter: the frame that it leads to
    int32_t pending = 0;                          // what a scheduled op waits for
    int32_t dead_limit = 0;                       // of a Merge: it is dead when as many inputs are
    int32_t direct_slot = -1;                     // the single output goes straight to this slot
    FlowKind flow = FlowKind::kNone;
    bool is_async = false;
    bool is_constant_enter = false;
    bool check_contract = false;
  };
  struct Deref {
    uint32_t slot;
    bool keep_reference;        // the op wants the reference itself
    bool needs_value;           // an uninitialized variable is an error
    const std::string* source;  // the variable's node
  };
  struct Frame {
    std::string name;
    uint32_t parent = 0;
    int num_enters = 0;
    int parallel_iterations = 10;
    uint32_t num_slots = 0, num_outputs = 0, num_ops = 0;
    std::vector<uint32_t> ops;                             // by local number
    std::vector<std::pair<uint32_t, uint32_t>> constants;  // slot, index of constants_
  };

  struct Feed {
    DataType dtype;
    std::string name;
    std::vector<Edge> edges;
  };
  struct Fetch {
    uint32_t slot = 0;
    int feed = -1;      // the fetch is a feed itself
    int constant = -1;  // or a constant
    DataType dtype = DataType::kInvalid;
    std::string source;
  };

  const std::vector<Op>& ops() const { return ops_; }
  const DataType* output_types(const Op& op) const { return output_types_.data() + op.type_begin; }
  const Fetch& fetch(int i) const { return fetches_[static_cast<size_t>(i)]; }
  const Tensor& constant(int i) const { return constants_[static_cast<size_t>(i)]; }

 private:
  friend class Layout;
  friend class Step;
  friend class Schedule;
  explicit Program(Runtime& runtime);

  absl::Status check_feeds(std::span<const Tensor> feeds) const;
  absl::Status walk(Step& step, const RunContext& context);
  template <bool kTraced> absl::Status walk_ops(Step& step, const RunContext& context, const Op** current);
  std::unique_ptr<Step> take_step();
  void give_back(std::unique_ptr<Step> step);

  Runtime& runtime_;
  Plan plan_;
  bool flat_ = true;
  std::vector<std::shared_ptr<NodeState>> states_;  // keeps what ops_ point to
  std::vector<Op> ops_;                             // in topological order
  std::vector<DataType> output_types_;
  std::vector<Edge> edges_;
  std::vector<uint32_t> controls_;
  std::vector<Deref> derefs_;
  std::vector<uint32_t> clears_;
  std::vector<Frame> frames_;  // the first is the root
  std::vector<Tensor> constants_;
  std::vector<Feed> feeds_;
  std::vector<Fetch> fetches_;
  uint32_t max_outputs_ = 0;
  uint32_t total_slots_ = 0;  // over all frames, for the shapes seen last

  std::atomic<Step*> spare_{nullptr};  // the step that the last run left behind
  std::mutex steps_mutex_;
  std::vector<std::unique_ptr<Step>> steps_;
};

// Compiles a signature of a graph: prune, place, passes, layout.
absl::StatusOr<std::shared_ptr<Program>> compile(const GraphImpl& graph, const Signature& signature, NodeStates& states,
                                                 Runtime& runtime);

}  // namespace millrace
