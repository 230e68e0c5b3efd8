#include "runtime/session.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_join.h"

namespace millrace {
namespace {

// The labels with what the nodes read: "y = Mul(x, w/read)".
std::vector<NodeStats> with_inputs(std::vector<NodeStats> nodes, const Program& program) {
  absl::flat_hash_map<std::string, std::string> inputs;
  for (const NodeDef& def : program.node_defs()) inputs[def.name] = absl::StrJoin(def.inputs, ", ");
  for (NodeStats& n : nodes) {
    const auto found = inputs.find(n.node_name);
    if (found == inputs.end() || !n.label.ends_with("()")) continue;
    n.label.insert(n.label.size() - 1, found->second);
  }
  return nodes;
}

constexpr size_t kMaxPrograms = 256;  // signatures that a session remembers

// Shapes as TF1's Python prints them: "(2, ?)", "(3,)", "<unknown>".
std::string python_shape(std::span<const int64_t> dims) {
  std::string text = "(";
  for (size_t i = 0; i < dims.size(); ++i) str_append(&text, i ? ", " : "", dims[i] < 0 ? "?" : str_cat(dims[i]));
  return text + (dims.size() == 1 ? ",)" : ")");
}

absl::Status wrong_shape(const Tensor& value, const std::string& name, const PartialTensorShape& shape) {
  return invalid_argument("Cannot feed value of shape ", python_shape(value.shape().dims()), " for Tensor '", name,
                          "', which has shape '", shape.has_rank() ? python_shape(shape.dims()) : "<unknown>", "'");
}

bool fits(const TensorShape& value, const PartialTensorShape& shape) {
  if (!shape.has_rank()) return true;
  if (shape.rank() != value.rank()) return false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape.dim(i) >= 0 && shape.dim(i) != value.dim(i)) return false;
  }
  return true;
}

absl::Status check_output(const GraphImpl& graph, const Output& output, std::string_view what) {
  if (output.node() == nullptr) return invalid_argument("an absent output cannot be ", what);
  if (&output.node()->graph() != &graph) {
    return invalid_argument("Tensor ", tensor_name(output), " is not an element of this graph.");
  }
  if (output.index() < 0 || output.index() >= output.node()->num_outputs()) {
    return invalid_argument("The operation, '", output.node()->name(), "', exists but only has ",
                            output.node()->num_outputs(), " outputs: ", tensor_name(output), " cannot be ", what);
  }
  return absl::OkStatus();
}

}  // namespace

std::string tensor_name(const Output& output) { return str_cat(output.node()->name(), ":", output.index()); }

absl::Status check_signature(const GraphImpl& graph, const Signature& signature) {
  std::set<std::pair<const Node*, int>> fed;
  for (const Output& feed : signature.feeds) {
    MR_RETURN_IF_ERROR(check_output(graph, feed, "fed"));
    if (!fed.emplace(feed.node(), feed.index()).second) {
      return invalid_argument("Endpoint \"", tensor_name(feed), "\" fed more than once.");
    }
  }
  for (const Output& fetch : signature.fetches) MR_RETURN_IF_ERROR(check_output(graph, fetch, "fetched"));
  for (const Node* target : signature.targets) {
    if (target == nullptr) return invalid_argument("an absent operation cannot be run");
    if (&target->graph() != &graph)
      return invalid_argument("Operation ", target->name(), " is not an element of this graph.");
  }
  return absl::OkStatus();
}

absl::Status check_feed(const Output& to, const Tensor& value, size_t number) {
  const DataType wanted = base_dtype(to.node()->output_type(to.index()));
  if (value.dtype() != wanted) {
    return invalid_argument("Expects arg[", number, "] to be ", dtype_name(wanted), " but ", dtype_name(value.dtype()),
                            " is provided (Tensor '", tensor_name(to), "')");
  }
  const PartialTensorShape& shape = to.node()->output_shape(to.index());
  return fits(value.shape(), shape) ? absl::OkStatus() : wrong_shape(value, tensor_name(to), shape);
}

SessionCore::SessionCore(std::shared_ptr<GraphImpl> graph, const SessionCoreOptions& options)
    : graph_(std::move(graph)),
      options_(options),
      runtime_(std::make_shared<Runtime>(graph_->registry(), graph_->shared_library(),
                                         local_devices(options.num_cpu_devices, options.job, options.task),
                                         options.runtime, options.resources)) {}

