#include "ops/ragged_variant.h"

#include "data/rows.h"
#include "op/gradient_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/ragged_splits.h"

namespace millrace {
namespace {

// ---- RaggedTensorToVariant

class RaggedTensorToVariant final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(batched_, init.attr<bool>("batched_input"));
    MR_ASSIGN_OR_RETURN(splits_type_, init.attr<DataType>("Tsplits"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs() - 1;
    const Tensor& values = ctx.input(n);
    if (values.rank() < 1 && (n > 0 || batched_))
      return invalid_argument("rt_dense_values must be at least a vector, got shape ", values.shape());
    MR_ASSIGN_OR_RETURN(const std::vector<RowSplits> nested,
                        row_splits_inputs(ctx, 0, n, values.rank() < 1 ? 0 : values.dim(0)));
    if (!batched_) {
      RaggedTensorValue all{{}, values};
      for (int i = 0; i < n; ++i) all.splits.push_back(ctx.input(i));
      return ctx.set_scalar(0, Variant::make<RaggedTensorValue>(std::move(all)));
    }
    const int64_t rows = n == 0 ? values.dim(0) : std::ssize(nested[0]) - 1;
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows}));
    MR_ASSIGN_OR_RETURN(const std::span<Variant> out, ctx.output<Variant>(0, shape));
    for (int64_t row = 0; row < rows; ++row) {
      MR_ASSIGN_OR_RETURN(RaggedTensorValue value,
                          nested.empty() ? dense_row(values, row) : row_of(nested, values, row));
      out[static_cast<size_t>(row)] = Variant::make<RaggedTensorValue>(std::move(value));
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<RaggedTensorValue> dense_row(const Tensor& values, int64_t row) {
    MR_ASSIGN_OR_RETURN(Tensor value, copy_row(values, row));
    return RaggedTensorValue{{}, std::move(value)};
  }

  // Row `row` of the outermost dimension, a ragged tensor of one level less.
  absl::StatusOr<RaggedTensorValue> row_of(const std::vector<RowSplits>& nested, const Tensor& values,
                                           int64_t row) const {
    RaggedTensorValue value;
    auto begin = static_cast<size_t>(row), end = begin + 1;
    for (size_t level = 0; level < nested.size(); ++level) {
      if (level > 0) {
        RowSplits splits(nested[level].begin() + static_cast<ptrdiff_t>(begin),
                         nested[level].begin() + static_cast<ptrdiff_t>(end) + 1);
        const int64_t first = splits[0];
        for (int64_t& split : splits) split -= first;
        MR_ASSIGN_OR_RETURN(Tensor tensor, row_splits_tensor(splits_type_, splits));
        value.splits.push_back(std::move(tensor));
      }
      begin = static_cast<size_t>(nested[level][begin]);
      end = static_cast<size_t>(nested[level][end]);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(values.shape(), 0, static_cast<int64_t>(end - begin)));
    MR_ASSIGN_OR_RETURN(value.values, make_tensor(values.dtype(), shape));
    const int64_t element = subshape(shape, 1, shape.rank()).num_elements();
    copy_values(values, static_cast<int64_t>(begin) * element, value.values, 0, shape.num_elements());
    return value;
  }

  bool batched_ = false;
  DataType splits_type_ = DataType::kInt64;
};

absl::Status to_variant_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const bool batched, c.attr<bool>("batched_input"));
  const int n = c.num_inputs() - 1;
  MR_RETURN_IF_ERROR(vectors_shape(c, 0, n));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank_at_least(n, n > 0 || batched ? 1 : 0));
  if (!batched) return scalar_shape(c);
  const PartialTensorShape& outer = n > 0 ? c.input(0) : values;
  int64_t rows = outer.has_rank() ? outer.dim(0) : -1;
  if (n > 0) {
    if (rows == 0) return invalid_argument("ragged splits may not be empty");
    rows = rows < 0 ? -1 : rows - 1;
  }
  return c.set_output(0, make_partial_shape({rows}));
}

absl::Status to_variant_gradient(GradientContext& g) {
  const int n = g.num_inputs() - 1;
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("Tvalues"));
  const Output splits = n > 0 ? g.x(0) : g.constant(Tensor(int64_t{0}), "RaggedTensorToVariantGradient/row_splits");
  g.set_dx(n, g.op("RaggedTensorToVariantGradient", {g.dy(0), splits, shape_of(g, g.x(n))}, {{"Tvalues", dtype}}));
  return absl::OkStatus();
}

