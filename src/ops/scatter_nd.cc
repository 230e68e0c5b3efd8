// Updates written or accumulated into a tensor by indices of several components.

#include "kernels/elements.h"
#include "kernels/gather.h"
#include "kernels/number.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/index_text.h"

namespace millrace {
namespace {

// indices: [rows..., depth], updates: [rows..., shape[depth:]...].
absl::Status check_shapes(const PartialTensorShape& indices, const PartialTensorShape& updates,
                          const PartialTensorShape& shape) {
  if (!indices.has_rank() || !updates.has_rank() || !shape.has_rank()) return absl::OkStatus();
  if (indices.rank() < 1) return invalid_argument("indices must be at least a vector, got shape ", indices);
  const int rows = indices.rank() - 1;
  const int64_t depth = indices.dim(rows);
  if (depth < 0) return absl::OkStatus();
  if (depth > shape.rank()) {
    return invalid_argument("The inner ", depth, " dimensions of input.shape=", shape,
                            " cannot be indexed by indices.shape=", indices, ": its last dimension must be <= rank");
  }
  bool fits = updates.rank() == rows + shape.rank() - depth;
  for (int d = 0; fits && d < updates.rank(); ++d) {
    const int64_t wanted = d < rows ? indices.dim(d) : shape.dim(static_cast<int>(depth) + d - rows);
    fits = wanted < 0 || updates.dim(d) < 0 || wanted == updates.dim(d);
  }
  if (fits) return absl::OkStatus();
  return invalid_argument("Dimensions [0,", rows, ") of indices[shape=", indices, "] must match dimensions [0,", rows,
                          ") of updates[shape=", updates,
                          "], and the inner dimensions of updates those of input[shape=", shape, "]");
}

absl::Status scatter_nd_shape(ShapeContext& c) {
  if (c.node().input_types[2] == DataType::kInt16) {
    const Tensor* value = c.value(2);
    if (value == nullptr || value->rank() != 1) return absl::OkStatus();
    const auto dims = value->unchecked<int16_t>();
    return c.set_output(0, make_partial_shape(std::vector<int64_t>(dims.begin(), dims.end())));
  }
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.as_shape(2));
  if (absl::Status status = check_shapes(c.input(0), c.input(1), shape); !status.ok()) return c.set_output(0, status);
  return c.set_output(0, shape);
}

absl::Status tensor_scatter_shape(ShapeContext& c) {
  if (c.input(0).rank() == 0) return c.set_output(0, invalid_argument("Shape must be at least rank 1 but is rank 0"));
  if (absl::Status status = check_shapes(c.input(1), c.input(2), c.input(0)); !status.ok())
    return c.set_output(0, status);
  return c.set_output(0, c.input(0));
}

struct Assign {
  template <class T> static T apply(const T&, const T& b) { return b; }
};
struct Or {
  static bool apply(bool a, bool b) { return a || b; }
};
struct Append {
  static std::string apply(const std::string& a, const std::string& b) { return a + b; }
};

absl::StatusOr<bool> ignores_bad_indices(KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const std::string policy, init.attr<std::string>("bad_indices_policy"));
  if (policy != "" && policy != "DEFAULT" && policy != "ERROR" && policy != "IGNORE")
    return invalid_argument("Unknown bad indices handling attribute: ", policy);
  return policy == "IGNORE";
}

// Combines updates into `out` in order, so that the last of equal indices wins an assignment.
template <class Op, class T, class I>
absl::Status scatter(const TensorShape& index_shape, std::span<const I> indices, const T* updates, bool ignore_bad,
                     Tensor& out) {
  const int rows_rank = index_shape.rank() - 1;
  const int64_t depth = index_shape.dim(rows_rank);
  const auto outer = out.shape().dims().first(static_cast<size_t>(depth));
  int64_t inner = 1;
  for (int d = static_cast<int>(depth); d < out.rank(); ++d) inner *= out.dim(d);
  int64_t rows = 1;
  for (int d = 0; d < rows_rank; ++d) rows *= index_shape.dim(d);
  T* dst = static_cast<T*>(out.raw_mutable_data());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t position = nd_position(indices.data() + row * depth, outer);
    if (position < 0) {
      if (ignore_bad) continue;
      std::string components;
      for (int64_t k = 0; k < depth; ++k)
        str_append(&components, k ? ", " : "", static_cast<int64_t>(indices[static_cast<size_t>(row * depth + k)]));
      return invalid_argument("indices", position_text(subshape(index_shape, 0, rows_rank), row), " = [", components,
                              "] does not index into shape ", out.shape());
    }
    T* to = dst + position * inner;
    const T* from = updates + row * inner;
    for (int64_t i = 0; i < inner; ++i) to[i] = Op::apply(to[i], from[i]);
  }
  return absl::OkStatus();
}

