#pragma once
// What conditional accumulators have in common: gradients of a step are added up, and takes wait, without a thread,
// until enough of them came.
//
// Thread-safe. `done` is called once, without locks held, from any thread; a scope must live until then. A take whose
// scope is cancelled ends with Cancelled "TakeGrad operation was cancelled".

#include <deque>
#include <functional>
#include <mutex>

#include "base/cancellation.h"
#include "op/resource.h"
#include "tensor/tensor.h"

namespace millrace {

class ConditionalAccumulator : public Resource {
 public:
  using Done = std::function<void(absl::Status, std::vector<Tensor>)>;
  struct Options {
    std::string kind, name;
    DataType dtype = DataType::kInvalid;
    PartialTensorShape shape;
    bool mean = true;  // else the sum
  };
  explicit ConditionalAccumulator(Options options) : options_(std::move(options)) {}
  std::string description() const override { return options_.kind; }
  const Options& options() const { return options_; }

  // A gradient of an earlier step is dropped.
  absl::Status apply(int64_t local_step, const std::vector<Tensor>& gradient);
  // The average once `required` gradients came; counting begins anew, with the next step.
  void take(int64_t required, CancellationScope* scope, Done done);
  void set_global_step(int64_t step);
  int32_t num_accumulated() const;

 protected:
  // Both under the lock. `count` gradients were added before.
  virtual absl::Status add(const std::vector<Tensor>& gradient, int64_t count) = 0;
  virtual absl::StatusOr<std::vector<Tensor>> average(int64_t count) = 0;

 private:
  struct Attempt {
    int64_t required = 0, id = 0;
    CancellationScope* scope = nullptr;
    CancellationScope::Token token = 0;
    Done done = {};
    absl::Status status = {};
    std::vector<Tensor> result = {};
  };
  void cancel(int64_t id);
  void flush();
  static void finish(Attempt attempt);

  const Options options_;
  mutable std::mutex mutex_;  // guards what follows, and what the kinds add
  int64_t global_step_ = 0, count_ = 0, next_id_ = 0;
  std::deque<Attempt> attempts_;
};

// Tensors of one shape. Gradient: the tensor. Result: the average.
std::shared_ptr<ConditionalAccumulator> make_dense_accumulator(ConditionalAccumulator::Options options);
// Slices along the first dimension, each divided by how many gradients had it. Gradient: indices, values, and the dense
// shape where it is known. Result: indices, values, shape.
std::shared_ptr<ConditionalAccumulator> make_sparse_accumulator(ConditionalAccumulator::Options options);

}  // namespace millrace
