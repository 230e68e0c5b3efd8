#include "cluster/remote_session.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "base/errors.h"
#include "base/log.h"
#include "cluster/master_client.h"
#include "cluster/master_methods.h"
#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "runtime/run_metadata.h"
#include "tensorflow/core/protobuf/master.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;
using std::chrono::milliseconds;

using namespace master_methods;

constexpr milliseconds kCloseTimeout{5000};    // a session is closed for its client whatever the server says
constexpr milliseconds kReleaseTimeout{2000};  // the same holds for a callable

absl::Status session_closed() { return cancelled("Session has been closed."); }

// The fetches of a run, each sent once; a fetched feed is answered here, as TensorFlow's clients do.
class FetchPlan {
 public:
  FetchPlan(std::span<const Output> feeds, std::span<const Output> fetches) {
    for (const Output& fetch : fetches) {
      if (const auto fed = std::ranges::find(feeds, fetch); fed != feeds.end()) {
        places_.push_back({static_cast<int>(fed - feeds.begin()), -1});
        continue;
      }
      const auto found = std::ranges::find(sent_, fetch);
      places_.push_back({-1, static_cast<int>(found - sent_.begin())});
      if (found == sent_.end()) sent_.push_back(fetch);
    }
  }
  const std::vector<Output>& sent() const { return sent_; }
  // One value per fetch. `feed` gives those that were fed.
  template <class Feed> std::vector<Tensor> spread(const std::vector<Tensor>& values, Feed feed) const {
    std::vector<Tensor> all;
    all.reserve(places_.size());
    for (const Place& place : places_)
      all.push_back(place.feed >= 0 ? feed(place.feed) : values[static_cast<size_t>(place.value)]);
    return all;
  }

 private:
  struct Place {
    int feed, value;
  };
  std::vector<Output> sent_;
  std::vector<Place> places_;
};

// What the server gave for `output`. Nothing that it sends is trusted.
absl::StatusOr<Tensor> received_value(const pb::TensorProto& proto, const Output& output) {
  absl::StatusOr<Tensor> value = from_proto(proto);
  if (!value.ok()) return annotate(value.status(), str_cat("the server's value of '", tensor_name(output), "'"));
  const DataType wanted = base_dtype(output.node()->output_type(output.index()));
  if (value->dtype() == wanted) return value;
  return internal_error("the server gave ", dtype_name(value->dtype()), " for '", tensor_name(output), "', which is ",
                        dtype_name(wanted));
}

absl::StatusOr<std::vector<Tensor>> received_values(const pb::RunStepResponse& response,
                                                    const std::vector<Output>& outputs) {
  absl::flat_hash_map<absl::string_view, const pb::TensorProto*> by_name;
  for (const pb::NamedTensorProto& tensor : response.tensor()) by_name[tensor.name()] = &tensor.tensor();
  std::vector<Tensor> values;
  values.reserve(outputs.size());
  for (const Output& output : outputs) {
    const auto it = by_name.find(tensor_name(output));
    if (it == by_name.end()) return internal_error("the server's answer lacks the tensor '", tensor_name(output), "'");
    MR_ASSIGN_OR_RETURN(values.emplace_back(), received_value(*it->second, output));
  }
  return values;
}

absl::Status add_feed(const Output& to, const Tensor& value, pb::RunStepRequest* request) {
  pb::NamedTensorProto* const feed = request->add_feed();
  feed->set_name(tensor_name(to));
  return to_proto(value, feed->mutable_tensor());
}

void add_metadata(const pb::RunMetadata& metadata, SessionBackend::Report* report) {
  report->run.nodes = node_stats(metadata);
  report->serialized = deterministic_bytes(metadata);
}

// The session, as long as it or a callable of it lives.
class RemoteSession final : public SessionBackend, public std::enable_shared_from_this<RemoteSession> {
 public:
  RemoteSession(std::shared_ptr<GraphImpl> graph, std::string target, std::shared_ptr<MasterClient> client,
                const pb::ConfigProto& config)
      : graph_(std::move(graph)), target_(std::move(target)), client_(std::move(client)), config_(config) {}
  ~RemoteSession() override { close(); }