template <class Op, class T>
absl::Status scatter_any_index(KernelContext& ctx, int indices, int updates, bool ignore_bad, Tensor& out) {
  MR_RETURN_IF_ERROR(check_shapes(ctx.shape(indices), ctx.shape(updates), out.shape()));
  if (ctx.shape(indices).rank() < 1) return invalid_argument("indices must be at least a vector");
  if (out.num_elements() == 0 && ctx.input(updates).num_elements() > 0) {
    return invalid_argument("Indices and updates specified for empty output. indices shape: ", ctx.shape(indices));
  }
  const Tensor& index = ctx.input(indices);
  const T* from = static_cast<const T*>(ctx.input(updates).raw_data());
  switch (index.dtype()) {
    case DataType::kInt16: return scatter<Op, T>(index.shape(), index.unchecked<int16_t>(), from, ignore_bad, out);
    case DataType::kUint16: return scatter<Op, T>(index.shape(), index.unchecked<uint16_t>(), from, ignore_bad, out);
    case DataType::kInt32: return scatter<Op, T>(index.shape(), index.unchecked<int32_t>(), from, ignore_bad, out);
    case DataType::kInt64: return scatter<Op, T>(index.shape(), index.unchecked<int64_t>(), from, ignore_bad, out);
    default: return invalid_argument("indices must be integers");
  }
}

// How ScatterNd combines equal indices: numbers add up, strings append, truths are or'ed.
template <class T> struct Sum { using Op = Add; };
template <> struct Sum<bool> { using Op = Or; };
template <> struct Sum<std::string> { using Op = Append; };

template <class T> class ScatterNd final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(ignore_bad_, ignores_bad_indices(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.input(2).rank() != 1) return invalid_argument("Shape must be a vector, got shape ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, output_shape(ctx));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    fill_zero(static_cast<T*>(out->raw_mutable_data()), out->num_elements());
    return scatter_any_index<typename Sum<T>::Op, T>(ctx, 0, 1, ignore_bad_, *out);
  }

 private:
  static absl::StatusOr<TensorShape> output_shape(KernelContext& ctx) {
    if (ctx.input(2).dtype() != DataType::kInt16) return ctx.shape_value(2);
    MR_ASSIGN_OR_RETURN(const auto dims, ctx.flat<int16_t>(2));
    return make_shape(std::vector<int64_t>(dims.begin(), dims.end()));
  }
  bool ignore_bad_ = false;
};

// A tensor with updates combined in. Works in its input's buffer where nobody else holds it.
template <class Op, class T> class TensorScatter : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(ignore_bad_, ignores_bad_indices(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor* input = &ctx.input(0);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, input->shape()));
    if (out->raw_data() != input->raw_data()) {
      copy_run(static_cast<const T*>(input->raw_data()), static_cast<T*>(out->raw_mutable_data()), out->num_elements());
    }
    return scatter_any_index<Op, T>(ctx, 1, 2, ignore_bad_, *out);
  }

 private:
  bool ignore_bad_ = false;
};

template <class T> using TensorScatterAdd = TensorScatter<typename Sum<T>::Op, T>;
template <class T> using TensorScatterSub = TensorScatter<Subtract, T>;
template <class T> using TensorScatterMin = TensorScatter<Minimum, T>;
template <class T> using TensorScatterMax = TensorScatter<Maximum, T>;

// An assignment does not look at its elements.
class TensorScatterUpdate final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(ignore_bad_, ignores_bad_indices(init));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, ctx.shape(0)));
    return with_storage(out->dtype(), [&]<class S>(std::type_identity<S>) {
      const Tensor& input = ctx.input(0);
      if (out->raw_data() != input.raw_data())
        copy_run(static_cast<const S*>(input.raw_data()), static_cast<S*>(out->raw_mutable_data()),
                 out->num_elements());
      return scatter_any_index<Assign, S>(ctx, 1, 2, ignore_bad_, *out);
    });
  }

 private:
  bool ignore_bad_ = false;
};

// ---- gradients

absl::Status scatter_nd_gradient(GradientContext& g) {
  g.set_dx(1, g.op("GatherNd", {g.dy(0), g.x(0)}));
  return absl::OkStatus();
}

absl::Status tensor_scatter_update_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(2, g.op("GatherNd", {dy, g.x(1)}));
  const Output same = g.op("Identity", {dy});
  const Output zeros = zeros_like(g, g.x(2));
  g.set_dx(0, g.op("TensorScatterUpdate", {same, g.x(1), zeros}));
  return absl::OkStatus();
}

absl::Status tensor_scatter_add_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(2, g.op("GatherNd", {dy, g.x(1)}));
  g.set_dx(0, g.op("Identity", {dy}));
  return absl::OkStatus();
}

