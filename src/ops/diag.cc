// Diagonals: of tensors (Diag), and of batches of matrices with any band of diagonals (MatrixDiag and its relatives).

#include "kernels/elements.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"

namespace millrace {
namespace {

// ---- Diag, DiagPart

absl::Status diag_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape diagonal, c.with_rank_at_least(0, 1));
  return c.set_output(0, concatenate(diagonal, diagonal));
}

class Diag final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor diagonal = ctx.input(0);
    if (diagonal.rank() < 1) return invalid_argument("Input must be at least rank 1, got 0");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, concatenate(diagonal.shape(), diagonal.shape()));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(diagonal.dtype(), [&]<class S>(std::type_identity<S>) {
      const S* src = static_cast<const S*>(diagonal.raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      fill_zero(dst, out->num_elements());
      const int64_t n = diagonal.num_elements();
      for (int64_t i = 0; i < n; ++i) dst[i * (n + 1)] = src[i];
      return absl::OkStatus();
    });
  }
};

absl::Status diag_part_shape(ShapeContext& c) {
  const PartialTensorShape& input = c.input(0);
  if (!input.has_rank()) return absl::OkStatus();
  if (input.rank() % 2 != 0 || input.rank() == 0) {
    return c.set_output(0, invalid_argument("Input must have even and non-zero rank, input rank is ", input.rank()));
  }
  std::vector<int64_t> dims;
  const int half = input.rank() / 2;
  for (int d = 0; d < half; ++d) {
    const absl::StatusOr<int64_t> size = merge_dim(input.dim(d), input.dim(d + half));
    if (!size.ok()) return c.set_output(0, size.status());
    dims.push_back(*size);
  }
  return c.set_output(0, make_partial_shape(dims));
}

class DiagPart final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    const int half = input.rank() / 2;
    if (input.rank() % 2 != 0 || half == 0)
      return invalid_argument("The rank of the tensor should be even and positive, got shape ", input.shape());
    for (int d = 0; d < half; ++d) {
      if (input.dim(d) != input.dim(d + half)) {
        return invalid_argument("Invalid shape ", input.shape(), ": dimensions ", d, " and ", d + half,
                                " do not match.");
      }
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, subshape(input.shape(), 0, half)));
    return with_storage(input.dtype(), [&]<class S>(std::type_identity<S>) {
      const S* src = static_cast<const S*>(input.raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      const int64_t n = out->num_elements();
      for (int64_t i = 0; i < n; ++i) dst[i] = src[i * (n + 1)];
      return absl::OkStatus();
    });
  }
};

absl::Status diag_gradient(GradientContext& g) {
  g.set_dx(0, g.op(g.node().op == "Diag" ? "DiagPart" : "Diag", {g.dy(0)}));
  return absl::OkStatus();
}

// ---- bands of diagonals of matrices

// Diagonals lower .. upper of rows x columns matrices: diagonal d runs through (i + max(0, -d), i + max(0, d)). Stored
// as rows, the uppermost first, each padded to the longest one on the left or on the right.
struct Band {
  int64_t lower = 0, upper = 0;
  int64_t rows = 0, columns = 0;
  bool left_super = true, left_sub = true;  // contents stand at the left of their row

  int64_t count() const { return upper - lower + 1; }
  int64_t length(int64_t d) const {
    return std::max<int64_t>(0, std::min(rows + std::min<int64_t>(0, d), columns - std::max<int64_t>(0, d)));
  }
  int64_t longest() const {
    return std::min(rows + std::min<int64_t>(upper, 0), columns - std::max<int64_t>(lower, 0));
  }
  int64_t offset(int64_t d) const {
    const bool left = (d >= 0 && left_super) || (d <= 0 && left_sub);
    return left ? 0 : longest() - length(d);
  }
};

// How a node says which diagonals: the alignment attribute, and the input `k` (-1: the main diagonal).
absl::Status read_alignment(const NodeInfo& node, Band* band) {
  const auto align = node.attrs.find("align");
  if (align == node.attrs.end()) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const std::string text, get_attr<std::string>(node, "align"));
  band->left_super = text.starts_with("LEFT");
  band->left_sub = text.ends_with("LEFT");
  return absl::OkStatus();
}

