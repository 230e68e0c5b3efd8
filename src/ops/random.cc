// Random numbers. Stateful ops keep a generator per node and session; stateless ones take their seeds as an input.

#include "kernels/random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/random_generator.h"

namespace millrace {
namespace {

struct Uniform {
  template <class T> static void fill(const Philox& g, std::span<T> out) { fill_uniform(g, out); }
};
struct Normal {
  template <class T> static void fill(const Philox& g, std::span<T> out) { fill_normal(g, out); }
};
struct TruncatedNormal {
  template <class T> static void fill(const Philox& g, std::span<T> out) { fill_truncated_normal(g, out); }
};

absl::Status shape_input_shape(ShapeContext& c) { return c.set_output(0, c.as_shape(0)); }

absl::Status check_scalar_input(ShapeContext& c, int i, const char* name) {
  if (c.input(i).has_rank() && c.input(i).rank() != 0)
    return invalid_argument(name, " must be 0-D, got shape ", c.input(i));
  return absl::OkStatus();
}

// --- Stateful

template <class T, class Distribution> class RandomKernel final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    Distribution::template fill<T>(generator_.reserve(reserved_results(shape.num_elements())), out);
    return absl::OkStatus();
  }

 private:
  GuardedPhilox generator_;
};
template <class T> using RandomUniform = RandomKernel<T, Uniform>;
template <class T> using RandomStandardNormal = RandomKernel<T, Normal>;
template <class T> using RandomTruncatedNormal = RandomKernel<T, TruncatedNormal>;

template <class T> struct Range { T low, high; };
template <class T> absl::StatusOr<Range<T>> range_of(KernelContext& ctx, int low_input, bool empty_output) {
  Range<T> r;
  if (ctx.shape(low_input).rank() != 0) return invalid_argument("minval must be 0-D, got shape ", ctx.shape(low_input));
  if (ctx.shape(low_input + 1).rank() != 0)
    return invalid_argument("maxval must be 0-D, got shape ", ctx.shape(low_input + 1));
  MR_ASSIGN_OR_RETURN(r.low, ctx.scalar<T>(low_input));
  MR_ASSIGN_OR_RETURN(r.high, ctx.scalar<T>(low_input + 1));
  if (r.low >= r.high && !empty_output) return invalid_argument("Need minval < maxval, got ", r.low, " >= ", r.high);
  return r;
}

template <int kLow> absl::Status uniform_int_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_scalar_input(c, kLow, "minval"));
  MR_RETURN_IF_ERROR(check_scalar_input(c, kLow + 1, "maxval"));
  return shape_input_shape(c);
}

template <class T> class RandomUniformInt final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const Range<T> range, range_of<T>(ctx, 1, shape.num_elements() == 0));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    if (out.empty()) return absl::OkStatus();
    fill_uniform_int<T>(generator_.reserve(reserved_results(shape.num_elements())), range.low, range.high, out);
    return absl::OkStatus();
  }

 private:
  GuardedPhilox generator_;
};

// --- Shuffling the first dimension

std::vector<int64_t> permutation(Philox generator, int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
  SinglePhilox single(&generator);
  for (int64_t i = 0; i + 1 < n; ++i) {
    const auto left = static_cast<uint32_t>(n - i);  // as TensorFlow: rows beyond 2^32 would not mix
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(i + single() % std::max(left, 1u))]);
  }
  return order;
}

template <class T> void gather_rows(const Tensor& in, const std::vector<int64_t>& order, Tensor& out) {
  const auto from = in.unchecked<T>();
  const auto to = out.unchecked_mutable<T>();
  const size_t row = from.size() / order.size();
  for (size_t i = 0; i < order.size(); ++i)
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(order[i]) * row), row,
                to.begin() + static_cast<ptrdiff_t>(i * row));
}

