// Hostile clients: bytes to the calls of a server's master one after another, each a method, a length and a message,
// against a master of few sessions and little memory. Messages that name no session mean the one opened last.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "cluster/master.h"
#include "fuzz/harmless_graph.h"
#include "tensor/allocator.h"
#include "tensorflow/core/protobuf/master.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

constexpr int64_t kMemoryLimit = int64_t{64} << 20;
constexpr auto kDeadline = std::chrono::milliseconds(100);  // of a step
constexpr int kMostCalls = 12;
constexpr size_t kMostNodes = 200;

// Waits for a step's answer, and past the deadline for the answer to its cancellation.
class Step {
 public:
  CancellationScope* scope() { return &scope_; }
  MasterSession::Done done() {
    return [this](const absl::Status&) {
      const std::lock_guard lock(mutex_);
      answered_ = true;
      changed_.notify_all();
    };
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kDeadline, [this] { return answered_; })) return;
    lock.unlock();
    scope_.cancel();
    lock.lock();
    changed_.wait(lock, [this] { return answered_; });
  }

 private:
  CancellationScope scope_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answered_ = false;
};

class Client {
 public:
  void call(uint8_t method, std::string_view message) {
    switch (method % 10) {
      case 0: return with<pb::CreateSessionRequest>(message, [&](auto& r) { create(r); });
      case 1: return with<pb::ExtendSessionRequest>(message, [&](auto& r) { extend(r); });
      case 2: return with<pb::RunStepRequest>(message, [&](auto& r) { run_step(r); });
      case 3: return with<pb::PartialRunSetupRequest>(message, [&](auto& r) { partial_run_setup(r); });
      case 4: return with<pb::MakeCallableRequest>(message, [&](auto& r) { make_callable(r); });
      case 5: return with<pb::RunCallableRequest>(message, [&](auto& r) { run_callable(r); });
      case 6: return with<pb::ReleaseCallableRequest>(message, [&](auto& r) { release(r); });
      case 7: return with<pb::CloseSessionRequest>(message, [&](auto& r) { close(r); });
      case 8: return with<pb::ListDevicesRequest>(message, [&](auto& r) { list(r); });
      default: return with<pb::ResetRequest>(message, [&](auto& r) { master_.reset(r); });
    }
  }

 private:
  template <class Request, class Use> void with(std::string_view message, Use use) {
    Request request;
    if (request.ParseFromArray(message.data(), static_cast<int>(message.size()))) use(request);
  }
  template <class Request, class Use> void in_session(Request& request, Use use) {
    if (request.session_handle().empty()) request.set_session_handle(latest_);
    if (const auto session = master_.find(request.session_handle()); session.ok()) use(**session);
  }

  void create(pb::CreateSessionRequest& request) {
    pb::CreateSessionResponse response;
    request.mutable_config()->clear_intra_op_parallelism_threads();  // threads are not what is under test
    request.mutable_config()->clear_inter_op_parallelism_threads();
    if (is_harmless(request.graph_def(), kMostNodes) && master_.create_session(&request, "fuzz", &response).ok())
      latest_ = response.session_handle();
  }
  void extend(pb::ExtendSessionRequest& request) {
    pb::ExtendSessionResponse response;
    if (!is_harmless(request.graph_def(), kMostNodes)) return;
    in_session(request, [&](MasterSession& s) { s.extend(&request, &response).IgnoreError(); });
  }
  void run_step(pb::RunStepRequest& request) {
    pb::RunStepResponse response;
    if (request.partial_run_handle() == "latest") request.set_partial_run_handle(partial_run_);
    in_session(request, [&](MasterSession& s) {
      Step step;
      s.run_step(request, &response, step.scope(), step.done());
      step.wait();
    });
  }
  void partial_run_setup(pb::PartialRunSetupRequest& request) {
    pb::PartialRunSetupResponse response;
    in_session(request, [&](MasterSession& s) {
      if (s.partial_run_setup(request, &response).ok()) partial_run_ = response.partial_run_handle();
    });
  }
  void make_callable(pb::MakeCallableRequest& request) {
    pb::MakeCallableResponse response;
    in_session(request, [&](MasterSession& s) {
      if (s.make_callable(request, &response).ok()) callable_ = response.handle();
    });
  }
  void run_callable(pb::RunCallableRequest& request) {
    pb::RunCallableResponse response;
    if (request.handle() == 0) request.set_handle(callable_);
    in_session(request, [&](MasterSession& s) {
      Step step;
      s.run_callable(request, &response, step.scope(), step.done());
      step.wait();
    });
  }
  void release(pb::ReleaseCallableRequest& request) {
    if (request.handle() == 0) request.set_handle(callable_);
    in_session(request, [&](MasterSession& s) { s.release_callable(request).IgnoreError(); });
  }
  void close(pb::CloseSessionRequest& request) {
    if (request.session_handle().empty()) request.set_session_handle(latest_);
    master_.close_session(request.session_handle()).IgnoreError();
  }
  void list(pb::ListDevicesRequest& request) {
    pb::ListDevicesResponse response;
    master_.list_devices(request, &response).IgnoreError();
  }

  Master master_{Master::Options{.max_sessions = 3}};
  std::string latest_, partial_run_;
  int64_t callable_ = 0;
};

void run(std::string_view bytes) {
  set_process_memory_limit(kMemoryLimit);
  Client client;
  for (int calls = 0; calls < kMostCalls && bytes.size() >= 3; ++calls) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const uint8_t method = at(0);
    const size_t length = std::min<size_t>(at(1) | at(2) << 8, bytes.size() - 3);
    client.call(method, bytes.substr(3, length));
    bytes.remove_prefix(3 + length);
  }
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
