// Levenshtein distances of sequences, each the last dimension of a sparse tensor.

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/families.h"

namespace millrace {
namespace {

struct Sparse {
  const char* name;
  std::vector<int64_t> indices, shape;
  size_t rank() const { return shape.size(); }
  size_t count() const { return indices.size() / shape.size(); }
};

absl::StatusOr<Sparse> read_sparse(const KernelContext& ctx, int first, const char* name) {
  const TensorShape &indices = ctx.shape(first), &values = ctx.shape(first + 1), &shape = ctx.shape(first + 2);
  if (indices.rank() != 2) return invalid_argument(name, "_indices should be a matrix, but got shape: ", indices);
  if (values.rank() != 1) return invalid_argument(name, "_values should be a vector, but got shape: ", values);
  if (shape.rank() != 1) return invalid_argument(name, "_shape should be a vector, but got shape: ", shape);
  if (shape.dim(0) < 1 || shape.dim(0) != indices.dim(1) || values.dim(0) != indices.dim(0))
    return invalid_argument("Expected ", name, "'s indices ", indices, ", values ", values, " and shape ", shape,
                            " to fit together");
  Sparse sparse{name, {}, {}};
  MR_ASSIGN_OR_RETURN(sparse.indices, ctx.int_values(first));
  MR_ASSIGN_OR_RETURN(sparse.shape, ctx.int_values(first + 2));
  MR_RETURN_IF_ERROR(make_shape(sparse.shape).status());
  for (size_t i = 0; i < sparse.indices.size(); ++i) {
    if ((i + 1) % sparse.rank() == 0) continue;  // the place in a sequence is not looked at, as in TensorFlow
    if (sparse.indices[i] < 0 || sparse.indices[i] >= sparse.shape[i % sparse.rank()])
      return invalid_argument(name, "_indices: index ", sparse.indices[i], " is out of bounds [0, ",
                              sparse.shape[i % sparse.rank()], ")");
  }
  return sparse;
}

// The values of each sequence, in the order in which they are given, by its place in the output.
template <class T> using Sequences = std::map<int64_t, std::vector<const T*>>;

template <class T> Sequences<T> sequences_of(const Sparse& sparse, std::span<const T> values, const TensorShape& out) {
  Sequences<T> sequences;
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = 0;
    for (int d = 0; d < out.rank(); ++d)
      at = at * out.dim(d) + sparse.indices[i * sparse.rank() + static_cast<size_t>(d)];
    sequences[at].push_back(&values[i]);
  }
  return sequences;
}

template <class T> bool equal(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return static_cast<float>(a) == static_cast<float>(b);
  else return a == b;
}

template <class T>
absl::StatusOr<float> distance(const KernelContext& ctx, const std::vector<const T*>& a,
                               const std::vector<const T*>& b) {
  std::vector<int64_t> row(b.size() + 1);  // from the beginning of a so far to each beginning of b
  std::iota(row.begin(), row.end(), int64_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    if (i % 1024 == 1023 && ctx.cancellation() != nullptr && ctx.cancellation()->is_cancelled())
      return ctx.cancellation()->status();
    int64_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t replaced = diagonal + (equal(*a[i], *b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return static_cast<float>(row.back());
}

template <class T> class EditDistance final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(normalize_, init.attr<bool>("normalize"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Sparse hypothesis, read_sparse(ctx, 0, "hypothesis"));
    MR_ASSIGN_OR_RETURN(const Sparse truth, read_sparse(ctx, 3, "truth"));
    if (hypothesis.rank() != truth.rank())
      return invalid_argument("Expected hypothesis and truth to have matching ranks, but saw: ", hypothesis.rank(),
                              " and ", truth.rank());
    std::vector<int64_t> dims;
    for (size_t d = 0; d + 1 < truth.rank(); ++d) dims.push_back(std::max(hypothesis.shape[d], truth.shape[d]));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(const auto h, ctx.flat<T>(1));
    MR_ASSIGN_OR_RETURN(const auto t, ctx.flat<T>(4));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<float>(0, shape));
    std::ranges::fill(out, 0.0f);
    const Sequences<T> guesses = sequences_of(hypothesis, h, shape), truths = sequences_of(truth, t, shape);
    for (const auto& [at, guess] : guesses) {
      if (truths.contains(at)) continue;
      out[static_cast<size_t>(at)] =
          normalize_ ? std::numeric_limits<float>::infinity() : static_cast<float>(guess.size());
    }
    for (const auto& [at, wanted] : truths) {
      const auto guess = guesses.find(at);
      MR_ASSIGN_OR_RETURN(const float edits,
                          distance(ctx, wanted, guess == guesses.end() ? std::vector<const T*>() : guess->second));
      out[static_cast<size_t>(at)] = normalize_ ? edits / static_cast<float>(wanted.size()) : edits;
    }
    return absl::OkStatus();
  }
  bool normalize_ = true;
};

absl::Status edit_distance_shape(ShapeContext& c) {
  for (const int first : {0, 3}) {
    MR_RETURN_IF_ERROR(c.with_rank(first, 2).status());
    MR_RETURN_IF_ERROR(c.with_rank(first + 1, 1).status());
    MR_RETURN_IF_ERROR(c.with_rank(first + 2, 1).status());
  }
  MR_ASSIGN_OR_RETURN(const auto hypothesis, c.int_values(2));
  MR_ASSIGN_OR_RETURN(const auto truth, c.int_values(5));
  if (!hypothesis || !truth || truth->empty()) return unknown_shapes(c);
  if (hypothesis->size() != truth->size())
    return invalid_argument("Num elements of hypothesis_shape does not match truth_shape: ", hypothesis->size(), " vs ",
                            truth->size());
  std::vector<int64_t> dims;
  for (size_t d = 0; d + 1 < truth->size(); ++d) dims.push_back(std::max((*hypothesis)[d], (*truth)[d]));
  return c.set_output(0, make_partial_shape(dims));
}

}  // namespace

void register_edit_distance(Registry& registry) {
  registry.op("EditDistance")
      .input("hypothesis_indices: int64")
      .input("hypothesis_values: T")
      .input("hypothesis_shape: int64")
      .input("truth_indices: int64")
      .input("truth_values: T")
      .input("truth_shape: int64")
      .attr("normalize: bool = true")
      .attr("T: type")
      .output("output: float")
      .shape(edit_distance_shape)
      .cpu_for<EditDistance>(NumberTypes())
      .cpu<EditDistance, bool, std::string>()
      .not_differentiable()
      .doc("How many insertions, deletions and replacements lead from one sequence to another.");
}

}  // namespace millrace
