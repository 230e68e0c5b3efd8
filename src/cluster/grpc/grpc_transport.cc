// The only door to gRPC. Methods are registered by name and carry bytes (gRPC calls that "raw"), as its generated code
// does for messages: no message's code is needed on this side of the border.

#include "cluster/grpc/grpc_transport.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kMaxStatusText = 4000;  // gRPC sends messages of errors in headers, whose size is limited

grpc::Status to_grpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  if (message.size() > kMaxStatusText) message = message.substr(0, kMaxStatusText) + "...";
  return {static_cast<grpc::StatusCode>(status.code()), message};
}

// The codes are TensorFlow's and abseil's; what a server may send besides is Unknown.
absl::Status from_grpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  int code = static_cast<int>(status.error_code());
  if (code < 1 || code > 16) code = static_cast<int>(absl::StatusCode::kUnknown);
  return absl::Status(static_cast<absl::StatusCode>(code), status.error_message());
}

// Takes the bytes, without a copy.
grpc::ByteBuffer to_buffer(std::string bytes) {
  auto* const owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* p) { delete static_cast<std::string*>(p); }, owned);
  return {&slice, 1};
}

class GrpcMessage final : public ReceivedMessage {
 public:
  // False where the bytes are compressed and cannot be read.
  bool take(const grpc::ByteBuffer& buffer) {
    if (!buffer.Dump(&slices_).ok()) return false;
    for (const grpc::Slice& slice : slices_)
      pieces_.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return true;
  }
  std::span<const std::string_view> pieces() const override { return pieces_; }

 private:
  std::vector<grpc::Slice> slices_;
  std::vector<std::string_view> pieces_;
};

// --- clients

class GrpcCall final : public OutgoingCall {
 public:
  explicit GrpcCall(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {}

  absl::Status run(const char* method, std::string request, std::chrono::milliseconds timeout,
                   std::unique_ptr<ReceivedMessage>* answer) override {
    if (timeout > std::chrono::milliseconds::zero()) {
      constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);  // clocks overflow far beyond
      context_.set_deadline(std::chrono::system_clock::now() + std::min(timeout, kLongest));
    }
    const grpc::internal::RpcMethod rpc(method, grpc::internal::RpcMethod::NORMAL_RPC, channel_);
    grpc::ByteBuffer received;
    // What generated stubs call: waits on this thread, which saves a change of threads per step.
    const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel_.get(), rpc, &context_, to_buffer(std::move(request)), &received);
    if (!status.ok()) return from_grpc(status);
    auto message = std::make_unique<GrpcMessage>();
    if (!message->take(received)) return internal_error(method, ": the answer cannot be read");
    *answer = std::move(message);
    return absl::OkStatus();
  }
  void cancel() override { context_.TryCancel(); }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
};

class GrpcChannel final : public Channel {
 public:
  explicit GrpcChannel(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    // A server that has started anew is found within a second, not after two minutes. The middle one limits a connect.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    // A machine that has vanished without a word ends a waiting step, after some minutes: servers by default take more
    // frequent pings for an attack.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 6 * 60 * 1000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * 1000);
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  std::unique_ptr<OutgoingCall> new_call() override { return std::make_unique<GrpcCall>(channel_); }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

// --- servers

// A call under way. Lives until gRPC has done with it.
class Reactor final : public grpc::ServerUnaryReactor, public IncomingCall {
 public:
  Reactor(const grpc::CallbackServerContext* context, grpc::ByteBuffer* answer) : context_(context), answer_(answer) {}

  void start(CallHandler* handler, size_t method, const grpc::ByteBuffer& request) {
    if (!request_.take(request)) {
      finish(internal_error("the request cannot be read"), {});
      return;
    }
    state_ = handler->handle(method, this);
  }
  const ReceivedMessage& request() const override { return request_; }
  std::string peer() const override { return context_->peer(); }
  void finish(const absl::Status& status, std::string answer) override {
    if (status.ok()) *answer_ = to_buffer(std::move(answer));
    Finish(to_grpc(status));
  }
  // gRPC calls these after start() has returned.
  void OnDone() override { delete this; }
  void OnCancel() override {
    if (state_) state_->on_cancel();
  }

 private:
  const grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const answer_;
  GrpcMessage request_;
  std::unique_ptr<CallState> state_;
};

class RawService final : public grpc::Service {
 public:
  explicit RawService(CallHandler* handler) {
    const std::vector<const char*> methods = handler->methods();
    for (size_t i = 0; i < methods.size(); ++i) {
      AddMethod(new grpc::internal::RpcServiceMethod(methods[i], grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
      MarkMethodRawCallback(static_cast<int>(i),
                            new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
                                [handler, i](grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* answer) -> grpc::ServerUnaryReactor* {
                                  auto* const reactor = new Reactor(context, answer);
                                  reactor->start(handler, i, *request);
                                  return reactor;
                                }));
    }
  }
};

class GrpcListener final : public Listener {
 public:
  explicit GrpcListener(CallHandler* handler) : service_(handler) {}

  absl::Status start(const std::string& address, int max_message_bytes) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(max_message_bytes);
    builder.SetMaxSendMessageSize(max_message_bytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two servers on one port would share its clients
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) return unavailable("Could not listen on ", address);
    return absl::OkStatus();
  }
  int port() const override { return port_; }
  void stop(std::chrono::milliseconds grace) override { server_->Shutdown(std::chrono::system_clock::now() + grace); }

 private:
  RawService service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

class GrpcTransport final : public Transport {
 public:
  std::shared_ptr<Channel> connect(const std::string& address) override {
    return std::make_shared<GrpcChannel>(address);
  }
  absl::StatusOr<std::unique_ptr<Listener>> listen(const std::string& host, int port, int max_message_bytes,
                                                   CallHandler* handler) override {
    const bool v6 = host.find(':') != std::string::npos;
    auto listener = std::make_unique<GrpcListener>(handler);
    MR_RETURN_IF_ERROR(
        listener->start(v6 ? str_cat("[", host, "]:", port) : str_cat(host, ":", port), max_message_bytes));
    return listener;
  }
};

}  // namespace

Transport* grpc_transport() {
  static auto* const transport = new GrpcTransport;  // outlives the last session
  return transport;
}

}  // namespace millrace
