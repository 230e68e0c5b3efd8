// What label sequences the logits of a network trained with CTC stand for: the likeliest class at each time, or the
// likeliest sequences by a search that keeps a bounded number of beginnings (a beam; Graves, section 7.5).

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kernels/parallel.h"
#include "op/building.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

using Labels = std::vector<int64_t>;

// --- What both decoders check and write

absl::Status check_decoder_inputs(KernelContext& ctx) {
  const TensorShape& shape = ctx.shape(0);
  if (shape.rank() != 3) return invalid_argument("inputs is not a 3-Tensor");
  if (shape.num_elements() == 0) return invalid_argument("inputs must not be empty");
  if (ctx.shape(1).rank() != 1) return invalid_argument("sequence_length is not a vector");
  if (shape.dim(2) > std::numeric_limits<int32_t>::max()) return invalid_argument("num_classes cannot exceed max int");
  if (shape.dim(1) != ctx.shape(1).dim(0))
    return failed_precondition("len(sequence_length) != batch_size.  len(sequence_length):  ", ctx.shape(1).dim(0),
                               " batch_size: ", shape.dim(1));
  MR_ASSIGN_OR_RETURN(const std::span<const int32_t> lengths, ctx.vector<int32_t>(1));
  for (size_t b = 0; b < lengths.size(); ++b) {
    if (lengths[b] > shape.dim(0)) return failed_precondition("sequence_length(", b, ") <= ", shape.dim(0));
  }
  return absl::OkStatus();
}

// The sequences of a batch as a sparse matrix in outputs first, first + step and first + 2 step.
absl::Status write_sequences(KernelContext& ctx, int first, int step, const std::vector<Labels>& sequences) {
  int64_t total = 0, longest = 0;
  for (const Labels& labels : sequences) {
    total += std::ssize(labels);
    longest = std::max<int64_t>(longest, std::ssize(labels));
  }
  MR_ASSIGN_OR_RETURN(const TensorShape matrix, make_shape({total, 2}));
  MR_ASSIGN_OR_RETURN(const TensorShape vector, make_shape({total}));
  MR_ASSIGN_OR_RETURN(const TensorShape pair, make_shape({2}));
  MR_ASSIGN_OR_RETURN(const std::span<int64_t> indices, ctx.output<int64_t>(first, matrix));
  MR_ASSIGN_OR_RETURN(const std::span<int64_t> values, ctx.output<int64_t>(first + step, vector));
  MR_ASSIGN_OR_RETURN(const std::span<int64_t> shape, ctx.output<int64_t>(first + 2 * step, pair));
  size_t row = 0;
  for (size_t b = 0; b < sequences.size(); ++b) {
    for (size_t t = 0; t < sequences[b].size(); ++t, ++row) {
      indices[2 * row] = static_cast<int64_t>(b);
      indices[2 * row + 1] = static_cast<int64_t>(t);
      values[row] = sequences[b][t];
    }
  }
  shape[0] = std::ssize(sequences);
  shape[1] = longest;
  return absl::OkStatus();
}

// --- The likeliest class at each time

template <class T> class CtcGreedyDecoder final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(merge_repeated_, init.attr<bool>("merge_repeated"));
    MR_ASSIGN_OR_RETURN(blank_, init.attr<int64_t>("blank_index"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check_decoder_inputs(ctx));
    const int64_t batch = ctx.shape(0).dim(1), classes = ctx.shape(0).dim(2);
    const int64_t blank = blank_ < 0 ? classes + blank_ : blank_;
    if (blank < 0 || blank >= classes)
      return invalid_argument("blank_index expected to be between ", -classes, " and ", classes - 1, " but was ",
                              blank_);
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const int32_t> lengths, ctx.vector<int32_t>(1));
    MR_ASSIGN_OR_RETURN(const TensorShape column, make_shape({batch, 1}));
    MR_ASSIGN_OR_RETURN(const std::span<T> scores, ctx.output<T>(3, column));
    std::vector<Labels> sequences(static_cast<size_t>(batch));
    parallel_for(batch, static_cast<double>(ctx.shape(0).dim(0) * classes), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const auto i = static_cast<size_t>(b);
        scores[i] = decode(logits.data() + b * classes, lengths[i], classes, batch * classes, blank, &sequences[i]);
      }
    });
    return write_sequences(ctx, 0, 1, sequences);
  }

 private:
  // Returns minus the sum of the logits of the classes that were taken.
  T decode(const T* logits, int64_t time, int64_t classes, int64_t stride, int64_t blank, Labels* labels) const {
    T score{};
    int64_t before = -1;
    for (int64_t t = 0; t < time; ++t) {
      const T* at = logits + t * stride;
      int64_t best = 0;
      for (int64_t c = 1; c < classes; ++c) {
        if (at[c] > at[best]) best = c;
      }
      score -= at[best];
      if (best != blank && !(merge_repeated_ && best == before)) labels->push_back(best);
      before = best;
    }
    return score;
  }

  bool merge_repeated_ = false;
  int64_t blank_ = -1;
};

