// Positions: of values in sorted rows, and of flat indices in a box.

#include <algorithm>
#include <limits>

#include "kernels/number.h"
#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

absl::Status search_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank(1, 2));
  return c.set_output(0, values);
}

// Per row, the first position whose element is not less (lower) or is greater (upper) than each value.
template <bool kUpper, class T, class I> class Search : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape rows = ctx.shape(0);
    const TensorShape shape = ctx.shape(1);
    if (rows.rank() != 2) return invalid_argument("sorted input argument must be a matrix");
    if (shape.rank() != 2) return invalid_argument("search values argument must be a matrix");
    if (rows.dim(0) != shape.dim(0)) return invalid_argument("Leading dim_size of both tensors must match.");
    if (rows.dim(1) > std::numeric_limits<I>::max())
      return invalid_argument("trailing dim_size must less than INT_MAX for int32 output type, was ", rows.dim(1));
    MR_ASSIGN_OR_RETURN(const std::span<const T> sorted, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> values, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const std::span<I> out, ctx.output<I>(0, shape));
    const int64_t n = rows.dim(1);
    parallel_for(shape.num_elements(), 30, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* row = sorted.data() + i / shape.dim(1) * n;
        const T& value = values[static_cast<size_t>(i)];
        const auto less = [](const T& a, const T& b) { return number_less(a, b); };
        const T* at =
            kUpper ? std::upper_bound(row, row + n, value, less) : std::lower_bound(row, row + n, value, less);
        out[static_cast<size_t>(i)] = static_cast<I>(at - row);
      }
    });
    return absl::OkStatus();
  }
};
template <class T, class I> using LowerBound = Search<false, T, I>;
template <class T, class I> using UpperBound = Search<true, T, I>;

absl::Status unravel_index_shape(ShapeContext& c) {
  const PartialTensorShape& indices = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dims, c.with_rank(1, 1));
  if (!indices.has_rank()) return absl::OkStatus();
  if (indices.rank() > 1)
    return c.set_output(0, invalid_argument("The indices can only be scalar or vector, got \"", indices, "\""));
  if (indices.rank() == 0) return c.set_output(0, make_partial_shape({dims.dim(0)}));
  return c.set_output(0, make_partial_shape({dims.dim(0), indices.dim(0)}));
}

template <class T> class UnravelIndex final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() > 1) return invalid_argument("The indices can only be scalar or vector, got \"", shape, "\"");
    if (ctx.input(1).rank() != 1)
      return invalid_argument("The dims tensor can only be a vector, got \"", ctx.shape(1), "\"");
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ctx.int_values(0));
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] == 0)
        return invalid_argument("Input dims cannot contain a dim of zero, but dims contains zero at index ", d);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape box, make_shape(dims));
    const auto rank = static_cast<int64_t>(dims.size());
    const auto n = static_cast<int64_t>(indices.size());
    MR_ASSIGN_OR_RETURN(const TensorShape out_shape, shape.rank() == 0 ? make_shape({rank}) : make_shape({rank, n}));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, out_shape));
    for (int64_t i = 0; i < n; ++i) {
      int64_t rest = indices[static_cast<size_t>(i)];
      if (rest < 0 || rest >= box.num_elements())
        return invalid_argument("index is out of bound as with dims: ", rest, " in ", box);
      for (int64_t d = rank; d-- > 0;) {
        out[static_cast<size_t>(d * n + i)] = static_cast<T>(rest % dims[static_cast<size_t>(d)]);
        rest /= dims[static_cast<size_t>(d)];
      }
    }
    return absl::OkStatus();
  }
};

}  // namespace

void register_search_sorted(Registry& registry) {
  registry.op("LowerBound")
      .input("sorted_inputs: T")
      .input("values: T")
      .output("output: out_type")
      .attr("T: type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .shape(search_shape)
      .cpu_for<LowerBound>(RealTypes(), "T", Types<int32_t, int64_t>(), "out_type")
      .not_differentiable()
      .doc("Where each value would be inserted first in its sorted row.");
  registry.op("UpperBound")
      .input("sorted_inputs: T")
      .input("values: T")
      .output("output: out_type")
      .attr("T: type")
      .attr("out_type: {int32, int64} = DT_INT32")
      .shape(search_shape)
      .cpu_for<UpperBound>(RealTypes(), "T", Types<int32_t, int64_t>(), "out_type")
      .not_differentiable()
      .doc("Where each value would be inserted last in its sorted row.");
  registry.op("UnravelIndex")
      .input("indices: Tidx")
      .input("dims: Tidx")
      .output("output: Tidx")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(unravel_index_shape)
      .cpu<UnravelIndex, int32_t, int64_t>("Tidx")
      .not_differentiable()
      .doc("The coordinates of flat indices in a box of the given dimensions.");
}

}  // namespace millrace
