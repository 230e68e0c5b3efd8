// Ragged tensors: ranges as rows, rows picked, and the sparse tensor of the same values.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "data/rows.h"
#include "op/gradient_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/ragged_splits.h"

namespace millrace {
namespace {

// ---- RaggedRange

// How many steps of `delta` (not 0) lie in [start, limit).
template <class T> absl::StatusOr<int64_t> range_size(T start, T limit, T delta) {
  if constexpr (std::is_integral_v<T>) {
    if (delta > 0 ? limit <= start : limit >= start) return 0;
    using U = std::make_unsigned_t<T>;  // distances of signed numbers fit into it
    const U distance =
        delta > 0 ? static_cast<U>(limit) - static_cast<U>(start) : static_cast<U>(start) - static_cast<U>(limit);
    const U step = delta > 0 ? static_cast<U>(delta) : static_cast<U>(U{0} - static_cast<U>(delta));
    const U size = static_cast<U>((distance - 1) / step + 1);
    if (static_cast<uint64_t>(size) > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return invalid_argument("Requires ((limit - start) / delta) <= ", std::numeric_limits<int64_t>::max());
    return static_cast<int64_t>(size);
  } else {
    using F = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const F from = static_cast<F>(start), to = static_cast<F>(limit), step = static_cast<F>(delta);
    if (step > 0 ? to < from : to > from) return 0;
    // In steps of T, as TensorFlow divides.
    const T steps = static_cast<T>(static_cast<F>(static_cast<T>(to - from)) / step);
    const double size = std::ceil(std::abs(static_cast<double>(static_cast<F>(steps))));
    if (!(size < 0x1p63))
      return invalid_argument("Requires ((limit - start) / delta) <= ", std::numeric_limits<int64_t>::max());
    return static_cast<int64_t>(size);
  }
}

template <class T> bool is_zero(T value) {
  if constexpr (std::is_same_v<T, BFloat16>) return static_cast<float>(value) == 0;
  else return value == T{0};
}

template <class T> void write_range(T start, T delta, std::span<T> out) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;  // the step behind the last value may overflow
    auto value = static_cast<U>(start);
    for (T& v : out) {
      v = static_cast<T>(value);
      value = static_cast<U>(value + static_cast<U>(delta));
    }
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    for (T& v : out) {
      v = start;
      start = T(static_cast<float>(start) + static_cast<float>(delta));
    }
  } else {
    for (T& v : out) {
      v = start;
      start += delta;
    }
  }
}

template <class T> class RaggedRange final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    static constexpr const char* kNames[] = {"starts", "limits", "deltas"};
    std::span<const T> given[3];
    int64_t rows = -1;  // of those that are vectors
    for (int i = 0; i < 3; ++i) {
      if (ctx.shape(i).rank() > 1) return invalid_argument(kNames[i], " must be a scalar or vector");
      MR_ASSIGN_OR_RETURN(given[i], ctx.flat<T>(i));
      if (ctx.shape(i).rank() == 0) continue;
      if (rows >= 0 && rows != ctx.shape(i).dim(0))
        return invalid_argument("starts, limits, and deltas must have the same shape");
      rows = ctx.shape(i).dim(0);
    }
    if (rows < 0) rows = 1;
    const auto at = [&](int input, int64_t row) {
      return given[input][ctx.shape(input).rank() == 0 ? 0 : static_cast<size_t>(row)];
    };
    RowSplits splits(1, 0);
    for (int64_t row = 0; row < rows; ++row) {
      const T delta = at(2, row);
      if (is_zero(delta)) return invalid_argument("Requires delta != 0");
      MR_ASSIGN_OR_RETURN(const int64_t size, range_size(at(0, row), at(1, row), delta));
      int64_t end = 0;
      if (__builtin_add_overflow(splits.back(), size, &end)) return invalid_argument("RaggedRange: too many values");
      splits.push_back(end);
    }
    MR_RETURN_IF_ERROR(output_row_splits(ctx, 0, splits));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({splits.back()}));
    MR_ASSIGN_OR_RETURN(const std::span<T> values, ctx.output<T>(1, shape));
    for (int64_t row = 0; row < rows; ++row) {
      const auto begin = static_cast<size_t>(splits[static_cast<size_t>(row)]),
                 end = static_cast<size_t>(splits[static_cast<size_t>(row) + 1]);
      write_range(at(0, row), at(2, row), values.subspan(begin, end - begin));
    }
    return absl::OkStatus();
  }
};

