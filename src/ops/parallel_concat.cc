// ParallelConcat: values of one row each, joined. TensorFlow writes each as it arrives; here they are copied at once.

#include "data/rows.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

absl::StatusOr<TensorShape> whole_shape(const NodeInfo& node) {
  MR_ASSIGN_OR_RETURN(const auto shape, get_attr<PartialTensorShape>(node, "shape"));
  if (!shape.is_fully_defined()) return invalid_argument("shape attr must be fully defined, got ", shape);
  return as_tensor_shape(shape);
}

absl::Status parallel_concat_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const TensorShape whole, whole_shape(c.node()));
  if (whole.rank() < 1) return invalid_argument("ParallelConcat: shape must have at least one dimension");
  if (whole.dim(0) != c.num_inputs())
    return invalid_argument("ParallelConcat of ", c.num_inputs(), " values cannot have shape ", whole);
  MR_ASSIGN_OR_RETURN(const TensorShape row, with_dim(whole, 0, 1));
  for (int i = 0; i < c.num_inputs(); ++i) {
    const PartialTensorShape& value = c.input(i);
    if (value.has_rank() && value.rank() == 0)
      return invalid_argument("The rank of all input shapes must be greater than 0, but input ", i, " had rank 0.");
    if (!value.is_fully_defined()) return invalid_argument("All input shapes must be fully defined.");
    if (value.dim(0) != 1) return invalid_argument("Size of first dimension must be 1.");
    if (!value.is_compatible_with(row))
      return invalid_argument("From merging shape ", i, " with other shapes: ", value, " and ", row, " differ");
  }
  return c.set_output(0, PartialTensorShape(whole));
}

class ParallelConcat final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape whole, whole_shape(ctx.node()));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, whole));
    int64_t at = 0;
    for (int i = 0; i < ctx.num_inputs(); ++i) {
      const Tensor& value = ctx.input(i);
      if (value.dtype() != out->dtype() || value.num_elements() > out->num_elements() - at)
        return invalid_argument("ParallelConcat: value ", i, " does not fit into shape ", whole);
      copy_values(value, 0, *out, at, value.num_elements());
      at += value.num_elements();
    }
    if (at != out->num_elements()) return invalid_argument("ParallelConcat: the values do not fill shape ", whole);
    return absl::OkStatus();
  }
};

}  // namespace

void register_parallel_concat(Registry& registry) {
  registry.op("ParallelConcat")
      .input("values: N * T")
      .output("output: T")
      .attr("N: int >= 1")
      .attr("T: type")
      .attr("shape: shape")
      .shape(parallel_concat_shape)
      .cpu<ParallelConcat>()
      .doc("Values of one row each as the rows of one tensor.");
}

}  // namespace millrace
