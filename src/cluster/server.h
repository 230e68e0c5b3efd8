#pragma once
// A server of TensorFlow's MasterService: what `millrace serve` and tf::train::Server run.
//
// No call holds a thread while its step waits: the transport's threads hand calls over, and a step's end finishes its
// call.

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/session_defaults.h"

namespace millrace {

struct ServerOptions {
  std::string address = "127.0.0.1";  // where to listen
  int port = 0;                       // 0: one that is free
  std::string job = "localhost";
  int task = 0;
  int max_sessions = 1000;
  int64_t max_message_bytes = int64_t{1} << 30;  // below 2 GiB
  SessionDefaults session_defaults = {};
};

// Thread-safe.
class Server {
 public:
  // Unavailable where it cannot listen there, Unimplemented without a transport.
  static absl::StatusOr<std::unique_ptr<Server>> start(const ServerOptions& options);
  ~Server();  // stops

  int port() const;
  std::string target() const;  // "grpc://localhost:2222"
  size_t num_sessions() const;
  // Ends all sessions, whose pending steps end with Cancelled, and then the calls. The second time, and later, does
  // nothing.
  void stop();
  void join();  // until somebody stops it

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
