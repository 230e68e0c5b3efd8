// Resource variables: a handle as a value, and ops that read and write what it names.

#include <string>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/variable_updates.h"

namespace millrace {
namespace {

// --- Handles

absl::Status handle_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("dtype"));
  c.set_handle(0, {{dtype, shape}});
  return c.set_output(0, PartialTensorShape::scalar());
}

class VarHandleOp final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, init.attr<PartialTensorShape>("shape"));
    MR_ASSIGN_OR_RETURN(const DataType dtype, init.attr<DataType>("dtype"));
    ResourceHandle handle;
    MR_ASSIGN_OR_RETURN(handle.container, init.attr<std::string>("container"));
    MR_ASSIGN_OR_RETURN(handle.name, init.attr<std::string>("shared_name"));
    if (handle.container.empty()) handle.container = ResourceManager::kDefaultContainer;
    if (handle.name.empty()) handle.name = init.node().name;
    handle.device = init.node().device;
    handle.type_name = "Variable";
    handle.dtypes = {dtype};
    handle.shapes = {shape};
    MR_ASSIGN_OR_RETURN(handle_, make_scalar(std::move(handle)));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override { return ctx.set_output(0, handle_); }
  bool is_cheap() const override { return true; }

 private:
  Tensor handle_;
};

absl::StatusOr<PartialTensorShape> variable_shape(ShapeContext& c, DataType dtype) {
  if (c.handle(0).empty()) return PartialTensorShape();
  const HandleType& h = c.handle(0)[0];
  if (h.dtype != DataType::kInvalid && h.dtype != dtype) {
    return invalid_argument("Trying to read variable with wrong dtype. Expected ", dtype_name(h.dtype), " got ",
                            dtype_name(dtype));
  }
  return h.shape;
}

// --- Reading

absl::Status read_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("dtype"));
  return c.set_output(0, variable_shape(c, dtype));
}

class ReadVariableOp final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    absl::StatusOr<std::shared_ptr<VariableResource>> variable = input_.find(ctx, 0);
    if (!variable.ok()) {
      if (!absl::IsNotFound(variable.status())) return variable.status();
      MR_ASSIGN_OR_RETURN(const ResourceHandle h, ctx.handle(0));
      return missing(h, variable.status().message());
    }
    Tensor value = (*variable)->value_or_empty();
    if (!value.has_value()) {
      MR_ASSIGN_OR_RETURN(const ResourceHandle h, ctx.handle(0));
      return missing(h, "it has no value");
    }
    if (value.dtype() != dtype_) {
      return invalid_argument("Trying to read variable with wrong dtype. Expected ", dtype_name(dtype_), " got ",
                              dtype_name(value.dtype()));
    }
    return ctx.set_output(0, std::move(value));
  }
  bool is_cheap() const override { return true; }

 private:
  static absl::Status missing(const ResourceHandle& h, absl::string_view why) {
    return failed_precondition(
        "Could not find variable ", h.name,
        ". This could mean that the variable has been deleted. In TF1, it can also mean the variable is "
        "uninitialized. Debug info: container=",
        h.container, ", status error message=", to_std(why));
  }
  VariableInput input_;
  DataType dtype_ = DataType::kInvalid;
};

absl::Status read_gradient(GradientContext& g) {
  g.set_dx(0, g.dy(0));
  return absl::OkStatus();
}

class VarIsInitializedOp final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const absl::StatusOr<std::shared_ptr<VariableResource>> variable = ctx.resource<VariableResource>(0);
    if (!variable.ok() && !absl::IsNotFound(variable.status())) return variable.status();
    return ctx.set_scalar<bool>(0, variable.ok() && (*variable)->is_initialized());
  }
  bool is_cheap() const override { return true; }
};

// In TensorFlow it makes the variable's next reads share its buffer; ours always do. What is left is to find it.
class DisableCopyOnRead final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const auto variable = ctx.resource<VariableResource>(0);
    if (variable.ok() || !absl::IsNotFound(variable.status())) return variable.status();
    return failed_precondition("Could not find variable: ", variable.status().message());
  }
  bool is_cheap() const override { return true; }
};

absl::Status disable_copy_on_read_shape(ShapeContext& c) { return c.with_rank(0, 0).status(); }

absl::Status shape_of_variable_shape(ShapeContext& c) {
  if (c.handle(0).empty() || !c.handle(0)[0].shape.has_rank()) return c.set_output(0, unknown_shape_of_rank(1));
  const PartialTensorShape& shape = c.handle(0)[0].shape;
  c.set_partial_value(0, shape);
  return c.set_output(0, make_partial_shape({shape.rank()}));
}

template <class T> class VariableShape final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, ctx.resource<VariableResource>(0));
    MR_ASSIGN_OR_RETURN(const Tensor value, variable->value(ctx.node().name));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({value.rank()}));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    for (int i = 0; i < value.rank(); ++i) {
      if (value.dim(i) > std::numeric_limits<T>::max())
        return invalid_argument("VariableShape: dimension ", value.dim(i), " does not fit");
      out[static_cast<size_t>(i)] = static_cast<T>(value.dim(i));
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

// --- Writing

absl::Status assign_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("dtype"));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, variable_shape(c, dtype));
  return merge(shape, c.input(1)).status();
}

