// interop_supervision > RECORD.json : the scenarios of supervision_tf.py, call by call, with the same record of each.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "io/record_reader.h"
#include "millrace/millrace.h"
#include "runtime/session.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace tf = millrace;
namespace fs = std::filesystem;
using namespace millrace::train;  // NOLINT: as T in the Python program
using tf::Output;

namespace {

std::vector<std::string> lines;  // the record of the scenario that runs
std::set<std::string> files;
const std::thread::id main_thread = std::this_thread::get_id();

std::set<std::string> present() {
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(".")) {
    const std::string name = entry.path().lexically_relative(".").string();
    if (entry.is_regular_file() && name.find("tfevents") == std::string::npos) found.insert(name);
  }
  return found;
}

void note(const std::string& line) {
  if (std::this_thread::get_id() != main_thread) return;
  const std::set<std::string> now = present();
  for (const std::string& name : now)
    if (!files.contains(name)) lines.push_back("file " + name);
  for (const std::string& name : files)
    if (!now.contains(name)) lines.push_back("gone " + name);
  files = now;
  lines.push_back(line);
}

// As Python prints a list of strings.
std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return "[" + text + "]";
}
std::string sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return list(names);
}
std::string truth(bool value) { return value ? "True" : "False"; }
std::string number(float value) {
  std::ostringstream text;
  text << value;
  return text.str();
}
std::string name_of(const tf::Fetch& fetch) {
  if (fetch.output()) return fetch.output().name();
  return fetch.operation() ? fetch.operation().name() : fetch.name();
}

// Each fetch once: TensorFlow joins those that several ask for before it runs. There too what is of another graph is
// refused.
void note_run(const tf::GraphImpl& graph, const tf::RunRequest& request) {
  std::vector<std::string> fetched, run, fed;
  for (const Output& output : request.fetches) {
    if (&output.node()->graph() != &graph) return;
    if (std::ranges::find(fetched, output.name()) == fetched.end()) fetched.push_back(output.name());
  }
  for (tf::Node* node : request.targets) run.push_back(tf::Operation(node).name());
  for (const auto& [output, value] : request.feeds) fed.push_back(output.name());
  note("run fetch=" + sorted(fetched) + " target=" + sorted(run) + " feed=" + sorted(fed));
}

}  // namespace

// Every run of a session comes through here: the linker puts these in the place of SessionCore::run (CMakeLists.txt).
#define MR_SESSION_RUN(prefix) \
  prefix##_ZN8millrace11SessionCore3runERKNS_10RunRequestEPSt6vectorINS_6TensorESaIS5_EEPNS_9RunReportE
extern "C" absl::Status MR_SESSION_RUN(__real_)(tf::SessionCore*, const tf::RunRequest&, std::vector<tf::Tensor>*,
                                                tf::RunReport*);
extern "C" absl::Status MR_SESSION_RUN(__wrap_)(tf::SessionCore* core, const tf::RunRequest& request,
                                                std::vector<tf::Tensor>* fetched, tf::RunReport* report) {
  note_run(*core->graph(), request);
  return MR_SESSION_RUN(__real_)(core, request, fetched, report);
}

namespace {

using Raise = std::function<void()>;

// Notes its calls, and raises in the count-th call of the method that it is told.
class Tracer : public SessionRunHook {
 public:
  explicit Tracer(std::string name, std::string raise_in = {}, int count = 1, Raise raise = {})
      : name_(std::move(name)), raise_in_(std::move(raise_in)), left_(count), raise_(std::move(raise)) {}
  void begin() override { call("begin", " finalized=" + truth(tf::get_default_graph().finalized())); }
  void after_create_session(tf::Session&, Coordinator& coord) override {
    call("after_create_session", " stop=" + truth(coord.should_stop()));
  }
  std::optional<SessionRunArgs> before_run(SessionRunContext& context) override {
    std::vector<std::string> names;
    for (const tf::Fetch& fetch : context.original_args().fetches) names.push_back(name_of(fetch));
    call("before_run", " " + list(names) + " stop=" + truth(context.stop_requested()));
    return std::nullopt;
  }
  void after_run(SessionRunContext&, const SessionRunValues& values) override {
    call("after_run", " results=" + truth(!values.results.empty()));
  }
  void end(tf::Session&) override { call("end", ""); }

