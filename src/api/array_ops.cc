#include "millrace/array_ops.h"

#include <algorithm>

#include "api/op_builder.h"
#include "base/strings.h"
#include "millrace/math_ops.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

// Python builds small fills of a known shape as constants.
constexpr int64_t kLargestConstantFill = 1000;

Tensor filled(DataType dtype, const TensorShape& shape, double value) {
  const Tensor number = is_integer(dtype) ? Tensor(static_cast<int64_t>(value)) : Tensor(value);
  const Tensor one = value_or_raise(cast_literal(number, dtype));
  Tensor t = value_or_raise(make_zeroed_tensor(dtype, shape));
  if (value != 0) {
    char* data = static_cast<char*>(t.raw_mutable_data());
    const size_t bytes = dtype_size(dtype);
    for (int64_t i = 0; i < t.num_elements(); ++i)
      std::copy_n(static_cast<const char*>(one.raw_data()), bytes, data + static_cast<size_t>(i) * bytes);
  }
  return t;
}

// The constant that starts a fill: zero of the dtype, "" for strings, false for bools.
Tensor scalar_of(DataType dtype, double value) {
  if (dtype == string) return Tensor(std::string());
  if (dtype == bool_) return Tensor(value != 0);
  return filled(dtype, TensorShape(), value);
}

Output filled_output(const Input& shape, double value, std::string_view default_name, const FillOptions& o) {
  const SourceScope source(shape);
  const name_scope scope(name_or(o.name, default_name));
  const DataType dtype = base_dtype(o.dtype);
  if (shape.is_literal()) {
    const Tensor& dims = shape.literal();
    std::vector<int64_t> sizes;
    if (dims.dtype() == int32) {
      for (const int32_t d : dims.flat<int32_t>()) sizes.push_back(d);
    } else if (dims.dtype() == int64) {
      for (const int64_t d : dims.flat<int64_t>()) sizes.push_back(d);
    } else if (dims.num_elements() > 0) {
      raise(invalid_argument(default_name, ": a shape must hold integers, got ", dtype_name(dims.dtype())));
    }
    const TensorShape known = value_or_raise(make_shape(sizes));
    if (known.num_elements() < kLargestConstantFill && dtype != string && dtype != bool_) {
      return constant(filled(dtype, known, value), {.name = scope.name()});
    }
    std::vector<int32_t> narrow(sizes.begin(), sizes.end());
    const Output shape_tensor = constant(narrow, {.name = "shape_as_tensor"});
    return create_output("Fill", {shape_tensor, constant(scalar_of(dtype, value))}, {}, scope.name());
  }
  const Output dims = convert_to_tensor(shape, DataType::kInvalid, "shape");
  return create_output("Fill", {dims, constant(scalar_of(dtype, value))}, {}, scope.name());
}

}  // namespace

Output zeros(const IntList& shape, const FillOptions& o) { return filled_output(shape, 0, "zeros", o); }
Output ones(const IntList& shape, const FillOptions& o) { return filled_output(shape, 1, "ones", o); }

Output zeros_like(const Input& tensor, const LikeOptions& o) {
  const SourceScope source(tensor);
  const name_scope scope(name_or(o.name, "zeros_like"));
  const Output x = convert_to_tensor(tensor, DataType::kInvalid, "tensor");
  const DataType dtype = o.dtype == DataType::kInvalid ? base_dtype(x.dtype()) : base_dtype(o.dtype);
  const bool plain = dtype != variant && dtype != resource;
  if (o.optimize && plain && x.shape().is_fully_defined()) {
    const TensorShape known = value_or_raise(as_tensor_shape(x.shape()));
    std::vector<int32_t> dims(known.dims().begin(), known.dims().end());
    return zeros(dims.empty() ? Input(Tensor(TensorShape({0}), std::vector<int32_t>())) : Input(dims),
                 {.dtype = dtype, .name = scope.name()});
  }
  if (dtype != base_dtype(x.dtype()) && plain) return zeros(shape_tensor(x), {.dtype = dtype, .name = scope.name()});
  return create_output("ZerosLike", {x}, {}, scope.name());
}

