// Candidate samplers: classes drawn for a sampled loss, with how often each is expected to be drawn. Draws equal
// TensorFlow's for the same seeds.

#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "io/file_system.h"
#include "kernels/exact_uniform.h"
#include "op/shape_context.h"
#include "ops/random_generator.h"

namespace millrace {
namespace {

// A draw that fits no bound would take this many tries; more than that ends in an error.
constexpr int64_t kMaxTries = int64_t{1} << 27;

// A distribution over [0, range).
class Sampler {
 public:
  explicit Sampler(int64_t range) : range_(range) {}
  virtual ~Sampler() = default;
  int64_t range() const { return range_; }
  virtual int64_t sample(SinglePhilox& random) = 0;
  virtual float probability(int64_t value) const = 0;
  // How many different values can be drawn at all.
  virtual int64_t support() const { return range_; }
  virtual void learn(std::span<const int64_t> values) {}

 private:
  const int64_t range_;
};

class UniformSampler final : public Sampler {
 public:
  explicit UniformSampler(int64_t range)
      : Sampler(range), inverse_(static_cast<float>(1.0 / static_cast<double>(range))) {}
  int64_t sample(SinglePhilox& random) override {
    return static_cast<int64_t>(uniform64(random, static_cast<uint64_t>(range())));
  }
  float probability(int64_t) const override { return inverse_; }

 private:
  const float inverse_;
};

// P(k) = log((k + 2) / (k + 1)) / log(range + 1)
class LogUniformSampler final : public Sampler {
 public:
  explicit LogUniformSampler(int64_t range) : Sampler(range), log_range_(std::log1p(static_cast<double>(range))) {}
  int64_t sample(SinglePhilox& random) override {
    const double x = std::min(std::exp(random.uniform_double() * log_range_), 9.2e18);  // so that it is an int64
    const auto value = static_cast<int64_t>(x) - 1;
    return value % range();  // rounding may give range itself
  }
  float probability(int64_t value) const override {
    const auto v = static_cast<double>(value);
    return static_cast<float>(std::log((v + 2.0) / (v + 1.0)) / log_range_);
  }

 private:
  const double log_range_;
};

// Each value as often as it was seen so far, plus once. Sums of weights are kept in a Fenwick tree.
class UnigramSampler final : public Sampler {
 public:
  UnigramSampler(int64_t range, Tensor sums, Tensor weights)
      : Sampler(range), total_(range), sums_(std::move(sums)), weights_(std::move(weights)) {
    std::ranges::fill(weights_.unchecked_mutable<int32_t>(), 1);
    const auto tree = sums_.unchecked_mutable<int64_t>();
    for (int64_t i = 0; i < range; ++i) tree[static_cast<size_t>(i)] = (i + 1) & -(i + 1);
  }
  int64_t sample(SinglePhilox& random) override {
    int64_t left = uniform32(random, static_cast<uint32_t>(total_)), at = 0;
    const auto tree = sums_.unchecked<int64_t>();
    int64_t step = 1;
    while (2 * step <= range()) step *= 2;
    for (; step > 0; step /= 2) {
      if (at + step <= range() && tree[static_cast<size_t>(at + step - 1)] <= left) {
        at += step;
        left -= tree[static_cast<size_t>(at - 1)];
      }
    }
    return at;
  }
  float probability(int64_t value) const override {
    return static_cast<float>(weights_.unchecked<int32_t>()[static_cast<size_t>(value)]) / static_cast<float>(total_);
  }
  void learn(std::span<const int64_t> values) override {
    const auto tree = sums_.unchecked_mutable<int64_t>();
    const auto weights = weights_.unchecked_mutable<int32_t>();
    for (const int64_t value : values) {
      if (total_ >= std::numeric_limits<int32_t>::max()) return;
      ++weights[static_cast<size_t>(value)];
      ++total_;
      for (int64_t i = value + 1; i <= range(); i += i & -i) ++tree[static_cast<size_t>(i - 1)];
    }
  }