absl::Status set_bounds(const std::vector<int64_t>& k, Band* band) {
  if (k.empty() || k.size() > 2)
    return invalid_argument("diag_index must have only one or two elements, received ", k.size(), " elements.");
  band->lower = k.front();
  band->upper = k.back();
  if (band->lower > band->upper) {
    return invalid_argument("lower_diag_index must not be larger than upper_diag_index: ", band->lower, " > ",
                            band->upper);
  }
  return absl::OkStatus();
}

absl::Status check_inside(const Band& band) {
  for (const auto& [k, name] : {std::pair<int64_t, const char*>{band.lower, "lower"}, {band.upper, "upper"}}) {
    if (k != 0 && (k <= -band.rows || k >= band.columns)) {
      return invalid_argument(name, "_diag_index is out of bound: ", k, ". It must be between ", -band.rows, " and ",
                              band.columns);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Band> band_of(KernelContext& ctx, int k) {
  Band band;
  MR_RETURN_IF_ERROR(read_alignment(ctx.node(), &band));
  if (k < 0) return band;
  if (ctx.input(k).rank() > 1)
    return invalid_argument("diag_index must be a scalar or vector, received shape: ", ctx.shape(k));
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> values, ctx.int_values(k));
  MR_RETURN_IF_ERROR(set_bounds(values, &band));
  return band;
}

// Calls fn(position in the stored diagonals, position in the matrix) for each element of the band.
template <class Fn> void for_each_in_band(const Band& b, Fn&& fn) {
  const int64_t width = b.longest();
  for (int64_t d = b.upper; d >= b.lower; --d) {
    const int64_t start = (b.upper - d) * width + b.offset(d);
    const int64_t length = b.length(d);
    for (int64_t i = 0; i < length; ++i)
      fn(start + i, (i + std::max<int64_t>(0, -d)) * b.columns + i + std::max<int64_t>(0, d));
  }
}

// The value with which places outside the diagonals are filled.
template <class S> absl::StatusOr<S> padding(KernelContext& ctx, int i) {
  if (i >= ctx.num_inputs()) return S();
  if (ctx.input(i).num_elements() != 1)
    return invalid_argument("padding_value must be a scalar, received shape ", ctx.shape(i));
  return *static_cast<const S*>(ctx.input(i).raw_data());
}

// The shape of the diagonals of matrices of this batch.
std::vector<int64_t> diagonal_dims(std::span<const int64_t> batch, const Band& band) {
  std::vector<int64_t> dims(batch.begin(), batch.end());
  if (band.count() > 1) dims.push_back(band.count());
  dims.push_back(band.longest());
  return dims;
}

// What the shape functions know of k; nullopt if nothing.
absl::StatusOr<std::optional<Band>> known_band(ShapeContext& c, int k) {
  Band band;
  if (k < 0) return std::optional(band);
  MR_RETURN_IF_ERROR(c.with_rank_at_most(k, 1).status());
  MR_ASSIGN_OR_RETURN(const auto values, known_ints(c, k));
  if (!values) return std::optional<Band>();
  MR_RETURN_IF_ERROR(set_bounds(*values, &band));
  return std::optional(band);
}

absl::Status diag_part_of(ShapeContext& c, int k) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank_at_least(0, 2));
  absl::StatusOr<std::optional<Band>> band = known_band(c, k);
  if (!band.ok()) return c.set_output(0, band.status());
  if (!input.has_rank() || !*band) return absl::OkStatus();
  Band b = **band;
  b.rows = input.dim(input.rank() - 2);
  b.columns = input.dim(input.rank() - 1);
  std::vector<int64_t> dims(input.dims().begin(), input.dims().end() - 2);
  if (b.count() > 1) dims.push_back(b.count());
  if (b.rows >= 0 && b.columns >= 0) {
    if (absl::Status status = check_inside(b); !status.ok()) return c.set_output(0, status);
    dims.push_back(b.longest());
  } else {
    dims.push_back(-1);
  }
  return c.set_output(0, make_partial_shape(dims));
}
absl::Status matrix_diag_part_shape(ShapeContext& c) { return diag_part_of(c, -1); }
absl::Status matrix_diag_part_v2_shape(ShapeContext& c) { return diag_part_of(c, 1); }

