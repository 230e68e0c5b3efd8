// Elements in another order along their dimensions: Reverse, ReverseSequence, Roll.

#include "kernels/bounded_index.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strides.h"

namespace millrace {
namespace {

const char* element(const Tensor& t, int64_t i) {
  return static_cast<const char*>(t.raw_data()) + i * static_cast<int64_t>(dtype_size(t.dtype()));
}
char* element(Tensor& t, int64_t i) {
  return static_cast<char*>(t.raw_mutable_data()) + i * static_cast<int64_t>(dtype_size(t.dtype()));
}

// ---- Reverse, ReverseV2

absl::Status reverse_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape dims, c.with_rank(1, 1));
  if (x.has_rank() && dims.dim(0) >= 0 && dims.dim(0) != x.rank()) {
    return c.set_output(0, invalid_argument("reverse dims must be a vector of size ", x.rank(), ", got ", dims.dim(0)));
  }
  if (x.rank() > 8)
    return c.set_output(0, invalid_argument("reverse does not work on tensors with more than 8 dimensions"));
  return c.set_output(0, x);
}

absl::Status reverse_v2_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_RETURN_IF_ERROR(c.with_rank(1, 1).status());
  MR_ASSIGN_OR_RETURN(const auto axes, known_ints(c, 1));
  if (axes && x.has_rank()) {
    std::vector<bool> seen(static_cast<size_t>(x.rank()));
    for (const int64_t given : *axes) {
      if (given < -x.rank() || given >= x.rank())
        return c.set_output(0, invalid_argument("'axis'[", given, "] is out of valid range [0, ", x.rank() - 1, "]"));
      const auto axis = static_cast<size_t>(given < 0 ? given + x.rank() : given);
      if (seen[axis]) return c.set_output(0, invalid_argument("axis ", axis, " specified more than once."));
      seen[axis] = true;
    }
  }
  return c.set_output(0, x);
}

absl::Status reverse(KernelContext& ctx, const std::vector<bool>& reversed) {
  const Tensor x = ctx.input(0);
  bool moves = false;
  for (int d = 0; d < x.rank(); ++d) moves |= reversed[static_cast<size_t>(d)] && x.dim(d) > 1;
  if (!moves) return ctx.set_output(0, x);
  MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, x.shape()));
  if (x.num_elements() == 0) return absl::OkStatus();
  std::vector<int64_t> strides = row_major_strides(x.shape().dims());
  const std::vector<int64_t> out_strides = strides;
  int64_t first = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    if (!reversed[d]) continue;
    first += (x.dim(static_cast<int>(d)) - 1) * strides[d];
    strides[d] = -strides[d];
  }
  return strided_copy(x.dtype(), x.shape().dims(), element(x, first), strides, out->raw_mutable_data(), out_strides);
}

class Reverse final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const int rank = ctx.input(0).rank();
    if (rank > 8) return unimplemented("reverse is not implemented for tensors of rank > 8.");
    MR_ASSIGN_OR_RETURN(const std::span<const bool> dims, ctx.vector<bool>(1));
    if (dims.size() != static_cast<size_t>(rank))
      return invalid_argument("'dims' must have length ", rank, ", got ", dims.size());
    return reverse(ctx, {dims.begin(), dims.end()});
  }
};

class ReverseV2 final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const int rank = ctx.input(0).rank();
    if (ctx.input(1).rank() != 1) return invalid_argument("'axis' must be 1-dimension, not ", ctx.input(1).rank());
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ctx.int_values(1));
    std::vector<bool> reversed(static_cast<size_t>(rank));
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] < -rank || axes[i] >= rank)
        return invalid_argument("'axis'[", i, "] = ", axes[i], " is out of valid range [", -rank, ", ", rank - 1, "]");
      const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
      if (reversed[axis]) return invalid_argument("axis ", axis, " specified more than once.");
      reversed[axis] = true;
    }
    return reverse(ctx, reversed);
  }
};

absl::Status reverse_gradient(GradientContext& g) {
  g.set_dx(0, g.op(g.node().op, {g.dy(0), g.x(1)}));
  return absl::OkStatus();
}

// ---- ReverseSequence

