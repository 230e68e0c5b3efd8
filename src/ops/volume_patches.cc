// Patches of volumes, stacked in the channels: ExtractImagePatches in three dimensions.

#include <limits>
#include <vector>

#include "base/checked.h"
#include "kernels/elements.h"
#include "kernels/parallel.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/array_shapes.h"
#include "ops/gradient_ops.h"
#include "ops/math_gradients.h"
#include "ops/window.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

absl::StatusOr<WindowAttrs> patch_attrs(const NodeInfo& node) {
  WindowAttrs a;
  a.spatial = 3;
  a.dilations.assign(5, 1);
  MR_ASSIGN_OR_RETURN(a.window, get_attr<std::vector<int64_t>>(node, "ksizes"));
  MR_ASSIGN_OR_RETURN(a.strides, get_attr<std::vector<int64_t>>(node, "strides"));
  MR_ASSIGN_OR_RETURN(const std::string padding, get_attr<std::string>(node, "padding"));
  a.padding = padding == "SAME" ? Padding::kSame : Padding::kValid;
  for (const auto& [name, list] : {std::pair("ksizes", &a.window), std::pair("strides", &a.strides)}) {
    if (list->size() != 5)
      return invalid_argument(node.op, " requires the ", name,
                              " attribute to contain 5 values, but got: ", list->size());
    if (list->front() != 1 || list->back() != 1) return unimplemented("Only support ", name, " across space.");
    for (const int64_t value : *list) {
      if (value < 1 || value > std::numeric_limits<int32_t>::max())
        return out_of_range(name, " is out of range: ", value);
    }
  }
  return a;
}

struct Volume {
  int64_t batch = 0, channels = 0;
  WindowDim dims[3];
  int64_t in_row() const { return dims[2].input * channels; }
  int64_t in_plane() const { return dims[1].input * in_row(); }
  int64_t patch() const { return dims[0].window * dims[1].window * dims[2].window * channels; }
};

// The patch at output position [z, y, x]; what lies outside stays zero.
template <class S> void copy_patch(const Volume& v, const S* from, int64_t z, int64_t y, int64_t x, S* to) {
  fill_zero(to, v.patch());
  const WindowDim::Taps planes = v.dims[0].taps(z), rows = v.dims[1].taps(y), columns = v.dims[2].taps(x);
  const int64_t run = (columns.end - columns.begin) * v.channels;
  for (int64_t kz = planes.begin; kz < planes.end; ++kz) {
    for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
      const int64_t at = (v.dims[0].start(z) + kz) * v.in_plane() + (v.dims[1].start(y) + ky) * v.in_row() +
                         (v.dims[2].start(x) + columns.begin) * v.channels;
      copy_run(from + at, to + ((kz * v.dims[1].window + ky) * v.dims[2].window + columns.begin) * v.channels, run);
    }
  }
}

class ExtractVolumePatches final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(attrs_, patch_attrs(init.node()));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const TensorShape& in = ctx.shape(0);
    if (in.rank() != 5) return invalid_argument("input must be 5-dimensional", in);
    Volume v{.batch = in.dim(0), .channels = in.dim(4), .dims = {}};
    CheckedInt depth = v.channels;
    for (int i = 0; i < 3; ++i) {
      MR_ASSIGN_OR_RETURN(v.dims[i], place_window(attrs_, i, in.dim(i + 1), attrs_.window[static_cast<size_t>(i + 1)]));
      depth *= v.dims[i].window;
    }
    if (!depth.valid()) return invalid_argument("patches are too large");
    MR_ASSIGN_OR_RETURN(const TensorShape shape,
                        make_shape({v.batch, v.dims[0].output, v.dims[1].output, v.dims[2].output, depth.value()}));
    const Tensor volumes = ctx.input(0);
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    if (shape.num_elements() == 0) return absl::OkStatus();
    return with_storage(volumes.dtype(), [&]<class S>(std::type_identity<S>) {
      extract(v, static_cast<const S*>(volumes.raw_data()), static_cast<S*>(out->raw_mutable_data()));
      return absl::OkStatus();
    });
  }

 private:
  template <class S> static void extract(const Volume& v, const S* volumes, S* out) {
    const int64_t planes = v.dims[0].output, rows = v.dims[1].output, columns = v.dims[2].output;
    parallel_for(v.batch * planes * rows, static_cast<double>(columns * v.patch()), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const S* volume = volumes + r / rows / planes * v.dims[0].input * v.in_plane();
        for (int64_t x = 0; x < columns; ++x)
          copy_patch(v, volume, r / rows % planes, r % rows, x, out + (r * columns + x) * v.patch());
      }
    });
  }

  WindowAttrs attrs_;
};

