#pragma once
// The hooks that TF1 has for training, and ours for people at a terminal.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/file_writer.h"
#include "millrace/train/saver.h"
#include "millrace/train/session_run_hook.h"

namespace millrace::train {

#pragma GCC visibility push(default)

class Scaffold;

// When something is due: every so many seconds or steps, exactly one of both; always the first time.
class SecondOrStepTimer {
 public:
  SecondOrStepTimer(std::optional<double> every_secs, std::optional<int64_t> every_steps);
  void reset();
  bool should_trigger_for_step(int64_t step) const;
  struct Elapsed {
    double seconds;
    int64_t steps;
  };
  // Since the last time; nothing the first time.
  std::optional<Elapsed> update_last_triggered_step(int64_t step);
  std::optional<int64_t> last_triggered_step() const { return last_step_; }

 private:
  std::optional<double> every_secs_;
  std::optional<int64_t> every_steps_;
  std::optional<int64_t> last_step_;
  std::chrono::steady_clock::time_point last_time_;
};

struct StopAtStepOptions {
  std::optional<int64_t> num_steps = {};  // so many more
  std::optional<int64_t> last_step = {};  // or up to this one
};
class StopAtStepHook : public SessionRunHook {
 public:
  explicit StopAtStepHook(const StopAtStepOptions& options);
  void begin() override;
  void after_create_session(Session& session, Coordinator& coord) override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 private:
  StopAtStepOptions options_;
  Output global_step_;
};

// Either cadence or at_end, or one cadence with at_end.
struct LoggingTensorOptions {
  std::optional<int64_t> every_n_iter = {};
  std::optional<double> every_n_secs = {};
  bool at_end = false;
  std::function<std::string(const std::map<std::string, Tensor>&)> formatter = {};
};
// Logs "tag = value, ... (1.234 sec)", sorted by tag. Tensors may be given by name ("loss:0", "loss").
class LoggingTensorHook : public SessionRunHook {
 public:
  LoggingTensorHook(std::vector<std::pair<std::string, Fetch>> tensors, const LoggingTensorOptions& options);
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  void log(const std::vector<Tensor>& values);
  std::vector<std::pair<std::string, Fetch>> tensors_;
  std::vector<Fetch> fetches_;  // the same, found in the graph
  LoggingTensorOptions options_;
  std::optional<SecondOrStepTimer> timer_;  // none: only at the end
  int64_t iter_count_ = 0;
  bool triggered_ = false;
};

// Told by a CheckpointSaverHook of each save.
class CheckpointSaverListener {
 public:
  virtual ~CheckpointSaverListener() = default;
  virtual void begin() {}
  virtual void before_save(Session& session, int64_t global_step) {}
  virtual bool after_save(Session& session, int64_t global_step) { return false; }  // true asks training to stop
  virtual void end(Session& session, int64_t global_step) {}
};

struct CheckpointSaverOptions {
  std::string checkpoint_dir;
  std::optional<double> save_secs = {};
  std::optional<int64_t> save_steps = {};
  Saver saver = Saver(nullptr);
  std::string checkpoint_basename = "model.ckpt";
  std::shared_ptr<Scaffold> scaffold = {};  // its saver; with neither, the one in the collection of savers
  std::vector<std::shared_ptr<CheckpointSaverListener>> listeners = {};
  bool save_graph_def = true;  // graph.pbtxt, and a .meta file with each checkpoint
};
class CheckpointSaverHook : public SessionRunHook {
 public:
  explicit CheckpointSaverHook(const CheckpointSaverOptions& options);
  void begin() override;
  void after_create_session(Session& session, Coordinator& coord) override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  Saver saver();
  bool save(Session& session, int64_t step);  // true if a listener asks to stop
  CheckpointSaverOptions options_;
  std::string save_path_;
  SecondOrStepTimer timer_;
  summary::FileWriter writer_;
  Output global_step_;
};

struct SummarySaverOptions {
  std::optional<int64_t> save_steps = {};
  std::optional<double> save_secs = {};
  std::string output_dir = {};
  summary::FileWriter summary_writer = {};
  std::shared_ptr<Scaffold> scaffold = {};  // its summary_op
  Output summary_op = {};
};
// Exactly one of save_steps and save_secs, and of scaffold and summary_op.
class SummarySaverHook : public SessionRunHook {
 public:
  explicit SummarySaverHook(const SummarySaverOptions& options);
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  Output summary_op() const;
  SummarySaverOptions options_;
  SecondOrStepTimer timer_;
  Output global_step_;
  std::optional<int64_t> next_step_;
  bool request_summary_ = false;
};

// Exactly one of both cadences: every_n_secs needs every_n_steps = std::nullopt.
struct StepCounterOptions {
  std::optional<int64_t> every_n_steps = 100;
  std::optional<double> every_n_secs = {};
  std::string output_dir = {};
  summary::FileWriter summary_writer = {};
};
// Steps per second, as a summary "global_step/sec" and a log line.
class StepCounterHook : public SessionRunHook {
 public:
  explicit StepCounterHook(const StepCounterOptions& options);
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 private:
  StepCounterOptions options_;
  SecondOrStepTimer timer_;
  Output global_step_;
  std::string tag_;
  std::optional<int64_t> last_global_step_;
  int warnings_ = 0;
};

// Thrown when the loss is not a number any more.
class NanLossDuringTrainingError : public std::runtime_error {
 public:
  NanLossDuringTrainingError() : std::runtime_error("NaN loss during training.") {}
};

struct NanTensorOptions {
  bool fail_on_nan_loss = true;  // false: stop training instead
};
class NanTensorHook : public SessionRunHook {
 public:
  explicit NanTensorHook(const Output& loss_tensor, const NanTensorOptions& options = {});
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 private:
  Output loss_;
  NanTensorOptions options_;
};

// Holds the first run back until the global step is so far: workers that begin one after another.
class GlobalStepWaiterHook : public SessionRunHook {
 public:
  explicit GlobalStepWaiterHook(int64_t wait_until_step) : wait_until_step_(wait_until_step) {}
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;

