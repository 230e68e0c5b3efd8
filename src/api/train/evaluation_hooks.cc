#include "millrace/train/evaluation_hooks.h"

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "api/train/hook_support.h"
#include "base/errors.h"
#include "base/log.h"
#include "io/file_system.h"
#include "io/record_reader.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace::train {

// --- EvaluationHook

EvaluationHook::EvaluationHook(Evaluate evaluate, const EvaluationOptions& options)
    : evaluate_(std::move(evaluate)), options_(options), timer_(options.every_n_secs, options.every_n_steps) {
  if (!evaluate_) raise(invalid_argument("EvaluationHook needs a function that evaluates."));
}

void EvaluationHook::begin() {
  if (!options_.output_dir.empty()) writer_ = summary::FileWriterCache::get(options_.output_dir);
  global_step_ = required_global_step("EvaluationHook");
}

void EvaluationHook::after_create_session(Session& session, Coordinator&) {
  timer_.update_last_triggered_step(step_of(session.run(global_step_)));
}

std::optional<SessionRunArgs> EvaluationHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {global_step_}};
}

void EvaluationHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  if (!timer_.should_trigger_for_step(step_of(values.results[0]) + 1)) return;
  const int64_t step = step_of(context.session().run(global_step_));  // as the train op left it
  if (timer_.should_trigger_for_step(step)) evaluate(context.session(), step);
}

void EvaluationHook::end(Session& session) {
  if (!options_.at_end) return;
  const int64_t step = step_of(session.run(global_step_));
  if (timer_.last_triggered_step() != step) evaluate(session, step);
}

void EvaluationHook::evaluate(Session& session, int64_t step) {
  timer_.update_last_triggered_step(step);
  const std::map<std::string, double> values = evaluate_(session, step);
  std::string line = str_cat("Evaluation at global step ", step, ": ");
  tensorflow::Summary summary;
  for (const auto& [tag, value] : values) {
    if (summary.value_size() > 0) line += ", ";
    absl::StrAppendFormat(&line, "%s = %g", tag, value);
    tensorflow::Summary::Value& v = *summary.add_value();
    v.set_tag(tag);
    v.set_simple_value(static_cast<float>(value));
  }
  log_info(line);
  if (!writer_) return;
  writer_.add_summary(summary, step);
  writer_.flush();  // hooks that stop early read it
}

// --- early stopping

std::map<int64_t, std::map<std::string, double>> read_eval_metrics(const std::string& eval_dir) {
  std::map<int64_t, std::map<std::string, double>> metrics;
  const auto names = value_or_raise(file_system_for(eval_dir))->list(eval_dir);
  if (absl::IsNotFound(names.status())) return metrics;  // nothing was evaluated yet
  for (const std::string& name : value_or_raise(names)) {
    if (!absl::StartsWith(name, "events")) continue;
    const auto reader = value_or_raise(RecordReader::open(join_path(eval_dir, name)));
    std::string record;
    while (value_or_raise(reader->read(record))) {
      tensorflow::Event event;
      if (!event.ParseFromString(record))
        raise(data_loss(join_path(eval_dir, name), ": a record holds bytes that are no Event"));
      for (const auto& value : event.summary().value()) {
        if (value.value_case() == tensorflow::Summary::Value::kSimpleValue)
          metrics[event.step()][value.tag()] = value.simple_value();
      }
    }
  }
  return metrics;
}

