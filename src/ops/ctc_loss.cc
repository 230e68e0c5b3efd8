// Connectionist temporal classification: the loss of sequences whose labels are not aligned with time, and its
// gradient (Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", chapter 7). The last class is the
// blank. All is computed in double, in logarithms.

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/checked.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

constexpr double kLogZero = -std::numeric_limits<double>::infinity();

// log(e^a + e^b)
double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == kLogZero ? a : a + std::log1p(std::exp(b - a));
}

struct CtcOptions {
  bool collapse_repeated = false, merge_repeated = true, ignore_longer = false;
};

using Labels = std::vector<int32_t>;

// --- The labels of each sequence, from the rows of a sparse matrix

// Row r as (sequence, position): within the batch and after the row before it.
absl::Status check_row(std::span<const int64_t> indices, size_t r, int64_t batch) {
  const int64_t b = indices[2 * r], position = indices[2 * r + 1];
  if (b < 0 || b >= batch || position < 0)
    return invalid_argument("label SparseTensor is not valid: indices[", r, "] = [", b, ",", position,
                            "] is out of bounds: need 0 <= index < [", batch, ",inf)");
  if (r == 0) return absl::OkStatus();
  const auto before = std::pair(indices[2 * r - 2], indices[2 * r - 1]), now = std::pair(b, position);
  if (before < now) return absl::OkStatus();
  return invalid_argument("label SparseTensor is not valid: indices[", r, "] = [", b, ",", position, "] is ",
                          before == now ? "repeated" : "out of order");
}

absl::StatusOr<std::vector<Labels>> read_labels(KernelContext& ctx, int64_t batch) {
  const TensorShape &indices_shape = ctx.shape(1), &values_shape = ctx.shape(2);
  if (indices_shape.rank() != 2) return invalid_argument("labels_indices is not a matrix");
  if (values_shape.rank() != 1) return invalid_argument("labels_values is not a vector");
  if (indices_shape.dim(0) != values_shape.dim(0))
    return invalid_argument("labels_indices and labels_values must contain the same number of rows, but saw shapes: ",
                            indices_shape, " vs. ", values_shape);
  if (indices_shape.dim(1) != 2) return invalid_argument("labels_indices must have two columns, got ", indices_shape);
  MR_ASSIGN_OR_RETURN(const std::span<const int64_t> indices, ctx.flat<int64_t>(1));
  MR_ASSIGN_OR_RETURN(const std::span<const int32_t> values, ctx.flat<int32_t>(2));
  std::vector<Labels> labels(static_cast<size_t>(batch));
  for (size_t r = 0; r < values.size(); ++r) {
    MR_RETURN_IF_ERROR(check_row(indices, r, batch));
    labels[static_cast<size_t>(indices[2 * r])].push_back(values[r]);
  }
  return labels;
}

std::string some_of(const Labels& labels) {
  constexpr size_t kShown = 20;
  return absl::StrJoin(std::span(labels).first(std::min(labels.size(), kShown)), ",") +
         (labels.size() > kShown ? ",..." : "");
}

// The labels with a blank before each and after the last. Labels at or above the blank may only stand at the end.
absl::StatusOr<Labels> with_blanks(const Labels& labels, int64_t b, int32_t blank, bool collapse) {
  Labels out;
  bool is_finished = false;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (collapse && i > 0 && labels[i] == labels[i - 1]) continue;
    if (labels[i] >= blank) {
      is_finished = true;
      continue;
    }
    if (is_finished)
      return invalid_argument("Saw a non-null label (index >= num_classes - 1) following a null label, batch: ", b,
                              " num_classes: ", blank + 1, " labels: ", some_of(labels));
    if (labels[i] < 0)
      return invalid_argument("All labels must be nonnegative integers, batch: ", b, " labels: ", some_of(labels));
    out.push_back(blank);
    out.push_back(labels[i]);
  }
  out.push_back(blank);
  return out;
}

