#pragma once
// Supervised sessions: they initialize or restore, call hooks, recover from lost machines, and end cleanly.
//
//   auto session = tf::train::MonitoredTrainingSession({.checkpoint_dir = "runs/digits", .hooks = {...}});
//   while (!session.should_stop()) session.run(train);
//   session.close();   // or the end of its scope

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "millrace/train/coordinator.h"
#include "millrace/train/hooks.h"
#include "millrace/train/or_default.h"
#include "millrace/train/saver.h"
#include "millrace/train/session_run_hook.h"

namespace millrace::train {

#pragma GCC visibility push(default)

class Scaffold;

// Absent ones are made by finalize, as TF1 makes them, or taken from the graph's collections (init_op, ready_op,
// savers, ...).
struct ScaffoldOptions {
  Operation init_op = {};
  FeedDict init_feed_dict = {};
  std::function<void(Scaffold&, Session&)> init_fn = {};  // after init_op
  Output ready_op = {};                                   // names of uninitialized variables
  Output ready_for_local_init_op = {};
  Operation local_init_op = {};
  Output summary_op = {};
  Saver saver = Saver(nullptr);
  std::shared_ptr<Scaffold> copy_from_scaffold = {};  // whose pieces stand in for those absent here
  FeedDict local_init_feed_dict = {};
};

// What a session needs of a graph besides the training operation.
class Scaffold {
 public:
  explicit Scaffold(const ScaffoldOptions& options = {});
  // Makes what is absent and finalizes the default graph.
  void finalize();

  const Operation& init_op() const { return options_.init_op; }
  const FeedDict& init_feed_dict() const { return options_.init_feed_dict; }
  std::function<void(Session&)> init_fn();  // bound to this scaffold; none if none was given
  const Output& ready_op() const { return options_.ready_op; }
  const Output& ready_for_local_init_op() const { return options_.ready_for_local_init_op; }
  const Operation& local_init_op() const { return options_.local_init_op; }
  const FeedDict& local_init_feed_dict() const { return options_.local_init_feed_dict; }
  const Output& summary_op() const { return options_.summary_op; }
  const Saver& saver() const { return options_.saver; }
  static Operation default_local_init_op();
  // What the collection holds, or what `make` makes, which is then collected. FailedPreconditionError (TF1's
  // RuntimeError) if it holds several; `argument` is the option that would say which. T: Operation or Output.
  template <class T>
  static T get_or_default(const std::string& argument, const std::string& collection_key,
                          const std::function<T()>& make);

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

struct WorkerSessionCreatorOptions {
  std::shared_ptr<Scaffold> scaffold = {};
  std::string master = {};
  ConfigProto config = {};
  double max_wait_secs = 30 * 60;
};
// Waits until a chief has made the model ready; see SessionManager::wait_for_session.
class WorkerSessionCreator : public SessionCreator {
 public:
  explicit WorkerSessionCreator(const WorkerSessionCreatorOptions& options = {});
  Session create_session() override;
  const std::shared_ptr<Scaffold>& scaffold() const { return options_.scaffold; }

 private:
  WorkerSessionCreatorOptions options_;
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

  // True once a hook or a thread asked to stop, or the data has ended. Makes a new session, and says false, where a
  // thread stopped because of a lost machine.
  bool should_stop() const;
  // Runs an operation with all hooks. When the data has ended (OutOfRange), returns false, and should_stop() is true
  // from then on: the loop ends. Errors that mean a lost machine (Aborted, Unavailable) make a new session, restore,
  // and run again. (Templates, so that run({x}) is a list of one for every compiler.)
  template <std::same_as<Operation> T> bool run(const T& target, const FeedDict& feeds = {}) {
    return run_operation(target, feeds);
  }
  // The same with values; the end of the data leaves these as OutOfRangeError.
  template <std::convertible_to<Fetch> T>
  requires(!std::same_as<T, Operation>) Tensor run(const T& fetch, const FeedDict& feeds = {}) {
    return run(std::vector<Fetch>{fetch}, feeds)[0];
  }
  std::vector<Tensor> run(const std::vector<Fetch>& fetches, const FeedDict& feeds = {}, const RunOptions& options = {},
                          RunMetadata* run_metadata = nullptr);
  std::vector<Tensor> run(std::initializer_list<Fetch> fetches, const FeedDict& feeds = {},
                          const RunOptions& options = {}, RunMetadata* run_metadata = nullptr) {
    return run(std::vector<Fetch>(fetches), feeds, options, run_metadata);
  }
  // A step of several runs of the bare session, with hooks around those made through the context.
  class StepContext {
   public:
    Session& session() { return session_; }
    std::vector<Tensor> run_with_hooks(const std::vector<Fetch>& fetches, const FeedDict& feeds = {});
    [[noreturn]] void request_stop();  // leaves the step; should_stop() is true from then on

   private:
    friend class MonitoredSession;
    StepContext(MonitoredSession& owner, Session session) : owner_(owner), session_(std::move(session)) {}
    MonitoredSession& owner_;
    Session session_;
  };
  // False if the step asked to stop.
  bool run_step_fn(const std::function<void(StepContext&)>& step_fn);

  Graph graph() const;
  Session raw_session() const;  // not supervised
  // Calls hooks' end, stops threads and closes the session. Throws what hooks and threads threw. Once.
  void close();

 protected:
  MonitoredSession(const Options& options, bool should_recover);

 private:
  bool run_operation(const Operation& target, const FeedDict& feeds);

  struct [[gnu::visibility("hidden")]] Impl;
  std::unique_ptr<Impl> impl_;
};

struct SingularMonitoredSessionOptions {
  std::vector<Hook> hooks = {};
  std::shared_ptr<Scaffold> scaffold = {};
  std::string master = {};
  ConfigProto config = {};
  std::string checkpoint_dir = {};
  double stop_grace_period_secs = 120;
  std::string checkpoint_filename_with_path = {};
};
// For one process: always a chief, and errors that mean a lost machine leave run.
class SingularMonitoredSession : public MonitoredSession {
 public:
  explicit SingularMonitoredSession(const SingularMonitoredSessionOptions& options = {});
};

// Of the cadences: std::nullopt switches off.
struct MonitoredTrainingSessionOptions {
  std::string master = {};
  bool is_chief = true;
  std::string checkpoint_dir = {};
  std::shared_ptr<Scaffold> scaffold = {};
  std::vector<Hook> hooks = {};
  std::vector<Hook> chief_only_hooks = {};
  OrDefault<double> save_checkpoint_secs = {};  // 600, unless steps are given
  OrDefault<int64_t> save_checkpoint_steps = {};
  OrDefault<int64_t> save_summaries_steps = {};  // 100, unless seconds are given
  OrDefault<double> save_summaries_secs = {};
  ConfigProto config = {};
  double stop_grace_period_secs = 120;
  std::optional<int64_t> log_step_count_steps = 100;
  double max_wait_secs = 7200;   // of workers (is_chief = false); a chief does not wait
  std::string summary_dir = {};  // checkpoint_dir
  bool save_graph_def = true;
};
// A chief initializes, restores, saves and writes summaries; a worker waits for it, and calls only `hooks`.
MonitoredSession MonitoredTrainingSession(const MonitoredTrainingSessionOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
