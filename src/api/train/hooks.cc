#include "millrace/train/hooks.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "api/meta_graph.h"
#include "api/train/hook_support.h"
#include "base/errors.h"
#include "base/log.h"
#include "graph/graph.h"
#include "graph/graph_def.h"
#include "io/durable_file.h"
#include "io/file_system.h"
#include "millrace/train/global_step.h"
#include "millrace/train/monitored_session.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace::train {

Output required_global_step(std::string_view hook) {
  const Output read = get_or_create_global_step_read();
  if (!read) raise(failed_precondition("Global step should be created to use ", hook, "."));
  // That read, which stands in the graph as in TensorFlow's, asks by control flow whether the variable is initialized.
  // When hooks run it is, and steps without control flow are several times cheaper.
  const Variable step = get_global_step();
  return step.is_resource() ? read : step.value();
}

int64_t step_of(const Tensor& value) {
  return value.dtype() == int32 ? value.scalar<int32_t>() : value.scalar<int64_t>();
}

void write_graph_text(const Graph& graph, const std::string& directory) {
  raise_if_error(value_or_raise(file_system_for(directory))->make_directories(directory));
  raise_if_error(
      write_file_durably(join_path(directory, "graph.pbtxt"), text_proto(graph.as_graph_def({.add_shapes = true}))));
}

// --- StopAtStepHook

StopAtStepHook::StopAtStepHook(const StopAtStepOptions& options) : options_(options) {
  if (!options_.num_steps && !options_.last_step)
    raise(invalid_argument("One of num_steps or last_step must be specified."));
  if (options_.num_steps && options_.last_step)
    raise(invalid_argument("Only one of num_steps or last_step can be specified."));
}

void StopAtStepHook::begin() { global_step_ = required_global_step("StopAtStepHook"); }

void StopAtStepHook::after_create_session(Session& session, Coordinator&) {
  if (!options_.last_step) options_.last_step = step_of(session.run(global_step_)) + *options_.num_steps;
}

std::optional<SessionRunArgs> StopAtStepHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {global_step_}};
}

void StopAtStepHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  // The step was read before, or while, the train op counted it up: look again before stopping.
  if (step_of(values.results[0]) + 1 < *options_.last_step) return;
  if (step_of(context.session().run(global_step_)) >= *options_.last_step) context.request_stop();
}

// --- LoggingTensorHook

namespace {

// The tensor that an argument means in the default graph; an operation's name stands for its only output.
Output tensor_of(const Fetch& fetch) {
  const Graph graph = get_default_graph();
  if (fetch.output()) {
    if (fetch.output().op().graph() == graph) return fetch.output();
    raise(invalid_argument("Passed ", fetch.output().name(),
                           " should have graph attribute that is equal to current graph."));
  }
  const std::string& name = fetch.name();
  if (name.empty()) raise(invalid_argument("LoggingTensorHook: expected a tensor or its name, got an operation"));
  if (name.find(':') != std::string::npos) return value_or_raise(graph.impl().find_output(name));
  const Output first = value_or_raise(graph.impl().find_output(name + ":0"));
  if (first.op().num_outputs() > 1) {
    raise(invalid_argument("Name ", name, " is ambiguous, as this `Operation` has multiple outputs (at least 2)."));
  }
  return first;
}

}  // namespace

LoggingTensorHook::LoggingTensorHook(std::vector<std::pair<std::string, Fetch>> tensors,
                                     const LoggingTensorOptions& options)
    : tensors_(std::move(tensors)), options_(options) {
  const int cadences = (options_.every_n_iter ? 1 : 0) + (options_.every_n_secs ? 1 : 0);
  if (cadences > 1 || (cadences == 0 && !options_.at_end)) {
    raise(invalid_argument("either at_end and/or exactly one of every_n_iter and every_n_secs must be provided."));
  }
  if (options_.every_n_iter && *options_.every_n_iter <= 0)
    raise(invalid_argument("invalid every_n_iter=", *options_.every_n_iter, "."));
  if (cadences == 1) timer_.emplace(options_.every_n_secs, options_.every_n_iter);
  std::ranges::stable_sort(tensors_, {}, [](const auto& tensor) { return tensor.first; });
}

void LoggingTensorHook::begin() {
  if (timer_) timer_->reset();
  iter_count_ = 0;
  fetches_.clear();
  for (const auto& [tag, tensor] : tensors_) fetches_.push_back(tensor_of(tensor));
}

std::optional<SessionRunArgs> LoggingTensorHook::before_run(SessionRunContext&) {
  triggered_ = timer_ && timer_->should_trigger_for_step(iter_count_);
  if (!triggered_) return std::nullopt;
  return SessionRunArgs{.fetches = fetches_};
}

