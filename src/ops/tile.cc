// A tensor repeated along its dimensions.

#include "base/checked.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strides.h"

namespace millrace {
namespace {

absl::Status tile_shape(ShapeContext& c) {
  const PartialTensorShape& input = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape vector, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const auto known, known_ints(c, 1));
  if (known) {
    for (const int64_t m : *known) {
      if (m < 0) return c.set_output(0, invalid_argument("Expected multiples >= 0, but got ", m));
    }
  }
  const int64_t length = known ? static_cast<int64_t>(known->size()) : vector.dim(0);
  if (input.has_rank() && length >= 0 && length != input.rank()) {
    return c.set_output(0, invalid_argument("Shape must be rank ", length, " but is rank ", input.rank()));
  }
  const int64_t rank = input.has_rank() ? input.rank() : length;
  if (rank < 0 || rank > Dims::kMaxRank) return absl::OkStatus();
  std::vector<int64_t> dims(static_cast<size_t>(rank), -1);
  const std::optional<PartialTensorShape> multiples = known_partial(c, 1);
  for (size_t d = 0; d < dims.size(); ++d) {
    const int64_t m =
        multiples && static_cast<int64_t>(d) < multiples->rank() ? multiples->dim(static_cast<int>(d)) : -1;
    dims[d] = multiply_dims(input.has_rank() ? input.dim(static_cast<int>(d)) : -1, m);
  }
  return c.set_output(0, make_partial_shape(dims));
}

class Tile final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    if (ctx.input(1).rank() != 1 || ctx.input(1).num_elements() != input.rank()) {
      return invalid_argument("Expected multiples argument to be a vector of length ", input.rank(), " but got length ",
                              ctx.input(1).num_elements());
    }
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> multiples, ctx.int_values(1));
    const auto rank = static_cast<size_t>(input.rank());
    // Each dimension becomes two: the repetition, along which the source stands still, and the dimension itself.
    std::vector<int64_t> dims, out_dims, strides;
    const std::vector<int64_t> in_strides = row_major_strides(input.shape().dims());
    for (size_t d = 0; d < rank; ++d) {
      const int64_t size = input.dim(static_cast<int>(d));
      if (multiples[d] < 0) return invalid_argument("Expected multiples[", d, "] >= 0, but got ", multiples[d]);
      const CheckedInt product = CheckedInt(size) * multiples[d];
      if (!product.valid()) return invalid_argument("Tile: dimension ", d, " becomes too large");
      out_dims.push_back(product.value());
      dims.insert(dims.end(), {multiples[d], size});
      strides.insert(strides.end(), {0, in_strides[d]});
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(out_dims));
    if (shape == input.shape()) return ctx.set_output(0, input);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    return strided_copy(input.dtype(), dims, input.raw_data(), strides, out->raw_mutable_data(),
                        row_major_strides(dims));
  }
};

// Each dimension of dy is split into repetition and dimension; the repetitions are summed.
absl::Status tile_gradient(GradientContext& g) {
  const Output multiples = g.x(1);
  const Output dy = g.dy(0);
  const Output shape = shape_of(g, g.x(0), g.dtype(multiples));
  const Output rows = stack(g, {multiples, shape});
  MR_ASSIGN_OR_RETURN(const Tensor swap, make_vector<int32_t>(std::vector<int32_t>{1, 0}));
  const Output columns = op_with_literal(g, "Transpose", rows, swap, "perm", "transpose");
  MR_ASSIGN_OR_RETURN(const Tensor flat, make_vector<int32_t>(std::vector<int32_t>{-1}));
  const Output split = op_with_literal(g, "Reshape", columns, flat, "shape", "Reshape");
  const Output size = size_of(g, split);
  Output axes;
  {
    const auto scope = g.name_scope("range");
    const Output start = g.int32_scalar(0, "start");
    const Output delta = g.int32_scalar(2, "delta");
    axes = g.op("Range", {start, size, delta}, {}, "/");
  }
  const Output wide = g.op("Reshape", {dy, split});
  const Output sum = g.op("Sum", {wide, axes});
  g.set_dx(0, sum);
  return absl::OkStatus();
}

}  // namespace

void register_tile(Registry& registry) {
  registry.op("Tile")
      .input("input: T")
      .input("multiples: Tmultiples")
      .output("output: T")
      .attr("T: type")
      .attr("Tmultiples: {int32, int64} = DT_INT32")
      .shape(tile_shape)
      .cpu<Tile>()
      .gradient(tile_gradient)
      .doc("A tensor repeated multiples[i] times along dimension i.");
}

}  // namespace millrace
