#pragma once
// Running graphs. A session owns the values of a graph's variables and everything else that lives longer than one run.
//
//   tf::Session session;                                          // of the default graph
//   session.run(tf::global_variables_initializer());
//   float l = session.run(loss, {{x, images}, {y, labels}}).scalar<float>();
//   std::vector<tf::Tensor> values = session.run({loss, accuracy, train});  // no value for train, an operation
//   auto step = session.make_callable({loss, train}, {x, y});               // the same, checked and compiled once
//   step({images, labels});
//
// Thread-safe. Errors arrive as tf::errors::*, with the operation's name and the source line that made it.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace/framework.h"
#include "millrace/graph.h"
#include "millrace/tensor.h"

namespace millrace {

class CallableBackend;
class SessionBackend;

#pragma GCC visibility push(default)

// --- configuration, with the names of TensorFlow's protos

struct OptimizerOptions {
  enum Level { L1 = 0, L0 = -1 };  // L0: what was built is what runs
  bool do_common_subexpression_elimination = true;
  bool do_constant_folding = true;
  bool do_function_inlining = true;  // calls become the nodes of their function, each with random streams of its own
  Level opt_level = L1;
};

struct GraphOptions {
  OptimizerOptions optimizer_options = {};
};

struct ConfigProto {
  std::map<std::string, int> device_count = {};  // {"CPU", n}
  int intra_op_parallelism_threads = 0;          // threads within one op; 0: all processors
  int inter_op_parallelism_threads = 0;          // ops side by side; 0 and 1: one after another
  bool allow_soft_placement = false;             // put ops on an existing device where the wished one is not there
  bool log_device_placement = false;
  GraphOptions graph_options = {};
  int64_t operation_timeout_in_ms = 0;  // of every run, and of every call to a server; 0: none
  // At a server: variables, queues and the like of its own, instead of those shared with the server's other sessions. A
  // session in this process always has its own.
  bool isolate_session_state = false;
};

struct RunOptions {
  enum TraceLevel { NO_TRACE = 0, SOFTWARE_TRACE = 1, HARDWARE_TRACE = 2, FULL_TRACE = 3 };
  TraceLevel trace_level = NO_TRACE;
  int64_t timeout_in_ms = 0;  // 0: the session's
  bool output_partition_graphs = false;
};

// What a traced run did when.
class RunMetadata {
 public:
  struct NodeExecStats {
    std::string node_name;
    std::string timeline_label;  // "y = Identity(...)"
    std::string device;
    int64_t all_start_nanos = 0;  // since the epoch
    int64_t all_end_nanos = 0;
    uint32_t thread_id = 0;
  };
  std::vector<NodeExecStats> step_stats;
  std::string serialized;  // tensorflow.RunMetadata as bytes, partition graphs included

  // Chrome's trace format, for chrome://tracing.
  std::string generate_chrome_trace_format() const;
};

// --- what a run is given

namespace internal {
template <class T>
concept StandsForOutput = std::is_convertible_v<const T&, Output> && !std::is_same_v<T, Output> &&
                          !std::is_convertible_v<const T&, std::string>;
}

// Something to fetch: a symbolic tensor, an operation to run, or either by name ("loss:0", "train").
class Fetch {
 public:
  Fetch(const Output& output) : output_(output) {}              // NOLINT: fetches read as lists of values
  Fetch(const Operation& operation) : operation_(operation) {}  // NOLINT
  Fetch(const char* name) : name_(name) {}                      // NOLINT
  Fetch(std::string name) : name_(std::move(name)) {}           // NOLINT
  template <internal::StandsForOutput T>
  Fetch(const T& value) : output_(static_cast<Output>(value)) {}  // NOLINT: variables
  const Output& output() const { return output_; }
  const Operation& operation() const { return operation_; }
  const std::string& name() const { return name_; }

 private:
  Output output_;
  Operation operation_;
  std::string name_;
};

// Values for symbolic tensors: placeholders, or any other whose computation they replace.
class FeedDict {
 public:
  struct Item {
    Item(const Fetch& key, Tensor value) : key(key), value(std::move(value)) {}
    Fetch key;
    Tensor value;
  };
  FeedDict() = default;
  FeedDict(std::initializer_list<Item> items) : items_(items) {}
  void add(const Fetch& key, Tensor value) { items_.emplace_back(key, std::move(value)); }
  const std::vector<Item>& items() const { return items_; }
  bool empty() const { return items_.empty(); }