// --- The search

template <class T> constexpr T kLogZero = -std::numeric_limits<T>::infinity();

template <class T> T log_add(T a, T b) {
  if (a < b) std::swap(a, b);
  return b == kLogZero<T> ? a : a + std::log1p(std::exp(b - a));
}

// Log probabilities of a beginning: of the outputs that give it, of those that end in a blank, and in its last label.
template <class T> struct Chance { T total = kLogZero<T>, blank = kLogZero<T>, label = kLogZero<T>; };

// The beginnings of one sequence. One that has left the beam lives on while longer ones are held that begin with it,
// and is taken up again when it comes back.
template <class T> class Beam {
 public:
  Beam(size_t width, int64_t classes, const KernelContext& ctx) : width_(width), classes_(classes), ctx_(ctx) {
    const uint32_t root = make(kNone, -1);
    at(root).now = {.total = 0, .blank = 0, .label = kLogZero<T>};
    at(root).in_beam = true;
    leaves_.push_back(root);
  }

  absl::Status step(const T* logits);
  // The `count` likeliest beginnings, as labels, with their log probabilities.
  absl::Status best(int64_t count, bool merge_repeated, std::vector<Labels>* labels, std::vector<T>* scores) const;

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  static constexpr size_t kMostBeginnings = size_t{1} << 21;
  struct Beginning {
    uint32_t parent = kNone, children = 0;
    int32_t label = -1;
    bool in_beam = false;
    Chance<T> before, now;
  };

  Beginning& at(uint32_t i) { return all_[i]; }
  const Beginning& at(uint32_t i) const { return all_[i]; }
  bool is_active(uint32_t i) const { return at(i).now.total != kLogZero<T>; }
  static uint64_t key(uint32_t parent, int32_t label) {
    return (uint64_t{parent} << 32) | static_cast<uint32_t>(label);
  }

  uint32_t make(uint32_t parent, int32_t label);
  void release(uint32_t i);
  bool is_likelier(uint32_t a, uint32_t b) const { return at(a).now.total > at(b).now.total; }
  // A heap with the least likely beginning in front; only made once the beam is full.
  void make_heap();
  bool can_enter(T total) { return total > kLogZero<T> && (leaves_.size() < width_ || total > at(least()).now.total); }
  uint32_t least();
  void enter(uint32_t i);
  std::vector<uint32_t> sorted() const;
  void stay(uint32_t i, const T* logits, T norm);
  absl::Status grow(uint32_t i, const T* logits, T norm);

  size_t width_;
  int64_t classes_;
  const KernelContext& ctx_;  // asked now and then whether the step goes on
  std::vector<Beginning> all_;
  std::vector<uint32_t> free_;
  absl::flat_hash_map<uint64_t, uint32_t> found_;  // by parent and label
  std::vector<uint32_t> leaves_;
  std::vector<uint32_t> dropped_;  // in this step; released at its end, as they may come back
  bool is_heap_ = false;
};

template <class T> uint32_t Beam<T>::make(uint32_t parent, int32_t label) {
  uint32_t i = 0;
  if (free_.empty()) {
    i = static_cast<uint32_t>(all_.size());
    all_.emplace_back();
  } else {
    i = free_.back();
    free_.pop_back();
    all_[i] = Beginning();
  }
  at(i).parent = parent;
  at(i).label = label;
  if (parent != kNone) {
    ++at(parent).children;
    found_.emplace(key(parent, label), i);
  }
  return i;
}

// Frees a beginning that is not in the beam, with those that it was the last to begin with.
template <class T> void Beam<T>::release(uint32_t i) {
  while (at(i).parent != kNone && at(i).children == 0 && !at(i).in_beam) {
    const uint32_t parent = at(i).parent;
    found_.erase(key(parent, at(i).label));
    at(i).parent = kNone;  // so that it is not freed twice
    free_.push_back(i);
    --at(parent).children;
    i = parent;
  }
}

template <class T> void Beam<T>::make_heap() {
  if (is_heap_) return;
  std::make_heap(leaves_.begin(), leaves_.end(), [this](uint32_t a, uint32_t b) { return is_likelier(a, b); });
  is_heap_ = true;
}

