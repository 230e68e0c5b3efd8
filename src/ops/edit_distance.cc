// Levenshtein distances of sequences, each the last dimension of a sparse tensor.

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/sparse_tensor.h"

namespace millrace {
namespace {

absl::StatusOr<SparseTensor> read_sequences(const KernelContext& ctx, int first, const char* name) {
  MR_ASSIGN_OR_RETURN(SparseTensor sparse, sparse_input(ctx, first, first + 1, first + 2));
  if (sparse.rank() < 1) return invalid_argument(name, "_shape should have at least one element");
  for (int64_t i = 0; i < sparse.size(); ++i) {
    for (int64_t d = 0; d + 1 < sparse.rank(); ++d) {  // the place in a sequence is not looked at, as in TensorFlow
      const int64_t index = sparse.index(i)[d], size = sparse.dims[static_cast<size_t>(d)];
      if (index < 0 || index >= size)
        return invalid_argument(name, "_indices: index ", index, " is out of bounds [0, ", size, ")");
    }
  }
  return sparse;
}

// The values of each sequence, in the order in which they are given, by its place in the output.
template <class T> using Sequences = std::map<int64_t, std::vector<const T*>>;

template <class T> Sequences<T> sequences_of(const SparseTensor& sparse, const TensorShape& out) {
  const auto values = sparse.values.unchecked<T>();
  Sequences<T> sequences;
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = 0;
    for (int d = 0; d < out.rank(); ++d) at = at * out.dim(d) + sparse.index(static_cast<int64_t>(i))[d];
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
    if (i % 1024 == 1023) MR_RETURN_IF_ERROR(ctx.check_cancelled());
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
    MR_ASSIGN_OR_RETURN(const SparseTensor hypothesis, read_sequences(ctx, 0, "hypothesis"));
    MR_ASSIGN_OR_RETURN(const SparseTensor truth, read_sequences(ctx, 3, "truth"));
    if (hypothesis.rank() != truth.rank())
      return invalid_argument("Expected hypothesis and truth to have matching ranks, but saw: ", hypothesis.rank(),
                              " and ", truth.rank());
    if (hypothesis.values.dtype() != dtype_of<T> || truth.values.dtype() != dtype_of<T>)
      return invalid_argument("the values of both sides must be ", dtype_name(dtype_of<T>));
    std::vector<int64_t> dims;
    for (size_t d = 0; d + 1 < truth.dims.size(); ++d) dims.push_back(std::max(hypothesis.dims[d], truth.dims[d]));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<float>(0, shape));
    std::ranges::fill(out, 0.0f);
    const Sequences<T> guesses = sequences_of<T>(hypothesis, shape), truths = sequences_of<T>(truth, shape);
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
  for (const int first : {0, 3}) MR_RETURN_IF_ERROR(check_sparse_shapes(c, first, first + 1, first + 2).status());
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