namespace {

SecondOrStepTimer timer_of(const EarlyStoppingOptions& o) {
  if (o.run_every_secs && o.run_every_steps)
    raise(invalid_argument("Only one of `run_every_secs` and `run_every_steps` must be set."));
  return SecondOrStepTimer(o.run_every_secs, o.run_every_steps);
}

double metric_of(const std::map<std::string, double>& metrics, const std::string& name, int64_t step) {
  const auto found = metrics.find(name);
  if (found == metrics.end()) raise(not_found("The evaluation at step ", step, " has no metric '", name, "'."));
  return found->second;
}

using Better = bool (*)(double, double);
bool lower(double a, double b) { return a < b; }
bool higher(double a, double b) { return a > b; }

EarlyStoppingHook stop_if_no_improvement(const std::string& eval_dir, const std::string& metric, int64_t max_steps,
                                         Better better, const char* improvement, const EarlyStoppingOptions& o) {
  const auto should_stop = [=, min_steps = o.min_steps] {
    std::optional<double> best;
    int64_t best_step = 0;
    for (const auto& [step, metrics] : read_eval_metrics(eval_dir)) {
      if (step < min_steps) continue;
      const double value = metric_of(metrics, metric, step);
      if (!best || better(value, *best)) {
        best = value;
        best_step = step;
      }
      if (step - best_step < max_steps) continue;
      log_info("No ", improvement, " in metric \"", metric, "\" for ", step - best_step,
               " steps, which is greater than or equal to max steps (", max_steps, ") configured for early stopping.");
      return true;
    }
    return false;
  };
  return EarlyStoppingHook(should_stop, o);
}

EarlyStoppingHook stop_if_threshold_crossed(const std::string& eval_dir, const std::string& metric, double threshold,
                                            Better better, const char* side, const EarlyStoppingOptions& o) {
  const auto should_stop = [=, min_steps = o.min_steps] {
    for (const auto& [step, metrics] : read_eval_metrics(eval_dir)) {
      if (step < min_steps) continue;
      const double value = metric_of(metrics, metric, step);
      if (!better(value, threshold)) continue;
      log_info("At step ", step, ", metric \"", metric, "\" has value ", value, " which is ", side,
               " the configured threshold (", threshold, ") for early stopping.");
      return true;
    }
    return false;
  };
  return EarlyStoppingHook(should_stop, o);
}

}  // namespace

EarlyStoppingHook::EarlyStoppingHook(std::function<bool()> should_stop_fn, const EarlyStoppingOptions& options)
    : should_stop_fn_(std::move(should_stop_fn)), timer_(timer_of(options)) {
  if (!should_stop_fn_) raise(invalid_argument("`should_stop_fn` must be callable."));
}

void EarlyStoppingHook::begin() { global_step_ = required_global_step("EarlyStoppingHook"); }

std::optional<SessionRunArgs> EarlyStoppingHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {global_step_}};
}

void EarlyStoppingHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  const int64_t step = step_of(values.results[0]);
  if (!timer_.should_trigger_for_step(step)) return;
  timer_.update_last_triggered_step(step);
  if (!should_stop_fn_()) return;
  log_info("Requesting early stopping at global step ", step);
  context.request_stop();
}

EarlyStoppingHook stop_if_no_decrease_hook(const std::string& eval_dir, const std::string& metric_name,
                                           int64_t max_steps_without_decrease, const EarlyStoppingOptions& options) {
  return stop_if_no_improvement(eval_dir, metric_name, max_steps_without_decrease, lower, "decrease", options);
}

EarlyStoppingHook stop_if_no_increase_hook(const std::string& eval_dir, const std::string& metric_name,
                                           int64_t max_steps_without_increase, const EarlyStoppingOptions& options) {
  return stop_if_no_improvement(eval_dir, metric_name, max_steps_without_increase, higher, "increase", options);
}

EarlyStoppingHook stop_if_higher_hook(const std::string& eval_dir, const std::string& metric_name, double threshold,
                                      const EarlyStoppingOptions& options) {
  return stop_if_threshold_crossed(eval_dir, metric_name, threshold, higher, "higher than", options);
}

EarlyStoppingHook stop_if_lower_hook(const std::string& eval_dir, const std::string& metric_name, double threshold,
                                     const EarlyStoppingOptions& options) {
  return stop_if_threshold_crossed(eval_dir, metric_name, threshold, lower, "lower than", options);
}

}  // namespace millrace::train
