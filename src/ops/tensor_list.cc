#include "ops/tensor_list.h"

#include <limits>

#include "op/gradient_context.h"
#include "ops/gradient_ops.h"

namespace millrace {

absl::StatusOr<std::shared_ptr<const TensorList>> input_list(const KernelContext& ctx, int i) {
  const Tensor& t = ctx.input(i);
  if (t.dtype() != DataType::kVariant || t.rank() != 0)
    return invalid_argument("Input list must be a scalar saw: ", t.shape());
  std::shared_ptr<const TensorList> list = t.unchecked<Variant>()[0].shared<TensorList>();
  if (list == nullptr)
    return invalid_argument("Input handle is not a list. Saw: '", t.unchecked<Variant>()[0].type_name(), "'");
  return list;
}

absl::StatusOr<std::shared_ptr<const TensorList>> input_list(const KernelContext& ctx, int i, DataType dtype) {
  MR_ASSIGN_OR_RETURN(auto list, input_list(ctx, i));
  if (list->dtype != dtype)
    return invalid_argument("Invalid data types; op elements ", dtype_name(dtype), " but list elements ",
                            dtype_name(list->dtype));
  return list;
}

absl::StatusOr<std::shared_ptr<TensorList>> forward_list(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(std::shared_ptr<const TensorList> given, input_list(ctx, 0));
  MR_ASSIGN_OR_RETURN(Tensor * out, ctx.forward_or_allocate_output({0}, 0, TensorShape()));
  Variant& variant = out->unchecked_mutable<Variant>()[0];
  std::shared_ptr<TensorList> list = variant.shared<TensorList>();
  const bool forwarded = list == given;
  given.reset();
  if (forwarded && list.use_count() == 2) return list;  // the variant's and ours
  MR_ASSIGN_OR_RETURN(given, forwarded ? absl::StatusOr<std::shared_ptr<const TensorList>>(list) : input_list(ctx, 0));
  list = std::make_shared<TensorList>(*given);
  variant = Variant::share(list);
  return list;
}

absl::Status output_list(KernelContext& ctx, int i, TensorList list) {
  return ctx.set_scalar(i, Variant::make<TensorList>(std::move(list)));
}

absl::StatusOr<PartialTensorShape> element_shape_input(const KernelContext& ctx, int i) {
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, ctx.int_values(i));
  if (ctx.shape(i).rank() == 0) {
    if (dims[0] == -1) return PartialTensorShape();
    return invalid_argument("The only valid scalar shape tensor is the fully unknown shape specified as -1.");
  }
  if (ctx.shape(i).rank() != 1) return invalid_argument("shape must be a vector, got shape ", ctx.shape(i));
  return make_partial_shape(dims);
}

absl::StatusOr<PartialTensorShape> merge_elements(const PartialTensorShape& a, const PartialTensorShape& b) {
  if (absl::StatusOr<PartialTensorShape> both = merge(a, b); both.ok()) return both;
  if (a.rank() != b.rank())
    return invalid_argument("PartialTensorShape: Incompatible ranks during merge: ", a.rank(), " vs. ", b.rank());
  return invalid_argument("PartialTensorShape: Incompatible shapes during merge: ", a, " vs. ", b);
}

absl::StatusOr<PartialTensorShape> merged_element_shape(const KernelContext& ctx, int i, const TensorList& list) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, element_shape_input(ctx, i));
  return merge_elements(shape, list.element_shape);
}

absl::StatusOr<PartialTensorShape> known_element_shape(ShapeContext& c, int i) {
  const PartialTensorShape& given = c.input(i);
  if (!given.has_rank()) return PartialTensorShape();
  if (given.rank() == 1) return c.as_shape(i);
  if (given.rank() > 1) return invalid_argument("Shape must be at most rank 1 but is rank ", given.rank());
  MR_ASSIGN_OR_RETURN(const auto value, c.int_scalar(i));
  if (value && *value != -1)
    return invalid_argument("The only valid scalar shape tensor is the fully unknown shape specified as -1.");
  return PartialTensorShape();
}

