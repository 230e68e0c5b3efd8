#include "millrace/train/monitored_session.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "api/train/hook_support.h"
#include "base/errors.h"
#include "base/log.h"
#include "graph/graph.h"
#include "millrace/train/queue_runner.h"

namespace millrace::train {
namespace {

struct RunRequest {
  SessionRunArgs args;
  RunMetadata* metadata = nullptr;
};

// What a lost machine looks like: worth a new session.
bool is_preemption(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const errors::AbortedError&) {
    return true;
  } catch (const errors::UnavailableError&) {
    return true;
  } catch (...) {
    return false;
  }
}

constexpr const char* kNewSession =
    " This may be due to a preemption in a connected worker or parameter server. The current session will be closed "
    "and a new session will be created.";
constexpr const char* kAdvice =
    " This error may also occur due to a gRPC failure caused by high memory or network bandwidth usage in the "
    "parameter servers. If this error occurs repeatedly, try increasing the number of parameter servers assigned to "
    "the job. Error: ";

// Leaves a step function that asked to stop.
struct StopIteration {};

// Threads that did not stop may look at their coordinator for as long as they live.
void abandon(std::unique_ptr<Coordinator> coord) {
  static std::mutex mutex;
  static auto* const abandoned = new std::vector<std::unique_ptr<Coordinator>>;
  const std::lock_guard lock(mutex);
  abandoned->push_back(std::move(coord));
}

}  // namespace

struct MonitoredSession::Impl {
  Impl(const Options& o, bool recover)
      : options(o), should_recover(recover), graph(get_default_graph()), graph_was_finalized(graph.finalized()) {
    if (!options.session_creator) options.session_creator = std::make_shared<ChiefSessionCreator>();
    for (Hook& hook : options.hooks) hook->begin();
    create_session();
  }

  // The session, threads and hooks of one incarnation. After a lost machine this happens again.
  void create_session() {
    while (true) {
      try {
        const DefaultGraph as_default = graph.as_default();
        session.emplace(options.session_creator->create_session());
        coord = std::make_unique<Coordinator>(CoordinatorOptions{.clean_stop_exception_types = {}});
        if (!get_collection(GraphKeys::QUEUE_RUNNERS).empty()) start_queue_runners(*session, coord.get());
        for (Hook& hook : options.hooks) hook->after_create_session(*session, *coord);
        return;
      } catch (...) {
        const std::exception_ptr error = std::current_exception();
        try {
          close_session();
        } catch (...) {  // the first error is the one to tell of
        }
        if (!should_recover || !is_preemption(error)) std::rethrow_exception(error);
        log_info(
            "An error was raised while a session was being created. This may be due to a preemption of a connected "
            "worker or parameter server. A new session will be created.",
            kAdvice, message_of(error));
      }
    }
  }

  // Stops the threads and closes the session. Throws what stopped the threads, unless that is a lost machine and what
  // follows is a new session anyway.
  void close_session() {
    std::exception_ptr error;
    if (coord) {
      coord->request_stop();
      try {
        coord->join({}, {.stop_grace_period_secs = options.stop_grace_period_secs, .ignore_live_threads = true});
      } catch (...) {
        error = std::current_exception();
      }
      if (!coord->live_threads().empty()) abandon(std::move(coord));
    }
    if (session) session->close();
    session.reset();
    coord.reset();
    if (!error) return;
    if (!should_recover || !is_preemption(error)) std::rethrow_exception(error);
    log_error(
        "An error occurred when attempting to close the session. This may be due to a preemption in a connected worker "
        "or parameter server. Error: ",
        message_of(error));
  }

  bool should_stop() {
    if (stop || !session) return true;
    try {
      const bool stopped = coord->should_stop();  // asked first: a stop that comes in between has its error told
      coord->raise_requested_exception();
      return stopped;
    } catch (...) {
      const std::exception_ptr error = std::current_exception();
      if (!should_recover) throw;
      if (!is_preemption(error)) return true;
      log_info("An error was raised while considering whether the session is complete.", kNewSession, kAdvice,
               message_of(error));
    }
    close_session();
    create_session();
    return false;
  }

