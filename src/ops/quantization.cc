// Numbers rounded to a few bits: QuantizeV2 and Dequantize to and from quantized types, and the ops that round floats
// in place, for training with what quantization will do.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elements.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// --- FakeQuant: a range is moved so that zero is one of its steps.

struct Steps {
  float min, max, scale;
  bool passes(float x) const { return x >= min && x <= max; }
};

Steps nudged(float min, float max, float lowest, float highest) {
  const float scale = (max - min) / (highest - lowest), zero = lowest - min / scale;
  const float nearest = zero < lowest ? lowest : zero > highest ? highest : std::round(zero);
  return {(lowest - nearest) * scale, (highest - nearest) * scale, scale};
}

class FakeQuantBase : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const int64_t bits, init.attr<int64_t>("num_bits"));
    MR_ASSIGN_OR_RETURN(const bool narrow, init.attr<bool>("narrow_range"));
    if (bits < 2 || bits > 16) return invalid_argument("num_bits must be between 2 and 16 (inclusive), was: ", bits);
    lowest_ = narrow ? 1 : 0;
    highest_ = static_cast<float>((int64_t{1} << bits) - 1);
    has_args_ = init.has_attr("min");
    if (!has_args_) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(min_, init.attr<float>("min"));
    MR_ASSIGN_OR_RETURN(max_, init.attr<float>("max"));
    if (!(min_ < max_)) return invalid_argument("min has to be smaller than max, was: ", min_, " >= ", max_);
    return absl::OkStatus();
  }

 protected:
  // Bounds as tensors: scalars, or one for each place of the last dimension of `shape`.
  absl::Status read_bounds(const KernelContext& ctx, int first, const TensorShape& shape) const {
    for (const int i : {first, first + 1}) {
      if (per_channel(ctx.node())) {
        if (shape.rank() < 1) return invalid_argument("Input must have a last dimension");
        if (ctx.shape(i).rank() != 1 || ctx.shape(i).dim(0) != shape.dim(shape.rank() - 1))
          return invalid_argument(i == first ? "min" : "max", " has incorrect size, expected ",
                                  shape.dim(shape.rank() - 1), " was ", ctx.shape(i));
      } else if (ctx.shape(i).rank() != 0) {
        return invalid_argument("`", i == first ? "min" : "max", "` must be rank 0 but is rank ", ctx.shape(i).rank());
      }
    }
    return absl::OkStatus();
  }
  static bool per_channel(const NodeInfo& node) { return node.op.find("PerChannel") != std::string::npos; }

  // The steps of each channel; none (scale 0) where both bounds are zero.
  absl::StatusOr<std::vector<Steps>> steps(const KernelContext& ctx, int first, const TensorShape& shape) const {
    if (has_args_) return std::vector<Steps>{nudged(min_, max_, lowest_, highest_)};
    MR_RETURN_IF_ERROR(read_bounds(ctx, first, shape));
    MR_ASSIGN_OR_RETURN(const auto min, ctx.flat<float>(first));
    MR_ASSIGN_OR_RETURN(const auto max, ctx.flat<float>(first + 1));
    std::vector<Steps> all;
    for (size_t i = 0; i < min.size(); ++i)
      all.push_back(min[i] == 0 && max[i] == 0 ? Steps{0, 0, 0} : nudged(min[i], max[i], lowest_, highest_));
    return all;
  }

 private:
  float lowest_ = 0, highest_ = 255, min_ = 0, max_ = 0;
  bool has_args_ = false;
};

class FakeQuant final : public FakeQuantBase {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<Steps> all, steps(ctx, 1, ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<float>(0, ctx.shape(0)));
    for (size_t i = 0; i < x.size(); ++i) {
      const Steps& s = all[i % all.size()];
      if (s.scale == 0) {
        out[i] = 0;
        continue;
      }
      const float inverse = 1.0f / s.scale, zero = std::floor(-s.min * inverse + 0.5f);
      const float clamped = std::max(std::min(x[i], s.max), s.min);
      out[i] = std::floor((clamped - s.min) * inverse - zero + 0.5f) * s.scale;
    }
    return absl::OkStatus();
  }
};

