#include "ops/dataset_kernel.h"

namespace millrace {

absl::StatusOr<ElementSpec> element_spec(const NodeInfo& node) {
  ElementSpec spec;
  const bool has_types = node.attrs.find("output_types") != node.attrs.end();
  MR_ASSIGN_OR_RETURN(spec.types, get_attr<std::vector<DataType>>(node, has_types ? "output_types" : "Toutput_types"));
  MR_ASSIGN_OR_RETURN(spec.shapes, get_attr<std::vector<PartialTensorShape>>(node, "output_shapes"));
  if (spec.types.size() != spec.shapes.size())
    return invalid_argument(node.op, ": output_types has ", spec.types.size(), " entries but output_shapes has ",
                            spec.shapes.size(), ".");
  return spec;
}

absl::StatusOr<DatasetPtr> dataset_input(const KernelContext& ctx, int i) { return dataset_from_tensor(ctx.input(i)); }

absl::StatusOr<FunctionPtr> function_input(const KernelContext& ctx, std::string_view attr, int begin, int end) {
  MR_ASSIGN_OR_RETURN(const FunctionRef function, get_attr<FunctionRef>(ctx.node(), attr));
  return CapturedFunction::make(ctx.services().functions(), function, tensor_inputs(ctx, begin, end));
}

Element tensor_inputs(const KernelContext& ctx, int begin, int end) {
  Element tensors;
  for (int i = begin; i < end; ++i) tensors.push_back(ctx.input(i));
  return tensors;
}

absl::StatusOr<int> list_length(const NodeInfo& node, std::string_view attr) {
  MR_ASSIGN_OR_RETURN(const std::vector<DataType> types, get_attr<std::vector<DataType>>(node, attr));
  return static_cast<int>(types.size());
}

absl::StatusOr<bool> deterministic_attr(const NodeInfo& node) {
  MR_ASSIGN_OR_RETURN(const std::string value, get_attr<std::string>(node, "deterministic"));
  if (value != "true" && value != "false" && value != "default")
    return invalid_argument("Unrecognized value for deterministic: '", value,
                            "'; it must be \"true\", \"false\" or \"default\".");
  return value != "false";
}

}  // namespace millrace