// --- One sequence

struct Sequence {
  const Labels& path;  // with blanks
  int64_t time = 0, classes = 0, stride = 0;
  bool merge_repeated = true;

  int64_t length() const { return std::ssize(path); }
  int32_t label(int64_t u) const { return path[static_cast<size_t>(u)]; }
  bool is_blank(int64_t u) const { return u % 2 == 0; }
  // Whether the path may stay at u, and go from u - 2 to u, past the blank between.
  bool stays(int64_t u) const { return merge_repeated || is_blank(u); }
  bool skips(int64_t u) const {
    return u >= 2 && u < length() && !is_blank(u) && !(merge_repeated && label(u) == label(u - 2));
  }
  // The places [first(t), last(t)) that a path can have at time t.
  int64_t first(int64_t t) const { return std::max<int64_t>(0, length() - 2 * (time - t)); }
  int64_t last(int64_t t) const { return std::min(length(), 2 * (t + 1)); }
};

template <class T> void log_softmax(const T* in, int64_t n, double* out) {
  const auto most = static_cast<double>(*std::max_element(in, in + n));
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(in[i]) - most);
  const double offset = most + std::log(sum);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<double>(in[i]) - offset;
}

// What one sequence needs: the log probabilities of the outputs, log_y [time, classes], alpha [time, length], two rows
// of beta and one of classes.
struct Workspace {
  double *log_y, *alpha, *next, *now, *occupied;
  static CheckedInt size(const Sequence& s) {
    return CheckedInt(s.time) * (CheckedInt(s.classes) + s.length()) + CheckedInt(2) * s.length() + s.classes;
  }
  Workspace(double* memory, const Sequence& s)
      : log_y(memory),
        alpha(log_y + s.time * s.classes),
        next(alpha + s.time * s.length()),
        now(next + s.length()),
        occupied(now + s.length()) {}
};

// Fills alpha: the log probability of all beginnings of paths that are at u at time t (equation 7.9). Returns that of
// all whole paths.
double forward(const Sequence& s, const Workspace& w) {
  const int64_t length = s.length();
  std::fill_n(w.alpha, s.time * length, kLogZero);
  for (int64_t u = s.first(0); u < s.last(0); ++u) w.alpha[u] = w.log_y[s.label(u)];
  for (int64_t t = 1; t < s.time; ++t) {
    const double* before = w.alpha + (t - 1) * length;
    for (int64_t u = s.first(t); u < s.last(t); ++u) {
      double sum = s.stays(u) ? before[u] : kLogZero;
      if (u > 0) sum = log_add(sum, before[u - 1]);
      if (s.skips(u)) sum = log_add(sum, before[u - 2]);
      w.alpha[t * length + u] = sum + w.log_y[t * s.classes + s.label(u)];
    }
  }
  const double* end = w.alpha + (s.time - 1) * length;
  return length > 1 ? log_add(end[length - 1], end[length - 2]) : end[0];
}

// The gradient by the logits (equation 7.34), going back in time. `next` holds the log probability of all rests of
// paths that are at u one step later, that step's output included.
template <class T> void backward(const Sequence& s, const Workspace& w, double log_p, T* gradient) {
  const int64_t length = s.length();
  double *next = w.next, *now = w.now;
  for (int64_t t = s.time - 1; t >= 0; --t) {
    std::fill_n(w.occupied, s.classes, kLogZero);
    const double* log_y = w.log_y + t * s.classes;
    std::fill_n(now, length, kLogZero);
    for (int64_t u = s.first(t); u < s.last(t); ++u) {
      double beta = 0;
      if (t + 1 < s.time) {
        beta = s.stays(u) ? next[u] : kLogZero;
        if (u + 1 < length) beta = log_add(beta, next[u + 1]);
        if (s.skips(u + 2)) beta = log_add(beta, next[u + 2]);
      }
      double& occupied = w.occupied[s.label(u)];
      occupied = log_add(occupied, w.alpha[t * length + u] + beta);
      now[u] = beta + log_y[s.label(u)];
    }
    for (int64_t c = 0; c < s.classes; ++c)
      gradient[t * s.stride + c] = static_cast<T>(std::exp(log_y[c]) - std::exp(w.occupied[c] - log_p));
    std::swap(now, next);
  }
}