Output ones_like(const Input& tensor, const LikeOptions& o) {
  const SourceScope source(tensor);
  const name_scope scope(name_or(o.name, "ones_like"));
  const Output x = convert_to_tensor(tensor, DataType::kInvalid, "tensor");
  const DataType dtype = o.dtype == DataType::kInvalid ? base_dtype(x.dtype()) : base_dtype(o.dtype);
  Output dims;
  if (o.optimize && x.shape().is_fully_defined()) {
    const name_scope shape_scope("Shape");
    const PartialTensorShape known = x.shape();
    std::vector<int32_t> sizes(known.dims().begin(), known.dims().end());
    dims = constant(Tensor(TensorShape({static_cast<int64_t>(sizes.size())}), sizes), {.name = "shape_as_tensor"});
  } else {
    dims = create_output("Shape", {x}, {{"out_type", int32}});
  }
  return create_output("Fill", {dims, constant(scalar_of(dtype, 1))}, {}, scope.name());
}

Output fill(const IntList& dims, const Input& value, const NameOptions& o) {
  const SourceScope source(dims);
  return create_output("Fill", {dims, value}, {}, o.name);
}

Output one_hot(const Input& indices, const Input& depth, const OneHotOptions& o) {
  const SourceScope source(indices);
  const name_scope scope(name_or(o.name, "one_hot"));
  DataType dtype = o.dtype;
  Input on = o.on_value, off = o.off_value;
  if (on) {
    on = convert_to_tensor(on, dtype);
    if (dtype == DataType::kInvalid) dtype = base_dtype(on.output().dtype());
  }
  if (off) {
    off = convert_to_tensor(off, dtype);
    if (dtype == DataType::kInvalid) dtype = base_dtype(off.output().dtype());
  }
  if (dtype == DataType::kInvalid) dtype = float32;
  if (!on) on = convert_to_tensor(scalar_of(dtype, 1), dtype, "on_value");
  if (!off) off = convert_to_tensor(scalar_of(dtype, 0), dtype, "off_value");
  return create_output("OneHot", {indices, depth, on, off}, {{"axis", o.axis}}, scope.name());
}

Output shape(const Input& input, const ShapeOptions& o) {
  const SourceScope source(input);
  return shape_tensor(convert_to_tensor(input), o.out_type, o.name);
}

Output size(const Input& input, const ShapeOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "Size"));
  const Output x = convert_to_tensor(input);
  if (const int64_t n = x.shape().num_elements(); n >= 0)
    return constant(n, {.dtype = o.out_type, .name = scope.name()});
  return create_output("Size", {x}, {{"out_type", o.out_type}}, scope.name());
}

Output rank(const Input& input, const NameOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "Rank"));
  const Output x = convert_to_tensor(input);
  if (x.shape().has_rank()) return constant(x.shape().rank(), {.dtype = int32, .name = scope.name()});
  return create_output("Rank", {x}, {}, scope.name());
}

Output reshape(const Input& tensor, const IntList& shape, const NameOptions& o) {
  const SourceScope source(tensor);
  return create_output("Reshape", {tensor, shape}, {}, o.name);
}

Output expand_dims(const Input& input, const Input& axis, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("ExpandDims", {input, axis}, {}, o.name);
}

Output squeeze(const Input& input, const SqueezeOptions& o) {
  const SourceScope source(input);
  return create_output("Squeeze", {input}, {{"squeeze_dims", o.axis}}, o.name);
}

Output ensure_shape(const Input& x, const PartialTensorShape& shape, const NameOptions& o) {
  const SourceScope source(x);
  return create_output("EnsureShape", {x}, {{"shape", shape}}, o.name);
}

Output broadcast_to(const Input& input, const IntList& shape, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("BroadcastTo", {input, shape}, {}, o.name);
}

Output transpose(const Input& a, const TransposeOptions& o) {
  const SourceScope source(a);
  const name_scope scope(name_or(o.name, "transpose"));
  const Output x = convert_to_tensor(a, DataType::kInvalid, "a");
  const std::string_view type = o.conjugate && is_complex(base_dtype(x.dtype())) ? "ConjugateTranspose" : "Transpose";
  if (o.perm) return create_output(type, {x, o.perm}, {}, scope.name());
  const PartialTensorShape shape = x.shape();
  if (shape.has_rank()) {
    std::vector<int32_t> perm(static_cast<size_t>(shape.rank()));
    for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int32_t>(perm.size() - 1 - i);
    return create_output(type, {x, Tensor(TensorShape({static_cast<int64_t>(perm.size())}), perm)}, {}, scope.name());
  }
  const Output r = create_output("Rank", {x});
  return create_output(type, {x, (r - 1) - range(Input(0), r, 1)}, {}, scope.name());
}

