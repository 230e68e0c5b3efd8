// Spatial blocks moved into the batch or depth dimension and back.

#include "base/checked.h"
#include "kernels/elements.h"
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

// ---- space and batch

// Dimension 0 is the batch, 1 .. m are cut into blocks, the rest goes along.
struct Blocks {
  std::vector<int64_t> block, before, after;  // per blocked dimension
  size_t count() const { return block.size(); }
};

absl::Status check_blocks(const Blocks& b) {
  for (size_t i = 0; i < b.count(); ++i) {
    if (b.block[i] < 1)
      return invalid_argument("All values in block_shape must be positive, got value, ", b.block[i], " at index ", i,
                              ".");
    if (b.before[i] < 0 || b.after[i] < 0)
      return invalid_argument("paddings and crops cannot be negative: ", b.before[i], ", ", b.after[i]);
  }
  return absl::OkStatus();
}

// The shape after moving space to batch (or back), -1 where unknown.
absl::StatusOr<PartialTensorShape> moved_shape(const PartialTensorShape& input, const Blocks& b, bool to_batch) {
  if (!input.has_rank()) return PartialTensorShape();
  if (input.rank() < static_cast<int>(b.count()) + 1)
    return invalid_argument("input rank should be >= ", b.count() + 1, " instead of ", input.rank());
  MR_RETURN_IF_ERROR(check_blocks(b));
  std::vector<int64_t> dims = to_dims(input);
  CheckedInt product(1);
  for (size_t i = 0; i < b.count(); ++i) {
    product *= b.block[i];
    int64_t& size = dims[i + 1];
    if (size < 0) continue;
    const CheckedInt changed = to_batch ? CheckedInt(size) + b.before[i] + b.after[i]
                                        : CheckedInt(size) * b.block[i] - b.before[i] - b.after[i];
    if (!changed.valid() || changed.value() < 0)
      return invalid_argument("cropped or padded size of dimension ", i + 1, " must be non-negative");
    if (to_batch && changed.value() % b.block[i] != 0) {
      return invalid_argument("padded_shape[", i, "]=", changed.value(), " is not divisible by block_shape[", i,
                              "]=", b.block[i]);
    }
    size = to_batch ? changed.value() / b.block[i] : changed.value();
  }
  if (!product.valid()) return invalid_argument("Product of block sizes is too large");
  if (dims[0] >= 0) {
    if (!to_batch && dims[0] % product.value() != 0)
      return invalid_argument("Input batch dimension (", dims[0], ") is not divisible by product of block sizes (",
                              product.value(), ")");
    const CheckedInt batch = to_batch ? CheckedInt(dims[0]) * product : CheckedInt(dims[0] / product.value());
    if (!batch.valid()) return invalid_argument("batch dimension becomes too large");
    dims[0] = batch.value();
  }
  return make_partial_shape(dims);
}

// Walks the offsets within a block. For each, the elements of the spatial tensor with that offset are one box of the
// batch tensor: copies between the two.
absl::Status move_blocks(const Tensor& from, Tensor& to, const Blocks& b, bool to_batch) {
  const TensorShape space = to_batch ? from.shape() : to.shape();
  const TensorShape batched = to_batch ? to.shape() : from.shape();
  const std::vector<int64_t> space_strides = row_major_strides(space.dims());
  const std::vector<int64_t> batch_strides = row_major_strides(batched.dims());
  std::vector<int64_t> offset(b.count(), 0);
  int64_t product = 1;
  for (const int64_t size : b.block) product *= size;
  for (int64_t step = 0; step < product; ++step) {
    std::vector<int64_t> dims(space.dims().begin(), space.dims().end());
    std::vector<int64_t> strides = space_strides;
    int64_t in_space = 0;
    int64_t in_batch = step * space.dim(0) * batch_strides[0];
    for (size_t i = 0; i < b.count(); ++i) {
      // Position p in the batch tensor is p * block + offset - before in space.
      const int64_t size = space.dim(static_cast<int>(i) + 1);
      const int64_t shift = offset[i] - b.before[i];
      const int64_t first = shift >= 0 ? 0 : (-shift + b.block[i] - 1) / b.block[i];
      const int64_t end = size - shift <= 0 ? 0 : (size - shift + b.block[i] - 1) / b.block[i];
      const int64_t limit = std::min(end, batched.dim(static_cast<int>(i) + 1));
      dims[i + 1] = std::max<int64_t>(0, limit - first);
      strides[i + 1] *= b.block[i];
      in_space += (first * b.block[i] + shift) * space_strides[i + 1];
      in_batch += first * batch_strides[i + 1];
    }
    bool empty = false;
    for (const int64_t d : dims) empty |= d == 0;
    if (!empty) {
      MR_RETURN_IF_ERROR(to_batch ? strided_copy(from.dtype(), dims, element(from, in_space), strides,
                                                 element(to, in_batch), batch_strides)
                                  : strided_copy(from.dtype(), dims, element(from, in_batch), batch_strides,
                                                 element(to, in_space), strides));
    }
    for (size_t i = b.count(); i-- > 0;) {
      if (++offset[i] < b.block[i]) break;
      offset[i] = 0;
    }
  }
  return absl::OkStatus();
}