  absl::Status run(const RunRequest& request, std::vector<Tensor>* fetched, Report* report) override;
  absl::StatusOr<std::shared_ptr<CallableBackend>> make_callable(const Signature& signature) override;
  absl::StatusOr<std::shared_ptr<PartialBackend>> partial_run_setup(const Signature& signature) override;
  absl::StatusOr<std::vector<DeviceAttributes>> list_devices() override;
  void close() override;
  bool is_closed() const override { return closed_.load(std::memory_order_acquire); }

  MasterClient& client() { return *client_; }
  milliseconds timeout(int64_t of_run = 0) const {
    return milliseconds(std::max<int64_t>(of_run > 0 ? of_run : config_.operation_timeout_in_ms(), 0));
  }
  // Brings the server's graph up to this one, and gives the session's handle.
  absl::StatusOr<std::string> ready();
  absl::Status run_step(const pb::RunStepRequest& request, pb::RunStepResponse* response, milliseconds timeout);
  absl::Status explained(const absl::Status& status) const;

 private:
  absl::Status create(pb::GraphDef graph);
  absl::Status extend(pb::GraphDef graph);
  bool take_changes(pb::GraphDef* changes);

  const std::shared_ptr<GraphImpl> graph_;
  const std::string target_;
  const std::shared_ptr<MasterClient> client_;
  const pb::ConfigProto config_;
  std::atomic<bool> closed_{false};

  std::mutex mutex_;    // guards what follows; held while the graph is sent
  std::string handle_;  // empty until the session is made
  int64_t graph_version_ = 0;
  size_t nodes_sent_ = 0;  // of the graph's
  std::set<std::string> functions_sent_;
  size_t nodes_taken_ = 0;  // what take_changes has seen, which counts once the server has it
  std::vector<std::string> functions_taken_;
};

// --- the graph

// What the server does not have yet; false for nothing.
bool RemoteSession::take_changes(pb::GraphDef* changes) {
  const std::lock_guard graph_lock(graph_->mutex());
  nodes_taken_ = graph_->nodes().size();
  functions_taken_.clear();
  const bool new_functions = graph_->library().size() != functions_sent_.size();
  if (nodes_taken_ == nodes_sent_ && !new_functions && !handle_.empty()) return false;
  to_graph_def(*graph_, changes, {.from_node = static_cast<int>(nodes_sent_), .library = new_functions});
  if (!new_functions) return true;
  google::protobuf::RepeatedPtrField<pb::FunctionDef> functions;
  functions.Swap(changes->mutable_library()->mutable_function());
  for (pb::FunctionDef& function : functions) {
    functions_taken_.push_back(function.signature().name());
    if (!functions_sent_.contains(functions_taken_.back()))
      *changes->mutable_library()->add_function() = std::move(function);
  }
  return true;
}

absl::Status RemoteSession::create(pb::GraphDef graph) {
  pb::CreateSessionRequest request;
  pb::CreateSessionResponse response;
  request.mutable_graph_def()->Swap(&graph);
  *request.mutable_config() = config_;
  request.set_target(target_);
  MR_RETURN_IF_ERROR(client_->call_patiently(kCreateSession, request, &response, timeout()));
  if (response.session_handle().empty()) return internal_error(target_, ": the server gave no session");
  handle_ = response.session_handle();
  graph_version_ = response.graph_version();
  return absl::OkStatus();
}

absl::Status RemoteSession::extend(pb::GraphDef graph) {
  pb::ExtendSessionRequest request;
  pb::ExtendSessionResponse response;
  request.set_session_handle(handle_);
  request.mutable_graph_def()->Swap(&graph);
  request.set_current_graph_version(graph_version_);
  MR_RETURN_IF_ERROR(client_->call(kExtendSession, request, &response, timeout()));
  graph_version_ = response.new_graph_version();
  return absl::OkStatus();
}

