// TF1's TensorArrays, which loops read and write by index. `flow` carries no value: it orders reads behind writes.

#include <atomic>
#include <vector>

#include "base/checked.h"
#include "data/rows.h"
#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/tensor_array_resource.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

constexpr std::string_view kContainer = "_tensor_arrays";
using Array = std::shared_ptr<TensorArrayResource>;

absl::Status set_handle(KernelContext& ctx, const std::string& name, DataType dtype) {
  ResourceHandle handle;
  handle.device = ctx.node().device;
  handle.container = kContainer;
  handle.name = name;
  handle.type_name = "TensorArray";
  handle.dtypes = {dtype};
  handle.shapes = {PartialTensorShape()};
  return ctx.set_scalar(0, std::move(handle));
}

absl::StatusOr<ResourceHandle> array_handle(const KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(ResourceHandle handle, ctx.handle(0));
  if (handle.container != kContainer) return invalid_argument("Wrong input container. ", handle.container, handle.name);
  return handle;
}

absl::StatusOr<Array> find_array(const KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(const ResourceHandle handle, array_handle(ctx));
  return ctx.services().step_resources().lookup<TensorArrayResource>(handle.container, handle.name);
}

absl::StatusOr<int64_t> index_of(const KernelContext& ctx) {
  if (ctx.shape(1).rank() != 0)
    return invalid_argument("TensorArray index must be scalar, but had shape: ", ctx.shape(1));
  return ctx.int_scalar(1);
}

// The array, of which values of the op's type are wanted, or to which they are written.
absl::StatusOr<Array> array_to_read(const KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Array array, find_array(ctx));
  MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "dtype"));
  if (array->dtype() != dtype)
    return invalid_argument("TensorArray dtype is ", dtype_name(array->dtype()), " but Op requested dtype ",
                            dtype_name(dtype), ".");
  return array;
}
absl::StatusOr<Array> array_to_write(const KernelContext& ctx, int value) {
  MR_ASSIGN_OR_RETURN(Array array, find_array(ctx));
  if (array->dtype() != ctx.input(value).dtype())
    return invalid_argument("TensorArray dtype is ", dtype_name(array->dtype()), " but Op is trying to write dtype ",
                            dtype_name(ctx.input(value).dtype()), ".");
  return array;
}

class TensorArray final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(options_.dtype, init.attr<DataType>("dtype"));
    MR_ASSIGN_OR_RETURN(options_.element_shape, init.attr<PartialTensorShape>("element_shape"));
    MR_ASSIGN_OR_RETURN(options_.dynamic_size, init.attr<bool>("dynamic_size"));
    MR_ASSIGN_OR_RETURN(options_.clear_after_read, init.attr<bool>("clear_after_read"));
    MR_ASSIGN_OR_RETURN(options_.identical_element_shapes, init.attr<bool>("identical_element_shapes"));
    MR_ASSIGN_OR_RETURN(name_, init.attr<std::string>("tensor_array_name"));
    if (name_.empty()) name_ = init.node().name;
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    if (ctx.shape(0).rank() != 0)
      return invalid_argument("TensorArray size must be scalar, but had shape: ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(const int32_t size, ctx.scalar<int32_t>(0));
    if (size < 0) return invalid_argument("Size should be >= 0.");
    TensorArrayResource::Options options = options_;
    options.size = size;
    const std::string name = str_cat(name_, "_", counter_.fetch_add(1, std::memory_order_relaxed));
    MR_RETURN_IF_ERROR(ctx.services().step_resources().create<TensorArrayResource>(
        kContainer, name, std::make_shared<TensorArrayResource>(name, std::move(options))));
    MR_RETURN_IF_ERROR(set_handle(ctx, name, options_.dtype));
    return ctx.set_scalar<float>(1, 0);
  }
  bool is_cheap() const override { return true; }

  inline static std::atomic<int64_t> counter_{0};  // each running of an op makes an array of its own
  TensorArrayResource::Options options_;
  std::string name_;
};

