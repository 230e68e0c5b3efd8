#pragma once
// What carries calls between processes: a method, a request and an answer as bytes. Nothing here knows of gRPC. The one
// implementation, cluster/grpc, stands in a library of its own, libmillrace_cluster.so, so that programs without
// servers load no gRPC; transport() opens it when it is first needed.
//
// The interface holds nothing that would have to be linked: the two libraries share these classes and abseil's Status.

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace millrace {

// Received bytes, in the pieces that they came in.
class ReceivedMessage {
 public:
  virtual ~ReceivedMessage() = default;
  virtual std::span<const std::string_view> pieces() const = 0;
};

// --- clients

// One call to a server.
class OutgoingCall {
 public:
  virtual ~OutgoingCall() = default;
  // Waits for the answer; once per call. Unavailable if the server cannot be reached or goes away, DeadlineExceeded
  // after `timeout` (zero: none).
  virtual absl::Status run(const char* method, std::string request, std::chrono::milliseconds timeout,
                           std::unique_ptr<ReceivedMessage>* answer) = 0;
  // Ends it with Cancelled. From any thread, at any time.
  virtual void cancel() = 0;
};

// Connects when the first call needs it, and anew whenever a call finds the connection lost. Thread-safe.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual std::unique_ptr<OutgoingCall> new_call() = 0;
};

// --- servers

// A call that came. Gone once it is finished and its handler's side destroyed.
class IncomingCall {
 public:
  virtual const ReceivedMessage& request() const = 0;
  virtual std::string peer() const = 0;  // for the log
  // Once, from any thread.
  virtual void finish(const absl::Status& status, std::string answer) = 0;

 protected:
  ~IncomingCall() = default;
};

// The handler's side of a call: lives until the transport has done with it, which is after finish().
class CallState {
 public:
  virtual ~CallState() = default;
  // The client has gone, or waits no longer. May come at any time after handle(), also after finish().
  virtual void on_cancel() = 0;
};

class CallHandler {
 public:
  virtual ~CallHandler() = default;
  virtual std::vector<const char*> methods() const = 0;  // "/tensorflow.MasterService/RunStep"
  // A call of methods()[method]. Must not block; throws nothing.
  virtual std::unique_ptr<CallState> handle(size_t method, IncomingCall* call) = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;  // after stop()
  virtual int port() const = 0;
  // Takes no more calls, cancels those that are left after `grace`, and comes back when all are gone.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::shared_ptr<Channel> connect(const std::string& address) = 0;  // "host:port"
  // `handler` outlives the listener. Port 0: one that is free. Messages are at most so many bytes, both ways.
  virtual absl::StatusOr<std::unique_ptr<Listener>> listen(const std::string& host, int port, int max_message_bytes,
                                                           CallHandler* handler) = 0;
};

// The transport of "grpc" that use_transport has set, or that libmillrace_cluster.so beside this library holds.
// Unimplemented, saying what to install, where there is none.
absl::StatusOr<Transport*> transport();
// For programs that link the transport themselves. It must live on.
void use_transport(Transport* transport);

}  // namespace millrace