template <class T> uint32_t Beam<T>::least() {
  make_heap();
  return leaves_.front();
}

template <class T> void Beam<T>::enter(uint32_t i) {
  const auto order = [this](uint32_t a, uint32_t b) { return is_likelier(a, b); };
  if (leaves_.size() >= width_) {
    make_heap();
    std::pop_heap(leaves_.begin(), leaves_.end(), order);
    const uint32_t out = leaves_.back();
    leaves_.pop_back();
    at(out).now = {};
    at(out).in_beam = false;
    dropped_.push_back(out);
  }
  at(i).in_beam = true;
  leaves_.push_back(i);
  if (is_heap_) std::push_heap(leaves_.begin(), leaves_.end(), order);
}

template <class T> std::vector<uint32_t> Beam<T>::sorted() const {
  std::vector<uint32_t> order = leaves_;
  std::stable_sort(order.begin(), order.end(), [this](uint32_t a, uint32_t b) { return is_likelier(a, b); });
  return order;
}

// The same beginning one output later: by its last label once more, or by a blank.
template <class T> void Beam<T>::stay(uint32_t i, const T* logits, T norm) {
  Beginning& b = at(i);
  if (b.parent != kNone) {
    if (is_active(b.parent)) {
      const Beginning& parent = at(b.parent);
      b.now.label = log_add(b.now.label, b.label == parent.label ? parent.before.blank : parent.before.total);
    }
    b.now.label += logits[b.label] - norm;
  }
  b.now.blank = b.before.total + logits[classes_ - 1] - norm;
  b.now.total = log_add(b.now.blank, b.now.label);
}

// The beginnings that are one label longer.
template <class T> absl::Status Beam<T>::grow(uint32_t i, const T* logits, T norm) {
  if (!can_enter(at(i).before.total)) return absl::OkStatus();
  for (int32_t label = 0; label < classes_ - 1; ++label) {
    const auto known = found_.find(key(i, label));
    if (known != found_.end() && at(known->second).in_beam) continue;
    const Beginning& b = at(i);
    const T total = logits[label] - norm + (label == b.label ? b.before.blank : b.before.total);
    if (!can_enter(total)) {
      // One that left the beam in this step is not grown either, where its turn comes later: as in TensorFlow.
      if (known != found_.end()) at(known->second).before = {};
      continue;
    }
    if (all_.size() - free_.size() >= kMostBeginnings)
      return resource_exhausted("CTCBeamSearchDecoder: more than ", kMostBeginnings,
                                " beginnings of sequences; a smaller beam_width needs fewer");
    const uint32_t child = known != found_.end() ? known->second : make(i, label);
    at(child).now = {.total = total, .blank = kLogZero<T>, .label = total};
    enter(child);
  }
  return absl::OkStatus();
}

template <class T> absl::Status Beam<T>::step(const T* logits) {
  const T most = *std::max_element(logits, logits + classes_);
  T sum = 0;
  for (int64_t c = 0; c < classes_; ++c) sum += std::exp(logits[c] - most);
  const T norm = most + std::log(sum);
  const std::vector<uint32_t> before = sorted();
  leaves_.clear();
  is_heap_ = false;
  for (const uint32_t i : before) at(i).before = at(i).now;
  for (const uint32_t i : before) stay(i, logits, norm);
  leaves_ = before;
  for (size_t k = 0; k < before.size(); ++k) {
    if (k % 256 == 0) MR_RETURN_IF_ERROR(ctx_.check_cancelled());
    MR_RETURN_IF_ERROR(grow(before[k], logits, norm));
  }
  for (const uint32_t i : dropped_) release(i);
  dropped_.clear();
  return absl::OkStatus();
}

template <class T>
absl::Status Beam<T>::best(int64_t count, bool merge_repeated, std::vector<Labels>* labels,
                           std::vector<T>* scores) const {
  if (count > static_cast<int64_t>(width_)) return invalid_argument("requested more paths than the beam width.");
  if (count > std::ssize(leaves_)) return invalid_argument("Less leaves in the beam search than requested.");
  const std::vector<uint32_t> order = sorted();
  for (size_t k = 0; k < static_cast<size_t>(count); ++k) {
    Labels sequence;
    int32_t after = -1;
    for (uint32_t i = order[k]; at(i).parent != kNone; i = at(i).parent) {
      if (!merge_repeated || at(i).label != after) sequence.push_back(at(i).label);
      after = at(i).label;
    }
    std::ranges::reverse(sequence);
    labels->push_back(std::move(sequence));
    scores->push_back(at(order[k]).now.total);
  }
  return absl::OkStatus();
}

