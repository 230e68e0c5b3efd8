#pragma once
// What tf::Session drives: a session in this process (LocalSession) or one at a server (cluster/remote_session.h).
// TensorFlow's SessionInterface. Thread-safe; outputs and nodes are those of the session's graph.

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "millrace/session.h"
#include "runtime/session.h"

namespace millrace {

// A signature made ready. Thread-safe; keeps its session alive.
class CallableBackend {
 public:
  virtual ~CallableBackend() = default;
  // As many tensors as there are feeds; one value per fetch.
  virtual absl::Status run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) = 0;
};

// A run whose feeds and fetches come one by one, by their numbers in its setup.
class PartialBackend {
 public:
  virtual ~PartialBackend() = default;
  virtual absl::Status run(std::vector<std::pair<int, Tensor>> feeds, const std::vector<int>& fetches,
                           std::vector<Tensor>* fetched) = 0;
  virtual bool is_over() const = 0;  // it is known that nothing more can be asked of it
};

class SessionBackend {
 public:
  // The report as tensorflow.RunMetadata, too.
  struct Report {
    RunReport run;
    std::string serialized;
  };

  virtual ~SessionBackend() = default;
  // `report` may be null.
  virtual absl::Status run(const RunRequest& request, std::vector<Tensor>* fetched, Report* report) = 0;
  virtual absl::StatusOr<std::shared_ptr<CallableBackend>> make_callable(const Signature& signature) = 0;
  virtual absl::StatusOr<std::shared_ptr<PartialBackend>> partial_run_setup(const Signature& signature) = 0;
  virtual absl::StatusOr<std::vector<DeviceAttributes>> list_devices() = 0;
  // Ends all runs. Later ones give Cancelled "Session has been closed."
  virtual void close() = 0;
  virtual bool is_closed() const = 0;
};

// In this process.
absl::StatusOr<std::shared_ptr<SessionBackend>> new_local_session(std::shared_ptr<GraphImpl> graph,
                                                                  const SessionCoreOptions& options);
// Closes all of these that are alive.
void close_local_sessions();

}  // namespace millrace
