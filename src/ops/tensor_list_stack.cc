// Lists of tensors made of one tensor, and made into one: stacked, gathered, scattered, concatenated, split.

#include <algorithm>
#include <limits>

#include "data/rows.h"
#include "op/gradient_context.h"
#include "ops/gradient_ops.h"
#include "ops/tensor_list.h"

namespace millrace {
namespace {

const Tensor* element_at(const TensorList& list, int64_t i) {
  const auto found = list.elements.find(i);
  return found == list.elements.end() ? nullptr : &found->second;
}

// The shape of all of these elements, where `shape` leaves something open.
absl::StatusOr<PartialTensorShape> shape_of_elements(const TensorList& list, PartialTensorShape shape) {
  if (shape.is_fully_defined()) return shape;
  for (const auto& [at, element] : list.elements) {
    MR_ASSIGN_OR_RETURN(shape, merge_elements(shape, element.shape()));
  }
  return shape;
}

absl::Status check_fits(const Tensor& element, const TensorShape& shape, const char* what) {
  if (element.shape() == shape) return absl::OkStatus();
  return invalid_argument(what, ": element of shape ", element.shape(), " in a list of elements of shape ", shape);
}

class TensorListStack final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(num_elements_, init.attr<int64_t>("num_elements"));
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("element_dtype"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0, dtype_));
    if (num_elements_ != -1 && list->size != num_elements_)
      return invalid_argument("Operation expected a list with ", num_elements_, " elements but got a list with ",
                              list->size, " elements.");
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, merged_element_shape(ctx, 1, *list));
    if (!shape.is_fully_defined() && list->size == 0)
      return invalid_argument("Tried to stack elements of an empty list with non-fully-defined element_shape: ", shape);
    MR_ASSIGN_OR_RETURN(shape, shape_of_elements(*list, std::move(shape)));
    if (!shape.is_fully_defined())
      return invalid_argument(
          "Tried to stack list which only contains uninitialized tensors and has a non-fully-defined element_shape: ",
          shape);
    MR_ASSIGN_OR_RETURN(const TensorShape element, as_tensor_shape(shape));
    MR_ASSIGN_OR_RETURN(const TensorShape all, insert_dim(element, 0, list->size));
    const bool complete = static_cast<int64_t>(list->elements.size()) == list->size;
    MR_ASSIGN_OR_RETURN(Tensor out, complete ? make_tensor(dtype_, all) : make_zeroed_tensor(dtype_, all));
    for (const auto& [at, value] : list->elements) {
      MR_RETURN_IF_ERROR(check_fits(value, element, "TensorListStack"));
      copy_values(value, 0, out, at * element.num_elements(), value.num_elements());
    }
    return ctx.set_output(0, std::move(out));
  }
  int64_t num_elements_ = -1;
  DataType dtype_ = DataType::kInvalid;
};

class TensorListGather final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0, dtype));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.flat<int32_t>(1));
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, merged_element_shape(ctx, 2, *list));
    if (!shape.is_fully_defined() && indices.empty())
      return invalid_argument("Tried to gather 0-elements from a list with non-fully-defined shape: ", shape);
    for (const int32_t i : indices) {
      if (i < 0 || i >= list->size)
        return invalid_argument("Index ", i, " out o range; list only has ", list->size, " elements.");
    }
    const bool open = !shape.is_fully_defined();
    for (size_t i = 0; open && i < indices.size(); ++i) {
      const Tensor* value = element_at(*list, indices[i]);
      if (value == nullptr) continue;
      MR_ASSIGN_OR_RETURN(shape, merge_elements(shape, value->shape()));
    }
    if (!shape.is_fully_defined())
      return invalid_argument(
          "Tried to gather uninitialized tensors from a list with non-fully-defined element_shape: ", shape);
    MR_ASSIGN_OR_RETURN(const TensorShape element, as_tensor_shape(shape));
    MR_ASSIGN_OR_RETURN(const TensorShape all, insert_dim(element, 0, static_cast<int64_t>(indices.size())));
    MR_ASSIGN_OR_RETURN(Tensor out, make_zeroed_tensor(dtype, all));
    for (size_t i = 0; i < indices.size(); ++i) {
      const Tensor* value = element_at(*list, indices[i]);
      if (value == nullptr) continue;
      MR_RETURN_IF_ERROR(check_fits(*value, element, "TensorListGather"));
      copy_values(*value, 0, out, static_cast<int64_t>(i) * element.num_elements(), value->num_elements());
    }
    return ctx.set_output(0, std::move(out));
  }
};

