#include "cluster/master_session.h"

#include <algorithm>

#include "graph/proto_convert.h"
#include "ops/all_ops.h"
#include "runtime/partial_run.h"
#include "runtime/run_metadata.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

constexpr size_t kMaxSignatures = 256;   // RunSteps by their names that a session remembers
constexpr size_t kMaxCallables = 10000;  // and what a client may hold
constexpr size_t kMaxPartialRuns = 10000;

bool is_off(pb::RewriterConfig::Toggle toggle) { return toggle == pb::RewriterConfig::OFF; }

absl::StatusOr<SessionCoreOptions> core_options(const pb::ConfigProto& config, const MasterSession::Options& options) {
  if (config.cluster_def().job_size() > 0)
    return unimplemented("ConfigProto.cluster_def: this server runs graphs on its own devices only");
  SessionCoreOptions core;
  core.job = options.job;
  core.task = options.task;
  if (!config.isolate_session_state()) core.resources = options.resources;
  const SessionDefaults& defaults = options.defaults;
  const auto or_default = [](auto given, auto otherwise) { return given != 0 ? given : otherwise; };
  core.num_cpu_devices = defaults.num_cpu_devices;
  core.operation_timeout_in_ms = or_default(config.operation_timeout_in_ms(), defaults.operation_timeout_in_ms);
  RuntimeOptions& runtime = core.runtime;
  runtime.intra_op_parallelism_threads =
      std::clamp(or_default(config.intra_op_parallelism_threads(), defaults.intra_op_parallelism_threads), 0, 1024);
  runtime.inter_op_parallelism_threads =
      std::clamp(or_default(config.inter_op_parallelism_threads(), defaults.inter_op_parallelism_threads), 0, 1024);
  runtime.allow_soft_placement = config.allow_soft_placement() || defaults.allow_soft_placement;
  runtime.log_device_placement = config.log_device_placement() || defaults.log_device_placement;
  const pb::RewriterConfig& rewrite = config.graph_options().rewrite_options();
  // The flags of OptimizerOptions only add to what the level asks for, and every level but L0 asks for all.
  const bool optimize = config.graph_options().optimizer_options().opt_level() != pb::OptimizerOptions::L0;
  runtime.constant_folding = optimize && !is_off(rewrite.constant_folding());
  runtime.common_subexpressions = optimize && !is_off(rewrite.common_subgraph_elimination());
  runtime.inline_functions = optimize && !is_off(rewrite.function_optimization());
  runtime.arithmetic = optimize && !is_off(rewrite.arithmetic_optimization());
  runtime.fusion = optimize && !is_off(rewrite.remapping());
  return core;
}

absl::StatusOr<AsyncRun::Options> run_options(const pb::RunOptions& options) {
  if (options.debug_options().debug_tensor_watch_opts_size() > 0)
    return unimplemented("RunOptions.debug_options: this server has no debugger");
  return AsyncRun::Options{.timeout_in_ms = options.timeout_in_ms(),
                           .trace = options.trace_level() != pb::RunOptions::NO_TRACE,
                           .output_partition_graphs = options.output_partition_graphs()};
}

absl::StatusOr<Tensor> feed_value(const pb::TensorProto& proto, std::string_view name) {
  absl::StatusOr<Tensor> value = from_proto(proto);
  if (!value.ok()) return annotate(value.status(), str_cat("the value fed for '", name, "'"));
  return value;
}

// All names of a RunStep as one key; names hold no newline.
std::string names_key(const pb::RunStepRequest& request) {
  std::string key;
  for (const auto& feed : request.feed()) str_append(&key, feed.name(), "\n");
  key += "\n";
  for (const std::string& name : request.fetch()) str_append(&key, name, "\n");
  key += "\n";
  for (const std::string& name : request.target()) str_append(&key, name, "\n");
  return key;
}

absl::Status add_tensors(const google::protobuf::RepeatedPtrField<std::string>& names,
                         const std::vector<Tensor>& values, pb::RunStepResponse* response) {
  for (size_t i = 0; i < values.size(); ++i) {
    pb::NamedTensorProto* tensor = response->add_tensor();
    tensor->set_name(names[static_cast<int>(i)]);
    MR_RETURN_IF_ERROR(to_proto(values[i], tensor->mutable_tensor()));
  }
  return absl::OkStatus();
}

