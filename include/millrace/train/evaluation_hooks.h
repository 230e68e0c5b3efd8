#pragma once
// Evaluation while training, and stopping when it no longer gets better.
//
//   tf::train::EvaluationHook([&](tf::Session& s, int64_t) { return std::map<std::string, double>{{"accuracy", ...}};
//   },
//                             {.every_n_steps = 500, .output_dir = "runs/digits/eval"})
//   tf::train::stop_if_no_increase_hook("runs/digits/eval", "accuracy", 2000, {.run_every_secs = std::nullopt,
//                                                                             .run_every_steps = 500})

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "millrace/train/hooks.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// Exactly one of both cadences.
struct EvaluationOptions {
  std::optional<int64_t> every_n_steps = {};
  std::optional<double> every_n_secs = {};
  bool at_end = true;           // once more at the end, unless that step was evaluated
  std::string output_dir = {};  // where the values go as summaries
};
// Calls a function every so often, with the session that is trained, and logs the values that it returns.
class EvaluationHook : public SessionRunHook {
 public:
  using Evaluate = std::function<std::map<std::string, double>(Session& session, int64_t global_step)>;
  EvaluationHook(Evaluate evaluate, const EvaluationOptions& options);
  void begin() override;
  void after_create_session(Session& session, Coordinator& coord) override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;
  void end(Session& session) override;

 private:
  void evaluate(Session& session, int64_t step);
  Evaluate evaluate_;
  EvaluationOptions options_;
  SecondOrStepTimer timer_;
  summary::FileWriter writer_;
  Output global_step_;
};

// The scalar summaries in the event files of a directory, by step and tag; empty where there is no such directory.
std::map<int64_t, std::map<std::string, double>> read_eval_metrics(const std::string& eval_dir);

// At most one of both cadences.
struct EarlyStoppingOptions {
  int64_t min_steps = 0;  // metrics of earlier steps do not count
  std::optional<double> run_every_secs = 60;
  std::optional<int64_t> run_every_steps = {};
};

// Stops training once a function says so; asked every so often.
class EarlyStoppingHook : public SessionRunHook {
 public:
  explicit EarlyStoppingHook(std::function<bool()> should_stop_fn, const EarlyStoppingOptions& options = {});
  void begin() override;
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 private:
  std::function<bool()> should_stop_fn_;
  SecondOrStepTimer timer_;
  Output global_step_;
};

// tf.estimator.experimental's, on the event files of a directory instead of an estimator's. NotFoundError where an
// evaluation lacks the metric.
EarlyStoppingHook stop_if_no_decrease_hook(const std::string& eval_dir, const std::string& metric_name,
                                           int64_t max_steps_without_decrease,
                                           const EarlyStoppingOptions& options = {});
EarlyStoppingHook stop_if_no_increase_hook(const std::string& eval_dir, const std::string& metric_name,
                                           int64_t max_steps_without_increase,
                                           const EarlyStoppingOptions& options = {});
EarlyStoppingHook stop_if_higher_hook(const std::string& eval_dir, const std::string& metric_name, double threshold,
                                      const EarlyStoppingOptions& options = {});
EarlyStoppingHook stop_if_lower_hook(const std::string& eval_dir, const std::string& metric_name, double threshold,
                                     const EarlyStoppingOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
