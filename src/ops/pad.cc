// Pad with a constant, or with the tensor's own mirror image.

#include <algorithm>

#include "base/checked.h"
#include "kernels/elements.h"
#include "kernels/parallel.h"
#include "kernels/strided_copy.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/strides.h"

namespace millrace {
namespace {

// How many rows a paddings matrix must have: the rank of the input, where known.
absl::StatusOr<int> padded_rank(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape paddings, c.with_rank(1, 2));
  if (paddings.dim(1) >= 0 && paddings.dim(1) != 2)
    return invalid_argument("Dimension must be 2 but is ", paddings.dim(1));
  const PartialTensorShape& input = c.input(0);
  const int64_t rows = paddings.dim(0);
  if (input.has_rank() && rows >= 0 && rows != input.rank()) {
    return invalid_argument("Shape must be rank ", rows, " but is rank ", input.rank());
  }
  if (input.has_rank()) return input.rank();
  return rows >= 0 && rows <= Dims::kMaxRank ? static_cast<int>(rows) : -1;
}

// sign 1: sizes grow by their paddings; -1: they shrink, as in the gradient.
absl::Status padded_shape(ShapeContext& c, int sign) {
  const absl::StatusOr<int> rank = padded_rank(c);
  if (!rank.ok()) return c.set_output(0, rank.status());
  if (*rank < 0) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const auto paddings, known_ints(c, 1));
  std::vector<int64_t> dims(static_cast<size_t>(*rank), -1);
  if (paddings && paddings->size() == 2 * dims.size()) {
    for (size_t d = 0; d < dims.size(); ++d) {
      const int64_t before = (*paddings)[2 * d];
      const int64_t after = (*paddings)[2 * d + 1];
      if (before < 0 || after < 0) return c.set_output(0, invalid_argument("Paddings must be non-negative"));
      const int64_t size = c.input(0).has_rank() ? c.input(0).dim(static_cast<int>(d)) : -1;
      if (size < 0) continue;
      const CheckedInt result = sign > 0 ? CheckedInt(size) + before + after : CheckedInt(size) - before - after;
      if (!result.valid() || result.value() < 0)
        return c.set_output(0, invalid_argument("Paddings of dimension ", d, " do not fit: ", before, ", ", after));
      dims[d] = result.value();
    }
  }
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status pad_shape(ShapeContext& c) { return padded_shape(c, 1); }
absl::Status mirror_pad_grad_shape(ShapeContext& c) { return padded_shape(c, -1); }

struct Paddings {
  std::vector<int64_t> before, after;
};

absl::StatusOr<Paddings> paddings_of(KernelContext& ctx) {
  const int rank = ctx.input(0).rank();
  const Tensor& matrix = ctx.input(1);
  if (matrix.rank() != 2 || matrix.dim(1) != 2)
    return invalid_argument("paddings must be a matrix with 2 columns: ", matrix.shape());
  if (matrix.dim(0) != rank) {
    return invalid_argument("The first dimension of paddings must be the rank of inputs", matrix.shape(), " ",
                            ctx.shape(0));
  }
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> flat, ctx.int_values(1));
  Paddings p;
  for (size_t d = 0; d < static_cast<size_t>(rank); ++d) {
    if (flat[2 * d] < 0 || flat[2 * d + 1] < 0)
      return invalid_argument("Paddings must be non-negative: ", flat[2 * d], " ", flat[2 * d + 1]);
    p.before.push_back(flat[2 * d]);
    p.after.push_back(flat[2 * d + 1]);
  }
  return p;
}

absl::StatusOr<TensorShape> grown(const TensorShape& shape, const Paddings& p) {
  std::vector<int64_t> dims;
  for (int d = 0; d < shape.rank(); ++d) {
    const auto k = static_cast<size_t>(d);
    const CheckedInt size = CheckedInt(shape.dim(d)) + p.before[k] + p.after[k];
    if (!size.valid()) return invalid_argument("Pad: dimension ", d, " becomes too large");
    dims.push_back(size.value());
  }
  return make_shape(dims);
}

template <class S> void fill_all(S* dst, int64_t n, const S& value) {
  parallel_for(n, 0.5, [&](int64_t begin, int64_t end) { std::fill(dst + begin, dst + end, value); });
}