absl::Status check_rows(const Tensor& tensor, const PartialTensorShape& element_shape) {
  if (tensor.rank() < 1) return invalid_argument("Tensor must be at least a vector, but saw shape: ", tensor.shape());
  const TensorShape row = remove_dim(tensor.shape(), 0);
  if (!element_shape.is_compatible_with(row))
    return invalid_argument("Specified a list with shape ", element_shape, " from a tensor with shape ", row);
  if (tensor.dim(0) > kMaxNewElements)
    return resource_exhausted("A list of ", tensor.dim(0), " elements; at most ", kMaxNewElements,
                              " are made of one tensor");
  return absl::OkStatus();
}

class TensorListFromTensor final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& tensor = ctx.input(0);
    TensorList list;
    list.dtype = tensor.dtype();
    MR_ASSIGN_OR_RETURN(list.element_shape, element_shape_input(ctx, 1));
    MR_RETURN_IF_ERROR(check_rows(tensor, list.element_shape));
    list.size = tensor.dim(0);
    for (int64_t i = 0; i < list.size; ++i) {
      MR_ASSIGN_OR_RETURN(Tensor row, copy_row(tensor, i));
      list.elements.emplace_hint(list.elements.end(), i, std::move(row));
    }
    return output_list(ctx, 0, std::move(list));
  }
};

// Rows of `tensor` set at `indices`, the list grown to the highest of them.
absl::Status scatter(const Tensor& tensor, std::span<const int32_t> indices, TensorList& list) {
  for (size_t i = 0; i < indices.size(); ++i) {
    MR_ASSIGN_OR_RETURN(Tensor row, copy_row(tensor, static_cast<int64_t>(i)));
    list.elements.insert_or_assign(indices[i], std::move(row));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> size_for(std::span<const int32_t> indices) {
  int64_t size = 0;
  for (const int32_t i : indices) {
    if (i < 0) return invalid_argument("Indices in TensorListScatter must all be non-negative.");
    size = std::max(size, int64_t{i} + 1);
  }
  return size;
}

absl::Status check_row_count(const Tensor& tensor, size_t indices) {
  if (tensor.rank() > 0 && tensor.dim(0) == static_cast<int64_t>(indices)) return absl::OkStatus();
  return invalid_argument("Invalid number of rows in input tensor. Expected: ", indices,
                          " Actual: ", tensor.rank() > 0 ? tensor.dim(0) : 0);
}

class TensorListScatter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& tensor = ctx.input(0);
    TensorList list;
    list.dtype = tensor.dtype();
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.flat<int32_t>(1));
    MR_ASSIGN_OR_RETURN(list.element_shape, element_shape_input(ctx, 2));
    int64_t wanted = -1;
    if (ctx.num_inputs() > 3) {
      MR_ASSIGN_OR_RETURN(wanted, ctx.int_scalar(3));
      if (wanted < -1) return invalid_argument("TensorListScatter expects num_elements >= -1, found: ", wanted);
    }
    MR_ASSIGN_OR_RETURN(const int64_t needed, size_for(indices));
    if (wanted >= 0 && needed > wanted) {
      const auto first = std::ranges::find_if(indices, [&](int32_t i) { return i >= wanted; });
      return invalid_argument("TensorListScatter: Trying to scatter at index ", *first, " in list with size ", wanted);
    }
    MR_RETURN_IF_ERROR(check_row_count(tensor, indices.size()));
    MR_RETURN_IF_ERROR(check_rows(tensor, list.element_shape));
    list.size = wanted >= 0 ? wanted : needed;
    MR_RETURN_IF_ERROR(scatter(tensor, indices, list));
    return output_list(ctx, 0, std::move(list));
  }
};