template <bool kHasK> class MatrixDiagPart final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    if (input.rank() < 2) return invalid_argument("input must be at least 2-dim, received shape: ", input.shape());
    MR_ASSIGN_OR_RETURN(Band band, band_of(ctx, kHasK ? 1 : -1));
    band.rows = input.dim(input.rank() - 2);
    band.columns = input.dim(input.rank() - 1);
    MR_RETURN_IF_ERROR(check_inside(band));
    MR_ASSIGN_OR_RETURN(
        const TensorShape shape,
        make_shape(diagonal_dims(input.shape().dims().first(static_cast<size_t>(input.rank() - 2)), band)));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(input.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      MR_ASSIGN_OR_RETURN(const S fill, padding<S>(ctx, 2));
      const S* src = static_cast<const S*>(input.raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      std::fill_n(dst, out->num_elements(), fill);
      const int64_t matrix = band.rows * band.columns;
      const int64_t stored = band.count() * band.longest();
      for (int64_t b = 0; b < (matrix > 0 ? input.num_elements() / matrix : 0); ++b) {
        for_each_in_band(band,
                         [&](int64_t at, int64_t in_matrix) { dst[b * stored + at] = src[b * matrix + in_matrix]; });
      }
      return absl::OkStatus();
    });
  }
};

// Sizes of the matrices that hold given diagonals; -1 where rows or columns are to be inferred.
absl::Status infer_matrix(int64_t longest, int64_t rows, int64_t columns, Band* band) {
  const int64_t min_rows = longest - std::min<int64_t>(band->upper, 0);
  const int64_t min_columns = longest + std::max<int64_t>(band->lower, 0);
  if (rows != -1 && rows < min_rows) return invalid_argument("The number of rows is too small.");
  if (columns != -1 && columns < min_columns) return invalid_argument("The number of columns is too small.");
  if (rows == -1 && columns == -1) {
    rows = columns = std::max(min_rows, min_columns);
  } else if (rows == -1) {
    rows = min_rows;
  } else if (columns == -1) {
    columns = min_columns;
  }
  if (rows != min_rows && columns != min_columns) {
    return invalid_argument(
        "The number of rows or columns is not consistent with the specified d_lower, d_upper, and diagonal.");
  }
  band->rows = rows;
  band->columns = columns;
  return absl::OkStatus();
}

absl::Status matrix_diag_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape diagonal, c.with_rank_at_least(0, 1));
  if (!diagonal.has_rank()) return absl::OkStatus();
  std::vector<int64_t> dims = to_dims(diagonal);
  dims.push_back(dims.back());
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status matrix_diag_v2_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape diagonal, c.with_rank_at_least(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(3, 0).status());
  const absl::StatusOr<std::optional<Band>> known = known_band(c, 1);
  if (!known.ok()) return c.set_output(0, known.status());
  MR_ASSIGN_OR_RETURN(const auto rows, known_int(c, 2));
  MR_ASSIGN_OR_RETURN(const auto columns, known_int(c, 3));
  if (!*known || !diagonal.has_rank()) return absl::OkStatus();
  Band band = **known;
  const int batch = diagonal.rank() - (band.count() > 1 ? 2 : 1);
  if (batch < 0)
    return c.set_output(0, invalid_argument("diagonal must be at least 2-dim, received shape: ", diagonal));
  if (band.count() > 1 && diagonal.dim(batch) >= 0 && diagonal.dim(batch) != band.count()) {
    return c.set_output(0, invalid_argument("The number of diagonals provided in the input does not match the "
                                            "lower_diag_index and upper_diag_index range."));
  }
  std::vector<int64_t> dims(diagonal.dims().begin(), diagonal.dims().begin() + batch);
  const int64_t longest = diagonal.dim(diagonal.rank() - 1);
  if (rows && columns && longest >= 0) {
    if (absl::Status status = infer_matrix(longest, *rows, *columns, &band); !status.ok())
      return c.set_output(0, status);
    dims.insert(dims.end(), {band.rows, band.columns});
  } else {
    dims.insert(dims.end(), {rows && *rows >= 0 ? *rows : -1, columns && *columns >= 0 ? *columns : -1});
  }
  return c.set_output(0, make_partial_shape(dims));
}

