#include "millrace/train/monitored_session.h"

#include <algorithm>
#include <exception>

#include "base/errors.h"
#include "base/log.h"
#include "graph/graph.h"

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

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

constexpr const char* kRecoveryAdvice =
    "This may be due to a preemption in a connected worker or parameter server. The current session will be closed and "
    "a new session will be created. "
    "This error may also occur due to a gRPC failure caused by high memory or network bandwidth usage in the parameter "
    "servers. If this error occurs "
    "repeatedly, try increasing the number of parameter servers assigned to the job.";

}  // namespace

struct MonitoredSession::Impl {
  explicit Impl(const Options& o) : options(o), graph(get_default_graph()), graph_was_finalized(graph.finalized()) {
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
        coord = std::make_unique<Coordinator>();
        for (Hook& hook : options.hooks) hook->after_create_session(*session, *coord);
        return;
      } catch (...) {
        const std::exception_ptr error = std::current_exception();
        drop_session();
        if (!is_preemption(error)) throw;
        log_info("An error was raised while a session was being created. ", kRecoveryAdvice,
                 " Error: ", message_of(error));
      }
    }
  }

  void drop_session() noexcept {
    try {
      if (coord) {
        coord->request_stop();
        coord->join(grace_period(), true);
      }
    } catch (const std::exception& e) {
      log_warning("while ending the session's threads: ", e.what());
    }
    try {
      if (session) session->close();
    } catch (const std::exception& e) {
      log_warning("while closing the session: ", e.what());
    }
    session.reset();
    coord.reset();
  }

  std::chrono::milliseconds grace_period() const {
    return std::chrono::milliseconds(static_cast<int64_t>(options.stop_grace_period_secs * 1000));
  }

  bool should_stop() const { return stop || !session || (coord && coord->should_stop()); }

  // One run with hooks, on the session there is.
  std::vector<Tensor> run_hooked(const RunRequest& request) {
    SessionRunContext context(request.args, *session);
    SessionRunArgs all = request.args;
    struct Share {
      size_t begin, count;
    };
    std::vector<Share> shares;
    for (Hook& hook : options.hooks) {
      const std::optional<SessionRunArgs> added = hook->before_run(context);
      shares.push_back({all.fetches.size(), added ? added->fetches.size() : 0});
      if (added) merge(*added, &all);
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

  static void merge(const SessionRunArgs& added, SessionRunArgs* all) {
    all->fetches.insert(all->fetches.end(), added.fetches.begin(), added.fetches.end());
    for (const FeedDict::Item& feed : added.feed_dict.items()) {
      const bool doubled = std::ranges::any_of(
          all->feed_dict.items(), [&](const FeedDict::Item& f) { return key_name(f.key) == key_name(feed.key); });
      if (doubled)
        raise(failed_precondition("Same tensor is fed by a hook and by the caller or another hook: ",
                                  key_name(feed.key)));
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
    if (!session) raise(failed_precondition("Session is already closed."));
    if (should_stop()) raise(failed_precondition("Run called even after should_stop requested."));
    while (true) {
      try {
        return step();
      } catch (const errors::OutOfRangeError&) {
        stop = clean_end = true;
        throw;
      } catch (...) {
        const std::exception_ptr error = std::current_exception();
        if (!is_preemption(error)) {
          failed = true;
          if (coord) coord->raise_requested_exception();
          std::rethrow_exception(error);
        }
        log_info("An error was raised. ", kRecoveryAdvice, " Error: ", message_of(error));
      }
      drop_session();
      create_session();
    }
  }

  void close(bool with_end) {
    if (closed) return;
    closed = true;
    std::exception_ptr error;
    if (with_end && session) {
      try {
        for (Hook& hook : options.hooks) hook->end(*session);
      } catch (...) {
        error = std::current_exception();
      }
    }
    drop_session();
    if (!graph_was_finalized) graph.impl().unfinalize();
    if (error) std::rethrow_exception(error);
  }

  Options options;
  Graph graph;
  bool graph_was_finalized;
  std::optional<Session> session;  // none while being made anew, and once closed
  std::unique_ptr<Coordinator> coord;
  bool stop = false;       // a hook asked, or the data has ended
  bool clean_end = false;  // the data has ended
  bool failed = false;     // a run ended with an error
  bool closed = false;
  int exceptions_at_start = std::uncaught_exceptions();
};

MonitoredSession::MonitoredSession(const Options& options) : impl_(std::make_unique<Impl>(options)) {}
MonitoredSession::MonitoredSession(MonitoredSession&&) noexcept = default;

MonitoredSession::~MonitoredSession() noexcept(false) {
  if (!impl_ || impl_->closed) return;
  const bool unwinding = std::uncaught_exceptions() > impl_->exceptions_at_start;
  if (!unwinding) {
    impl_->close(!impl_->failed);
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

bool MonitoredSession::run(const Operation& target, const FeedDict& feeds) {
  try {
    run(std::vector<Fetch>{target}, feeds);
    return true;
  } catch (const errors::OutOfRangeError&) {
    return false;
  }
}

Tensor MonitoredSession::run(const Output& fetch, const FeedDict& feeds) {
  return run(std::vector<Fetch>{fetch}, feeds)[0];
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

void MonitoredSession::StepContext::request_stop() { owner_.impl_->stop = true; }

void MonitoredSession::run_step_fn(const std::function<void(StepContext&)>& step_fn) {
  impl_->recovering([&] {
    StepContext context(*this, *impl_->session);
    step_fn(context);
  });
}

Graph MonitoredSession::graph() const { return impl_->graph; }

Session MonitoredSession::raw_session() const {
  if (!impl_->session) raise(failed_precondition("Session is already closed."));
  return *impl_->session;
}

void MonitoredSession::close() { impl_->close(!impl_->failed); }

MonitoredSession MonitoredTrainingSession(const MonitoredTrainingSessionOptions& o) {
  if (!o.is_chief)
    raise(unimplemented("MonitoredTrainingSession: is_chief = false needs a cluster, which is not there yet"));
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