 private:
  void call(const std::string& method, const std::string& more) {
    note("hook " + name_ + "." + method + more);
    if (method == raise_in_ && --left_ == 0) raise_();
  }
  std::string name_, raise_in_;
  int left_;
  Raise raise_;
};

// Adds a fetch and a feed to each run.
class Fetcher : public SessionRunHook {
 public:
  Fetcher(const Output& fetch, const Output& feed) : fetch_(fetch), feed_(feed) {}
  std::optional<SessionRunArgs> before_run(SessionRunContext&) override {
    return SessionRunArgs{.fetches = {fetch_}, .feed_dict = {{feed_, tf::Tensor(0.5f)}}};
  }
  void after_run(SessionRunContext&, const SessionRunValues& values) override {
    note("hook Fetcher.after_run " + number(values.results[0].scalar<float>()));
  }

 private:
  Output fetch_, feed_;
};

class Listener : public CheckpointSaverListener {
 public:
  void begin() override { note("listener begin"); }
  void before_save(tf::Session&, int64_t step) override { note("listener before_save " + std::to_string(step)); }
  bool after_save(tf::Session&, int64_t step) override {
    note("listener after_save " + std::to_string(step));
    return step == 4;
  }
  void end(tf::Session&, int64_t step) override { note("listener end " + std::to_string(step)); }
};

struct Model {
  Output loss;
  tf::Operation train;
};

// (1.5 w - 1)^2 from w = 2, by gradient descent.
Model model() {
  const tf::Variable step = get_or_create_global_step();
  const tf::Variable w = tf::get_variable("w", tf::GetVariableOptions{.initializer = tf::Tensor(2.0f)});
  const Output loss = tf::square(w * 1.5 - 1.0, {.name = "loss"});
  tf::summary::scalar("loss", loss);
  return {loss, GradientDescentOptimizer(0.1).minimize(loss, {.global_step = step})};
}

tf::Variable float_variable(const std::string& name, float value) {
  return tf::get_variable(name, tf::GetVariableOptions{.initializer = tf::Tensor(value)});
}

void loop(MonitoredSession& session, const std::vector<tf::Fetch>& fetches) {
  while (!session.should_stop()) session.run(fetches);
}

// --- scenarios

void training() {
  const Model m = model();
  auto session = MonitoredTrainingSession({.checkpoint_dir = "ck",
                                           .hooks = {Tracer("A"), Tracer("B"), StopAtStepHook({.last_step = 7}),
                                                     LoggingTensorHook({{"loss", m.loss}}, {.every_n_iter = 2})},
                                           .chief_only_hooks = {Tracer("C")},
                                           .save_checkpoint_steps = 3,
                                           .save_summaries_steps = 2,
                                           .log_step_count_steps = 4});
  loop(session, {m.loss, m.train});
}

void defaults() {
  const Model m = model();
  auto session = MonitoredTrainingSession(
      {.checkpoint_dir = "ck", .hooks = {StopAtStepHook({.num_steps = 3})}, .summary_dir = "summaries"});
  loop(session, {m.train});
}

void resume() {
  for (const int64_t stop : {3, 5}) {
    const auto as_default = tf::Graph().as_default();
    const Model m = model();
    auto session = MonitoredTrainingSession({.checkpoint_dir = "ck",
                                             .hooks = {Tracer("A"), StopAtStepHook({.last_step = stop})},
                                             .save_checkpoint_steps = 100,
                                             .save_summaries_steps = std::nullopt,
                                             .save_summaries_secs = std::nullopt});
    loop(session, {m.train});
  }
}

void keep_two() {
  const Model m = model();
  const auto scaffold = std::make_shared<Scaffold>(ScaffoldOptions{.saver = Saver({.max_to_keep = 2})});
  auto session = MonitoredTrainingSession({.checkpoint_dir = "ck",
                                           .scaffold = scaffold,
                                           .hooks = {StopAtStepHook({.last_step = 4})},
                                           .save_checkpoint_steps = 1,
                                           .save_summaries_steps = std::nullopt,
                                           .save_summaries_secs = std::nullopt,
                                           .log_step_count_steps = std::nullopt});
  loop(session, {m.train});
}

void listeners() {
  const Model m = model();
  const CheckpointSaverHook saver(
      {.checkpoint_dir = "ck", .save_steps = 2, .saver = Saver(), .listeners = {std::make_shared<Listener>()}});
  MonitoredSession session({.hooks = {saver, Tracer("A")}});
  loop(session, {m.train});
}

void nan_loss(bool fail) {
  get_or_create_global_step();
  const Output x = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar(), {.name = "x"});
  const Output loss = tf::log(x);
  MonitoredSession session({.hooks = {Tracer("A"), NanTensorHook(loss, {.fail_on_nan_loss = fail})}});
  for (const float value : {1.f, 2.f, -1.f, 3.f}) {
    if (session.should_stop()) break;
    session.run(loss, {{x, tf::Tensor(value)}});
  }
}

