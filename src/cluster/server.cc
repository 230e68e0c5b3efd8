#include "cluster/server.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "cluster/master_service.h"

namespace millrace {

struct Server::Impl {
  explicit Impl(const Master::Options& options) : service(options) {}

  MasterService service;
  std::unique_ptr<Listener> listener;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false, stopped = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { stop(); }

absl::StatusOr<std::unique_ptr<Server>> Server::start(const ServerOptions& options) {
  MR_ASSIGN_OR_RETURN(Transport* const carrier, transport());
  auto impl = std::make_unique<Impl>(Master::Options{.job = options.job,
                                                     .task = options.task,
                                                     .max_sessions = options.max_sessions,
                                                     .defaults = options.session_defaults});
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  const int limit = static_cast<int>(std::clamp<int64_t>(options.max_message_bytes, 1, kMost));
  MR_ASSIGN_OR_RETURN(impl->listener, carrier->listen(options.address, options.port, limit, &impl->service));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::port() const { return impl_->listener->port(); }
std::string Server::target() const { return str_cat("grpc://localhost:", port()); }
size_t Server::num_sessions() const { return impl_->service.master().num_sessions(); }

void Server::stop() {
  {
    std::unique_lock lock(impl_->mutex);
    if (impl_->stopping) {
      impl_->changed.wait(lock, [&] { return impl_->stopped; });
      return;
    }
    impl_->stopping = true;
  }
  impl_->service.master().close_all();
  // Calls that came after that get a moment, and are then cancelled, which ends their steps.
  impl_->listener->stop(std::chrono::milliseconds(500));
  impl_->service.master().close_all();
  const std::lock_guard lock(impl_->mutex);
  impl_->stopped = true;
  impl_->changed.notify_all();
}

void Server::join() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [&] { return impl_->stopped; });
}

}  // namespace millrace