// ---- RaggedTensorFromVariant

// The ragged tensor in a variant, which must have this dtype and as many levels of splits of that dtype.
absl::StatusOr<const RaggedTensorValue*> ragged_in(const Variant& variant, size_t index, DataType values,
                                                   DataType splits, int64_t rank) {
  const auto* value = variant.get<RaggedTensorValue>();
  if (value == nullptr)
    return invalid_argument("Input Variant element at index ", index, " doesn't hold a RaggedTensorVariant: ",
                            variant.has_value() ? "it holds another type" : "it is empty");
  if (value->values.dtype() != values)
    return invalid_argument("Expected values Tensor dtype: ", dtype_name(values),
                            ", found: ", dtype_name(value->values.dtype()));
  if (std::ssize(value->splits) != rank)
    return invalid_argument("Encoded input RaggedTensorVariant at index ", index,
                            " has ragged_rank=", value->splits.size(), ".  Expected ragged_rank=", rank);
  for (const Tensor& level : value->splits) {
    if (level.dtype() != splits)
      return invalid_argument("Expected row_splits Tensor dtype: ", dtype_name(splits),
                              ", found: ", dtype_name(level.dtype()));
  }
  if (value->values.rank() < 1 && rank > 0) return invalid_argument("Ragged values must be at least a vector");
  return value;
}

int64_t element_of(const Tensor& splits, size_t i) {
  return splits.dtype() == DataType::kInt32 ? splits.unchecked<int32_t>()[i] : splits.unchecked<int64_t>()[i];
}

