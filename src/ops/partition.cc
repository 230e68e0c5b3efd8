// Rows dealt out to several tensors by a partition number, and put together again by index.

#include "kernels/bounded_index.h"
#include "kernels/elements.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/index_text.h"

namespace millrace {
namespace {

bool starts_with(const PartialTensorShape& shape, const PartialTensorShape& prefix) {
  if (!shape.has_rank() || !prefix.has_rank()) return true;
  if (prefix.rank() > shape.rank()) return false;
  for (int d = 0; d < prefix.rank(); ++d) {
    if (shape.dim(d) >= 0 && prefix.dim(d) >= 0 && shape.dim(d) != prefix.dim(d)) return false;
  }
  return true;
}

// ---- DynamicPartition

absl::Status dynamic_partition_shape(ShapeContext& c) {
  const PartialTensorShape& data = c.input(0);
  const PartialTensorShape& partitions = c.input(1);
  if (!starts_with(data, partitions)) {
    return c.set_output(0, invalid_argument("data.shape must start with partitions.shape, got data.shape = ", data,
                                            ", partitions.shape = ", partitions));
  }
  if (!data.has_rank() || !partitions.has_rank()) return absl::OkStatus();
  std::vector<int64_t> dims = {-1};
  dims.insert(dims.end(), data.dims().begin() + partitions.rank(), data.dims().end());
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape(dims)));
  return absl::OkStatus();
}

class DynamicPartition final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const Tensor data = ctx.input(0);
    const TensorShape partition_shape = ctx.shape(1);
    if (!starts_with(data.shape(), partition_shape)) {
      return invalid_argument("data.shape must start with partitions.shape, got data.shape = ", data.shape(),
                              ", partitions.shape = ", partition_shape);
    }
    MR_ASSIGN_OR_RETURN(const std::span<const int32_t> partitions, ctx.flat<int32_t>(1));
    const int n = ctx.num_outputs();
    std::vector<int64_t> owner(partitions.size());
    std::vector<int64_t> counts(static_cast<size_t>(n), 0);
    for (size_t i = 0; i < partitions.size(); ++i) {
      if (!read_bounded(&partitions[i], n, &owner[i])) {
        return invalid_argument("partitions", position_text(partition_shape, static_cast<int64_t>(i)), " = ", owner[i],
                                " is not in [0, ", n, ")");
      }
      ++counts[static_cast<size_t>(owner[i])];
    }
    int64_t width = 1;
    std::vector<int64_t> dims = {0};
    for (int d = partition_shape.rank(); d < data.rank(); ++d) {
      dims.push_back(data.dim(d));
      width *= data.dim(d);
    }
    std::vector<Tensor*> outs;
    for (int i = 0; i < n; ++i) {
      dims[0] = counts[static_cast<size_t>(i)];
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
      MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(i, shape));
      outs.push_back(out);
    }
    return with_storage(data.dtype(), [&]<class S>(std::type_identity<S>) {
      const S* src = static_cast<const S*>(data.raw_data());
      std::vector<S*> next;
      for (Tensor* out : outs) next.push_back(static_cast<S*>(out->raw_mutable_data()));
      for (size_t i = 0; i < owner.size(); ++i) {
        S*& to = next[static_cast<size_t>(owner[i])];
        copy_run(src + static_cast<int64_t>(i) * width, to, width);
        to += width;
      }
      return absl::OkStatus();
    });
  }
};

// The rows' numbers go through the same partition; stitching by them puts the gradients back in place.
absl::Status dynamic_partition_gradient(GradientContext& g) {
  const Output data = g.x(0), partitions = g.x(1);
  const int n = g.num_outputs();
  std::vector<Output> dys;
  for (int i = 0; i < n; ++i) dys.push_back(g.dy(i));
  const Output prefix = shape_of(g, partitions);
  const Output axes = int_list(g, {0});
  const Output count = g.op("Prod", {prefix, axes}, {{"keep_dims", false}});
  Output numbers;
  {
    const auto scope = g.name_scope("range");
    const Output start = g.int32_scalar(0, "start");
    const Output delta = g.int32_scalar(1, "delta");
    numbers = g.op("Range", {start, count, delta}, {}, "/");
  }
  const Output shaped = g.op("Reshape", {numbers, prefix});
  const std::vector<Output> dealt =
      g.op_outputs("DynamicPartition", {shaped, partitions}, {{"num_partitions", int64_t{n}}});
  if (dealt.size() != dys.size()) return absl::OkStatus();
  const std::vector<Output> together = g.op_with_lists("ParallelDynamicStitch", {dealt, dys});
  if (together.empty()) return absl::OkStatus();
  g.set_dx(0, g.op("Reshape", {together[0], shape_of(g, data)}));
  return absl::OkStatus();
}

// ---- DynamicStitch

