// Sums of many tensors of one shape: AddN and AccumulateNV2.

#include <algorithm>

#include "kernels/parallel.h"
#include "kernels/vector_loops.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/elementwise.h"
#include "ops/math_gradients.h"
#include "ops/variant_math.h"

namespace millrace {

namespace {

struct Plus {
  template <class T> T operator()(T x, T y) const {
    return wrapping(x, y, [](auto a, auto b) { return a + b; });
  }
};

template <class T> class AddN final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const int count = ctx.num_inputs();
    if (count < 1) return invalid_argument("'", ctx.node().name, "' (AddN): no inputs");
    std::vector<const T*> from(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(i));
      if (!(ctx.shape(i) == ctx.shape(0))) {
        return invalid_argument("Inputs to operation ", ctx.node().name, " of type ", ctx.node().op,
                                " must have the same size and shape.  Input 0: ", ctx.shape(0), " != input ", i, ": ",
                                ctx.shape(i));
      }
      from[static_cast<size_t>(i)] = x.data();
    }
    if (count == 1) return ctx.set_output(0, ctx.input(0));
    // Only the first input's buffer may be reused: a block of it is read before any of the output is written.
    MR_ASSIGN_OR_RETURN(const auto out, ctx.forward_or_allocate<T>({0}, 0, ctx.shape(0)));
    parallel_for(static_cast<int64_t>(out.size()), 0.2 * count, [&](int64_t begin, int64_t end) {
      constexpr int64_t kBlock = 2048;  // stays in the first cache while the inputs pass
      for (int64_t i = begin; i < end; i += kBlock) sum_block(from, i, std::min(kBlock, end - i), out.data() + i);
    });
    return absl::OkStatus();
  }
  static void sum_block(const std::vector<const T*>& from, int64_t at, int64_t n, T* out) {
    if constexpr (is_small_float<T>) {
      constexpr Storage storage = std::is_same_v<T, Half> ? Storage::kHalf : Storage::kBfloat16;
      run_binary(&binary_loop<Plus, float>, storage, storage, from[0] + at, from[1] + at, out, n);
      for (size_t k = 2; k < from.size(); ++k)
        run_binary(&binary_loop<Plus, float>, storage, storage, out, from[k] + at, out, n);
    } else {
      BinaryLoop loop = &binary_loop<Plus, T>;
      if constexpr (std::is_same_v<T, float>) loop = &vector_loops::add;
      loop(from[0] + at, from[1] + at, out, n);
      for (size_t k = 2; k < from.size(); ++k) loop(out, from[k] + at, out, n);
    }
  }
};

absl::Status accumulate_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape shape, c.attr<PartialTensorShape>("shape"));
  for (int i = 0; i < c.num_inputs(); ++i) {
    MR_ASSIGN_OR_RETURN(shape, merge(shape, c.input(i)));
  }
  return c.set_output(0, shape);
}

absl::Status copy_to_all(GradientContext& g) {
  const Output dy = g.dy(0);
  for (int i = 0; i < g.num_inputs(); ++i) g.set_dx(i, dy);
  return absl::OkStatus();
}

}  // namespace

void register_aggregate(Registry& r) {
  r.op("AddN")
      .input("inputs: N * T")
      .output("sum: T")
      .attr("N: int >= 1")
      .attr(
          "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
          "quint16, uint16, complex128, half, uint32, uint64, variant}")
      .commutative()
      .aggregate()
      .shape(merged_shape)
      .gradient(copy_to_all)
      .cpu_for<AddN>(NumberTypes{})
      .kernel({"CPU", {{"T", DataType::kVariant}}, make_variant_sum})
      .doc("The sum of all inputs, elementwise.");
  r.op("AccumulateNV2")
      .input("inputs: N * T")
      .output("sum: T")
      .attr("N: int >= 1")
      .attr(
          "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
          "quint16, uint16, complex128, half, uint32, uint64}")
      .attr("shape: shape")
      .commutative()
      .aggregate()
      .shape(accumulate_shape)
      .gradient(copy_to_all)
      .cpu_for<AddN>(NumberTypes{})
      .doc("The sum of all inputs, elementwise.");
}

}  // namespace millrace
