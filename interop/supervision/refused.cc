// What is refused, and how.

#include <algorithm>
#include <cctype>

#include "millrace/millrace.h"
#include "supervision/record.h"
#include "supervision/scenarios.h"
#include "supervision/shared.h"

namespace tf = millrace;
using namespace millrace::train;  // NOLINT: as T in the Python program
using tf::Output;

namespace millrace::records {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void refused(const std::string& what, const std::vector<std::string>& words, const std::function<void()>& body) {
  try {
    const auto as_default = tf::Graph().as_default();
    body();
    note(what + ": no error");
  } catch (const std::exception& error) {
    std::vector<std::string> found;
    for (const std::string& word : words)
      if (lower(error.what()).find(lower(word)) != std::string::npos) found.push_back(word);
    note(what + ": " + class_of(error) + " " + list(found));
  }
}

void foreign_fetch() {
  const tf::Graph elsewhere;
  Output other;
  {
    const auto as_default = elsewhere.as_default();
    other = tf::constant(1.0f);
  }
  get_or_create_global_step();
  MonitoredSession session(MonitoredSession::Options{});
  session.run(other);
}

void hook_of_another_graph() {
  const tf::Graph elsewhere;
  Output other, fed;
  {
    const auto as_default = elsewhere.as_default();
    other = tf::constant(1.0f);
    fed = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar());
  }
  get_or_create_global_step();
  const Output one = tf::constant(1.0f);
  MonitoredSession session({.hooks = {Fetcher(other, fed)}});
  session.run(one);
}

void finalized() {
  get_or_create_global_step();
  const MonitoredSession session(MonitoredSession::Options{});
  tf::constant(1.0f);
}

void two_savers() {
  model();
  for (int i = 0; i < 2; ++i) tf::add_to_collection(tf::GraphKeys::SAVERS, Saver());
  MonitoredTrainingSession({.checkpoint_dir = "two"});
}

void another_model() {
  {
    const auto as_default = tf::Graph().as_default();
    get_or_create_global_step();
    float_variable("other", 1.0f);
    MonitoredTrainingSession({.checkpoint_dir = "other", .save_checkpoint_steps = 1});
  }
  model();
  MonitoredTrainingSession({.checkpoint_dir = "other"});
}

void another_shape() {
  for (const int64_t size : {2, 3}) {
    const auto as_default = tf::Graph().as_default();
    get_or_create_global_step();
    tf::get_variable("v", {size});
    MonitoredTrainingSession({.checkpoint_dir = "shape", .save_checkpoint_steps = 1});
  }
}

void not_initialized() {
  get_or_create_global_step();
  float_variable("lonely", 1.0f);
  const auto scaffold = std::make_shared<Scaffold>(ScaffoldOptions{.init_op = tf::no_op()});
  MonitoredSession(MonitoredSession::Options{
      .session_creator = std::make_shared<ChiefSessionCreator>(ChiefSessionCreatorOptions{.scaffold = scaffold})});
}

void two_inits() {
  get_or_create_global_step();
  for (int i = 0; i < 2; ++i) tf::add_to_collection(tf::GraphKeys::INIT_OP, tf::no_op());
  Scaffold().finalize();
}

void two_global_steps() {
  for (const char* name : {"a", "b"})
    tf::add_to_collection(tf::GraphKeys::GLOBAL_STEP,
                          tf::get_variable(name, tf::GetVariableOptions{.initializer = tf::Tensor(0)}));
  get_global_step();
}

void float_global_step() {
  tf::add_to_collection(tf::GraphKeys::GLOBAL_STEP, float_variable("f", 0.0f));
  get_global_step();
}

void second_global_step() {
  create_global_step();
  create_global_step();
}

void after_stop() {
  class Stop : public SessionRunHook {
    void after_run(SessionRunContext& context, const SessionRunValues&) override { context.request_stop(); }
  };
  get_or_create_global_step();
  const Output one = tf::constant(1.0f);
  MonitoredSession session({.hooks = {Stop()}});
  session.run(one);
  session.run(one);
}

void bad_arguments() {
  refused("no number of steps", {"num_steps", "last_step"}, [] { StopAtStepHook({}); });
  refused("two numbers of steps", {"num_steps", "last_step"}, [] { StopAtStepHook({.num_steps = 1, .last_step = 2}); });
  refused("two cadences of a timer", {"every_secs", "every_steps"}, [] { SecondOrStepTimer(1.0, 1); });
  refused("no cadence of a timer", {"every_secs", "every_steps"}, [] { SecondOrStepTimer({}, {}); });
  refused("two cadences of a counter", {"every_n_secs", "every_n_steps", "exactly one"},
          [] { StepCounterHook({.every_n_steps = 1, .every_n_secs = 1}); });
  refused("two cadences of a log", {"every_n_iter", "every_n_secs"},
          [] { LoggingTensorHook({}, {.every_n_iter = 1, .every_n_secs = 1}); });
  refused("two savers of a hook", {"saver", "scaffold"}, [] {
    CheckpointSaverHook({.checkpoint_dir = "x",
                         .save_steps = 1,
                         .saver = Saver({.allow_empty = true}),
                         .scaffold = std::make_shared<Scaffold>()});
  });
  refused("no summary", {"scaffold", "summary_op"}, [] { SummarySaverHook({.save_steps = 1}); });
  refused("two sources of summaries", {"scaffold", "summary_op"}, [] {
    SummarySaverHook({.save_steps = 1, .scaffold = std::make_shared<Scaffold>(), .summary_op = tf::constant("")});
  });
  refused("two cadences of checkpoints", {"every_secs", "every_steps"}, [] {
    MonitoredTrainingSession({.checkpoint_dir = "x", .save_checkpoint_secs = 1.0, .save_checkpoint_steps = 1});
  });
  refused("two cadences of summaries", {"every_secs", "every_steps"}, [] {
    MonitoredTrainingSession({.checkpoint_dir = "x", .save_summaries_steps = 1, .save_summaries_secs = 1.0});
  });
  refused("ready for a local init that is not there", {"local_init_op"}, [] {
    SessionManager(
        {.ready_for_local_init_op = tf::constant(tf::Tensor(tf::TensorShape({0}), std::vector<std::string>{}))});
  });
  refused("no global step", {"global step"},
          [] { MonitoredSession(MonitoredSession::Options{.hooks = {StopAtStepHook({.num_steps = 1})}}); });
}

}  // namespace

void bad_input() {
  bad_arguments();
  refused("a fetch of another graph", {"graph"}, foreign_fetch);
  refused("a hook's fetch of another graph", {"graph"}, hook_of_another_graph);
  refused("a finalized graph", {"finalized"}, finalized);
  refused("two savers", {"savers"}, two_savers);
  refused("a checkpoint of another model", {"not found in checkpoint"}, another_model);
  refused("a checkpoint of another shape", {"[2]", "[3]"}, another_shape);
  refused("a variable that is not initialized", {"lonely", "not initialized"}, not_initialized);
  refused("two init ops", {"init_op"}, two_inits);
  refused("two global steps", {"global_step"}, two_global_steps);
  refused("a global step of floats", {"integer"}, float_global_step);
  refused("a second global step", {"already exists"}, second_global_step);
  refused("a session that was asked to stop", {"should_stop"}, after_stop);
  refused("a queue runner without ops", {"enqueue"}, [] { QueueRunner(tf::FIFOQueue(1, {tf::int32}), {}); });
  refused("a worker's variables on no device", {"device"}, [] {
    model();
    Supervisor({.is_chief = false});
  });
}

}  // namespace millrace::records
