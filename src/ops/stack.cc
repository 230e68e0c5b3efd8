// Stacks of tensors, on which the gradients of loops find the values of earlier iterations. The ops without V2 have
// handles by reference and no limit; they share the kernels.

#include <atomic>
#include <mutex>
#include <vector>

#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

constexpr std::string_view kContainer = "_stacks";

// Thread-safe. Lives as long as the step that made it.
class Stack final : public Resource {
 public:
  Stack(std::string name, DataType dtype, int64_t max_size)
      : name_(std::move(name)), dtype_(dtype), max_size_(max_size) {}
  std::string description() const override { return "Stack " + name_; }
  const std::string& name() const { return name_; }

  absl::Status push(const Tensor& value) {
    if (value.dtype() != dtype_)
      return invalid_argument("Stack[", name_, "] holds values of type ", dtype_name(dtype_), ", not of type ",
                              dtype_name(value.dtype()));
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(check_open());
    if (max_size_ >= 0 && static_cast<int64_t>(values_.size()) >= max_size_)
      return invalid_argument("Stack[", name_, "] overflowed its max_size (", max_size_, ")");
    values_.push_back(value);
    return absl::OkStatus();
  }
  absl::StatusOr<Tensor> pop(DataType dtype) {
    if (dtype != dtype_)
      return invalid_argument("Stack[", name_, "] holds values of type ", dtype_name(dtype_), ", not of type ",
                              dtype_name(dtype));
    const std::lock_guard lock(mutex_);
    MR_RETURN_IF_ERROR(check_open());
    if (values_.empty()) return invalid_argument("Stack[", name_, "] is empty when calling Pop().");
    Tensor value = std::move(values_.back());
    values_.pop_back();
    return value;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    values_.clear();
  }

 private:
  absl::Status check_open() const {
    return closed_ ? invalid_argument("Stack[", name_, "] has already been closed.") : absl::OkStatus();
  }
  const std::string name_;
  const DataType dtype_;
  const int64_t max_size_;  // negative: no limit
  std::mutex mutex_;
  std::vector<Tensor> values_;
  bool closed_ = false;
};

absl::StatusOr<std::shared_ptr<Stack>> find_stack(const KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const ResourceName handle, handle_name(ctx, 0));
  return ctx.services().step_resources().lookup<Stack>(handle.container, handle.name);
}

class MakeStack final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("elem_type"));
    MR_ASSIGN_OR_RETURN(name_, init.attr<std::string>("stack_name"));
    if (name_.empty()) name_ = init.node().name;
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t max_size, this->max_size(ctx));
    const ResourceName handle{std::string(kContainer),
                              str_cat(name_, "_", counter_.fetch_add(1, std::memory_order_relaxed))};
    MR_RETURN_IF_ERROR(ctx.services().step_resources().create<Stack>(
        kContainer, handle.name, std::make_shared<Stack>(handle.name, dtype_, max_size)));
    return set_handle(ctx, 0, handle, "Stack");
  }
  static absl::StatusOr<int64_t> max_size(const KernelContext& ctx) {
    if (ctx.num_inputs() == 0) return -1;
    if (ctx.shape(0).rank() != 0) return invalid_argument("Stack size must be a scalar, but had shape: ", ctx.shape(0));
    return ctx.int_scalar(0);
  }
  bool is_cheap() const override { return true; }

  inline static std::atomic<int64_t> counter_{0};  // each running of an op makes a stack of its own
  DataType dtype_ = DataType::kInvalid;
  std::string name_;
};

class StackPush final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<Stack> stack, find_stack(ctx));
    MR_RETURN_IF_ERROR(stack->push(ctx.input(1)));
    return ctx.set_output(0, ctx.input(1));
  }
  bool is_cheap() const override { return true; }
};

class StackPop final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<Stack> stack, find_stack(ctx));
    MR_ASSIGN_OR_RETURN(Tensor value, stack->pop(ctx.node().output_types[0]));
    return ctx.set_output(0, std::move(value));
  }
  bool is_cheap() const override { return true; }
};

class StackClose final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<Stack> stack, find_stack(ctx));
    stack->close();
    return absl::OkStatus();
  }
};

// A handle's shape is inferred as TensorFlow does: a vector of two, though it is a scalar when it runs.
absl::Status stack_shape(ShapeContext& c) { return c.set_output(0, make_partial_shape({2})); }
absl::Status push_shape(ShapeContext& c) { return c.set_output(0, c.input(1)); }

}  // namespace

void register_stack(Registry& registry) {
  registry.op("StackV2")
      .input("max_size: int32")
      .output("handle: resource")
      .attr("elem_type: type")
      .attr("stack_name: string = ''")
      .stateful()
      .shape(stack_shape)
      .not_differentiable()
      .cpu<MakeStack>()
      .doc("A stack of tensors, which lives as long as the step.");
  registry.op("Stack")
      .output("handle: Ref(string)")
      .attr("elem_type: type")
      .attr("stack_name: string = ''")
      .stateful()
      .shape(stack_shape)
      .not_differentiable()
      .cpu<MakeStack>()
      .doc("A stack of tensors, which lives as long as the step.");
  for (const bool v2 : {false, true}) {
    const auto op = [&](const char* name) {
      OpBuilder builder =
          registry.op(str_cat(name, v2 ? "V2" : "")).input(v2 ? "handle: resource" : "handle: Ref(string)");
      if (v2) builder.stateful();
      return builder.not_differentiable();
    };
    op("StackPush")
        .input("elem: T")
        .output("output: T")
        .attr("T: type")
        .attr("swap_memory: bool = false")  // between a device and the host; here all memory is the host's
        .shape(push_shape)
        .cpu<StackPush>()
        .doc("Puts a tensor on top of a stack and hands it on.");
    op("StackPop")
        .output("elem: elem_type")
        .attr("elem_type: type")
        .shape(unknown_shapes)
        .cpu<StackPop>()
        .doc("Takes the tensor from the top of a stack.");
    op("StackClose").shape(no_outputs).cpu<StackClose>().doc("Frees the tensors; the stack cannot be used any more.");
  }
}

}  // namespace millrace