absl::Status tensor_scatter_sub_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const Output gathered = g.op("GatherNd", {dy, g.x(1)});
  g.set_dx(0, g.op("Identity", {dy}));
  g.set_dx(2, g.op("Neg", {gathered}));
  return absl::OkStatus();
}

// Every element that reached the extreme shares its gradient.
absl::Status tensor_scatter_extreme_gradient(GradientContext& g) {
  const Output dy = g.dy(0), x = g.x(0), indices = g.x(1), updates = g.x(2), y = g.y(0);
  const DataType dtype = g.dtype(x);
  const Output x_hits = g.op("Cast", {g.op("Equal", {x, y})}, {{"DstT", dtype}});
  const Output reached = g.op("GatherNd", {y, indices});
  const Output update_hits = g.op("Cast", {g.op("Equal", {updates, reached})}, {{"DstT", dtype}});
  const Output shape = shape_of(g, y, g.dtype(indices));
  const Output scattered = g.op("ScatterNd", {indices, update_hits, shape});
  const Output hits = g.op("AddV2", {x_hits, scattered}, {}, "add");
  const Output masked = g.op("Mul", {dy, x_hits}, {}, "mul");
  g.set_dx(0, g.op("RealDiv", {masked, hits}, {}, "truediv"));
  const Output shared = g.op("RealDiv", {dy, hits}, {}, "truediv");
  const Output gathered = g.op("GatherNd", {shared, indices});
  g.set_dx(2, g.op("Mul", {gathered, update_hits}, {}, "mul"));
  return absl::OkStatus();
}

absl::Status scatter_nd_non_aliasing_add_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  g.set_dx(0, dy);
  g.set_dx(2, g.op("GatherNd", {dy, g.x(1)}));
  return absl::OkStatus();
}

OpBuilder tensor_scatter(Registry& registry, const char* name) {
  OpBuilder op = registry.op(name);
  op.input("tensor: T").input("indices: Tindices").input("updates: T").output("output: T").attr("T: type");
  op.attr(std::string_view(name) == "TensorScatterUpdate" ? "Tindices: {int16, int32, int64, uint16}"
                                                          : "Tindices: {int32, int64}");
  op.attr("bad_indices_policy: string = ''").shape(tensor_scatter_shape);
  return op;
}

}  // namespace

void register_scatter_nd(Registry& registry) {
  registry.op("ScatterNd")
      .input("indices: Tindices")
      .input("updates: T")
      .input("shape: Tindices")
      .output("output: T")
      .attr("T: type")
      .attr("Tindices: {int16, int32, int64}")
      .attr("bad_indices_policy: string = ''")
      .shape(scatter_nd_shape)
      .cpu_for<ScatterNd>(NumberTypes(), "T")
      .cpu<ScatterNd, bool, std::string>()
      .gradient(scatter_nd_gradient)
      .doc("Zeros of the given shape with updates added at indices.");
  tensor_scatter(registry, "TensorScatterUpdate")
      .cpu<TensorScatterUpdate>()
      .gradient(tensor_scatter_update_gradient)
      .doc("A tensor with elements replaced at indices.");
  tensor_scatter(registry, "TensorScatterAdd")
      .cpu_for<TensorScatterAdd>(NumberTypes(), "T")
      .cpu<TensorScatterAdd, bool, std::string>()
      .gradient(tensor_scatter_add_gradient)
      .doc("A tensor with updates added at indices.");
  tensor_scatter(registry, "TensorScatterSub")
      .cpu_for<TensorScatterSub>(NumberTypes(), "T")
      .gradient(tensor_scatter_sub_gradient)
      .doc("A tensor with updates subtracted at indices.");
  tensor_scatter(registry, "TensorScatterMin")
      .cpu_for<TensorScatterMin>(RealTypes(), "T")
      .gradient(tensor_scatter_extreme_gradient)
      .doc("A tensor with the smaller of its elements and the updates at indices.");
  tensor_scatter(registry, "TensorScatterMax")
      .cpu_for<TensorScatterMax>(RealTypes(), "T")
      .gradient(tensor_scatter_extreme_gradient)
      .doc("A tensor with the larger of its elements and the updates at indices.");
  registry.op("ScatterNdNonAliasingAdd")
      .input("input: T")
      .input("indices: Tindices")
      .input("updates: T")
      .output("output: T")
      .attr("T: {numbertype, bool}")
      .attr("Tindices: {int32, int64}")
      .attr("bad_indices_policy: string = ''")
      .shape(tensor_scatter_shape)
      .cpu_for<TensorScatterAdd>(NumberTypes(), "T")
      .cpu<TensorScatterAdd, bool>()
      .gradient(scatter_nd_non_aliasing_add_gradient)
      .doc("A tensor with updates added at indices.");
}

}  // namespace millrace
