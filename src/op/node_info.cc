#include "op/node_info.h"

namespace millrace {

template <class T> absl::StatusOr<T> get_attr(const NodeInfo& node, std::string_view attr) {
  const auto it = node.attrs.find(attr);
  if (it == node.attrs.end()) {
    return not_found("No attr named '", attr, "' in node '", node.name, "' (", node.op, ")");
  }
  const T* value = it->second.template get<T>();
  if (value == nullptr) {
    return invalid_argument("attr '", attr, "' of node '", node.name, "' (", node.op, ") has value ",
                            it->second.to_string(), ", which is not of the expected type");
  }
  return *value;
}

#define MR_INSTANTIATE(...) \
  template absl::StatusOr<__VA_ARGS__> get_attr<__VA_ARGS__>(const NodeInfo&, std::string_view);
MR_INSTANTIATE(std::string)
MR_INSTANTIATE(int64_t)
MR_INSTANTIATE(float)
MR_INSTANTIATE(bool)
MR_INSTANTIATE(DataType)
MR_INSTANTIATE(PartialTensorShape)
MR_INSTANTIATE(Tensor)
MR_INSTANTIATE(FunctionRef)
MR_INSTANTIATE(std::vector<std::string>)
MR_INSTANTIATE(std::vector<int64_t>)
MR_INSTANTIATE(std::vector<float>)
MR_INSTANTIATE(std::vector<bool>)
MR_INSTANTIATE(std::vector<DataType>)
MR_INSTANTIATE(std::vector<PartialTensorShape>)
MR_INSTANTIATE(std::vector<Tensor>)
MR_INSTANTIATE(std::vector<FunctionRef>)
#undef MR_INSTANTIATE

}  // namespace millrace
