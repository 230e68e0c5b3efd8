// Cross entropies between labels and a softmax of logits, with the gradient computed on the way.

#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/softmax.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

template <class T> struct Wide { using type = T; };
template <> struct Wide<Half> { using type = float; };
template <> struct Wide<BFloat16> { using type = float; };

// --- Labels as distributions

absl::StatusOr<PartialTensorShape> broadcast_logits(const PartialTensorShape& logits,
                                                    const PartialTensorShape& labels) {
  absl::StatusOr<PartialTensorShape> both = broadcast(logits, labels);
  if (!both.ok()) {
    return invalid_argument("logits and labels must be broadcastable: logits_size=", logits, " labels_size=", labels);
  }
  if (both->has_rank() && both->rank() != 2) {
    return invalid_argument(
        "logits and labels must be either 2-dimensional, or broadcasted to be 2-dimensional: logits_size=", logits,
        " labels_size=", labels);
  }
  return both;
}

absl::Status softmax_cross_entropy_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape both, broadcast_logits(c.input(0), c.input(1)));
  const int64_t rows = both.has_rank() ? both.dim(0) : -1, classes = both.has_rank() ? both.dim(1) : -1;
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({rows})));
  return c.set_output(1, make_partial_shape({rows, classes}));
}

// How an input of rank <= 2 is walked to fill rows x classes.
struct Strides {
  int64_t row = 0, column = 0;
};
Strides strides_of(const TensorShape& s) {
  Strides r;
  const int64_t columns = s.rank() >= 1 ? s.dim(s.rank() - 1) : 1;
  if (columns != 1) r.column = 1;
  if (s.rank() == 2 && s.dim(0) != 1) r.row = columns;
  return r;
}

template <class T> class SoftmaxCrossEntropy final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const T> labels, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const PartialTensorShape both, broadcast_logits(ctx.shape(0), ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(both));
    const int64_t rows = shape.dim(0), n = shape.dim(1);
    MR_ASSIGN_OR_RETURN(const TensorShape row_shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(const std::span<T> loss, ctx.output<T>(0, row_shape));
    MR_ASSIGN_OR_RETURN(const std::span<T> backprop, ctx.output<T>(1, shape));
    if (n == 0) {
      for (T& l : loss) l = T{};
      return absl::OkStatus();
    }
    const Strides sx = strides_of(ctx.shape(0)), sl = strides_of(ctx.shape(1));
    parallel_for(rows, 4.0 * static_cast<double>(n) + 40, [&](int64_t begin, int64_t end) {
      std::vector<S> x(static_cast<size_t>(n)), e(static_cast<size_t>(n));
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t i = 0; i < n; ++i)
          x[static_cast<size_t>(i)] = static_cast<S>(logits[static_cast<size_t>(r * sx.row + i * sx.column)]);
        S max, sum;
        exp_rows(x.data(), 1, n, e.data(), &max, &sum);
        const S log_sum = std::log(sum), scale = S(1) / sum;
        S total = 0;
        for (int64_t i = 0; i < n; ++i) {
          const auto label = static_cast<S>(labels[static_cast<size_t>(r * sl.row + i * sl.column)]);
          total += label * (log_sum - (x[static_cast<size_t>(i)] - max));
          backprop[static_cast<size_t>(r * n + i)] = static_cast<T>(e[static_cast<size_t>(i)] * scale - label);
        }
        loss[static_cast<size_t>(r)] = static_cast<T>(total);
      }
    });
    return absl::OkStatus();
  }
};

// --- Labels as class numbers

absl::Status sparse_cross_entropy_shape(ShapeContext& c) {
  const PartialTensorShape &logits = c.input(0), &labels = c.input(1);
  if (logits.has_rank() && logits.rank() != 2) return invalid_argument("logits must be 2-D, but got shape ", logits);
  if (labels.has_rank() && labels.rank() != 1) return invalid_argument("labels must be 1-D, but got shape ", labels);
  int64_t rows = logits.has_rank() ? logits.dim(0) : -1;
  const int64_t label_rows = labels.has_rank() ? labels.dim(0) : -1;
  if (rows >= 0 && label_rows >= 0 && rows != label_rows) {
    return invalid_argument("logits and labels must have the same first dimension, got logits shape ", logits,
                            " and labels shape ", labels);
  }
  if (rows < 0) rows = label_rows;
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({rows})));
  return c.set_output(1, make_partial_shape({rows, logits.has_rank() ? logits.dim(1) : -1}));
}