template <class Response>
void add_report(const RunReport& report, const AsyncRun::Options& options, const Runtime& runtime, Response* response) {
  if (!options.trace && !options.output_partition_graphs) return;
  to_proto(report, response->mutable_metadata());
  if (!options.trace) return;
  // The device is there, though no node may have run.
  pb::StepStats* const stats = response->mutable_metadata()->mutable_step_stats();
  if (stats->dev_stats_size() == 0) stats->add_dev_stats()->set_device(runtime.devices()[0].name);
}

}  // namespace

struct MasterSession::Partial {
  std::shared_ptr<PartialRun> run;
  absl::flat_hash_map<std::string, int> feeds, fetches;
};

// Marks the session as in use.
class MasterSession::Use {
 public:
  explicit Use(std::shared_ptr<MasterSession> session) : session_(std::move(session)) { ++session_->running_; }
  ~Use() {
    session_->last_used_ = client_gone_ ? 0 : std::chrono::steady_clock::now().time_since_epoch().count();
    --session_->running_;
  }
  // Nobody waits for the answer: until the session is used again, it is the first to make room.
  void client_gone() { client_gone_ = true; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  const std::shared_ptr<MasterSession> session_;
  bool client_gone_ = false;
};

MasterSession::MasterSession(const Options& options, const SessionCoreOptions& core_options)
    : handle_(options.handle),
      graph_(std::make_shared<GraphImpl>(all_ops())),
      core_(*SessionCore::create(graph_.graph(), core_options)),
      last_used_(std::chrono::steady_clock::now().time_since_epoch().count()) {}

MasterSession::~MasterSession() { close(); }

absl::StatusOr<std::shared_ptr<MasterSession>> MasterSession::create(const Options& options,
                                                                     pb::CreateSessionRequest* request) {
  MR_ASSIGN_OR_RETURN(const SessionCoreOptions core, core_options(request->config(), options));
  const std::shared_ptr<MasterSession> session(new MasterSession(options, core));
  MR_RETURN_IF_ERROR(session->graph_.add(request->mutable_graph_def()));
  return session;
}

absl::Status MasterSession::extend(pb::ExtendSessionRequest* request, pb::ExtendSessionResponse* response) {
  const Use use(shared_from_this());
  const std::lock_guard lock(mutex_);
  if (core_->is_closed()) return cancelled("Session has been closed.");
  if (request->current_graph_version() != graph_version_) {
    return aborted("Current version is ", graph_version_, " but caller expected ", request->current_graph_version(),
                   ".");
  }
  MR_RETURN_IF_ERROR(graph_.add(request->mutable_graph_def()));
  response->set_new_graph_version(++graph_version_);
  return absl::OkStatus();
}

void MasterSession::close() {
  core_->close();
  const std::lock_guard lock(mutex_);
  by_names_.clear();
  callables_.clear();
  partial_runs_.clear();
}

absl::StatusOr<MasterSession::Endpoints> MasterSession::resolve(const std::vector<std::string_view>& feeds,
                                                                const Names& fetches, const Names& targets) {
  Endpoints endpoints;
  for (const std::string_view name : feeds) {
    MR_ASSIGN_OR_RETURN(endpoints.feeds.emplace_back(), graph_.output(name));
  }
  for (const std::string& name : fetches) {
    MR_ASSIGN_OR_RETURN(endpoints.fetches.emplace_back(), graph_.output(name));
  }
  for (const std::string& name : targets) {
    MR_ASSIGN_OR_RETURN(endpoints.targets.emplace_back(), graph_.node(name));
  }
  return endpoints;
}

absl::StatusOr<std::shared_ptr<CallableCore>> MasterSession::callable_for(const pb::RunStepRequest& request) {
  std::string key = names_key(request);
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = by_names_.find(key); it != by_names_.end()) return it->second;
  }
  std::vector<std::string_view> feeds;
  for (const auto& feed : request.feed()) feeds.push_back(feed.name());
  MR_ASSIGN_OR_RETURN(const Endpoints endpoints, resolve(feeds, request.fetch(), request.target()));
  MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableCore> callable,
                      core_->make_callable(endpoints.feeds, endpoints.fetches, endpoints.targets));
  const std::lock_guard lock(mutex_);
  if (by_names_.size() >= kMaxSignatures) by_names_.clear();
  if (!core_->is_closed()) by_names_[std::move(key)] = callable;
  return callable;
}

