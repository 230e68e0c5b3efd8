#include "cluster/master.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "runtime/device.h"
#include "tensor/allocator.h"

namespace millrace {
namespace {

uint64_t random_number() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

absl::Status no_session(const std::string& handle) {
  return aborted("Session ", handle, " is not found. Possibly, this master has restarted.");
}

}  // namespace

Master::Master(const Options& options)
    : options_(options),
      devices_(local_devices(options.defaults.num_cpu_devices, options.job, options.task)),
      incarnation_(random_number()) {}

Master::~Master() { close_all(); }

// Under the mutex.
absl::Status Master::make_room() {
  if (sessions_.size() < static_cast<size_t>(options_.max_sessions)) return absl::OkStatus();
  const auto limit = std::chrono::steady_clock::now() - options_.idle_time;
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (!it->second->is_idle() || it->second->last_used() > limit) continue;
    if (oldest == sessions_.end() || it->second->last_used() < oldest->second->last_used()) oldest = it;
  }
  if (oldest == sessions_.end()) {
    return resource_exhausted("The server has ", sessions_.size(), " sessions, all in use within the last ",
                              options_.idle_time.count(), " s; close some, or start it with a larger limit.");
  }
  log_warning("session ", oldest->first, ": dropped, unused for longest of ", sessions_.size());
  oldest->second->close();
  sessions_.erase(oldest);
  return absl::OkStatus();
}

absl::Status Master::create_session(tensorflow::CreateSessionRequest* request, const std::string& peer,
                                    tensorflow::CreateSessionResponse* response) {
  const std::string handle = absl::StrFormat("%016x", random_number());
  const bool isolated = request->config().isolate_session_state();
  const int nodes = request->graph_def().node_size();
  {
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(make_room());
  }
  MR_ASSIGN_OR_RETURN(
      std::shared_ptr<MasterSession> session,
      MasterSession::create({handle, options_.job, options_.task, resources_, options_.defaults}, request));
  {
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(make_room());
    sessions_.emplace(handle, std::move(session));
  }
  response->set_session_handle(handle);
  log_info("session ", handle, ": opened by ", peer, " with ", nodes, " nodes", isolated ? ", isolated" : "");
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<MasterSession>> Master::find(const std::string& handle) const {
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(handle);
  if (it == sessions_.end()) return no_session(handle);
  return it->second;
}

absl::Status Master::close_session(const std::string& handle) {
  std::shared_ptr<MasterSession> session;
  {
    const std::lock_guard lock(mutex_);
    const auto it = sessions_.find(handle);
    if (it == sessions_.end()) return no_session(handle);
    session = std::move(it->second);
    sessions_.erase(it);
  }
  session->close();
  return absl::OkStatus();
}

absl::Status Master::list_devices(const tensorflow::ListDevicesRequest& request,
                                  tensorflow::ListDevicesResponse* response) const {
  if (!request.session_handle().empty()) MR_RETURN_IF_ERROR(find(request.session_handle()).status());
  for (const Device& device : devices_) {
    tensorflow::DeviceAttributes* attributes = response->add_local_device();
    attributes->set_name(device.name);
    attributes->set_device_type(device.type);
    attributes->set_memory_limit(process_allocator_stats().bytes_limit);
    attributes->set_incarnation(incarnation_);
    attributes->mutable_locality();
  }
  return absl::OkStatus();
}

void Master::reset(const tensorflow::ResetRequest& request) {
  close_all();
  for (const std::string& container : request.container()) resources_->clear_container(container);
  if (request.container_size() == 0) resources_->clear_container(ResourceManager::kDefaultContainer);
}

void Master::close_all() {
  decltype(sessions_) sessions;
  {
    const std::lock_guard lock(mutex_);
    sessions.swap(sessions_);
  }
  for (const auto& [handle, session] : sessions) session->close();
}

size_t Master::num_sessions() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

}  // namespace millrace
