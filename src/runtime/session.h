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
#include "graph/graph.h"
#include "runtime/plan.h"
#include "runtime/program.h"
#include "runtime/runtime.h"
#include "runtime/step_stats.h"

namespace millrace {

struct SessionCoreOptions {
  RuntimeOptions runtime;
  int num_cpu_devices = 1;
  int64_t operation_timeout_in_ms = 0;  // 0: none
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

// A signature made ready. Thread-safe; keeps its session alive.
class CallableCore {
 public:
  // As many tensors as there are feeds, in their order.
  absl::Status run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) const;
  size_t num_feeds() const { return feeds_.size(); }
  const Program& program() const { return *program_; }

 private:
  friend class SessionCore;
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
  // Ends all waits. Later runs give Cancelled "Session has been closed."
  void close();
  bool is_closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  friend class CallableCore;
  SessionCore(std::shared_ptr<GraphImpl> graph, const SessionCoreOptions& options);
  absl::StatusOr<std::shared_ptr<Program>> program_for(const Signature& signature);
  absl::Status check_signature(const Signature& signature) const;
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
