// Rows and slices of resource variables, without reading the whole value.

#include <vector>

#include "kernels/elements.h"
#include "kernels/gather.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/gradient_ops.h"
#include "ops/index_text.h"
#include "ops/variable_updates.h"

namespace millrace {
namespace {

PartialTensorShape variable_shape(ShapeContext& c) {
  return c.handle(0).empty() ? PartialTensorShape() : c.handle(0)[0].shape;
}

absl::StatusOr<std::shared_ptr<VariableResource>> find_variable(KernelContext& ctx, VariableInput& input,
                                                                DataType dtype) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<VariableResource> variable, input.find(ctx, 0));
  if (variable->dtype() != dtype) {
    return invalid_argument("Trying to read variable with wrong dtype. Expected ", dtype_name(variable->dtype()),
                            " got ", dtype_name(dtype));
  }
  return variable;
}

// Calls fn with the index input's elements, int32 or int64.
template <class Fn> absl::Status with_indices(KernelContext& ctx, Fn&& fn) {
  if (ctx.input(1).dtype() == DataType::kInt32) return fn(ctx.input(1).unchecked<int32_t>());
  if (ctx.input(1).dtype() == DataType::kInt64) return fn(ctx.input(1).unchecked<int64_t>());
  return invalid_argument("indices must be int32 or int64");
}

// --- ResourceGather: [batch..., limit, inner...] picked by [batch..., count...]

absl::StatusOr<PartialTensorShape> gathered(const PartialTensorShape& params, const PartialTensorShape& indices,
                                            int64_t batch_dims) {
  if (params.has_rank() && params.rank() < 1) return invalid_argument("params must be at least 1 dimensional");
  if (!params.has_rank() || !indices.has_rank()) return PartialTensorShape();
  if (batch_dims < 0) batch_dims += indices.rank();
  if (batch_dims < 0 || batch_dims > indices.rank() || batch_dims >= params.rank()) {
    return invalid_argument("batch_dims (", batch_dims, ") must be less than rank(params) (", params.rank(),
                            ") and at most rank(indices) (", indices.rank(), ")");
  }
  std::vector<int64_t> dims;
  for (int d = 0; d < batch_dims; ++d) {
    const int64_t a = params.dim(d), b = indices.dim(d);
    if (a >= 0 && b >= 0 && a != b)
      return invalid_argument("params.shape[", d, "]: ", a, " should be equal to indices.shape[", d, "]: ", b);
    dims.push_back(a >= 0 ? a : b);
  }
  for (int d = static_cast<int>(batch_dims); d < indices.rank(); ++d) dims.push_back(indices.dim(d));
  for (int d = static_cast<int>(batch_dims) + 1; d < params.rank(); ++d) dims.push_back(params.dim(d));
  return make_partial_shape(dims);
}

absl::Status resource_gather_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t batch_dims, c.attr<int64_t>("batch_dims"));
  return c.set_output(0, gathered(variable_shape(c), c.input(1), batch_dims));
}

class ResourceGather final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(batch_dims_, init.attr<int64_t>("batch_dims"));
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, find_variable(ctx, input_, dtype_));
    MR_ASSIGN_OR_RETURN(const Tensor params, variable->value(ctx.node().name));
    const TensorShape& indices = ctx.shape(1);
    MR_ASSIGN_OR_RETURN(const PartialTensorShape partial, gathered(params.shape(), indices, batch_dims_));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const int batch_dims = static_cast<int>(batch_dims_ < 0 ? batch_dims_ + indices.rank() : batch_dims_);
    GatherSizes sizes{1, 1, params.dim(batch_dims), 1, 1};
    for (int d = 0; d < batch_dims; ++d) sizes.batch *= params.dim(d);
    for (int d = batch_dims; d < indices.rank(); ++d) sizes.count *= indices.dim(d);
    for (int d = batch_dims + 1; d < params.rank(); ++d) sizes.inner *= params.dim(d);
    return with_indices(ctx, [&]<class I>(std::span<const I> index) {
      return with_storage(dtype_, [&]<class S>(std::type_identity<S>) -> absl::Status {
        const int64_t bad = gather_rows(sizes, static_cast<const S*>(params.raw_data()), index.data(),
                                        static_cast<S*>(out->raw_mutable_data()));
        if (bad < 0) return absl::OkStatus();
        return invalid_argument("indices", position_text(indices, bad), " = ", int64_t{index[static_cast<size_t>(bad)]},
                                " is not in [0, ", sizes.limit, ")");
      });
    });
  }

 private:
  VariableInput input_;
  int64_t batch_dims_ = 0;
  DataType dtype_ = DataType::kInvalid;
};

// --- ResourceGatherNd

absl::StatusOr<PartialTensorShape> gathered_nd(const PartialTensorShape& params, const PartialTensorShape& indices) {
  if (params.has_rank() && params.rank() < 1) return invalid_argument("params must be at least a vector");
  if (indices.has_rank() && indices.rank() < 1) return invalid_argument("indices must be at least a vector");
  if (!params.has_rank() || !indices.has_rank()) return PartialTensorShape();
  const int64_t depth = indices.dim(indices.rank() - 1);
  if (depth < 0) return PartialTensorShape();
  if (depth > params.rank())
    return invalid_argument("index innermost dimension length must be <= params rank; saw: ", depth, " vs. ",
                            params.rank());
  std::vector<int64_t> dims(indices.dims().begin(), indices.dims().end() - 1);
  for (int d = static_cast<int>(depth); d < params.rank(); ++d) dims.push_back(params.dim(d));
  return make_partial_shape(dims);
}
absl::Status resource_gather_nd_shape(ShapeContext& c) {
  return c.set_output(0, gathered_nd(variable_shape(c), c.input(1)));
}