Output transpose(const Input& a, const IntList& perm, const NameOptions& o) {
  return transpose(a, TransposeOptions{.perm = perm, .name = o.name});
}

Output concat(const std::vector<Output>& values, const Input& axis, const NameOptions& o) {
  const SourceScope source(axis);
  if (values.empty()) raise(invalid_argument("concat: values must be a list of at least one tensor"));
  if (values.size() == 1) {
    const name_scope scope(name_or(o.name, "concat"));
    const Output dim = convert_to_tensor(axis, int32, "concat_dim");
    if (dim.shape().has_rank() && dim.shape().rank() != 0)
      raise(invalid_argument("concat: axis must be a scalar, got shape ", dim.shape()));
    return identity(values[0], {.name = "concat"});
  }
  return create_output("ConcatV2", {values, axis}, {}, name_or(o.name, "concat"));
}

Output stack(const std::vector<Output>& values, const StackOptions& o) {
  return create_output("Pack", {values}, {{"axis", o.axis}}, name_or(o.name, "stack"));
}

Output parallel_stack(const std::vector<Output>& values, const NameOptions& o) {
  const name_scope scope(name_or(o.name, "parallel_stack"));
  if (values.empty()) raise(invalid_argument("parallel_stack: no values"));
  const PartialTensorShape leading({static_cast<int64_t>(values.size())});
  std::vector<Output> rows;
  for (const Output& value : values) rows.push_back(expand_dims(value, 0));
  return create_output("ParallelConcat", {rows}, {{"shape", value_or_raise(concatenate(leading, values[0].shape()))}});
}

std::vector<Output> unstack(const Input& value, const UnstackOptions& o) {
  const SourceScope source(value);
  const Output x = convert_to_tensor(value, DataType::kInvalid, "value");
  int64_t num = o.num.value_or(-1);
  if (!o.num) {
    const PartialTensorShape shape = x.shape();
    if (shape.has_rank()) {
      const int axis = value_or_raise(canonical_axis(o.axis, shape.rank(), "unstack"));
      num = shape.dim(axis);
    }
    if (num < 0) raise(invalid_argument("unstack: cannot infer argument `num` from shape ", shape));
  }
  return outputs_of(create_op("Unpack", {x}, {{"num", num}, {"axis", o.axis}}, name_or(o.name, "unstack")));
}

std::vector<Output> split(const Input& value, int64_t num, const SplitOptions& o) {
  const SourceScope source(value);
  const Output x = convert_to_tensor(value, DataType::kInvalid, "value");
  return outputs_of(create_op("Split", {o.axis, x}, {{"num_split", num}}, name_or(o.name, "split")));
}

std::vector<Output> split(const Input& value, const std::vector<int32_t>& size_splits, const SplitOptions& o) {
  const SourceScope source(value);
  const Output x = convert_to_tensor(value, DataType::kInvalid, "value");
  const Output sizes = constant(size_splits);
  return outputs_of(create_op("SplitV", {x, sizes, o.axis}, {{"num_split", static_cast<int64_t>(size_splits.size())}},
                              name_or(o.name, "split")));
}

Output slice(const Input& input, const IntList& begin, const IntList& size, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("Slice", {input, begin, size}, {}, o.name);
}

Output strided_slice(const Input& input, const IntList& begin, const IntList& end, const StridedSliceOptions& o) {
  const SourceScope source(input);
  Input strides = o.strides;
  if (!strides) strides = ones_like(begin);
  return create_output("StridedSlice", {input, begin, end, strides},
                       {{"begin_mask", o.begin_mask},
                        {"end_mask", o.end_mask},
                        {"ellipsis_mask", o.ellipsis_mask},
                        {"new_axis_mask", o.new_axis_mask},
                        {"shrink_axis_mask", o.shrink_axis_mask}},
                       o.name);
}