// The array of gradients that `source`, one call of tf.gradients, has of another array: made when first asked for.
class TensorArrayGrad final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(source_, init.attr<std::string>("source"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, array_handle(ctx));
    MR_ASSIGN_OR_RETURN(const Array forward, find_array(ctx));
    if (forward->is_gradient())
      return invalid_argument("TensorArray ", handle.name, " is the gradient of another: it has no gradient itself");
    TensorShape prepend;
    if (ctx.num_inputs() > 2) {
      MR_ASSIGN_OR_RETURN(prepend, ctx.shape_value(2));
    }
    const std::string name = str_cat(handle.name, "@", source_);
    MR_RETURN_IF_ERROR(ctx.services()
                           .step_resources()
                           .lookup_or_create<TensorArrayResource>(kContainer, name,
                                                                  [&] { return forward->make_gradient(name, prepend); })
                           .status());
    MR_RETURN_IF_ERROR(set_handle(ctx, name, forward->dtype()));
    return ctx.set_output(1, ctx.input(1));
  }
  bool is_cheap() const override { return true; }

  std::string source_;
};

class TensorArrayWrite final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t index, index_of(ctx));
    MR_ASSIGN_OR_RETURN(const Array array, array_to_write(ctx, 2));
    MR_RETURN_IF_ERROR(array->write(index, ctx.input(2)));
    return ctx.set_output(0, ctx.input(3));
  }
  bool is_cheap() const override { return true; }
};

class TensorArrayRead final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const int64_t index, index_of(ctx));
    MR_ASSIGN_OR_RETURN(const Array array, array_to_read(ctx));
    MR_ASSIGN_OR_RETURN(Tensor value, array->read(index));
    return ctx.set_output(0, std::move(value));
  }
  bool is_cheap() const override { return true; }
};

// Without elements the result's shape can come from the attribute only.
absl::Status no_elements(KernelContext& ctx, const PartialTensorShape& inner, std::string_view attr,
                         std::string_view doing) {
  if (!inner.is_fully_defined())
    return absl::UnimplementedError(str_cat("TensorArray has size zero, but ", attr, " ", inner,
                                            " is not fully defined. Currently only static shapes are supported when ",
                                            doing, " zero-size TensorArrays."));
  MR_ASSIGN_OR_RETURN(const TensorShape element, as_tensor_shape(inner));
  MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(element, 0, 0));
  return ctx.allocate_output(0, shape).status();
}

class TensorArrayGather final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(element_shape_, init.attr<PartialTensorShape>("element_shape"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, array_to_read(ctx));
    if (ctx.shape(1).rank() != 1)
      return invalid_argument("Expected indices to be a vector, but received shape: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto indices, ctx.vector<int32_t>(1));
    if (indices.empty()) return no_elements(ctx, element_shape_, "element shape", "packing");
    std::vector<Tensor> elements;
    elements.reserve(indices.size());
    for (const int32_t index : indices) {
      MR_ASSIGN_OR_RETURN(elements.emplace_back(), array->read(index));
      if (elements.back().shape() != elements[0].shape())
        return invalid_argument("TensorArray has inconsistent shapes.  Index 0 has shape: ", elements[0].shape(),
                                " but index ", elements.size() - 1, " has shape: ", elements.back().shape());
      if (elements.size() == 1 && !element_shape_.is_compatible_with(elements[0].shape()))
        return invalid_argument("TensorArray was passed element_shape ", element_shape_,
                                " which does not match the Tensor at index 0: ", elements[0].shape());
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape,
                        insert_dim(elements[0].shape(), 0, static_cast<int64_t>(elements.size())));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    const int64_t each = elements[0].num_elements();
    for (size_t i = 0; i < elements.size(); ++i)
      copy_elements(elements[i], 0, *out, static_cast<int64_t>(i) * each, each);
    return absl::OkStatus();
  }

  PartialTensorShape element_shape_;
};

absl::Status check_concatenable(const std::vector<Tensor>& elements, const PartialTensorShape& inner) {
  const Tensor& last = elements.back();
  const size_t at = elements.size() - 1;
  if (last.rank() == 0)
    return invalid_argument("Concat saw a scalar shape at index ", at,
                            " but requires at least vectors.  Did you mean to call pack?");
  const TensorShape rest = remove_dim(last.shape(), 0), first = remove_dim(elements[0].shape(), 0);
  if (!inner.is_compatible_with(rest))
    return invalid_argument("TensorArray was passed element_shape_except0 ", inner, " but index ", at,
                            " has (excepting dimension 0) shape: ", rest, " which does not match.");
  if (rest != first)
    return invalid_argument("TensorArray has inconsistent shapes.  Index 0 has (excepting dimension 0) shape: ", first,
                            " but index ", at, " has (excepting dimension 0) shape: ", rest);
  return absl::OkStatus();
}