absl::Status move(KernelContext& ctx, const Blocks& b, bool to_batch) {
  const Tensor input = ctx.input(0);
  MR_ASSIGN_OR_RETURN(const PartialTensorShape partial, moved_shape(input.shape(), b, to_batch));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
  MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
  if (shape.num_elements() == 0) return absl::OkStatus();
  MR_RETURN_IF_ERROR(with_storage(input.dtype(), [&]<class S>(std::type_identity<S>) {
    fill_zero(static_cast<S*>(out->raw_mutable_data()), out->num_elements());
    return absl::OkStatus();
  }));
  return move_blocks(input, *out, b, to_batch);
}

absl::StatusOr<Blocks> blocks_from(const std::vector<int64_t>& block, const std::vector<int64_t>& margins) {
  if (margins.size() != 2 * block.size()) {
    return invalid_argument("paddings and crops should have shape [", block.size(), ", 2], got ", margins.size(),
                            " elements");
  }
  Blocks b{block, {}, {}};
  for (size_t i = 0; i < block.size(); ++i) {
    b.before.push_back(margins[2 * i]);
    b.after.push_back(margins[2 * i + 1]);
  }
  return b;
}

template <bool kToBatch> absl::Status space_batch_nd_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape block_shape, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape margins_shape, c.with_rank(2, 2));
  if (margins_shape.dim(1) >= 0 && margins_shape.dim(1) != 2)
    return c.set_output(0, invalid_argument("Dimension must be 2 but is ", margins_shape.dim(1)));
  if (const auto merged = merge_dim(block_shape.dim(0), margins_shape.dim(0)); !merged.ok())
    return c.set_output(0, merged.status());
  if (c.input(0).has_rank() && block_shape.dim(0) >= 0 && c.input(0).rank() < block_shape.dim(0) + 1) {
    return c.set_output(0, invalid_argument("Shape must be at least rank ", block_shape.dim(0) + 1, " but is rank ",
                                            c.input(0).rank()));
  }
  MR_ASSIGN_OR_RETURN(const auto block, known_ints(c, 1));
  MR_ASSIGN_OR_RETURN(const auto margins, known_ints(c, 2));
  if (!block || !margins)
    return c.input(0).has_rank() ? c.set_output(0, unknown_shape_of_rank(c.input(0).rank())) : absl::OkStatus();
  const absl::StatusOr<Blocks> b = blocks_from(*block, *margins);
  if (!b.ok()) return c.set_output(0, b.status());
  return c.set_output(0, moved_shape(c.input(0), *b, kToBatch));
}

template <bool kToBatch> class SpaceBatchNd final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(1).rank() != 1)
      return invalid_argument("block_shape rank should be 1 instead of ", ctx.input(1).rank());
    if (ctx.input(2).rank() != 2)
      return invalid_argument("paddings and crops should have rank 2, got shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> block, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> margins, ctx.int_values(2));
    MR_ASSIGN_OR_RETURN(const Blocks b, blocks_from(block, margins));
    return move(ctx, b, kToBatch);
  }
};

// The older ops: two spatial dimensions, one block size for both.
template <bool kToBatch> absl::Status space_batch_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 4).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 2).status());
  MR_ASSIGN_OR_RETURN(const int64_t size, c.attr<int64_t>("block_size"));
  MR_ASSIGN_OR_RETURN(const auto margins, known_ints(c, 1));
  if (!margins) return c.set_output(0, unknown_shape_of_rank(4));
  const absl::StatusOr<Blocks> b = blocks_from({size, size}, *margins);
  if (!b.ok()) return c.set_output(0, b.status());
  return c.set_output(0, moved_shape(c.input(0), *b, kToBatch));
}