class TensorListScatterIntoExistingList final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& tensor = ctx.input(1);
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.flat<int32_t>(2));
    MR_ASSIGN_OR_RETURN(const auto given, input_list(ctx, 0, tensor.dtype()));
    MR_RETURN_IF_ERROR(check_row_count(tensor, indices.size()));
    MR_RETURN_IF_ERROR(check_rows(tensor, given->element_shape));
    MR_ASSIGN_OR_RETURN(const int64_t needed, size_for(indices));
    TensorList list = *given;
    list.size = std::max(list.size, needed);
    MR_RETURN_IF_ERROR(scatter(tensor, indices, list));
    return output_list(ctx, 0, std::move(list));
  }
};

class TensorListConcat final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0, dtype));
    PartialTensorShape element;
    std::span<const int64_t> leading;
    if (ctx.num_inputs() > 1) {
      MR_ASSIGN_OR_RETURN(element, merged_element_shape(ctx, 1, *list));
      MR_ASSIGN_OR_RETURN(leading, ctx.flat<int64_t>(2));
    } else {
      MR_ASSIGN_OR_RETURN(const auto given, get_attr<PartialTensorShape>(ctx.node(), "element_shape"));
      MR_ASSIGN_OR_RETURN(element, merge_elements(given, list->element_shape));
    }
    if (element.has_rank() && element.rank() == 0)
      return invalid_argument("Concat requires elements to be at least vectors, found scalars instead.");
    MR_ASSIGN_OR_RETURN(const TensorShape row, shape_of_rows(*list, element));
    if (list->size > kMaxNewElements)
      return resource_exhausted("TensorListConcat: a list of ", list->size, " elements, more than ", kMaxNewElements);
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, lengths_of(*list, element, leading));
    return join(ctx, *list, lengths, row);
  }

  // The shape of elements without their first dimension, which all must share.
  static absl::StatusOr<TensorShape> shape_of_rows(const TensorList& list, const PartialTensorShape& element) {
    PartialTensorShape rest;
    if (element.has_rank()) {
      MR_ASSIGN_OR_RETURN(rest, make_partial_shape(element.dims().subspan(1)));
    }
    if (list.size == 0 && !rest.is_fully_defined())
      return invalid_argument(
          "All except the first dimension must be fully defined when concating an empty tensor list. element_shape: ",
          element);
    for (const auto& [at, value] : list.elements) {
      if (value.rank() == 0)
        return invalid_argument("Concat saw a scalar shape at index ", at, " but requires at least vectors.");
      MR_ASSIGN_OR_RETURN(rest, merge_elements(rest, remove_dim(value.shape(), 0)));
    }
    if (!rest.is_fully_defined())
      return invalid_argument(
          "Tried to concat list which only contains uninitialized tensors and has a non-fully-defined element_shape "
          "excluding the first dimension: ",
          element);
    return as_tensor_shape(rest);
  }

  // The first dimension that all elements have which are there; -1: none.
  static int64_t shared_length(const TensorList& list) {
    int64_t shared = -1;
    for (const auto& [at, value] : list.elements) {
      if (shared >= 0 && value.dim(0) != shared) return -1;
      shared = value.dim(0);
    }
    return shared;
  }

  static absl::StatusOr<std::vector<int64_t>> lengths_of(const TensorList& list, const PartialTensorShape& element,
                                                         std::span<const int64_t> leading) {
    std::vector<int64_t> lengths;
    const int64_t shared = leading.empty() ? shared_length(list) : -1;
    for (int64_t i = 0; i < list.size; ++i) {
      if (const Tensor* value = element_at(list, i)) {
        lengths.push_back(value->dim(0));
      } else if (element.has_rank() && element.dim(0) >= 0) {
        lengths.push_back(element.dim(0));
      } else if (shared >= 0) {
        lengths.push_back(shared);
      } else if (i >= static_cast<int64_t>(leading.size())) {
        return invalid_argument("List contains uninitialized tensor at index ", i, " but leading_dims has only ",
                                leading.size(), " elements.");
      } else {
        lengths.push_back(leading[static_cast<size_t>(i)]);
      }
      if (lengths.back() < 0) return invalid_argument("leading_dims must not be negative, got ", lengths.back());
    }
    return lengths;
  }

  static absl::Status join(KernelContext& ctx, const TensorList& list, const std::vector<int64_t>& lengths,
                           const TensorShape& row) {
    int64_t total = 0;
    for (const int64_t length : lengths) {
      if (__builtin_add_overflow(total, length, &total)) return invalid_argument("TensorListConcat: too many rows");
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(row, 0, total));
    MR_ASSIGN_OR_RETURN(Tensor out, make_zeroed_tensor(list.dtype, shape));
    int64_t at = 0;
    for (int64_t i = 0; i < list.size; ++i) {
      if (const Tensor* value = element_at(list, i))
        copy_values(*value, 0, out, at * row.num_elements(), value->num_elements());
      at += lengths[static_cast<size_t>(i)];
    }
    MR_RETURN_IF_ERROR(ctx.set_output(0, std::move(out)));
    MR_ASSIGN_OR_RETURN(Tensor all, make_vector<int64_t>(lengths));
    return ctx.set_output(1, std::move(all));
  }
};