class FakeQuantGradient final : public FakeQuantBase {
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape != ctx.shape(1))
      return invalid_argument("gradient and input must be the same size, got ", shape, " and ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto dy, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<float>(1));
    MR_ASSIGN_OR_RETURN(const std::vector<Steps> all, steps(ctx, 2, shape));
    MR_ASSIGN_OR_RETURN(const auto dx, ctx.output<float>(0, shape));
    std::vector<double> below(all.size(), 0), above(all.size(), 0);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t channel = i % all.size();
      const Steps& s = all[channel];
      const bool free = s.scale == 0;
      dx[i] = free || s.passes(x[i]) ? dy[i] : 0;
      if (!free && x[i] < s.min) below[channel] += dy[i];
      if (!free && x[i] > s.max) above[channel] += dy[i];
    }
    if (ctx.num_outputs() == 1) return absl::OkStatus();
    for (const int i : {1, 2}) {
      MR_ASSIGN_OR_RETURN(const auto out, ctx.output<float>(i, ctx.shape(i + 1)));
      std::ranges::transform(i == 1 ? below : above, out.begin(), [](double v) { return static_cast<float>(v); });
    }
    return absl::OkStatus();
  }
};

absl::Status fake_quant_shape(ShapeContext& c) {
  const bool channels = c.node().op.find("PerChannel") != std::string::npos;
  const bool gradient = c.node().op.ends_with("Gradient");
  PartialTensorShape shape = c.input(0);
  if (gradient) {
    MR_ASSIGN_OR_RETURN(shape, merge(shape, c.input(1)));
  }
  MR_RETURN_IF_ERROR(c.set_output(0, shape));
  for (int i = gradient ? 2 : 1, output = 1; i < c.num_inputs(); ++i, ++output) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape bound, c.with_rank(i, channels ? 1 : 0));
    if (gradient) MR_RETURN_IF_ERROR(c.set_output(output, bound));
  }
  return absl::OkStatus();
}

absl::Status fake_quant_gradient(GradientContext& g) {
  std::vector<Output> inputs = {g.dy(0)};
  AttrMap attrs;
  for (int i = 0; i < g.num_inputs(); ++i) inputs.push_back(g.x(i));
  for (const auto& [name, value] : g.node().attrs) {
    if (!name.starts_with("_")) attrs.insert_or_assign(name, value);
  }
  const std::vector<Output> dxs = g.op_outputs(g.node().op + "Gradient", inputs, std::move(attrs));
  for (size_t i = 0; i < dxs.size(); ++i) g.set_dx(static_cast<int>(i), dxs[i]);
  return absl::OkStatus();
}

// --- slices along an axis, each with a range of its own

struct Channels {
  int64_t count = 1, inner = 1;  // element i is of channel i / inner % count
  size_t of(size_t i) const { return i / static_cast<size_t>(inner) % static_cast<size_t>(count); }
};

absl::StatusOr<Channels> channels_of(const TensorShape& shape, int64_t axis) {
  Channels channels;
  if (axis < -1 || axis >= shape.rank())
    return invalid_argument("Axis must be less than input dimension (", shape.rank(), "), and at least -1, got ", axis);
  if (axis < 0) return channels;
  channels.count = shape.dim(static_cast<int>(axis));
  for (int d = static_cast<int>(axis) + 1; d < shape.rank(); ++d) channels.inner *= shape.dim(d);
  return channels;
}

// The bound of every channel: a scalar where there is no axis.
template <class T>
absl::StatusOr<std::span<const T>> bounds(const KernelContext& ctx, int i, int64_t axis, const Channels& channels) {
  MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<T>(i));
  const TensorShape& shape = ctx.shape(i);
  if (axis < 0 ? values.size() != 1 : shape.rank() != 1 || shape.dim(0) != channels.count)
    return invalid_argument(i == 1 ? "min_range" : "max_range", " has the wrong number of elements, expected ",
                            channels.count, ", got shape ", shape);
  return values;
}