 private:
  int64_t total_;
  Tensor sums_, weights_;
};

// Given weights, drawn with Walker's alias method.
class WeightedSampler final : public Sampler {
 public:
  explicit WeightedSampler(std::vector<float> weights)
      : Sampler(static_cast<int64_t>(weights.size())),
        weights_(std::move(weights)),
        total_(std::accumulate(weights_.begin(), weights_.end(), 0.0f)),
        slots_(weights_.size()) {
    build();
  }
  int64_t sample(SinglePhilox& random) override {
    const float r = uniform_float(random());
    const uint32_t at = uniform32(random, static_cast<uint32_t>(slots_.size()));
    const Slot& slot = slots_[at];
    return r < slot.probability || slot.other < 0 ? static_cast<int64_t>(at) : slot.other;
  }
  float probability(int64_t value) const override { return weights_[static_cast<size_t>(value)] / total_; }
  int64_t support() const override {
    return std::ranges::count_if(weights_, [](float w) { return w > 0; });
  }

 private:
  struct Slot {
    float probability = 0;
    int64_t other = -1;
  };
  void build() {
    double sum = 0;
    for (const float w : weights_) sum += w;
    std::vector<double> share(weights_.size());
    std::vector<size_t> high, low;
    for (size_t i = 0; i < weights_.size(); ++i) {
      share[i] = static_cast<double>(weights_[i] * static_cast<float>(weights_.size())) / sum;
      (share[i] < 1.0 ? low : high).push_back(i);
    }
    while (!high.empty() && !low.empty()) {
      const size_t l = low.back(), h = high.back();
      low.pop_back();
      high.pop_back();
      slots_[l].other = static_cast<int64_t>(h);
      share[h] -= 1.0 - share[l];
      (share[h] < 1.0 ? low : high).push_back(h);
    }
    for (size_t i = 0; i < slots_.size(); ++i) slots_[i].probability = static_cast<float>(share[i]);
    for (const auto* rest : {&high, &low})  // what rounding left over
      for (const size_t i : *rest) slots_[i] = {1.0f, -1};
  }

  const std::vector<float> weights_;
  const float total_;
  std::vector<Slot> slots_;
};

// The values drawn so far, in memory that the allocator counts.
class DrawnSet {
 public:
  static absl::StatusOr<DrawnSet> make(int64_t n) {
    DrawnSet set;
    uint64_t slots = 16;
    while (slots < 2 * static_cast<uint64_t>(n)) slots *= 2;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(slots)}));
    MR_ASSIGN_OR_RETURN(set.slots_, make_tensor(DataType::kInt64, shape));
    std::ranges::fill(set.slots_.unchecked_mutable<int64_t>(), int64_t{-1});
    return set;
  }
  bool insert(int64_t value) {
    const auto slots = slots_.unchecked_mutable<int64_t>();
    const uint64_t mask = slots.size() - 1;
    uint64_t at = (static_cast<uint64_t>(value) * 0x9e3779b97f4a7c15u) >> 20 & mask;
    for (; slots[at] >= 0; at = (at + 1) & mask) {
      if (slots[at] == value) return false;
    }
    slots[at] = value;
    return true;
  }

 private:
  Tensor slots_;
};

// How often a class of this probability is expected among the drawn ones; in single precision, as TensorFlow has it.
float expected_count(float p, int64_t batch, int64_t tries) {
  if (tries == batch) return p * static_cast<float>(batch);
  return -std::expm1(static_cast<float>(tries) * std::log1p(-p));
}

absl::StatusOr<int64_t> draw(const KernelContext& ctx, Sampler& sampler, bool unique, SinglePhilox& random,
                             std::span<int64_t> out) {
  const auto n = static_cast<int64_t>(out.size());
  if (!unique) {
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 65536 == 65535) MR_RETURN_IF_ERROR(ctx.check_cancelled());
      out[i] = sampler.sample(random);
    }
    return n;
  }
  MR_ASSIGN_OR_RETURN(DrawnSet drawn, DrawnSet::make(n));
  int64_t tries = 0;
  for (size_t i = 0; i < out.size();) {
    if (++tries > kMaxTries) return resource_exhausted("No ", n, " different classes in ", kMaxTries, " draws");
    if (tries % 65536 == 0) MR_RETURN_IF_ERROR(ctx.check_cancelled());
    const int64_t value = sampler.sample(random);
    if (drawn.insert(value)) out[i++] = value;
  }
  return tries;
}