absl::Status gather_rows(const Tensor& in, const std::vector<int64_t>& order, Tensor& out) {
  switch (in.dtype()) {
    case DataType::kString: gather_rows<std::string>(in, order, out); return absl::OkStatus();
    case DataType::kResource: gather_rows<ResourceHandle>(in, order, out); return absl::OkStatus();
    case DataType::kVariant: gather_rows<Variant>(in, order, out); return absl::OkStatus();
    default: break;
  }
  if (!is_pod(in.dtype())) return unimplemented("cannot shuffle ", dtype_name(in.dtype()));
  const auto* from = static_cast<const char*>(in.raw_data());
  auto* to = static_cast<char*>(out.raw_mutable_data());
  const size_t row = in.byte_size() / order.size();
  for (size_t i = 0; i < order.size(); ++i) std::copy_n(from + static_cast<size_t>(order[i]) * row, row, to + i * row);
  return absl::OkStatus();
}

bool nothing_to_shuffle(const Tensor& t) { return t.rank() == 0 || t.num_elements() <= 1 || t.dim(0) <= 1; }

class RandomShuffle final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& in = ctx.input(0);
    if (nothing_to_shuffle(in)) return ctx.set_output(0, in);
    const int64_t n = in.dim(0);
    const Philox generator = generator_.reserve(static_cast<uint64_t>((n - 1 + 3) / 4));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, in.shape()));
    return gather_rows(in, permutation(generator, n), *out);
  }

 private:
  GuardedPhilox generator_;
};

// --- Draws from classes

template <class C> absl::Status multinomial_shape(C& c) {
  if (c.input(0).has_rank() && c.input(0).rank() != 2)
    return invalid_argument("logits should be a matrix, got shape ", c.input(0));
  if (c.input(1).has_rank() && c.input(1).rank() != 0)
    return invalid_argument("num_samples should be a scalar, got shape ", c.input(1));
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> samples, c.int_scalar(1));
  if (samples && *samples < 0) return invalid_argument("num_samples should be non-negative, got ", *samples);
  return c.set_output(0, make_partial_shape({c.input(0).has_rank() ? c.input(0).dim(0) : -1, samples ? *samples : -1}));
}

struct Draws {
  int64_t batch, classes, samples;
};
absl::StatusOr<Draws> check_draws(KernelContext& ctx) {
  const TensorShape& logits = ctx.shape(0);
  if (logits.rank() != 2) return invalid_argument("logits should be a matrix, got shape ", logits);
  MR_ASSIGN_OR_RETURN(const int32_t samples, ctx.scalar<int32_t>(1));
  if (samples < 0) return invalid_argument("num_samples should be non-negative, got ", samples);
  if (logits.dim(1) <= 0) return invalid_argument("num_classes should be positive, got ", logits.dim(1));
  if (logits.dim(1) >= std::numeric_limits<int32_t>::max())
    return invalid_argument("num_classes should be less than INT_MAX, got ", logits.dim(1));
  return Draws{logits.dim(0), logits.dim(1), samples};
}

// Classes that are not finite have no chance.
template <class T, class Out>
void draw_classes(Philox generator, const Draws& d, std::span<const T> logits, std::span<Out> out) {
  SinglePhilox single(&generator);
  std::vector<double> cumulative(static_cast<size_t>(d.classes));
  for (int64_t b = 0; b < d.batch; ++b) {
    const T* row = logits.data() + b * d.classes;
    double max = std::numeric_limits<double>::lowest();
    for (int64_t j = 0; j < d.classes; ++j) {
      const auto x = static_cast<double>(static_cast<std::conditional_t<sizeof(T) == 2, float, T>>(row[j]));
      if (std::isfinite(x)) max = std::max(max, x);
    }
    double total = 0;
    for (int64_t j = 0; j < d.classes; ++j) {
      const auto x = static_cast<double>(static_cast<std::conditional_t<sizeof(T) == 2, float, T>>(row[j]));
      if (std::isfinite(x)) total += std::exp(x - max);
      cumulative[static_cast<size_t>(j)] = total;
    }
    for (int64_t s = 0; s < d.samples; ++s) {
      const double at = single.uniform_double() * total;
      const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
      out[static_cast<size_t>(b * d.samples + s)] = static_cast<Out>(found - cumulative.begin());
    }
  }
}