class TensorListSplit final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& tensor = ctx.input(0);
    TensorList list;
    list.dtype = tensor.dtype();
    MR_ASSIGN_OR_RETURN(list.element_shape, element_shape_input(ctx, 1));
    if (list.element_shape.has_rank() && list.element_shape.rank() == 0)
      return invalid_argument("TensorListSplit requires element_shape to be at least of rank 1, but saw: ",
                              list.element_shape);
    if (ctx.shape(2).rank() != 1)
      return invalid_argument("Expected lengths to be a vector, received shape: ", ctx.shape(2));
    if (tensor.rank() < 1) return invalid_argument("Tensor must be at least a vector, but saw shape: ", tensor.shape());
    MR_ASSIGN_OR_RETURN(const auto lengths, ctx.vector<int64_t>(2));
    if (static_cast<int64_t>(lengths.size()) > kMaxNewElements)
      return resource_exhausted("A list of ", lengths.size(), " elements; at most ", kMaxNewElements,
                                " are made of one tensor");
    if (list.element_shape.has_rank()) {  // only its first dimension may differ
      std::vector<int64_t> dims(list.element_shape.dims().begin(), list.element_shape.dims().end());
      dims[0] = -1;
      MR_ASSIGN_OR_RETURN(PartialTensorShape any_length, make_partial_shape(dims));
      if (!any_length.is_compatible_with(tensor.shape()))
        return invalid_argument("tensor shape ", tensor.shape(), " is not compatible with element_shape ",
                                list.element_shape);
      list.element_shape = std::move(any_length);
    }
    int64_t begin = 0;
    for (const int64_t length : lengths) {
      if (length < 0) return invalid_argument("Invalid value in lengths: ", length);
      if (length > tensor.dim(0) - begin)
        return invalid_argument("Attempting to slice [", begin, ", ",
                                static_cast<uint64_t>(begin) + static_cast<uint64_t>(length),
                                "] from tensor with length ", tensor.dim(0));
      MR_ASSIGN_OR_RETURN(const Tensor part, slice_rows(tensor, begin, begin + length));
      MR_ASSIGN_OR_RETURN(Tensor own, deep_copy(part));
      list.elements.emplace_hint(list.elements.end(), list.size++, std::move(own));
      begin += length;
    }
    if (begin != tensor.dim(0))
      return invalid_argument("Unused values in tensor. Length of tensor: ", tensor.dim(0), " Values used: ", begin);
    return output_list(ctx, 0, std::move(list));
  }
};