template <class T, class Label> class SparseSoftmaxCrossEntropy final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    using S = typename Wide<T>::type;
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const Label> given, ctx.flat<Label>(1));
    const TensorShape &shape = ctx.shape(0), &label_shape = ctx.shape(1);
    if (shape.rank() != 2) return invalid_argument("logits must be 2-D, but got shape ", shape);
    if (label_shape.rank() != 1) return invalid_argument("labels must be 1-D, but got shape ", label_shape);
    const int64_t rows = shape.dim(0), n = shape.dim(1);
    if (rows != label_shape.dim(0)) {
      return invalid_argument("logits and labels must have the same first dimension, got logits shape ", shape,
                              " and labels shape ", label_shape);
    }
    if (n == 0) return invalid_argument("Must have at least one class, but got logits shape ", shape);
    const std::vector<Label> labels(given.begin(), given.end());  // read once: what is checked is what is used
    for (const Label l : labels) {
      if (l < 0 || l >= n) return out_of_range_label(l, n, labels);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape row_shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(const std::span<T> loss, ctx.output<T>(0, row_shape));
    MR_ASSIGN_OR_RETURN(const std::span<T> backprop, ctx.forward_or_allocate<T>(0, 1, shape));
    parallel_for(rows, 2.0 * static_cast<double>(n) + 40, [&](int64_t begin, int64_t end) {
      std::vector<S> wide(sizeof(T) < sizeof(S) ? static_cast<size_t>(n) : 0);
      for (int64_t r = begin; r < end; ++r) {
        const auto label = static_cast<size_t>(labels[static_cast<size_t>(r)]);
        const T* x = logits.data() + r * n;
        T* out = backprop.data() + r * n;
        const S picked = static_cast<S>(x[label]);
        S max, sum;
        if constexpr (sizeof(T) == sizeof(S)) {
          exp_rows(x, 1, n, out, &max, &sum);
          const S scale = S(1) / sum;
          for (int64_t i = 0; i < n; ++i) out[i] *= scale;
          out[label] -= S(1);
        } else {
          for (int64_t i = 0; i < n; ++i) wide[static_cast<size_t>(i)] = static_cast<S>(x[i]);
          exp_rows(wide.data(), 1, n, wide.data(), &max, &sum);
          const S scale = S(1) / sum;
          for (int64_t i = 0; i < n; ++i)
            out[i] =
                static_cast<T>(wide[static_cast<size_t>(i)] * scale - (static_cast<size_t>(i) == label ? S(1) : S(0)));
        }
        loss[static_cast<size_t>(r)] = static_cast<T>(std::log(sum) - (picked - max));
      }
    });
    return absl::OkStatus();
  }

 private:
  static absl::Status out_of_range_label(Label bad, int64_t classes, const std::vector<Label>& labels) {
    std::string values;
    for (size_t i = 0; i < labels.size() && i < 100; ++i) str_append(&values, i == 0 ? "" : " ", labels[i]);
    return invalid_argument("Received a label value of ", bad, " which is outside the valid range of [0, ", classes,
                            ").  Label values: ", values);
  }
};

// --- Gradients

Output expand(GradientContext& g, const Output& x, int32_t axis) {
  const auto scope = g.name_scope("ExpandDims");
  const Output dim = g.int32_scalar(axis, "dim");
  return g.op("ExpandDims", {x, dim}, {}, "/");
}

// vector[i] * matrix[i, :]
Output scale_rows(GradientContext& g, const Output& vector, const Output& matrix) {
  return g.op("Mul", {expand(g, vector, -1), matrix}, {}, "mul");
}

// What flows back through the second output, for second derivatives: (d - (d . softmax)) softmax.
Output through_backprop(GradientContext& g, const Output& dx, const Output& d, const Output& logits) {
  const Output softmax = g.op("Softmax", {logits});
  const Output row = expand(g, d, 1), column = expand(g, softmax, 2);
  const Output dot = g.op("BatchMatMulV2", {row, column}, {}, "MatMul");
  const Output squeezed = g.op("Squeeze", {dot}, {{"squeeze_dims", std::vector<int64_t>{1}}});
  const Output centred = g.op("Sub", {d, squeezed}, {}, "sub");
  const Output more = g.op("Mul", {centred, softmax}, {}, "mul");
  return g.op("AddV2", {dx, more}, {}, "add");
}

absl::Status softmax_cross_entropy_gradient(GradientContext& g) {
  const Output dloss = g.dy(0), logits = g.x(0);
  Output dx = scale_rows(g, dloss, g.y(1));
  if (const Output second = g.dy(1); second && !g.is_zero(second)) dx = through_backprop(g, dx, second, logits);
  g.set_dx(0, dx);
  const Output log_softmax = g.op("LogSoftmax", {logits});
  const Output negative = g.op("Neg", {log_softmax});
  g.set_dx(1, scale_rows(g, dloss, negative));
  return absl::OkStatus();
}

absl::Status sparse_cross_entropy_gradient(GradientContext& g) {
  Output dx = scale_rows(g, g.dy(0), g.y(1));
  if (const Output second = g.dy(1); second && !g.is_zero(second)) dx = through_backprop(g, dx, second, g.x(0));
  g.set_dx(0, dx);
  return absl::OkStatus();
}

}  // namespace

void register_cross_entropy(Registry& registry) {
  registry.op("SoftmaxCrossEntropyWithLogits")
      .input("features: T")
      .input("labels: T")
      .output("loss: T")
      .output("backprop: T")
      .attr("T: {half, bfloat16, float, double}")
      .shape(softmax_cross_entropy_shape)
      .cpu_for<SoftmaxCrossEntropy>(FloatTypes())
      .gradient(softmax_cross_entropy_gradient)
      .doc("-sum(labels * log_softmax(features)) per row, and its gradient; the inputs broadcast to one matrix.");
  registry.op("SparseSoftmaxCrossEntropyWithLogits")
      .input("features: T")
      .input("labels: Tlabels")
      .output("loss: T")
      .output("backprop: T")
      .attr("T: {half, bfloat16, float, double}")
      .attr("Tlabels: {int32, int64} = DT_INT64")
      .shape(sparse_cross_entropy_shape)
      .cpu_for<SparseSoftmaxCrossEntropy>(FloatTypes(), "T", Types<int32_t, int64_t>(), "Tlabels")
      .gradient(sparse_cross_entropy_gradient)
      .doc("-log_softmax(features)[label] per row, and its gradient; labels are class numbers in [0, classes).");
}

}  // namespace millrace
