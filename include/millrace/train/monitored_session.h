#pragma once
// Supervised sessions: they initialize or restore, call hooks, recover from lost machines, and end cleanly.
//
//   auto session = tf::train::MonitoredTrainingSession({.checkpoint_dir = "runs/digits", .hooks = {...}});
//   while (!session.should_stop()) session.run(train);
//   session.close();   // or the end of its scope

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "millrace/train/coordinator.h"
#include "millrace/train/hooks.h"
#include "millrace/train/saver.h"
#include "millrace/train/session_run_hook.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// Absent ones are made by finalize, as TF1 makes them, or taken from the graph's collections (init_op, ready_op,
// savers, ...).
struct ScaffoldOptions {
  Operation init_op = {};
  FeedDict init_feed_dict = {};
  std::function<void(Session&)> init_fn = {};
  Output ready_op = {};  // names of uninitialized variables
  Output ready_for_local_init_op = {};
  Operation local_init_op = {};
  Output summary_op = {};
  Saver saver = Saver(nullptr);
};

// What a session needs of a graph besides the training operation.
class Scaffold {
 public:
  explicit Scaffold(const ScaffoldOptions& options = {}) : options_(options) {}
  // Makes what is absent and finalizes the default graph.
  void finalize();

  const Operation& init_op() const { return options_.init_op; }
  const FeedDict& init_feed_dict() const { return options_.init_feed_dict; }
  const std::function<void(Session&)>& init_fn() const { return options_.init_fn; }
  const Output& ready_op() const { return options_.ready_op; }
  const Output& ready_for_local_init_op() const { return options_.ready_for_local_init_op; }
  const Operation& local_init_op() const { return options_.local_init_op; }
  const Output& summary_op() const { return options_.summary_op; }
  const Saver& saver() const { return options_.saver; }
  static Operation default_local_init_op();

 private:
  ScaffoldOptions options_;
};

class SessionCreator {
 public:
  virtual ~SessionCreator() = default;
  virtual Session create_session() = 0;
};

struct ChiefSessionCreatorOptions {
  std::shared_ptr<Scaffold> scaffold = {};
  std::string master = {};
  ConfigProto config = {};
  std::string checkpoint_dir = {};
  std::string checkpoint_filename_with_path = {};
};
// Initializes, or restores the newest checkpoint that is intact: a damaged one is passed over for the one before, with
// a warning.
class ChiefSessionCreator : public SessionCreator {
 public:
  explicit ChiefSessionCreator(const ChiefSessionCreatorOptions& options = {});
  Session create_session() override;
  const std::shared_ptr<Scaffold>& scaffold() const { return options_.scaffold; }

 private:
  ChiefSessionCreatorOptions options_;
};

class MonitoredSession {
 public:
  struct Options {
    std::shared_ptr<SessionCreator> session_creator = {};  // a ChiefSessionCreator
    std::vector<Hook> hooks = {};
    double stop_grace_period_secs = 120;
  };
  explicit MonitoredSession(const Options& options);
  MonitoredSession(MonitoredSession&&) noexcept;
  MonitoredSession(const MonitoredSession&) = delete;
  MonitoredSession& operator=(const MonitoredSession&) = delete;
  // Closes. Hooks' end is called unless an error is what ends the scope; what they throw leaves the destructor then.
  ~MonitoredSession() noexcept(false);

  // True once a hook asked to stop, or the data has ended.
  bool should_stop() const;
  // Runs an operation with all hooks. When the data has ended (OutOfRange), returns false, and should_stop() is true
  // from then on: the loop ends. Errors that mean a lost machine (Aborted, Unavailable) make a new session, restore,
  // and run again.
  bool run(const Operation& target, const FeedDict& feeds = {});
  // The same with values; the end of the data leaves these as OutOfRangeError.
  Tensor run(const Output& fetch, const FeedDict& feeds = {});
  std::vector<Tensor> run(const std::vector<Fetch>& fetches, const FeedDict& feeds = {}, const RunOptions& options = {},
                          RunMetadata* run_metadata = nullptr);
  std::vector<Tensor> run(std::initializer_list<Fetch> fetches, const FeedDict& feeds = {},
                          const RunOptions& options = {}, RunMetadata* run_metadata = nullptr) {
    return run(std::vector<Fetch>(fetches), feeds, options, run_metadata);
  }
  // A step of several runs of the bare session, with hooks around those made through the context: TF1's run_step_fn.
  class StepContext {
   public:
    Session& session() { return session_; }
    std::vector<Tensor> run_with_hooks(const std::vector<Fetch>& fetches, const FeedDict& feeds = {});
    void request_stop();

   private:
    friend class MonitoredSession;
    StepContext(MonitoredSession& owner, Session session) : owner_(owner), session_(std::move(session)) {}
    MonitoredSession& owner_;
    Session session_;
  };
  void run_step_fn(const std::function<void(StepContext&)>& step_fn);

  Graph graph() const;
  Session raw_session() const;  // not supervised
  // Calls hooks' end, stops threads and closes the session. Once.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Each of the cadences: by default, none (std::nullopt), or a number.
template <class T> class Cadence {
 public:
  Cadence() = default;
  Cadence(std::nullopt_t) : is_default_(false) {}          // NOLINT
  Cadence(T value) : is_default_(false), value_(value) {}  // NOLINT
  bool is_default() const { return is_default_; }
  const std::optional<T>& value() const { return value_; }

 private:
  bool is_default_ = true;
  std::optional<T> value_;
};

struct MonitoredTrainingSessionOptions {
  std::string master = {};
  bool is_chief = true;
  std::string checkpoint_dir = {};
  std::shared_ptr<Scaffold> scaffold = {};
  std::vector<Hook> hooks = {};
  std::vector<Hook> chief_only_hooks = {};
  Cadence<double> save_checkpoint_secs = {};  // 600, unless steps are given
  Cadence<int64_t> save_checkpoint_steps = {};
  Cadence<int64_t> save_summaries_steps = {};  // 100, unless seconds are given
  Cadence<double> save_summaries_secs = {};
  ConfigProto config = {};
  double stop_grace_period_secs = 120;
  std::optional<int64_t> log_step_count_steps = 100;
  double max_wait_secs = 7200;   // of workers; a chief does not wait
  std::string summary_dir = {};  // checkpoint_dir
  bool save_graph_def = true;
};
MonitoredSession MonitoredTrainingSession(const MonitoredTrainingSessionOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
