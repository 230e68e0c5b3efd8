#pragma once
// One client's session on the server: its graph, what has been made ready to run, and its partial runs. Speaks
// TensorFlow's messages, knows nothing of gRPC.
//
// Thread-safe. Calls that run steps answer through a callback, maybe before they return, and block no thread in waits.

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/cancellation.h"
#include "cluster/client_graph.h"
#include "cluster/session_defaults.h"
#include "runtime/session.h"
#include "tensorflow/core/protobuf/master.pb.h"

namespace millrace {

class MasterSession : public std::enable_shared_from_this<MasterSession> {
 public:
  using Done = std::function<void(absl::Status)>;
  struct Options {
    std::string handle;
    std::string job = "localhost";
    int task = 0;
    std::shared_ptr<ResourceManager> resources;  // those that sessions share
    SessionDefaults defaults = {};
  };

  // Takes the graph out of the request.
  static absl::StatusOr<std::shared_ptr<MasterSession>> create(const Options& options,
                                                               tensorflow::CreateSessionRequest* request);
  ~MasterSession();

  const std::string& handle() const { return handle_; }
  Runtime& runtime() { return core_->runtime(); }

  absl::Status extend(tensorflow::ExtendSessionRequest* request, tensorflow::ExtendSessionResponse* response);
  // `call` is cancelled when the client has gone or waits no longer. It, request and response live until `done` is
  // called.
  void run_step(const tensorflow::RunStepRequest& request, tensorflow::RunStepResponse* response,
                CancellationScope* call, Done done);
  absl::Status partial_run_setup(const tensorflow::PartialRunSetupRequest& request,
                                 tensorflow::PartialRunSetupResponse* response);
  absl::Status make_callable(const tensorflow::MakeCallableRequest& request,
                             tensorflow::MakeCallableResponse* response);
  void run_callable(const tensorflow::RunCallableRequest& request, tensorflow::RunCallableResponse* response,
                    CancellationScope* call, Done done);
  absl::Status release_callable(const tensorflow::ReleaseCallableRequest& request);
  // Ends pending steps with Cancelled.
  void close();

  // For the server's care of its sessions.
  bool is_idle() const { return running_.load(std::memory_order_relaxed) == 0; }
  std::chrono::steady_clock::time_point last_used() const {
    return std::chrono::steady_clock::time_point(
        std::chrono::steady_clock::duration(last_used_.load(std::memory_order_relaxed)));
  }

 private:
  using Names = google::protobuf::RepeatedPtrField<std::string>;
  struct Endpoints {
    std::vector<Output> feeds, fetches;
    std::vector<Node*> targets;
  };
  struct Callable {
    std::shared_ptr<CallableCore> core;
    AsyncRun::Options options;
  };
  struct Partial;
  class Use;

  MasterSession(const Options& options, const SessionCoreOptions& core_options);
  absl::StatusOr<Endpoints> resolve(const std::vector<std::string_view>& feeds, const Names& fetches,
                                    const Names& targets);
  absl::StatusOr<std::shared_ptr<CallableCore>> callable_for(const tensorflow::RunStepRequest& request);
  void start(const std::shared_ptr<CallableCore>& callable, const AsyncRun::Options& options, std::vector<Tensor> feeds,
             CancellationScope* call, AsyncRun::Done done);
  void run_partial(const tensorflow::RunStepRequest& request, tensorflow::RunStepResponse* response,
                   CancellationScope* call, Done done);

  const std::string handle_;
  ClientGraph graph_;
  const std::shared_ptr<SessionCore> core_;
  std::atomic<int> running_{0};
  std::atomic<int64_t> last_used_{0};

  std::mutex mutex_;  // guards what follows
  int64_t graph_version_ = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<CallableCore>> by_names_;  // of RunSteps, by all their names
  absl::flat_hash_map<int64_t, Callable> callables_;
  int64_t next_callable_ = 1;
  absl::flat_hash_map<std::string, std::shared_ptr<Partial>> partial_runs_;
  int64_t next_partial_run_ = 0;
};

}  // namespace millrace