class RaggedTensorFromVariant final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(input_rank_, init.attr<int64_t>("input_ragged_rank"));
    MR_ASSIGN_OR_RETURN(output_rank_, init.attr<int64_t>("output_ragged_rank"));
    MR_ASSIGN_OR_RETURN(values_type_, init.attr<DataType>("Tvalues"));
    MR_ASSIGN_OR_RETURN(splits_type_, init.attr<DataType>("Tsplits"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& shape = ctx.shape(0);
    MR_ASSIGN_OR_RETURN(const auto encoded, ctx.flat<Variant>(0));
    const int64_t rank = input_rank_ == -1 ? output_rank_ - shape.rank() : input_rank_;
    if (rank < 0)
      return invalid_argument(
          "Inferred input_ragged_rank (output_ragged_rank - encoded_variant.dims()) must be >= 0, "
          "found output_ragged_rank: ",
          output_rank_, ", encoded_variant.dims(): ", shape.rank());
    if (output_rank_ != rank + shape.rank())
      return invalid_argument(
          "output_ragged_rank must be equal to input_ragged_rank + encoded_ragged.dims(); "
          "output_ragged_rank: ",
          output_rank_, ", input_ragged_rank: ", rank, ", encoded_variant.dims(): ", shape.rank());
    std::vector<const RaggedTensorValue*> parts;
    for (size_t i = 0; i < encoded.size(); ++i) {
      MR_ASSIGN_OR_RETURN(parts.emplace_back(), ragged_in(encoded[i], i, values_type_, splits_type_, rank));
    }
    if (shape.rank() == 0) return emit_one(ctx, *parts[0]);
    MR_RETURN_IF_ERROR(emit_outer(ctx, shape));
    MR_RETURN_IF_ERROR(emit_inner(ctx, parts, shape.rank(), rank));
    return emit_values(ctx, parts);
  }

  absl::Status emit_one(KernelContext& ctx, const RaggedTensorValue& part) const {
    for (size_t i = 0; i < part.splits.size(); ++i)
      MR_RETURN_IF_ERROR(ctx.set_output(static_cast<int>(i), part.splits[i]));
    return ctx.set_output(static_cast<int>(output_rank_), part.values);
  }

  // Rows of one length for each dimension of the variants but the last.
  static absl::Status emit_outer(KernelContext& ctx, const TensorShape& shape) {
    int64_t rows = 1;
    for (int d = 0; d + 1 < shape.rank(); ++d) {
      MR_ASSIGN_OR_RETURN(const TensorShape part, make_shape(shape.dims().first(static_cast<size_t>(d) + 1)));
      rows = part.num_elements();
      // Where there are no variants, only the number of rows says how much memory this takes.
      if (rows > kMostRows) return resource_exhausted("RaggedTensorFromVariant: ", rows, " rows are too many");
      RowSplits splits;
      for (int64_t i = 0; i <= rows; ++i) splits.push_back(i * shape.dim(d + 1));
      MR_RETURN_IF_ERROR(output_row_splits(ctx, d, splits));
    }
    return absl::OkStatus();
  }

  // A level whose rows are the variants, and theirs one behind the other.
  static absl::Status emit_inner(KernelContext& ctx, std::span<const RaggedTensorValue* const> parts, int dims,
                                 int64_t rank) {
    RowSplits outer(1, 0);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (rank == 0 && parts[i]->values.rank() < 1)
        return invalid_argument("Ragged values must be at least a vector, got a scalar at index ", i);
      const int64_t rows = rank == 0 ? parts[i]->values.dim(0) : parts[i]->splits[0].num_elements() - 1;
      outer.push_back(outer.back() + rows);
    }
    MR_RETURN_IF_ERROR(output_row_splits(ctx, dims - 1, outer));
    for (int64_t level = 0; level < rank; ++level) {
      RowSplits all(1, 0);
      for (const RaggedTensorValue* part : parts) {
        const Tensor& splits = part->splits[static_cast<size_t>(level)];
        const int64_t shift = all.back();
        for (int64_t i = 1; i < splits.num_elements(); ++i)
          all.push_back(shift + element_of(splits, static_cast<size_t>(i)));
      }
      MR_RETURN_IF_ERROR(output_row_splits(ctx, dims + static_cast<int>(level), all));
    }
    return absl::OkStatus();
  }

  absl::Status emit_values(KernelContext& ctx, std::span<const RaggedTensorValue* const> parts) const {
    TensorShape shape;
    MR_ASSIGN_OR_RETURN(shape, make_shape({0}));  // of no variants nobody knows more
    int64_t rows = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      const Tensor& values = parts[i]->values;
      if (i == 0) shape = values.shape();
      if (values.rank() != shape.rank() || remove_dim(values.shape(), 0) != remove_dim(shape, 0))
        return invalid_argument("Shape of values must match for all components; values shape at index 0: ", shape,
                                ", values shape at index ", i, ": ", values.shape());
      if (__builtin_add_overflow(rows, values.dim(0), &rows)) return invalid_argument("Too many ragged values");
    }
    MR_ASSIGN_OR_RETURN(shape, with_dim(shape, 0, rows));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(static_cast<int>(output_rank_), shape));
    int64_t at = 0;
    for (const RaggedTensorValue* part : parts) {
      copy_values(part->values, 0, *out, at, part->values.num_elements());
      at += part->values.num_elements();
    }
    return absl::OkStatus();
  }

  static constexpr int64_t kMostRows = int64_t{1} << 26;
  int64_t input_rank_ = 0, output_rank_ = 0;
  DataType values_type_ = DataType::kInvalid, splits_type_ = DataType::kInt64;
};

absl::Status from_variant_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t input_rank, c.attr<int64_t>("input_ragged_rank"));
  MR_ASSIGN_OR_RETURN(const int64_t output_rank, c.attr<int64_t>("output_ragged_rank"));
  if (input_rank >= 0) {
    if (output_rank < input_rank || output_rank - input_rank > 254)
      return invalid_argument("output_ragged_rank must be equal to input_ragged_rank + encoded_ragged.dims(), got ",
                              output_rank, " and ", input_rank);
    MR_RETURN_IF_ERROR(c.with_rank(0, static_cast<int>(output_rank - input_rank)).status());
  }
  for (int i = 0; i < static_cast<int>(output_rank); ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape({-1})));
  return c.set_output(static_cast<int>(output_rank), PartialTensorShape());
}

absl::Status from_variant_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t output_rank, g.attr<int64_t>("output_ragged_rank"));
  const PartialTensorShape encoded = g.shape(g.x(0));
  if (encoded.has_rank() && encoded.rank() > 1)
    return invalid_argument(
        "Unable to compute gradient: RaggedTensorToVariant can currently only generate 0D or 1D output.");
  const bool batched = encoded.has_rank() ? encoded.rank() == 1 : output_rank > 0;
  std::vector<Output> splits;
  for (int i = 0; i + 1 < g.num_outputs(); ++i) splits.push_back(g.y(i));
  AttrMap attrs = {{"batched_input", batched}};
  if (splits.empty()) attrs["Tsplits"] = DataType::kInt64;
  const auto out = g.op_with_lists("RaggedTensorToVariant", {splits, {g.dy(g.num_outputs() - 1)}}, std::move(attrs));
  if (!out.empty()) g.set_dx(0, out[0]);
  return absl::OkStatus();
}