// Where no path has any probability the loss is infinite and the gradient that of the softmax alone.
template <class T> T sequence_loss(const Sequence& s, const T* logits, double* memory, T* gradient) {
  const Workspace w(memory, s);
  for (int64_t t = 0; t < s.time; ++t) log_softmax(logits + t * s.stride, s.classes, w.log_y + t * s.classes);
  const double log_p = forward(s, w);
  if (log_p == kLogZero) {
    for (int64_t t = 0; t < s.time; ++t)
      std::transform(w.log_y + t * s.classes, w.log_y + (t + 1) * s.classes, gradient + t * s.stride,
                     [](double log_y) { return static_cast<T>(std::exp(log_y)); });
  } else {
    backward(s, w, log_p, gradient);
  }
  return static_cast<T>(-log_p);
}

// --- Kernel

template <class T> class CtcLoss final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(options_.collapse_repeated, init.attr<bool>("preprocess_collapse_repeated"));
    MR_ASSIGN_OR_RETURN(options_.merge_repeated, init.attr<bool>("ctc_merge_repeated"));
    MR_ASSIGN_OR_RETURN(options_.ignore_longer, init.attr<bool>("ignore_longer_outputs_than_inputs"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 3) return invalid_argument("inputs is not a 3-Tensor");
    if (ctx.shape(3).rank() != 1) return invalid_argument("sequence_length is not a vector");
    const int64_t time = shape.dim(0), batch = shape.dim(1), classes = shape.dim(2);
    if (time == 0 || classes == 0)
      return invalid_argument("Max time and number of classes of inputs cannot be 0, got shape ", shape);
    if (classes > std::numeric_limits<int32_t>::max()) return invalid_argument("num_classes cannot exceed max int");
    if (batch != ctx.shape(3).dim(0))
      return invalid_argument("len(sequence_length) != batch_size.  len(sequence_length):  ", ctx.shape(3).dim(0),
                              " batch_size: ", batch);
    if (batch == 0) return invalid_argument("batch_size must not be 0");
    MR_ASSIGN_OR_RETURN(std::vector<Labels> labels, read_labels(ctx, batch));
    MR_ASSIGN_OR_RETURN(const std::span<const int32_t> lengths, ctx.vector<int32_t>(3));
    std::vector<Labels> paths(labels.size());
    for (int64_t b = 0; b < batch; ++b) {
      const auto i = static_cast<size_t>(b);
      MR_RETURN_IF_ERROR(check_length(b, lengths[i], time, labels[i]));
      MR_ASSIGN_OR_RETURN(paths[i],
                          with_blanks(labels[i], b, static_cast<int32_t>(classes - 1), options_.collapse_repeated));
      // No path can be longer than time: nothing to add where that may be.
      if (options_.ignore_longer && std::ssize(labels[i]) > lengths[i]) paths[i].clear();
      if (lengths[i] == 0) paths[i].clear();
    }
    return compute_all(ctx, paths, lengths);
  }

 private:
  absl::Status check_length(int64_t b, int64_t length, int64_t time, const Labels& labels) const {
    if (length < 0) return invalid_argument("sequence_length(", b, ") must not be negative, got ", length);
    if (length > time) return invalid_argument("sequence_length(", b, ") <= ", time, ", got ", length);
    if (labels.empty()) return invalid_argument("Labels length is zero in batch ", b);
    if (!options_.ignore_longer && std::ssize(labels) > length)
      return invalid_argument("Not enough time for target transition sequence (required: ", labels.size(),
                              ", available: ", length, ") in batch ", b,
                              ". You can turn this error into a warning by using the flag "
                              "ignore_longer_outputs_than_inputs");
    return absl::OkStatus();
  }

  absl::Status compute_all(KernelContext& ctx, const std::vector<Labels>& paths, std::span<const int32_t> lengths) {
    const int64_t batch = ctx.shape(0).dim(1), classes = ctx.shape(0).dim(2);
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> loss, ctx.output<T>(0, ctx.shape(3)));
    MR_ASSIGN_OR_RETURN(const std::span<T> gradient, ctx.output<T>(1, ctx.shape(0)));
    std::ranges::fill(loss, T{});
    std::ranges::fill(gradient, T{});
    absl::Status failed;
    std::mutex mutex;
    const auto add = [&](int64_t b) -> absl::Status {
      const Labels& path = paths[static_cast<size_t>(b)];
      if (path.empty()) return absl::OkStatus();
      MR_RETURN_IF_ERROR(ctx.check_cancelled());
      const Sequence s{path, lengths[static_cast<size_t>(b)], classes, batch * classes, options_.merge_repeated};
      const CheckedInt size = Workspace::size(s);
      if (!size.valid()) return invalid_argument(ctx.node().op, ": sequence ", b, " is too large");
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({size.value()}));
      MR_ASSIGN_OR_RETURN(Tensor memory, ctx.allocate_temp(DataType::kDouble, shape));
      loss[static_cast<size_t>(b)] = sequence_loss(
          s, logits.data() + b * classes, memory.unchecked_mutable<double>().data(), gradient.data() + b * classes);
      return absl::OkStatus();
    };
    const double cost = 30.0 * static_cast<double>(ctx.shape(0).dim(0) * classes);
    parallel_for(batch, cost, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        if (const absl::Status status = add(b); !status.ok()) {
          const std::lock_guard lock(mutex);
          failed.Update(status);
        }
      }
    });
    return failed;
  }

  CtcOptions options_;
};

