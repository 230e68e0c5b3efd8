// Mutexes of the graph, for critical sections. A lock is a variant; the mutex is free again when the last tensor that
// holds the lock is dropped, be it consumed or left behind by a step that failed.

#include "base/attempts.h"
#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// Thread-safe. Those who wait get it in the order they came.
class Mutex final : public Resource {
 public:
  std::string description() const override { return "Mutex"; }

  bool try_acquire() {
    bool acquired = false;
    attempts_.change([&] { acquired = !std::exchange(locked_, true); });
    return acquired;
  }
  // With OK `done` has acquired it.
  void acquire(CancellationScope* scope, Attempts::Done done) {
    attempts_.start([this] { return std::exchange(locked_, true) ? Attempts::waits() : Attempts::ended(); }, scope,
                    "Lock acquisition cancelled.", std::move(done));
  }
  void release() {
    attempts_.change([&] { locked_ = false; });
  }

 private:
  Attempts attempts_;  // its lock guards what follows
  bool locked_ = false;
};

// Releases a mutex that was acquired.
class MutexHold {
 public:
  explicit MutexHold(std::shared_ptr<Mutex> mutex) : mutex_(std::move(mutex)) {}
  ~MutexHold() { mutex_->release(); }
  MutexHold(const MutexHold&) = delete;
  MutexHold& operator=(const MutexHold&) = delete;

 private:
  const std::shared_ptr<Mutex> mutex_;
};

class MutexHandle final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, true));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return set_handle(ctx, 0, name_, "Mutex"); }
  bool is_cheap() const override { return true; }
  ResourceName name_;
};

class MutexLock final : public AsyncKernel {
  void compute_async(KernelContext& ctx, Done done) override {
    const absl::StatusOr<std::shared_ptr<Mutex>> found = find(ctx);
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<Mutex> mutex = *found;
    if (mutex->try_acquire()) return done(set_lock(ctx, std::make_shared<MutexHold>(mutex)));
    mutex->acquire(ctx.cancellation(), [&ctx, mutex, done = std::move(done)](absl::Status status) {
      if (!status.ok()) return done(std::move(status));
      // Whoever dropped the lock before may be a step that is cleaning up, maybe this very one: it cannot go on here.
      ctx.services().schedule(
          [&ctx, done, hold = std::make_shared<MutexHold>(mutex)]() mutable { done(set_lock(ctx, std::move(hold))); });
    });
  }

  static absl::StatusOr<std::shared_ptr<Mutex>> find(const KernelContext& ctx) {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    if (handle.type_name != "Mutex")
      return invalid_argument("Trying to access resource using the wrong type. Expected Mutex got ", handle.type_name);
    return ctx.resources().lookup_or_create<Mutex>(
        handle.container, handle.name,
        []() -> absl::StatusOr<std::shared_ptr<Mutex>> { return std::make_shared<Mutex>(); });
  }
  static absl::Status set_lock(KernelContext& ctx, std::shared_ptr<MutexHold> hold) {
    return ctx.set_scalar(0, Variant::share(std::move(hold)));
  }
};

class ConsumeMutexLock final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 0) return invalid_argument("Expected input to be a scalar, saw shape: ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const std::span<const Variant> lock, ctx.flat<Variant>(0));
    const std::shared_ptr<MutexHold> hold = lock[0].shared<MutexHold>();
    if (!hold)
      return invalid_argument("Expected input to contain a lock of a mutex, but saw variant: '", lock[0].type_name(),
                              "'");
    const auto uses = hold.use_count() - 1;  // without ours
    if (uses != 1) return invalid_argument("Expected use count of lock to be 1, but saw: ", uses);
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

}  // namespace

void register_mutex(Registry& registry) {
  registry.op("MutexV2")
      .output("resource: resource")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .stateful()
      .shape(scalar_shape)
      .cpu<MutexHandle>()
      .not_differentiable()
      .doc("A handle to the mutex of this name.");
  registry.op("MutexLock")
      .input("mutex: resource")
      .output("mutex_lock: variant")
      .stateful()
      .shape(scalar_shape)
      .cpu<MutexLock>()
      .not_differentiable()
      .doc("Locks a mutex, once it is free. It stays locked as long as a tensor holds the result.");
  registry.op("ConsumeMutexLock")
      .input("mutex_lock: variant")
      .stateful()
      .shape(no_outputs)
      .cpu<ConsumeMutexLock>()
      .not_differentiable()
      .doc("Uses up a lock: what is done before it is done under the lock.");
}

}  // namespace millrace
