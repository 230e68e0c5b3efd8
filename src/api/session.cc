#include "millrace/session.h"

#include <algorithm>
#include <mutex>

#include "api/config.h"
#include "base/errors.h"
#include "cluster/remote_session.h"
#include "graph/graph.h"
#include "runtime/session_backend.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {
namespace {

// Fetches and feeds with names looked up.
struct Resolved {
  std::vector<Output> outputs;
  std::vector<Node*> targets;
  std::vector<int> positions;  // of each output among the fetches
};

Output output_of(const GraphImpl& graph, const Fetch& fetch) {
  if (fetch.output()) return fetch.output();
  if (!fetch.name().empty()) return value_or_raise(graph.find_output(fetch.name()));
  raise(invalid_argument("a feed must name a symbolic tensor, got ",
                         fetch.operation() ? str_cat("the operation '", fetch.operation().name(), "'") : "nothing"));
}

Resolved resolve(const GraphImpl& graph, const std::vector<Fetch>& fetches) {
  Resolved resolved;
  for (size_t i = 0; i < fetches.size(); ++i) {
    const Fetch& fetch = fetches[i];
    if (fetch.operation()) {
      resolved.targets.push_back(fetch.operation().node());
    } else if (!fetch.output() && fetch.name().find(':') == std::string::npos && !fetch.name().empty()) {
      resolved.targets.push_back(value_or_raise(graph.find_node(fetch.name())));
    } else {
      if (!fetch.output() && fetch.name().empty())
        raise(invalid_argument("Fetch argument ", i, " is an absent output or operation"));
      resolved.outputs.push_back(output_of(graph, fetch));
      resolved.positions.push_back(static_cast<int>(i));
    }
  }
  return resolved;
}

std::vector<Output> outputs_of(const GraphImpl& graph, const std::vector<Fetch>& feeds) {
  std::vector<Output> outputs;
  for (const Fetch& feed : feeds) outputs.push_back(output_of(graph, feed));
  return outputs;
}

// Where the setup of a partial run names it.
int number_of(const Output& output, const std::vector<Output>& outputs, std::string_view what) {
  const auto it = std::ranges::find(outputs, output);
  if (it == outputs.end())
    raise(invalid_argument("The ", what, " ", tensor_name(output), " was not specified in partial_run_setup."));
  return static_cast<int>(it - outputs.begin());
}

std::vector<Tensor> spread(std::vector<Tensor> values, const std::vector<int>& positions, size_t count) {
  if (values.size() == count) return values;
  std::vector<Tensor> all(count);
  for (size_t i = 0; i < values.size(); ++i) all[static_cast<size_t>(positions[i])] = std::move(values[i]);
  return all;
}

}  // namespace

std::string RunMetadata::generate_chrome_trace_format() const {
  std::vector<NodeStats> nodes;
  for (const NodeExecStats& n : step_stats) {
    NodeStats stats;
    stats.node_name = n.node_name;
    stats.label = n.timeline_label;
    stats.device = n.device;
    stats.start_nanos = n.all_start_nanos;
    stats.end_nanos = n.all_end_nanos;
    stats.thread = n.thread_id;
    nodes.push_back(std::move(stats));
  }
  return timeline_json(nodes);
}

struct Session::State {
  struct Partial {
    Signature signature;
    std::shared_ptr<PartialBackend> run;
    size_t left = 0;  // feeds and fetches to come; forgotten at none
  };
  Graph graph;
  std::string target;
  std::shared_ptr<SessionBackend> backend;
  std::mutex mutex;  // guards what follows
  std::map<std::string, Partial> partial_runs;
  int64_t next_partial_run = 0;
  ~State() {
    partial_runs.clear();
    if (backend) backend->close();  // absent where the constructor has thrown
  }
};

Session::Session(SessionOptions options) {
  auto state = std::make_shared<State>();
  state->graph = options.graph ? *options.graph : get_default_graph();
  state->backend = value_or_raise(
      options.target.empty()
          ? new_local_session(state->graph.shared_impl(), core_options(options.config))
          : new_remote_session(state->graph.shared_impl(), options.target, config_proto(options.config)));
  state->target = std::move(options.target);
  state_ = std::move(state);
}

void Session::raise_if_closed() const {
  if (state_->backend->is_closed()) raise(cancelled("Attempted to use a closed Session."));
}

Tensor Session::run(const Fetch& fetch, const FeedDict& feed_dict, const RunOptions& options,
                    RunMetadata* run_metadata) const {
  return std::move(run(std::vector<Fetch>{fetch}, feed_dict, options, run_metadata)[0]);
}

std::vector<Tensor> Session::run(const std::vector<Fetch>& fetches, const FeedDict& feed_dict,
                                 const RunOptions& options, RunMetadata* run_metadata) const {
  raise_if_closed();
  const GraphImpl& graph = state_->graph.impl();
  if (graph.nodes().empty()) {
    raise(failed_precondition("The Session graph is empty. Add operations to the graph before calling run()."));
  }
  const Resolved resolved = resolve(graph, fetches);
  std::vector<std::pair<Output, Tensor>> feeds;
  feeds.reserve(feed_dict.items().size());
  for (const FeedDict::Item& item : feed_dict.items()) feeds.emplace_back(output_of(graph, item.key), item.value);
  if (fetches.empty()) return {};
  RunRequest request{.feeds = feeds, .fetches = resolved.outputs, .targets = resolved.targets};
  request.timeout_in_ms = options.timeout_in_ms;
  request.trace = run_metadata != nullptr && options.trace_level != RunOptions::NO_TRACE;
  request.output_partition_graphs = run_metadata != nullptr && options.output_partition_graphs;
  SessionBackend::Report report;
  std::vector<Tensor> values;
  const absl::Status status = state_->backend->run(request, &values, run_metadata ? &report : nullptr);
  if (run_metadata) {
    run_metadata->step_stats.clear();
    for (const NodeStats& n : report.run.nodes) {
      run_metadata->step_stats.push_back({n.node_name, n.label, n.device, n.start_nanos, n.end_nanos, n.thread});
    }
    run_metadata->serialized = std::move(report.serialized);
  }
  raise_if_error(status);
  return spread(std::move(values), resolved.positions, fetches.size());
}

