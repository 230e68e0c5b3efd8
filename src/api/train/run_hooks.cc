// Hooks around single runs: waiting, feeding, tracing, and a last run at the end.

#include <chrono>
#include <thread>

#include "api/train/hook_support.h"
#include "base/errors.h"
#include "base/log.h"
#include "io/durable_file.h"
#include "io/file_system.h"
#include "millrace/train/hooks.h"
#include "runtime/run_metadata.h"
#include "runtime/timeline.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace::train {

// --- GlobalStepWaiterHook

void GlobalStepWaiterHook::begin() {
  started_ = false;
  global_step_ = required_global_step("GlobalStepWaiterHook");
}

std::optional<SessionRunArgs> GlobalStepWaiterHook::before_run(SessionRunContext& context) {
  if (started_) return std::nullopt;
  if (wait_until_step_ <= 0) {
    started_ = true;
    return std::nullopt;
  }
  log_info("Waiting for global step ", wait_until_step_, " before starting training.");
  int64_t last_logged_step = 0;
  while (true) {
    const int64_t step = step_of(context.session().run(global_step_));
    if (step >= wait_until_step_) {
      started_ = true;
      return std::nullopt;
    }
    if (step - last_logged_step > 1000) {
      log_info("Waiting for global step ", wait_until_step_, " before starting training. Current step is ", step, ".");
      last_logged_step = step;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

// --- FinalOpsHook

void FinalOpsHook::end(Session& session) {
  if (final_ops_.empty()) return;
  try {
    values_ = session.run(final_ops_, options_.final_ops_feed_dict);
  } catch (const errors::OutOfRangeError&) {
    log_warning(
        "The final ops of FinalOpsHook read from an input that has ended. They should depend on variables only: of a "
        "metric, on its value and not on its update op.");
    throw;
  }
}

// --- FeedFnHook

std::optional<SessionRunArgs> FeedFnHook::before_run(SessionRunContext&) {
  return SessionRunArgs{.feed_dict = feed_fn_()};
}

// --- ProfilerHook

namespace {

std::string timeline_of(const RunMetadata& metadata, const ProfilerOptions& o) {
  tensorflow::RunMetadata proto;
  if (!proto.ParseFromString(metadata.serialized)) raise(internal_error("a run's metadata cannot be parsed"));
  return timeline_json(node_stats(proto), {.show_dataflow = o.show_dataflow, .show_memory = o.show_memory});
}

}  // namespace

ProfilerHook::ProfilerHook(const ProfilerOptions& options)
    : options_(options), timer_(options.save_secs, options.save_steps) {
  writer_ = summary::FileWriterCache::get(options_.output_dir);
}

void ProfilerHook::begin() {
  next_step_.reset();
  global_step_ = required_global_step("ProfilerHook");
}

std::optional<SessionRunArgs> ProfilerHook::before_run(SessionRunContext&) {
  traced_ = next_step_ && timer_.should_trigger_for_step(*next_step_);
  SessionRunArgs args{.fetches = {global_step_}};
  if (traced_) args.options = RunOptions{.trace_level = RunOptions::FULL_TRACE};
  return args;
}

void ProfilerHook::after_run(SessionRunContext& context, const SessionRunValues& values) {
  const int64_t stale = step_of(values.results[0]);
  if (!next_step_) timer_.update_last_triggered_step(stale);
  int64_t step = stale + 1;
  if (traced_) {
    step = step_of(context.session().run(global_step_));
    timer_.update_last_triggered_step(step);
    const std::string path = join_path(options_.output_dir, str_cat("timeline-", step, ".json"));
    log_info("Saving timeline for ", step, " into '", path, "'.");
    raise_if_error(write_file_durably(path, timeline_of(values.run_metadata, options_)));
    writer_.add_run_metadata(values.run_metadata, str_cat("step_", step));
  }
  next_step_ = step + 1;
}

}  // namespace millrace::train