class AssignVariableOp final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    MR_ASSIGN_OR_RETURN(validate_shape_, init.attr<bool>("validate_shape"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable,
                        ctx.resources().lookup_or_create<VariableResource>(
                            handle.container, handle.name, [&]() -> absl::StatusOr<std::shared_ptr<VariableResource>> {
                              return std::make_shared<VariableResource>(
                                  dtype_, handle.shapes.empty() ? PartialTensorShape() : handle.shapes[0]);
                            }));
    if (variable->dtype() != dtype_) {
      return invalid_argument("Trying to assign variable with wrong dtype. Expected ", dtype_name(variable->dtype()),
                              " got ", dtype_name(dtype_));
    }
    const Tensor& value = ctx.input(1);
    if (value.dtype() != dtype_)
      return invalid_argument("AssignVariableOp: value has type ", dtype_name(value.dtype()));
    if (validate_shape_) {
      const Tensor now = variable->value_or_empty();
      if (now.has_value() && !(now.shape() == value.shape())) {
        return invalid_argument("Trying to assign to variable with tensor with wrong shape. Expected ", now.shape(),
                                " got ", value.shape());
      }
    }
    variable->set(value);  // shares the buffer: the next update copies if someone else still holds it
    return absl::OkStatus();
  }

 private:
  DataType dtype_ = DataType::kInvalid;
  bool validate_shape_ = false;
};

template <class T, class Update> class UpdateVariable final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, input_.find(ctx, 0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> value, ctx.flat<T>(1));
    return variable->update(ctx.node().name, [&](Tensor& t) -> absl::Status {
      if (t.dtype() != dtype_of<T>) return invalid_argument("the variable holds ", dtype_name(t.dtype()));
      if (!(t.shape() == ctx.shape(1))) {
        return invalid_argument("Cannot update variable with shape ", t.shape(), " using a Tensor with shape ",
                                ctx.shape(1), ", shapes must be equal.");
      }
      update_elements<T, Update>(t.unchecked_mutable<T>(), value);
      return absl::OkStatus();
    });
  }

 private:
  VariableInput input_;
};
template <class T> using AssignAddVariable = UpdateVariable<T, AddUpdate>;
template <class T> using AssignSubVariable = UpdateVariable<T, SubUpdate>;

class DestroyResourceOp final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(ignore_missing_, init.attr<bool>("ignore_lookup_error"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    const absl::Status removed = ctx.resources().remove(handle.container, handle.name);
    return ignore_missing_ && absl::IsNotFound(removed) ? absl::OkStatus() : removed;
  }

 private:
  bool ignore_missing_ = true;
};

}  // namespace

void register_resource_variable(Registry& registry) {
  registry.op("VarHandleOp")
      .output("resource: resource")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("debug_name: string = ''")
      .attr("dtype: type")
      .attr("shape: shape")
      .attr("allowed_devices: list(string) = []")
      .stateful()
      .shape(handle_shape)
      .cpu<VarHandleOp>()
      .not_differentiable()
      .doc("A handle to the variable of this name, which exists once it is assigned to.");
  registry.op("ReadVariableOp")
      .input("resource: resource")
      .output("value: dtype")
      .attr("dtype: type")
      .stateful()
      .shape(read_shape)
      .cpu<ReadVariableOp>()
      .gradient(read_gradient)
      .doc("The variable's value.");
  registry.op("AssignVariableOp")
      .input("resource: resource")
      .input("value: dtype")
      .attr("dtype: type")
      .attr("validate_shape: bool = false")
      .stateful()
      .shape(assign_shape)
      .cpu<AssignVariableOp>()
      .not_differentiable()
      .doc("Gives the variable a new value; makes the variable if need be.");
  registry.op("AssignAddVariableOp")
      .input("resource: resource")
      .input("value: dtype")
      .attr("dtype: type")
      .stateful()
      .shape(assign_shape)
      .cpu_for<AssignAddVariable>(NumberTypes(), "dtype")
      .not_differentiable()
      .doc("Adds value to the variable.");
  registry.op("AssignSubVariableOp")
      .input("resource: resource")
      .input("value: dtype")
      .attr("dtype: type")
      .stateful()
      .shape(assign_shape)
      .cpu_for<AssignSubVariable>(NumberTypes(), "dtype")
      .not_differentiable()
      .doc("Subtracts value from the variable.");
  registry.op("VarIsInitializedOp")
      .input("resource: resource")
      .output("is_initialized: bool")
      .stateful()
      .shape(scalar_shape)
      .cpu<VarIsInitializedOp>()
      .not_differentiable()
      .doc("Whether the variable exists and has a value.");
  registry.op("DisableCopyOnRead")
      .input("resource: resource")
      .stateful()
      .shape(disable_copy_on_read_shape)
      .cpu<DisableCopyOnRead>()
      .not_differentiable()
      .doc("Lets reads of the variable share its memory, as they do anyway.");
  registry.op("VariableShape")
      .input("input: resource")
      .output("output: out_type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .stateful()
      .shape(shape_of_variable_shape)
      .cpu<VariableShape, int32_t, int64_t>("out_type")
      .not_differentiable()
      .doc("The shape of the variable's value.");
  registry.op("DestroyResourceOp")
      .input("resource: resource")
      .attr("ignore_lookup_error: bool = true")
      .stateful()
      .shape(no_outputs)
      .cpu<DestroyResourceOp>()
      .not_differentiable()
      .doc("Deletes the resource that the handle names.");
  registry.op("ResourceCountUpTo")
      .input("resource: resource")
      .output("output: T")
      .attr("limit: int")
      .attr("T: {int32, int64}")
      .stateful()
      .shape(scalar_shape)
      .cpu<CountUpTo, int32_t, int64_t>()
      .not_differentiable()
      .doc("The variable's value before it is incremented; OutOfRange once that is the limit.");
}

}  // namespace millrace