absl::Status dynamic_stitch_shape(ShapeContext& c) {
  const int n = c.num_inputs() / 2;
  bool all_known = true;
  int64_t largest = -1;
  PartialTensorShape rest;
  for (int i = 0; i < n; ++i) {
    const PartialTensorShape& indices = c.input(i);
    const PartialTensorShape& data = c.input(n + i);
    MR_ASSIGN_OR_RETURN(const auto known, c.int_values(i));
    all_known &= known.has_value();
    if (known) {
      for (const int64_t v : *known) largest = std::max(largest, v);
    }
    if (!starts_with(data, indices)) {
      return c.set_output(0, invalid_argument("data[", i, "].shape = ", data, " does not start with indices[", i,
                                              "].shape = ", indices));
    }
    if (!data.has_rank() || !indices.has_rank()) continue;
    MR_ASSIGN_OR_RETURN(const PartialTensorShape tail,
                        make_partial_shape(data.dims().subspan(static_cast<size_t>(indices.rank()))));
    auto merged = merge(rest, tail);
    if (!merged.ok()) return c.set_output(0, merged.status());
    rest = *std::move(merged);
  }
  if (!rest.has_rank()) return absl::OkStatus();
  std::vector<int64_t> dims = {all_known ? largest + 1 : -1};
  dims.insert(dims.end(), rest.dims().begin(), rest.dims().end());
  return c.set_output(0, make_partial_shape(dims));
}

class DynamicStitch final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const int n = ctx.num_inputs() / 2;
    int64_t largest = -1;
    std::vector<std::vector<int64_t>> indices;
    for (int i = 0; i < n; ++i) {
      MR_ASSIGN_OR_RETURN(indices.emplace_back(), ctx.int_values(i));
      for (size_t j = 0; j < indices.back().size(); ++j) {
        if (indices.back()[j] < 0)
          return invalid_argument("indices[", i, "]", position_text(ctx.shape(i), static_cast<int64_t>(j)), " = ",
                                  indices.back()[j], " is out of range");
        largest = std::max(largest, indices.back()[j]);
      }
    }
    const auto tail = [&](int i) { return subshape(ctx.shape(n + i), ctx.shape(i).rank(), ctx.shape(n + i).rank()); };
    for (int i = 0; i < n; ++i) {
      if (!starts_with(ctx.shape(n + i), ctx.shape(i))) {
        return invalid_argument("data[", i, "].shape = ", ctx.shape(n + i), " does not start with indices[", i,
                                "].shape = ", ctx.shape(i));
      }
      if (!(tail(i) == tail(0))) {
        return invalid_argument("Need data[0].shape[", ctx.shape(0).rank(), ":] = data[", i, "].shape[",
                                ctx.shape(i).rank(), ":], got data[0].shape = ", ctx.shape(n), ", data[", i,
                                "].shape = ", ctx.shape(n + i), ", indices[0].shape = ", ctx.shape(0), ", indices[", i,
                                "].shape = ", ctx.shape(i));
      }
    }
    const int64_t width = tail(0).num_elements();
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(tail(0), 0, largest + 1));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      S* dst = static_cast<S*>(out->raw_mutable_data());
      fill_zero(dst, out->num_elements());  // rows that no index names
      for (int i = 0; i < n; ++i) {
        const S* src = static_cast<const S*>(ctx.input(n + i).raw_data());
        for (const int64_t row : indices[static_cast<size_t>(i)]) {
          copy_run(src, dst + row * width, width);
          src += width;
        }
      }
      return absl::OkStatus();
    });
  }
};

absl::Status dynamic_stitch_gradient(GradientContext& g) {
  const int n = g.num_inputs() / 2;
  const Output dy = g.dy(0);
  for (int i = 0; i < n; ++i) {
    const auto scope = g.name_scope("GatherV2");
    const Output axis = g.int32_scalar(0, "axis");
    g.set_dx(n + i, g.op("GatherV2", {dy, g.x(i), axis}, {}, "/"));
  }
  return absl::OkStatus();
}

}  // namespace

void register_partition(Registry& registry) {
  registry.op("DynamicPartition")
      .input("data: T")
      .input("partitions: int32")
      .output("outputs: num_partitions * T")
      .attr("num_partitions: int >= 1")
      .attr("T: type")
      .shape(dynamic_partition_shape)
      .cpu<DynamicPartition>()
      .gradient(dynamic_partition_gradient)
      .doc("Rows dealt out by their partition number.");
  for (const char* name : {"DynamicStitch", "ParallelDynamicStitch"}) {
    registry.op(name)
        .input("indices: N * int32")
        .input("data: N * T")
        .output("merged: T")
        .attr("N: int >= 1")
        .attr("T: type")
        .shape(dynamic_stitch_shape)
        .cpu<DynamicStitch>()
        .gradient(dynamic_stitch_gradient)
        .doc("Rows of several tensors put where their indices say; of equal indices the last one wins.");
  }
}

}  // namespace millrace
