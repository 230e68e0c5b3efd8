#pragma once
// What a kernel sees. A kernel object belongs to one node of one session: init() reads attributes once, compute() runs
// each step, possibly from several threads at once (guard what it keeps). Inputs are read only through accessors that
// check dtype, rank and bounds and return a status; outputs that are allocated must be written in full.
//
//   template <class T> class Softplus final : public Kernel {
//     absl::Status compute(KernelContext& ctx) override {
//       MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
//       MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
//       ...
//     }
//   };

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/cancellation.h"
#include "op/function_runner.h"
#include "op/node_info.h"
#include "op/registry.h"
#include "op/resource.h"
#include "tensor/tensor.h"

namespace millrace {

class KernelContext;

// What init() may ask for.
class KernelInit {
 public:
  KernelInit(const NodeInfo& node, FunctionRunner* functions, ResourceManager* resources)
      : node_(node), functions_(functions), resources_(resources) {}
  const NodeInfo& node() const { return node_; }
  template <class T> absl::StatusOr<T> attr(std::string_view name) const { return get_attr<T>(node_, name); }
  bool has_attr(std::string_view name) const { return node_.attrs.find(name) != node_.attrs.end(); }
  FunctionRunner* functions() const { return functions_; }   // never null; lives as long as the kernel
  ResourceManager* resources() const { return resources_; }  // never null; lives as long as the kernel

 private:
  const NodeInfo& node_;
  FunctionRunner* functions_;
  ResourceManager* resources_;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual absl::Status init(KernelInit& init) { return absl::OkStatus(); }
  virtual absl::Status compute(KernelContext& ctx) = 0;
  // True if compute_async is to be called instead.
  virtual bool is_async() const { return false; }
  // True for work so small that handing it to another thread costs more than doing it.
  virtual bool is_cheap() const { return false; }
};

// A kernel that may have to wait: it returns at once and calls `done` exactly once, from any thread, holding no thread
// meanwhile. The context lives until then. Waiting ends early when ctx.cancellation() is cancelled.
class AsyncKernel : public Kernel {
 public:
  using Done = std::function<void(absl::Status)>;
  virtual void compute_async(KernelContext& ctx, Done done) = 0;
  bool is_async() const final { return true; }
  absl::Status compute(KernelContext& ctx) final;  // Internal: the executor never calls it
};

// One input of a running node: a value, or a reference to a variable.
struct InputValue {
  Tensor tensor;                               // no value where the input is a reference to an uninitialized variable
  std::shared_ptr<VariableResource> variable;  // null unless the input is a reference
};

// What a step offers beyond tensors; the executor implements it. Everything here is thread-safe.
class StepServices {
 public:
  virtual ~StepServices() = default;
  virtual ResourceManager& resources() = 0;
  virtual ResourceManager& step_resources() = 0;  // emptied when the step ends (TensorArrays, stacks)
  virtual CancellationScope* cancellation() = 0;
  virtual FunctionRunner* functions() = 0;
  virtual int64_t step_id() const = 0;
  // For resources that outlive the step: keeps functions and library alive.
  virtual void schedule(std::function<void()> work) = 0;
};

class KernelContext {
 public:
  // `output_types` are the node's, one for each of `outputs`.
  KernelContext(const NodeInfo& node, const DataType* output_types, std::span<InputValue> inputs,
                std::span<InputValue> outputs, StepServices* services, Allocator* allocator = nullptr)
      : node_(node),
        output_types_(output_types),
        inputs_(inputs),
        outputs_(outputs),
        services_(services),
        allocator_(allocator) {}

  const NodeInfo& node() const { return node_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }

  // Inputs. An index out of range gives a tensor without a value.
  const Tensor& input(int i) const;
  const TensorShape& shape(int i) const { return input(i).shape(); }
  // All elements; InvalidArgument unless the input has a value of type T.
  template <class T> absl::StatusOr<std::span<const T>> flat(int i) const {
    MR_RETURN_IF_ERROR(check_input(i, dtype_of<T>, -1));
    return input(i).unchecked<T>();
  }
  // The elements of a vector, or the value of a scalar; InvalidArgument for another rank.
  template <class T> absl::StatusOr<std::span<const T>> vector(int i) const {
    MR_RETURN_IF_ERROR(check_input(i, dtype_of<T>, 1));
    return input(i).unchecked<T>();
  }
  template <class T> absl::StatusOr<T> scalar(int i) const {
    MR_RETURN_IF_ERROR(check_input(i, dtype_of<T>, 0));
    return input(i).unchecked<T>()[0];
  }
  // Integers of either width (int32 or int64): a scalar, all elements of any shape, a vector as a shape.
  absl::StatusOr<int64_t> int_scalar(int i) const;
  absl::StatusOr<std::vector<int64_t>> int_values(int i) const;
  absl::StatusOr<TensorShape> shape_value(int i) const;

  // References and resources.
  bool is_ref(int i) const {
    return static_cast<size_t>(i) < inputs_.size() && inputs_[static_cast<size_t>(i)].variable != nullptr;
  }
  absl::StatusOr<std::shared_ptr<VariableResource>> variable(
      int i) const;                                    // of a reference input or of a resource handle to a variable
  absl::StatusOr<ResourceHandle> handle(int i) const;  // of a scalar resource input
  template <class T> absl::StatusOr<std::shared_ptr<T>> resource(int i) const {
    MR_ASSIGN_OR_RETURN(const ResourceHandle h, handle(i));
    return resources().lookup<T>(h.container, h.name);
  }

  // Outputs. allocate_output: unwritten elements of the declared dtype. The forwarding kinds hand on input `in`'s
  // buffer where nobody else holds it and dtype and element count agree.
  absl::StatusOr<Tensor*> allocate_output(int i, const TensorShape& shape);
  absl::StatusOr<Tensor*> forward_or_allocate_output(std::initializer_list<int> inputs, int output,
                                                     const TensorShape& shape);
  template <class T> absl::StatusOr<std::span<T>> output(int i, const TensorShape& shape) {
    MR_RETURN_IF_ERROR(check_output(i, dtype_of<T>));
    MR_ASSIGN_OR_RETURN(Tensor * t, allocate_output(i, shape));
    return t->unchecked_mutable<T>();
  }
  template <class T>
  absl::StatusOr<std::span<T>> forward_or_allocate(std::initializer_list<int> inputs, int output,
                                                   const TensorShape& shape) {
    MR_RETURN_IF_ERROR(check_output(output, dtype_of<T>));
    MR_ASSIGN_OR_RETURN(Tensor * t, forward_or_allocate_output(inputs, output, shape));
    return t->unchecked_mutable<T>();
  }
  template <class T> absl::StatusOr<std::span<T>> forward_or_allocate(int input, int output, const TensorShape& shape) {
    return forward_or_allocate<T>({input}, output, shape);
  }
  template <class T> absl::Status set_scalar(int i, T value) {
    MR_ASSIGN_OR_RETURN(const std::span<T> out, output<T>(i, TensorShape()));
    out[0] = std::move(value);
    return absl::OkStatus();
  }
  absl::Status set_output(int i, Tensor tensor);  // dtype must be the declared one
  absl::Status set_output_ref(int i, std::shared_ptr<VariableResource> variable);
  absl::Status forward_ref(int in, int out);  // a reference input as a reference output
  // Scratch, or a value to keep.
  absl::StatusOr<Tensor> allocate_temp(DataType dtype, const TensorShape& shape) {
    return make_tensor(dtype, shape, allocator_);
  }

  ResourceManager& resources() const { return services_->resources(); }
  StepServices& services() const { return *services_; }
  CancellationScope* cancellation() const { return services_->cancellation(); }
  // Why the step was cancelled, OK where it was not: what a long kernel asks now and then.
  absl::Status check_cancelled() const;

 private:
  absl::Status check_input(int i, DataType dtype, int rank) const;  // rank -1: any
  absl::Status check_output(int i, DataType dtype) const;

  const NodeInfo& node_;
  const DataType* output_types_;  // the program's copy: the node's lies elsewhere, out of cache
  std::span<InputValue> inputs_;
  std::span<InputValue> outputs_;
  StepServices* services_;
  Allocator* allocator_;
};

}  // namespace millrace