absl::StatusOr<PartialTensorShape> handle_element_shape(ShapeContext& c, int i) {
  const auto types = c.handle(i);
  if (types.empty()) return PartialTensorShape();
  if (c.node().attrs.contains("element_dtype")) {
    MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("element_dtype"));
    if (types[0].dtype != dtype)
      return invalid_argument("Expected list with element dtype ", dtype_name(dtype),
                              " but got list with element dtype ", dtype_name(types[0].dtype));
  }
  return types[0].shape;
}

absl::Status set_list_handle(ShapeContext& c, int i, PartialTensorShape element_shape) {
  DataType dtype = DataType::kInvalid;
  if (c.node().attrs.contains("element_dtype")) {
    MR_ASSIGN_OR_RETURN(dtype, c.attr<DataType>("element_dtype"));
  } else if (!c.handle(0).empty()) {
    dtype = c.handle(0)[0].dtype;
  }
  if (dtype != DataType::kInvalid) c.set_handle(i, {{dtype, std::move(element_shape)}});
  return c.set_output(i, PartialTensorShape::scalar());
}

namespace {

// --- making lists

class EmptyTensorList final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    TensorList list;
    MR_ASSIGN_OR_RETURN(list.dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    if (ctx.shape(1).rank() != 0)
      return invalid_argument("max_num_elements expected to be a scalar but got shape: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(list.max_size, ctx.int_scalar(1));
    MR_ASSIGN_OR_RETURN(list.element_shape, element_shape_input(ctx, 0));
    return output_list(ctx, 0, std::move(list));
  }
};

class TensorListReserve final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    TensorList list;
    MR_ASSIGN_OR_RETURN(list.dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    MR_ASSIGN_OR_RETURN(list.element_shape, element_shape_input(ctx, 0));
    if (ctx.shape(1).rank() != 0)
      return invalid_argument("The num_elements to reserve must be a tensor size 1, but got ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(list.size, ctx.int_scalar(1));
    if (list.size < 0)
      return invalid_argument("The num_elements to reserve must be a non negative number, but got ", list.size);
    return output_list(ctx, 0, std::move(list));
  }
};

// --- one element

absl::Status check_element(const TensorList& list, const Tensor& element) {
  if (element.dtype() != list.dtype)
    return invalid_argument("Invalid data types; op elements ", dtype_name(element.dtype()), " but list elements ",
                            dtype_name(list.dtype));
  return absl::OkStatus();
}

// `where` is text for the error: which of several lists.
absl::Status push(TensorList& list, const Tensor& element, const std::string& where = "") {
  MR_RETURN_IF_ERROR(check_element(list, element));
  if (!list.element_shape.is_compatible_with(element.shape()))
    return invalid_argument("Tried to append a tensor with incompatible shape to a list", where,
                            ". Op element shape: ", element.shape(), " list shape: ", list.element_shape);
  if (list.max_size != -1 && list.size >= list.max_size)
    return invalid_argument("Tried to push item into a full list list size: ", list.size,
                            " max_num_elements: ", list.max_size);
  if (list.size >= std::numeric_limits<int32_t>::max())
    return resource_exhausted("A list cannot have more than 2^31 - 1 elements");
  list.elements.emplace(list.size++, element);
  return absl::OkStatus();
}

class TensorListPushBack final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto list, forward_list(ctx));
    return push(*list, ctx.input(1));
  }
  bool is_cheap() const override { return true; }
};

class TensorListPushBackBatch final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor &lists = ctx.input(0), &rows = ctx.input(1);
    if (lists.dtype() != DataType::kVariant || rows.rank() < 1 ||
        (lists.rank() > 0 ? lists.rank() != 1 || lists.dim(0) != rows.dim(0) : rows.dim(0) < 0))
      return invalid_argument("Expected tensor.dim_size(0) == input_handles.num_elements, got shapes ", rows.shape(),
                              " and ", lists.shape());
    if (rows.dim(0) > kMaxNewElements)
      return resource_exhausted("TensorListPushBackBatch: ", rows.dim(0), " rows, more than ", kMaxNewElements);
    const bool same = lists.rank() == 0;  // one list for all rows
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows.dim(0)}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<Variant>(0, same ? TensorShape() : shape));
    const auto given = lists.unchecked<Variant>();
    for (size_t i = 0; i < out.size(); ++i) {
      const TensorList* list = given[i].get<TensorList>();
      if (list == nullptr) return invalid_argument("Input handle at index ", i, " is not a list.");
      TensorList copy = *list;
      const TensorShape row_shape = remove_dim(rows.shape(), 0);
      for (int64_t row = same ? 0 : static_cast<int64_t>(i); row < (same ? rows.dim(0) : static_cast<int64_t>(i) + 1);
           ++row) {
        MR_ASSIGN_OR_RETURN(const Tensor part, slice_rows(rows, row, row + 1));
        MR_ASSIGN_OR_RETURN(const Tensor element, reshaped(part, row_shape));
        MR_RETURN_IF_ERROR(push(copy, element, str_cat(" at index ", i)));
      }
      out[i] = Variant::make<TensorList>(std::move(copy));
    }
    return absl::OkStatus();
  }
};