// --- QuantizeV2 and Dequantize

enum class Mode { kMinCombined, kMinFirst, kScaled };
absl::StatusOr<Mode> mode_of(const KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const std::string mode, init.attr<std::string>("mode"));
  if (mode == "MIN_COMBINED") return Mode::kMinCombined;
  if (mode == "MIN_FIRST") return Mode::kMinFirst;
  if (mode == "SCALED") return Mode::kScaled;
  return invalid_argument("Mode string must be 'MIN_COMBINED', 'MIN_FIRST', or 'SCALED', is '", mode, "'");
}

template <class T> using Stored = decltype(T().value);
template <class T> constexpr double kLowest = static_cast<double>(std::numeric_limits<Stored<T>>::min());
template <class T> constexpr double kHighest = static_cast<double>(std::numeric_limits<Stored<T>>::max());
template <class T>
constexpr float kHalfRange = std::is_signed_v<Stored<T>> ? static_cast<float>((kHighest<T> - kLowest<T> + 1) / 2) : 0;

template <class T> T clamped(double value) {
  T t;
  if (!(value > kLowest<T>)) t.value = std::numeric_limits<Stored<T>>::min();  // NaN too
  else if (value >= kHighest<T>) t.value = std::numeric_limits<Stored<T>>::max();
  else t.value = static_cast<Stored<T>>(value);
  return t;
}

template <class T> class QuantizeV2 final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mode_, mode_of(init));
    MR_ASSIGN_OR_RETURN(const std::string round_mode, init.attr<std::string>("round_mode"));
    MR_ASSIGN_OR_RETURN(narrow_, init.attr<bool>("narrow_range"));
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    MR_ASSIGN_OR_RETURN(least_range_, init.attr<float>("ensure_minimum_range"));
    to_even_ = round_mode == "HALF_TO_EVEN";
    if (to_even_ && mode_ != Mode::kScaled)
      return invalid_argument("Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED'");
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<float>(0));
    MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(shape, axis_));
    MR_ASSIGN_OR_RETURN(const auto min, bounds<float>(ctx, 1, axis_, channels));
    MR_ASSIGN_OR_RETURN(const auto max, bounds<float>(ctx, 2, axis_, channels));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    MR_ASSIGN_OR_RETURN(const auto out_min, ctx.output<float>(1, ctx.shape(1)));
    MR_ASSIGN_OR_RETURN(const auto out_max, ctx.output<float>(2, ctx.shape(2)));
    std::vector<float> scales(min.size());
    for (size_t c = 0; c < min.size(); ++c) {
      if (!std::isfinite(min[c]) || !std::isfinite(max[c]) || max[c] < min[c])
        return invalid_argument("max_range must be larger than min_range, got ", min[c], " and ", max[c]);
      const float least = std::max(1.0f, std::max(std::abs(min[c]), std::abs(max[c]))) * least_range_;
      out_min[c] = std::min(0.0f, min[c]);
      out_max[c] = std::max(0.0f, std::max(max[c], out_min[c] + least));
      scales[c] = scale_of(out_min[c], out_max[c]);
    }
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = channels.of(i);
      out[i] = quantized(x[i], out_min[c], out_max[c], scales[c]);
    }
    return absl::OkStatus();
  }

  // Steps per unit. SCALED makes the range symmetric about zero.
  float scale_of(float& min, float& max) const {
    if (mode_ == Mode::kScaled) {
      const auto lowest = static_cast<float>(kLowest<T> + (narrow_ ? 1 : 0)), highest = static_cast<float>(kHighest<T>);
      constexpr float kNone = std::numeric_limits<float>::max();
      const float scale = std::min(lowest * min > 0 ? lowest / min : kNone, highest * max > 0 ? highest / max : kNone);
      min = lowest / scale;
      max = highest / scale;
      return scale;
    }
    if (mode_ == Mode::kMinFirst) return static_cast<float>((kHighest<T> - kLowest<T>) / (double{max} - min));
    return static_cast<float>((kHighest<T> - kLowest<T>) / (max - min));
  }

  T quantized(float x, float min, float max, float scale) const {
    const float inside = std::max(std::min(x, max), min);
    switch (mode_) {
      case Mode::kMinCombined:
        if (std::is_signed_v<Stored<T>>) return clamped<T>(std::round((inside - min) * scale - kHalfRange<T>));
        return clamped<T>(std::floor((inside - min) * scale + 0.5f));
      case Mode::kMinFirst: return clamped<T>(std::round(x * scale) - std::round(min * scale) + kLowest<T>);
      case Mode::kScaled: return clamped<T>(to_even_ ? std::nearbyint(inside * scale) : std::round(inside * scale));
    }
    return T();
  }

  Mode mode_ = Mode::kMinCombined;
  bool to_even_ = false, narrow_ = false;
  int64_t axis_ = -1;
  float least_range_ = 0.01f;
};