template <class T, class Out> class Multinomial final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override { return generator_.init(init); }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Draws d, check_draws(ctx));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({d.batch, d.samples}));
    MR_ASSIGN_OR_RETURN(const std::span<Out> out, ctx.output<Out>(0, shape));
    if (out.empty()) return absl::OkStatus();
    // Two numbers per draw, rounded up to whole results.
    const int64_t samples = (d.samples + 3) / 4 * 4 * 2;
    draw_classes<T, Out>(generator_.reserve(reserved_results(d.batch * samples)), d, logits, out);
    return absl::OkStatus();
  }

 private:
  GuardedPhilox generator_;
};

// --- Stateless

// Scrambles two seeds into a key and a counter, so that a weak pair of seeds still gives a good stream.
Philox scrambled(uint64_t seed0, uint64_t seed1) {
  Philox mixer({static_cast<uint32_t>(seed0), static_cast<uint32_t>(seed0 >> 32), static_cast<uint32_t>(seed1),
                static_cast<uint32_t>(seed1 >> 32)},
               {0x3ec8f720, 0x02461e29});
  const Philox::Result mix = mixer();
  return Philox({0, 0, mix[2], mix[3]}, {mix[0], mix[1]});
}

absl::StatusOr<Philox> generator_of_seed(KernelContext& ctx, int i) {
  const Tensor& seed = ctx.input(i);
  if (seed.rank() != 1 || seed.num_elements() != 2)
    return invalid_argument("seed must have shape [2], not ", seed.shape());
  switch (seed.dtype()) {
    case DataType::kInt32: {
      const auto s = seed.unchecked<int32_t>();
      return scrambled(static_cast<uint64_t>(int64_t{s[0]}), static_cast<uint64_t>(int64_t{s[1]}));
    }
    case DataType::kInt64: {
      const auto s = seed.unchecked<int64_t>();
      return scrambled(static_cast<uint64_t>(s[0]), static_cast<uint64_t>(s[1]));
    }
    case DataType::kUint32: {
      const auto s = seed.unchecked<uint32_t>();
      return scrambled(s[0], s[1]);
    }
    case DataType::kUint64: {
      const auto s = seed.unchecked<uint64_t>();
      return scrambled(s[0], s[1]);
    }
    default: return invalid_argument("seed must be an integer, not ", dtype_name(seed.dtype()));
  }
}

absl::Status check_seed(ShapeContext& c, int i) {
  const PartialTensorShape& s = c.input(i);
  if (s.has_rank() && (s.rank() != 1 || (s.dim(0) >= 0 && s.dim(0) != 2)))
    return invalid_argument("seed must have shape [2], not ", s);
  return absl::OkStatus();
}
absl::Status stateless_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_seed(c, 1));
  return shape_input_shape(c);
}
absl::Status stateless_int_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_seed(c, 1));
  return uniform_int_shape<2>(c);
}

// The generator of the V2 ops: key, counter and algorithm as inputs from `i` on.
absl::StatusOr<Philox> generator_of_key(KernelContext& ctx, int i) {
  MR_ASSIGN_OR_RETURN(const std::span<const uint64_t> key, ctx.vector<uint64_t>(i));
  MR_ASSIGN_OR_RETURN(const std::span<const uint64_t> counter, ctx.vector<uint64_t>(i + 1));
  MR_ASSIGN_OR_RETURN(const int32_t algorithm, ctx.scalar<int32_t>(i + 2));
  constexpr int32_t kPhilox = 1, kThreefry = 2, kAuto = 3;
  if (algorithm == kThreefry) return unimplemented("the ThreeFry algorithm has no CPU kernel");
  if (algorithm != kPhilox && algorithm != kAuto) return invalid_argument("Unsupported algorithm id: ", algorithm);
  if (key.size() != 1) return invalid_argument("key must have shape [1], not ", ctx.shape(i));
  if (counter.size() < 2)
    return invalid_argument("counter must be a vector of at least 2 elements, not ", ctx.shape(i + 1));
  return Philox({static_cast<uint32_t>(counter[0]), static_cast<uint32_t>(counter[0] >> 32),
                 static_cast<uint32_t>(counter[1]), static_cast<uint32_t>(counter[1] >> 32)},
                {static_cast<uint32_t>(key[0]), static_cast<uint32_t>(key[0] >> 32)});
}
absl::StatusOr<Philox> stateless_generator(KernelContext& ctx) {
  return ctx.input(1).dtype() == DataType::kUint64 && ctx.num_inputs() >= 4 && ctx.input(3).dtype() == DataType::kInt32
             ? generator_of_key(ctx, 1)
             : generator_of_seed(ctx, 1);
}
absl::Status keyed_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
  return shape_input_shape(c);
}
absl::Status keyed_int_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(keyed_shape(c));
  return uniform_int_shape<4>(c);
}

