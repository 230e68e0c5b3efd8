#pragma once
// A server in this process, which runs the graphs of its clients' sessions: TF1's tf.train.Server.
//
//   auto server = tf::train::Server::create_local_server();
//   tf::Session session({.target = server.target()});      // or from another process, in C++ or TensorFlow's Python
//
// Speaks TensorFlow's MasterService over gRPC, which libmillrace_cluster.so brings; UnimplementedError where that is
// not installed. Variables and queues live in the server, and its sessions share them by name. It asks nobody who they
// are: whoever reaches the port may run graphs, which read and write files.

#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "millrace/session.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// The jobs of a cluster, their tasks by number, and the address of each, "host:port".
class ClusterSpec {
 public:
  using Tasks = std::map<int, std::string>;
  ClusterSpec() = default;
  // {{"worker", {"host1:2222", "host2:2222"}}}: tasks from 0 on.
  ClusterSpec(std::initializer_list<std::pair<const std::string, std::vector<std::string>>> jobs)
      : ClusterSpec(std::map<std::string, std::vector<std::string>>(jobs)) {}
  explicit ClusterSpec(const std::map<std::string, std::vector<std::string>>& jobs);
  static ClusterSpec from_tasks(std::map<std::string, Tasks> jobs);  // with gaps

  std::vector<std::string> jobs() const;
  // InvalidArgumentError (TF1's ValueError) for a job or task that there is not.
  int num_tasks(const std::string& job_name) const;
  std::vector<int> task_indices(const std::string& job_name) const;
  const std::string& task_address(const std::string& job_name, int task_index) const;
  std::vector<std::string> job_tasks(const std::string& job_name) const;  // by number; empty where there is no task
  const std::map<std::string, Tasks>& as_dict() const { return jobs_; }
  friend bool operator==(const ClusterSpec&, const ClusterSpec&) = default;

 private:
  const Tasks& tasks(const std::string& job_name) const;
  std::map<std::string, Tasks> jobs_;
};

struct ServerDef {
  ClusterSpec cluster = {};
  std::string job_name = {};
  int task_index = 0;
  ConfigProto default_session_config = {};  // where a session's own config leaves a setting at its default
  std::string protocol = "grpc";
};

struct ServerOptions {
  std::optional<std::string> job_name = {};  // absent: the only one of the cluster
  std::optional<int> task_index = {};        // absent: the only one of the job
  std::string protocol = "grpc";
  ConfigProto config = {};
  bool start = true;
  // Where to listen. Empty: at the host of the task's address, that is, for "localhost" only for programs on this
  // machine; "0.0.0.0": on all networks.
  std::string listen_address = {};
};

// A handle: copies are the same server. It stops when the last one goes. Thread-safe.
class Server {
 public:
  // A port of 0 takes one that is free. InvalidArgumentError for a job or task that the cluster does not have or that
  // are not said and not the only ones, or an address that is none; UnimplementedError for clusters of several tasks,
  // and for protocols other than "grpc"; UnavailableError where it cannot listen there.
  explicit Server(const ClusterSpec& cluster, const ServerOptions& options = {});
  explicit Server(const ServerDef& server_def, bool start = true);
  // Job "localhost" with one task at a free port of this machine.
  static Server create_local_server(const ConfigProto& config = {}, bool start = true);

  const ServerDef& server_def() const;
  // "grpc://localhost:2222". FailedPreconditionError before start() where the port is to be a free one.
  std::string target() const;
  void start();  // again: does nothing. FailedPreconditionError after stop()
  void join();   // until it is stopped; FailedPreconditionError before start()
  // Ends all sessions, whose pending steps end with CancelledError, and all calls.
  void stop();

 private:
  struct [[gnu::visibility("hidden")]] State;
  std::shared_ptr<State> state_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