class TensorListConcatLists final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0) != ctx.shape(1))
      return invalid_argument("input_a and input_b must have the same shape, got ", ctx.shape(0), " and ",
                              ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto a, ctx.flat<Variant>(0));
    MR_ASSIGN_OR_RETURN(const auto b, ctx.flat<Variant>(1));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<Variant>(0, ctx.shape(0)));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    for (size_t i = 0; i < out.size(); ++i) {
      const TensorList *x = a[i].get<TensorList>(), *y = b[i].get<TensorList>();
      if (x == nullptr || y == nullptr) return invalid_argument("input at index ", i, " is not a list.");
      if (x->dtype != dtype || y->dtype != dtype)
        return invalid_argument("Invalid data types; op elements ", dtype_name(dtype), " but list elements ",
                                dtype_name(x->dtype), " and ", dtype_name(y->dtype));
      MR_ASSIGN_OR_RETURN(const TensorList joined, concat_lists(*x, *y));
      out[i] = Variant::make<TensorList>(joined);
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<TensorList> concat_lists(const TensorList& a, const TensorList& b) {
    TensorList joined = a;
    MR_ASSIGN_OR_RETURN(joined.element_shape, merge(a.element_shape, b.element_shape));
    if (a.size + b.size > std::numeric_limits<int32_t>::max())
      return resource_exhausted("A list cannot have more than 2^31 - 1 elements");
    for (const auto& [at, value] : b.elements) joined.elements.emplace(a.size + at, value);
    joined.size += b.size;
    joined.max_size = -1;
    return joined;
  }
};

// --- shapes

absl::Status rows_shape(ShapeContext& c, int shape_input, int64_t rows) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape given, known_element_shape(c, shape_input));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape element, merge(list, given));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape first, make_partial_shape({rows}));
  return c.set_output(0, concatenate(first, element));
}

absl::Status stack_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const int64_t n, c.attr<int64_t>("num_elements"));
  if (n < -1) return invalid_argument("num_elements must be >= -1, got ", n);
  return rows_shape(c, 1, n);
}

absl::Status gather_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 1));
  return rows_shape(c, 2, indices.has_rank() ? indices.dim(0) : -1);
}

absl::Status list_of_rows_shape(ShapeContext& c, int shape_input) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape element, known_element_shape(c, shape_input));
  return set_list_handle(c, 0, std::move(element));
}

absl::Status from_tensor_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape tensor, c.with_rank_at_least(0, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape given, known_element_shape(c, 1));
  PartialTensorShape row;
  if (tensor.has_rank()) {
    MR_ASSIGN_OR_RETURN(row, make_partial_shape(tensor.dims().subspan(1)));
  }
  MR_ASSIGN_OR_RETURN(PartialTensorShape element, merge(row, given));
  return set_list_handle(c, 0, std::move(element));
}

absl::Status scatter_shape(ShapeContext& c) { return list_of_rows_shape(c, 2); }

absl::Status scatter_into_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  MR_ASSIGN_OR_RETURN(PartialTensorShape list, handle_element_shape(c, 0));
  return set_list_handle(c, 0, std::move(list));
}

absl::Status concat_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.set_output(1, unknown_shape_of_rank(1)));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  PartialTensorShape given;
  if (c.num_inputs() > 1) {
    MR_ASSIGN_OR_RETURN(given, known_element_shape(c, 1));
  } else {
    MR_ASSIGN_OR_RETURN(given, c.attr<PartialTensorShape>("element_shape"));
  }
  MR_ASSIGN_OR_RETURN(const PartialTensorShape element, merge(list, given));
  if (!element.has_rank() || element.rank() == 0) return c.set_output(0, PartialTensorShape());
  std::vector<int64_t> dims(element.dims().begin(), element.dims().end());
  dims[0] = -1;
  return c.set_output(0, make_partial_shape(dims));
}