absl::Status patches_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape in, c.with_rank(0, 5));
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, patch_attrs(c.node()));
  std::vector<int64_t> dims = to_dims(in);
  for (int i = 0; i < 3; ++i) {
    const auto d = static_cast<size_t>(i + 1);
    MR_ASSIGN_OR_RETURN(dims[d], output_size(a, i, dims[d], a.window[d]));
    dims[4] = multiply_dims(dims[4], a.window[d]);
  }
  return c.set_output(0, make_partial_shape(dims));
}

// --- Gradient: as TensorFlow's rule builds it, a sparse matrix of ones from positions in the patches to elements of a
// volume, which is found by taking patches of the elements' numbers, times the gradient of the patches.

// x[i] of a vector.
Output element(GradientContext& g, const Output& x, int64_t i) {
  const auto scope = g.name_scope("strided_slice");
  const Output begin = int_list(g, {i}, "stack"), end = int_list(g, {i + 1}, "stack_1");
  const Output strides = int_list(g, {1}, "stack_2");
  return g.op("StridedSlice", {x, begin, end, strides}, {{"shrink_axis_mask", int64_t{1}}}, "/");
}

// The numbers [begin, end) in a shape.
Output numbers(GradientContext& g, int64_t begin, int64_t end, const std::vector<int32_t>& dims) {
  Output range;
  {
    const auto scope = g.name_scope("range");
    const Output start = g.constant(Tensor(begin), "start"), limit = g.constant(Tensor(end), "limit");
    range = g.op("Range", {start, limit, g.constant(Tensor(int64_t{1}), "delta")}, {}, "/");
  }
  return gradients::reshape(g, range, dims);
}

// tf.reshape(x, dims), where a dimension is a tensor or a number.
struct Dim {
  Output tensor = {};
  int64_t number = 0;
};
Output reshape_to(GradientContext& g, const Output& x, const std::vector<Dim>& dims) {
  const auto scope = g.name_scope("Reshape");
  std::vector<Output> packed;
  Output shape;
  {
    const auto inner = g.name_scope("shape");
    for (size_t i = 0; i < dims.size(); ++i)
      packed.push_back(dims[i].tensor ? dims[i].tensor
                                      : g.int32_scalar(static_cast<int32_t>(dims[i].number), std::to_string(i)));
    shape = stack(g, packed, "/");
  }
  return g.op("Reshape", {x, shape}, {}, "/");
}

Output transpose(GradientContext& g, const Output& x, const std::vector<int64_t>& order) {
  const auto scope = g.name_scope("transpose");
  const Output perm = int_list(g, order, "perm");
  return g.op("Transpose", {x, perm}, {}, "/");
}

Output expand_last(GradientContext& g, const Output& x) {
  return op_with_literal(g, "ExpandDims", x, Tensor(int32_t{-1}), "dim", "ExpandDims");
}

template <class T> absl::StatusOr<Tensor> filled(const TensorShape& shape, T value) {
  MR_ASSIGN_OR_RETURN(Tensor tensor, make_tensor(dtype_of<T>, shape));
  std::ranges::fill(tensor.unchecked_mutable<T>(), value);
  return tensor;
}
absl::StatusOr<Tensor> vector_of_ones(DataType dtype, int64_t n) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({n}));
  switch (dtype) {
    case DataType::kHalf: return filled(shape, Half(1.0f));
    case DataType::kBfloat16: return filled(shape, BFloat16(1.0f));
    case DataType::kFloat: return filled(shape, 1.0f);
    case DataType::kDouble: return filled(shape, 1.0);
    default: return unimplemented("ExtractVolumePatches: no gradient of type ", dtype_name(dtype));
  }
}

// tf.ones([n]): a constant where it is small.
Output ones(GradientContext& g, int64_t n, DataType dtype) {
  constexpr int64_t kLargestConstant = 1000;
  if (n < kLargestConstant) {
    const absl::StatusOr<Tensor> value = vector_of_ones(dtype, n);
    if (value.ok()) return g.constant(*value, "ones", true);
    g.fail(value.status());
    return {};
  }
  const auto scope = g.name_scope("ones");
  const Output dims = int_list(g, {n}, "shape_as_tensor");
  return g.op("Fill", {dims, gradients::scalar(g, dtype, 1)}, {}, "/");
}