void LoggingTensorHook::log(const std::vector<Tensor>& values) {
  const auto elapsed = timer_ ? timer_->update_last_triggered_step(iter_count_) : std::nullopt;
  if (options_.formatter) {
    std::map<std::string, Tensor> by_tag;
    for (size_t i = 0; i < values.size(); ++i) by_tag[tensors_[i].first] = values[i];
    log_info(options_.formatter(by_tag));
    return;
  }
  std::string line;
  for (size_t i = 0; i < values.size(); ++i)
    str_append(&line, i ? ", " : "", tensors_[i].first, " = ", values[i].to_string(1000));
  if (elapsed) absl::StrAppendFormat(&line, " (%.3f sec)", elapsed->seconds);
  log_info(line);
}

void LoggingTensorHook::after_run(SessionRunContext&, const SessionRunValues& values) {
  if (triggered_) log(values.results);
  ++iter_count_;
}

void LoggingTensorHook::end(Session& session) {
  if (options_.at_end) log(session.run(fetches_));
}

// --- CheckpointSaverHook

namespace {

// TensorFlow says so before it refuses anything.
SecondOrStepTimer announced_timer(const CheckpointSaverOptions& o) {
  log_info("Create CheckpointSaverHook.");
  return SecondOrStepTimer(o.save_secs, o.save_steps);
}

}  // namespace

CheckpointSaverHook::CheckpointSaverHook(const CheckpointSaverOptions& options)
    : options_(options),
      save_path_(join_path(options.checkpoint_dir, options.checkpoint_basename)),
      timer_(announced_timer(options)) {
  if (options_.saver && options_.scaffold) raise(invalid_argument("You cannot provide both saver and scaffold."));
}

Saver CheckpointSaverHook::saver() {
  if (options_.saver) return options_.saver;
  if (options_.scaffold) return options_.scaffold->saver();
  const std::vector<CollectionItem> collected = get_collection(GraphKeys::SAVERS);
  if (collected.empty()) {
    raise(failed_precondition("No items in collection ", GraphKeys::SAVERS,
                              ". Please add a saver to the collection or provide a saver or scaffold."));
  }
  if (collected.size() > 1) {
    raise(failed_precondition("More than one item in collection ", GraphKeys::SAVERS,
                              ". Please indicate which one to use by passing it to the constructor."));
  }
  return options_.saver = saver_in(collected[0]);
}

void CheckpointSaverHook::begin() {
  writer_ = summary::FileWriterCache::get(options_.checkpoint_dir);
  global_step_ = required_global_step("CheckpointSaverHook");
  for (const auto& listener : options_.listeners) listener->begin();
}

void CheckpointSaverHook::after_create_session(Session& session, Coordinator&) {
  const int64_t step = step_of(session.run(global_step_));
  const Graph graph = session.graph();
  if (options_.save_graph_def) write_graph_text(graph, options_.checkpoint_dir);
  tensorflow::MetaGraphDef meta;
  to_meta_graph(graph, {}, &meta);
  if (const Saver s = saver()) *meta.mutable_saver_def() = s.as_saver_def();
  writer_.add_graph(graph);
  writer_.add_meta_graph(meta);
  save(session, step);
  timer_.update_last_triggered_step(step);
}

std::optional<SessionRunArgs> CheckpointSaverHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {global_step_}};
}

void CheckpointSaverHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  if (!timer_.should_trigger_for_step(step_of(values.results[0]) + 1)) return;
  const int64_t step = step_of(context.session().run(global_step_));  // as the train op left it
  if (!timer_.should_trigger_for_step(step)) return;
  timer_.update_last_triggered_step(step);
  if (save(context.session(), step)) context.request_stop();
}

void CheckpointSaverHook::end(Session& session) {
  const int64_t last_step = step_of(session.run(global_step_));
  if (timer_.last_triggered_step() != last_step) save(session, last_step);
  for (const auto& listener : options_.listeners) listener->end(session, last_step);
}

bool CheckpointSaverHook::save(Session& session, int64_t step) {
  log_info("Calling checkpoint listeners before saving checkpoint ", step, "...");
  for (const auto& listener : options_.listeners) listener->before_save(session, step);
  log_info("Saving checkpoints for ", step, " into ", save_path_, ".");
  saver().save(session, save_path_, {.global_step = step, .write_meta_graph = options_.save_graph_def});
  tensorflow::SessionLog log;
  log.set_status(tensorflow::SessionLog::CHECKPOINT);
  log.set_checkpoint_path(save_path_);
  writer_.add_session_log(log, step);
  log_info("Calling checkpoint listeners after saving checkpoint ", step, "...");
  bool should_stop = false;
  for (const auto& listener : options_.listeners) {
    if (!listener->after_save(session, step)) continue;
    log_info("A CheckpointSaverListener requested that training be stopped.");
    should_stop = true;
  }
  return should_stop;
}

// --- SummarySaverHook