void MasterSession::start(const std::shared_ptr<CallableCore>& callable, const AsyncRun::Options& options,
                          std::vector<Tensor> feeds, CancellationScope* call, AsyncRun::Done done) {
  const std::shared_ptr<AsyncRun> run = callable->new_run(options);
  const auto token = call->on_cancel([weak = std::weak_ptr(run)] {
    if (const auto pending = weak.lock()) pending->cancel(cancelled("RPC Request was cancelled"));
  });
  if (!token) {
    done(cancelled("RPC Request was cancelled"), {}, {});
    return;
  }
  run->start(std::move(feeds),
             [use = std::make_shared<Use>(shared_from_this()), call, token = *token, done = std::move(done)](
                 absl::Status status, std::vector<Tensor> fetched, RunReport report) {
               call->remove(token);
               if (call->is_cancelled()) use->client_gone();
               done(std::move(status), std::move(fetched), std::move(report));
             });
}

void MasterSession::run_step(const pb::RunStepRequest& request, pb::RunStepResponse* response, CancellationScope* call,
                             Done done) {
  if (!request.partial_run_handle().empty()) {
    run_partial(request, response, call, std::move(done));
    return;
  }
  if (request.fetch_size() == 0 && request.target_size() == 0) {
    done(invalid_argument("Must specify at least one target to fetch or execute."));
    return;
  }
  absl::StatusOr<AsyncRun::Options> options = run_options(request.options());
  absl::StatusOr<std::shared_ptr<CallableCore>> callable = options.ok() ? callable_for(request) : options.status();
  if (!callable.ok()) {
    done(callable.status());
    return;
  }
  std::vector<Tensor> feeds;
  for (const auto& feed : request.feed()) {
    absl::StatusOr<Tensor> value = feed_value(feed.tensor(), feed.name());
    if (!value.ok()) {
      done(value.status());
      return;
    }
    feeds.push_back(*std::move(value));
  }
  start(*callable, *options, std::move(feeds), call,
        [this, &request, response, options = *options, done = std::move(done)](
            absl::Status status, std::vector<Tensor> fetched, RunReport report) {
          if (status.ok()) status = add_tensors(request.fetch(), fetched, response);
          add_report(report, options, runtime(), response);
          done(std::move(status));
        });
}

// --- callables

absl::Status MasterSession::make_callable(const pb::MakeCallableRequest& request, pb::MakeCallableResponse* response) {
  const Use use(shared_from_this());
  const pb::CallableOptions& options = request.options();
  if (options.tensor_connection_size() > 0)
    return unimplemented("CallableOptions.tensor_connection is not supported by this server");
  MR_ASSIGN_OR_RETURN(const AsyncRun::Options run, run_options(options.run_options()));
  const std::vector<std::string_view> feeds(options.feed().begin(), options.feed().end());
  MR_ASSIGN_OR_RETURN(const Endpoints endpoints, resolve(feeds, options.fetch(), options.target()));
  MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableCore> callable,
                      core_->make_callable(endpoints.feeds, endpoints.fetches, endpoints.targets));
  const std::lock_guard lock(mutex_);
  if (core_->is_closed()) return cancelled("Session has been closed.");
  if (callables_.size() >= kMaxCallables)
    return resource_exhausted("the session holds ", callables_.size(), " callables");
  response->set_handle(next_callable_);
  callables_[next_callable_++] = {std::move(callable), run};
  return absl::OkStatus();
}

void MasterSession::run_callable(const pb::RunCallableRequest& request, pb::RunCallableResponse* response,
                                 CancellationScope* call, Done done) {
  Callable callable;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = callables_.find(request.handle()); it != callables_.end()) callable = it->second;
  }
  absl::Status status;
  std::vector<Tensor> feeds;
  if (!callable.core) status = invalid_argument("No such callable handle: ", request.handle());
  else if (callable.core->num_feeds() != static_cast<size_t>(request.feed_size()))
    status = invalid_argument("Expected ", callable.core->num_feeds(), " feed tensors, but got ", request.feed_size());
  for (int i = 0; status.ok() && i < request.feed_size(); ++i) {
    absl::StatusOr<Tensor> value = feed_value(request.feed(i), str_cat("feed ", i));
    if (value.ok()) feeds.push_back(*std::move(value));
    else status = value.status();
  }
  if (!status.ok()) {
    done(std::move(status));
    return;
  }
  start(callable.core, callable.options, std::move(feeds), call,
        [this, response, options = callable.options, done = std::move(done)](
            absl::Status end, std::vector<Tensor> fetched, RunReport report) {
          for (size_t i = 0; end.ok() && i < fetched.size(); ++i) end = to_proto(fetched[i], response->add_fetch());
          add_report(report, options, runtime(), response);
          done(std::move(end));
        });
}

