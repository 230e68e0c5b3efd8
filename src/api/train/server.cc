#include "millrace/train/server.h"

#include <charconv>
#include <mutex>

#include "base/errors.h"
#include "cluster/server.h"

namespace millrace::train {
namespace {

struct Address {
  std::string host;
  int port = 0;
};

// "host:port", "[::1]:port".
Address parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  Address address;
  if (colon != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto [parsed_to, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    address.host = text.substr(0, colon);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']')
      address.host = address.host.substr(1, address.host.size() - 2);
    if (error == std::errc() && parsed_to == end && address.port >= 0 && address.port <= 65535 && !address.host.empty())
      return address;
  }
  raise(invalid_argument("Could not interpret '", text, "' as a host-port pair."));
}

std::string chosen_job(const ClusterSpec& cluster, const std::optional<std::string>& job_name) {
  const std::vector<std::string> jobs = cluster.jobs();
  if (job_name) return *job_name;
  if (jobs.size() != 1) raise(invalid_argument("Must specify an explicit `job_name`."));
  return jobs[0];
}

int chosen_task(const ClusterSpec& cluster, const std::string& job, const std::optional<int>& task_index) {
  const std::vector<int> tasks = cluster.task_indices(job);
  if (task_index) return *task_index;
  if (tasks.size() != 1) raise(invalid_argument("Must specify an explicit `task_index`."));
  return tasks[0];
}

millrace::ServerOptions options_of(const ServerDef& def, const std::string& listen_address) {
  const Address address = parse_address(def.cluster.task_address(def.job_name, def.task_index));
  // A name of this machine alone is no name to listen at.
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  millrace::ServerOptions options{.address = listen_address.empty() ? host : listen_address,
                                  .port = address.port,
                                  .job = def.job_name,
                                  .task = def.task_index};
  const ConfigProto& config = def.default_session_config;
  SessionDefaults& defaults = options.session_defaults;
  if (const auto cpus = config.device_count.find("CPU"); cpus != config.device_count.end())
    defaults.num_cpu_devices = cpus->second;
  defaults.intra_op_parallelism_threads = config.intra_op_parallelism_threads;
  defaults.inter_op_parallelism_threads = config.inter_op_parallelism_threads;
  defaults.operation_timeout_in_ms = config.operation_timeout_in_ms;
  defaults.allow_soft_placement = config.allow_soft_placement;
  defaults.log_device_placement = config.log_device_placement;
  return options;
}

void check(const ServerDef& def) {
  if (def.protocol != "grpc") raise(unimplemented("servers speak the protocol \"grpc\", not \"", def.protocol, "\""));
  int tasks = 0;
  for (const std::string& job : def.cluster.jobs()) tasks += def.cluster.num_tasks(job);
  if (tasks != 1) {
    raise(unimplemented("a server runs alone so far: the cluster has ", tasks,
                        " tasks, and graphs spread over several are not there yet"));
  }
}

}  // namespace

// --- ClusterSpec

ClusterSpec::ClusterSpec(const std::map<std::string, std::vector<std::string>>& jobs) {
  for (const auto& [job, addresses] : jobs) {
    Tasks& tasks = jobs_[job];
    for (size_t i = 0; i < addresses.size(); ++i) tasks[static_cast<int>(i)] = addresses[i];
  }
}

ClusterSpec ClusterSpec::from_tasks(std::map<std::string, Tasks> jobs) {
  ClusterSpec cluster;
  cluster.jobs_ = std::move(jobs);
  return cluster;
}

std::vector<std::string> ClusterSpec::jobs() const {
  std::vector<std::string> names;
  for (const auto& [job, tasks] : jobs_) names.push_back(job);
  return names;
}

const ClusterSpec::Tasks& ClusterSpec::tasks(const std::string& job_name) const {
  const auto it = jobs_.find(job_name);
  if (it == jobs_.end()) raise(invalid_argument("No such job in cluster: '", job_name, "'"));
  return it->second;
}

int ClusterSpec::num_tasks(const std::string& job_name) const { return static_cast<int>(tasks(job_name).size()); }

std::vector<int> ClusterSpec::task_indices(const std::string& job_name) const {
  std::vector<int> indices;
  for (const auto& [index, address] : tasks(job_name)) indices.push_back(index);
  return indices;
}

const std::string& ClusterSpec::task_address(const std::string& job_name, int task_index) const {
  const Tasks& all = tasks(job_name);
  const auto it = all.find(task_index);
  if (it == all.end()) raise(invalid_argument("No task with index ", task_index, " in job '", job_name, "'"));
  return it->second;
}

std::vector<std::string> ClusterSpec::job_tasks(const std::string& job_name) const {
  const Tasks& all = tasks(job_name);
  std::vector<std::string> addresses;
  for (const auto& [index, address] : all) {
    constexpr size_t kMost = 100'000;  // a list with gaps, so numbers decide its length
    if (index < 0 || static_cast<size_t>(index) >= kMost)
      raise(invalid_argument("job '", job_name, "' has a task ", index, ", too large a number for a list"));
    addresses.resize(static_cast<size_t>(index) + 1);
    addresses.back() = address;
  }
  return addresses;
}

// --- Server

struct Server::State {
  ServerDef def;
  millrace::ServerOptions options;
  std::mutex mutex;  // guards what follows
  std::shared_ptr<millrace::Server> server;
  bool stopped = false;

  std::shared_ptr<millrace::Server> running() {
    const std::lock_guard lock(mutex);
    return server;
  }
};

Server::Server(const ClusterSpec& cluster, const ServerOptions& options) : state_(std::make_shared<State>()) {
  ServerDef& def = state_->def;
  def.cluster = cluster;
  def.job_name = chosen_job(cluster, options.job_name);
  def.task_index = chosen_task(cluster, def.job_name, options.task_index);
  def.protocol = options.protocol;
  def.default_session_config = options.config;
  check(def);
  state_->options = options_of(def, options.listen_address);
  if (options.start) start();
}

Server::Server(const ServerDef& server_def, bool start_now)
    : Server(server_def.cluster, {.job_name = server_def.job_name,
                                  .task_index = server_def.task_index,
                                  .protocol = server_def.protocol,
                                  .config = server_def.default_session_config,
                                  .start = start_now}) {}

Server Server::create_local_server(const ConfigProto& config, bool start) {
  return Server(ClusterSpec{{"localhost", {"localhost:0"}}}, {.config = config, .start = start});
}

const ServerDef& Server::server_def() const { return state_->def; }

std::string Server::target() const {
  const std::shared_ptr<millrace::Server> server = state_->running();
  const int port = server ? server->port() : state_->options.port;
  if (port == 0) raise(failed_precondition("the server takes a free port when it is started, so it has no target yet"));
  return str_cat("grpc://localhost:", port);
}

void Server::start() {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopped) raise(failed_precondition("Server has stopped."));
  if (!state_->server) state_->server = value_or_raise(millrace::Server::start(state_->options));
}

void Server::join() {
  const std::shared_ptr<millrace::Server> server = state_->running();
  if (!server) raise(failed_precondition("Server has not been started."));
  server->join();
}

void Server::stop() {
  std::shared_ptr<millrace::Server> server;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
    server = state_->server;
  }
  if (server) server->stop();
}

}  // namespace millrace::train