template <class T, class Distribution> class StatelessKernel final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    MR_ASSIGN_OR_RETURN(const Philox generator, stateless_generator(ctx));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    Distribution::template fill<T>(generator, out);
    return absl::OkStatus();
  }
};
struct FullInt {
  template <class T> static void fill(const Philox& g, std::span<T> out) { fill_full_int(g, out); }
};
template <class T> using StatelessRandomUniform = StatelessKernel<T, Uniform>;
template <class T> using StatelessRandomNormal = StatelessKernel<T, Normal>;
template <class T> using StatelessTruncatedNormal = StatelessKernel<T, TruncatedNormal>;
template <class T> using StatelessFullInt = StatelessKernel<T, FullInt>;

template <class T> class StatelessUniformInt final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(0));
    const int low = ctx.num_inputs() - 2;
    MR_ASSIGN_OR_RETURN(const Range<T> range, range_of<T>(ctx, low, shape.num_elements() == 0));
    MR_ASSIGN_OR_RETURN(const Philox generator, low == 4 ? generator_of_key(ctx, 1) : generator_of_seed(ctx, 1));
    MR_ASSIGN_OR_RETURN(const std::span<T> out, ctx.output<T>(0, shape));
    if (!out.empty()) fill_uniform_int<T>(generator, range.low, range.high, out);
    return absl::OkStatus();
  }
};

template <class T, class Out> class StatelessMultinomial final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const Draws d, check_draws(ctx));
    MR_ASSIGN_OR_RETURN(const Philox generator, generator_of_seed(ctx, 2));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({d.batch, d.samples}));
    MR_ASSIGN_OR_RETURN(const std::span<Out> out, ctx.output<Out>(0, shape));
    if (!out.empty()) draw_classes<T, Out>(generator, d, logits, out);
    return absl::OkStatus();
  }
};
absl::Status stateless_multinomial_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_seed(c, 2));
  return multinomial_shape(c);
}

class StatelessShuffle final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& in = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const Philox generator, generator_of_key(ctx, 1));
    if (nothing_to_shuffle(in)) return ctx.set_output(0, in);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, in.shape()));
    return gather_rows(in, permutation(generator, in.dim(0)), *out);
  }
};

constexpr int32_t kPhiloxAlgorithm = 1;

class GetKeyCounter final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Philox g, generator_of_seed(ctx, 0));
    MR_ASSIGN_OR_RETURN(const TensorShape one, make_shape({1}));
    MR_ASSIGN_OR_RETURN(const TensorShape two, make_shape({2}));
    MR_ASSIGN_OR_RETURN(const std::span<uint64_t> key, ctx.output<uint64_t>(0, one));
    MR_ASSIGN_OR_RETURN(const std::span<uint64_t> counter, ctx.output<uint64_t>(1, two));
    key[0] = uint64_t{g.key()[0]} | (uint64_t{g.key()[1]} << 32);
    counter[0] = uint64_t{g.counter()[0]} | (uint64_t{g.counter()[1]} << 32);
    counter[1] = uint64_t{g.counter()[2]} | (uint64_t{g.counter()[3]} << 32);
    return ctx.num_outputs() > 2 ? ctx.set_scalar<int32_t>(2, kPhiloxAlgorithm) : absl::OkStatus();
  }
};
absl::Status key_counter_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_seed(c, 0));
  MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape({1})));
  MR_RETURN_IF_ERROR(c.set_output(1, PartialTensorShape({2})));
  return c.num_outputs() > 2 ? c.set_output(2, PartialTensorShape::scalar()) : absl::OkStatus();
}

class GetAlgorithm final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override { return ctx.set_scalar<int32_t>(0, kPhiloxAlgorithm); }
};