void lost_machine(const std::string& where) {
  const Model m = model();
  const Tracer fails("F", where, where.ends_with("run") ? 2 : 1, [] { throw tf::errors::AbortedError("preempted"); });
  auto session = MonitoredTrainingSession({.checkpoint_dir = "ck",
                                           .hooks = {Tracer("A"), fails, StopAtStepHook({.last_step = 3})},
                                           .save_checkpoint_steps = 1,
                                           .save_summaries_steps = std::nullopt,
                                           .save_summaries_secs = std::nullopt,
                                           .log_step_count_steps = std::nullopt});
  loop(session, {m.train});
}

void hook_raises(const std::string& where) {
  const Model m = model();
  const Tracer fails("F", where, 1, [] { throw tf::errors::DataLossError("broken"); });
  MonitoredSession session({.hooks = {Tracer("A"), fails, Tracer("B"), StopAtStepHook({.last_step = 2})}});
  loop(session, {m.train});
}

void end_of_data() {
  get_or_create_global_step();
  const Output following = tf::data::Dataset::range(2).make_one_shot_iterator().get_next()[0];
  try {
    MonitoredSession session({.hooks = {Tracer("A")}});
    while (!session.should_stop()) session.run(following);
  } catch (const tf::errors::OutOfRangeError&) {  // docs/compatibility.md
  }
  note("after the session");
}

void step_function() {
  const Model m = model();
  MonitoredSession session({.hooks = {Tracer("A")}});
  session.run_step_fn([&](MonitoredSession::StepContext& context) {
    context.session().run(m.loss);
    context.run_with_hooks({m.train});
  });
  note("should_stop=" + truth(session.should_stop()));
  session.run_step_fn([](MonitoredSession::StepContext& context) { context.request_stop(); });
}

void fetches_and_feeds() {
  get_or_create_global_step();
  const auto scalar = tf::PartialTensorShape::scalar();
  const Output x = tf::placeholder_with_default(1.0f, scalar, {.name = "x"});
  const Output y = tf::multiply(x, 2.0f, {.name = "y"});
  const Output z = tf::placeholder_with_default(3.0f, scalar, {.name = "z"});
  const auto final_ops = std::make_shared<FinalOpsHook>(
      std::vector<tf::Fetch>{y}, FinalOpsOptions{.final_ops_feed_dict = {{x, tf::Tensor(10.0f)}}});
  {
    const FeedFnHook feeds([z] { return tf::FeedDict{{z, tf::Tensor(5.0f)}}; });
    MonitoredSession session({.hooks = {Fetcher(y, x), feeds, GlobalStepWaiterHook(0), final_ops}});
    note("value " + number(session.run(y).scalar<float>()));
    try {
      session.run(y, {{x, tf::Tensor(2.0f)}});
    } catch (const tf::errors::FailedPreconditionError&) {
      note("both feed x");
    }
  }
  note("final " + number(final_ops->final_ops_values()[0].scalar<float>()));
}

