#include "millrace/session.h"

#include "base/errors.h"
#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "runtime/run_metadata.h"
#include "runtime/session.h"
#include "tensorflow/core/protobuf/config.pb.h"

namespace millrace {
namespace {

SessionCoreOptions core_options(const ConfigProto& config) {
  SessionCoreOptions core;
  RuntimeOptions& runtime = core.runtime;
  runtime.intra_op_parallelism_threads = config.intra_op_parallelism_threads;
  runtime.inter_op_parallelism_threads = config.inter_op_parallelism_threads;
  runtime.allow_soft_placement = config.allow_soft_placement;
  runtime.log_device_placement = config.log_device_placement;
  const OptimizerOptions& optimizer = config.graph_options.optimizer_options;
  const bool optimize = optimizer.opt_level != OptimizerOptions::L0;
  runtime.constant_folding = optimize && optimizer.do_constant_folding;
  runtime.common_subexpressions = optimize && optimizer.do_common_subexpression_elimination;
  runtime.inline_functions = optimize && optimizer.do_function_inlining;
  runtime.arithmetic = runtime.fusion = optimize;
  if (const auto cpus = config.device_count.find("CPU"); cpus != config.device_count.end())
    core.num_cpu_devices = cpus->second;
  core.operation_timeout_in_ms = config.operation_timeout_in_ms;
  return core;
}

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

std::vector<Tensor> spread(std::vector<Tensor> values, const std::vector<int>& positions, size_t count) {
  if (values.size() == count) return values;
  std::vector<Tensor> all(count);
  for (size_t i = 0; i < values.size(); ++i) all[static_cast<size_t>(positions[i])] = std::move(values[i]);
  return all;
}

absl::Status not_closed(const SessionCore& core) {
  return core.is_closed() ? cancelled("Attempted to use a closed Session.") : absl::OkStatus();
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
  Graph graph;
  std::string target;
  std::shared_ptr<SessionCore> core;
  ~State() { core->close(); }
};

Session::Session(SessionOptions options) {
  if (!options.target.empty()) {
    raise(unimplemented("the session target '", options.target,
                        "' is not in this process; remote sessions are not built in"));
  }
  Graph graph = options.graph ? *options.graph : get_default_graph();
  std::shared_ptr<SessionCore> core =
      value_or_raise(SessionCore::create(graph.shared_impl(), core_options(options.config)));
  state_ = std::make_shared<State>(std::move(graph), std::move(options.target), std::move(core));
}

Tensor Session::run(const Fetch& fetch, const FeedDict& feed_dict, const RunOptions& options,
                    RunMetadata* run_metadata) const {
  return std::move(run(std::vector<Fetch>{fetch}, feed_dict, options, run_metadata)[0]);
}

std::vector<Tensor> Session::run(const std::vector<Fetch>& fetches, const FeedDict& feed_dict,
                                 const RunOptions& options, RunMetadata* run_metadata) const {
  raise_if_error(not_closed(*state_->core));
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
  RunReport report;
  std::vector<Tensor> values;
  const absl::Status status = state_->core->run(request, &values, run_metadata ? &report : nullptr);
  if (run_metadata) {
    run_metadata->step_stats.clear();
    for (const NodeStats& n : report.nodes) {
      run_metadata->step_stats.push_back({n.node_name, n.label, n.device, n.start_nanos, n.end_nanos, n.thread});
    }
    run_metadata->serialized = run_metadata_bytes(report);
  }
  raise_if_error(status);
  return spread(std::move(values), resolved.positions, fetches.size());
}

Callable Session::make_callable(const std::vector<Fetch>& fetches, const std::vector<Fetch>& feed_list) const {
  raise_if_error(not_closed(*state_->core));
  const GraphImpl& graph = state_->graph.impl();
  const Resolved resolved = resolve(graph, fetches);
  std::vector<Output> feeds;
  for (const Fetch& feed : feed_list) feeds.push_back(output_of(graph, feed));
  Callable callable;
  callable.core_ = value_or_raise(state_->core->make_callable(feeds, resolved.outputs, resolved.targets));
  callable.num_fetches_ = fetches.size();
  if (resolved.outputs.size() != fetches.size()) callable.positions_ = resolved.positions;
  return callable;
}

void Callable::run(const std::vector<Tensor>& feeds, std::vector<Tensor>* results) const {
  raise_if_error(core_->run(feeds, results));
  if (results->size() != num_fetches_) *results = spread(std::move(*results), positions_, num_fetches_);
}

std::vector<Tensor> Callable::operator()(const std::vector<Tensor>& feeds) const {
  std::vector<Tensor> results;
  run(feeds, &results);
  return results;
}

void Session::close() const { state_->core->close(); }
bool Session::closed() const { return state_->core->is_closed(); }
const Graph& Session::graph() const { return state_->graph; }
const std::string& Session::sess_str() const { return state_->target; }
const std::shared_ptr<SessionCore>& Session::core() const { return state_->core; }

}  // namespace millrace