class TensorArrayConcat final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(inner_, init.attr<PartialTensorShape>("element_shape_except0"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, array_to_read(ctx));
    MR_ASSIGN_OR_RETURN(const int32_t count, array->concat_size());
    if (count == 0) {
      MR_ASSIGN_OR_RETURN(const TensorShape none, make_shape({0}));
      MR_RETURN_IF_ERROR(ctx.allocate_output(1, none).status());
      return no_elements(ctx, inner_, "element_shape_except0", "concatenating");
    }
    std::vector<Tensor> elements;
    CheckedInt rows = 0;
    for (int32_t i = 0; i < count; ++i) {
      MR_ASSIGN_OR_RETURN(elements.emplace_back(), array->read(i));
      MR_RETURN_IF_ERROR(check_concatenable(elements, inner_));
      rows = rows + elements.back().dim(0);
    }
    array->mark_size(count);
    if (!rows.valid()) return invalid_argument("TensorArray: more rows than a tensor can have");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(elements[0].shape(), 0, rows.value()));
    MR_ASSIGN_OR_RETURN(const TensorShape lengths_shape, make_shape({count}));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    MR_ASSIGN_OR_RETURN(const auto lengths, ctx.output<int64_t>(1, lengths_shape));
    int64_t at = 0;
    for (size_t i = 0; i < elements.size(); ++i) {
      lengths[i] = elements[i].dim(0);
      copy_elements(elements[i], 0, *out, at, elements[i].num_elements());
      at += elements[i].num_elements();
    }
    return absl::OkStatus();
  }

  PartialTensorShape inner_;
};

class TensorArrayScatter final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, array_to_write(ctx, 2));
    const Tensor& value = ctx.input(2);
    if (ctx.shape(1).rank() != 1)
      return invalid_argument("Expected indices to be a vector, but received shape: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const auto given, ctx.vector<int32_t>(1));
    const std::vector<int32_t> indices(given.begin(), given.end());
    if (value.rank() < 1)
      return invalid_argument("Expected value to be at least a vector, but received shape: ", value.shape());
    if (value.dim(0) != static_cast<int64_t>(indices.size()))
      return invalid_argument("Expected indices.shape[0] == values.shape[0] == ", value.dim(0), " but there are ",
                              indices.size(), " indices");
    MR_ASSIGN_OR_RETURN(const int32_t size, array->size());
    const auto highest = std::max_element(indices.begin(), indices.end());
    if (highest != indices.end() && *highest >= size && !array->has_dynamic_size())
      return invalid_argument("Max scatter index must be < array size (", *highest, " vs. ", size, ")");
    const TensorShape element = remove_dim(value.shape(), 0);
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      MR_ASSIGN_OR_RETURN(const Tensor rows, slice_rows(value, row, row + 1));  // shares the buffer
      MR_ASSIGN_OR_RETURN(const Tensor one, reshaped(rows, element));
      MR_RETURN_IF_ERROR(array->write(indices[i], one));
    }
    return ctx.set_output(0, ctx.input(3));
  }
};

class TensorArraySplit final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, array_to_write(ctx, 1));
    const Tensor& value = ctx.input(1);
    if (ctx.shape(2).rank() != 1)
      return invalid_argument("Expected lengths to be a vector, received shape: ", ctx.shape(2));
    MR_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, ctx.int_values(2));
    if (value.rank() < 1)
      return invalid_argument("Expected value to be at least a vector, but received shape: ", value.shape());
    CheckedInt total = 0;
    for (const int64_t length : lengths) {
      if (length < 0) return invalid_argument("Expected lengths to be at least 0, but received ", length);
      total = total + length;
    }
    if (!total.valid() || total.value() != value.dim(0))
      return invalid_argument("Expected sum of lengths to be equal to values.shape[0], but sum of lengths is ",
                              total.valid() ? str_cat(total.value()) : "too large",
                              " and value's shape is: ", value.shape());
    MR_ASSIGN_OR_RETURN(const int32_t size, array->size());
    const auto count = static_cast<int64_t>(lengths.size());
    if (size != count && !(array->has_dynamic_size() && count > size))
      return invalid_argument("TensorArray's size is not equal to the size of lengths (", size, " vs. ", count,
                              "), and the TensorArray is not marked as dynamically resizeable");
    int64_t row = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      MR_ASSIGN_OR_RETURN(const Tensor rows, slice_rows(value, row, row + lengths[i]));  // shares the buffer
      MR_RETURN_IF_ERROR(array->write(static_cast<int64_t>(i), rows));
      row += lengths[i];
    }
    array->mark_size(static_cast<int32_t>(count));
    return ctx.set_output(0, ctx.input(3));
  }
};