template <class T, class F> class Dequantize final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(mode_, mode_of(init));
    MR_ASSIGN_OR_RETURN(narrow_, init.attr<bool>("narrow_range"));
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(shape, axis_));
    MR_ASSIGN_OR_RETURN(const auto min, bounds<float>(ctx, 1, axis_, channels));
    MR_ASSIGN_OR_RETURN(const auto max, bounds<float>(ctx, 2, axis_, channels));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<F>(0, shape));
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = channels.of(i);
      out[i] = F(number(x[i].value, min[c], max[c]));
    }
    return absl::OkStatus();
  }

  float number(Stored<T> x, float min, float max) const {
    constexpr double kSteps = kHighest<T> - kLowest<T>;
    switch (mode_) {
      case Mode::kMinCombined:
        return (static_cast<float>(x) + kHalfRange<T>)*static_cast<float>((max - min) / kSteps) + min;
      case Mode::kMinFirst: {
        if (min == max) return min;
        const auto step = static_cast<float>((double{max} - min) / kSteps);  // in float, as what is half decides
        const float first = std::round(min / step) * step;
        return first + static_cast<float>((static_cast<double>(x) - kLowest<T>)*step);
      }
      case Mode::kScaled: {
        const auto lowest = static_cast<float>(kLowest<T> + (narrow_ ? 1 : 0)),
                   highest = static_cast<float>(kHighest<T>);
        const float scale = kLowest<T> == 0 ? max / highest : std::max(min / lowest, max / highest);
        return static_cast<float>(x) * scale;
      }
    }
    return 0;
  }

  Mode mode_ = Mode::kMinCombined;
  bool narrow_ = false;
  int64_t axis_ = -1;
};

// Bounds are scalars, or vectors as long as the axis.
absl::Status ranged_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t axis, c.attr<int64_t>("axis"));
  if (axis < -1) return invalid_argument("axis should be at least -1, got ", axis);
  MR_RETURN_IF_ERROR(c.set_output(0, c.input(0)));
  for (const int i : {1, 2}) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape bound, c.with_rank(i, axis == -1 ? 0 : 1));
    if (i < c.num_outputs()) MR_RETURN_IF_ERROR(c.set_output(i, bound));
  }
  return absl::OkStatus();
}

// --- QuantizeAndDequantize