template <bool kToBatch> class SpaceBatch final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(block_size_, init.attr<int64_t>("block_size"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(0).rank() != 4) return invalid_argument("Input rank should be: 4 instead of: ", ctx.input(0).rank());
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> margins, ctx.int_values(1));
    MR_ASSIGN_OR_RETURN(const Blocks b, blocks_from({block_size_, block_size_}, margins));
    return move(ctx, b, kToBatch);
  }

 private:
  int64_t block_size_ = 2;
};

absl::Status space_batch_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t size, g.attr<int64_t>("block_size"));
  const char* inverse = g.node().op == "SpaceToBatch" ? "BatchToSpaceND" : "SpaceToBatchND";
  const Output dy = g.dy(0);
  const auto scope = g.name_scope(inverse);
  const Output block = int_list(g, {size, size}, "block_shape", DataType::kInt64);
  g.set_dx(0, g.op(inverse, {dy, block, g.x(1)}, {}, "/"));
  return absl::OkStatus();
}

absl::Status space_batch_nd_gradient(GradientContext& g) {
  g.set_dx(0, g.op(g.node().op == "SpaceToBatchND" ? "BatchToSpaceND" : "SpaceToBatchND", {g.dy(0), g.x(1), g.x(2)}));
  return absl::OkStatus();
}

// ---- space and depth

absl::StatusOr<PartialTensorShape> depth_shape(const PartialTensorShape& input, int64_t block, bool channels_first,
                                               bool to_depth) {
  if (!input.has_rank()) return unknown_shape_of_rank(4);
  if (input.rank() != 4) return invalid_argument("Shape must be rank 4 but is rank ", input.rank());
  std::vector<int64_t> dims = to_dims(input);
  const size_t depth = channels_first ? 1 : 3;
  const size_t height = channels_first ? 2 : 1;
  const CheckedInt area = CheckedInt(block) * block;
  if (!area.valid()) return invalid_argument("block_size ", block, " is too large");
  for (size_t d : {height, height + 1}) {
    if (dims[d] < 0) continue;
    if (to_depth && dims[d] % block != 0)
      return invalid_argument("Dimension size must be evenly divisible by ", block, " but is ", dims[d]);
    dims[d] = to_depth ? dims[d] / block : multiply_dims(dims[d], block);
  }
  if (dims[depth] >= 0) {
    if (!to_depth && dims[depth] % area.value() != 0)
      return invalid_argument("Dimension size must be evenly divisible by ", area.value(), " but is ", dims[depth]);
    dims[depth] = to_depth ? multiply_dims(dims[depth], area.value()) : dims[depth] / area.value();
  }
  return make_partial_shape(dims);
}

template <bool kToDepth> absl::Status space_depth_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t block, c.attr<int64_t>("block_size"));
  MR_ASSIGN_OR_RETURN(const std::string format, c.attr<std::string>("data_format"));
  if (format == "NCHW_VECT_C") return absl::OkStatus();
  return c.set_output(0, depth_shape(c.input(0), block, format == "NCHW", kToDepth));
}

