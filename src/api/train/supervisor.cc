#include "millrace/train/supervisor.h"

#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/meta_graph.h"
#include "api/op_builder.h"
#include "api/train/hook_support.h"
#include "base/log.h"
#include "io/file_system.h"
#include "millrace/summary.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace::train {
namespace {

// The first item of a collection, else what `make` makes, which is then collected.
template <class T, class Make> T first_or_made(const char* key, Make make) {
  const std::vector<T> collected = get_collection<T>(key);
  if (collected.size() > 1) log_info("Found ", collected.size(), " ", key, " operations. Returning the first one.");
  if (!collected.empty()) return collected[0];
  const T made = make();
  if (made) add_to_collection(key, made);
  return made;
}

template <class T, class Make> T chosen(const OrDefault<T>& argument, const char* key, Make make) {
  if (!argument.is_default()) return argument.value().value_or(T());
  return first_or_made<T>(key, make);
}

Operation default_local_init_op() {
  const Operation variables = local_variables_initializer();
  return group({variables, tables_initializer()});
}

Saver default_saver() {
  const std::vector<CollectionItem> collected = get_collection(GraphKeys::SAVERS);
  if (collected.size() > 1)
    log_info("Found ", collected.size(), " ", GraphKeys::SAVERS, " operations. Returning the first one.");
  if (!collected.empty()) return saver_in(collected[0]);
  if (global_variables().empty()) return Saver(nullptr);
  const Saver saver;
  add_to_collection(GraphKeys::SAVERS, saver);
  return saver;
}

// A variable "global_step" of an integer type.
Variable global_step_by_name() {
  for (const Variable& v : global_variables()) {
    if (v.name() != "global_step:0") continue;
    const DataType dtype = base_dtype(v.dtype());
    if (dtype == int32 || dtype == int64) return v;
    log_warning("Found 'global_step' is not an int type: ", dtype_name(dtype));
  }
  return {};
}

// Steps per second, as a summary and, the first ten times, as a log line.
class StepCounter final : public LooperThread {
 public:
  StepCounter(Coordinator& coord, double secs, Session session, Variable step, summary::FileWriter writer)
      : LooperThread(coord, secs, {}, "SVStepCounterThread"),
        session_(std::move(session)),
        step_(std::move(step)),
        writer_(std::move(writer)),
        tag_(step_.op().name() + "/sec") {}

 protected:
  void start_loop() override {
    last_time_ = std::chrono::steady_clock::now();
    last_step_ = train::global_step(session_, step_);
  }
  void run_loop() override {
    const int64_t step = train::global_step(session_, step_);
    const auto now = std::chrono::steady_clock::now();
    const double elapsed = std::chrono::duration<double>(now - last_time_).count();
    const auto added = static_cast<double>(step - last_step_);
    const double per_second = elapsed > 0 ? added / elapsed : std::numeric_limits<double>::infinity();
    last_step_ = step;
    last_time_ = now;
    if (writer_) writer_.add_scalar(tag_, static_cast<float>(per_second), step);
    if (logged_++ < 10) log_info(absl::StrFormat("%s: %g", tag_, per_second));
  }

 private:
  Session session_;
  Variable step_;
  summary::FileWriter writer_;
  std::string tag_;
  std::chrono::steady_clock::time_point last_time_;
  int64_t last_step_ = 0;
  int logged_ = 0;
};

void add_session_log(summary::FileWriter writer, tensorflow::SessionLog::SessionStatus status,
                     std::optional<int64_t> step, const std::string& checkpoint_path = {}) {
  tensorflow::SessionLog log;
  log.set_status(status);
  if (!checkpoint_path.empty()) log.set_checkpoint_path(checkpoint_path);
  writer.add_session_log(log, step);
}

}  // namespace

Supervisor::Supervisor(const SupervisorOptions& options)
    : options_(options), graph_(options.graph ? *options.graph : get_default_graph()) {
  {
    const DefaultGraph as_default = graph_.as_default();
    choose_operations();
  }
  if (is_chief()) {
    if (!options_.logdir.empty()) save_path_ = join_path(options_.logdir, options_.checkpoint_basename);
    if (!options_.summary_writer.is_default()) {
      summary_writer_ = options_.summary_writer.value().value_or(summary::FileWriter());
    } else if (!options_.logdir.empty()) {
      summary_writer_ = summary::FileWriter(options_.logdir);
    }
  }
  if (!options_.session_manager) {
    options_.session_manager = std::make_shared<SessionManager>(
        SessionManagerOptions{.local_init_op = local_init_op_,
                              .ready_op = ready_op_,
                              .ready_for_local_init_op = ready_for_local_init_op_,
                              .graph = graph_,
                              .recovery_wait_secs = options_.recovery_wait_secs,
                              .local_init_run_options = options_.local_init_run_options});
  }
  verify_setup();
  graph_.finalize();
}