template <bool kHasK> class MatrixDiag final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor diagonal = ctx.input(0);
    if (diagonal.rank() < 1)
      return invalid_argument("diagonal must be at least 1-dim, received shape: ", diagonal.shape());
    MR_ASSIGN_OR_RETURN(Band band, band_of(ctx, kHasK ? 1 : -1));
    const int batch = diagonal.rank() - (band.count() > 1 ? 2 : 1);
    if (batch < 0) return invalid_argument("diagonal must be at least 2-dim, received shape: ", diagonal.shape());
    if (band.count() > 1 && diagonal.dim(batch) != band.count()) {
      return invalid_argument(
          "The number of diagonals provided in the input does not match the lower_diag_index and upper_diag_index "
          "range.");
    }
    int64_t rows = -1;
    int64_t columns = -1;
    if (kHasK) {
      if (ctx.input(2).num_elements() != 1) return invalid_argument("num_rows must be a scalar");
      if (ctx.input(3).num_elements() != 1) return invalid_argument("num_cols must be a scalar");
      MR_ASSIGN_OR_RETURN(const auto given_rows, ctx.int_values(2));
      MR_ASSIGN_OR_RETURN(const auto given_columns, ctx.int_values(3));
      rows = given_rows[0];
      columns = given_columns[0];
      if (rows < -1 || columns < -1) return invalid_argument("num_rows and num_cols must be at least -1");
    }
    MR_RETURN_IF_ERROR(infer_matrix(diagonal.dim(diagonal.rank() - 1), rows, columns, &band));
    std::vector<int64_t> dims(diagonal.shape().dims().begin(), diagonal.shape().dims().begin() + batch);
    dims.insert(dims.end(), {band.rows, band.columns});
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(diagonal.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      MR_ASSIGN_OR_RETURN(const S fill, padding<S>(ctx, 4));
      const S* src = static_cast<const S*>(diagonal.raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      std::fill_n(dst, out->num_elements(), fill);
      const int64_t matrix = band.rows * band.columns;
      const int64_t stored = band.count() * band.longest();
      if (band.longest() != diagonal.dim(diagonal.rank() - 1))
        return invalid_argument("The diagonals do not fit a matrix of ", band.rows, " x ", band.columns);
      for (int64_t b = 0; b < (matrix > 0 ? out->num_elements() / matrix : 0); ++b) {
        for_each_in_band(band,
                         [&](int64_t at, int64_t in_matrix) { dst[b * matrix + in_matrix] = src[b * stored + at]; });
      }
      return absl::OkStatus();
    });
  }
};

absl::Status set_diag_of(ShapeContext& c, int k) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape input, c.with_rank_at_least(0, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape diagonal, c.with_rank_at_least(1, 1));
  const absl::StatusOr<std::optional<Band>> known = known_band(c, k);
  if (!known.ok()) return c.set_output(0, known.status());
  if (input.is_fully_defined() && *known) {
    Band band = **known;
    band.rows = input.dim(input.rank() - 2);
    band.columns = input.dim(input.rank() - 1);
    if (absl::Status status = check_inside(band); !status.ok()) return c.set_output(0, status);
    MR_ASSIGN_OR_RETURN(
        const PartialTensorShape wanted,
        make_partial_shape(diagonal_dims(input.dims().first(static_cast<size_t>(input.rank() - 2)), band)));
    if (!diagonal.is_compatible_with(wanted)) {
      return c.set_output(0, invalid_argument("Either first dimensions of diagonal don't match input.shape[:-2], or "
                                              "diagonal.shape[:-1] is not equal to the longest "
                                              "diagonal in range: expected ",
                                              wanted, ", got ", diagonal));
    }
  }
  return c.set_output(0, input);
}
absl::Status matrix_set_diag_shape(ShapeContext& c) { return set_diag_of(c, -1); }
absl::Status matrix_set_diag_v2_shape(ShapeContext& c) { return set_diag_of(c, 2); }

