#include "runtime/runtime.h"

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "base/thread_pool.h"
#include "runtime/function_gradient.h"
#include "runtime/program.h"
#include "runtime/step.h"

namespace millrace {
namespace {

// The process's compute threads, for branches side by side and for steps that go on after an asynchronous kernel. They
// live as long as the process.
ThreadPool& compute_pool() {
  static ThreadPool* const pool =
      new ThreadPool("compute", static_cast<int>(std::max(2u, std::thread::hardware_concurrency())));
  return *pool;
}

}  // namespace

// A function made ready: its body compiled. Owned by the runtime, until that is shut down.
struct Runtime::Function {
  FunctionRef ref;
  std::shared_ptr<const FunctionBody> body;
  NodeStates states;
  std::once_flag once;
  absl::Status status;
  std::shared_ptr<Program> program;
};

// Ops that make datasets count as stateful only so that nobody folds them.
bool keeps_state(const Node* node) {
  const std::string_view op = node->op();
  return node->def().is_stateful && op != "_Arg" && op != "_Retval" && !op.ends_with("Dataset") &&
         op.find("DatasetV") == std::string_view::npos;
}

// What instantiate() hands out.
class FunctionHandle final : public CallableFunction {
 public:
  // `owns`: the function's state (random streams) is this handle's own, and lives as long.
  FunctionHandle(std::shared_ptr<Runtime> runtime, const std::shared_ptr<Runtime::Function>& function,
                 bool owns = false)
      : runtime_(std::move(runtime)),
        owned_(owns ? function : nullptr),
        function_(function),
        input_types_(function->body->arg_types),
        output_types_(function->body->ret_types),
        stateless_(!function->body->is_stateful),
        external_state_(!stateless_ && std::ranges::any_of(function->body->graph->nodes(), keeps_state)) {}

  const std::vector<DataType>& input_types() const override { return input_types_; }
  const std::vector<DataType>& output_types() const override { return output_types_; }
  bool is_stateless() const override { return stateless_; }
  bool has_external_state() const override { return external_state_; }

  void run(std::vector<Tensor> args, CancellationScope* cancellation, Done done) override {
    std::shared_ptr<Program> program;
    if (absl::Status status = ready(&program); !status.ok()) {
      done(std::move(status), {});
      return;
    }
    program->run_async(std::move(args), {.cancellation = cancellation ? cancellation : runtime_->scope()},
                       [runtime = runtime_, done = std::move(done)](absl::Status status, std::vector<Tensor> results) {
                         done(std::move(status), std::move(results));
                       });
  }

  absl::StatusOr<std::vector<Tensor>> run_sync(std::vector<Tensor> args, CancellationScope* cancellation) override {
    std::shared_ptr<Program> program;
    MR_RETURN_IF_ERROR(ready(&program));
    const RunContext context{.cancellation = cancellation ? cancellation : runtime_->scope()};
    std::vector<Tensor> results;
    MR_RETURN_IF_ERROR(program->run(args, /*take_feeds=*/true, context, &results));
    return results;
  }

 private:
  // Compiles on the first call, so that recursive functions can be instantiated.
  absl::Status ready(std::shared_ptr<Program>* program) {
    const std::shared_ptr<Runtime::Function> owned = function_.lock();
    if (!owned || runtime_->is_shut_down()) return cancelled("Session has been closed.");
    Runtime::Function& f = *owned;
    std::call_once(f.once, [&] { f.status = compile_body(f); });
    MR_RETURN_IF_ERROR(f.status);
    *program = f.program;
    return absl::OkStatus();
  }

  absl::Status compile_body(Runtime::Function& f) {
    Signature signature;
    for (Node* arg : f.body->args) signature.feeds.emplace_back(arg, 0);
    for (Node* ret : f.body->rets) signature.fetches.push_back(ret->input(0));
    signature.targets = f.body->control_rets;
    for (Node* node : f.body->graph->nodes()) {
      // Stateful nodes run even if no result needs them, as in TensorFlow.
      if (node->def().is_stateful && node->op() != "_Arg" && node->op() != "_Retval") signature.targets.push_back(node);
    }
    absl::StatusOr<std::shared_ptr<Program>> program = compile(*f.body->graph, signature, f.states, *runtime_);
    if (!program.ok()) return annotate(program.status(), str_cat("function '", f.ref.name, "'"));
    f.program = *std::move(program);
    return absl::OkStatus();
  }