class TensorListPopBack final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    PartialTensorShape shape;
    {
      MR_ASSIGN_OR_RETURN(const auto given, input_list(ctx, 0, dtype));
      if (given->size == 0) return invalid_argument("Trying to pop from an empty list.");
      MR_ASSIGN_OR_RETURN(shape, merged_element_shape(ctx, 1, *given));
    }
    MR_ASSIGN_OR_RETURN(const auto list, forward_list(ctx));
    const auto last = list->elements.find(list->size - 1);
    if (last == list->elements.end()) {
      if (!shape.is_fully_defined())
        return invalid_argument("Trying to read an uninitialized tensor but element_shape is not fully defined.",
                                shape);
      MR_ASSIGN_OR_RETURN(const TensorShape full, as_tensor_shape(shape));
      MR_ASSIGN_OR_RETURN(Tensor zeros, make_zeroed_tensor(dtype, full));
      --list->size;
      return ctx.set_output(1, std::move(zeros));
    }
    Tensor element = std::move(last->second);
    list->elements.erase(last);
    --list->size;
    return ctx.set_output(1, std::move(element));
  }
};

class TensorListGetItem final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "element_dtype"));
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0, dtype));
    MR_ASSIGN_OR_RETURN(const int64_t index, ctx.int_scalar(1));
    if (index < 0 || index >= list->size)
      return invalid_argument("Trying to access element ", index, " in a list with ", list->size, " elements.");
    if (const auto found = list->elements.find(index); found != list->elements.end())
      return ctx.set_output(0, found->second);
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, merged_element_shape(ctx, 2, *list));
    for (const auto& [at, element] : list->elements) {
      if (shape.is_fully_defined()) break;
      MR_ASSIGN_OR_RETURN(shape, merge_elements(shape, element.shape()));
    }
    if (!shape.is_fully_defined())
      return invalid_argument("Trying to read an uninitialized tensor but element_shape is not fully defined: ", shape,
                              " and no list element is set.");
    MR_ASSIGN_OR_RETURN(const TensorShape full, as_tensor_shape(shape));
    MR_ASSIGN_OR_RETURN(Tensor zeros, make_zeroed_tensor(dtype, full));
    return ctx.set_output(0, std::move(zeros));
  }
};

class TensorListSetItem final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const bool may_grow, get_attr<bool>(ctx.node(), "resize_if_index_out_of_bounds"));
    MR_ASSIGN_OR_RETURN(const int64_t index, ctx.int_scalar(1));
    MR_ASSIGN_OR_RETURN(const auto list, forward_list(ctx));
    MR_RETURN_IF_ERROR(check_element(*list, ctx.input(2)));
    if (index < 0 || (index >= list->size && !may_grow))
      return invalid_argument("Trying to modify element ", index, " in a list with ", list->size, " elements.");
    if (!list->element_shape.is_compatible_with(ctx.shape(2)))
      return invalid_argument("Tried to set a tensor with incompatible shape at a list index. Item element shape: ",
                              ctx.shape(2), " list shape: ", list->element_shape);
    list->size = std::max(list->size, index + 1);
    list->elements.insert_or_assign(index, ctx.input(2));
    return absl::OkStatus();
  }
};