// A transpose of the six dimensions batch, height, block row, width, block column, channel.
template <bool kToDepth> class SpaceDepth final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(block_, init.attr<int64_t>("block_size"));
    MR_ASSIGN_OR_RETURN(const std::string format, init.attr<std::string>("data_format"));
    if (format == "NCHW_VECT_C") return unimplemented("data_format NCHW_VECT_C is not supported");
    channels_first_ = format == "NCHW";
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor input = ctx.input(0);
    if (input.rank() != 4) return invalid_argument("Input rank should be: 4 instead of: ", input.rank());
    MR_ASSIGN_OR_RETURN(const PartialTensorShape partial,
                        depth_shape(input.shape(), block_, channels_first_, kToDepth));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    const TensorShape space = kToDepth ? input.shape() : shape;
    const std::vector<int64_t> s = row_major_strides(space.dims());
    const std::vector<int64_t> d = row_major_strides((kToDepth ? shape : input.shape()).dims());
    const size_t c = channels_first_ ? 1 : 3;
    const size_t h = channels_first_ ? 2 : 1;
    const size_t w = h + 1;
    const int64_t channels = space.dim(static_cast<int>(c));
    const int64_t dims[] = {space.dim(0), space.dim(static_cast<int>(h)) / block_,
                            block_,       space.dim(static_cast<int>(w)) / block_,
                            block_,       channels};
    const int64_t space_strides[] = {s[0], s[h] * block_, s[h], s[w] * block_, s[w], s[c]};
    const int64_t depth_strides[] = {d[0], d[h], d[c] * block_ * channels, d[w], d[c] * channels, d[c]};
    return strided_copy(input.dtype(), dims, input.raw_data(), kToDepth ? space_strides : depth_strides,
                        out->raw_mutable_data(), kToDepth ? depth_strides : space_strides);
  }

 private:
  int64_t block_ = 2;
  bool channels_first_ = false;
};

absl::Status space_depth_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const int64_t block, g.attr<int64_t>("block_size"));
  MR_ASSIGN_OR_RETURN(const std::string format, g.attr<std::string>("data_format"));
  if (format == "NCHW_VECT_C")
    return invalid_argument("Cannot compute ", g.node().op,
                            " gradient with NCHW_VECT_C. NCHW_VECT_C requires qint8 data type.");
  g.set_dx(0, g.op(g.node().op == "SpaceToDepth" ? "DepthToSpace" : "SpaceToDepth", {g.dy(0)},
                   {{"block_size", block}, {"data_format", format}}));
  return absl::OkStatus();
}

}  // namespace

void register_space(Registry& registry) {
  registry.op("SpaceToBatch")
      .input("input: T")
      .input("paddings: Tpaddings")
      .output("output: T")
      .attr("T: type")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .attr("block_size: int >= 2")
      .shape(space_batch_shape<true>)
      .cpu<SpaceBatch<true>>()
      .gradient(space_batch_gradient)
      .doc("Blocks of height and width moved into the batch dimension.");
  registry.op("BatchToSpace")
      .input("input: T")
      .input("crops: Tidx")
      .output("output: T")
      .attr("T: type")
      .attr("block_size: int >= 2")
      .attr("Tidx: {int32, int64} = DT_INT32")
      .shape(space_batch_shape<false>)
      .cpu<SpaceBatch<false>>()
      .gradient(space_batch_gradient)
      .doc("The inverse of SpaceToBatch, cropped.");
  registry.op("SpaceToBatchND")
      .input("input: T")
      .input("block_shape: Tblock_shape")
      .input("paddings: Tpaddings")
      .output("output: T")
      .attr("T: type")
      .attr("Tblock_shape: {int32, int64} = DT_INT32")
      .attr("Tpaddings: {int32, int64} = DT_INT32")
      .shape(space_batch_nd_shape<true>)
      .cpu<SpaceBatchNd<true>>()
      .gradient(space_batch_nd_gradient)
      .doc("Blocks of dimensions 1 .. m, padded with zeros, moved into the batch dimension.");
  registry.op("BatchToSpaceND")
      .input("input: T")
      .input("block_shape: Tblock_shape")
      .input("crops: Tcrops")
      .output("output: T")
      .attr("T: type")
      .attr("Tblock_shape: {int32, int64} = DT_INT32")
      .attr("Tcrops: {int32, int64} = DT_INT32")
      .shape(space_batch_nd_shape<false>)
      .cpu<SpaceBatchNd<false>>()
      .gradient(space_batch_nd_gradient)
      .doc("The inverse of SpaceToBatchND, cropped.");
  registry.op("SpaceToDepth")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .attr("block_size: int >= 2")
      .attr("data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'")
      .shape(space_depth_shape<true>)
      .cpu<SpaceDepth<true>>()
      .gradient(space_depth_gradient)
      .doc("Blocks of height and width moved into the channels.");
  registry.op("DepthToSpace")
      .input("input: T")
      .output("output: T")
      .attr("T: type")
      .attr("block_size: int >= 2")
      .attr("data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'")
      .shape(space_depth_shape<false>)
      .cpu<SpaceDepth<false>>()
      .gradient(space_depth_gradient)
      .doc("Channels spread over blocks of height and width.");
}

}  // namespace millrace