Output index(const Input& x, const std::vector<IndexItem>& items, const NameOptions& o) {
  const SourceScope source(x);
  if (items.size() > 31) raise(invalid_argument("index: at most 31 items, got ", items.size()));
  std::vector<int32_t> begin, end, strides;
  StridedSliceOptions masks;
  for (size_t i = 0; i < items.size(); ++i) {
    const IndexItem& item = items[i];
    const int64_t bit = int64_t{1} << i;
    const auto push = [&](int64_t b, int64_t e, int64_t s) {
      begin.push_back(static_cast<int32_t>(b));
      end.push_back(static_cast<int32_t>(e));
      strides.push_back(static_cast<int32_t>(s));
    };
    if (item.is_ellipsis) {
      push(0, 0, 1);
      masks.ellipsis_mask |= bit;
    } else if (item.is_newaxis) {
      push(0, 0, 1);
      masks.new_axis_mask |= bit;
    } else if (item.index) {
      push(*item.index, *item.index + 1, 1);
      masks.shrink_axis_mask |= bit;
    } else {
      push(item.slice.begin.value_or(0), item.slice.end.value_or(0), item.slice.step.value_or(1));
      if (!item.slice.begin) masks.begin_mask |= bit;
      if (!item.slice.end) masks.end_mask |= bit;
    }
  }
  const name_scope scope(name_or(o.name, "strided_slice"));
  const auto vector = [](const std::vector<int32_t>& v, std::string_view name) {
    return constant(Tensor(TensorShape({static_cast<int64_t>(v.size())}), v), {.name = name});
  };
  const Output b = vector(begin, "stack"), e = vector(end, "stack_1"), s = vector(strides, "stack_2");
  masks.strides = s;
  masks.name = scope.name();
  return strided_slice(x, b, e, masks);
}

Output gather(const Input& params, const Input& indices, const GatherOptions& o) {
  const SourceScope source(params);
  const Input axis = o.axis ? o.axis : Input(static_cast<int32_t>(o.batch_dims));
  return create_output("GatherV2", {params, indices, axis}, {{"batch_dims", o.batch_dims}}, o.name);
}

Output gather_nd(const Input& params, const Input& indices, const NameOptions& o) {
  const SourceScope source(params);
  return create_output("GatherNd", {params, indices}, {}, o.name);
}

Output scatter_nd(const Input& indices, const Input& updates, const IntList& shape, const NameOptions& o) {
  const SourceScope source(indices);
  return create_output("ScatterNd", {indices, updates, shape}, {}, o.name);
}

Output where(const Input& condition, const NameOptions& o) {
  const SourceScope source(condition);
  const name_scope scope(name_or(o.name, "Where"));
  return create_output("Where", {convert_to_tensor(condition, bool_, "condition")}, {}, scope.name());
}

Output where(const Input& condition, const Input& x, const Input& y, const NameOptions& o) {
  const SourceScope source(condition);
  return create_output("Select", {condition, x, y}, {}, o.name);
}

Output where_v2(const Input& condition, const Input& x, const Input& y, const NameOptions& o) {
  const SourceScope source(condition);
  return create_output("SelectV2", {condition, x, y}, {}, o.name);
}

Output boolean_mask(const Input& input, const Input& mask_input, const BooleanMaskOptions& o) {
  const SourceScope source(input);
  const name_scope scope(std::optional<std::string_view>(name_or(o.name, "boolean_mask")), "boolean_mask");
  const Output tensor = convert_to_tensor(input, DataType::kInvalid, "tensor");
  const Output mask = convert_to_tensor(mask_input, bool_, "mask");
  const int mask_rank = mask.shape().rank();
  if (mask_rank < 1)
    raise(invalid_argument("boolean_mask: mask must have a known rank of at least 1, got shape ", mask.shape()));
  const int axis = static_cast<int>(o.axis);
  if (tensor.shape().has_rank() && (axis < 0 || axis + mask_rank > tensor.shape().rank())) {
    raise(invalid_argument("boolean_mask: mask of shape ", mask.shape(), " does not fit a tensor of shape ",
                           tensor.shape(), " at axis ", axis));
  }
  const auto dims_of = [&](Slice s) { return index(millrace::shape(tensor), {s}); };
  const Output leading_size = reduce_prod(dims_of({axis, axis + mask_rank}), std::vector<int32_t>{0});
  const Output before = dims_of({{}, axis});
  const Output after = dims_of({axis + mask_rank, {}});
  const Output flat_shape = create_output(
      "ConcatV2",
      {std::vector<Output>{
           before, create_output("Pack", {std::vector<Output>{leading_size}}, {{"axis", 0}}, "concat/values_1"), after},
       Input(0)},
      {}, "concat");
  const Output flat = reshape(tensor, flat_shape);
  const Output flat_mask = reshape(mask, std::vector<int32_t>{-1});
  const Output rows = squeeze(where(flat_mask), {.axis = {1}});
  return gather(flat, rows, {.axis = static_cast<int32_t>(axis)});
}

