#include "cluster/master_service.h"

#include "cluster/master_methods.h"
#include "cluster/message_bytes.h"
#include "runtime/step.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

// No exception may reach the transport or a pool.
template <class Work> absl::Status guarded(Work work) {
  try {
    return work();
  } catch (...) {
    return exception_status();
  }
}

// A call under way: its messages, and the scope that its step belongs to.
template <class RequestType, class ResponseType> class Call final : public CallState {
 public:
  using Request = RequestType;
  using Response = ResponseType;

  explicit Call(IncomingCall* incoming) : incoming_(incoming) {}

  absl::Status parse() {
    return guarded([this] { return from_bytes(incoming_->request(), &request); });
  }
  // The object may be gone afterwards.
  void finish(absl::Status status) {
    std::string bytes;
    if (status.ok()) status = guarded([&] { return to_bytes(response, &bytes); });
    incoming_->finish(status, std::move(bytes));
  }
  std::string peer() const { return incoming_->peer(); }
  void on_cancel() override { scope.cancel(cancelled("RPC Request was cancelled")); }

  Request request;
  Response response;
  CancellationScope scope;

 private:
  IncomingCall* const incoming_;
};

#define MR_CALL(Name) using Name##Call = Call<pb::Name##Request, pb::Name##Response>;
MR_CALL(CreateSession)
MR_CALL(ExtendSession)
MR_CALL(PartialRunSetup)
MR_CALL(RunStep)
MR_CALL(CloseSession)
MR_CALL(ListDevices)
MR_CALL(Reset)
MR_CALL(MakeCallable)
MR_CALL(RunCallable)
MR_CALL(ReleaseCallable)
#undef MR_CALL

// --- the calls that run no steps

absl::Status answer(Master& master, CreateSessionCall& call) {
  return master.create_session(&call.request, call.peer(), &call.response);
}
absl::Status answer(Master& master, ExtendSessionCall& call) {
  MR_ASSIGN_OR_RETURN(const auto session, master.find(call.request.session_handle()));
  return session->extend(&call.request, &call.response);
}
absl::Status answer(Master& master, PartialRunSetupCall& call) {
  MR_ASSIGN_OR_RETURN(const auto session, master.find(call.request.session_handle()));
  return session->partial_run_setup(call.request, &call.response);
}
absl::Status answer(Master& master, CloseSessionCall& call) {
  return master.close_session(call.request.session_handle());
}
absl::Status answer(Master& master, ListDevicesCall& call) { return master.list_devices(call.request, &call.response); }
absl::Status answer(Master& master, ResetCall& call) {
  master.reset(call.request);
  return absl::OkStatus();
}
absl::Status answer(Master& master, MakeCallableCall& call) {
  MR_ASSIGN_OR_RETURN(const auto session, master.find(call.request.session_handle()));
  return session->make_callable(call.request, &call.response);
}
absl::Status answer(Master& master, ReleaseCallableCall& call) {
  MR_ASSIGN_OR_RETURN(const auto session, master.find(call.request.session_handle()));
  return session->release_callable(call.request);
}

}  // namespace

MasterService::MasterService(const Master::Options& options) : master_(options), pool_("master", 2) {}

template <class Call> std::unique_ptr<CallState> MasterService::on_pool(IncomingCall* incoming) {
  auto call = std::make_unique<Call>(incoming);
  pool_.schedule([this, call = call.get()] {
    absl::Status status = call->parse();
    if (status.ok()) status = guarded([&] { return answer(master_, *call); });
    call->finish(std::move(status));
  });
  return call;
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

// Reads the call, and where that succeeds lets `run` start its step.
template <class Call, class Run> std::unique_ptr<CallState> MasterService::run_parsed(IncomingCall* incoming, Run run) {
  auto call = std::make_unique<Call>(incoming);
  if (absl::Status status = call->parse(); status.ok()) run(call.get());
  else call->finish(std::move(status));
  return call;
}

std::unique_ptr<CallState> MasterService::run_step(IncomingCall* incoming) {
  return run_parsed<RunStepCall>(incoming, [this](RunStepCall* call) {
    const auto done = [call](const absl::Status& status) {
      if (status.ok() || !call->request.store_errors_in_response_body()) {
        call->finish(status);
        return;
      }
      call->response.clear_tensor();
      call->response.set_status_code(static_cast<pb::error::Code>(status.code()));
      call->response.set_status_error_message(std::string(status.message()));
      call->finish(absl::OkStatus());
    };
    start_step(call->request.session_handle(), done, [call, done](MasterSession& session) {
      session.run_step(call->request, &call->response, &call->scope, done);
    });
  });
}

std::unique_ptr<CallState> MasterService::run_callable(IncomingCall* incoming) {
  return run_parsed<RunCallableCall>(incoming, [this](RunCallableCall* call) {
    const auto done = [call](const absl::Status& status) { call->finish(status); };
    start_step(call->request.session_handle(), done, [call, done](MasterSession& session) {
      session.run_callable(call->request, &call->response, &call->scope, done);
    });
  });
}

// --- which method is whose

struct MasterService::Method {
  const char* name;
  std::unique_ptr<CallState> (MasterService::*take)(IncomingCall*);
};

std::span<const MasterService::Method> MasterService::table() {
  using Service = MasterService;
  static constexpr Method kTable[] = {{master_methods::kRunStep, &Service::run_step},
                                      {master_methods::kRunCallable, &Service::run_callable},
                                      {master_methods::kCreateSession, &Service::on_pool<CreateSessionCall>},
                                      {master_methods::kExtendSession, &Service::on_pool<ExtendSessionCall>},
                                      {master_methods::kCloseSession, &Service::on_pool<CloseSessionCall>},
                                      {master_methods::kPartialRunSetup, &Service::on_pool<PartialRunSetupCall>},
                                      {master_methods::kListDevices, &Service::on_pool<ListDevicesCall>},
                                      {master_methods::kReset, &Service::on_pool<ResetCall>},
                                      {master_methods::kMakeCallable, &Service::on_pool<MakeCallableCall>},
                                      {master_methods::kReleaseCallable, &Service::on_pool<ReleaseCallableCall>}};
  return kTable;
}

std::vector<const char*> MasterService::methods() const {
  std::vector<const char*> names;
  for (const Method& method : table()) names.push_back(method.name);
  return names;
}

std::unique_ptr<CallState> MasterService::handle(size_t method, IncomingCall* incoming) {
  return (this->*table()[method].take)(incoming);
}

}  // namespace millrace
