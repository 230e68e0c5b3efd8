#pragma once
// TF1's older way to supervise a training program, that MonitoredTrainingSession has taken the place of: a loop of
// one's own, with threads beside it that save, write summaries and fill queues.
//
//   tf::train::Supervisor sv({.logdir = "runs/digits"});
//   {
//     auto managed = sv.managed_session();
//     while (!sv.should_stop()) managed.session().run(train);
//   }

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "millrace/file_writer.h"
#include "millrace/train/coordinator.h"
#include "millrace/train/global_step.h"
#include "millrace/train/or_default.h"
#include "millrace/train/queue_runner.h"
#include "millrace/train/saver.h"
#include "millrace/train/session_manager.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// By default what the graph's collections hold, or what is made then and collected; std::nullopt: none.
struct SupervisorOptions {
  std::optional<Graph> graph = {};  // the default graph; finalized
  OrDefault<Output> ready_op = {};  // report_uninitialized_variables
  OrDefault<Output> ready_for_local_init_op = {};
  bool is_chief = true;  // false: waits for a chief to make the model ready, saves nothing and writes nothing
  OrDefault<Operation> init_op = {};  // global_variables_initializer
  FeedDict init_feed_dict = {};
  OrDefault<Operation> local_init_op = {};  // local variables and tables
  std::string logdir = {};                  // for checkpoints and summaries; empty: none
  OrDefault<Output> summary_op = {};        // merge_all
  OrDefault<Saver> saver = {};
  OrDefault<Variable> global_step = {};
  double save_summaries_secs = 120;  // 0: not saved
  double save_model_secs = 600;      // 0: not saved
  double recovery_wait_secs = 30;
  double stop_grace_secs = 120;
  std::string checkpoint_basename = "model.ckpt";
  std::shared_ptr<SessionManager> session_manager = {};
  OrDefault<summary::FileWriter> summary_writer = {};  // one in logdir
  std::function<void(Session&)> init_fn = {};
  RunOptions local_init_run_options = {};
};

struct ManagedSessionOptions {
  std::string master = {};
  ConfigProto config = {};
  bool start_standard_services = true;
  bool close_summary_writer = true;
};

struct PrepareOrWaitOptions {
  std::string master = {};
  ConfigProto config = {};
  bool wait_for_checkpoint = false;
  double max_wait_secs = 7200;
  bool start_standard_services = true;
};

struct StopOptions {
  std::vector<Thread> threads = {};  // to join besides those that the coordinator knows
  bool close_summary_writer = true;
  bool ignore_live_threads = false;
};

// Methods are thread-safe once it is made.
class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options = {});
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // A session for the time of a scope. Its end stops the threads, which may throw what stopped them, and closes the
  // session. An exception that leaves the scope stops them too, and goes on.
  class ManagedSession {
   public:
    ManagedSession(ManagedSession&& other) noexcept;
    ManagedSession(const ManagedSession&) = delete;
    ManagedSession& operator=(const ManagedSession&) = delete;
    ~ManagedSession() noexcept(false);
    Session& session() { return session_; }

   private:
    friend class Supervisor;
    ManagedSession(Supervisor* owner, Session session, bool close_summary_writer);
    Supervisor* owner_;
    Session session_;
    bool close_summary_writer_;
    int exceptions_at_start_ = std::uncaught_exceptions();
  };
  ManagedSession managed_session(const ManagedSessionOptions& options = {});
  // The same around a function. What it throws stops the threads and leaves, except for OutOfRangeError: the end of the
  // input is a clean end.
  void managed_session(const std::function<void(Session&)>& body, const ManagedSessionOptions& options = {});

  // A chief initializes or restores; others wait.
  Session prepare_or_wait_for_session(const PrepareOrWaitOptions& options = {});
  // The threads that save, write summaries and count steps. FailedPreconditionError (TF1's RuntimeError) unless chief;
  // none, with a warning, without logdir.
  std::vector<Thread> start_standard_services(Session& session);
  std::vector<Thread> start_queue_runners(const Session& session);  // those that the graph collects
  std::vector<Thread> start_queue_runners(const Session& session, const std::vector<QueueRunner>& queue_runners);
  // Calls `target` every so many seconds, or back to back.
  std::shared_ptr<LooperThread> loop(std::optional<double> timer_interval_secs, std::function<void()> target);
  // Stops the threads; the session stays open.
  void stop(const StopOptions& options = {});

  void request_stop() { coord_.request_stop(); }
  void request_stop(const std::exception_ptr& error) { coord_.request_stop(error); }
  bool should_stop() const { return coord_.should_stop(); }
  void stop_on_exception(const std::function<void()>& body) { coord_.stop_on_exception(body); }
  void wait_for_stop() const { coord_.wait_for_stop(); }
  // Writes a serialized Summary, at the session's global step where none is given.
  void summary_computed(Session& session, const Tensor& summary, std::optional<int64_t> global_step = {});

  bool is_chief() const { return options_.is_chief; }
  const SessionManager& session_manager() const { return *options_.session_manager; }
  Coordinator& coord() { return coord_; }
  const Operation& init_op() const { return init_op_; }
  const FeedDict& init_feed_dict() const { return options_.init_feed_dict; }
  const Output& ready_op() const { return ready_op_; }
  const Output& ready_for_local_init_op() const { return ready_for_local_init_op_; }
  const Operation& local_init_op() const { return local_init_op_; }
  const summary::FileWriter& summary_writer() const { return summary_writer_; }
  const Output& summary_op() const { return summary_op_; }
  const Variable& global_step() const { return global_step_; }
  const Saver& saver() const { return saver_; }
  double save_summaries_secs() const { return is_chief() ? options_.save_summaries_secs : 0; }
  double save_model_secs() const { return is_chief() ? options_.save_model_secs : 0; }
  const std::string& save_path() const { return save_path_; }  // empty without logdir

 private:
  void choose_operations();
  void verify_setup() const;
  void write_graph();
  void save_summaries(const Session& session);
  void save_model(Session session);

  SupervisorOptions options_;
  Graph graph_;
  Operation init_op_, local_init_op_;
  Output ready_op_, ready_for_local_init_op_, summary_op_;
  Saver saver_ = Saver(nullptr);
  Variable global_step_;
  summary::FileWriter summary_writer_;
  std::string save_path_;
  bool graph_added_to_summary_ = false;
  Coordinator coord_;  // last: its threads use what stands above
};

#pragma GCC visibility pop

}  // namespace millrace::train
