// Counting: Bincount, DenseBincount, Bucketize. None has a gradient.

#include <algorithm>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

namespace {

// Adds the weight (1 if there are none) of each value in [0, size) to its bin.
template <class I, class T>
absl::Status count(std::span<const I> values, std::span<const T> weights, bool binary, std::span<T> bins) {
  for (size_t i = 0; i < values.size(); ++i) {
    const I v = values[i];
    if (v < 0) return invalid_argument("Input arr must be non-negative!");
    if (static_cast<uint64_t>(v) >= bins.size()) continue;
    T& bin = bins[static_cast<size_t>(v)];
    if (binary) bin = T(1);
    else if constexpr (std::is_integral_v<T>)
      bin = static_cast<T>(static_cast<std::make_unsigned_t<T>>(bin) +
                           static_cast<std::make_unsigned_t<T>>(weights.empty() ? T(1) : weights[i]));
    else bin += weights.empty() ? T(1) : weights[i];
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> bins_wanted(const KernelContext& ctx) {
  if (ctx.shape(1).num_elements() != 1 || ctx.shape(1).rank() > 1)
    return invalid_argument("Shape must be rank 0 but is rank ", ctx.shape(1).rank());
  MR_ASSIGN_OR_RETURN(const auto sizes, ctx.int_values(1));
  if (sizes[0] < 0) return invalid_argument("size (", sizes[0], ") must be non-negative");
  return sizes[0];
}

template <class T> class Bincount final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<int32_t>(0));
    MR_ASSIGN_OR_RETURN(const int64_t size, bins_wanted(ctx));
    MR_ASSIGN_OR_RETURN(const auto weights, ctx.flat<T>(2));
    if (!weights.empty() && !(ctx.shape(2) == ctx.shape(0)))
      return invalid_argument("weights and arr must have the same shape, got ", ctx.shape(2), " and ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({size}));
    MR_ASSIGN_OR_RETURN(const auto bins, ctx.output<T>(0, shape));
    std::fill(bins.begin(), bins.end(), T(0));
    return count<int32_t, T>(values, weights, false, bins);
  }
};

template <class T, class I> class DenseBincount final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(binary_, init.attr<bool>("binary_output"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto values, ctx.flat<I>(0));
    MR_ASSIGN_OR_RETURN(const int64_t size, bins_wanted(ctx));
    MR_ASSIGN_OR_RETURN(const auto weights, ctx.flat<T>(2));
    const int rank = ctx.shape(0).rank();
    if (rank > 2) return invalid_argument("Shape must be at most rank 2 but is rank ", rank);
    if (!weights.empty() && !(ctx.shape(2) == ctx.shape(0)))
      return invalid_argument(
          "`weights` must be the same shape as `arr` or a length-0 `Tensor`, in which case it acts as all weights "
          "equal to 1. Received ",
          ctx.shape(2));
    const int64_t rows = rank == 2 ? ctx.shape(0).dim(0) : 1;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, rank == 2 ? make_shape({rows, size}) : make_shape({size}));
    MR_ASSIGN_OR_RETURN(const auto bins, ctx.output<T>(0, shape));
    std::fill(bins.begin(), bins.end(), T(0));
    const size_t row = rows == 0 ? 0 : values.size() / static_cast<size_t>(rows);
    if (row == 0) return absl::OkStatus();  // however many rows there are
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
      const auto own = weights.empty() ? weights : weights.subspan(r * row, row);
      MR_RETURN_IF_ERROR((count<I, T>(values.subspan(r * row, row), own, binary_,
                                      bins.subspan(r * static_cast<size_t>(size), static_cast<size_t>(size)))));
    }
    return absl::OkStatus();
  }
  bool binary_ = false;
};

template <class T> class Bucketize final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(boundaries_, init.attr<std::vector<float>>("boundaries"));
    if (!std::is_sorted(boundaries_.begin(), boundaries_.end())) return invalid_argument("Expected sorted boundaries");
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto x, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int32_t>(0, ctx.shape(0)));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] =
          static_cast<int32_t>(std::upper_bound(boundaries_.begin(), boundaries_.end(), x[i]) - boundaries_.begin());
    return absl::OkStatus();
  }
  std::vector<float> boundaries_;
};

absl::StatusOr<int64_t> static_bins(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape size_shape, c.with_rank_at_most(1, 1));
  MR_ASSIGN_OR_RETURN(const auto sizes, c.int_values(1));
  if (!sizes || sizes->size() != 1) return -1;
  if ((*sizes)[0] < 0) return invalid_argument("size (", (*sizes)[0], ") must be non-negative");
  return (*sizes)[0];
}
absl::Status bincount_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t bins, static_bins(c));
  return c.set_output(0, make_partial_shape({bins}));
}
absl::Status dense_bincount_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank_at_most(0, 2));
  MR_ASSIGN_OR_RETURN(const int64_t bins, static_bins(c));
  if (!x.has_rank()) return c.set_output(0, PartialTensorShape());
  if (x.rank() == 2) return c.set_output(0, make_partial_shape({x.dim(0), bins}));
  return c.set_output(0, make_partial_shape({bins}));
}

}  // namespace

void register_bincount(Registry& r) {
  r.op("Bincount")
      .input("arr: int32")
      .input("size: int32")
      .input("weights: T")
      .output("bins: T")
      .attr("T: {int32, int64, float, double}")
      .shape(bincount_shape)
      .cpu<Bincount, int32_t, int64_t, float, double>()
      .doc("How often (or with what weight) each of 0 .. size - 1 occurs.");
  r.op("DenseBincount")
      .input("input: Tidx")
      .input("size: Tidx")
      .input("weights: T")
      .output("output: T")
      .attr("Tidx: {int32, int64}")
      .attr("T: {int32, int64, float, double}")
      .attr("binary_output: bool = false")
      .shape(dense_bincount_shape)
      .cpu_for<DenseBincount>(Types<int32_t, int64_t, float, double>{}, "T", Types<int32_t, int64_t>{}, "Tidx")
      .doc("How often (or with what weight) each of 0 .. size - 1 occurs, by row.");
  r.op("Bucketize")
      .input("input: T")
      .output("output: int32")
      .attr("T: {int32, int64, float, double}")
      .attr("boundaries: list(float)")
      .shape(unchanged_shape)
      .cpu<Bucketize, int32_t, int64_t, float, double>()
      .doc("The index of the interval between boundaries that each element lies in.");
}

}  // namespace millrace