class TensorArraySize final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, find_array(ctx));
    MR_ASSIGN_OR_RETURN(const int32_t size, array->size());
    return ctx.set_scalar<int32_t>(0, size);
  }
  bool is_cheap() const override { return true; }
};

class TensorArrayClose final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Array array, find_array(ctx));
    return array->close();
  }
};

// ---- shapes

// Shapes are inferred as if a handle were a vector of two, as the older arrays' handles were; ours is a scalar.
absl::Status check_handle(ShapeContext& c, int flow) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  return c.with_rank(flow, 0).status();
}
absl::StatusOr<PartialTensorShape> handle_shape() { return make_partial_shape({2}); }

PartialTensorShape element_of(ShapeContext& c) {
  const auto known = c.handle(0);
  return known.size() == 1 ? known[0].shape : PartialTensorShape();
}

absl::Status array_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("dtype"));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape element, c.attr<PartialTensorShape>("element_shape"));
  MR_ASSIGN_OR_RETURN(const bool identical, c.attr<bool>("identical_element_shapes"));
  if (element.is_fully_defined() || identical) c.set_handle(0, {{dtype, element}});
  MR_RETURN_IF_ERROR(c.set_output(0, handle_shape()));
  return c.set_output(1, PartialTensorShape::scalar());
}

absl::Status grad_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 1));
  const auto known = c.handle(0);
  PartialTensorShape prepend = PartialTensorShape::scalar();
  if (c.num_inputs() > 2) {
    // As in TensorFlow, how many dimensions are put in front is inferred, not which.
    MR_ASSIGN_OR_RETURN(const PartialTensorShape dims, c.with_rank(2, 1));
    prepend = PartialTensorShape();
    if (dims.has_rank() && dims.dim(0) > Dims::kMaxRank)
      return invalid_argument("shape_to_prepend has ", dims.dim(0), " dimensions, more than ", Dims::kMaxRank);
    if (dims.has_rank() && dims.dim(0) >= 0) {
      MR_ASSIGN_OR_RETURN(prepend, make_partial_shape(std::vector<int64_t>(static_cast<size_t>(dims.dim(0)), -1)));
    }
  }
  if (known.size() == 1) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape element, concatenate(prepend, known[0].shape));
    c.set_handle(0, {{known[0].dtype, element}});
  }
  MR_RETURN_IF_ERROR(c.set_output(0, handle_shape()));
  return c.set_output(1, PartialTensorShape::scalar());
}

absl::Status write_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 3));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_RETURN_IF_ERROR(merge(element_of(c), c.input(2)).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

absl::Status read_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 2));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return c.set_output(0, element_of(c));
}

absl::Status gather_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 2));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 1));
  PartialTensorShape element = element_of(c);
  if (c.handle(0).size() != 1) {  // else the attribute does not count, even if the array knows no shape
    MR_ASSIGN_OR_RETURN(element, c.attr<PartialTensorShape>("element_shape"));
  }
  return c.set_output(0, concatenate(indices, element));
}

absl::Status scatter_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 3));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape indices, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape value, c.with_rank_at_least(2, 1));
  if (value.has_rank()) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape whole, concatenate(indices, element_of(c)));
    MR_ASSIGN_OR_RETURN(const PartialTensorShape count, make_partial_shape({value.dim(0)}));
    MR_RETURN_IF_ERROR(merge(indices, count).status());
    MR_RETURN_IF_ERROR(merge(whole, value).status());
  }
  return c.set_output(0, PartialTensorShape::scalar());
}

absl::Status concat_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 1));
  MR_RETURN_IF_ERROR(c.set_output(0, PartialTensorShape()));
  return c.set_output(1, unknown_shape_of_rank(1));
}