class CandidateSampler : public Kernel {
 public:
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(num_true_, init.attr<int64_t>("num_true"));
    MR_ASSIGN_OR_RETURN(num_sampled_, init.attr<int64_t>("num_sampled"));
    MR_ASSIGN_OR_RETURN(unique_, init.attr<bool>("unique"));
    MR_RETURN_IF_ERROR(generator_.init(init));
    return configure(init);
  }

  absl::Status compute(KernelContext& ctx) final {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 2) return invalid_argument("true_classes must be a matrix");
    if (shape.dim(1) != num_true_)
      return invalid_argument("true_classes must have num_true columns, expected: ", shape.dim(1), " was: ", num_true_);
    MR_ASSIGN_OR_RETURN(const auto classes, ctx.flat<int64_t>(0));
    MR_ASSIGN_OR_RETURN(const TensorShape sampled_shape, make_shape({num_sampled_}));
    MR_ASSIGN_OR_RETURN(const auto sampled, ctx.output<int64_t>(0, sampled_shape));
    MR_ASSIGN_OR_RETURN(const auto true_count, ctx.output<float>(1, shape));
    MR_ASSIGN_OR_RETURN(const auto sampled_count, ctx.output<float>(2, sampled_shape));
    return fill(ctx, classes, sampled, true_count, sampled_count);
  }

 protected:
  virtual absl::Status configure(KernelInit& init) = 0;
  virtual absl::Status fill(KernelContext& ctx, std::span<const int64_t> classes, std::span<int64_t> sampled,
                            std::span<float> true_count, std::span<float> sampled_count) {
    const std::lock_guard lock(mutex_);
    if (unique_ && num_sampled_ > sampler_->support()) return invalid_argument("Sampler's range is too small.");
    MR_RETURN_IF_ERROR(check_classes(classes, sampler_->range()));
    Philox generator = generator_.reserve(512 * static_cast<uint64_t>(num_sampled_));
    SinglePhilox random(&generator);
    MR_ASSIGN_OR_RETURN(const int64_t tries, draw(ctx, *sampler_, unique_, random, sampled));
    const auto count = [&](int64_t value) { return expected_count(sampler_->probability(value), num_sampled_, tries); };
    std::ranges::transform(classes, true_count.begin(), count);
    std::ranges::transform(sampled, sampled_count.begin(), count);
    sampler_->learn(classes);
    return absl::OkStatus();
  }
  static absl::Status check_classes(std::span<const int64_t> classes, int64_t range) {
    for (const int64_t c : classes) {
      if (c < 0 || c >= range) return invalid_argument("`true_candidate` out of range [0, ", range, "), received ", c);
    }
    return absl::OkStatus();
  }

  int64_t num_true_ = 0, num_sampled_ = 0;
  bool unique_ = false;
  std::mutex mutex_;  // guards the sampler
  std::unique_ptr<Sampler> sampler_;

 private:
  GuardedPhilox generator_;
};

template <class S> class RangeSampler final : public CandidateSampler {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const int64_t range, init.attr<int64_t>("range_max"));
    sampler_ = std::make_unique<S>(range);
    return absl::OkStatus();
  }
};

class LearnedUnigram final : public CandidateSampler {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const int64_t range, init.attr<int64_t>("range_max"));
    if (range >= std::numeric_limits<int32_t>::max())
      return invalid_argument("range_max must be below 2^31 - 1, got ", range);
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({range}));
    MR_ASSIGN_OR_RETURN(Tensor sums, make_tensor(DataType::kInt64, shape));
    MR_ASSIGN_OR_RETURN(Tensor weights, make_tensor(DataType::kInt32, shape));
    sampler_ = std::make_unique<UnigramSampler>(range, std::move(sums), std::move(weights));
    return absl::OkStatus();
  }
};