// The sizes of what one patch matrix maps, all known.
struct PatchSizes {
  std::vector<int64_t> in, out, window;  // planes, rows, columns
  int64_t elements = 1, positions = 1, taps = 1;
};
absl::StatusOr<PatchSizes> patch_sizes(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const WindowAttrs a, patch_attrs(g.node()));
  const PartialTensorShape in = g.shape(g.x(0)), out = g.shape(g.y(0));
  PatchSizes s;
  for (int i = 1; i <= 3; ++i) {
    if (!in.has_rank() || !out.has_rank() || in.dim(i) < 0 || out.dim(i) < 0)
      return invalid_argument("ExtractVolumePatches: the gradient needs known planes, rows and columns of its input");
    s.in.push_back(in.dim(i)), s.out.push_back(out.dim(i)), s.window.push_back(a.window[static_cast<size_t>(i)]);
    s.elements = multiply_dims(s.elements, s.in.back());
    s.positions = multiply_dims(s.positions, s.out.back());
    s.taps = multiply_dims(s.taps, s.window.back());
  }
  constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();
  if (s.elements < 0 || s.elements >= kLimit || multiply_dims(s.positions, s.taps) < 0 ||
      multiply_dims(s.positions, s.taps) >= kLimit)
    return invalid_argument("ExtractVolumePatches: the gradient's matrix is too large");
  return s;
}

// The matrix, [elements of a volume, elements of its patches]: outputs of a SparseSlice that leaves out row 0, where
// what is outside of the volume comes from.
std::vector<Output> patch_matrix(GradientContext& g, const PatchSizes& s, DataType dtype) {
  const auto d = [](int64_t size) { return static_cast<int32_t>(size); };
  const int64_t columns = s.positions * s.taps;
  const Output elements = numbers(g, 1, s.elements + 1, {1, d(s.in[0]), d(s.in[1]), d(s.in[2]), 1});
  const Output from =
      g.op("ExtractVolumePatches", {elements}, copied_attrs(g.node(), {"ksizes", "strides", "padding"}));
  const Output to = numbers(g, 0, columns, {1, d(s.out[0]), d(s.out[1]), d(s.out[2]), d(s.taps)});
  const Output from_last = expand_last(g, from);
  const Output pairs = gradients::reshape(g, concat(g, {from_last, expand_last(g, to)}, -1), {-1, 2});
  const Output values = ones(g, columns, dtype);
  Output dims;
  {
    const auto scope = g.name_scope("SparseTensor");
    dims = int_list(g, {s.elements + 1, columns}, "dense_shape", DataType::kInt64);
  }
  const Output start = int_list(g, {1, 0}, "Const", DataType::kInt64);
  const Output size = int_list(g, {s.elements, columns}, "Const", DataType::kInt64);
  return g.op_outputs("SparseSlice", {pairs, values, dims, start, size});
}

absl::Status patches_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const PatchSizes s, patch_sizes(g));
  const Output shape = shape_of(g, g.x(0));
  const Output batch = element(g, shape, 0), channels = element(g, shape, 4);
  const std::vector<Output> matrix = patch_matrix(g, s, g.dtype(g.dy(0)));
  if (matrix.size() != 3) return absl::OkStatus();  // the failure is kept
  const Output split = reshape_to(g, g.dy(0),
                                  {{batch},
                                   {{}, s.out[0]},
                                   {{}, s.out[1]},
                                   {{}, s.out[2]},
                                   {{}, s.window[0]},
                                   {{}, s.window[1]},
                                   {{}, s.window[2]},
                                   {channels}});
  const Output turned = transpose(g, split, {1, 2, 3, 4, 5, 6, 0, 7});
  const Output columns = g.op("Mul", {batch, channels}, {}, "mul");
  const Output flat = reshape_to(g, turned, {{{}, -1}, {columns}});
  Output product;
  {
    const auto scope = g.name_scope("SparseTensorDenseMatMul");
    product = g.op("SparseTensorDenseMatMul", {matrix[0], matrix[1], matrix[2], flat});
  }
  const Output volume = reshape_to(g, product, {{{}, s.in[0]}, {{}, s.in[1]}, {{}, s.in[2]}, {batch}, {channels}});
  g.set_dx(0, transpose(g, volume, {3, 0, 1, 2, 4}));
  return absl::OkStatus();
}

}  // namespace

void register_volume_patches(Registry& registry) {
  registry.op("ExtractVolumePatches")
      .input("input: T")
      .output("patches: T")
      .attr("ksizes: list(int) >= 5")
      .attr("strides: list(int) >= 5")
      .attr("T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64}")
      .attr("padding: {'SAME', 'VALID'}")
      .shape(patches_shape)
      .cpu<ExtractVolumePatches>()
      .gradient(patches_gradient)
      .doc("Patches on a grid of each volume, stacked in the channels.");
}

}  // namespace millrace
