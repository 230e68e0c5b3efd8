#pragma once
// A session without exceptions: a graph, the resources its ops live on, and the programs compiled for what has been
// run. The public tf::Session is a thin layer over it.
//
// Thread-safe: runs of any signatures may go on side by side, while others add nodes to the graph. close() ends them.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/deadline.h"
#include "graph/graph.h"
#include "runtime/plan.h"
#include "runtime/program.h"
#include "runtime/runtime.h"
#include "runtime/step_stats.h"

namespace millrace {

struct SessionCoreOptions {
  RuntimeOptions runtime = {};
  int num_cpu_devices = 1;
  std::string job = "localhost";  // the devices' job and task
  int task = 0;
  std::shared_ptr<ResourceManager> resources = {};  // shared with other sessions; null: the session's own
  int64_t operation_timeout_in_ms = 0;              // 0: none
};

// What one run asks for beyond feeds and fetches, and what it tells.
struct RunRequest {
  std::span<const std::pair<Output, Tensor>> feeds = {};
  std::span<const Output> fetches = {};
  std::span<Node* const> targets = {};
  int64_t timeout_in_ms = 0;  // 0: the session's
  bool trace = false;
  bool output_partition_graphs = false;
};
struct RunReport {
  std::vector<NodeStats> nodes;                        // if traced
  std::vector<std::vector<NodeDef>> partition_graphs;  // if asked for: what ran, after all passes
};

class SessionCore;
class CallableCore;
class PartialRun;

// "node:0"
std::string tensor_name(const Output& output);
// InvalidArgument, in TensorFlow's words, for what is not of this graph, absent, or fed twice.
absl::Status check_signature(const GraphImpl& graph, const Signature& signature);
// InvalidArgument where the value's dtype or shape does not fit. `number` is its position among the feeds.
absl::Status check_feed(const Output& to, const Tensor& value, size_t number);

// One run that may go on after its caller has returned. Whoever holds it may end it at any time.
class AsyncRun : public std::enable_shared_from_this<AsyncRun> {
 public:
  struct Options {
    int64_t timeout_in_ms = 0;  // 0: the session's
    bool trace = false;
    bool output_partition_graphs = false;
  };
  // Called once, from any thread.
  using Done = std::function<void(absl::Status, std::vector<Tensor>, RunReport)>;

  AsyncRun(std::shared_ptr<const CallableCore> callable, const Options& options);
  // As many tensors as the callable has feeds. May run the step on the calling thread, but blocks it in no wait.
  void start(std::vector<Tensor> feeds, Done done);
  void cancel(absl::Status reason) { scope_.cancel(std::move(reason)); }

 private:
  void finish(absl::Status status, std::vector<Tensor> fetched);

  const std::shared_ptr<const CallableCore> callable_;
  const Options options_;
  CancellationScope scope_;
  StepStatsCollector stats_;
  DeadlineToken deadline_ = 0;
  Done done_;
};

// A signature made ready. Thread-safe; keeps its session alive.
class CallableCore : public std::enable_shared_from_this<CallableCore> {
 public:
  // As many tensors as there are feeds, in their order.
  absl::Status run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) const;
  // The same without holding the thread in waits: see AsyncRun.
  std::shared_ptr<AsyncRun> new_run(const AsyncRun::Options& options) const {
    return std::make_shared<AsyncRun>(shared_from_this(), options);
  }
  size_t num_feeds() const { return feeds_.size(); }
  const Program& program() const { return *program_; }

 private:
  friend class SessionCore;
  friend class AsyncRun;
  absl::Status check_feeds(std::span<const Tensor> feeds) const;
  struct Feed {
    std::string name;
    PartialTensorShape shape;
    DataType dtype;
    bool check_shape;
  };
  std::shared_ptr<SessionCore> session_;
  std::shared_ptr<Program> program_;
  std::vector<Feed> feeds_;
};

class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  static absl::StatusOr<std::shared_ptr<SessionCore>> create(std::shared_ptr<GraphImpl> graph,
                                                             const SessionCoreOptions& options = {});
  ~SessionCore();

  const std::shared_ptr<GraphImpl>& graph() const { return graph_; }
  Runtime& runtime() { return *runtime_; }

  // `fetched` gets one tensor per fetch. `report` may be null.
  absl::Status run(const RunRequest& request, std::vector<Tensor>* fetched, RunReport* report = nullptr);
  absl::StatusOr<std::shared_ptr<CallableCore>> make_callable(std::span<const Output> feeds,
                                                              std::span<const Output> fetches,
                                                              std::span<Node* const> targets);
  // A run whose feeds and fetches come one by one (runtime/partial_run.h).
  absl::StatusOr<std::shared_ptr<PartialRun>> partial_run_setup(std::span<const Output> feeds,
                                                                std::span<const Output> fetches,
                                                                std::span<Node* const> targets);
  // Ends all waits. Later runs give Cancelled "Session has been closed."
  void close();
  bool is_closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  friend class CallableCore;
  friend class AsyncRun;
  friend class PartialRun;
  SessionCore(std::shared_ptr<GraphImpl> graph, const SessionCoreOptions& options);
  absl::StatusOr<std::shared_ptr<Program>> program_for(const Signature& signature);
  absl::Status run_program(Program& program, std::span<Tensor> feeds, bool take_feeds, int64_t timeout_in_ms,
                           StepStatsCollector* stats, std::vector<Tensor>* fetched);
  bool enter();  // false if closed
  void leave();

  const std::shared_ptr<GraphImpl> graph_;
  const SessionCoreOptions options_;
  const std::shared_ptr<Runtime> runtime_;
  NodeStates states_;
  std::atomic<bool> closed_{false};
  std::atomic<int64_t> running_{0};

  std::mutex compile_mutex_;  // one compilation at a time
  std::mutex programs_mutex_;
  using Key = std::vector<uint64_t>;
  struct Entry {
    std::shared_ptr<Program> program;
    uint64_t used = 0;
  };
  absl::flat_hash_map<Key, Entry> programs_;
  uint64_t uses_ = 0;
};

}  // namespace millrace