class Pad final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const Paddings p, paddings_of(ctx));
    const bool has_value = ctx.num_inputs() > 2;
    if (has_value && ctx.input(2).rank() != 0)
      return invalid_argument("constant_values must be a scalar. Found: ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, grown(input.shape(), p));
    if (shape == input.shape()) return ctx.set_output(0, input);
    const Tensor value = has_value ? ctx.input(2) : Tensor();
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const std::vector<int64_t> strides = row_major_strides(shape.dims());
    return with_storage(input.dtype(), [&]<class S>(std::type_identity<S>) -> absl::Status {
      S* dst = static_cast<S*>(out->raw_mutable_data());
      fill_all(dst, shape.num_elements(), value.has_value() ? *static_cast<const S*>(value.raw_data()) : S());
      if (input.num_elements() == 0) return absl::OkStatus();
      for (size_t d = 0; d < strides.size(); ++d) dst += p.before[d] * strides[d];
      return strided_copy(input.dtype(), input.shape().dims(), input.raw_data(),
                          row_major_strides(input.shape().dims()), dst, strides);
    });
  }
};

// dx is the part of dy that x was copied to.
absl::Status pad_gradient(GradientContext& g) {
  const Output x = g.x(0), paddings = g.x(1);
  const Output dy = g.dy(0);
  const Output rank = rank_of(g, x);
  Output size;
  {
    const auto scope = g.name_scope("stack");
    const Output one = g.int32_scalar(1, "1");
    size = stack(g, {rank, one}, "/");
  }
  Output before;
  {
    const auto scope = g.name_scope("Slice");
    const Output begin = int_list(g, {0, 0}, "begin");
    before = g.op("Slice", {paddings, begin, size}, {}, "/");
  }
  MR_ASSIGN_OR_RETURN(const Tensor flat, make_vector<int32_t>(std::vector<int32_t>{-1}));
  const Output begin = op_with_literal(g, "Reshape", before, flat, "shape", "Reshape");
  const Output sizes = shape_of(g, x, g.dtype(begin));
  g.set_dx(0, g.op("Slice", {dy, begin, sizes}));
  return absl::OkStatus();
}

// ---- mirrors

// Where index i of a padded dimension comes from: REFLECT (offset 1) leaves the border out, SYMMETRIC (offset 0)
// repeats it.
int64_t mirrored(int64_t i, int64_t before, int64_t size, int64_t offset) {
  int64_t at = i - before;
  if (at < 0) at = -at - 1 + offset;
  if (at >= size) at = 2 * size - 1 - at - offset;
  return at;
}

absl::StatusOr<int64_t> mirror_offset(const NodeInfo& node) {
  MR_ASSIGN_OR_RETURN(const std::string mode, get_attr<std::string>(node, "mode"));
  return mode == "REFLECT" ? 1 : 0;
}

absl::Status check_mirror(const Paddings& p, const TensorShape& inner, int64_t offset) {
  for (int d = 0; d < inner.rank(); ++d) {
    const auto k = static_cast<size_t>(d);
    const int64_t limit = inner.dim(d) - offset;
    if (p.before[k] > limit || p.after[k] > limit) {
      return invalid_argument("paddings must be ", offset == 0 ? "no greater than" : "less than",
                              " the dimension size: ", p.before[k], ", ", p.after[k],
                              offset == 0 ? " greater than " : " not less than ", inner.dim(d));
    }
  }
  return absl::OkStatus();
}

// Calls fn(outer position of the padded tensor's rows, row of the inner tensor that it mirrors) for each row of padded
// dimension `d` and before.
template <class Fn>
void for_each_mirrored_row(const TensorShape& outer, const TensorShape& inner, const Paddings& p, int64_t offset,
                           Fn&& fn) {
  const int rank = outer.rank();
  std::vector<int64_t> index(static_cast<size_t>(rank - 1), 0);
  const std::vector<int64_t> strides = row_major_strides(inner.dims());
  int64_t rows = 1;
  for (int d = 0; d < rank - 1; ++d) rows *= outer.dim(d);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t base = 0;
    for (size_t d = 0; d < index.size(); ++d)
      base += mirrored(index[d], p.before[d], inner.dim(static_cast<int>(d)), offset) * strides[d];
    fn(row, base);
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < outer.dim(static_cast<int>(d))) break;
      index[d] = 0;
    }
  }
}