void register_stateless(Registry& registry) {
  const auto seeded = [&](const char* name, const char* dtype) {
    return registry.op(name)
        .input("shape: T")
        .input("seed: Tseed")
        .output("output: dtype")
        .attr(dtype)
        .attr("T: {int32, int64} = DT_INT32")
        .not_differentiable();
  };
  constexpr const char *kFloating = "dtype: {half, bfloat16, float, double} = DT_FLOAT",
                       *kTseed = "Tseed: {int32, int64} = DT_INT64";
  seeded("StatelessRandomUniform", kFloating)
      .attr(kTseed)
      .shape(stateless_shape)
      .cpu_for<StatelessRandomUniform>(FloatTypes(), "dtype")
      .doc("Uniform numbers in [0, 1) that depend on the seed alone.");
  seeded("StatelessRandomNormal", kFloating)
      .attr(kTseed)
      .shape(stateless_shape)
      .cpu_for<StatelessRandomNormal>(FloatTypes(), "dtype")
      .doc("Standard normal numbers that depend on the seed alone.");
  seeded("StatelessTruncatedNormal", kFloating)
      .attr(kTseed)
      .shape(stateless_shape)
      .cpu_for<StatelessTruncatedNormal>(FloatTypes(), "dtype")
      .doc("Standard normal numbers within two standard deviations that depend on the seed alone.");
  seeded("StatelessRandomUniformFullInt", "dtype: {int32, int64, uint32, uint64} = DT_UINT64")
      .attr("Tseed: {int32, int64, uint32, uint64} = DT_INT64")
      .shape(stateless_shape)
      .cpu<StatelessFullInt, int32_t, int64_t, uint32_t, uint64_t>("dtype")
      .doc("Uniform integers over the whole type.");
  registry.op("StatelessRandomUniformInt")
      .input("shape: T")
      .input("seed: Tseed")
      .input("minval: dtype")
      .input("maxval: dtype")
      .output("output: dtype")
      .attr("dtype: {int32, int64}")
      .attr("T: {int32, int64}")
      .attr(kTseed)
      .shape(stateless_int_shape)
      .cpu<StatelessUniformInt, int32_t, int64_t>("dtype")
      .not_differentiable()
      .doc("Uniform integers in [minval, maxval).");
  registry.op("StatelessMultinomial")
      .input("logits: T")
      .input("num_samples: int32")
      .input("seed: Tseed")
      .output("output: output_dtype")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .attr(kTseed)
      .attr("output_dtype: {int32, int64} = DT_INT64")
      .shape(stateless_multinomial_shape)
      .cpu_for<StatelessMultinomial>(FloatTypes(), "T", Types<int32_t, int64_t>(), "output_dtype")
      .not_differentiable()
      .doc("Class numbers drawn from unnormalized log-probabilities.");

  const auto keyed = [&](const char* name, const char* dtype) {
    return registry.op(name)
        .input("shape: Tshape")
        .input("key: uint64")
        .input("counter: uint64")
        .input("alg: int32")
        .attr(dtype)
        .attr("Tshape: {int32, int64} = DT_INT32")
        .not_differentiable();
  };
  keyed("StatelessRandomUniformV2", kFloating)
      .output("output: dtype")
      .shape(keyed_shape)
      .cpu_for<StatelessRandomUniform>(FloatTypes(), "dtype")
      .doc("Uniform numbers in [0, 1) of a key and a counter.");
  keyed("StatelessRandomNormalV2", kFloating)
      .output("output: dtype")
      .shape(keyed_shape)
      .cpu_for<StatelessRandomNormal>(FloatTypes(), "dtype")
      .doc("Standard normal numbers of a key and a counter.");
  keyed("StatelessTruncatedNormalV2", kFloating)
      .output("output: dtype")
      .shape(keyed_shape)
      .cpu_for<StatelessTruncatedNormal>(FloatTypes(), "dtype")
      .doc("Standard normal numbers within two standard deviations, of a key and a counter.");
  keyed("StatelessRandomUniformFullIntV2", "dtype: {int32, int64, uint32, uint64} = DT_UINT64")
      .output("output: dtype")
      .shape(keyed_shape)
      .cpu<StatelessFullInt, int32_t, int64_t, uint32_t, uint64_t>("dtype")
      .doc("Uniform integers over the whole type.");
  keyed("StatelessRandomUniformIntV2", "dtype: {int32, int64, uint32, uint64}")
      .input("minval: dtype")
      .input("maxval: dtype")
      .output("output: dtype")
      .shape(keyed_int_shape)
      .cpu<StatelessUniformInt, int32_t, int64_t, uint32_t, uint64_t>("dtype")
      .doc("Uniform integers in [minval, maxval).");
  registry.op("StatelessShuffle")
      .input("value: T")
      .input("key: uint64")
      .input("counter: uint64")
      .input("alg: int32")
      .output("output: T")
      .attr("T: type")
      .shape(unchanged_shape)
      .cpu<StatelessShuffle>()
      .not_differentiable()
      .doc("The rows of value in a random order.");
  registry.op("StatelessRandomGetKeyCounter")
      .input("seed: Tseed")
      .output("key: uint64")
      .output("counter: uint64")
      .attr(kTseed)
      .shape(key_counter_shape)
      .cpu<GetKeyCounter>()
      .not_differentiable()
      .doc("The key and the counter that a seed stands for.");
  registry.op("StatelessRandomGetKeyCounterAlg")
      .input("seed: Tseed")
      .output("key: uint64")
      .output("counter: uint64")
      .output("alg: int32")
      .attr(kTseed)
      .shape(key_counter_shape)
      .cpu<GetKeyCounter>()
      .not_differentiable()
      .doc("The key and the counter that a seed stands for, and the algorithm's number.");
  registry.op("StatelessRandomGetAlg")
      .output("alg: int32")
      .stateful()
      .shape(scalar_shape)
      .cpu<GetAlgorithm>()
      .not_differentiable()
      .doc("The number of the algorithm that the device prefers: Philox.");
}

}  // namespace