// In TF1's order, which gives the operations their names.
void Supervisor::choose_operations() {
  ready_op_ = chosen(options_.ready_op, GraphKeys::READY_OP, [] { return report_uninitialized_variables(); });
  ready_for_local_init_op_ =
      chosen(options_.ready_for_local_init_op, GraphKeys::READY_FOR_LOCAL_INIT_OP, [] { return Output(); });
  init_op_ = chosen(options_.init_op, GraphKeys::INIT_OP, [] { return global_variables_initializer(); });
  local_init_op_ = chosen(options_.local_init_op, GraphKeys::LOCAL_INIT_OP, default_local_init_op);
  saver_ = options_.saver.is_default() ? default_saver() : options_.saver.value().value_or(Saver(nullptr));
  summary_op_ = chosen(options_.summary_op, GraphKeys::SUMMARY_OP, [] { return summary::merge_all(); });
  global_step_ = chosen(options_.global_step, GraphKeys::GLOBAL_STEP, global_step_by_name);
}

void Supervisor::verify_setup() const {
  if (is_chief()) return;
  for (const Operation& op : graph_.get_operations()) {
    if ((op.type() == "Variable" || op.type() == "VariableV2") && op.device().empty()) {
      raise(invalid_argument("When using replicas, all Variables must have their device set: ", op.name()));
    }
  }
}

void Supervisor::write_graph() {
  if (!options_.logdir.empty()) write_graph_text(graph_, options_.logdir);
  if (!summary_writer_ || graph_added_to_summary_) return;
  tensorflow::MetaGraphDef meta;
  to_meta_graph(graph_, {}, &meta);
  if (saver_) *meta.mutable_saver_def() = saver_.as_saver_def();
  summary_writer_.add_graph(graph_);
  summary_writer_.add_meta_graph(meta);
  graph_added_to_summary_ = true;
}

// --- sessions

Session Supervisor::prepare_or_wait_for_session(const PrepareOrWaitOptions& o) {
  coord_.clear_stop();
  if (summary_writer_) summary_writer_.reopen();
  if (!is_chief()) {
    Session session =
        session_manager().wait_for_session(o.master, {.config = o.config, .max_wait_secs = o.max_wait_secs});
    if (!o.start_standard_services) return session;
    log_info("Starting queue runners.");
    start_queue_runners(session);
    return session;
  }
  Session session = session_manager().prepare_session(o.master, {.init_op = init_op_,
                                                                 .saver = saver_,
                                                                 .checkpoint_dir = options_.logdir,
                                                                 .wait_for_checkpoint = o.wait_for_checkpoint,
                                                                 .max_wait_secs = o.max_wait_secs,
                                                                 .config = o.config,
                                                                 .init_feed_dict = options_.init_feed_dict,
                                                                 .init_fn = options_.init_fn});
  write_graph();
  if (!o.start_standard_services) return session;
  log_info("Starting standard services.");
  start_standard_services(session);
  log_info("Starting queue runners.");
  start_queue_runners(session);
  return session;
}

Supervisor::ManagedSession Supervisor::managed_session(const ManagedSessionOptions& o) {
  try {
    return ManagedSession(
        this,
        prepare_or_wait_for_session(
            {.master = o.master, .config = o.config, .start_standard_services = o.start_standard_services}),
        o.close_summary_writer);
  } catch (...) {
    request_stop(std::current_exception());
    stop({.close_summary_writer = o.close_summary_writer});  // throws it again
    throw;
  }
}

void Supervisor::managed_session(const std::function<void(Session&)>& body, const ManagedSessionOptions& o) {
  ManagedSession managed = managed_session(o);
  stop_on_exception([&] { body(managed.session()); });
}

Supervisor::ManagedSession::ManagedSession(Supervisor* owner, Session session, bool close_summary_writer)
    : owner_(owner), session_(std::move(session)), close_summary_writer_(close_summary_writer) {}

