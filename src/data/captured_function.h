#pragma once
// A function of a dataset (what to map, whether to keep an element) with the values it captured from the graph around
// it.

#include <memory>
#include <span>

#include "data/dataset.h"
#include "op/function_runner.h"

namespace millrace {

// Thread-safe. Kernels with state inside the function (random streams) keep it for the life of this object: over the
// epochs of a repeat, but not over a new initialization, as in TensorFlow.
class CapturedFunction {
 public:
  static absl::StatusOr<std::shared_ptr<const CapturedFunction>> make(FunctionRunner* functions,
                                                                      const FunctionRef& function,
                                                                      std::vector<Tensor> captured);

  // The element's components and then the captured values are the arguments. InvalidArgument where their number or
  // dtypes are not those of the function.
  absl::StatusOr<Element> run(Element element, CancellationScope* cancellation) const;
  // The only result, a bool or an int64 of rank 0.
  absl::StatusOr<bool> run_predicate(Element element, CancellationScope* cancellation) const;
  absl::StatusOr<int64_t> run_integer(Element element, CancellationScope* cancellation) const;
  // The only result, a dataset.
  absl::StatusOr<DatasetPtr> run_dataset(Element element, CancellationScope* cancellation) const;

  const std::vector<DataType>& output_types() const { return callable_->output_types(); }
  bool is_stateless() const { return callable_->is_stateless(); }
  // For the save() of an iterator that calls it: what a stateful op goes on with is not saved.
  void note_state(StateWriter& writer) const {
    if (callable_->has_external_state()) writer.note_external_state();
  }

 private:
  CapturedFunction(std::shared_ptr<CallableFunction> callable, std::vector<Tensor> captured)
      : callable_(std::move(callable)), captured_(std::move(captured)) {}

  std::shared_ptr<CallableFunction> callable_;
  std::vector<Tensor> captured_;
};

using FunctionPtr = std::shared_ptr<const CapturedFunction>;

}  // namespace millrace