Callable Session::make_callable(const std::vector<Fetch>& fetches, const std::vector<Fetch>& feed_list) const {
  raise_if_closed();
  const GraphImpl& graph = state_->graph.impl();
  Resolved resolved = resolve(graph, fetches);
  Callable callable;
  callable.num_fetches_ = fetches.size();
  if (resolved.outputs.size() != fetches.size()) callable.positions_ = resolved.positions;
  callable.backend_ = value_or_raise(state_->backend->make_callable(
      {outputs_of(graph, feed_list), std::move(resolved.outputs), std::move(resolved.targets)}));
  return callable;
}

void Callable::run(const std::vector<Tensor>& feeds, std::vector<Tensor>* results) const {
  raise_if_error(backend_->run(feeds, results));
  if (results->size() != num_fetches_) *results = spread(std::move(*results), positions_, num_fetches_);
}

std::vector<Tensor> Callable::operator()(const std::vector<Tensor>& feeds) const {
  std::vector<Tensor> results;
  run(feeds, &results);
  return results;
}

// --- partial runs

std::string Session::partial_run_setup(const std::vector<Fetch>& fetches, const std::vector<Fetch>& feeds) const {
  raise_if_closed();
  const GraphImpl& graph = state_->graph.impl();
  Resolved resolved = resolve(graph, fetches);
  if (fetches.empty()) raise(invalid_argument("partial_run_setup needs something to fetch."));
  State::Partial partial;
  partial.signature = {outputs_of(graph, feeds), std::move(resolved.outputs), std::move(resolved.targets)};
  partial.run = value_or_raise(state_->backend->partial_run_setup(partial.signature));
  partial.left = partial.signature.feeds.size() + partial.signature.fetches.size();
  const std::lock_guard lock(state_->mutex);
  std::string handle = str_cat("partial_run_", state_->next_partial_run++);
  state_->partial_runs.emplace(handle, std::move(partial));
  return handle;
}

Tensor Session::partial_run(const std::string& handle, const Fetch& fetch, const FeedDict& feed_dict) const {
  return std::move(partial_run(handle, std::vector<Fetch>{fetch}, feed_dict)[0]);
}

std::vector<Tensor> Session::partial_run(const std::string& handle, const std::vector<Fetch>& fetches,
                                         const FeedDict& feed_dict) const {
  raise_if_closed();
  const GraphImpl& graph = state_->graph.impl();
  const Resolved resolved = resolve(graph, fetches);
  if (!resolved.targets.empty())
    raise(failed_precondition("partial_run() takes no operations: those to run are named in partial_run_setup()."));
  State::Partial partial;
  {
    const std::lock_guard lock(state_->mutex);
    const auto it = state_->partial_runs.find(handle);
    if (it == state_->partial_runs.end())
      raise(
          invalid_argument("Must run 'setup' before performing partial runs: '", handle, "' is none of this session."));
    partial = it->second;
  }
  std::vector<std::pair<int, Tensor>> feeds;
  for (const FeedDict::Item& item : feed_dict.items()) {
    const Output to = output_of(graph, item.key);
    const int number = number_of(to, partial.signature.feeds, "feed");
    raise_if_error(check_feed(to, item.value, feeds.size()));
    feeds.emplace_back(number, item.value);
  }
  std::vector<int> numbers;
  for (const Output& fetch : resolved.outputs) numbers.push_back(number_of(fetch, partial.signature.fetches, "fetch"));
  const size_t taken = feeds.size() + numbers.size();
  std::vector<Tensor> values;
  const absl::Status status = partial.run->run(std::move(feeds), numbers, &values);
  {
    const std::lock_guard lock(state_->mutex);
    const auto it = state_->partial_runs.find(handle);
    if (it != state_->partial_runs.end() && status.ok()) it->second.left -= std::min(taken, it->second.left);
    if (it != state_->partial_runs.end() && (it->second.left == 0 || partial.run->is_over()))
      state_->partial_runs.erase(it);
  }
  raise_if_error(status);
  return values;
}

// --- the rest

std::vector<DeviceAttributes> Session::list_devices() const {
  raise_if_closed();
  return value_or_raise(state_->backend->list_devices());
}

void Session::reset(const std::string& target, const std::vector<std::string>& containers, const ConfigProto& config) {
  if (target.empty()) close_local_sessions();
  else raise_if_error(reset_remote(target, containers, config_proto(config)));
}

void Session::close() const {
  {
    const std::lock_guard lock(state_->mutex);
    state_->partial_runs.clear();
  }
  state_->backend->close();
}

bool Session::closed() const { return state_->backend->is_closed(); }
const Graph& Session::graph() const { return state_->graph; }
const std::string& Session::sess_str() const { return state_->target; }
const void* Session::identity() const { return state_.get(); }

}  // namespace millrace