absl::StatusOr<std::shared_ptr<SessionCore>> SessionCore::create(std::shared_ptr<GraphImpl> graph,
                                                                 const SessionCoreOptions& options) {
  if (graph == nullptr) return invalid_argument("a session needs a graph");
  return std::shared_ptr<SessionCore>(new SessionCore(std::move(graph), options));
}

SessionCore::~SessionCore() {
  close();
  runtime_->shutdown();
}

bool SessionCore::enter() {
  running_.fetch_add(1, std::memory_order_acq_rel);
  if (!is_closed()) [[likely]]
    return true;
  leave();
  return false;
}

void SessionCore::leave() {
  // The last run after close() lets go of the resources.
  if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1 && is_closed()) runtime_->shutdown();
}

void SessionCore::close() {
  running_.fetch_add(1, std::memory_order_acq_rel);
  closed_.store(true, std::memory_order_release);
  runtime_->scope()->cancel(cancelled("Session has been closed."));
  leave();
}

absl::StatusOr<std::shared_ptr<Program>> SessionCore::program_for(const Signature& signature) {
  Key key;
  key.reserve(4 + 2 * (signature.feeds.size() + signature.fetches.size()) + signature.targets.size());
  const auto add_outputs = [&](const std::vector<Output>& outputs) {
    key.push_back(outputs.size());
    for (const Output& o : outputs) {
      key.push_back(reinterpret_cast<uint64_t>(o.node()));
      key.push_back(static_cast<uint64_t>(o.index()));
    }
  };
  key.push_back(signature.partial);
  add_outputs(signature.feeds);
  add_outputs(signature.fetches);
  for (Node* target : signature.targets) key.push_back(reinterpret_cast<uint64_t>(target));
  const auto find = [&]() -> std::shared_ptr<Program> {
    std::lock_guard lock(programs_mutex_);
    const auto it = programs_.find(key);
    if (it == programs_.end()) return nullptr;
    it->second.used = ++uses_;
    return it->second.program;
  };
  if (std::shared_ptr<Program> program = find()) return program;

  MR_RETURN_IF_ERROR(check_signature(*graph_, signature));
  std::lock_guard compiling(compile_mutex_);
  if (std::shared_ptr<Program> program = find()) return program;
  MR_ASSIGN_OR_RETURN(std::shared_ptr<Program> program, compile(*graph_, signature, states_, *runtime_));
  std::lock_guard lock(programs_mutex_);
  if (programs_.size() >= kMaxPrograms) {
    const auto oldest = std::ranges::min_element(programs_, {}, [](const auto& entry) { return entry.second.used; });
    programs_.erase(oldest);
  }
  programs_[std::move(key)] = {program, ++uses_};
  return program;
}

absl::Status SessionCore::run_program(Program& program, std::span<Tensor> feeds, bool take_feeds, int64_t timeout_in_ms,
                                      StepStatsCollector* stats, std::vector<Tensor>* fetched) {
  if (timeout_in_ms <= 0) timeout_in_ms = options_.operation_timeout_in_ms;
  RunContext context{.cancellation = runtime_->scope(), .stats = stats};
  if (timeout_in_ms <= 0) [[likely]]
    return program.run(feeds, take_feeds, context, fetched);
  CancellationScope scope(runtime_->scope());
  context.cancellation = &scope;
  const DeadlineToken token = call_after(std::chrono::milliseconds(timeout_in_ms), [&scope] {
    scope.cancel(deadline_exceeded("Timed out waiting for notification"));
  });
  absl::Status status = program.run(feeds, take_feeds, context, fetched);
  cancel_call(token);
  return status;
}