class TensorListResize final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t size, ctx.int_scalar(1));
    if (size < 0) return invalid_argument("TensorListSlice expects size to be non-negative. Got: ", size);
    MR_ASSIGN_OR_RETURN(const auto list, forward_list(ctx));
    list->elements.erase(list->elements.lower_bound(size), list->elements.end());
    list->size = size;
    return absl::OkStatus();
  }
};

// --- asking

class TensorListLength final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0));
    return ctx.set_scalar(0, static_cast<int32_t>(list->size));
  }
  bool is_cheap() const override { return true; }
};

template <class T> class TensorListElementShape final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto list, input_list(ctx, 0));
    const PartialTensorShape& element = list->element_shape;
    if (!element.has_rank()) return ctx.set_scalar(0, T(-1));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({element.rank()}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, shape));
    std::ranges::transform(element.dims(), out.begin(), [](int64_t d) { return static_cast<T>(d); });
    return absl::OkStatus();
  }
};

// --- shapes

absl::Status new_list_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape shape, known_element_shape(c, 0));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return set_list_handle(c, 0, std::move(shape));
}

absl::Status push_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  MR_RETURN_IF_ERROR(merge(list, c.input(1)).status());
  return set_list_handle(c, 0, list);
}

absl::Status push_batch_shape(ShapeContext& c) { return c.set_output(0, c.input(0)); }

absl::Status pop_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape given, known_element_shape(c, 1));
  MR_RETURN_IF_ERROR(set_list_handle(c, 0, list));
  absl::StatusOr<PartialTensorShape> both = merge(list, given);
  return c.set_output(1, both.ok() ? *both : PartialTensorShape());  // where they differ, the kernel says so
}

absl::Status get_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape given, known_element_shape(c, 2));
  // An element that was set has the list's shape whatever was asked for.
  absl::StatusOr<PartialTensorShape> both = merge(list, given);
  return c.set_output(0, both.ok() ? *both : PartialTensorShape());
}

absl::Status set_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  MR_RETURN_IF_ERROR(merge(list, c.input(2)).status());
  return set_list_handle(c, 0, list);
}

absl::Status resize_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  return set_list_handle(c, 0, list);
}

absl::Status element_shape_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const PartialTensorShape list, handle_element_shape(c, 0));
  if (!list.has_rank()) return unknown_shapes(c);
  c.set_partial_value(0, list);
  return c.set_output(0, make_partial_shape({list.rank()}));
}

// --- gradients

absl::Status push_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output shape = shape_of(g, g.x(1));
  const std::vector<Output> d = g.op_outputs("TensorListPopBack", {g.dy(0), shape}, {{"element_dtype", dtype}});
  if (d.size() < 2) return absl::OkStatus();
  g.set_dx(0, d[0]);
  g.set_dx(1, d[1]);
  return absl::OkStatus();
}

Output element_shape_of(GradientContext& g, const Output& list) {
  return g.op("TensorListElementShape", {list}, {{"shape_type", DataType::kInt32}});
}

absl::Status pop_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  Output list;
  if (g.has_dy(0)) {
    list = g.dy(0);
  } else {
    const Output shape = element_shape_of(g, g.y(0));
    const Output unlimited = g.int32_scalar(-1, "EmptyTensorList/max_num_elements");
    list = g.op("EmptyTensorList", {shape, unlimited}, {{"element_dtype", dtype}});
  }
  const Output element = g.has_dy(1) ? g.dy(1) : zeros_like(g, g.y(1));
  g.set_dx(0, g.op("TensorListPushBack", {list, element}));
  return absl::OkStatus();
}

absl::Status get_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  const Output item = g.dy(0);
  const Output size = g.op("TensorListLength", {g.x(0)});
  const Output shape = element_shape_of(g, g.x(0));
  const Output list = g.op("TensorListReserve", {shape, size}, {{"element_dtype", dtype}});
  g.set_dx(0, g.op("TensorListSetItem", {list, g.x(1), item}));
  return absl::OkStatus();
}

