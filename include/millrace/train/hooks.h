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

struct LoggingTensorOptions {
  std::optional<int64_t> every_n_iter = {};
  std::optional<double> every_n_secs = {};
  bool at_end = false;
  std::function<std::string(const std::map<std::string, Tensor>&)> formatter = {};
};
// Logs "tag = value, ... (1.234 sec)".
class LoggingTensorHook : public SessionRunHook {
 public:
  LoggingTensorHook(std::vector<std::pair<std::string, Output>> tensors, const LoggingTensorOptions& options);
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  void log(const std::vector<Tensor>& values);
  std::vector<Fetch> fetches() const;
  std::vector<std::pair<std::string, Output>> tensors_;
  LoggingTensorOptions options_;
  SecondOrStepTimer timer_;
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
  std::shared_ptr<Scaffold> scaffold = {};  // its saver, unless one is given
  std::vector<std::shared_ptr<CheckpointSaverListener>> listeners = {};
  bool save_graph_def = true;  // graph.pbtxt
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
  Saver saver() const;
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
  bool warned_ = false;
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
  struct Registration;
  std::shared_ptr<Registration> registration_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
