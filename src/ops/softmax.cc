// Softmax and LogSoftmax over the last dimension.

#include "kernels/softmax.h"

#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

absl::Status softmax_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape logits, c.with_rank_at_least(0, 1));
  return c.set_output(0, std::move(logits));
}

template <class S> void softmax_rows(const S* x, int64_t rows, int64_t n, bool log, S* y, S* scratch) {
  S *max = scratch, *sum = scratch + rows;
  if (!log) {
    exp_rows(x, rows, n, y, max, sum);
    for (int64_t r = 0; r < rows; ++r) {
      const S scale = S(1) / sum[r];
      for (int64_t i = 0; i < n; ++i) y[r * n + i] *= scale;
    }
    return;
  }
  std::vector<S> e(static_cast<size_t>(n));  // y may be x
  for (int64_t r = 0; r < rows; ++r) {
    exp_rows(x + r * n, 1, n, e.data(), max, sum);
    // max and log(sum) one after the other: added first, a small log(sum) would drown in a large max.
    const S log_sum = std::log(sum[0]), shift = max[0];
    for (int64_t i = 0; i < n; ++i) y[r * n + i] = (x[r * n + i] - shift) - log_sum;
  }
}

template <class T, bool kLog> class SoftmaxKernel final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> x, ctx.flat<T>(0));
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() < 1) return invalid_argument(ctx.node().op, ": logits must have >= 1 dimension, got ", shape);
    MR_ASSIGN_OR_RETURN(const std::span<T> y, ctx.forward_or_allocate<T>(0, 0, shape));
    if (y.empty()) return absl::OkStatus();
    const int64_t n = shape.dim(shape.rank() - 1), rows = static_cast<int64_t>(y.size()) / n;
    parallel_for(rows, 2 * n + 20, [&](int64_t begin, int64_t end) {
      const int64_t count = end - begin;
      const T* in = x.data() + begin * n;
      T* out = y.data() + begin * n;
      if constexpr (sizeof(T) > 2) {
        std::vector<T> scratch(static_cast<size_t>(2 * count));
        softmax_rows(in, count, n, kLog, out, scratch.data());
      } else {
        std::vector<float> row(static_cast<size_t>(n));
        float scratch[2];
        for (int64_t r = 0; r < count; ++r) {
          for (int64_t i = 0; i < n; ++i) row[static_cast<size_t>(i)] = static_cast<float>(in[r * n + i]);
          softmax_rows(row.data(), 1, n, kLog, row.data(), scratch);
          for (int64_t i = 0; i < n; ++i) out[r * n + i] = static_cast<T>(row[static_cast<size_t>(i)]);
        }
      }
    });
    return absl::OkStatus();
  }
};
template <class T> using Softmax = SoftmaxKernel<T, false>;
template <class T> using LogSoftmax = SoftmaxKernel<T, true>;

Output sum_of_rows(GradientContext& g, const Output& x) {
  const auto scope = g.name_scope("Sum");
  const Output last = g.int32_scalar(-1, "reduction_indices");
  return g.op("Sum", {x, last}, {{"keep_dims", true}}, "/");
}

// dx = (dy - sum(dy y)) y
absl::Status softmax_gradient(GradientContext& g) {
  const Output dy = g.dy(0), y = g.y(0);
  const Output sum = sum_of_rows(g, g.op("Mul", {dy, y}, {}, "mul"));
  const Output centred = g.op("Sub", {dy, sum}, {}, "sub");
  g.set_dx(0, g.op("Mul", {centred, y}, {}, "mul"));
  return absl::OkStatus();
}

// dx = dy - sum(dy) exp(y)
absl::Status log_softmax_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output softmax = g.op("Exp", {g.y(0)});
  const Output sum = sum_of_rows(g, dy);
  const Output part = g.op("Mul", {sum, softmax}, {}, "mul");
  g.set_dx(0, g.op("Sub", {dy, part}, {}, "sub"));
  return absl::OkStatus();
}

}  // namespace

void register_softmax(Registry& registry) {
  registry.op("Softmax")
      .input("logits: T")
      .output("softmax: T")
      .attr("T: {half, bfloat16, float, double}")
      .shape(softmax_shape)
      .cpu_for<Softmax>(FloatTypes())
      .gradient(softmax_gradient)
      .doc("exp(logits) / sum(exp(logits)) over the last dimension.");
  registry.op("LogSoftmax")
      .input("logits: T")
      .output("logsoftmax: T")
      .attr("T: {half, bfloat16, float, double}")
      .shape(softmax_shape)
      .cpu_for<LogSoftmax>(FloatTypes())
      .gradient(log_softmax_gradient)
      .doc("logits - log(sum(exp(logits))) over the last dimension.");
}

}  // namespace millrace