class FixedUnigram final : public CandidateSampler {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const int64_t range, init.attr<int64_t>("range_max"));
    MR_ASSIGN_OR_RETURN(const std::string vocab_file, init.attr<std::string>("vocab_file"));
    MR_ASSIGN_OR_RETURN(std::vector<float> given, init.attr<std::vector<float>>("unigrams"));
    if (vocab_file.empty() && given.empty()) return invalid_argument("Must provide either vocab_file or unigrams.");
    if (!vocab_file.empty() && !given.empty())
      return invalid_argument("Must only provide one of vocab_file and unigrams.");
    if (!vocab_file.empty()) {
      MR_ASSIGN_OR_RETURN(given, read_weights(vocab_file));
    }
    MR_ASSIGN_OR_RETURN(std::vector<float> weights, shard(init, given));
    if (static_cast<int64_t>(weights.size()) != range)
      return invalid_argument("range is ", range, " must be equal to weights size  ", weights.size());
    sampler_ = std::make_unique<WeightedSampler>(std::move(weights));
    return absl::OkStatus();
  }

  // The last column of each line.
  static absl::StatusOr<std::vector<float>> read_weights(const std::string& path) {
    MR_ASSIGN_OR_RETURN(const std::string text, read_file(path));
    std::vector<float> weights;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      begin = end + 1;
      if (line.empty()) continue;
      const size_t comma = line.rfind(',');
      float weight = 0;
      if (!absl::SimpleAtof(line.substr(comma == std::string::npos ? 0 : comma + 1), &weight))
        return invalid_argument("Wrong vocabulary format at line: ", line);
      weights.push_back(weight);
    }
    return weights;
  }

  // Reserved ids have weight zero; with shards, every num_shards-th id is ours.
  static absl::StatusOr<std::vector<float>> shard(KernelInit& init, std::span<const float> given) {
    MR_ASSIGN_OR_RETURN(const float distortion, init.attr<float>("distortion"));
    MR_ASSIGN_OR_RETURN(const int64_t reserved, init.attr<int64_t>("num_reserved_ids"));
    MR_ASSIGN_OR_RETURN(const int64_t shards, init.attr<int64_t>("num_shards"));
    MR_ASSIGN_OR_RETURN(const int64_t ours, init.attr<int64_t>("shard"));
    if (ours >= shards) return invalid_argument("shard must be less than num_shards, got ", ours, " of ", shards);
    if (reserved < 0 || reserved > std::numeric_limits<int32_t>::max())
      return invalid_argument("num_reserved_ids must be in [0, 2^31), got ", reserved);
    std::vector<float> weights;
    double sum = 0;
    MR_ASSIGN_OR_RETURN(const int64_t range, init.attr<int64_t>("range_max"));
    for (int64_t id = 0; id < reserved; ++id) {
      if (id % shards == ours) weights.push_back(0);
      if (static_cast<int64_t>(weights.size()) > range) break;  // refused by its caller, with this size
    }
    for (size_t i = 0; i < given.size(); ++i) {
      const float w = std::pow(given[i], distortion);
      if (!(w >= 0) || std::isinf(w))
        return invalid_argument("unigram ", given[i], " raised to ", distortion, " is no weight");
      if ((reserved + static_cast<int64_t>(i)) % shards == ours) {
        weights.push_back(w);
        sum += w;
      }
    }
    if (!(sum > 0) || std::isinf(static_cast<float>(sum)))
      return invalid_argument("unigrams must have a positive and finite sum, got ", sum);
    return weights;
  }
};

class AllCandidates final : public CandidateSampler {
  absl::Status configure(KernelInit&) override { return absl::OkStatus(); }
  absl::Status fill(KernelContext&, std::span<const int64_t> classes, std::span<int64_t> sampled,
                    std::span<float> true_count, std::span<float> sampled_count) override {
    MR_RETURN_IF_ERROR(check_classes(classes, num_sampled_));
    std::iota(sampled.begin(), sampled.end(), int64_t{0});
    std::ranges::fill(true_count, 1.0f);
    std::ranges::fill(sampled_count, 1.0f);
    return absl::OkStatus();
  }
};