Unique unique(const Input& x, DataType out_idx, const NameOptions& o) {
  const SourceScope source(x);
  const Operation op = create_op("Unique", {x}, {{"out_idx", out_idx}}, o.name);
  return {op.output(0), op.output(1)};
}

Output tile(const Input& input, const IntList& multiples, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("Tile", {input, multiples}, {}, o.name);
}

Output pad(const Input& tensor, const Input& paddings, const PadOptions& o) {
  const SourceScope source(tensor);
  std::string mode = o.mode;
  std::ranges::transform(mode, mode.begin(), [](unsigned char c) { return std::toupper(c); });
  if (mode == "CONSTANT") {
    if (o.constant_values) return create_output("PadV2", {tensor, paddings, o.constant_values}, {}, o.name);
    return create_output("Pad", {tensor, paddings}, {}, o.name);
  }
  if (mode != "REFLECT" && mode != "SYMMETRIC") raise(invalid_argument("pad: unknown padding mode: ", o.mode));
  return create_output("MirrorPad", {tensor, paddings}, {{"mode", mode}}, o.name);
}

Output reverse(const Input& tensor, const IntList& axis, const NameOptions& o) {
  const SourceScope source(tensor);
  return create_output("ReverseV2", {tensor, axis}, {}, o.name);
}

Output roll(const Input& input, const IntList& shift, const IntList& axis, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("Roll", {input, shift, axis}, {}, o.name);
}

Output invert_permutation(const Input& x, const NameOptions& o) {
  const SourceScope source(x);
  return create_output("InvertPermutation", {x}, {}, o.name);
}

Output sequence_mask(const Input& input, const SequenceMaskOptions& o) {
  const SourceScope source(input);
  const name_scope scope(name_or(o.name, "SequenceMask"));
  const Output lengths = convert_to_tensor(input);
  const DataType dtype = base_dtype(lengths.dtype());
  Output maxlen;
  if (o.maxlen) {
    maxlen = convert_to_tensor(o.maxlen);
  } else {
    const Output zero = constant(0, {.dtype = dtype});
    maxlen = maximum(zero, reduce_max(lengths));
  }
  const DataType count_dtype = base_dtype(maxlen.dtype());
  const Output row =
      create_output("Range", {constant(0, {.dtype = count_dtype}), maxlen, constant(1, {.dtype = count_dtype})});
  const Output matrix = cast(expand_dims(lengths, -1), count_dtype);
  const Output result = less(row, matrix);
  return o.dtype == bool_ ? result : cast(result, o.dtype);
}

Output stop_gradient(const Input& input, const NameOptions& o) {
  const SourceScope source(input);
  return create_output("StopGradient", {input}, {}, o.name);
}

std::vector<Output> identity_n(const std::vector<Output>& inputs, const NameOptions& o) {
  return outputs_of(create_op("IdentityN", {inputs}, {}, o.name));
}

Output segment_sum(const Input& data, const Input& segment_ids, const NameOptions& o) {
  const SourceScope source(data);
  return create_output("SegmentSum", {data, segment_ids}, {}, o.name);
}

Output unsorted_segment_sum(const Input& data, const Input& segment_ids, const Input& num_segments,
                            const NameOptions& o) {
  const SourceScope source(data);
  return create_output("UnsortedSegmentSum", {data, segment_ids, num_segments}, {}, o.name);
}

Output check_numerics(const Input& tensor, const std::string& message, const NameOptions& o) {
  const SourceScope source(tensor);
  return create_output("CheckNumerics", {tensor}, {{"message", message}}, o.name);
}

Output Print(const Input& input, const std::vector<Output>& data, const PrintOptions& o) {
  const SourceScope source(input);
  return create_output("Print", {input, data},
                       {{"message", o.message}, {"first_n", o.first_n}, {"summarize", o.summarize}}, o.name);
}

}  // namespace millrace