absl::Status ctc_loss_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape inputs, c.with_rank(0, 3));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank(2, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape lengths, c.with_rank(3, 1));
  MR_RETURN_IF_ERROR(merge_dim(indices.dim(0), values.dim(0)).status());
  MR_ASSIGN_OR_RETURN(const int64_t batch, merge_dim(inputs.dim(1), lengths.dim(0)));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({batch})));
  return c.set_output(1, make_partial_shape({inputs.dim(0), batch, inputs.dim(2)}));
}

// The second output is the gradient for a loss that is summed; it has none itself, which a second derivative is told.
absl::Status ctc_loss_gradient(GradientContext& g) {
  const Output gradient = g.op(
      "PreventGradient", {g.y(1)},
      {{"message", std::string("Currently there is no way to take the second  derivative of ctc_loss due to the fused "
                               "implementation's interaction  with tf.gradients()")}});
  const Output each = op_with_literal(g, "ExpandDims", g.dy(0), Tensor(int32_t{-1}), "dim", "ExpandDims");
  g.set_dx(0, g.op("Mul", {each, gradient}, {}, "mul"));
  return absl::OkStatus();
}

}  // namespace

void register_ctc_loss(Registry& registry) {
  registry.op("CTCLoss")
      .input("inputs: T")
      .input("labels_indices: int64")
      .input("labels_values: int32")
      .input("sequence_length: int32")
      .output("loss: T")
      .output("gradient: T")
      .attr("preprocess_collapse_repeated: bool = false")
      .attr("ctc_merge_repeated: bool = true")
      .attr("ignore_longer_outputs_than_inputs: bool = false")
      .attr("T: {float, double} = DT_FLOAT")
      .shape(ctc_loss_shape)
      .cpu<CtcLoss, float, double>()
      .gradient(ctc_loss_gradient)
      .doc("Minus the log probability of each label sequence, and its gradient by the logits [time, batch, classes].");
}

}  // namespace millrace