template <class T> class QuantizeAndDequantize final : public Kernel {
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(signed_, init.attr<bool>("signed_input"));
    MR_ASSIGN_OR_RETURN(given_, init.attr<bool>("range_given"));
    MR_ASSIGN_OR_RETURN(narrow_, init.attr<bool>("narrow_range"));
    MR_ASSIGN_OR_RETURN(axis_, init.attr<int64_t>("axis"));
    if (!init.has_attr("num_bits")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(bits_, init.attr<int64_t>("num_bits"));
    MR_ASSIGN_OR_RETURN(const std::string round_mode, init.attr<std::string>("round_mode"));
    half_up_ = round_mode == "HALF_UP";
    return check_bits(bits_);
  }
  absl::Status check_bits(int64_t bits) const {
    if (bits > (signed_ ? 1 : 0) && bits < 63) return absl::OkStatus();
    return invalid_argument("num_bits is out of range: ", bits, " with signed_input_ ", signed_);
  }

  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    int64_t bits = bits_;
    if (ctx.num_inputs() > 3) {
      MR_ASSIGN_OR_RETURN(bits, ctx.int_scalar(3));
      MR_RETURN_IF_ERROR(check_bits(bits));
    }
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Channels channels, channels_of(shape, axis_));
    if (x.empty()) return ctx.output<T>(0, shape).status();
    std::vector<Range> ranges(static_cast<size_t>(channels.count));
    MR_RETURN_IF_ERROR(given_ ? read_ranges(ctx, channels, ranges) : measure(x, channels, ranges));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    for (Range& range : ranges) fit(range, bits);
    for (size_t i = 0; i < x.size(); ++i) {
      const Range& r = ranges[channels.of(i)];
      const Real value = given_ ? std::max(std::min(Real(x[i]), r.max), r.min) : Real(x[i]);
      const Real scaled = value * r.scale;
      out[i] = T((half_up_ ? std::floor(scaled + Real(0.5)) : std::nearbyint(scaled)) * r.inverse);
    }
    return absl::OkStatus();
  }

  struct Range {
    Real min = 0, max = 0, scale = 1, inverse = 1;
  };

  absl::Status read_ranges(const KernelContext& ctx, const Channels& channels, std::vector<Range>& ranges) const {
    MR_ASSIGN_OR_RETURN(const auto min, bounds<T>(ctx, 1, axis_, channels));
    MR_ASSIGN_OR_RETURN(const auto max, bounds<T>(ctx, 2, axis_, channels));
    for (size_t c = 0; c < ranges.size(); ++c) {
      ranges[c].min = Real(min[c]);
      ranges[c].max = Real(max[c]);
      if (!(ranges[c].min <= ranges[c].max))
        return invalid_argument("Invalid range: input_min ", ranges[c].min, " > input_max ", ranges[c].max);
    }
    return absl::OkStatus();
  }

  static absl::Status measure(std::span<const T> x, const Channels& channels, std::vector<Range>& ranges) {
    std::vector<bool> seen(ranges.size(), false);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = channels.of(i);
      const Real value = Real(x[i]);
      ranges[c].min = seen[c] ? std::min(ranges[c].min, value) : value;
      ranges[c].max = seen[c] ? std::max(ranges[c].max, value) : value;
      seen[c] = true;
    }
    return absl::OkStatus();
  }

  // The scale at which the range fits; the side that has room to spare is widened to its last step.
  void fit(Range& r, int64_t bits) const {
    const int64_t half = int64_t{1} << (bits - 1);
    const Real lowest = signed_ ? static_cast<Real>(narrow_ ? -half + 1 : -half) : 0;
    const Real highest = static_cast<Real>(signed_ ? half - 1 : half - 1 + half);
    constexpr Real kNone = std::numeric_limits<Real>::max();
    const Real below = lowest * r.min > 0 ? lowest / r.min : kNone,
               above = highest * r.max > 0 ? highest / r.max : kNone;
    if (below < above) {
      r.scale = below;
      r.inverse = r.min / lowest;
      r.max = highest * r.inverse;
    } else {
      r.scale = above;
      r.inverse = r.max / highest;
      r.min = lowest * r.inverse;
    }
  }

  bool signed_ = true, given_ = false, narrow_ = false, half_up_ = false;
  int64_t bits_ = 8, axis_ = -1;
};

// What rounds does not count: the gradient goes straight through.
absl::Status straight_through(GradientContext& g) {
  g.set_dx(0, g.dy(0));
  return absl::OkStatus();
}

