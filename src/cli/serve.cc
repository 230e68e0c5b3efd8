#include "cli/serve.h"

#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "cli/status_text.h"
#include "cluster/grpc/grpc_transport.h"
#include "cluster/server.h"
#include "tensor/allocator.h"

namespace millrace {

int serve_command(const ServeCommandOptions& options) {
  // Blocked before the first thread starts, so that all threads have them blocked and sigwait gets them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  if (options.memory_limit_mib > 0) set_process_memory_limit(options.memory_limit_mib << 20);
  use_transport(grpc_transport());
  absl::StatusOr<std::unique_ptr<Server>> server = Server::start({.address = options.listen,
                                                                  .port = options.port,
                                                                  .job = options.job,
                                                                  .task = options.task,
                                                                  .max_sessions = options.max_sessions,
                                                                  .max_message_bytes = options.max_message_mib << 20});
  if (!server.ok()) {
    std::fprintf(stderr, "millrace serve: %s\n", status_text(server.status()).c_str());
    return 1;
  }
  std::printf("READY %s\n", (*server)->target().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  log_info("ending on ", signal == SIGTERM ? "SIGTERM" : "SIGINT", " with ", (*server)->num_sessions(), " sessions");
  (*server)->stop();
  return 0;
}

}  // namespace millrace