template <class T> class CtcBeamSearchDecoder final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(merge_repeated_, init.attr<bool>("merge_repeated"));
    MR_ASSIGN_OR_RETURN(beam_width_, init.attr<int64_t>("beam_width"));
    MR_ASSIGN_OR_RETURN(top_paths_, init.attr<int64_t>("top_paths"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_RETURN_IF_ERROR(check_decoder_inputs(ctx));
    const int64_t batch = ctx.shape(0).dim(1), classes = ctx.shape(0).dim(2);
    MR_ASSIGN_OR_RETURN(const std::span<const T> logits, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const std::span<const int32_t> lengths, ctx.vector<int32_t>(1));
    const int paths = static_cast<int>(top_paths_);
    MR_ASSIGN_OR_RETURN(const TensorShape table, make_shape({batch, top_paths_}));
    MR_ASSIGN_OR_RETURN(const std::span<T> scores, ctx.output<T>(3 * paths, table));
    std::vector<std::vector<Labels>> sequences(static_cast<size_t>(paths));  // by path, then sequence of the batch
    for (int64_t b = 0; b < batch; ++b) {
      Beam<T> beam(static_cast<size_t>(beam_width_), classes, ctx);
      for (int64_t t = 0; t < lengths[static_cast<size_t>(b)]; ++t) {
        MR_RETURN_IF_ERROR(beam.step(logits.data() + (t * batch + b) * classes));
      }
      std::vector<Labels> labels;
      std::vector<T> chances;
      MR_RETURN_IF_ERROR(beam.best(top_paths_, merge_repeated_, &labels, &chances));
      for (size_t p = 0; p < labels.size(); ++p) sequences[p].push_back(std::move(labels[p]));
      std::ranges::copy(chances, scores.begin() + b * top_paths_);
    }
    for (int p = 0; p < paths; ++p)
      MR_RETURN_IF_ERROR(write_sequences(ctx, p, paths, sequences[static_cast<size_t>(p)]));
    return absl::OkStatus();
  }

 private:
  bool merge_repeated_ = true;
  int64_t beam_width_ = 1, top_paths_ = 1;
};

// --- Shapes

absl::Status set_decoded(ShapeContext& c, int64_t paths) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape inputs, c.with_rank(0, 3));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape lengths, c.with_rank(1, 1));
  // What is fed otherwise is the kernel's to refuse, whose error is of another class.
  int64_t batch = lengths.dim(0);
  if (is_building_node()) {
    MR_ASSIGN_OR_RETURN(batch, merge_dim(inputs.dim(1), batch));
  }
  for (int p = 0; p < paths; ++p) {
    const auto n = static_cast<int>(paths);
    MR_RETURN_IF_ERROR(c.set_output(p, make_partial_shape({-1, 2})));
    MR_RETURN_IF_ERROR(c.set_output(n + p, make_partial_shape({-1})));
    MR_RETURN_IF_ERROR(c.set_output(2 * n + p, make_partial_shape({2})));
  }
  return c.set_output(c.num_outputs() - 1, make_partial_shape({batch, paths}));
}
absl::Status greedy_shape(ShapeContext& c) { return set_decoded(c, 1); }
absl::Status beam_search_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t paths, c.attr<int64_t>("top_paths"));
  return set_decoded(c, paths);
}

}  // namespace

void register_ctc_decoder(Registry& registry) {
  registry.op("CTCGreedyDecoder")
      .input("inputs: T")
      .input("sequence_length: int32")
      .output("decoded_indices: int64")
      .output("decoded_values: int64")
      .output("decoded_shape: int64")
      .output("log_probability: T")
      .attr("merge_repeated: bool = false")
      .attr("blank_index: int = -1")
      .attr("T: {float, double} = DT_FLOAT")
      .shape(greedy_shape)
      .cpu<CtcGreedyDecoder, float, double>()
      .not_differentiable()
      .doc("The likeliest class at each time of logits [time, batch, classes], without blanks.");
  registry.op("CTCBeamSearchDecoder")
      .input("inputs: T")
      .input("sequence_length: int32")
      .output("decoded_indices: top_paths * int64")
      .output("decoded_values: top_paths * int64")
      .output("decoded_shape: top_paths * int64")
      .output("log_probability: T")
      .attr("beam_width: int >= 1")
      .attr("top_paths: int >= 1")
      .attr("merge_repeated: bool = true")
      .attr("T: {float, double} = DT_FLOAT")
      .shape(beam_search_shape)
      .cpu<CtcBeamSearchDecoder, float, double>()
      .not_differentiable()
      .doc("The likeliest label sequences of logits [time, batch, classes], found by a beam search.");
}

}  // namespace millrace