absl::Status reverse_sequence_shape(ShapeContext& c) {
  const PartialTensorShape& x = c.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape lengths, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const int64_t seq_dim, c.attr<int64_t>("seq_dim"));
  MR_ASSIGN_OR_RETURN(const int64_t batch_dim, c.attr<int64_t>("batch_dim"));
  if (!x.has_rank()) return absl::OkStatus();
  if (batch_dim < 0 || batch_dim >= x.rank())
    return c.set_output(0, invalid_argument("batch_dim must be < input rank: ", batch_dim, " vs. ", x.rank()));
  if (seq_dim < 0 || seq_dim >= x.rank())
    return c.set_output(0, invalid_argument("seq_dim must be < input rank: ", seq_dim, " vs. ", x.rank()));
  std::vector<int64_t> dims = to_dims(x);
  int64_t& batch = dims[static_cast<size_t>(batch_dim)];
  const absl::StatusOr<int64_t> merged = merge_dim(batch, lengths.dim(0));
  if (!merged.ok()) return c.set_output(0, merged.status());
  batch = *merged;
  return c.set_output(0, make_partial_shape(dims));
}

template <class I> class ReverseSequence final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(seq_dim_, init.attr<int64_t>("seq_dim"));
    MR_ASSIGN_OR_RETURN(batch_dim_, init.attr<int64_t>("batch_dim"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor x = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const std::span<const I> lengths, ctx.vector<I>(1));
    if (batch_dim_ == seq_dim_) return invalid_argument("batch_dim == seq_dim == ", seq_dim_);
    if (seq_dim_ < 0 || seq_dim_ >= x.rank())
      return invalid_argument("seq_dim must be < input rank ( ", seq_dim_, " vs. ", x.rank(), ")");
    if (batch_dim_ < 0 || batch_dim_ >= x.rank())
      return invalid_argument("batch_dim must be < input rank ( ", batch_dim_, " vs. ", x.rank(), ")");
    const int seq = static_cast<int>(seq_dim_);
    const int batch = static_cast<int>(batch_dim_);
    if (static_cast<int64_t>(lengths.size()) != x.dim(batch)) {
      return invalid_argument("Length of seq_lengths != input.dims(", batch, "), (", lengths.size(), " vs. ",
                              x.dim(batch), ")");
    }
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, x.shape()));
    if (x.num_elements() == 0) return absl::OkStatus();
    const std::vector<int64_t> strides = row_major_strides(x.shape().dims());
    std::vector<int64_t> dims(x.shape().dims().begin(), x.shape().dims().end());
    const auto s = static_cast<size_t>(seq);
    dims[static_cast<size_t>(batch)] = 1;
    for (size_t b = 0; b < lengths.size(); ++b) {
      int64_t length = 0;
      if (!read_bounded(&lengths[b], x.dim(seq) + 1, &length)) {
        return invalid_argument(length < 0 ? "seq_lens(" : "seq_lens(", b, length < 0 ? ") < 0" : ") > input.dims(",
                                length < 0 ? "" : str_cat(seq, ")"));
      }
      const int64_t base = static_cast<int64_t>(b) * strides[static_cast<size_t>(batch)];
      std::vector<int64_t> backwards = strides;
      backwards[s] = -strides[s];
      dims[s] = length;
      MR_RETURN_IF_ERROR(strided_copy(x.dtype(), dims, element(x, base + (length > 0 ? length - 1 : 0) * strides[s]),
                                      backwards, element(*out, base), strides));
      dims[s] = x.dim(seq) - length;
      if (dims[s] == 0) continue;
      const int64_t rest = base + length * strides[s];
      MR_RETURN_IF_ERROR(strided_copy(x.dtype(), dims, element(x, rest), strides, element(*out, rest), strides));
    }
    return absl::OkStatus();
  }

 private:
  int64_t seq_dim_ = 0;
  int64_t batch_dim_ = 0;
};

absl::Status reverse_sequence_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t seq_dim, g.attr<int64_t>("seq_dim"));
  MR_ASSIGN_OR_RETURN(const int64_t batch_dim, g.attr<int64_t>("batch_dim"));
  g.set_dx(0, g.op("ReverseSequence", {g.dy(0), g.x(1)}, {{"seq_dim", seq_dim}, {"batch_dim", batch_dim}}));
  return absl::OkStatus();
}

// ---- Roll

absl::Status roll_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape x, c.with_rank_at_least(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank_at_most(1, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank_at_most(2, 1).status());
  return c.set_output(0, x);
}

