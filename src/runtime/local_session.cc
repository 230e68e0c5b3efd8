#include <future>
#include <list>
#include <random>

#include "runtime/partial_run.h"
#include "runtime/run_metadata.h"
#include "runtime/session_backend.h"
#include "tensor/allocator.h"

namespace millrace {
namespace {

// The sessions that are alive, for Session.reset.
struct Sessions {
  std::mutex mutex;
  std::list<std::weak_ptr<SessionCore>> list;
};
Sessions& sessions() {
  static auto* const all = new Sessions;  // outlives every session
  return *all;
}

uint64_t incarnation() {
  static const uint64_t number = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }();
  return number;
}

class LocalCallable final : public CallableBackend {
 public:
  explicit LocalCallable(std::shared_ptr<CallableCore> core) : core_(std::move(core)) {}
  absl::Status run(std::span<const Tensor> feeds, std::vector<Tensor>* fetched) override {
    return core_->run(feeds, fetched);
  }

 private:
  const std::shared_ptr<CallableCore> core_;
};

class LocalPartial final : public PartialBackend {
 public:
  explicit LocalPartial(std::shared_ptr<PartialRun> run) : run_(std::move(run)) {}
  // One that nobody will finish.
  ~LocalPartial() override { run_->cancel(cancelled("The partial run was given up.")); }

  absl::Status run(std::vector<std::pair<int, Tensor>> feeds, const std::vector<int>& fetches,
                   std::vector<Tensor>* fetched) override {
    std::promise<absl::Status> answer;
    run_->run(std::move(feeds), fetches, [&](absl::Status status, std::vector<Tensor> values) {
      *fetched = std::move(values);
      answer.set_value(std::move(status));
    });
    return answer.get_future().get();
  }
  bool is_over() const override { return run_->is_over(); }

 private:
  const std::shared_ptr<PartialRun> run_;
};

class LocalSession final : public SessionBackend {
 public:
  LocalSession(std::shared_ptr<SessionCore> core, std::vector<Device> devices)
      : core_(std::move(core)), devices_(std::move(devices)) {
    const std::lock_guard lock(sessions().mutex);
    place_ = sessions().list.insert(sessions().list.end(), core_);
  }
  ~LocalSession() override {
    const std::lock_guard lock(sessions().mutex);
    sessions().list.erase(place_);
  }

  absl::Status run(const RunRequest& request, std::vector<Tensor>* fetched, Report* report) override {
    if (report == nullptr) return core_->run(request, fetched);
    absl::Status status = core_->run(request, fetched, &report->run);
    report->serialized = run_metadata_bytes(report->run);
    return status;
  }
  absl::StatusOr<std::shared_ptr<CallableBackend>> make_callable(const Signature& s) override {
    MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableCore> core, core_->make_callable(s.feeds, s.fetches, s.targets));
    return std::make_shared<LocalCallable>(std::move(core));
  }
  absl::StatusOr<std::shared_ptr<PartialBackend>> partial_run_setup(const Signature& s) override {
    MR_ASSIGN_OR_RETURN(std::shared_ptr<PartialRun> run, core_->partial_run_setup(s.feeds, s.fetches, s.targets));
    return std::make_shared<LocalPartial>(std::move(run));
  }
  absl::StatusOr<std::vector<DeviceAttributes>> list_devices() override {
    std::vector<DeviceAttributes> all;
    for (const Device& device : devices_)
      all.push_back({device.name, device.type, process_allocator_stats().bytes_limit, incarnation()});
    return all;
  }
  void close() override { core_->close(); }
  bool is_closed() const override { return core_->is_closed(); }

 private:
  const std::shared_ptr<SessionCore> core_;
  const std::vector<Device> devices_;
  std::list<std::weak_ptr<SessionCore>>::iterator place_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<SessionBackend>> new_local_session(std::shared_ptr<GraphImpl> graph,
                                                                  const SessionCoreOptions& options) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<SessionCore> core, SessionCore::create(std::move(graph), options));
  return std::make_shared<LocalSession>(std::move(core),
                                        local_devices(options.num_cpu_devices, options.job, options.task));
}

void close_local_sessions() {
  std::vector<std::shared_ptr<SessionCore>> alive;
  {
    const std::lock_guard lock(sessions().mutex);
    for (const std::weak_ptr<SessionCore>& session : sessions().list)
      if (auto core = session.lock()) alive.push_back(std::move(core));
  }
  for (const std::shared_ptr<SessionCore>& core : alive) core->close();
}

}  // namespace millrace
