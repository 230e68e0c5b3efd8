// Choosing elements by a condition: Select, SelectV2, ClipByValue.

#include <algorithm>
#include <cstring>

#include "kernels/broadcast.h"
#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

using namespace gradients;  // NOLINT: the rules read as the formulas do

struct Bytes16 {
  uint64_t a, b;
};

// out[i] = condition[i * c] ? t[i * x] : e[i * y], steps 0 or 1.
template <class T>
void choose(const bool* condition, int c, const void* t, int x, const void* e, int y, void* out, int64_t n) {
  const T* a = static_cast<const T*>(t);
  const T* b = static_cast<const T*>(e);
  T* o = static_cast<T*>(out);
  if (c == 1 && x == 1 && y == 1) {
    for (int64_t i = 0; i < n; ++i) o[i] = condition[i] ? a[i] : b[i];
  } else if (c == 0) {
    const T* from = condition[0] ? a : b;
    const int step = condition[0] ? x : y;
    if (step == 0) {
      const T value = *from;
      std::fill_n(o, n, value);
    } else if (from != o) {
      std::copy_n(from, n, o);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) o[i] = condition[i] ? a[i * x] : b[i * y];
  }
}
using Choose = void (*)(const bool*, int, const void*, int, const void*, int, void*, int64_t);

Choose choose_for(DataType dtype) {
  switch (dtype) {
    case DataType::kString: return &choose<std::string>;
    case DataType::kResource: return &choose<ResourceHandle>;
    case DataType::kVariant: return &choose<Variant>;
    default: break;
  }
  switch (dtype_size(dtype)) {
    case 1: return &choose<uint8_t>;
    case 2: return &choose<uint16_t>;
    case 4: return &choose<uint32_t>;
    case 8: return &choose<uint64_t>;
    case 16: return &choose<Bytes16>;
    default: return nullptr;
  }
}

size_t element_bytes(DataType dtype) { return dtype_size(dtype); }

class SelectBase : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("T"));
    choose_ = choose_for(dtype_);
    if (choose_ == nullptr) return invalid_argument(init.node().op, ": no kernel for ", dtype_name(dtype_));
    size_ = static_cast<int64_t>(element_bytes(dtype_));
    return absl::OkStatus();
  }

 protected:
  absl::Status check_types(const KernelContext& ctx) const {
    if (ctx.input(0).dtype() != DataType::kBool || ctx.input(1).dtype() != dtype_ || ctx.input(2).dtype() != dtype_)
      return invalid_argument("'", ctx.node().name, "' (", ctx.node().op, "): inputs must be bool, ",
                              dtype_name(dtype_), ", ", dtype_name(dtype_));
    return absl::OkStatus();
  }
  double cost() const { return is_pod(dtype_) ? 0.3 + 0.05 * static_cast<double>(size_) : 20; }
  DataType dtype_ = DataType::kInvalid;
  Choose choose_ = nullptr;
  int64_t size_ = 0;
};

class Select final : public SelectBase {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check_types(ctx));
    const Tensor &condition = ctx.input(0), &t = ctx.input(1), &e = ctx.input(2);
    if (!(t.shape() == e.shape()))
      return invalid_argument("'then' must have the same size as 'else'.  but received: ", t.shape(), " vs. ",
                              e.shape());
    const bool* c = static_cast<const bool*>(condition.raw_data());
    if (condition.rank() == 0) {
      return ctx.set_output(0, c[0] ? t : e);
    }
    if (condition.shape() == t.shape()) {
      MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.forward_or_allocate_output({1, 2}, 0, t.shape()));
      const auto *a = static_cast<const char*>(t.raw_data()), *b = static_cast<const char*>(e.raw_data());
      auto* o = static_cast<char*>(out->raw_mutable_data());
      parallel_for(t.num_elements(), cost(), [&](int64_t begin, int64_t end) {
        choose_(c + begin, 1, a + begin * size_, 1, b + begin * size_, 1, o + begin * size_, end - begin);
      });
      return absl::OkStatus();
    }
    if (condition.rank() != 1 || t.rank() < 1)
      return invalid_argument("'cond' must be a scalar, a vector, or of the shape of 'then', but received: ",
                              condition.shape(), " vs. ", t.shape());
    if (condition.dim(0) != t.dim(0))
      return invalid_argument("Number of batches of 'then' must match size of 'cond', but saw: ", t.dim(0), " vs. ",
                              condition.dim(0));
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.forward_or_allocate_output({1, 2}, 0, t.shape()));
    const int64_t rows = t.dim(0), row = rows == 0 ? 0 : t.num_elements() / rows;
    const auto *a = static_cast<const char*>(t.raw_data()), *b = static_cast<const char*>(e.raw_data());
    auto* o = static_cast<char*>(out->raw_mutable_data());
    parallel_for(rows, cost() * static_cast<double>(row) + 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i * row * size_;
        choose_(c + i, 0, a + at, 1, b + at, 1, o + at, row);
      }
    });
    return absl::OkStatus();
  }
};