void singular() {
  const Model m = model();
  const Tracer fails("F", "after_run", 2, [] { throw tf::errors::UnavailableError("gone"); });
  SingularMonitoredSession session({.hooks = {Tracer("A"), fails}, .checkpoint_dir = "ck"});
  loop(session, {m.train});
}

void scaffolded() {
  const tf::Variable w = float_variable("w", 1.0f);
  const tf::Variable local = tf::get_variable(
      "local", tf::GetVariableOptions{.initializer = tf::Tensor(3.0f),
                                      .collections = std::vector<std::string>{tf::GraphKeys::LOCAL_VARIABLES}});
  const Output seed = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar(), {.name = "seed"});
  get_or_create_global_step();
  tf::Operation init = tf::group({tf::global_variables_initializer()}, {.name = "init_all"});
  {
    const tf::control_dependencies after({init});
    init = w.assign(seed, {.name = "start_at_seed"}).op();
  }
  const auto scaffold = std::make_shared<Scaffold>(ScaffoldOptions{
      .init_op = init, .init_feed_dict = {{seed, tf::Tensor(4.0f)}}, .init_fn = [](Scaffold&, tf::Session&) {
        note("init_fn");
      }});
  {
    MonitoredSession session(
        {.session_creator = std::make_shared<ChiefSessionCreator>(ChiefSessionCreatorOptions{.scaffold = scaffold}),
         .hooks = {Tracer("A")}});
    const std::vector<tf::Tensor> values = session.run({w, local});
    note("w " + number(values[0].scalar<float>()) + " local " + number(values[1].scalar<float>()));
  }
  note("pieces " +
       list({scaffold->init_op().name(), scaffold->ready_op().name(), scaffold->ready_for_local_init_op().name(),
             scaffold->local_init_op().name(), "save/restore_all"}));
}

void worker() {
  get_or_create_global_step();
  const Output ready =
      tf::constant(tf::Tensor(tf::TensorShape({0}), std::vector<std::string>{}), {.name = "nothing_missing"});
  const Output one = tf::constant(1.0f, {.name = "one"});
  const auto scaffold =
      std::make_shared<Scaffold>(ScaffoldOptions{.ready_op = ready, .ready_for_local_init_op = ready});
  auto session = MonitoredTrainingSession({.is_chief = false,
                                           .checkpoint_dir = "ck",
                                           .scaffold = scaffold,
                                           .hooks = {Tracer("A")},
                                           .chief_only_hooks = {Tracer("C")}});
  session.run(one);
}

void supervised() {
  const Model m = model();
  Supervisor supervisor({.logdir = "ld", .summary_op = std::nullopt, .save_summaries_secs = 0, .save_model_secs = 0});
  {
    auto managed = supervisor.managed_session();
    tf::Session& session = managed.session();
    for (int i = 0; i < 3 && !supervisor.should_stop(); ++i) session.run(m.train);
    Saver(supervisor.saver())
        .save(session, supervisor.save_path(), {.global_step = global_step(session, supervisor.global_step())});
    supervisor.request_stop();
  }
  note("should_stop=" + truth(supervisor.should_stop()));
}