class MirrorPad final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    MR_ASSIGN_OR_RETURN(const int64_t offset, mirror_offset(ctx.node()));
    MR_ASSIGN_OR_RETURN(const Paddings p, paddings_of(ctx));
    MR_RETURN_IF_ERROR(check_mirror(p, input.shape(), offset));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, grown(input.shape(), p));
    if (shape == input.shape()) return ctx.set_output(0, input);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    return with_storage(input.dtype(), [&]<class S>(std::type_identity<S>) {
      const S* src = static_cast<const S*>(input.raw_data());
      S* dst = static_cast<S*>(out->raw_mutable_data());
      const int last = shape.rank() - 1;
      const int64_t width = shape.dim(last);
      for_each_mirrored_row(shape, input.shape(), p, offset, [&](int64_t row, int64_t base) {
        for (int64_t i = 0; i < width; ++i)
          dst[row * width + i] = src[base + mirrored(i, p.before.back(), input.dim(last), offset)];
      });
      return absl::OkStatus();
    });
  }
};

// Adds each padded element to the one it mirrors.
template <class T> class MirrorPadGrad final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const T> dy, ctx.flat<T>(0));
    MR_ASSIGN_OR_RETURN(const int64_t offset, mirror_offset(ctx.node()));
    MR_ASSIGN_OR_RETURN(const Paddings p, paddings_of(ctx));
    const TensorShape outer = ctx.shape(0);
    std::vector<int64_t> dims;
    for (int d = 0; d < outer.rank(); ++d) {
      const auto k = static_cast<size_t>(d);
      const CheckedInt size = CheckedInt(outer.dim(d)) - p.before[k] - p.after[k];
      if (!size.valid() || size.value() < 0) {
        return invalid_argument("Total paddings must be no greater than the input dimension size: ", p.before[k], " ",
                                p.after[k], " ", outer.dim(d));
      }
      dims.push_back(size.value());
    }
    MR_ASSIGN_OR_RETURN(const TensorShape inner, make_shape(dims));
    MR_RETURN_IF_ERROR(check_mirror(p, inner, offset));
    if (outer.rank() == 0) return ctx.set_output(0, ctx.input(0));
    MR_ASSIGN_OR_RETURN(const std::span<T> dx, ctx.output<T>(0, inner));
    std::fill(dx.begin(), dx.end(), T());
    if (outer.num_elements() == 0) return absl::OkStatus();
    const int last = outer.rank() - 1;
    const int64_t width = outer.dim(last);
    for_each_mirrored_row(outer, inner, p, offset, [&](int64_t row, int64_t base) {
      for (int64_t i = 0; i < width; ++i) {
        T& sum = dx[static_cast<size_t>(base + mirrored(i, p.before.back(), inner.dim(last), offset))];
        const T& add = dy[static_cast<size_t>(row * width + i)];
        if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
          sum = T(static_cast<float>(sum) + static_cast<float>(add));
        } else {
          sum = static_cast<T>(sum + add);
        }
      }
    });
    return absl::OkStatus();
  }
};

absl::Status mirror_pad_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string mode, g.attr<std::string>("mode"));
  const char* inverse = g.node().op == "MirrorPad" ? "MirrorPadGrad" : "MirrorPad";
  g.set_dx(0, g.op(inverse, {g.dy(0), g.x(1)}, {{"mode", mode}}));
  return absl::OkStatus();
}

}  // namespace

void register_pad(Registry& registry) {
  registry.op("Pad")
      .input("input: T")
      .input("paddings: Tpaddings")
      .output("output: T")
      .attr("T: type")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .shape(pad_shape)
      .cpu<Pad>()
      .gradient(pad_gradient)
      .doc("A tensor with zeros before and after it in each dimension.");
  registry.op("PadV2")
      .input("input: T")
      .input("paddings: Tpaddings")
      .input("constant_values: T")
      .output("output: T")
      .attr("T: type")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .shape(pad_shape)
      .cpu<Pad>()
      .gradient(pad_gradient)
      .doc("A tensor with a value before and after it in each dimension.");
  registry.op("MirrorPad")
      .input("input: T")
      .input("paddings: Tpaddings")
      .output("output: T")
      .attr("T: type")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .attr("mode: {'REFLECT', 'SYMMETRIC'}")
      .shape(pad_shape)
      .cpu<MirrorPad>()
      .gradient(mirror_pad_gradient)
      .doc("A tensor with its mirror image before and after it in each dimension.");
  registry.op("MirrorPadGrad")
      .input("input: T")
      .input("paddings: Tpaddings")
      .output("output: T")
      .attr("T: type")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .attr("mode: {'REFLECT', 'SYMMETRIC'}")
      .shape(mirror_pad_grad_shape)
      .cpu_for<MirrorPadGrad>(NumberTypes())
      .gradient(mirror_pad_gradient)
      .doc("The gradient of MirrorPad.");
}

}  // namespace millrace