class SelectV2 final : public SelectBase {
  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check_types(ctx));
    const Tensor &condition = ctx.input(0), &t = ctx.input(1), &e = ctx.input(2);
    TensorShape shape = t.shape();
    if (!(t.shape() == e.shape() && t.shape() == condition.shape())) {
      absl::StatusOr<TensorShape> values = broadcast(t.shape(), e.shape());
      if (values.ok()) values = broadcast(condition.shape(), *values);
      if (!values.ok()) {
        return invalid_argument("condition ", condition.shape(), ", then ", t.shape(), ", and else ", e.shape(),
                                " must be broadcastable");
      }
      shape = *std::move(values);
    }
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.forward_or_allocate_output({1, 2}, 0, shape));
    if (out->num_elements() == 0) return absl::OkStatus();
    const bool* c = static_cast<const bool*>(condition.raw_data());
    const auto *a = static_cast<const char*>(t.raw_data()), *b = static_cast<const char*>(e.raw_data());
    auto* o = static_cast<char*>(out->raw_mutable_data());
    const std::span<const int64_t> operands[] = {condition.shape().dims(), t.shape().dims(), e.shape().dims()};
    const Broadcast plan(operands, shape.dims());
    const int c_step = plan.inner_varies(0), a_step = plan.inner_varies(1), b_step = plan.inner_varies(2);
    const int64_t inner = plan.inner();
    if (plan.rows() == 1) {
      parallel_for(inner, cost(), [&](int64_t begin, int64_t end) {
        choose_(c + begin * c_step, c_step, a + begin * a_step * size_, a_step, b + begin * b_step * size_, b_step,
                o + begin * size_, end - begin);
      });
      return absl::OkStatus();
    }
    parallel_for(plan.rows(), cost() * static_cast<double>(inner) + 5, [&](int64_t begin, int64_t end) {
      plan.for_rows(begin, end, [&](int64_t row, const int64_t* at) {
        choose_(c + at[0], c_step, a + at[1] * size_, a_step, b + at[2] * size_, b_step, o + row * inner * size_,
                inner);
      });
    });
    return absl::OkStatus();
  }
};

template <class T> class ClipByValue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto low, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto high, ctx.flat<T>(2));
    for (const int i : {1, 2}) {
      if (ctx.shape(i).rank() != 0 && !(ctx.shape(i) == ctx.shape(0)))
        return invalid_argument(
            "clip_value_min and clip_value_max must be either of the same shape as input, or a scalar. input shape: ",
            ctx.shape(0), ", clip_value_min shape: ", ctx.shape(1), ", clip_value_max shape: ", ctx.shape(2));
    }
    const T first_low = low.empty() ? T{} : low[0], first_high = high.empty() ? T{} : high[0];
    const bool one_low = ctx.shape(1).rank() == 0, one_high = ctx.shape(2).rank() == 0;
    MR_ASSIGN_OR_RETURN(const auto out, ctx.forward_or_allocate<T>(0, 0, ctx.shape(0)));
    parallel_for(static_cast<int64_t>(out.size()), 0.5, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        out[i] = clip(x[i], one_low ? first_low : low[i], one_high ? first_high : high[i]);
    });
    return absl::OkStatus();
  }
  static T clip(T x, T low, T high) {  // the lower bound wins where the bounds cross; NaN stays
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      const float v = static_cast<float>(x);
      if (v < static_cast<float>(low)) return low;
      if (static_cast<float>(high) < v) return static_cast<float>(high) < static_cast<float>(low) ? low : high;
      return x;
    } else {
      const T below = high < x ? high : x;
      return below < low ? low : below;
    }
  }
};

// ---- Shapes ----