absl::Status ragged_range_shape(ShapeContext& c) {
  int64_t rows = -1;
  bool all_scalars = true;
  for (int i = 0; i < 3; ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.with_rank_at_most(i, 1));
    all_scalars = all_scalars && shape.has_rank() && shape.rank() == 0;
    if (shape.has_rank() && shape.rank() == 1) {
      MR_ASSIGN_OR_RETURN(rows, merge_dim(rows, shape.dim(0)));
    }
  }
  const int64_t splits = all_scalars ? 2 : add_dims(rows, 1);
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({splits})));
  return c.set_output(1, make_partial_shape({-1}));
}

// ---- RaggedGather

class RaggedGather final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(params_rank_, init.attr<int64_t>("PARAMS_RAGGED_RANK"));
    MR_ASSIGN_OR_RETURN(output_rank_, init.attr<int64_t>("OUTPUT_RAGGED_RANK"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const auto n = static_cast<int>(params_rank_);
    const Tensor& values = ctx.input(n);
    const TensorShape& indices_shape = ctx.shape(n + 1);
    if (values.rank() < 1) return invalid_argument("params.rank must be nonzero");
    if (output_rank_ != params_rank_ + indices_shape.rank() - 1)
      return invalid_argument("OUTPUT_RAGGED_RANK is ", output_rank_, ", but params of ragged rank ", params_rank_,
                              " and indices of rank ", indices_shape.rank(), " give another");
    MR_ASSIGN_OR_RETURN(const std::vector<RowSplits> params, row_splits_inputs(ctx, 0, n, values.dim(0)));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ctx.int_values(n + 1));
    const int64_t rows = std::ssize(params[0]) - 1;
    for (size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] < 0 || indices[i] >= rows)
        return invalid_argument("indices[", i, "] = ", indices[i], " is not in [0, ", rows, ")");
    }
    std::vector<RowSplits> out;
    MR_RETURN_IF_ERROR(append_indices_splits(indices_shape, &out));
    MR_ASSIGN_OR_RETURN(const auto pieces, pick(params, indices, indices_shape.rank() == 0, &out));
    for (size_t i = 0; i < out.size(); ++i) MR_RETURN_IF_ERROR(output_row_splits(ctx, static_cast<int>(i), out[i]));
    return write_values(ctx, values, pieces);
  }

 private:
  struct Piece {
    int64_t begin = 0, end = 0;  // rows of the values
  };

  // A splits level for each dimension of the indices but the last.
  static absl::Status append_indices_splits(const TensorShape& indices, std::vector<RowSplits>* out) {
    int64_t rows = 1;
    for (int d = 0; d + 1 < indices.rank(); ++d) {
      CheckedInt count = CheckedInt(rows) * indices.dim(d);
      if (!count.valid_and_at_most(kMostRows)) return invalid_argument("RaggedGather: too many rows: ", indices);
      rows = count.value();
      RowSplits splits;
      for (int64_t i = 0; i <= rows; ++i) splits.push_back(i * indices.dim(d + 1));
      out->push_back(std::move(splits));
    }
    return absl::OkStatus();
  }

  // The levels below, row by row; where one row was asked for by a scalar, its own level has no splits.
  static absl::StatusOr<std::vector<Piece>> pick(const std::vector<RowSplits>& params, std::span<const int64_t> indices,
                                                 bool one, std::vector<RowSplits>* out) {
    const size_t first = out->size(), skipped = one ? 1 : 0;
    out->resize(first + params.size() - skipped, RowSplits(1, 0));
    std::vector<Piece> pieces;
    int64_t total = 0;
    for (const int64_t index : indices) {
      int64_t begin = index, end = index + 1;
      for (size_t level = 0; level < params.size(); ++level) {
        const RowSplits& splits = params[level];
        if (level >= skipped) {
          RowSplits& to = (*out)[first + level - skipped];
          total += end - begin;
          if (total > kMostRows) return resource_exhausted("RaggedGather: more than ", kMostRows, " rows");
          const int64_t shift = to.back() - splits[static_cast<size_t>(begin)];
          for (int64_t row = begin; row < end; ++row) to.push_back(splits[static_cast<size_t>(row) + 1] + shift);
        }
        begin = splits[static_cast<size_t>(begin)];
        end = splits[static_cast<size_t>(end)];
      }
      if (begin < end) pieces.push_back({begin, end});
    }
    return pieces;
  }

  absl::Status write_values(KernelContext& ctx, const Tensor& values, std::span<const Piece> pieces) const {
    CheckedInt total = 0;
    for (const Piece& piece : pieces) total += piece.end - piece.begin;
    if (!total.valid()) return invalid_argument("RaggedGather: too many values");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(values.shape(), 0, total.value()));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(static_cast<int>(output_rank_), shape));
    const int64_t row = subshape(values.shape(), 1, values.rank()).num_elements();
    int64_t at = 0;
    for (const Piece& piece : pieces) {
      copy_values(values, piece.begin * row, *out, at * row, (piece.end - piece.begin) * row);
      at += piece.end - piece.begin;
    }
    return absl::OkStatus();
  }

  // Empty rows take no memory of the values', but some of their splits.
  static constexpr int64_t kMostRows = int64_t{1} << 26;
  int64_t params_rank_ = 0, output_rank_ = 0;
};