class Roll final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor x = ctx.input(0);
    if (x.rank() < 1) return invalid_argument("input must be 1-D or higher");
    if (ctx.input(1).rank() > 1)
      return invalid_argument("shift must be a scalar or a 1-D vector. Found: ", ctx.shape(1));
    if (ctx.input(2).rank() > 1)
      return invalid_argument("axis must be a scalar or a 1-D vector. Found: ", ctx.shape(2));
    if (!(ctx.shape(1) == ctx.shape(2))) return invalid_argument("shift and axis must have the same size");
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> shifts, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ctx.int_values(2));
    const int rank = x.rank();
    std::vector<int64_t> by(static_cast<size_t>(rank), 0);  // in [0, dim)
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] < -rank || axes[i] >= rank) return invalid_argument("axis ", axes[i], " is out of range");
      const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
      const int64_t size = std::max<int64_t>(x.dim(static_cast<int>(axis)), 1);
      by[axis] = ((by[axis] + shifts[i] % size) % size + size) % size;
    }
    std::vector<size_t> moved;
    for (size_t d = 0; d < by.size(); ++d) {
      if (by[d] != 0) moved.push_back(d);
    }
    if (moved.empty()) return ctx.set_output(0, x);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, x.shape()));
    if (x.num_elements() == 0) return absl::OkStatus();
    // Each moved dimension is two pieces that change places; all combinations of pieces are boxes. They are no more
    // than elements.
    const std::vector<int64_t> strides = row_major_strides(x.shape().dims());
    for (uint64_t pieces = 0; pieces < (uint64_t{1} << moved.size()); ++pieces) {
      std::vector<int64_t> dims(x.shape().dims().begin(), x.shape().dims().end());
      int64_t from = 0;
      int64_t to = 0;
      for (size_t k = 0; k < moved.size(); ++k) {
        const size_t d = moved[k];
        const int64_t tail = by[d];  // the last `tail` elements come first
        const int64_t size = x.dim(static_cast<int>(d));
        if ((pieces >> k) & 1) {
          dims[d] = tail;
          from += (size - tail) * strides[d];
        } else {
          dims[d] = size - tail;
          to += tail * strides[d];
        }
      }
      MR_RETURN_IF_ERROR(strided_copy(x.dtype(), dims, element(x, from), strides, element(*out, to), strides));
    }
    return absl::OkStatus();
  }
};

absl::Status roll_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output back = g.op("Neg", {g.x(1)});
  g.set_dx(0, g.op("Roll", {dy, back, g.x(2)}));
  return absl::OkStatus();
}

}  // namespace

void register_reverse(Registry& registry) {
  registry.op("Reverse")
      .input("tensor: T")
      .input("dims: bool")
      .output("output: T")
      .attr(
          "T: {uint8, int8, uint16, int16, uint32, int32, uint64, int64, bool, bfloat16, half, float, double, "
          "complex64, complex128, string}")
      .shape(reverse_shape)
      .cpu<Reverse>()
      .gradient(reverse_gradient)
      .doc("A tensor backwards along the marked dimensions.");
  registry.op("ReverseV2")
      .input("tensor: T")
      .input("axis: Tidx")
      .output("output: T")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .attr(
          "T: {uint8, int8, uint16, int16, int32, uint32, int64, uint64, bool, bfloat16, half, float, double, "
          "complex64, complex128, string}")
      .shape(reverse_v2_shape)
      .cpu<ReverseV2>()
      .gradient(reverse_gradient)
      .doc("A tensor backwards along the listed dimensions.");
  registry.op("ReverseSequence")
      .input("input: T")
      .input("seq_lengths: Tlen")
      .output("output: T")
      .attr("seq_dim: int")
      .attr("batch_dim: int = 0")
      .attr("T: type")
      .attr("Tlen: {int32, int64} = DT_INT64")
      .shape(reverse_sequence_shape)
      .cpu<ReverseSequence, int32_t, int64_t>("Tlen")
      .gradient(reverse_sequence_gradient)
      .doc("The first seq_lengths[b] elements of each batch entry backwards along seq_dim.");
  registry.op("Roll")
      .input("input: T")
      .input("shift: Tshift")
      .input("axis: Taxis")
      .output("output: T")
      .attr("T: type")
      .attr("Tshift: {int32, int64}")
      .attr("Taxis: {int32, int64}")
      .shape(roll_shape)
      .cpu<Roll>()
      .gradient(roll_gradient)
      .doc("Elements moved along dimensions, those beyond the end to the front.");
}

}  // namespace millrace