// Where a sampled class is one of the true ones.
class ComputeAccidentalHits final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(num_true_, init.attr<int64_t>("num_true"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    if (shape.rank() != 2 || shape.dim(1) != num_true_)
      return invalid_argument("true_classes must have num_true columns");
    if (ctx.shape(1).rank() != 1)
      return invalid_argument(
          "sampled_candidates must be a vector, which is typically an output from CandidateSampler");
    MR_ASSIGN_OR_RETURN(const auto classes, ctx.flat<int64_t>(0));
    MR_ASSIGN_OR_RETURN(const auto sampled, ctx.vector<int64_t>(1));
    absl::flat_hash_map<int64_t, int64_t> places;
    for (size_t i = 0; i < sampled.size(); ++i) places[sampled[i]] = static_cast<int64_t>(i);
    std::vector<std::pair<int32_t, int64_t>> hits;
    for (size_t i = 0; i < classes.size(); ++i) {
      if (const auto found = places.find(classes[i]); found != places.end())
        hits.emplace_back(static_cast<int32_t>(static_cast<int64_t>(i) / num_true_), found->second);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape out, make_shape({static_cast<int64_t>(hits.size())}));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.output<int32_t>(0, out));
    MR_ASSIGN_OR_RETURN(const auto ids, ctx.output<int64_t>(1, out));
    MR_ASSIGN_OR_RETURN(const auto weights, ctx.output<float>(2, out));
    for (size_t i = 0; i < hits.size(); ++i) {
      indices[i] = hits[i].first;
      ids[i] = hits[i].second;
      weights[i] = -std::numeric_limits<float>::max();
    }
    return absl::OkStatus();
  }
  int64_t num_true_ = 0;
};

// --- shapes

absl::Status sampler_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t num_true, c.attr<int64_t>("num_true"));
  MR_ASSIGN_OR_RETURN(const int64_t num_sampled, c.attr<int64_t>("num_sampled"));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape classes, c.with_rank(0, 2));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({num_sampled})));
  MR_RETURN_IF_ERROR(c.set_output(1, make_partial_shape({classes.has_rank() ? classes.dim(0) : -1, num_true})));
  return c.set_output(2, make_partial_shape({num_sampled}));
}

absl::Status hits_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 2).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  for (int i = 0; i < 3; ++i) MR_RETURN_IF_ERROR(c.set_output(i, unknown_shape_of_rank(1)));
  return absl::OkStatus();
}

OpBuilder sampler_op(Registry& registry, const char* name) {
  return registry.op(name)
      .input("true_classes: int64")
      .output("sampled_candidates: int64")
      .output("true_expected_count: float")
      .output("sampled_expected_count: float")
      .attr("num_true: int >= 1")
      .attr("num_sampled: int >= 1")
      .attr("unique: bool")
      .shape(sampler_shape)
      .stateful()
      .not_differentiable();
}
OpBuilder seeded(OpBuilder op) { return op.attr("seed: int = 0").attr("seed2: int = 0"); }

}  // namespace

void register_candidate_sampler(Registry& registry) {
  seeded(sampler_op(registry, "UniformCandidateSampler").attr("range_max: int >= 1"))
      .cpu<RangeSampler<UniformSampler>>()
      .doc("Classes drawn uniformly.");
  seeded(sampler_op(registry, "LogUniformCandidateSampler").attr("range_max: int >= 1"))
      .cpu<RangeSampler<LogUniformSampler>>()
      .doc("Classes drawn from a log-uniform (Zipfian) distribution: those sorted by falling frequency.");
  for (const char* name : {"LearnedUnigramCandidateSampler", "ThreadUnsafeUnigramCandidateSampler"})
    seeded(sampler_op(registry, name).attr("range_max: int >= 1"))
        .cpu<LearnedUnigram>()
        .doc("Classes drawn as often as they were true ones so far.");
  seeded(sampler_op(registry, "FixedUnigramCandidateSampler")
             .attr("range_max: int >= 1")
             .attr("vocab_file: string = ''")
             .attr("distortion: float = 1")
             .attr("num_reserved_ids: int = 0")
             .attr("num_shards: int >= 1 = 1")
             .attr("shard: int >= 0 = 0")
             .attr("unigrams: list(float) = []"))
      .cpu<FixedUnigram>()
      .doc("Classes drawn by given weights.");
  seeded(sampler_op(registry, "AllCandidateSampler")).cpu<AllCandidates>().doc("All classes.");
  seeded(registry.op("ComputeAccidentalHits")
             .input("true_classes: int64")
             .input("sampled_candidates: int64")
             .output("indices: int32")
             .output("ids: int64")
             .output("weights: float")
             .attr("num_true: int"))
      .shape(hits_shape)
      .cpu<ComputeAccidentalHits>()
      .not_differentiable()
      .doc("Where sampled classes are true ones, with the weight that takes them out of a softmax.");
}

}  // namespace millrace
