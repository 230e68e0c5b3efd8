// Reference variables: TF1's VariableV2 and what assigns to it.

#include <string>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/variable_updates.h"

namespace millrace {
namespace {

absl::Status variable_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  return c.set_output(0, shape);
}

// A scalar shape on an old Variable means nothing known: it was the default.
absl::Status old_variable_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  return c.set_output(0, shape.has_rank() && shape.rank() == 0 ? PartialTensorShape() : shape);
}

class VariableKernel final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, init.attr<PartialTensorShape>("shape"));
    MR_ASSIGN_OR_RETURN(const DataType dtype, init.attr<DataType>("dtype"));
    MR_ASSIGN_OR_RETURN(std::string container, init.attr<std::string>("container"));
    MR_ASSIGN_OR_RETURN(std::string name, init.attr<std::string>("shared_name"));
    if (container.empty()) container = ResourceManager::kDefaultContainer;
    if (name.empty()) name = init.node().name;
    MR_ASSIGN_OR_RETURN(variable_, init.resources()->lookup_or_create<VariableResource>(
                                       container, name, [&]() -> absl::StatusOr<std::shared_ptr<VariableResource>> {
                                         return std::make_shared<VariableResource>(dtype, shape);
                                       }));
    if (variable_->dtype() != dtype) {
      return invalid_argument("Trying to access variable '", name, "' as ", dtype_name(dtype), ", but it holds ",
                              dtype_name(variable_->dtype()));
    }
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return ctx.set_output_ref(0, variable_); }
  bool is_cheap() const override { return true; }

 private:
  std::shared_ptr<VariableResource> variable_;
};

// --- Variables of one step

constexpr std::string_view kTemporaryContainer = "tmp_var";

absl::StatusOr<std::string> temporary_name(KernelInit& init) {
  MR_ASSIGN_OR_RETURN(std::string name, init.attr<std::string>("var_name"));
  return name.empty() ? init.node().name : name;
}

class TemporaryVariable final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, init.attr<PartialTensorShape>("shape"));
    MR_ASSIGN_OR_RETURN(shape_, as_tensor_shape(shape));
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    MR_ASSIGN_OR_RETURN(name_, temporary_name(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(Tensor value, make_zeroed_tensor(dtype_, shape_));
    auto variable = std::make_shared<VariableResource>(dtype_, shape_);
    variable->set(std::move(value));
    MR_RETURN_IF_ERROR(ctx.services().step_resources().create<VariableResource>(kTemporaryContainer, name_, variable));
    return ctx.set_output_ref(0, std::move(variable));
  }

 private:
  TensorShape shape_;
  DataType dtype_ = DataType::kInvalid;
  std::string name_;
};

class DestroyTemporaryVariable final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, temporary_name(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.variable(0));
    MR_ASSIGN_OR_RETURN(Tensor value, variable->value(ctx.node().name));
    MR_RETURN_IF_ERROR(ctx.services().step_resources().remove(kTemporaryContainer, name_));
    variable->clear();  // whoever takes the value owns its buffer alone
    return ctx.set_output(0, std::move(value));
  }

 private:
  std::string name_;
};

// --- Reading and writing

class IsVariableInitialized final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.variable(0));
    return ctx.set_scalar<bool>(0, variable->is_initialized());
  }
  bool is_cheap() const override { return true; }
};

absl::Status shapes_differ(const PartialTensorShape& variable, const PartialTensorShape& value) {
  return invalid_argument("Assign requires shapes of both tensors to match. lhs shape= ", variable,
                          " rhs shape= ", value);
}

absl::Status assign_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool validate, c.attr<bool>("validate_shape"));
  if (!validate) return c.set_output(0, c.input(1));
  absl::StatusOr<PartialTensorShape> both = merge(c.input(0), c.input(1));
  if (!both.ok()) return shapes_differ(c.input(0), c.input(1));
  return c.set_output(0, *both);
}

class Assign final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(validate_shape_, init.attr<bool>("validate_shape"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.variable(0));
    const Tensor& value = ctx.input(1);
    if (value.dtype() != variable->dtype()) {
      return invalid_argument("Assign: value has type ", dtype_name(value.dtype()), ", the variable ",
                              dtype_name(variable->dtype()));
    }
    if (validate_shape_) {
      const Tensor now = variable->value_or_empty();
      const PartialTensorShape wanted = now.has_value() ? PartialTensorShape(now.shape()) : variable->shape();
      if (!wanted.is_compatible_with(value.shape())) return shapes_differ(wanted, value.shape());
    }
    variable->set(value);  // shares the buffer: the next update copies if someone else still holds it
    return ctx.forward_ref(0, 0);
  }

 private:
  bool validate_shape_ = true;
};