absl::Status SessionCore::run(const RunRequest& request, std::vector<Tensor>* fetched, RunReport* report) {
  if (!enter()) return cancelled("Session has been closed.");
  struct Leave {
    SessionCore* session;
    ~Leave() { session->leave(); }
  } leave{this};
  if (request.fetches.empty() && request.targets.empty()) {
    return invalid_argument("Must specify at least one target to fetch or execute.");
  }
  Signature signature;
  signature.checks_feeds = true;
  std::vector<Tensor> feeds;
  signature.feeds.reserve(request.feeds.size());
  feeds.reserve(request.feeds.size());
  for (const auto& [output, value] : request.feeds) {
    signature.feeds.push_back(output);
    feeds.push_back(value);
  }
  signature.fetches.assign(request.fetches.begin(), request.fetches.end());
  signature.targets.assign(request.targets.begin(), request.targets.end());
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<Program> program, program_for(signature));
  for (size_t i = 0; i < feeds.size(); ++i) MR_RETURN_IF_ERROR(check_feed(signature.feeds[i], feeds[i], i));
  if (!request.trace) {
    MR_RETURN_IF_ERROR(run_program(*program, feeds, true, request.timeout_in_ms, nullptr, fetched));
  } else {
    StepStatsCollector stats;
    absl::Status status = run_program(*program, feeds, true, request.timeout_in_ms, &stats, fetched);
    if (report) report->nodes = with_inputs(stats.take(), *program);
    MR_RETURN_IF_ERROR(status);
  }
  if (report && request.output_partition_graphs) report->partition_graphs = {program->node_defs()};
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<CallableCore>> SessionCore::make_callable(std::span<const Output> feeds,
                                                                         std::span<const Output> fetches,
                                                                         std::span<Node* const> targets) {
  if (is_closed()) return cancelled("Session has been closed.");
  const Signature signature{{feeds.begin(), feeds.end()},
                            {fetches.begin(), fetches.end()},
                            {targets.begin(), targets.end()},
                            /*checks_feeds=*/true};
  auto callable = std::make_shared<CallableCore>();
  MR_ASSIGN_OR_RETURN(callable->program_, program_for(signature));
  callable->session_ = shared_from_this();
  for (const Output& feed : signature.feeds) {
    const PartialTensorShape& shape = feed.node()->output_shape(feed.index());
    callable->feeds_.push_back(
        {tensor_name(feed), shape, base_dtype(feed.node()->output_type(feed.index())), shape.has_rank()});
  }
  return callable;
}

absl::Status CallableCore::check_feeds(std::span<const Tensor> feeds) const {
  if (feeds.size() != feeds_.size()) {
    return invalid_argument("the callable takes ", feeds_.size(), " values, got ", feeds.size());
  }
  for (size_t i = 0; i < feeds.size(); ++i) {
    const Feed& feed = feeds_[i];
    if (feed.check_shape && !fits(feeds[i].shape(), feed.shape)) return wrong_shape(feeds[i], feed.name, feed.shape);
  }
  return absl::OkStatus();
}

absl::Status CallableCore::run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) const {
  MR_RETURN_IF_ERROR(check_feeds(feeds));
  if (!session_->enter()) return cancelled("Session has been closed.");
  // Not taken, so only read.
  const std::span<Tensor> values(const_cast<Tensor*>(feeds.data()), feeds.size());
  absl::Status status = session_->run_program(*program_, values, false, 0, nullptr, fetched);
  session_->leave();
  return status;
}

AsyncRun::AsyncRun(std::shared_ptr<const CallableCore> callable, const Options& options)
    : callable_(std::move(callable)), options_(options), scope_(callable_->session_->runtime_->scope()) {}

void AsyncRun::start(std::vector<Tensor> feeds, Done done) {
  absl::Status status = callable_->check_feeds(feeds);
  SessionCore& session = *callable_->session_;
  if (status.ok() && !session.enter()) status = cancelled("Session has been closed.");
  if (!status.ok()) {
    done(std::move(status), {}, {});
    return;
  }
  done_ = std::move(done);
  const int64_t timeout =
      options_.timeout_in_ms > 0 ? options_.timeout_in_ms : session.options_.operation_timeout_in_ms;
  if (timeout > 0) {
    // Not on the timer's thread: what ends the run takes the timer back, and waits for its callback.
    deadline_ = call_after(std::chrono::milliseconds(timeout), [run = weak_from_this(), &session] {
      session.runtime_->schedule([run] {
        if (const auto self = run.lock()) self->cancel(deadline_exceeded("Timed out waiting for notification"));
      });
    });
  }
  const RunContext context{.cancellation = &scope_, .stats = options_.trace ? &stats_ : nullptr};
  callable_->program_->run_async(std::move(feeds), context,
                                 [self = shared_from_this()](absl::Status s, std::vector<Tensor> fetched) {
                                   self->finish(std::move(s), std::move(fetched));
                                 });
}

void AsyncRun::finish(absl::Status status, std::vector<Tensor> fetched) {
  if (deadline_ != 0) cancel_call(deadline_);
  RunReport report;
  if (options_.trace) report.nodes = with_inputs(stats_.take(), *callable_->program_);
  if (options_.output_partition_graphs && status.ok()) report.partition_graphs = {callable_->program_->node_defs()};
  callable_->session_->leave();
  std::exchange(done_, nullptr)(std::move(status), std::move(fetched), std::move(report));
}

}  // namespace millrace