absl::Status split_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 3));
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

absl::Status size_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle(c, 1));
  return c.set_output(0, PartialTensorShape::scalar());
}

absl::Status close_shape(ShapeContext& c) { return c.with_rank_at_most(0, 1).status(); }

// ---- gradients: every call of tf.gradients adds up in an array of its own, told apart by its name scope

absl::StatusOr<std::string> gradient_source(const Output& dy) {
  std::string name = dy.name();
  name.resize(std::min(name.rfind(':'), name.size()));
  size_t end = std::string::npos;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t stop = std::min(name.find('/', begin), name.size());
    if (std::string_view(name).substr(begin).starts_with("gradients")) end = stop;
    begin = stop + 1;
  }
  if (end == std::string::npos)
    return invalid_argument("Expected op/tensor name to start with gradients (excluding scope), got: ", name,
                            ". This means that a tf.gradients op with this op in its dependency path has a custom name "
                            "that does not start with 'gradients'. Please make sure all calls to tf.gradients that use "
                            "non-empty `name` arguments start with 'gradients'.");
  return name.substr(0, end);
}

struct GradientArray {
  Output handle, flow;
};

GradientArray gradient_array(GradientContext& g, const Output& flow, const std::string& source) {
  const auto scope = g.name_scope("TensorArrayGrad");
  const auto colocated = g.colocate_with(g.x(0));
  const Output handle = g.op("TensorArrayGradV3", {g.x(0), flow}, {{"source", source}});
  const auto after = g.control_dependencies({handle});
  return {handle, g.op("Identity", {flow}, {}, "gradient_flow")};
}

// The gradient of what writes: all writes have happened before gradients are taken.
absl::StatusOr<GradientArray> array_behind_writes(GradientContext& g, int flow_in) {
  MR_ASSIGN_OR_RETURN(const std::string source, gradient_source(g.dy(0)));
  const Output flow_out = g.op("Identity", {g.y(0)}, {}, "flow_out");
  Output flow;
  {
    const auto after = g.control_dependencies({flow_out});
    flow = g.op("Identity", {g.dy(0)}, {}, "write_barrier");
  }
  g.set_dx(flow_in, flow);
  return gradient_array(g, flow, source);
}

absl::Status write_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const GradientArray array, array_behind_writes(g, 3));
  g.set_dx(2, g.op("TensorArrayReadV3", {array.handle, g.x(1), array.flow}, {{"dtype", g.dtype(g.x(2))}}));
  return absl::OkStatus();
}

absl::Status scatter_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const GradientArray array, array_behind_writes(g, 3));
  g.set_dx(2, g.op("TensorArrayGatherV3", {array.handle, g.x(1), array.flow}, {{"dtype", g.dtype(g.x(2))}}));
  return absl::OkStatus();
}

absl::Status split_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const GradientArray array, array_behind_writes(g, 3));
  g.set_dx(1, g.op("TensorArrayConcatV3", {array.handle, array.flow}, {{"dtype", g.dtype(g.x(1))}}));
  return absl::OkStatus();
}

absl::Status read_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string source, gradient_source(g.dy(0)));
  const GradientArray array = gradient_array(g, g.x(2), source);
  const auto scope = g.name_scope("TensorArrayWrite");
  g.set_dx(2, g.op("TensorArrayWriteV3", {array.handle, g.x(1), g.dy(0), array.flow}));
  return absl::OkStatus();
}

absl::Status gather_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string source, gradient_source(g.dy(0)));
  const GradientArray array = gradient_array(g, g.x(2), source);
  const auto scope = g.name_scope("TensorArrayScatter");
  g.set_dx(2, g.op("TensorArrayScatterV3", {array.handle, g.x(1), g.dy(0), array.flow}));
  return absl::OkStatus();
}

absl::Status concat_gradient(GradientContext& g) {
  MR_ASSIGN_OR_RETURN(const std::string source, gradient_source(g.dy(0)));
  const GradientArray array = gradient_array(g, g.x(1), source);
  const auto scope = g.name_scope("TensorArraySplit");
  g.set_dx(1, g.op("TensorArraySplitV3", {array.handle, g.dy(0), g.y(1), array.flow}));
  return absl::OkStatus();
}

}  // namespace