absl::Status assign_update_shape(ShapeContext& c) {
  absl::StatusOr<PartialTensorShape> both = merge(c.input(0), c.input(1));
  if (!both.ok()) return invalid_argument("Parameters and update must be the same size: ", both.status().message());
  return c.set_output(0, *both);
}

template <class T, class Update> class AssignUpdate final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.variable(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> value, ctx.flat<T>(1));
    MR_RETURN_IF_ERROR(variable->update(ctx.node().name, [&](Tensor& t) -> absl::Status {
      if (t.dtype() != dtype_of<T>) return invalid_argument("the variable holds ", dtype_name(t.dtype()));
      if (!(t.shape() == ctx.shape(1))) {
        return invalid_argument("Parameters and update must be the same size: ", t.shape(), " and ", ctx.shape(1));
      }
      update_elements<T, Update>(t.unchecked_mutable<T>(), value);
      return absl::OkStatus();
    }));
    return ctx.forward_ref(0, 0);
  }
};
template <class T> using AssignAdd = AssignUpdate<T, AddUpdate>;
template <class T> using AssignSub = AssignUpdate<T, SubUpdate>;

absl::Status count_up_to_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

}  // namespace

void register_variable(Registry& registry) {
  for (const char* name : {"VariableV2", "Variable"}) {
    registry.op(name)
        .output("ref: Ref(dtype)")
        .attr("shape: shape")
        .attr("dtype: type")
        .attr("container: string = ''")
        .attr("shared_name: string = ''")
        .stateful()
        .shape(std::string_view(name) == "Variable" ? old_variable_shape : variable_shape)
        .cpu<VariableKernel>()
        .not_differentiable()
        .doc("A reference to a variable that lives as long as the session.");
  }
  registry.op("TemporaryVariable")
      .output("ref: Ref(dtype)")
      .attr("shape: shape")
      .attr("dtype: type")
      .attr("var_name: string = ''")
      .stateful()
      .shape(variable_shape)
      .cpu<TemporaryVariable>()
      .not_differentiable()
      .doc("A reference to a variable of this step, until DestroyTemporaryVariable with the same var_name.");
  registry.op("DestroyTemporaryVariable")
      .input("ref: Ref(T)")
      .output("value: T")
      .attr("T: type")
      .attr("var_name: string")
      .shape(unchanged_shape)
      .cpu<DestroyTemporaryVariable>()
      .not_differentiable()
      .doc("The last value of a temporary variable, which is destroyed.");
  registry.op("IsVariableInitialized")
      .input("ref: Ref(dtype)")
      .output("is_initialized: bool")
      .attr("dtype: type")
      .allows_uninitialized_input()
      .shape(scalar_shape)
      .cpu<IsVariableInitialized>()
      .not_differentiable()
      .doc("Whether the variable has a value.");
  registry.op("Assign")
      .input("ref: Ref(T)")
      .input("value: T")
      .output("output_ref: Ref(T)")
      .attr("T: type")
      .attr("validate_shape: bool = true")
      .attr("use_locking: bool = true")
      .allows_uninitialized_input()
      .shape(assign_shape)
      .cpu<Assign>()
      .not_differentiable()
      .doc("Gives the variable a new value, of the same shape unless validate_shape is false.");
  constexpr const char* kT =
      "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
      "quint16, uint16, "
      "complex128, half, uint32, uint64}";
  registry.op("AssignAdd")
      .input("ref: Ref(T)")
      .input("value: T")
      .output("output_ref: Ref(T)")
      .attr(kT)
      .attr("use_locking: bool = false")
      .shape(assign_update_shape)
      .cpu_for<AssignAdd>(NumberTypes())
      .not_differentiable()
      .doc("Adds value to the variable.");
  registry.op("AssignSub")
      .input("ref: Ref(T)")
      .input("value: T")
      .output("output_ref: Ref(T)")
      .attr(kT)
      .attr("use_locking: bool = false")
      .shape(assign_update_shape)
      .cpu_for<AssignSub>(NumberTypes())
      .not_differentiable()
      .doc("Subtracts value from the variable.");
  registry.op("CountUpTo")
      .input("ref: Ref(T)")
      .output("output: T")
      .attr("limit: int")
      .attr("T: {int32, int64}")
      .shape(count_up_to_shape)
      .cpu<CountUpTo, int32_t, int64_t>()
      .not_differentiable()
      .doc("The variable's value before it is incremented; OutOfRange once that is the limit.");
}

}  // namespace millrace