// ---- RaggedTensorToVariantGradient

class RaggedTensorToVariantGradient final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto encoded, ctx.flat<Variant>(0));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> splits, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, ctx.shape_value(2));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "Tvalues"));
    MR_ASSIGN_OR_RETURN(Tensor out, make_zeroed_tensor(dtype, shape));
    int64_t at = 0;
    for (size_t i = 0; i < encoded.size(); ++i) {
      MR_ASSIGN_OR_RETURN(const int64_t size, add_part(encoded[i], i, splits, at, out));
      at += size;
    }
    if (at != out.num_elements())
      return invalid_argument("The gradients have ", at, " elements, but the values the shape ", shape);
    return ctx.set_output(0, std::move(out));
  }

  // Puts a part behind what is there and returns its size. What did not reach the target has an empty variant, and
  // zeros for a gradient: as many rows as its own had in the values.
  static absl::StatusOr<int64_t> add_part(const Variant& part, size_t i, std::span<const int64_t> splits, int64_t at,
                                          Tensor& out) {
    int64_t size = 0;
    const auto* value = part.get<RaggedTensorValue>();
    if (value == nullptr) {
      if (part.has_value()) return invalid_argument("Gradient ", i, " holds no ragged tensor");
      if (i + 1 >= splits.size() || splits[i] < 0 || splits[i + 1] < splits[i] || out.rank() < 1)
        return invalid_argument("Gradient ", i, " has no row in row_splits");
      const int64_t element = subshape(out.shape(), 1, out.rank()).num_elements();
      if (__builtin_mul_overflow(splits[i + 1] - splits[i], element, &size))
        return invalid_argument("row_splits are too large");
    } else {
      if (value->values.dtype() != out.dtype())
        return invalid_argument("Gradient ", i, " has dtype ", dtype_name(value->values.dtype()), ", expected ",
                                dtype_name(out.dtype()));
      size = value->values.num_elements();
    }
    if (size > out.num_elements() - at)
      return invalid_argument("The gradients have more elements than values of shape ", out.shape());
    if (value != nullptr) copy_values(value->values, 0, out, at, size);
    return size;
  }
};

absl::Status to_variant_gradient_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(1, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return c.set_output(0, c.as_shape(2));
}

}  // namespace

void register_ragged_variant(Registry& registry) {
  registry.op("RaggedTensorToVariant")
      .input("rt_nested_splits: RAGGED_RANK * Tsplits")
      .input("rt_dense_values: Tvalues")
      .output("encoded_ragged: variant")
      .attr("RAGGED_RANK: int >= 0")
      .attr("Tvalues: type")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .attr("batched_input: bool")
      .shape(to_variant_shape)
      .cpu<RaggedTensorToVariant>()
      .gradient(to_variant_gradient)
      .doc("A ragged tensor as a variant, or a vector of variants with one per row.");
  registry.op("RaggedTensorFromVariant")
      .input("encoded_ragged: variant")
      .output("output_nested_splits: output_ragged_rank * Tsplits")
      .output("output_dense_values: Tvalues")
      .attr("input_ragged_rank: int >= -1")
      .attr("output_ragged_rank: int >= 0")
      .attr("Tvalues: type")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(from_variant_shape)
      .cpu<RaggedTensorFromVariant>()
      .gradient(from_variant_gradient)
      .doc("The ragged tensor whose outer dimensions are those of a tensor of variants.");
  registry.op("RaggedTensorToVariantGradient")
      .input("encoded_ragged_grad: variant")
      .input("row_splits: Tsplits")
      .input("dense_values_shape: int32")
      .output("dense_values_grad: Tvalues")
      .attr("Tvalues: type")
      .attr("Tsplits: {int32, int64} = DT_INT64")
      .shape(to_variant_gradient_shape)
      .cpu<RaggedTensorToVariantGradient>()
      .doc("The values of the gradients that a RaggedTensorToVariant got for its variants, one behind the other.");
}

}  // namespace millrace
