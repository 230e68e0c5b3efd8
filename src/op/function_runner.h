#pragma once
// How kernels and datasets call functions of the graph's library. The runtime implements it.

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "millrace/attr.h"

namespace millrace {

class ResourceManager;

// A function made ready to run. Thread-safe: may run many times at once.
class CallableFunction {
 public:
  using Done = std::function<void(absl::Status, std::vector<Tensor>)>;
  virtual ~CallableFunction() = default;
  virtual const std::vector<DataType>& input_types() const = 0;
  virtual const std::vector<DataType>& output_types() const = 0;
  // True if the body has no stateful op: its results depend on its arguments alone.
  virtual bool is_stateless() const = 0;
  // Calls `done` once, from any thread; must not be called with fewer or other arguments than input_types().
  virtual void run(std::vector<Tensor> args, CancellationScope* cancellation, Done done) = 0;
  // Runs on the calling thread until finished.
  virtual absl::StatusOr<std::vector<Tensor>> run_sync(std::vector<Tensor> args, CancellationScope* cancellation) = 0;
  // True if its results depend on what no iterator saves, such as random streams: on stateful ops other than those that
  // make datasets.
  virtual bool has_external_state() const { return !is_stateless(); }
};

class FunctionRunner {
 public:
  virtual ~FunctionRunner() = default;
  // NotFound if the library has no such function. The result keeps all it needs alive (library, resources).
  virtual absl::StatusOr<std::shared_ptr<CallableFunction>> instantiate(const FunctionRef& function) = 0;
  // Runs `work` on the session's compute threads.
  virtual void schedule(std::function<void()> work) = 0;
};

}  // namespace millrace