template <bool kHasK> class MatrixSetDiag final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor diagonal = ctx.input(1);
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() < 2) return invalid_argument("input must be at least 2-dim, received shape: ", shape);
    if (diagonal.rank() < 1)
      return invalid_argument("diagonal must be at least 1-dim, received shape: ", diagonal.shape());
    MR_ASSIGN_OR_RETURN(Band band, band_of(ctx, kHasK ? 2 : -1));
    band.rows = shape.dim(shape.rank() - 2);
    band.columns = shape.dim(shape.rank() - 1);
    MR_RETURN_IF_ERROR(check_inside(band));
    MR_ASSIGN_OR_RETURN(const TensorShape wanted,
                        make_shape(diagonal_dims(shape.dims().first(static_cast<size_t>(shape.rank() - 2)), band)));
    if (!(diagonal.shape() == wanted)) {
      return invalid_argument(
          "Either first dimensions of diagonal don't match input.shape[:-2], or diagonal.shape[:-1] is not equal to "
          "the longest diagonal in "
          "range [lower_diag_index:upper_diag_index].\nInput shape: ",
          shape, "\nDiagonal shape: ", diagonal.shape(), "\nExpected diagonal shape: ", wanted);
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, shape));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      const S* in = static_cast<const S*>(ctx.input(0).raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      if (in != dst) copy_run(in, dst, out->num_elements());
      const S* src = static_cast<const S*>(diagonal.raw_data());
      const int64_t matrix = band.rows * band.columns;
      const int64_t stored = band.count() * band.longest();
      for (int64_t b = 0; b < (matrix > 0 ? out->num_elements() / matrix : 0); ++b) {
        for_each_in_band(band,
                         [&](int64_t at, int64_t in_matrix) { dst[b * matrix + in_matrix] = src[b * stored + at]; });
      }
      return absl::OkStatus();
    });
  }
};

// ---- MatrixBandPart

absl::Status band_part_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 0).status());
  return c.set_output(0, c.with_rank_at_least(0, 2));
}

class MatrixBandPart final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape shape = ctx.shape(0);
    if (shape.rank() < 2) return invalid_argument("input must be at least 2-dim, received shape: ", shape);
    const int64_t rows = shape.dim(shape.rank() - 2);
    const int64_t columns = shape.dim(shape.rank() - 1);
    if (ctx.input(1).rank() != 0) return invalid_argument("num_lower must be scalar, got shape ", ctx.shape(1));
    if (ctx.input(2).rank() != 0) return invalid_argument("num_upper must be scalar, got shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const int64_t lower, ctx.int_scalar(1));
    MR_ASSIGN_OR_RETURN(const int64_t upper, ctx.int_scalar(2));
    if (lower > rows)
      return invalid_argument("num_lower must be negative or less or equal to number of rows (", rows,
                              ") got: ", lower);
    if (upper > columns)
      return invalid_argument("num_upper must be negative or less or equal to number of columns (", columns,
                              ") got: ", upper);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, shape));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      const S* src = static_cast<const S*>(ctx.input(0).raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      const int64_t lines = columns > 0 ? out->num_elements() / columns : 0;
      for (int64_t line = 0; line < lines; ++line) {
        const int64_t row = line % rows;
        const int64_t begin = lower < 0 ? 0 : std::clamp<int64_t>(row - lower, 0, columns);
        const int64_t end = upper < 0 ? columns : std::clamp<int64_t>(row + upper + 1, begin, columns);
        const S* from = src + line * columns;
        S* to = dst + line * columns;
        if (from != to) copy_run(from + begin, to + begin, end - begin);
        fill_zero(to, begin);
        fill_zero(to + end, columns - end);
      }
      return absl::OkStatus();
    });
  }
};

absl::Status band_part_gradient(GradientContext& g) {
  g.set_dx(0, g.op("MatrixBandPart", {g.dy(0), g.x(1), g.x(2)}));
  return absl::OkStatus();
}

// ---- gradients, all by way of the newest versions, as Python's functions are

Output zero_of(GradientContext& g, const Output& like) {
  absl::StatusOr<Tensor> zero = make_zeroed_tensor(g.dtype(like), TensorShape());
  if (!zero.ok()) {
    g.fail(zero.status());
    return {};
  }
  return g.constant(*zero, "padding_value");
}

std::string alignment(GradientContext& g) {
  const absl::StatusOr<std::string> align =
      g.node().attrs.contains("align") ? g.attr<std::string>("align") : absl::StatusOr<std::string>("LEFT_LEFT");
  return align.value_or("LEFT_LEFT");
}