 private:
  std::vector<Item> items_;
};

// A run that was checked and compiled before. A cheap handle; keeps its session's state alive. Thread-safe.
class Callable {
 public:
  // One value per feed, in their order. Gives one value per fetch; operations give a Tensor without value.
  std::vector<Tensor> operator()(const std::vector<Tensor>& feeds = {}) const;
  // The same into a vector that is used again, which saves its making.
  void run(const std::vector<Tensor>& feeds, std::vector<Tensor>* results) const;

 private:
  friend class Session;
  std::shared_ptr<CallableBackend> backend_;
  std::vector<int> positions_;  // where each fetched value goes; empty if all fetches are values
  size_t num_fetches_ = 0;
};

// A device that a session may put ops on.
struct DeviceAttributes {
  std::string name;  // "/job:localhost/replica:0/task:0/device:CPU:0"
  std::string device_type;
  int64_t memory_limit_bytes = 0;  // 0: none
  uint64_t incarnation = 0;        // another number each time its process starts
};

struct SessionOptions {
  // "": in this process. "grpc://host:port": at a server (train::Server, `millrace serve`, or TensorFlow's), whose
  // client is in libmillrace_cluster.so; UnimplementedError where that is not installed.
  std::string target = "";
  std::optional<Graph> graph = {};  // absent: the default graph
  ConfigProto config = {};
};

// A handle: copies are the same session. It closes when the last one goes.
//
// With a target, the graph goes to the server with the first run, and what is added to it with later ones. Errors of
// the server arrive as they would here; UnavailableError says that the server is not there or has gone, and
// AbortedError that it has started anew and knows the session no longer. Supervised sessions recover from both.
class Session {
 public:
  explicit Session(SessionOptions options = {});

  Tensor run(const Fetch& fetch, const FeedDict& feed_dict = {}, const RunOptions& options = {},
             RunMetadata* run_metadata = nullptr) const;
  std::vector<Tensor> run(std::initializer_list<Fetch> fetches, const FeedDict& feed_dict = {},
                          const RunOptions& options = {}, RunMetadata* run_metadata = nullptr) const {
    return run(std::vector<Fetch>(fetches), feed_dict, options, run_metadata);
  }
  std::vector<Tensor> run(const std::vector<Fetch>& fetches, const FeedDict& feed_dict = {},
                          const RunOptions& options = {}, RunMetadata* run_metadata = nullptr) const;

  Callable make_callable(const std::vector<Fetch>& fetches, const std::vector<Fetch>& feed_list = {}) const;

  // A run whose feeds and fetches come in several calls (TF1's partial_run). The setup names all that will be fed and
  // fetched, operations too, which then need no fetching; its result names the run in the calls that follow.
  //
  //   std::string handle = session.partial_run_setup({r1, r2}, {a, b, c});
  //   Tensor first = session.partial_run(handle, r1, {{a, 1.0f}, {b, 2.0f}});
  //   Tensor second = session.partial_run(handle, r2, {{c, first}});
  //
  // InvalidArgumentError for what the setup did not name, what was fed or fetched before, or what cannot be computed
  // from the feeds so far: the run then stands as before.
  std::string partial_run_setup(const std::vector<Fetch>& fetches, const std::vector<Fetch>& feeds = {}) const;
  Tensor partial_run(const std::string& handle, const Fetch& fetch, const FeedDict& feed_dict = {}) const;
  std::vector<Tensor> partial_run(const std::string& handle, std::initializer_list<Fetch> fetches,
                                  const FeedDict& feed_dict = {}) const {
    return partial_run(handle, std::vector<Fetch>(fetches), feed_dict);
  }
  std::vector<Tensor> partial_run(const std::string& handle, const std::vector<Fetch>& fetches,
                                  const FeedDict& feed_dict = {}) const;

  // The devices that it may use.
  std::vector<DeviceAttributes> list_devices() const;

  // Ends all sessions at `target`, and forgets the values in these containers there; in the default container, where
  // none are named. For "", those of this process end, whose values are their own.
  static void reset(const std::string& target, const std::vector<std::string>& containers = {},
                    const ConfigProto& config = {});

  // Ends all runs within a second and lets go of all values; at a server, of those that the session does not share.
  // Later runs give CancelledError. Throws nothing: a server that cannot be reached is only logged.
  void close() const;
  bool closed() const;

  const Graph& graph() const;
  const std::string& sess_str() const;  // the target

  // The same for all copies, and for no other session that lives at the same time.
  const void* identity() const;

 private:
  struct [[gnu::visibility("hidden")]] State;
  void raise_if_closed() const;
  std::shared_ptr<State> state_;
};

#pragma GCC visibility pop

}  // namespace millrace