absl::Status select_shape(ShapeContext& c) {
  absl::StatusOr<PartialTensorShape> values = merge(c.input(1), c.input(2));
  if (!values.ok()) return std::move(values).status();
  const PartialTensorShape& condition = c.input(0);
  if (condition.has_rank() && condition.rank() != 0 && values->has_rank()) {
    if (condition.rank() == 1 && values->rank() != 1) {
      if (values->rank() == 0)
        return invalid_argument("Shapes must be equal rank, but are 0 and 1: the condition of Select is a vector");
      if (condition.dim(0) >= 0 && values->dim(0) >= 0 && condition.dim(0) != values->dim(0))
        return invalid_argument("Dimension 0 in both shapes must be equal, but are ", condition.dim(0), " and ",
                                values->dim(0));
    } else {
      absl::StatusOr<PartialTensorShape> merged = merge(*values, condition);
      if (!merged.ok()) return std::move(merged).status();
      values = std::move(merged);
    }
  }
  return c.set_output(0, *std::move(values));
}

absl::Status select_v2_shape(ShapeContext& c) {
  absl::StatusOr<PartialTensorShape> values = broadcast(c.input(1), c.input(2));
  if (!values.ok()) return std::move(values).status();
  return c.set_output(0, broadcast(c.input(0), *values));
}

// ---- Gradients ----

absl::Status select_gradient(GradientContext& g) {
  const Output c = g.x(0), dy = g.dy(0);
  const Output zeros = zeros_like(g, g.x(1));
  g.set_dx(1, g.op("Select", {c, dy, zeros}));
  g.set_dx(2, g.op("Select", {c, zeros, dy}));
  return absl::OkStatus();
}

absl::Status select_v2_gradient(GradientContext& g) {
  const Output c = g.x(0), dy = g.dy(0), z = g.y(0);
  const Output zeros = scalar(g, g.dtype(dy), 0, "zeros");
  const Output gx = g.op("SelectV2", {c, dy, zeros});
  const Output gy = g.op("SelectV2", {c, zeros, dy});
  g.set_dx(1, reduce_gradient_args(g, g.x(1), z, gx, Output()).first);
  g.set_dx(2, reduce_gradient_args(g, g.x(2), z, gy, Output()).first);
  return absl::OkStatus();
}

absl::Status clip_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), low = g.x(1), high = g.x(2);
  const Output sx = shape(g, x), sl = shape(g, low), sh = shape(g, high);
  const Output zeros = fill(g, "zeros", shape(g, dy), g.dtype(dy), 0);
  const Output below = g.op("Less", {x, low});
  const Output above = g.op("Greater", {x, high});
  const Output rl = broadcast_gradient_args(g, sx, sl).second;
  const Output rh = broadcast_gradient_args(g, sx, sh).second;
  const Output outside = g.op("LogicalOr", {below, above});
  const Output dx = g.op("Select", {outside, zeros, dy});
  const Output dl = g.op("Select", {below, dy, zeros});
  const Output dh = g.op("Select", {above, dy, zeros});
  g.set_dx(0, dx);
  g.set_dx(1, reshape(g, reduce(g, "Sum", dl, rl), sl));
  g.set_dx(2, reshape(g, reduce(g, "Sum", dh, rh), sh));
  return absl::OkStatus();
}

}  // namespace

void register_select(Registry& r) {
  r.op("Select")
      .input("condition: bool")
      .input("t: T")
      .input("e: T")
      .output("output: T")
      .attr("T: type")
      .shape(select_shape)
      .gradient(select_gradient)
      .cpu<Select>()
      .doc("t where the condition holds, else e; a vector condition chooses rows, a scalar one all.");
  r.op("SelectV2")
      .input("condition: bool")
      .input("t: T")
      .input("e: T")
      .output("output: T")
      .attr("T: type")
      .shape(select_v2_shape)
      .gradient(select_v2_gradient)
      .cpu<SelectV2>()
      .doc("t where the condition holds, else e, with broadcasting.");
  r.op("ClipByValue")
      .input("t: T")
      .input("clip_value_min: T")
      .input("clip_value_max: T")
      .output("output: T")
      .attr(
          "T: {float, double, int32, uint8, int16, int8, complex64, int64, qint8, quint8, qint32, bfloat16, qint16, "
          "quint16, uint16, complex128, half, uint32, uint64}")
      .shape(unchanged_shape)
      .gradient(clip_gradient)
      .cpu_for<ClipByValue>(RealTypes{})
      .doc("t held between the bounds.");
}

}  // namespace millrace