void supervised_resume() {
  for (const int steps : {2, 1}) {
    const auto as_default = tf::Graph().as_default();
    const Model m = model();
    Supervisor supervisor({.logdir = "ld", .save_summaries_secs = 0, .save_model_secs = 0, .init_fn = [](tf::Session&) {
                             note("init_fn");
                           }});
    supervisor.managed_session([&](tf::Session& session) {
      for (int i = 0; i < steps; ++i) session.run(m.train);
      supervisor.summary_computed(session, session.run(supervisor.summary_op()));
      Saver(supervisor.saver())
          .save(session, supervisor.save_path(), {.global_step = global_step(session, supervisor.global_step())});
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // TensorFlow names event files by the second
  }
}

void queue_runners() {
  get_or_create_global_step();
  const tf::FIFOQueue queue(10, {tf::int64}, {.shapes = {tf::PartialTensorShape::scalar()}});
  const QueueRunner runner(queue,
                           {queue.enqueue({tf::data::Dataset::range(3).make_one_shot_iterator().get_next()[0]})});
  add_queue_runner(runner);
  const Output value = queue.dequeue()[0];
  try {
    MonitoredSession session({.hooks = {Tracer("A")}});
    while (!session.should_stop()) note("value " + std::to_string(session.run(value).scalar<int64_t>()));
  } catch (const tf::errors::OutOfRangeError&) {  // docs/compatibility.md
  }
  note("runner ['" + runner.name() + "', " + list({runner.enqueue_ops()[0].name()}) + ", '" + runner.close_op().name() +
       "', '" + runner.cancel_op().name() + "']");
}

void profiled() {
  const Model m = model();
  MonitoredSession session(
      {.hooks = {ProfilerHook({.save_steps = 2, .output_dir = "profile"}), StopAtStepHook({.last_step = 5})}});
  loop(session, {m.train});
}

void coordinated() {
  Coordinator coord;
  note("stopped in time " + truth(coord.wait_for_stop(std::chrono::milliseconds(10))));
  const std::vector<Raise> errors = {[] { throw tf::errors::DataLossError("lost"); },
                                     [] { throw tf::errors::OutOfRangeError("the end"); }};
  for (const Raise& error : errors) {
    coord.stop_on_exception(error);
    note("should_stop=" + truth(coord.should_stop()));
    try {
      coord.join();
      note("joined");
    } catch (const tf::errors::DataLossError& raised) {
      note(std::string("join raised ") + raised.what());
    }
    coord.clear_stop();
  }
  int counted = 0;
  LooperThread::loop(coord, std::nullopt, [&] {
    if (++counted == 3) coord.request_stop();
  });
  coord.join();
  note("counted " + std::to_string(counted));
  coord.clear_stop();
  std::atomic<bool> release = false;
  Thread slow("slow", [&release] { release.wait(false); });
  slow.start();
  coord.request_stop();
  try {
    coord.join({slow}, {.stop_grace_period_secs = 0.05});
  } catch (const tf::errors::FailedPreconditionError& raised) {
    note(raised.what());
  }
  release = true;
  release.notify_all();
  slow.join();
}

void supervised_errors() {
  const Model m = model();
  Supervisor supervisor;
  const std::vector<Raise> errors = {[] { throw tf::errors::OutOfRangeError("the end"); },
                                     [] { throw tf::errors::DataLossError("lost"); }};
  for (const Raise& error : errors) {
    try {
      supervisor.managed_session([&](tf::Session& session) {
        session.run(m.train);
        error();
      });
    } catch (const tf::errors::DataLossError& raised) {
      note(std::string("left by ") + raised.what());
    }
    note("should_stop=" + truth(supervisor.should_stop()));
  }
}

// --- what is refused

std::string class_of(const std::exception& error) {
  if (dynamic_cast<const NanLossDuringTrainingError*>(&error) != nullptr) return "NanLossDuringTrainingError";
  const auto* op_error = dynamic_cast<const tf::errors::OpError*>(&error);
  if (op_error == nullptr) return "another exception";
  switch (op_error->code()) {
    case tf::errors::Code::kInvalidArgument: return "InvalidArgumentError";
    case tf::errors::Code::kNotFound: return "NotFoundError";
    case tf::errors::Code::kFailedPrecondition: return "FailedPreconditionError";
    case tf::errors::Code::kDataLoss: return "DataLossError";
    case tf::errors::Code::kUnavailable: return "UnavailableError";
    default: return "another error: " + std::string(error.what());
  }
}

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
  refused("no global step", {"global step"},
          [] { MonitoredSession(MonitoredSession::Options{.hooks = {StopAtStepHook({.num_steps = 1})}}); });
}

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

std::vector<std::pair<std::string, std::function<void()>>> scenarios() {
  std::vector<std::pair<std::string, std::function<void()>>> all = {{"training", training},
                                                                    {"defaults", defaults},
                                                                    {"resume", resume},
                                                                    {"keep_two", keep_two},
                                                                    {"listeners", listeners},
                                                                    {"nan_stops", [] { nan_loss(false); }},
                                                                    {"nan_raises", [] { nan_loss(true); }},
                                                                    {"end_of_data", end_of_data},
                                                                    {"step_function", step_function},
                                                                    {"fetches_and_feeds", fetches_and_feeds},
                                                                    {"singular", singular},
                                                                    {"scaffolded", scaffolded},
                                                                    {"worker", worker},
                                                                    {"supervised", supervised},
                                                                    {"supervised_resume", supervised_resume},
                                                                    {"queue_runners", queue_runners},
                                                                    {"profiled", profiled},
                                                                    {"coordinated", coordinated},
                                                                    {"supervised_errors", supervised_errors},
                                                                    {"bad_input", bad_input}};
  for (const std::string where : {"after_create_session", "before_run", "after_run"})
    all.emplace_back("lost_machine_in_" + where, [where] { lost_machine(where); });
  for (const std::string where : {"begin", "after_create_session", "before_run", "after_run", "end"})
    all.emplace_back("hook_raises_in_" + where, [where] { hook_raises(where); });
  return all;
}

// --- records

std::string event_kind(const tensorflow::Event& event) {
  switch (event.what_case()) {
    case tensorflow::Event::kSummary: {
      std::string tags;
      for (const auto& value : event.summary().value()) tags += (tags.empty() ? "" : ",") + value.tag();
      return "summary:" + tags;
    }
    case tensorflow::Event::kSessionLog: return "session_log:" + std::to_string(event.session_log().status());
    case tensorflow::Event::kGraphDef: return "graph_def";
    case tensorflow::Event::kMetaGraphDef: return "meta_graph_def";
    case tensorflow::Event::kFileVersion: return "file_version";
    case tensorflow::Event::kTaggedRunMetadata: return "tagged_run_metadata";
    default: return "another";
  }
}

void add_events() {
  std::set<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator("."))
    if (entry.path().filename().string().find("tfevents") != std::string::npos) paths.insert(entry.path());
  for (const std::string& path : paths) {
    const auto reader = tf::RecordReader::open(path).value();
    const std::string folder = fs::path(path).parent_path().lexically_relative(".");
    std::string bytes;
    while (reader->read(bytes).value()) {
      tensorflow::Event event;
      event.ParseFromString(bytes);
      lines.push_back("event " + folder + " " + event_kind(event) + " " + std::to_string(event.step()));
    }
  }
}