absl::StatusOr<std::string> RemoteSession::ready() {
  const std::lock_guard lock(mutex_);
  if (is_closed()) return session_closed();
  pb::GraphDef changes;
  if (!take_changes(&changes)) return handle_;
  const absl::Status status = handle_.empty() ? create(std::move(changes)) : extend(std::move(changes));
  if (!status.ok()) return explained(status);
  nodes_sent_ = nodes_taken_;
  functions_sent_.insert(functions_taken_.begin(), functions_taken_.end());
  return handle_;
}

// The error with what is known here of the node that it names: its op, and the user's source line.
absl::Status RemoteSession::explained(const absl::Status& status) const {
  constexpr std::string_view kMark = "{{node ";
  const std::string_view message = to_std(status.message());
  const size_t mark = message.find(kMark);
  if (mark == std::string_view::npos) return status;
  const size_t begin = mark + kMark.size(), end = message.find('}', begin);
  if (end == std::string_view::npos) return status;
  const std::string_view name = message.substr(begin, end - begin);
  const std::lock_guard graph_lock(graph_->mutex());
  const Node* const node = graph_->find(name);
  if (node == nullptr) return status;
  std::string text(message);
  if (!node->source().empty() && message.find(node->source()) == std::string_view::npos)
    str_append(&text, "\n\t '", node->name(), "' was created at ", node->source());
  return with_where(absl::Status(status.code(), text), {node->name(), node->op(), node->device(), node->source()});
}

// --- runs

absl::Status RemoteSession::run_step(const pb::RunStepRequest& request, pb::RunStepResponse* response,
                                     milliseconds timeout) {
  MR_RETURN_IF_ERROR(client_->call(kRunStep, request, response, timeout));
  if (response->status_code() == pb::error::OK) return absl::OkStatus();
  const int code = response->status_code();
  return explained(
      absl::Status(code >= 1 && code <= 16 ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                   response->status_error_message()));
}

absl::Status RemoteSession::run(const RunRequest& run, std::vector<Tensor>* fetched, Report* report) {
  if (run.fetches.empty() && run.targets.empty())
    return invalid_argument("Must specify at least one target to fetch or execute.");
  Signature signature;
  for (const auto& [output, value] : run.feeds) signature.feeds.push_back(output);
  signature.fetches.assign(run.fetches.begin(), run.fetches.end());
  signature.targets.assign(run.targets.begin(), run.targets.end());
  MR_RETURN_IF_ERROR(check_signature(*graph_, signature));
  const FetchPlan plan(signature.feeds, signature.fetches);
  pb::RunStepRequest request;
  for (size_t i = 0; i < run.feeds.size(); ++i) {
    MR_RETURN_IF_ERROR(check_feed(run.feeds[i].first, run.feeds[i].second, i));
    MR_RETURN_IF_ERROR(add_feed(run.feeds[i].first, run.feeds[i].second, &request));
  }
  for (const Output& output : plan.sent()) request.add_fetch(tensor_name(output));
  for (const Node* target : run.targets) request.add_target(target->name());
  request.set_store_errors_in_response_body(true);
  request.mutable_options()->set_timeout_in_ms(run.timeout_in_ms);
  if (run.trace) request.mutable_options()->set_trace_level(pb::RunOptions::FULL_TRACE);
  request.mutable_options()->set_output_partition_graphs(run.output_partition_graphs);
  std::vector<Tensor> values;
  if (request.fetch_size() > 0 || request.target_size() > 0) {
    MR_ASSIGN_OR_RETURN(*request.mutable_session_handle(), ready());
    pb::RunStepResponse response;
    const absl::Status status = run_step(request, &response, timeout(run.timeout_in_ms));
    if (report) add_metadata(response.metadata(), report);
    MR_RETURN_IF_ERROR(status);
    MR_ASSIGN_OR_RETURN(values, received_values(response, plan.sent()));
  } else if (is_closed()) {
    return session_closed();
  }
  *fetched = plan.spread(values, [&](int i) { return run.feeds[static_cast<size_t>(i)].second; });
  return absl::OkStatus();
}

// --- callables

