#include "cluster/master_service.h"

#include "runtime/step.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // gRPC sends messages in headers, whose size is limited.
  constexpr size_t kMaxMessage = 4000;
  std::string message(status.message());
  if (message.size() > kMaxMessage) message = message.substr(0, kMaxMessage) + "...";
  return {static_cast<grpc::StatusCode>(status.code()), message};
}

// A call under way. Lives until gRPC has done with it.
class Call final : public grpc::ServerUnaryReactor {
 public:
  CancellationScope* scope() { return &scope_; }
  void finish(const absl::Status& status) { Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
  // The client has gone, or its deadline has passed.
  void OnCancel() override { scope_.cancel(cancelled("RPC Request was cancelled")); }

 private:
  CancellationScope scope_;
};

// No exception may reach gRPC or a pool.
template <class Work> absl::Status guarded(Work work) {
  try {
    return work();
  } catch (...) {
    return exception_status();
  }
}

// gRPC gives requests as const, but they are the call's own: graphs are taken out of them instead of copied.
template <class Request> Request* taken(const Request* request) { return const_cast<Request*>(request); }

}  // namespace

MasterService::MasterService(const Master::Options& options) : master_(options), pool_("master", 2) {}

template <class Work> grpc::ServerUnaryReactor* MasterService::call(Work work) {
  auto* const call = new Call;
  pool_.schedule([call, work] { call->finish(guarded(work)); });
  return call;
}

grpc::ServerUnaryReactor* MasterService::CreateSession(grpc::CallbackServerContext* context,
                                                       const pb::CreateSessionRequest* request,
                                                       pb::CreateSessionResponse* response) {
  return call([=, this] { return master_.create_session(taken(request), context->peer(), response); });
}

grpc::ServerUnaryReactor* MasterService::ExtendSession(grpc::CallbackServerContext*,
                                                       const pb::ExtendSessionRequest* request,
                                                       pb::ExtendSessionResponse* response) {
  return call([=, this]() -> absl::Status {
    MR_ASSIGN_OR_RETURN(const auto session, master_.find(request->session_handle()));
    return session->extend(taken(request), response);
  });
}

grpc::ServerUnaryReactor* MasterService::PartialRunSetup(grpc::CallbackServerContext*,
                                                         const pb::PartialRunSetupRequest* request,
                                                         pb::PartialRunSetupResponse* response) {
  return call([=, this]() -> absl::Status {
    MR_ASSIGN_OR_RETURN(const auto session, master_.find(request->session_handle()));
    return session->partial_run_setup(*request, response);
  });
}

// Starts a step of the session on its runtime's pool; the step itself calls done, from anywhere.
template <class Start>
void MasterService::start_step(const std::string& handle, const MasterSession::Done& done, Start start) {
  absl::StatusOr<std::shared_ptr<MasterSession>> session = master_.find(handle);
  if (!session.ok()) {
    done(session.status());
    return;
  }
  (*session)->runtime().schedule([session = *session, done, start] {
    const absl::Status status = guarded([&] {
      start(*session);
      return absl::OkStatus();
    });
    if (!status.ok()) done(status);
  });
}

grpc::ServerUnaryReactor* MasterService::RunStep(grpc::CallbackServerContext*, const pb::RunStepRequest* request,
                                                 pb::RunStepResponse* response) {
  auto* const call = new Call;
  const auto done = [call, request, response](const absl::Status& status) {
    if (status.ok() || !request->store_errors_in_response_body()) {
      call->finish(status);
      return;
    }
    response->clear_tensor();
    response->set_status_code(static_cast<pb::error::Code>(status.code()));
    response->set_status_error_message(std::string(status.message()));
    call->finish(absl::OkStatus());
  };
  start_step(request->session_handle(), done,
             [=](MasterSession& session) { session.run_step(*request, response, call->scope(), done); });
  return call;
}

grpc::ServerUnaryReactor* MasterService::CloseSession(grpc::CallbackServerContext*,
                                                      const pb::CloseSessionRequest* request,
                                                      pb::CloseSessionResponse*) {
  return call([=, this] { return master_.close_session(request->session_handle()); });
}

grpc::ServerUnaryReactor* MasterService::ListDevices(grpc::CallbackServerContext*,
                                                     const pb::ListDevicesRequest* request,
                                                     pb::ListDevicesResponse* response) {
  return call([=, this] { return master_.list_devices(*request, response); });
}

grpc::ServerUnaryReactor* MasterService::Reset(grpc::CallbackServerContext*, const pb::ResetRequest* request,
                                               pb::ResetResponse*) {
  return call([=, this] {
    master_.reset(*request);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* MasterService::MakeCallable(grpc::CallbackServerContext*,
                                                      const pb::MakeCallableRequest* request,
                                                      pb::MakeCallableResponse* response) {
  return call([=, this]() -> absl::Status {
    MR_ASSIGN_OR_RETURN(const auto session, master_.find(request->session_handle()));
    return session->make_callable(*request, response);
  });
}

grpc::ServerUnaryReactor* MasterService::RunCallable(grpc::CallbackServerContext*,
                                                     const pb::RunCallableRequest* request,
                                                     pb::RunCallableResponse* response) {
  auto* const call = new Call;
  const auto done = [call](const absl::Status& status) { call->finish(status); };
  start_step(request->session_handle(), done,
             [=](MasterSession& session) { session.run_callable(*request, response, call->scope(), done); });
  return call;
}

grpc::ServerUnaryReactor* MasterService::ReleaseCallable(grpc::CallbackServerContext*,
                                                         const pb::ReleaseCallableRequest* request,
                                                         pb::ReleaseCallableResponse*) {
  return call([=, this]() -> absl::Status {
    MR_ASSIGN_OR_RETURN(const auto session, master_.find(request->session_handle()));
    return session->release_callable(*request);
  });
}

}  // namespace millrace