absl::Status set_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, g.attr<DataType>("element_dtype"));
  MR_ASSIGN_OR_RETURN(const bool may_grow, g.attr<bool>("resize_if_index_out_of_bounds"));
  const Output dlist = g.dy(0);
  Output list = g.op("TensorListSetItem", {dlist, g.x(1), zeros_like(g, g.x(2))});
  g.set_dx(2, g.op("TensorListGetItem", {dlist, g.x(1), shape_of(g, g.x(2))}, {{"element_dtype", dtype}}));
  if (may_grow) list = g.op("TensorListResize", {list, g.op("TensorListLength", {g.x(0)})});
  g.set_dx(0, list);
  return absl::OkStatus();
}

absl::Status resize_gradient(GradientContext& g) {
  const Output size = g.op("TensorListLength", {g.x(0)});
  g.set_dx(0, g.op("TensorListResize", {g.dy(0), size}));
  return absl::OkStatus();
}

}  // namespace

void register_tensor_list(Registry& registry) {
  registry.op("EmptyTensorList")
      .input("element_shape: shape_type")
      .input("max_num_elements: int32")
      .output("handle: variant")
      .attr("element_dtype: type")
      .attr("shape_type: {int32, int64}")
      .shape(new_list_shape)
      .cpu<EmptyTensorList>()
      .not_differentiable()
      .doc("A list without elements.");
  registry.op("TensorListReserve")
      .input("element_shape: shape_type")
      .input("num_elements: int32")
      .output("handle: variant")
      .attr("element_dtype: type")
      .attr("shape_type: {int32, int64}")
      .shape(new_list_shape)
      .cpu<TensorListReserve>()
      .not_differentiable()
      .doc("A list of elements that are not set yet.");
  registry.op("TensorListPushBack")
      .input("input_handle: variant")
      .input("tensor: element_dtype")
      .output("output_handle: variant")
      .attr("element_dtype: type")
      .shape(push_shape)
      .cpu<TensorListPushBack>()
      .gradient(push_gradient)
      .doc("A list with one more element at its end.");
  registry.op("TensorListPushBackBatch")
      .input("input_handles: variant")
      .input("tensor: element_dtype")
      .output("output_handles: variant")
      .attr("element_dtype: type")
      .shape(push_batch_shape)
      .cpu<TensorListPushBackBatch>()
      .doc("Lists with one row each at their ends.");
  registry.op("TensorListPopBack")
      .input("input_handle: variant")
      .input("element_shape: int32")
      .output("output_handle: variant")
      .output("tensor: element_dtype")
      .attr("element_dtype: type")
      .shape(pop_shape)
      .cpu<TensorListPopBack>()
      .gradient(pop_gradient)
      .doc("A list without its last element, and that element.");
  registry.op("TensorListGetItem")
      .input("input_handle: variant")
      .input("index: int32")
      .input("element_shape: Tshape")
      .output("item: element_dtype")
      .attr("element_dtype: type")
      .attr("Tshape: {int32, int64} = DT_INT32")
      .shape(get_shape)
      .cpu<TensorListGetItem>()
      .gradient(get_gradient)
      .doc("One element; zeros where it is not set.");
  registry.op("TensorListSetItem")
      .input("input_handle: variant")
      .input("index: int32")
      .input("item: element_dtype")
      .output("output_handle: variant")
      .attr("element_dtype: type")
      .attr("resize_if_index_out_of_bounds: bool = false")
      .shape(set_shape)
      .cpu<TensorListSetItem>()
      .gradient(set_gradient)
      .doc("A list with one element set.");
  registry.op("TensorListResize")
      .input("input_handle: variant")
      .input("size: int32")
      .output("output_handle: variant")
      .shape(resize_shape)
      .cpu<TensorListResize>()
      .gradient(resize_gradient)
      .doc("A list cut off, or grown by elements that are not set.");
  registry.op("TensorListLength")
      .input("input_handle: variant")
      .output("length: int32")
      .shape(scalar_shape)
      .cpu<TensorListLength>()
      .not_differentiable()
      .doc("How many elements a list has.");
  registry.op("TensorListElementShape")
      .input("input_handle: variant")
      .output("element_shape: shape_type")
      .attr("shape_type: {int32, int64}")
      .shape(element_shape_shape)
      .cpu<TensorListElementShape, int32_t, int64_t>("shape_type")
      .not_differentiable()
      .doc("What is known of the shape of all elements; -1 where nothing is.");
}

}  // namespace millrace