class RemoteCallable final : public CallableBackend {
 public:
  RemoteCallable(std::shared_ptr<RemoteSession> session, std::string session_handle, int64_t handle,
                 Signature signature, FetchPlan plan)
      : session_(std::move(session)),
        session_handle_(std::move(session_handle)),
        handle_(handle),
        signature_(std::move(signature)),
        plan_(std::move(plan)) {}
  ~RemoteCallable() override {
    if (session_->is_closed()) return;
    pb::ReleaseCallableRequest request;
    pb::ReleaseCallableResponse response;
    request.set_session_handle(session_handle_);
    request.set_handle(handle_);
    const absl::Status status = session_->client().call(kReleaseCallable, request, &response, kReleaseTimeout);
    if (!status.ok()) log_debug("a callable could not be released: ", to_std(status.message()));
  }

  absl::Status run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) override {
    if (session_->is_closed()) return session_closed();
    if (feeds.size() != signature_.feeds.size())
      return invalid_argument("the callable takes ", signature_.feeds.size(), " values, got ", feeds.size());
    pb::RunCallableRequest request;
    pb::RunCallableResponse response;
    request.set_session_handle(session_handle_);
    request.set_handle(handle_);
    for (size_t i = 0; i < feeds.size(); ++i) {
      MR_RETURN_IF_ERROR(check_feed(signature_.feeds[i], feeds[i], i));
      MR_RETURN_IF_ERROR(to_proto(feeds[i], request.add_feed()));
    }
    const absl::Status status = session_->client().call(kRunCallable, request, &response, session_->timeout());
    if (!status.ok()) return session_->explained(status);
    if (static_cast<size_t>(response.fetch_size()) != plan_.sent().size())
      return internal_error("the server gave ", response.fetch_size(), " values of ", plan_.sent().size());
    std::vector<Tensor> values;
    for (int i = 0; i < response.fetch_size(); ++i) {
      MR_ASSIGN_OR_RETURN(values.emplace_back(),
                          received_value(response.fetch(i), plan_.sent()[static_cast<size_t>(i)]));
    }
    *fetched = plan_.spread(values, [&](int i) { return feeds[static_cast<size_t>(i)]; });
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<RemoteSession> session_;
  const std::string session_handle_;
  const int64_t handle_;
  const Signature signature_;
  const FetchPlan plan_;
};

absl::StatusOr<std::shared_ptr<CallableBackend>> RemoteSession::make_callable(const Signature& signature) {
  MR_RETURN_IF_ERROR(check_signature(*graph_, signature));
  FetchPlan plan(signature.feeds, signature.fetches);
  pb::MakeCallableRequest request;
  pb::MakeCallableResponse response;
  MR_ASSIGN_OR_RETURN(*request.mutable_session_handle(), ready());
  pb::CallableOptions* const options = request.mutable_options();
  for (const Output& feed : signature.feeds) options->add_feed(tensor_name(feed));
  for (const Output& fetch : plan.sent()) options->add_fetch(tensor_name(fetch));
  for (const Node* target : signature.targets) options->add_target(target->name());
  options->mutable_run_options()->set_timeout_in_ms(config_.operation_timeout_in_ms());
  const absl::Status status = client_->call(kMakeCallable, request, &response, timeout());
  if (!status.ok()) return explained(status);
  return std::make_shared<RemoteCallable>(shared_from_this(), request.session_handle(), response.handle(), signature,
                                          std::move(plan));
}

// --- partial runs

class RemotePartial final : public PartialBackend {
 public:
  RemotePartial(std::weak_ptr<RemoteSession> session, std::string session_handle, std::string handle,
                Signature signature)
      : session_(std::move(session)),
        session_handle_(std::move(session_handle)),
        handle_(std::move(handle)),
        signature_(std::move(signature)) {}