  // One run with hooks, on the session there is.
  std::vector<Tensor> run_hooked(const RunRequest& request) {
    if (stop) raise(failed_precondition("Run called even after should_stop requested."));
    SessionRunContext context(request.args, *session);
    SessionRunArgs all = request.args;
    struct Share {
      size_t begin, count;
    };
    std::vector<Share> shares;
    for (Hook& hook : options.hooks) {
      const std::optional<SessionRunArgs> added = hook->before_run(context);
      shares.push_back({all.fetches.size(), added ? added->fetches.size() : 0});
      if (added) merge(*added, request.args.feed_dict.items().size(), &all);
    }
    const RunOptions run_options = all.options.value_or(RunOptions());
    RunMetadata own_metadata;
    RunMetadata* metadata = request.metadata ? request.metadata : &own_metadata;
    const std::vector<Tensor> results = session->run(all.fetches, all.feed_dict, run_options, metadata);
    for (size_t i = 0; i < options.hooks.size(); ++i) {
      const auto first = results.begin() + static_cast<std::ptrdiff_t>(shares[i].begin);
      options.hooks[i]->after_run(
          context, {{first, first + static_cast<std::ptrdiff_t>(shares[i].count)}, run_options, *metadata});
    }
    stop = stop || context.stop_requested();
    return {results.begin(), results.begin() + static_cast<std::ptrdiff_t>(request.args.fetches.size())};
  }

  // Feeds of the caller and of hooks must not meet.
  static void merge(const SessionRunArgs& added, size_t callers_feeds, SessionRunArgs* all) {
    all->fetches.insert(all->fetches.end(), added.fetches.begin(), added.fetches.end());
    for (const FeedDict::Item& feed : added.feed_dict.items()) {
      const std::string name = key_name(feed.key);
      const auto& before = all->feed_dict.items();
      const auto same = std::ranges::find_if(before, [&](const FeedDict::Item& f) { return key_name(f.key) == name; });
      if (same != before.end()) {
        const bool callers = static_cast<size_t>(same - before.begin()) < callers_feeds;
        raise(failed_precondition(
            callers ? "Same tensor is fed by a SessionRunHook and user." : "Same tensor is fed by two hooks.",
            " Conflict(s): [", name, "]"));
      }
      all->feed_dict.add(feed.key, feed.value);
    }
    if (added.options) all->options = merge_options(all->options.value_or(RunOptions()), *added.options);
  }

  static std::string key_name(const Fetch& key) { return key.output() ? key.output().name() : key.name(); }

  static RunOptions merge_options(RunOptions a, const RunOptions& b) {
    a.trace_level = std::max(a.trace_level, b.trace_level);
    a.timeout_in_ms = std::max(a.timeout_in_ms, b.timeout_in_ms);
    a.output_partition_graphs = a.output_partition_graphs || b.output_partition_graphs;
    return a;
  }

  // Runs `step`, and again on a new session for as long as machines are lost.
  template <class Step> auto recovering(Step step) {
    if (closed) raise(failed_precondition("Session is already closed."));
    clean_end = false;
    while (true) {
      if (!session) create_session();  // the last attempt to make one failed
      std::exception_ptr error;
      try {
        return step();
      } catch (const errors::OutOfRangeError&) {
        stop = clean_end = true;
        throw;
      } catch (...) {
        error = lost_machine(std::current_exception());
      }
      log_info("An error was raised.", kNewSession, kAdvice, message_of(error));
      close_session();
    }
  }