 private:
  int64_t wait_until_step_;
  Output global_step_;
  bool started_ = false;
};

struct FinalOpsOptions {
  FeedDict final_ops_feed_dict = {};
};
// Runs something once more at the end. Given to a session as a std::shared_ptr, so that the values can be read.
class FinalOpsHook : public SessionRunHook {
 public:
  explicit FinalOpsHook(std::vector<Fetch> final_ops, const FinalOpsOptions& options = {})
      : final_ops_(std::move(final_ops)), options_(options) {}
  void end(Session& session) override;
  // One per final op; empty before the end.
  const std::vector<Tensor>& final_ops_values() const { return values_; }

 private:
  std::vector<Fetch> final_ops_;
  FinalOpsOptions options_;
  std::vector<Tensor> values_;
};

// Feeds what a function returns, anew for each run.
class FeedFnHook : public SessionRunHook {
 public:
  explicit FeedFnHook(std::function<FeedDict()> feed_fn) : feed_fn_(std::move(feed_fn)) {}
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;

 private:
  std::function<FeedDict()> feed_fn_;
};

struct ProfilerOptions {
  std::optional<int64_t> save_steps = {};
  std::optional<double> save_secs = {};
  std::string output_dir = {};  // the current directory
  bool show_dataflow = true;    // arrows from producers to consumers on other threads
  bool show_memory = false;     // when tensors are there, and how many bytes they take together
};
// Traces a run every so often: a file "timeline-STEP.json" for chrome://tracing, and the run's metadata in an event
// file under the tag "step_STEP". The first run is never traced.
class ProfilerHook : public SessionRunHook {
 public:
  explicit ProfilerHook(const ProfilerOptions& options);
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 private:
  ProfilerOptions options_;
  summary::FileWriter writer_;
  SecondOrStepTimer timer_;
  Output global_step_;
  std::optional<int64_t> next_step_;
  bool traced_ = false;
};

struct ProgressBarOptions {
  std::optional<int64_t> last_step = {};  // for the bar and the time left
  Output loss = {};                       // shown where given
  double every_n_secs = 0.2;              // on a terminal
  int64_t every_n_steps = 100;            // elsewhere, one plain line each
};
// On a terminal one line that moves, with step, steps/s, loss and time left; in a pipe or file plain lines.
class ProgressBarHook : public SessionRunHook {
 public:
  explicit ProgressBarHook(const ProgressBarOptions& options = {});
  void begin() override;
  void after_create_session(Session& session, Coordinator& coord) override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  void show(int64_t step, const std::vector<Tensor>& values, bool last);
  ProgressBarOptions options_;
  Output global_step_;
  bool terminal_ = false;
  bool due_ = false;
  int64_t first_step_ = 0;
  int64_t shown_step_ = -1;
  int64_t step_ = 0;
  std::vector<Tensor> last_values_;
  std::chrono::steady_clock::time_point start_, shown_;
};

// SIGINT and SIGTERM end training cleanly: the step under way finishes, end hooks save. The second signal ends the
// process as usual. Signals are the process's again when the last such hook has ended.
class PreemptionHook : public SessionRunHook {
 public:
  PreemptionHook();
  void begin() override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;
  // True if a signal has asked to stop.
  static bool was_preempted();

 private:
  struct [[gnu::visibility("hidden")]] Registration;
  std::shared_ptr<Registration> registration_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