class ResourceGatherNd final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<VariableResource> variable, find_variable(ctx, input_, dtype_));
    MR_ASSIGN_OR_RETURN(const Tensor params, variable->value(ctx.node().name));
    const TensorShape& indices = ctx.shape(1);
    MR_ASSIGN_OR_RETURN(const PartialTensorShape partial, gathered_nd(params.shape(), indices));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const int64_t depth = indices.dim(indices.rank() - 1);
    const auto dims = params.shape().dims().first(static_cast<size_t>(depth));
    int64_t slice = 1;
    for (int d = static_cast<int>(depth); d < params.rank(); ++d) slice *= params.dim(d);
    const int64_t count = shape.num_elements() / slice;
    return with_indices(ctx, [&]<class I>(std::span<const I> index) {
      return with_storage(dtype_, [&]<class S>(std::type_identity<S>) -> absl::Status {
        for (int64_t i = 0; i < count; ++i) {
          const I* components = index.data() + i * depth;
          const int64_t position = nd_position(components, dims);
          if (position < 0) {
            std::string text;
            for (int64_t d = 0; d < depth; ++d) str_append(&text, d == 0 ? "" : ",", components[d]);
            return invalid_argument("indices", position_text(subshape(indices, 0, indices.rank() - 1), i), " = [", text,
                                    "] does not index into param shape ", params.shape(),
                                    ", node name: ", ctx.node().name);
          }
          copy_run(static_cast<const S*>(params.raw_data()) + position * slice,
                   static_cast<S*>(out->raw_mutable_data()) + i * slice, slice);
        }
        return absl::OkStatus();
      });
    });
  }

 private:
  VariableInput input_;
  DataType dtype_ = DataType::kInvalid;
};

// --- Gradients: the rows of the variable that were read

// tf.variable_shape: a constant where the variable's shape is known.
Output shape_of_variable(GradientContext& g, const Output& handle) {
  const PartialTensorShape shape = g.variable_shape(handle);
  if (shape.is_fully_defined()) return int_list(g, {shape.dims().begin(), shape.dims().end()});
  return g.op("VariableShape", {handle});
}

absl::Status resource_gather_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t batch_dims, g.attr<int64_t>("batch_dims"));
  if (batch_dims != 0) return unimplemented("the gradient of ResourceGather with batch_dims");
  const Output indices = g.x(1);
  const Output shape = shape_of_variable(g, g.x(0));
  const Output size = op_with_literal(g, "ExpandDims", size_of(g, indices), Tensor(int32_t{0}), "dim", "ExpandDims");
  const Output row = slice_vector(g, shape, {.has_end = false, .begin = 1});
  const Output rows = concat(g, {size, row}, 0);
  IndexedSlices slices;
  slices.values = g.op("Reshape", {g.dy(0), rows});
  slices.indices = g.op("Reshape", {indices, size});
  slices.dense_shape = shape;
  g.set_dx(0, slices);
  return absl::OkStatus();
}

absl::Status resource_gather_nd_gradient(GradientContext& g) {
  const Output indices = g.x(1);
  const Output shape = g.op("VariableShape", {g.x(0)}, {{"out_type", g.dtype(indices)}});
  const PartialTensorShape known = g.shape(indices);
  if (known.has_rank() && known.rank() == 2 && known.dim(1) == 1) {
    IndexedSlices slices;
    slices.values = g.dy(0);
    slices.indices = g.op("Squeeze", {indices}, {{"squeeze_dims", std::vector<int64_t>{-1}}});
    slices.dense_shape = shape;
    g.set_dx(0, slices);
  } else {
    g.set_dx(0, g.op("ScatterNd", {indices, g.dy(0), shape}));
  }
  return absl::OkStatus();
}

}  // namespace

void register_resource_gather(Registry& registry) {
  registry.op("ResourceGather")
      .input("resource: resource")
      .input("indices: Tindices")
      .output("output: dtype")
      .attr("batch_dims: int = 0")
      .attr("validate_indices: bool = true")
      .attr("dtype: type")
      .attr("Tindices: {int32, int64}")
      .stateful()
      .shape(resource_gather_shape)
      .cpu<ResourceGather>()
      .gradient(resource_gather_gradient)
      .doc("Rows of a variable.");
  registry.op("ResourceGatherNd")
      .input("resource: resource")
      .input("indices: Tindices")
      .output("output: dtype")
      .attr("dtype: type")
      .attr("Tindices: {int32, int64}")
      .stateful()
      .shape(resource_gather_nd_shape)
      .cpu<ResourceGatherNd>()
      .gradient(resource_gather_nd_gradient)
      .doc("Elements or slices of a variable that index vectors name.");
}

}  // namespace millrace
