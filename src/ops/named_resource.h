#pragma once
// Resources that ops find by name, in both forms of handle: a resource, and TensorFlow's older reference to a vector of
// two strings (container and name).

#include "op/kernel.h"

namespace millrace {

struct ResourceName {
  std::string container, name;
};

// What a node's attributes container, shared_name and, where it has it, use_node_name_sharing say. Without a shared
// name a node's resource goes by the node's name if `by_node`, else by one that no other has.
absl::StatusOr<ResourceName> resource_name(const KernelInit& init, bool by_node = false);

// The handle as output `i`, of the form that the node declares.
absl::Status set_handle(KernelContext& ctx, int i, const ResourceName& name, std::string_view type_name,
                        std::vector<DataType> dtypes = {}, std::vector<PartialTensorShape> shapes = {});

// Input `i`, a handle of either form. InvalidArgument for a reference that holds none.
absl::StatusOr<ResourceName> handle_name(const KernelContext& ctx, int i);

template <class T> absl::StatusOr<std::shared_ptr<T>> find_resource(const KernelContext& ctx, int i) {
  MR_ASSIGN_OR_RETURN(const ResourceName name, handle_name(ctx, i));
  return ctx.resources().lookup<T>(name.container, name.name);
}

// The shape of a handle: a scalar for a resource, a vector of two for a reference.
absl::Status named_handle_shape(ShapeContext& c);
absl::Status check_handle_shape(ShapeContext& c, int i);
// Of ops whose inputs are all handles, and their outputs scalars.
absl::Status handles_and_scalars(ShapeContext& c);

}  // namespace millrace