void register_fake_quant(Registry& registry, const std::string& name, int bounds, const char* doc) {
  const auto start = [&](const std::string& op, bool gradient) {
    OpBuilder builder = registry.op(op);
    if (gradient) builder.input("gradients: float");
    builder.input("inputs: float");
    if (bounds == 0) builder.attr("min: float = -6").attr("max: float = 6");
    else builder.input("min: float").input("max: float");
    builder.attr("num_bits: int = 8").attr("narrow_range: bool = false").shape(fake_quant_shape).doc(doc);
    return builder;
  };
  start(name, false).output("outputs: float").cpu<FakeQuant>().gradient(fake_quant_gradient);
  OpBuilder gradient = start(name + "Gradient", true);
  gradient.cpu<FakeQuantGradient>();
  if (bounds == 0) gradient.output("backprops: float");
  else
    gradient.output("backprops_wrt_input: float").output("backprop_wrt_min: float").output("backprop_wrt_max: float");
}

void register_rounding_in_place(Registry& registry) {
  for (const bool v3 : {false, true}) {
    OpBuilder op = registry.op(v3 ? "QuantizeAndDequantizeV3" : "QuantizeAndDequantizeV2");
    op.input("input: T").input("input_min: T").input("input_max: T");
    if (v3) op.input("num_bits: int32");
    op.output("output: T").attr("signed_input: bool = true");
    if (!v3) op.attr("num_bits: int = 8");
    op.attr(v3 ? "range_given: bool = true" : "range_given: bool = false").attr("T: {bfloat16, half, float, double}");
    if (!v3) op.attr("round_mode: {'HALF_TO_EVEN', 'HALF_UP'} = 'HALF_TO_EVEN'");
    op.attr("narrow_range: bool = false")
        .attr("axis: int = -1")
        .shape(ranged_shape)
        .cpu<QuantizeAndDequantize, float, double>()
        .gradient(straight_through)
        .doc("Its input, rounded to what a few bits can say.");
  }
}

}  // namespace

void register_quantization(Registry& registry) {
  registry.op("QuantizeV2")
      .input("input: float")
      .input("min_range: float")
      .input("max_range: float")
      .output("output: T")
      .output("output_min: float")
      .output("output_max: float")
      .attr("T: {qint8, quint8, qint32, qint16, quint16}")
      .attr("mode: {'MIN_COMBINED', 'MIN_FIRST', 'SCALED'} = 'MIN_COMBINED'")
      .attr("round_mode: {'HALF_AWAY_FROM_ZERO', 'HALF_TO_EVEN'} = 'HALF_AWAY_FROM_ZERO'")
      .attr("narrow_range: bool = false")
      .attr("axis: int = -1")
      .attr("ensure_minimum_range: float = 0.01")
      .shape(ranged_shape)
      .cpu<QuantizeV2, Qint8, Quint8, Qint16, Quint16, Qint32>()
      .doc("Floats of a range as quantized numbers, and the range that these stand for.");
  OpBuilder dequantize = registry.op("Dequantize");
  dequantize.input("input: T")
      .input("min_range: float")
      .input("max_range: float")
      .output("output: dtype")
      .attr("T: {qint8, quint8, qint32, qint16, quint16}")
      .attr("mode: {'MIN_COMBINED', 'MIN_FIRST', 'SCALED'} = 'MIN_COMBINED'")
      .attr("narrow_range: bool = false")
      .attr("axis: int = -1")
      .attr("dtype: {bfloat16, float} = DT_FLOAT")
      .shape(ranged_shape)
      .cpu_for<Dequantize>(Types<Qint8, Quint8, Qint16, Quint16, Qint32>(), "T", Types<float, BFloat16>(), "dtype")
      .doc("Quantized numbers as floats.");
  register_fake_quant(registry, "FakeQuantWithMinMaxArgs", 0, "Floats rounded to the steps of a range.");
  register_fake_quant(registry, "FakeQuantWithMinMaxVars", 1, "Floats rounded to the steps of a range.");
  register_fake_quant(registry, "FakeQuantWithMinMaxVarsPerChannel", 2,
                      "Floats rounded to the steps of ranges, one for each place of the last dimension.");
  register_rounding_in_place(registry);
}

}  // namespace millrace