std::vector<std::string> record(const std::function<void()>& scenario) {
  lines.clear();
  files.clear();
  const fs::path back = fs::current_path();
  std::string folder = (fs::temp_directory_path() / "supervision_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  fs::current_path(folder);
  try {
    const auto as_default = tf::Graph().as_default();
    scenario();
  } catch (const std::exception& error) {
    note("left by " + class_of(error));
  }
  note("end");
  tf::summary::FileWriterCache::clear();
  add_events();
  fs::current_path(back);
  fs::remove_all(folder);
  std::vector<std::string> normalized;
  for (const std::string& line : lines) {
    const std::string timeless = std::regex_replace(line, std::regex(R"(\d+\.\d+ sec\))"), "T sec)");
    normalized.push_back(
        std::regex_replace(timeless, std::regex(R"(global_step/sec: [\d.e+-]+)"), "global_step/sec: R"));
  }
  return normalized;
}

}  // namespace

int main(int argc, char** argv) {
  tf::set_log_sink([](tf::LogLevel, std::string_view line) {
    if (line.find("has not been increased") == std::string_view::npos) note("log " + std::string(line));
  });
  nlohmann::ordered_json records;
  for (const auto& [name, scenario] : scenarios())
    if (argc < 2 || std::find(argv + 1, argv + argc, name) != argv + argc) records[name] = record(scenario);
  std::cout << nlohmann::ordered_json{{"version", "millrace"}, {"records", records}}.dump(1) << "\n";
}