void register_tensor_array(Registry& registry) {
  registry.op("TensorArrayV3")
      .input("size: int32")
      .output("handle: resource")
      .output("flow: float")
      .attr("dtype: type")
      .attr("element_shape: shape = { unknown_rank: true }")
      .attr("dynamic_size: bool = false")
      .attr("clear_after_read: bool = true")
      .attr("identical_element_shapes: bool = false")
      .attr("tensor_array_name: string = ''")
      .stateful()
      .shape(array_shape)
      .not_differentiable()
      .cpu<TensorArray>()
      .doc("An array of tensors, which lives as long as the step.");
  registry.op("TensorArrayGradV3")
      .input("handle: resource")
      .input("flow_in: float")
      .output("grad_handle: resource")
      .output("flow_out: float")
      .attr("source: string")
      .stateful()
      .shape(grad_shape)
      .not_differentiable()
      .cpu<TensorArrayGrad>()
      .doc("The array that adds up the gradients of an array's elements.");
  registry.op("TensorArrayGradWithShape")
      .input("handle: resource")
      .input("flow_in: float")
      .input("shape_to_prepend: int32")
      .output("grad_handle: resource")
      .output("flow_out: float")
      .attr("source: string")
      .stateful()
      .shape(grad_shape)
      .not_differentiable()
      .cpu<TensorArrayGrad>()
      .doc("TensorArrayGradV3 whose elements have more dimensions before their own.");
  registry.op("TensorArrayWriteV3")
      .input("handle: resource")
      .input("index: int32")
      .input("value: T")
      .input("flow_in: float")
      .output("flow_out: float")
      .attr("T: type")
      .stateful()
      .shape(write_shape)
      .gradient(write_gradient)
      .cpu<TensorArrayWrite>()
      .doc("Writes an element.");
  registry.op("TensorArrayReadV3")
      .input("handle: resource")
      .input("index: int32")
      .input("flow_in: float")
      .output("value: dtype")
      .attr("dtype: type")
      .stateful()
      .shape(read_shape)
      .gradient(read_gradient)
      .cpu<TensorArrayRead>()
      .doc("Reads an element.");
  registry.op("TensorArrayGatherV3")
      .input("handle: resource")
      .input("indices: int32")
      .input("flow_in: float")
      .output("value: dtype")
      .attr("dtype: type")
      .attr("element_shape: shape = { unknown_rank: true }")
      .stateful()
      .shape(gather_shape)
      .gradient(gather_gradient)
      .cpu<TensorArrayGather>()
      .doc("Elements stacked along a new first dimension.");
  registry.op("TensorArrayScatterV3")
      .input("handle: resource")
      .input("indices: int32")
      .input("value: T")
      .input("flow_in: float")
      .output("flow_out: float")
      .attr("T: type")
      .stateful()
      .shape(scatter_shape)
      .gradient(scatter_gradient)
      .cpu<TensorArrayScatter>()
      .doc("Writes the rows of a tensor as elements.");
  registry.op("TensorArrayConcatV3")
      .input("handle: resource")
      .input("flow_in: float")
      .output("value: dtype")
      .output("lengths: int64")
      .attr("dtype: type")
      .attr("element_shape_except0: shape = { unknown_rank: true }")
      .stateful()
      .shape(concat_shape)
      .gradient(concat_gradient)
      .cpu<TensorArrayConcat>()
      .doc("All elements one after another along their first dimension, and how long each is.");
  registry.op("TensorArraySplitV3")
      .input("handle: resource")
      .input("value: T")
      .input("lengths: int64")
      .input("flow_in: float")
      .output("flow_out: float")
      .attr("T: type")
      .stateful()
      .shape(split_shape)
      .gradient(split_gradient)
      .cpu<TensorArraySplit>()
      .doc("Writes pieces of a tensor, of the given lengths, as elements.");
  registry.op("TensorArraySizeV3")
      .input("handle: resource")
      .input("flow_in: float")
      .output("size: int32")
      .stateful()
      .shape(size_shape)
      .not_differentiable()
      .cpu<TensorArraySize>()
      .doc("How many elements the array has room for.");
  registry.op("TensorArrayCloseV3")
      .input("handle: resource")
      .stateful()
      .shape(close_shape)
      .not_differentiable()
      .cpu<TensorArrayClose>()
      .doc("Frees the elements; the array cannot be used any more.");
}

}  // namespace millrace
