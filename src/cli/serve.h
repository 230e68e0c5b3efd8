#pragma once
// `millrace serve`: a server of TensorFlow's MasterService, until a signal ends it.

#include <cstdint>
#include <string>

namespace millrace {

struct ServeCommandOptions {
  int port = 2222;  // 0: one that is free
  std::string listen = "127.0.0.1";
  std::string job = "localhost";
  int task = 0;
  int max_sessions = 1000;
  int64_t max_message_mib = 1024;
  int64_t memory_limit_mib = 0;  // of tensors; 0: what the machine has
};

// The exit code: 0 after SIGTERM or SIGINT, 1 if it cannot listen.
int serve_command(const ServeCommandOptions& options);

}  // namespace millrace
