#pragma once
// A session at a server, which may be ours or TensorFlow's: the client of MasterService. Nothing is sent until the
// first run; later nodes of the graph follow as they are needed. Knows nothing of gRPC.

#include <memory>
#include <string>
#include <vector>

#include "runtime/session_backend.h"

namespace tensorflow {
class ConfigProto;
}

namespace millrace {

// NotFound for a target that is not "grpc://host:port", Unimplemented without a transport.
absl::StatusOr<std::shared_ptr<SessionBackend>> new_remote_session(std::shared_ptr<GraphImpl> graph,
                                                                   const std::string& target,
                                                                   const tensorflow::ConfigProto& config);
// Session.reset.
absl::Status reset_remote(const std::string& target, const std::vector<std::string>& containers,
                          const tensorflow::ConfigProto& config);

}  // namespace millrace