// An absent k is the literal 0.
Output diag_part(GradientContext& g, const Output& x, Output k, const std::string& align) {
  const auto scope = g.name_scope("diag_part");
  if (!k) k = g.int32_scalar(0, "k");
  const Output zero = zero_of(g, x);
  return g.op("MatrixDiagPartV3", {x, k, zero}, {{"align", align}}, "/");
}
Output set_diag(GradientContext& g, const Output& x, const Output& diagonal, Output k, const std::string& align) {
  const auto scope = g.name_scope("set_diag");
  if (!k) k = g.int32_scalar(0, "k");
  return g.op("MatrixSetDiagV3", {x, diagonal, k}, {{"align", align}}, "/");
}
Output diag(GradientContext& g, const Output& diagonal, Output k, int32_t rows, int32_t columns,
            const std::string& align) {
  const auto scope = g.name_scope("diag");
  if (!k) k = g.int32_scalar(0, "k");
  const Output num_rows = g.int32_scalar(rows, "num_rows");
  const Output num_columns = g.int32_scalar(columns, "num_cols");
  const Output zero = zero_of(g, diagonal);
  return g.op("MatrixDiagV3", {diagonal, k, num_rows, num_columns, zero}, {{"align", align}}, "/");
}

constexpr const char* kDefaultAlignment = "RIGHT_LEFT";

absl::Status matrix_diag_gradient(GradientContext& g) {
  const bool has_align = g.node().op == "MatrixDiagV3";
  g.set_dx(0,
           diag_part(g, g.dy(0), g.num_inputs() > 1 ? g.x(1) : Output(), has_align ? alignment(g) : kDefaultAlignment));
  return absl::OkStatus();
}

absl::Status matrix_diag_part_gradient(GradientContext& g) {
  const Output x = g.x(0);
  const Output dy = g.dy(0);
  const Output k = g.num_inputs() > 1 ? g.x(1) : Output();
  const std::string align = g.node().op == "MatrixDiagPartV3" ? alignment(g) : kDefaultAlignment;
  const PartialTensorShape shape = g.shape(x);
  const int64_t rows = shape.rank() >= 2 ? shape.dim(shape.rank() - 2) : -1;
  const int64_t columns = shape.rank() >= 2 ? shape.dim(shape.rank() - 1) : -1;
  const bool known = rows >= 0 && columns >= 0;
  if (k ? known : known && rows == columns) {
    g.set_dx(0, k ? diag(g, dy, k, static_cast<int32_t>(rows), static_cast<int32_t>(columns), align)
                  : diag(g, dy, k, -1, -1, align));
    return absl::OkStatus();
  }
  const Output zeros = zeros_like(g, x);
  g.set_dx(0, set_diag(g, zeros, dy, k, align));
  return absl::OkStatus();
}

absl::Status matrix_set_diag_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output k = g.num_inputs() > 2 ? g.x(2) : Output();
  const std::string align = g.node().op == "MatrixSetDiagV3" ? alignment(g) : kDefaultAlignment;
  const PartialTensorShape shape = g.shape(g.x(1));
  Output zeros;
  if (shape.is_fully_defined()) {
    MR_ASSIGN_OR_RETURN(const TensorShape dims, as_tensor_shape(shape));
    MR_ASSIGN_OR_RETURN(const Tensor value, make_zeroed_tensor(g.dtype(dy), dims));
    zeros = g.constant(value, "zeros", true);
  } else {
    zeros = zeros_like(g, g.x(1));
  }
  g.set_dx(0, set_diag(g, dy, zeros, k, align));
  g.set_dx(1, diag_part(g, dy, k, align));
  return absl::OkStatus();
}

constexpr const char* kAlignAttr = "align: {'LEFT_RIGHT', 'RIGHT_LEFT', 'LEFT_LEFT', 'RIGHT_RIGHT'} = 'RIGHT_LEFT'";

