// Where: the positions of true (non-zero) elements.

#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"

namespace millrace {
namespace {

absl::Status where_shape(ShapeContext& c) {
  return c.set_output(0, make_partial_shape({-1, c.input(0).has_rank() ? c.input(0).rank() : -1}));
}

template <class T> bool is_true(const T& value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<float>(value) != 0;
  } else if constexpr (requires { value.value; }) {  // quantized
    return value.value != 0;
  } else {
    return value != T(0);
  }
}

template <class T> class Where final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);  // held: the two passes see the same values
    MR_ASSIGN_OR_RETURN(const std::span<const T> values, ctx.flat<T>(0));
    std::vector<int64_t> found;
    for (size_t i = 0; i < values.size(); ++i) {
      if (is_true(values[i])) found.push_back(static_cast<int64_t>(i));
    }
    const int rank = input.rank();
    if (rank == 0) return invalid_argument("WhereOp : Unhandled input dimensions: 0");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(found.size()), int64_t{rank}}));
    MR_ASSIGN_OR_RETURN(const std::span<int64_t> out, ctx.output<int64_t>(0, shape));
    if (rank == 1) {
      std::copy(found.begin(), found.end(), out.begin());
      return absl::OkStatus();
    }
    parallel_for(static_cast<int64_t>(found.size()), 4.0 * rank, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        int64_t rest = found[static_cast<size_t>(row)];
        for (int d = rank; d-- > 0;) {
          out[static_cast<size_t>(row * rank + d)] = rest % input.dim(d);
          rest /= input.dim(d);
        }
      }
    });
    return absl::OkStatus();
  }
};

}  // namespace

void register_where(Registry& registry) {
  registry.op("Where")
      .input("input: T")
      .output("index: int64")
      .attr("T: {numbertype, bool} = DT_BOOL")
      .shape(where_shape)
      .cpu_for<Where>(NumberTypes(), "T")
      .cpu<Where, bool, Qint8, Quint8, Qint16, Quint16, Qint32>()
      .not_differentiable()
      .doc("The positions of the elements that are true or not zero, one per row, in row-major order.");
}

}  // namespace millrace