absl::Status split_shape(ShapeContext& c) { return list_of_rows_shape(c, 1); }

absl::Status concat_lists_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, merge(c.input(0), c.input(1)));
  const auto a = c.handle(0), b = c.handle(1);
  if (!a.empty() && !b.empty()) MR_RETURN_IF_ERROR(merge(a[0].shape, b[0].shape).status());
  return c.set_output(0, shape);
}

// --- gradients

Output element_shape_of(GradientContext& g, const Output& list) {
  return g.op("TensorListElementShape", {list}, {{"shape_type", DataType::kInt32}});
}

// tf.slice(tf.shape(t), [1], [-1]): the shape of a row.
Output row_shape_of(GradientContext& g, const Output& tensor) {
  const Output shape = shape_of(g, tensor);
  const Output begin = int_list(g, {1}, "Slice/begin"), size = int_list(g, {-1}, "Slice/size");
  return g.op("Slice", {shape, begin, size});
}

absl::Status stack_gradient(GradientContext& g) {
  const Output dy = g.dy(0);
  const PartialTensorShape shape = g.shape(dy);
  Output element;
  if (shape.has_rank() && shape.rank() > 0) {
    element = int_list(g, {shape.dims().begin() + 1, shape.dims().end()}, "TensorListFromTensor/element_shape");
  } else {
    element = g.int32_scalar(-1, "TensorListFromTensor/element_shape");
  }
  g.set_dx(0, g.op("TensorListFromTensor", {dy, element}));
  return absl::OkStatus();
}

absl::Status gather_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output shape = element_shape_of(g, g.x(0));
  const Output size = g.op("TensorListLength", {g.x(0)});
  const Output list = g.op("TensorListReserve", {shape, size}, {{"element_dtype", dtype}});
  g.set_dx(0, g.op("TensorListScatterIntoExistingList", {list, g.dy(0), g.x(1)}));
  return absl::OkStatus();
}

absl::Status from_tensor_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const PartialTensorShape shape = g.shape(g.x(0));
  const int64_t n = shape.has_rank() && shape.rank() > 0 ? shape.dim(0) : -1;
  const Output row = row_shape_of(g, g.x(0));
  g.set_dx(0, g.op("TensorListStack", {g.dy(0), row}, {{"element_dtype", dtype}, {"num_elements", n}}));
  return absl::OkStatus();
}

absl::Status scatter_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output row = row_shape_of(g, g.x(0));
  g.set_dx(0, g.op("TensorListGather", {g.dy(0), g.x(1), row}, {{"element_dtype", dtype}}));
  return absl::OkStatus();
}

absl::Status scatter_into_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output dlist = g.dy(0), tensor = g.x(1);
  g.set_dx(1, g.op("TensorListGather", {dlist, g.x(2), row_shape_of(g, tensor)}, {{"element_dtype", dtype}}));
  g.set_dx(0, g.op("TensorListScatterIntoExistingList", {dlist, zeros_like(g, tensor), g.x(2)}));
  return absl::OkStatus();
}

absl::Status concat_gradient(GradientContext& g) {
  g.set_dx(0, g.op("TensorListSplit", {g.dy(0), element_shape_of(g, g.x(0)), g.y(1)}));
  return absl::OkStatus();
}

absl::Status split_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output row = row_shape_of(g, g.x(0));
  const Output any = int_list(g, {-1}, "concat/values_0");
  const Output element = concat(g, {any, row}, 0);
  g.set_dx(0, g.op("TensorListConcatV2", {g.dy(0), element, g.x(2)}, {{"element_dtype", dtype}}));
  return absl::OkStatus();
}

}  // namespace