void register_matrix_diags(Registry& registry) {
  for (const char* name : {"MatrixDiag", "BatchMatrixDiag"}) {
    OpBuilder op = registry.op(name);
    op.input("diagonal: T")
        .output("output: T")
        .attr("T: type")
        .shape(matrix_diag_shape)
        .cpu<MatrixDiag<false>>()
        .doc("Matrices with the given main diagonals.");
    if (std::string_view(name) == "MatrixDiag") op.gradient(matrix_diag_gradient);
  }
  for (const char* name : {"MatrixDiagPart", "BatchMatrixDiagPart"}) {
    OpBuilder op = registry.op(name);
    op.input("input: T")
        .output("diagonal: T")
        .attr("T: type")
        .shape(matrix_diag_part_shape)
        .cpu<MatrixDiagPart<false>>()
        .doc("The main diagonals of matrices.");
    if (std::string_view(name) == "MatrixDiagPart") op.gradient(matrix_diag_part_gradient);
  }
  for (const char* name : {"MatrixSetDiag", "BatchMatrixSetDiag"}) {
    OpBuilder op = registry.op(name);
    op.input("input: T")
        .input("diagonal: T")
        .output("output: T")
        .attr("T: type")
        .shape(matrix_set_diag_shape)
        .cpu<MatrixSetDiag<false>>();
    op.doc("Matrices with their main diagonals replaced.");
    if (std::string_view(name) == "MatrixSetDiag") op.gradient(matrix_set_diag_gradient);
  }
  for (const char* name : {"MatrixDiagV2", "MatrixDiagV3"}) {
    OpBuilder op = registry.op(name);
    op.input("diagonal: T")
        .input("k: int32")
        .input("num_rows: int32")
        .input("num_cols: int32")
        .input("padding_value: T")
        .output("output: T")
        .attr("T: type");
    if (std::string_view(name) == "MatrixDiagV3") op.attr(kAlignAttr);
    op.shape(matrix_diag_v2_shape)
        .cpu<MatrixDiag<true>>()
        .gradient(matrix_diag_gradient)
        .doc("Matrices with the given diagonals, padding elsewhere.");
  }
  for (const char* name : {"MatrixDiagPartV2", "MatrixDiagPartV3"}) {
    OpBuilder op = registry.op(name);
    op.input("input: T").input("k: int32").input("padding_value: T").output("diagonal: T").attr("T: type");
    if (std::string_view(name) == "MatrixDiagPartV3") op.attr(kAlignAttr);
    op.shape(matrix_diag_part_v2_shape)
        .cpu<MatrixDiagPart<true>>()
        .gradient(matrix_diag_part_gradient)
        .doc("Diagonals of matrices, the shorter ones padded.");
  }
  for (const char* name : {"MatrixSetDiagV2", "MatrixSetDiagV3"}) {
    OpBuilder op = registry.op(name);
    op.input("input: T").input("diagonal: T").input("k: int32").output("output: T").attr("T: type");
    if (std::string_view(name) == "MatrixSetDiagV3") op.attr(kAlignAttr);
    op.shape(matrix_set_diag_v2_shape)
        .cpu<MatrixSetDiag<true>>()
        .gradient(matrix_set_diag_gradient)
        .doc("Matrices with diagonals replaced.");
  }
}

}  // namespace

void register_diag(Registry& registry) {
  registry.op("Diag")
      .input("diagonal: T")
      .output("output: T")
      .attr("T: {bfloat16, half, float, double, int32, int64, complex64, complex128}")
      .shape(diag_shape)
      .cpu<Diag>()
      .gradient(diag_gradient)
      .doc("A tensor of twice the rank with the given diagonal.");
  registry.op("DiagPart")
      .input("input: T")
      .output("diagonal: T")
      .attr("T: {bfloat16, half, float, double, int32, int64, complex64, complex128}")
      .shape(diag_part_shape)
      .cpu<DiagPart>()
      .gradient(diag_gradient)
      .doc("The diagonal of a tensor of even rank.");
  register_matrix_diags(registry);
  registry.op("MatrixBandPart")
      .input("input: T")
      .input("num_lower: Tindex")
      .input("num_upper: Tindex")
      .output("band: T")
      .attr("T: type")
      .attr("Tindex: {int32, int64} = DT_INT64")
      .shape(band_part_shape)
      .cpu<MatrixBandPart>()
      .gradient(band_part_gradient)
      .doc("Matrices with zeros outside a band around the main diagonal.");
  registry.op("BatchMatrixBandPart")
      .input("input: T")
      .input("num_lower: int64")
      .input("num_upper: int64")
      .output("band: T")
      .attr("T: type")
      .shape(band_part_shape)
      .cpu<MatrixBandPart>()
      .doc("Matrices with zeros outside a band around the main diagonal.");
}

}  // namespace millrace
