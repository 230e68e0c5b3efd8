#pragma once
// The sessions of a server by their handles, and the containers of resources that they share. Knows nothing of gRPC.
// Thread-safe.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/master_session.h"

namespace millrace {

class Master {
 public:
  struct Options {
    std::string job = "localhost";
    int task = 0;
    int max_sessions = 1000;
    // A session that nobody has used for so long, or whose client vanished while a step ran, makes room where there
    // are too many.
    std::chrono::seconds idle_time = std::chrono::minutes(10);
    SessionDefaults defaults = {};
  };

  explicit Master(const Options& options);
  ~Master();

  // `peer` is for the log. ResourceExhausted where there are too many sessions, all in use.
  absl::Status create_session(tensorflow::CreateSessionRequest* request, const std::string& peer,
                              tensorflow::CreateSessionResponse* response);
  // Aborted: "Session H is not found. ..."
  absl::StatusOr<std::shared_ptr<MasterSession>> find(const std::string& handle) const;
  absl::Status close_session(const std::string& handle);
  absl::Status list_devices(const tensorflow::ListDevicesRequest& request,
                            tensorflow::ListDevicesResponse* response) const;
  // Forgets the containers, all of the default one if none are named, and ends all sessions.
  void reset(const tensorflow::ResetRequest& request);
  void close_all();
  size_t num_sessions() const;

 private:
  absl::Status make_room();

  const Options options_;
  const std::vector<Device> devices_;
  const uint64_t incarnation_;
  const std::shared_ptr<ResourceManager> resources_ = std::make_shared<ResourceManager>();
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<MasterSession>> sessions_;
};

}  // namespace millrace