void register_tensor_list_stack(Registry& registry) {
  registry.op("TensorListStack")
      .input("input_handle: variant")
      .input("element_shape: int32")
      .output("tensor: element_dtype")
      .attr("element_dtype: type")
      .attr("num_elements: int = -1")
      .shape(stack_shape)
      .cpu<TensorListStack>()
      .gradient(stack_gradient)
      .doc("All elements as rows of one tensor.");
  registry.op("TensorListGather")
      .input("input_handle: variant")
      .input("indices: int32")
      .input("element_shape: int32")
      .output("values: element_dtype")
      .attr("element_dtype: type")
      .shape(gather_shape)
      .cpu<TensorListGather>()
      .gradient(gather_gradient)
      .doc("Some elements as rows of one tensor.");
  registry.op("TensorListFromTensor")
      .input("tensor: element_dtype")
      .input("element_shape: shape_type")
      .output("output_handle: variant")
      .attr("element_dtype: type")
      .attr("shape_type: {int32, int64}")
      .shape(from_tensor_shape)
      .cpu<TensorListFromTensor>()
      .gradient(from_tensor_gradient)
      .doc("The rows of a tensor as a list.");
  const auto scatter_op = [&](const char* name, bool v2) {
    OpBuilder op =
        registry.op(name).input("tensor: element_dtype").input("indices: int32").input("element_shape: shape_type");
    if (v2) op.input("num_elements: int32");
    op.output("output_handle: variant")
        .attr("element_dtype: type")
        .attr("shape_type: {int32, int64}")
        .shape(scatter_shape)
        .cpu<TensorListScatter>()
        .gradient(scatter_gradient)
        .doc("A list with the rows of a tensor at indices.");
  };
  scatter_op("TensorListScatter", false);
  scatter_op("TensorListScatterV2", true);
  registry.op("TensorListScatterIntoExistingList")
      .input("input_handle: variant")
      .input("tensor: element_dtype")
      .input("indices: int32")
      .output("output_handle: variant")
      .attr("element_dtype: type")
      .shape(scatter_into_shape)
      .cpu<TensorListScatterIntoExistingList>()
      .gradient(scatter_into_gradient)
      .doc("A list whose elements at indices are replaced by the rows of a tensor.");
  registry.op("TensorListConcat")
      .input("input_handle: variant")
      .output("tensor: element_dtype")
      .output("lengths: int64")
      .attr("element_dtype: type")
      .attr("element_shape: shape = { unknown_rank: true }")
      .shape(concat_shape)
      .cpu<TensorListConcat>()
      .gradient(concat_gradient)
      .doc("All elements joined along their first dimension.");
  registry.op("TensorListConcatV2")
      .input("input_handle: variant")
      .input("element_shape: shape_type")
      .input("leading_dims: int64")
      .output("tensor: element_dtype")
      .output("lengths: int64")
      .attr("element_dtype: type")
      .attr("shape_type: {int32, int64}")
      .shape(concat_shape)
      .cpu<TensorListConcat>()
      .gradient(concat_gradient)
      .doc("All elements joined along their first dimension.");
  registry.op("TensorListSplit")
      .input("tensor: element_dtype")
      .input("element_shape: shape_type")
      .input("lengths: int64")
      .output("output_handle: variant")
      .attr("element_dtype: type")
      .attr("shape_type: {int32, int64}")
      .shape(split_shape)
      .cpu<TensorListSplit>()
      .gradient(split_gradient)
      .doc("A tensor cut along its first dimension, as a list.");
  registry.op("TensorListConcatLists")
      .input("input_a: variant")
      .input("input_b: variant")
      .output("output: variant")
      .attr("element_dtype: type")
      .shape(concat_lists_shape)
      .cpu<TensorListConcatLists>()
      .doc("The elements of one list behind those of another.");
}

}  // namespace millrace