absl::Status ragged_gather_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t params_rank, c.attr<int64_t>("PARAMS_RAGGED_RANK"));
  MR_ASSIGN_OR_RETURN(const int64_t output_rank, c.attr<int64_t>("OUTPUT_RAGGED_RANK"));
  const auto n = static_cast<int>(params_rank), outputs = static_cast<int>(output_rank);
  MR_RETURN_IF_ERROR(vectors_shape(c, 0, n));
  const PartialTensorShape& indices = c.input(n + 1);
  if (indices.has_rank()) {
    MR_RETURN_IF_ERROR(
        c.with_rank(n + 1, static_cast<int>(std::clamp<int64_t>(output_rank - params_rank + 1, 0, 254))).status());
    if (output_rank != params_rank + indices.rank() - 1)
      return invalid_argument("OUTPUT_RAGGED_RANK must be PARAMS_RAGGED_RANK + indices.rank - 1, got ", output_rank);
  }
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank_at_least(n, 1));
  for (int i = 0; i < outputs; ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({-1})));
  if (!values.has_rank()) return c.set_output(outputs, PartialTensorShape());
  std::vector<int64_t> dims = to_dims(values);
  dims[0] = -1;
  return c.set_output(outputs, make_partial_shape(dims));
}

Output gather(GradientContext& g, const Output& params, const Output& indices) {
  const auto scope = g.name_scope("GatherV2");
  return g.op("GatherV2", {params, indices, g.int32_scalar(0, "axis")}, {}, "/");
}

// Slices: the values that each picked row covers, by their places in params.
absl::Status ragged_gather_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t params_rank, g.attr<int64_t>("PARAMS_RAGGED_RANK"));
  MR_ASSIGN_OR_RETURN(const DataType splits_type, g.attr<DataType>("Tsplits"));
  const auto n = static_cast<int>(params_rank);
  Output splits = g.x(0);
  for (int i = 1; i < n; ++i) splits = gather(g, g.x(i), splits);
  const Output indices =
      op_with_literal(g, "Reshape", g.x(n + 1), Tensor(std::vector<int32_t>{-1}), "shape", "Reshape");
  const Output starts = gather(g, splits, indices);
  const Output limits = gather(g, slice_vector(g, splits, {.has_end = false, .begin = 1}), indices);
  Output places;
  {
    const auto scope = g.name_scope("RaggedRange");
    const Output one = g.constant(splits_type == DataType::kInt64 ? Tensor(int64_t{1}) : Tensor(int32_t{1}), "deltas");
    places = g.op_outputs("RaggedRange", {starts, limits, one}, {}, "/").at(1);
  }
  g.set_dx(n, IndexedSlices{g.dy(g.num_outputs() - 1), places, shape_of(g, g.x(n))});
  return absl::OkStatus();
}

// ---- RaggedTensorToSparse