  absl::Status run(std::vector<std::pair<int, Tensor>> feeds, const std::vector<int>& fetches,
                   std::vector<Tensor>* fetched) override {
    const std::shared_ptr<RemoteSession> session = session_.lock();
    if (!session || session->is_closed()) return session_closed();
    pb::RunStepRequest request;
    pb::RunStepResponse response;
    request.set_session_handle(session_handle_);
    request.set_partial_run_handle(handle_);
    request.set_store_errors_in_response_body(true);
    for (const auto& [number, value] : feeds)
      MR_RETURN_IF_ERROR(add_feed(signature_.feeds[static_cast<size_t>(number)], value, &request));
    std::vector<Output> outputs;
    for (const int number : fetches) {
      outputs.push_back(signature_.fetches[static_cast<size_t>(number)]);
      request.add_fetch(tensor_name(outputs.back()));
    }
    MR_RETURN_IF_ERROR(session->run_step(request, &response, session->timeout()));
    MR_ASSIGN_OR_RETURN(*fetched, received_values(response, outputs));
    return absl::OkStatus();
  }
  bool is_over() const override { return session_.expired(); }

 private:
  const std::weak_ptr<RemoteSession> session_;
  const std::string session_handle_, handle_;
  const Signature signature_;
};

absl::StatusOr<std::shared_ptr<PartialBackend>> RemoteSession::partial_run_setup(const Signature& signature) {
  MR_RETURN_IF_ERROR(check_signature(*graph_, signature));
  pb::PartialRunSetupRequest request;
  pb::PartialRunSetupResponse response;
  MR_ASSIGN_OR_RETURN(*request.mutable_session_handle(), ready());
  for (const Output& feed : signature.feeds) request.add_feed(tensor_name(feed));
  for (const Output& fetch : signature.fetches) request.add_fetch(tensor_name(fetch));
  for (const Node* target : signature.targets) request.add_target(target->name());
  const absl::Status status = client_->call(kPartialRunSetup, request, &response, timeout());
  if (!status.ok()) return explained(status);
  return std::make_shared<RemotePartial>(weak_from_this(), request.session_handle(), response.partial_run_handle(),
                                         signature);
}

// --- devices, and the end

absl::StatusOr<std::vector<DeviceAttributes>> RemoteSession::list_devices() {
  pb::ListDevicesRequest request;
  pb::ListDevicesResponse response;
  MR_ASSIGN_OR_RETURN(*request.mutable_session_handle(), ready());
  MR_RETURN_IF_ERROR(client_->call(kListDevices, request, &response, timeout()));
  std::vector<DeviceAttributes> devices;
  for (const auto* list : {&response.local_device(), &response.remote_device()})
    for (const pb::DeviceAttributes& device : *list)
      devices.push_back({device.name(), device.device_type(), device.memory_limit(), device.incarnation()});
  return devices;
}

// The server ends the pending steps; a server that does not is waited for no longer.
void RemoteSession::close() {
  if (closed_.exchange(true, std::memory_order_acq_rel)) return;
  const absl::Status reason = session_closed();
  std::string handle;
  if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
    handle = handle_;
  } else {
    client_->cancel_all(reason);  // what is being sent ends now
    const std::lock_guard waits(mutex_);
    handle = handle_;
  }
  if (!handle.empty()) {
    pb::CloseSessionRequest request;
    pb::CloseSessionResponse response;
    request.set_session_handle(handle);
    const absl::Status status = client_->call_last(kCloseSession, request, &response, kCloseTimeout);
    if (!status.ok()) log_debug(target_, ": closing a session: ", to_std(status.message()));
  }
  client_->cancel_all(reason);
}

}  // namespace

absl::StatusOr<std::shared_ptr<SessionBackend>> new_remote_session(std::shared_ptr<GraphImpl> graph,
                                                                   const std::string& target,
                                                                   const pb::ConfigProto& config) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<MasterClient> client, MasterClient::connect(target));
  return std::make_shared<RemoteSession>(std::move(graph), target, std::move(client), config);
}

absl::Status reset_remote(const std::string& target, const std::vector<std::string>& containers,
                          const pb::ConfigProto& config) {
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<MasterClient> client, MasterClient::connect(target));
  pb::ResetRequest request;
  pb::ResetResponse response;
  for (const std::string& container : containers) request.add_container(container);
  return client->call_patiently(kReset, request, &response,
                                milliseconds(std::max<int64_t>(config.operation_timeout_in_ms(), 0)));
}

}  // namespace millrace