  // The error that says that a machine was lost: this one, or the one that stopped a thread meanwhile. Throws this one
  // where there is no such.
  std::exception_ptr lost_machine(std::exception_ptr error) const {
    if (should_recover && !is_preemption(error) && coord) {
      try {
        coord->raise_requested_exception();
      } catch (...) {
        if (is_preemption(std::current_exception())) error = std::current_exception();
      }
    }
    if (!should_recover || !is_preemption(error)) std::rethrow_exception(error);
    return error;
  }

  void close(bool with_end) {
    if (closed) return;
    closed = true;
    std::exception_ptr error;
    const auto attempt = [&](const auto& body) {
      try {
        body();
      } catch (...) {
        error = std::current_exception();
      }
    };
    if (with_end && session) {
      attempt([&] {
        for (Hook& hook : options.hooks) hook->end(*session);
      });
    }
    attempt([&] { close_session(); });
    if (!graph_was_finalized) graph.impl().unfinalize();
    if (error) std::rethrow_exception(error);
  }

  Options options;
  bool should_recover;
  Graph graph;
  bool graph_was_finalized;
  std::optional<Session> session;  // none while being made anew, and once closed
  std::unique_ptr<Coordinator> coord;
  bool stop = false;       // a hook asked, or the data has ended
  bool clean_end = false;  // the data has ended
  bool closed = false;
  int exceptions_at_start = std::uncaught_exceptions();
};

MonitoredSession::MonitoredSession(const Options& options) : MonitoredSession(options, true) {}
MonitoredSession::MonitoredSession(const Options& options, bool should_recover)
    : impl_(std::make_unique<Impl>(options, should_recover)) {}
MonitoredSession::MonitoredSession(MonitoredSession&&) noexcept = default;

MonitoredSession::~MonitoredSession() noexcept(false) {
  if (!impl_ || impl_->closed) return;
  const bool unwinding = std::uncaught_exceptions() > impl_->exceptions_at_start;
  if (!unwinding) {
    impl_->close(true);
    return;
  }
  // OutOfRange on its way out is the clean end of the data; anything else is an error, and end hooks are not called
  // then.
  try {
    impl_->close(impl_->clean_end);
  } catch (const std::exception& e) {
    log_error("while closing the monitored session: ", e.what());
  }
}

bool MonitoredSession::should_stop() const { return impl_->should_stop(); }

bool MonitoredSession::run_operation(const Operation& target, const FeedDict& feeds) {
  try {
    run(std::vector<Fetch>{target}, feeds);
    return true;
  } catch (const errors::OutOfRangeError&) {
    return false;
  }
}

std::vector<Tensor> MonitoredSession::run(const std::vector<Fetch>& fetches, const FeedDict& feeds,
                                          const RunOptions& options, RunMetadata* run_metadata) {
  const RunRequest request{{fetches, feeds, options}, run_metadata};
  return impl_->recovering([&] { return impl_->run_hooked(request); });
}

std::vector<Tensor> MonitoredSession::StepContext::run_with_hooks(const std::vector<Fetch>& fetches,
                                                                  const FeedDict& feeds) {
  return owner_.impl_->run_hooked({{fetches, feeds, std::nullopt}, nullptr});
}

void MonitoredSession::StepContext::request_stop() { throw StopIteration(); }

bool MonitoredSession::run_step_fn(const std::function<void(StepContext&)>& step_fn) {
  return impl_->recovering([&] {
    StepContext context(*this, *impl_->session);
    try {
      step_fn(context);
      return true;
    } catch (const StopIteration&) {
      impl_->stop = true;
      return false;
    }
  });
}

Graph MonitoredSession::graph() const { return impl_->graph; }

Session MonitoredSession::raw_session() const {
  if (!impl_->session) raise(failed_precondition("Session is already closed."));
  return *impl_->session;
}

void MonitoredSession::close() { impl_->close(true); }

// --- SingularMonitoredSession