  const std::shared_ptr<Runtime> runtime_;
  const std::shared_ptr<Runtime::Function> owned_;  // null where handles share the function
  // Else the runtime owns it: functions that call themselves would else keep themselves alive.
  const std::weak_ptr<Runtime::Function> function_;
  const std::vector<DataType> input_types_, output_types_;
  const bool stateless_;
  const bool external_state_;
};

Runtime::Runtime(const Registry& registry, std::shared_ptr<FunctionLibrary> library, std::vector<Device> devices,
                 RuntimeOptions options, std::shared_ptr<ResourceManager> resources)
    : registry_(registry),
      library_(std::move(library)),
      devices_(std::move(devices)),
      options_(options),
      owns_resources_(resources == nullptr),
      resources_(owns_resources_ ? std::make_shared<ResourceManager>() : std::move(resources)) {}

Runtime::~Runtime() { shutdown(); }

absl::Status Runtime::ensure_kernel(NodeState& state) {
  std::call_once(state.kernel_once, [&] {
    state.kernel_status = [&]() -> absl::Status {
      if (state.op == nullptr) return not_found("Op type not registered '", state.info.op, "'");
      MR_ASSIGN_OR_RETURN(const DeviceName device, parse_device(state.info.device));
      absl::StatusOr<const KernelDef*> def =
          registry_.find_kernel(state.info.op, device.type.value_or("CPU"), state.info.attrs);
      if (!def.ok()) {
        // TensorFlow: an op without a kernel for these types cannot be placed.
        return node_error(state, {}, invalid_argument(to_std(def.status().message())));
      }
      std::unique_ptr<Kernel> kernel = (*def)->create();
      KernelInit init(state.info, this, resources_.get());
      try {
        if (absl::Status status = kernel->init(init); !status.ok()) return node_error(state, {}, status);
      } catch (...) {
        return node_error(state, {}, exception_status());
      }
      state.kernel = std::move(kernel);
      return absl::OkStatus();
    }();
  });
  return state.kernel_status;
}

// A dataset's function, as TensorFlow marks it: each dataset that is made has random streams of its own.
static bool is_dataset_function(const FunctionRef& function) {
  if (!function.attrs) return false;
  const auto it = function.attrs->find("_tf_data_function");
  const bool* marked = it == function.attrs->end() ? nullptr : it->second.get<bool>();
  return marked != nullptr && *marked;
}

// Of a function of the library, or of the gradient of one.
static absl::StatusOr<FunctionBody> make_body(const FunctionLibrary& library, const FunctionRef& function) {
  if (function.name != kSymbolicGradient || !function.attrs) return library.instantiate(function);
  const auto it = function.attrs->find("f");
  const FunctionRef* f = it == function.attrs->end() ? nullptr : it->second.get<FunctionRef>();
  return f == nullptr ? library.instantiate(function) : gradient_of_function(library, *f);
}

// Not kept if it is a dataset's function with state.
absl::StatusOr<std::shared_ptr<Runtime::Function>> Runtime::find_or_make(const FunctionRef& function) {
  if (is_shut_down()) return cancelled("Session has been closed.");
  const auto find = [&]() -> std::shared_ptr<Function> {  // under the mutex
    for (const std::shared_ptr<Function>& f : functions_[function.name]) {
      if (f->ref == function) return f;
    }
    return nullptr;
  };
  {
    std::lock_guard lock(functions_mutex_);
    if (std::shared_ptr<Function> known = find()) return known;
  }
  auto made = std::make_shared<Function>();
  made->ref = function;
  MR_ASSIGN_OR_RETURN(FunctionBody body, make_body(*library_, function));
  made->body = std::make_shared<const FunctionBody>(std::move(body));
  if (made->body->is_stateful && is_dataset_function(function)) return made;
  std::lock_guard lock(functions_mutex_);
  if (std::shared_ptr<Function> known = find()) return known;
  functions_[function.name].push_back(made);
  return made;
}

absl::StatusOr<std::shared_ptr<CallableFunction>> Runtime::instantiate(const FunctionRef& function) {
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<Function> f, find_or_make(function));
  return std::make_shared<FunctionHandle>(shared_from_this(), f,
                                          /*owns=*/f->body->is_stateful && is_dataset_function(function));
}

absl::StatusOr<std::shared_ptr<const FunctionBody>> Runtime::function_body(const FunctionRef& function) {
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<Function> f, find_or_make(function));
  return f->body;
}

void Runtime::schedule(std::function<void()> work) { compute_pool().schedule(std::move(work)); }

void Runtime::shutdown() {
  if (shut_down_.exchange(true, std::memory_order_acq_rel)) return;
  scope_.cancel(cancelled("Session has been closed."));
  decltype(functions_) functions;
  {
    std::lock_guard lock(functions_mutex_);
    functions.swap(functions_);
  }
  functions.clear();
  if (owns_resources_) resources_->clear();
}

}  // namespace millrace
