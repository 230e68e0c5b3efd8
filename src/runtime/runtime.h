#pragma once
// What all programs of one session share: registry, devices, resources, functions, the scope that its waits belong to.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/cancellation.h"
#include "graph/function.h"
#include "op/kernel.h"
#include "op/registry.h"
#include "runtime/device.h"

namespace millrace {

class Program;

struct RuntimeOptions {
  int intra_op_parallelism_threads = 0;  // 0: as many as the machine has
  int inter_op_parallelism_threads = 0;  // 0 and 1: the ops of a step run one after another on the caller
  bool allow_soft_placement = false;
  bool log_device_placement = false;
  // What the compiler may do.
  bool constant_folding = true;
  bool common_subexpressions = true;
  bool arithmetic = true;
  bool fusion = true;
  bool inline_functions = true;
};

// A call of a function that was inlined.
struct CallSite {
  std::string node, op, source;
  std::string function;
  std::shared_ptr<const CallSite> caller;  // where the call stands in an inlined body itself
  int depth = 1;
};

struct InlinedBody;  // passes/inline_functions.cc

// One node as a session runs it: placed, with the kernel object that all its programs share. Stateful kernels (random
// streams, iterators) thereby go on from run to run, whatever the signature.
struct NodeState {
  NodeInfo info;
  const OpEntry* op = nullptr;  // null for a call of a library function by its name
  std::string source;
  std::unique_ptr<Kernel> kernel;  // null until a program that runs the node is laid out
  std::once_flag kernel_once;
  absl::Status kernel_status;
  std::shared_ptr<const CallSite> site;  // the call whose body the node belongs to; null unless it was inlined
  std::shared_ptr<InlinedBody> body;     // of a call, once it was inlined; touched while compiling only
};

class Runtime final : public FunctionRunner, public std::enable_shared_from_this<Runtime> {
 public:
  // `resources` may be shared with other runtimes, and then outlives this one; null: the runtime's own.
  Runtime(const Registry& registry, std::shared_ptr<FunctionLibrary> library, std::vector<Device> devices,
          RuntimeOptions options, std::shared_ptr<ResourceManager> resources = nullptr);
  ~Runtime() override;

  const Registry& registry() const { return registry_; }
  const std::vector<Device>& devices() const { return devices_; }
  const RuntimeOptions& options() const { return options_; }
  FunctionLibrary& library() const { return *library_; }
  ResourceManager& resources() { return *resources_; }
  CancellationScope* scope() { return &scope_; }
  int64_t next_step_id() { return next_step_id_.fetch_add(1, std::memory_order_relaxed); }

  // Makes the state's kernel, once.
  absl::Status ensure_kernel(NodeState& state);
  // The body of a library function, made once.
  absl::StatusOr<std::shared_ptr<const FunctionBody>> function_body(const FunctionRef& function);

  // --- FunctionRunner
  absl::StatusOr<std::shared_ptr<CallableFunction>> instantiate(const FunctionRef& function) override;
  void schedule(std::function<void()> work) override;

  // Ends all waits and lets go of functions and of resources that are not shared. Steps that still run end with
  // Cancelled.
  void shutdown();
  bool is_shut_down() const { return shut_down_.load(std::memory_order_acquire); }

 private:
  friend class FunctionHandle;
  struct Function;
  absl::StatusOr<std::shared_ptr<Function>> find_or_make(const FunctionRef& function);

  const Registry& registry_;
  const std::shared_ptr<FunctionLibrary> library_;
  const std::vector<Device> devices_;
  const RuntimeOptions options_;
  CancellationScope scope_;
  const bool owns_resources_;
  const std::shared_ptr<ResourceManager> resources_;
  std::atomic<int64_t> next_step_id_{1};
  std::atomic<bool> shut_down_{false};
  std::mutex functions_mutex_;
  absl::flat_hash_map<std::string, std::vector<std::shared_ptr<Function>>> functions_;  // by name
};

}  // namespace millrace
