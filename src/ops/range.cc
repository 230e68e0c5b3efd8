// Sequences of numbers: Range and LinSpace. Neither has a gradient.

#include <cmath>
#include <limits>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

namespace {

template <class T> auto number(T v) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return static_cast<float>(v);
  else return v;
}

// How many numbers there are from start to limit (exclusive) in steps of delta.
template <class T> absl::StatusOr<int64_t> range_size(T start, T limit, T delta) {
  if (!(delta != 0)) return invalid_argument("Requires delta != 0: ", delta);
  if (delta > 0 && start > limit)
    return invalid_argument("Requires start <= limit when delta > 0: ", start, "/", limit);
  if (delta < 0 && start < limit)
    return invalid_argument("Requires start >= limit when delta < 0: ", start, "/", limit);
  if constexpr (std::is_integral_v<T>) {
    // Unsigned, as the distance of two int64 may not fit int64.
    const uint64_t distance = start < limit ? static_cast<uint64_t>(limit) - static_cast<uint64_t>(start)
                                            : static_cast<uint64_t>(start) - static_cast<uint64_t>(limit);
    const uint64_t step = delta < 0 ? uint64_t{0} - static_cast<uint64_t>(delta) : static_cast<uint64_t>(delta);
    const uint64_t size = distance / step + (distance % step != 0);
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return invalid_argument("Requires ((limit - start) / delta) <= ", std::numeric_limits<int64_t>::max());
    return static_cast<int64_t>(size);
  } else {
    const double size =
        std::ceil(std::abs((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta)));
    if (!(size < 9.2e18))
      return invalid_argument("Requires ((limit - start) / delta) <= ", std::numeric_limits<int64_t>::max());
    if constexpr (std::is_same_v<T, float>) {
      // TensorFlow divides in the type itself, which decides borderline cases.
      return static_cast<int64_t>(std::ceil(std::abs((limit - start) / delta)));
    }
    return static_cast<int64_t>(size);
  }
}

template <class T> absl::StatusOr<T> scalar_of(const KernelContext& ctx, int i, const char* name) {
  MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(i));
  if (ctx.shape(i).rank() != 0 && !(ctx.shape(i).rank() == 1 && values.size() == 1))
    return invalid_argument(name, " must be a scalar, not shape ", ctx.shape(i));
  return values[0];
}

template <class T> class Range final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const T start, scalar_of<T>(ctx, 0, "start"));
    MR_ASSIGN_OR_RETURN(const T limit, scalar_of<T>(ctx, 1, "limit"));
    MR_ASSIGN_OR_RETURN(const T delta, scalar_of<T>(ctx, 2, "delta"));
    const auto first = number(start), step = number(delta);
    MR_ASSIGN_OR_RETURN(const int64_t size, range_size(first, number(limit), step));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({size}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        using U = std::make_unsigned_t<T>;
        out[i] = static_cast<T>(static_cast<U>(first) + static_cast<U>(i) * static_cast<U>(step));
      } else {
        out[i] = static_cast<T>(first + static_cast<decltype(step)>(i) * step);
      }
    }
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }
};

template <class T> class LinSpace final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const T start, scalar_of<T>(ctx, 0, "start"));
    MR_ASSIGN_OR_RETURN(const T stop, scalar_of<T>(ctx, 1, "stop"));
    if (ctx.shape(2).num_elements() != 1 || ctx.shape(2).rank() > 1)
      return invalid_argument("num must be a scalar, not shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const auto nums, ctx.int_values(2));
    const int64_t num = nums[0];
    if (num <= 0) return invalid_argument("Requires num > 0: ", num);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({num}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    const auto first = number(start), last = number(stop);
    const auto step = num > 1 ? (last - first) / static_cast<decltype(first)>(num - 1) : decltype(first)(0);
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(first + step * static_cast<decltype(first)>(i));
    if (num > 1) out[out.size() - 1] = stop;
    return absl::OkStatus();
  }
};

template <class T> absl::Status typed_range_shape(ShapeContext& c) {
  T values[3];
  for (int i = 0; i < 3; ++i) {
    const Tensor* v = c.value(i);
    if (v == nullptr || v->dtype() != dtype_of<T> || v->num_elements() != 1)
      return c.set_output(0, unknown_shape_of_rank(1));
    values[i] = v->unchecked<T>()[0];
  }
  MR_ASSIGN_OR_RETURN(const int64_t size, range_size(number(values[0]), number(values[1]), number(values[2])));
  return c.set_output(0, make_partial_shape({size}));
}

absl::Status range_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) {
    const PartialTensorShape& s = c.input(i);
    if (s.has_rank() && s.rank() != 0 && !(s.rank() == 1 && (s.dim(0) == 1 || s.dim(0) < 0)))
      return invalid_argument(i == 0 ? "start" : i == 1 ? "limit" : "delta", " must be a scalar, not shape ", s);
  }
  switch (c.input_type(0)) {
    case DataType::kInt32: return typed_range_shape<int32_t>(c);
    case DataType::kInt64: return typed_range_shape<int64_t>(c);
    case DataType::kFloat: return typed_range_shape<float>(c);
    case DataType::kDouble: return typed_range_shape<double>(c);
    case DataType::kBfloat16: return typed_range_shape<BFloat16>(c);
    case DataType::kHalf: return typed_range_shape<Half>(c);
    default: return c.set_output(0, unknown_shape_of_rank(1));
  }
}

absl::Status lin_space_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) {
    const PartialTensorShape& s = c.input(i);
    if (s.has_rank() && s.rank() != 0 && !(s.rank() == 1 && (s.dim(0) == 1 || s.dim(0) < 0)))
      return invalid_argument(i == 0 ? "start" : i == 1 ? "stop" : "num", " must be a scalar, not shape ", s);
  }
  MR_ASSIGN_OR_RETURN(const auto nums, c.int_values(2));
  if (!nums || nums->size() != 1) return c.set_output(0, unknown_shape_of_rank(1));
  if ((*nums)[0] <= 0) return invalid_argument("Requires num > 0: ", (*nums)[0]);
  return c.set_output(0, make_partial_shape({(*nums)[0]}));
}

}  // namespace

void register_range(Registry& r) {
  r.op("Range")
      .input("start: Tidx")
      .input("limit: Tidx")
      .input("delta: Tidx")
      .output("output: Tidx")
      .attr("Tidx: {bfloat16, half, float, double, int8, int16, int32, int64, uint16, uint32, uint64} = DT_INT32")
      .shape(range_shape)
      .not_differentiable()
      .cpu<Range, Half, BFloat16, float, double, int32_t, int64_t>("Tidx")
      .doc("start, start + delta, ... up to but without limit.");
  r.op("LinSpace")
      .input("start: T")
      .input("stop: T")
      .input("num: Tidx")
      .output("output: T")
      .attr("T: {bfloat16, half, float, double}")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(lin_space_shape)
      .not_differentiable()
      .cpu<LinSpace, float, double>()
      .doc("num evenly spaced numbers from start to stop, both included.");
}

}  // namespace millrace