absl::Status MasterSession::release_callable(const pb::ReleaseCallableRequest& request) {
  const std::lock_guard lock(mutex_);
  if (callables_.erase(request.handle()) == 0) return invalid_argument("No such callable handle: ", request.handle());
  return absl::OkStatus();
}

// --- partial runs

absl::Status MasterSession::partial_run_setup(const pb::PartialRunSetupRequest& request,
                                              pb::PartialRunSetupResponse* response) {
  const Use use(shared_from_this());
  const std::vector<std::string_view> feeds(request.feed().begin(), request.feed().end());
  MR_ASSIGN_OR_RETURN(const Endpoints endpoints, resolve(feeds, request.fetch(), request.target()));
  auto partial = std::make_shared<Partial>();
  for (int i = 0; i < request.feed_size(); ++i) partial->feeds.emplace(request.feed(i), i);
  for (int i = 0; i < request.fetch_size(); ++i) partial->fetches.emplace(request.fetch(i), i);
  MR_ASSIGN_OR_RETURN(partial->run, core_->partial_run_setup(endpoints.feeds, endpoints.fetches, endpoints.targets));
  std::unique_lock lock(mutex_);
  absl::erase_if(partial_runs_, [](const auto& entry) { return entry.second->run->is_over(); });
  if (core_->is_closed() || partial_runs_.size() >= kMaxPartialRuns) {
    lock.unlock();
    partial->run->cancel(cancelled("the partial run was not set up"));
    return core_->is_closed() ? cancelled("Session has been closed.")
                              : resource_exhausted("the session has ", kMaxPartialRuns, " unfinished partial runs");
  }
  response->set_partial_run_handle(str_cat(next_partial_run_++));
  partial_runs_[response->partial_run_handle()] = std::move(partial);
  return absl::OkStatus();
}

void MasterSession::run_partial(const pb::RunStepRequest& request, pb::RunStepResponse* response,
                                CancellationScope* call, Done done) {
  std::shared_ptr<Partial> partial;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = partial_runs_.find(request.partial_run_handle()); it != partial_runs_.end())
      partial = it->second;
  }
  if (!partial) {
    done(invalid_argument("Must run PartialRunSetup before performing partial runs."));
    return;
  }
  absl::Status status;
  if (request.target_size() > 0) status = invalid_argument("A partial run takes its targets from its setup");
  std::vector<std::pair<int, Tensor>> feeds;
  std::vector<int> fetches;
  for (const auto& feed : request.feed()) {
    const auto it = partial->feeds.find(feed.name());
    if (it == partial->feeds.end())
      status = invalid_argument("The feed ", feed.name(), " was not specified in partial_run_setup.");
    if (!status.ok()) break;
    absl::StatusOr<Tensor> value = feed_value(feed.tensor(), feed.name());
    if (value.ok()) feeds.emplace_back(it->second, *std::move(value));
    else status = value.status();
  }
  for (const std::string& name : request.fetch()) {
    const auto it = partial->fetches.find(name);
    if (it != partial->fetches.end()) fetches.push_back(it->second);
    else status.Update(invalid_argument("The fetch ", name, " was not specified in partial_run_setup."));
  }
  if (!status.ok()) {
    done(std::move(status));
    return;
  }
  const auto token = call->on_cancel([weak = std::weak_ptr(partial->run)] {
    if (const auto run = weak.lock()) run->cancel(cancelled("RPC Request was cancelled"));
  });
  if (!token) {
    done(cancelled("RPC Request was cancelled"));
    return;
  }
  partial->run->run(std::move(feeds), std::move(fetches),
                    [use = std::make_shared<Use>(shared_from_this()), &request, response, call, token = *token,
                     done = std::move(done)](absl::Status end, std::vector<Tensor> values) {
                      call->remove(token);
                      if (end.ok()) end = add_tensors(request.fetch(), values, response);
                      done(std::move(end));
                    });
}

}  // namespace millrace