SummarySaverHook::SummarySaverHook(const SummarySaverOptions& options)
    : options_(options), timer_(options.save_secs, options.save_steps) {
  if (static_cast<bool>(options_.summary_op) == static_cast<bool>(options_.scaffold)) {
    raise(invalid_argument("Exactly one of scaffold or summary_op must be provided."));
  }
}

Output SummarySaverHook::summary_op() const {
  return options_.summary_op ? options_.summary_op : options_.scaffold->summary_op();
}

void SummarySaverHook::begin() {
  if (!options_.summary_writer && !options_.output_dir.empty())
    options_.summary_writer = summary::FileWriterCache::get(options_.output_dir);
  next_step_.reset();
  global_step_ = required_global_step("SummarySaverHook");
}

std::optional<SessionRunArgs> SummarySaverHook::before_run(SessionRunContext&) {
  request_summary_ = !next_step_ || timer_.should_trigger_for_step(*next_step_);
  SessionRunArgs args{.fetches = {global_step_}};
  if (request_summary_ && summary_op()) args.fetches.push_back(summary_op());
  return args;
}

void SummarySaverHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  if (!options_.summary_writer) return;
  int64_t step = step_of(values.results[0]) + 1;
  if (!next_step_ || request_summary_) step = step_of(context.session().run(global_step_));
  if (!next_step_) {
    tensorflow::SessionLog log;
    log.set_status(tensorflow::SessionLog::START);
    options_.summary_writer.add_session_log(log, step);
  }
  if (request_summary_) {
    timer_.update_last_triggered_step(step);
    if (values.results.size() > 1) options_.summary_writer.add_summary(values.results[1], step);
  }
  next_step_ = step + 1;
}

void SummarySaverHook::end(Session&) {
  if (options_.summary_writer) options_.summary_writer.flush();
}

// --- StepCounterHook

StepCounterHook::StepCounterHook(const StepCounterOptions& options)
    : options_(options), timer_(options.every_n_secs, options.every_n_secs ? std::nullopt : options.every_n_steps) {
  if (options_.every_n_steps.has_value() == options_.every_n_secs.has_value())
    raise(invalid_argument("exactly one of every_n_steps and every_n_secs should be provided."));
}

void StepCounterHook::begin() {
  if (!options_.summary_writer && !options_.output_dir.empty())
    options_.summary_writer = summary::FileWriterCache::get(options_.output_dir);
  global_step_ = required_global_step("StepCounterHook");
  tag_ = get_global_step().op().name() + "/sec";
}

std::optional<SessionRunArgs> StepCounterHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {global_step_}};
}

void StepCounterHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  const int64_t stale = step_of(values.results[0]);
  if (timer_.should_trigger_for_step(stale + 1)) {
    const int64_t step = step_of(context.session().run(global_step_));
    if (timer_.should_trigger_for_step(step)) {
      if (const auto elapsed = timer_.update_last_triggered_step(step); elapsed && elapsed->seconds > 0) {
        const double per_second = static_cast<double>(elapsed->steps) / elapsed->seconds;
        if (options_.summary_writer) options_.summary_writer.add_scalar(tag_, static_cast<float>(per_second), step);
        log_info(absl::StrFormat("%s: %g", tag_, per_second));
      }
    }
  }
  if (last_global_step_ == stale && warnings_ < 5) {
    ++warnings_;
    log_warning(
        "It seems that global step (tf::train::get_global_step) has not been increased. Current value (could be "
        "stable): ",
        stale, " vs previous value: ", *last_global_step_,
        ". You could increase the global step by passing tf::train::get_global_step() to Optimizer::apply_gradients or "
        "Optimizer::minimize.");
  }
  last_global_step_ = stale;
}

// --- NanTensorHook

namespace {

// InvalidArgument (numpy's ValueError) unless there is exactly one element.
bool holds_nan(const Tensor& loss) {
  if (loss.num_elements() != 1)
    raise(invalid_argument("NanTensorHook: the loss must have one element, got shape ", loss.shape()));
  switch (loss.dtype()) {
    case float64: return std::isnan(loss.flat<double>()[0]);
    case float32: return std::isnan(loss.flat<float>()[0]);
    case float16: return std::isnan(static_cast<float>(loss.flat<Half>()[0]));
    case bfloat16: return std::isnan(static_cast<float>(loss.flat<BFloat16>()[0]));
    default: return false;  // integers
  }
}

}  // namespace

NanTensorHook::NanTensorHook(const Output& loss_tensor, const NanTensorOptions& options)
    : loss_(loss_tensor), options_(options) {}

std::optional<SessionRunArgs> NanTensorHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.fetches = {loss_}};
}

void NanTensorHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  if (!holds_nan(values.results[0])) return;
  constexpr const char* kMessage = "Model diverged with loss = NaN.";
  if (options_.fail_on_nan_loss) {
    log_error(kMessage);
    throw NanLossDuringTrainingError();
  }
  log_warning(kMessage);
  context.request_stop();
}

}  // namespace millrace::train
