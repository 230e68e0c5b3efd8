#include "ops/named_resource.h"

#include <atomic>

#include "op/shape_context.h"

namespace millrace {

absl::StatusOr<ResourceName> resource_name(const KernelInit& init, bool by_node) {
  ResourceName result;
  MR_ASSIGN_OR_RETURN(result.container, init.attr<std::string>("container"));
  MR_ASSIGN_OR_RETURN(result.name, init.attr<std::string>("shared_name"));
  if (result.container.empty()) result.container = ResourceManager::kDefaultContainer;
  if (!result.name.empty()) return result;
  if (init.has_attr("use_node_name_sharing")) {
    MR_ASSIGN_OR_RETURN(by_node, init.attr<bool>("use_node_name_sharing"));
  }
  if (by_node) {
    result.name = init.node().name;
    return result;
  }
  static std::atomic<int64_t> count{0};
  result.name = str_cat("_", count.fetch_add(1, std::memory_order_relaxed), "_", init.node().name);
  return result;
}

absl::Status set_handle(KernelContext& ctx, int i, const ResourceName& name, std::string_view type_name,
                        std::vector<DataType> dtypes, std::vector<PartialTensorShape> shapes) {
  if (ctx.node().output_types[static_cast<size_t>(i)] == DataType::kResource) {
    ResourceHandle handle;
    handle.device = ctx.node().device;
    handle.container = name.container;
    handle.name = name.name;
    handle.type_name = type_name;
    handle.dtypes = std::move(dtypes);
    handle.shapes = std::move(shapes);
    return ctx.set_scalar(i, std::move(handle));
  }
  auto variable = std::make_shared<VariableResource>(DataType::kString, PartialTensorShape({2}));
  const std::string parts[] = {name.container, name.name};
  MR_ASSIGN_OR_RETURN(Tensor value, make_vector<std::string>(parts));
  variable->set(std::move(value));
  return ctx.set_output_ref(i, std::move(variable));
}

absl::StatusOr<ResourceName> handle_name(const KernelContext& ctx, int i) {
  if (!ctx.is_ref(i)) {
    MR_ASSIGN_OR_RETURN(ResourceHandle handle, ctx.handle(i));
    return ResourceName{std::move(handle.container), std::move(handle.name)};
  }
  MR_ASSIGN_OR_RETURN(const auto variable, ctx.variable(i));
  MR_ASSIGN_OR_RETURN(const Tensor value, variable->value(ctx.node().name));
  if (value.dtype() != DataType::kString || value.num_elements() != 2)
    return invalid_argument("Resource handle must have 2 elements, but had shape: ", value.shape());
  const auto parts = value.unchecked<std::string>();
  return ResourceName{parts[0], parts[1]};
}

absl::Status named_handle_shape(ShapeContext& c) {
  if (c.node().output_types[0] == DataType::kResource) return c.set_output(0, PartialTensorShape::scalar());
  return c.set_output(0, PartialTensorShape({2}));
}

absl::Status check_handle_shape(ShapeContext& c, int i) {
  if (c.input_type(i) == DataType::kResource) return c.with_rank(i, 0).status();
  MR_ASSIGN_OR_RETURN(const PartialTensorShape handle, c.with_rank(i, 1));
  if (handle.has_rank() && handle.dim(0) != 2 && handle.dim(0) != -1)
    return invalid_argument("Dimension must be 2 but is ", handle.dim(0));
  return absl::OkStatus();
}

absl::Status handles_and_scalars(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(check_handle_shape(c, i));
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, PartialTensorShape::scalar()));
  return absl::OkStatus();
}

}  // namespace millrace