Supervisor::ManagedSession::ManagedSession(ManagedSession&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      session_(other.session_),
      close_summary_writer_(other.close_summary_writer_) {}

Supervisor::ManagedSession::~ManagedSession() noexcept(false) {
  if (owner_ == nullptr) return;
  const bool unwinding = std::uncaught_exceptions() > exceptions_at_start_;
  try {
    owner_->stop({.close_summary_writer = close_summary_writer_});
  } catch (const std::exception& e) {
    session_.close();
    if (!unwinding) throw;
    log_error("while stopping the supervisor: ", e.what());
    return;
  }
  session_.close();
}

// --- services

std::vector<Thread> Supervisor::start_standard_services(Session& session) {
  if (!is_chief()) {
    raise(failed_precondition(
        "Only chief supervisor can start standard services. Because only chief supervisors can write events."));
  }
  if (options_.logdir.empty()) {
    log_warning("Standard services need a 'logdir' passed to the SessionManager");
    return {};
  }
  if (global_step_ && summary_writer_) {
    add_session_log(summary_writer_, tensorflow::SessionLog::START, train::global_step(session, global_step_));
  }
  std::vector<std::shared_ptr<LooperThread>> loopers;
  const auto add = [&](const char* name, double secs, std::function<void()> target) {
    loopers.push_back(std::make_shared<LooperThread>(coord_, secs, std::move(target), name));
  };
  if (save_summaries_secs() > 0 && summary_writer_) {
    if (summary_op_) add("SVSummaryThread", save_summaries_secs(), [this, session] { save_summaries(session); });
    if (global_step_) {
      loopers.push_back(
          std::make_shared<StepCounter>(coord_, save_summaries_secs(), session, global_step_, summary_writer_));
    }
  }
  if (saver_ && save_model_secs() > 0)
    add("SVTimerCheckpointThread", save_model_secs(), [this, session] { save_model(session); });
  std::vector<Thread> threads;
  for (const auto& looper : loopers) {
    looper->start();
    threads.push_back(looper->thread());
  }
  return threads;
}

void Supervisor::save_summaries(const Session& session) {
  std::vector<Fetch> fetches = {summary_op_};
  if (global_step_) fetches.emplace_back(Output(global_step_));
  const std::vector<Tensor> values = session.run(fetches);
  std::optional<int64_t> step;
  if (values.size() > 1) step = step_of(values[1]);
  log_info("Recording summary at step ", step ? str_cat(*step) : "None", ".");
  summary_writer_.add_summary(values[0], step);
}

void Supervisor::save_model(Session session) {
  log_info("Saving checkpoint to path ", save_path_);
  std::optional<int64_t> step;
  if (global_step_) step = train::global_step(session, global_step_);
  Saver(saver_).save(session, save_path_, {.global_step = step});
  if (summary_writer_ && step) {
    add_session_log(summary_writer_, tensorflow::SessionLog::CHECKPOINT, step, save_path_);
  }
}

std::vector<Thread> Supervisor::start_queue_runners(const Session& session) {
  if (graph_.get_collection(GraphKeys::QUEUE_RUNNERS).empty()) return {};
  return train::start_queue_runners(session, &coord_);
}

std::vector<Thread> Supervisor::start_queue_runners(const Session& session,
                                                    const std::vector<QueueRunner>& queue_runners) {
  std::vector<Thread> threads;
  for (const QueueRunner& runner : queue_runners) {
    for (Thread& thread : runner.create_threads(session, &coord_, true)) threads.push_back(std::move(thread));
  }
  return threads;
}

std::shared_ptr<LooperThread> Supervisor::loop(std::optional<double> timer_interval_secs,
                                               std::function<void()> target) {
  return LooperThread::loop(coord_, timer_interval_secs, std::move(target));
}

void Supervisor::stop(const StopOptions& o) {
  coord_.request_stop();
  const auto close_writer = [&] {
    if (!o.close_summary_writer || !summary_writer_) return;
    add_session_log(summary_writer_, tensorflow::SessionLog::STOP, std::nullopt);
    summary_writer_.close();
    graph_added_to_summary_ = false;
  };
  try {
    coord_.join(o.threads,
                {.stop_grace_period_secs = options_.stop_grace_secs, .ignore_live_threads = o.ignore_live_threads});
  } catch (...) {
    close_writer();
    throw;
  }
  close_writer();
}

void Supervisor::summary_computed(Session& session, const Tensor& summary, std::optional<int64_t> global_step) {
  if (!summary_writer_) raise(failed_precondition("Writing a summary requires a summary writer."));
  if (!global_step && global_step_) global_step = train::global_step(session, global_step_);
  summary_writer_.add_summary(summary, global_step);
}

}  // namespace millrace::train