void register_random(Registry& registry) {
  constexpr const char* kFloating = "dtype: {half, bfloat16, float, double}";
  const auto stateful = [&](const char* name) {
    return registry.op(name)
        .input("shape: T")
        .output("output: dtype")
        .attr("seed: int = 0")
        .attr("seed2: int = 0")
        .attr(kFloating)
        .attr("T: {int32, int64}")
        .stateful()
        .shape(shape_input_shape)
        .not_differentiable();
  };
  stateful("RandomUniform").cpu_for<RandomUniform>(FloatTypes(), "dtype").doc("Uniform numbers in [0, 1).");
  stateful("RandomStandardNormal").cpu_for<RandomStandardNormal>(FloatTypes(), "dtype").doc("Standard normal numbers.");
  stateful("TruncatedNormal")
      .cpu_for<RandomTruncatedNormal>(FloatTypes(), "dtype")
      .doc("Standard normal numbers, those beyond two standard deviations drawn again.");
  registry.op("RandomUniformInt")
      .input("shape: T")
      .input("minval: Tout")
      .input("maxval: Tout")
      .output("output: Tout")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("Tout: {int32, int64}")
      .attr("T: {int32, int64}")
      .stateful()
      .shape(uniform_int_shape<1>)
      .cpu<RandomUniformInt, int32_t, int64_t>("Tout")
      .not_differentiable()
      .doc("Uniform integers in [minval, maxval).");
  registry.op("RandomShuffle")
      .input("value: T")
      .output("output: T")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("T: type")
      .stateful()
      .shape(unchanged_shape)
      .cpu<RandomShuffle>()
      .not_differentiable()
      .doc("The rows of value in a random order.");
  registry.op("Multinomial")
      .input("logits: T")
      .input("num_samples: int32")
      .output("output: output_dtype")
      .attr("seed: int = 0")
      .attr("seed2: int = 0")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .attr("output_dtype: {int32, int64} = DT_INT64")
      .stateful()
      .shape(multinomial_shape)
      .cpu_for<Multinomial>(FloatTypes(), "T", Types<int32_t, int64_t>(), "output_dtype")
      .not_differentiable()
      .doc("Class numbers drawn from unnormalized log-probabilities, num_samples per row.");
  register_stateless(registry);
}

}  // namespace millrace
