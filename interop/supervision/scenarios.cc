#include "supervision/scenarios.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "millrace/millrace.h"
#include "supervision/record.h"
#include "supervision/shared.h"

namespace tf = millrace;
using namespace millrace::train;  // NOLINT: as T in the Python program
using tf::Output;

namespace millrace::records {
namespace {

std::string name_of(const tf::Fetch& fetch) {
  if (fetch.output()) return fetch.output().name();
  return fetch.operation() ? fetch.operation().name() : fetch.name();
}

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

void loop(MonitoredSession& session, const std::vector<tf::Fetch>& fetches) {
  while (!session.should_stop()) session.run(fetches);
}

// All ops, as they were made; hooks read the global step in another way.
void note_graph() {
  std::vector<std::string> names;
  for (const tf::Operation& op : tf::get_default_graph().get_operations()) {
    const auto is_read = [&](const char* prefix) { return op.name().starts_with(prefix); };
    if (!std::ranges::any_of(std::array{"global_step/cond", "global_step/add", "global_step/initial"}, is_read))
      names.push_back(op.name());
  }
  note("graph " + list(names));
}

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
  note_graph();
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
  note_graph();
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
  note_graph();
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

}  // namespace

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

}  // namespace millrace::records