class RaggedTensorToSparse final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs() - 1;
    const Tensor& values = ctx.input(n);
    if (values.rank() < 1) return invalid_argument("rt_dense_values must be at least a vector");
    MR_ASSIGN_OR_RETURN(const std::vector<RowSplits> nested, row_splits_inputs(ctx, 0, n, values.dim(0)));
    const int rank = n + values.rank();
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({values.num_elements(), rank}));
    MR_ASSIGN_OR_RETURN(const std::span<int64_t> indices, ctx.output<int64_t>(0, shape));
    write_indices(nested, values.shape(), indices);
    MR_ASSIGN_OR_RETURN(const TensorShape flat, make_shape({values.num_elements()}));
    MR_ASSIGN_OR_RETURN(Tensor list, reshaped(values, flat));
    MR_RETURN_IF_ERROR(ctx.set_output(1, std::move(list)));
    std::vector<int64_t> dims = {std::ssize(nested[0]) - 1};
    for (const RowSplits& splits : nested) {
      int64_t longest = 0;
      for (size_t i = 1; i < splits.size(); ++i) longest = std::max(longest, splits[i] - splits[i - 1]);
      dims.push_back(longest);
    }
    for (int d = 1; d < values.rank(); ++d) dims.push_back(values.dim(d));
    MR_ASSIGN_OR_RETURN(Tensor out, make_vector<int64_t>(dims));
    return ctx.set_output(2, std::move(out));
  }

  // Where each value stands: its rows, outermost first, its place in the innermost, and inside of an element.
  static void write_indices(const std::vector<RowSplits>& nested, const TensorShape& values,
                            std::span<int64_t> indices) {
    const size_t levels = nested.size(), rank = levels + static_cast<size_t>(values.rank());
    const int64_t inside = subshape(values, 1, values.rank()).num_elements();
    std::vector<size_t> row(levels, 0);  // the row of each level that holds the current value
    std::vector<int64_t> prefix(levels + 1);
    for (int64_t v = 0; v < (inside == 0 ? 0 : values.dim(0)); ++v) {
      int64_t at = v;
      for (size_t level = levels; level-- > 0;) {
        while (nested[level][row[level] + 1] <= at) ++row[level];
        prefix[level + 1] = at - nested[level][row[level]];
        at = static_cast<int64_t>(row[level]);
      }
      prefix[0] = at;
      for (int64_t e = 0; e < inside; ++e) {
        std::span<int64_t> out = indices.subspan(static_cast<size_t>(v * inside + e) * rank, rank);
        std::ranges::copy(prefix, out.begin());
        int64_t rest = e;
        for (int d = values.rank() - 1; d > 0; --d) {
          out[levels + static_cast<size_t>(d)] = rest % values.dim(d);
          rest /= values.dim(d);
        }
      }
    }
  }
};

absl::Status ragged_to_sparse_shape(ShapeContext& c) {
  const int n = c.num_inputs() - 1;
  MR_RETURN_IF_ERROR(vectors_shape(c, 0, n));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank_at_least(n, 1));
  int64_t count = values.has_rank() ? 1 : -1;
  for (int d = 0; values.has_rank() && d < values.rank(); ++d) count = multiply_dims(count, values.dim(d));
  const int64_t rank = values.has_rank() ? n + values.rank() : -1;
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({count, rank})));
  MR_RETURN_IF_ERROR(c.set_output(1, make_partial_shape({count})));
  return c.set_output(2, make_partial_shape({rank}));
}

// The values are the same in another shape.
absl::Status ragged_to_sparse_gradient(GradientContext& g) {
  const int values = g.num_inputs() - 1;
  g.set_dx(values, g.op("Reshape", {g.dy(1), shape_of(g, g.x(values))}));
  return absl::OkStatus();
}

}  // namespace

void register_ragged(Registry& registry) {
  registry.op("RaggedRange")
      .input("starts: T")
      .input("limits: T")
      .input("deltas: T")
      .output("rt_nested_splits: Tsplits")
      .output("rt_dense_values: T")
      .attr("T: {bfloat16, float, double, int32, int64} = DT_INT32")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(ragged_range_shape)
      .cpu<RaggedRange, BFloat16, float, double, int32_t, int64_t>()
      .doc("Rows of numbers from starts up to limits in steps of deltas.");
  registry.op("RaggedGather")
      .input("params_nested_splits: PARAMS_RAGGED_RANK * Tsplits")
      .input("params_dense_values: Tvalues")
      .input("indices: Tindices")
      .output("output_nested_splits: OUTPUT_RAGGED_RANK * Tsplits")
      .output("output_dense_values: Tvalues")
      .attr("Tvalues: type")
      .attr("Tindices: {int32, int64}")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .attr("PARAMS_RAGGED_RANK: int >= 1")
      .attr("OUTPUT_RAGGED_RANK: int >= 0")
      .shape(ragged_gather_shape)
      .cpu<RaggedGather>()
      .gradient(ragged_gather_gradient)
      .doc("The rows of a ragged tensor that indices name.");
  registry.op("RaggedTensorToSparse")
      .input("rt_nested_splits: RAGGED_RANK * Tsplits")
      .input("rt_dense_values: T")
      .output("sparse_indices: int64")
      .output("sparse_values: T")
      .output("sparse_dense_shape: int64")
      .attr("RAGGED_RANK: int >= 1")
      .attr("T: type")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(ragged_to_sparse_shape)
      .cpu<RaggedTensorToSparse>()
      .gradient(ragged_to_sparse_gradient)
      .doc("The sparse tensor of a ragged tensor's values.");
}

}  // namespace millrace