namespace {

MonitoredSession::Options singular_options(const SingularMonitoredSessionOptions& o) {
  MonitoredSession::Options options;
  options.session_creator = std::make_shared<ChiefSessionCreator>(
      ChiefSessionCreatorOptions{.scaffold = o.scaffold,
                                 .master = o.master,
                                 .config = o.config,
                                 .checkpoint_dir = o.checkpoint_dir,
                                 .checkpoint_filename_with_path = o.checkpoint_filename_with_path});
  options.hooks = o.hooks;
  options.stop_grace_period_secs = o.stop_grace_period_secs;
  return options;
}

}  // namespace

SingularMonitoredSession::SingularMonitoredSession(const SingularMonitoredSessionOptions& options)
    : MonitoredSession(singular_options(options), false) {}

// --- MonitoredTrainingSession

namespace {

MonitoredSession worker_session(const MonitoredTrainingSessionOptions& o) {
  MonitoredSession::Options options;
  options.session_creator = std::make_shared<WorkerSessionCreator>(WorkerSessionCreatorOptions{
      .scaffold = o.scaffold, .master = o.master, .config = o.config, .max_wait_secs = o.max_wait_secs});
  options.hooks = o.hooks;
  options.stop_grace_period_secs = o.stop_grace_period_secs;
  return MonitoredSession(options);
}

}  // namespace

MonitoredSession MonitoredTrainingSession(const MonitoredTrainingSessionOptions& o) {
  if (!o.is_chief) return worker_session(o);
  const bool checkpoints_by_default = o.save_checkpoint_steps.is_default() && o.save_checkpoint_secs.is_default();
  const std::optional<double> checkpoint_secs =
      checkpoints_by_default ? std::optional(600.0) : o.save_checkpoint_secs.value();
  const std::optional<int64_t> checkpoint_steps = o.save_checkpoint_steps.value();
  const bool summaries_by_default = o.save_summaries_steps.is_default() && o.save_summaries_secs.is_default();
  const std::optional<int64_t> summary_steps =
      summaries_by_default ? std::optional<int64_t>(100) : o.save_summaries_steps.value();
  const std::optional<double> summary_secs = o.save_summaries_secs.value();

  const std::shared_ptr<Scaffold> scaffold = o.scaffold ? o.scaffold : std::make_shared<Scaffold>();
  std::vector<Hook> hooks = o.chief_only_hooks;
  const std::string summary_dir = o.summary_dir.empty() ? o.checkpoint_dir : o.summary_dir;
  if (!summary_dir.empty()) {
    if (o.log_step_count_steps && *o.log_step_count_steps > 0) {
      hooks.push_back(StepCounterHook({.every_n_steps = o.log_step_count_steps, .output_dir = summary_dir}));
    }
    if (summary_steps.value_or(0) > 0 || summary_secs.value_or(0) > 0) {
      hooks.push_back(SummarySaverHook(
          {.save_steps = summary_steps, .save_secs = summary_secs, .output_dir = summary_dir, .scaffold = scaffold}));
    }
  }
  if (!o.checkpoint_dir.empty() && (checkpoint_secs.value_or(0) > 0 || checkpoint_steps.value_or(0) > 0)) {
    hooks.push_back(CheckpointSaverHook({.checkpoint_dir = o.checkpoint_dir,
                                         .save_secs = checkpoint_secs,
                                         .save_steps = checkpoint_steps,
                                         .scaffold = scaffold,
                                         .save_graph_def = o.save_graph_def}));
  }
  hooks.insert(hooks.end(), o.hooks.begin(), o.hooks.end());
  MonitoredSession::Options options;
  options.session_creator = std::make_shared<ChiefSessionCreator>(ChiefSessionCreatorOptions{
      .scaffold = scaffold, .master = o.master, .config = o.config, .checkpoint_dir = o.checkpoint_dir});
  options.hooks = std::move(hooks);
  options.stop_grace_period_secs = o.stop_grace_period_secs;
  return MonitoredSession(options);
}

}  // namespace millrace::train
