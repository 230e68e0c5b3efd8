#pragma once
// What shape functions, kernels and gradients may know of the node they work for.

#include <string>
#include <vector>

#include "base/status.h"
#include "millrace/attr.h"

namespace millrace {

struct NodeInfo {
  std::string name;
  std::string op;
  std::string device;                 // full name once placed, e.g. "/job:localhost/replica:0/task:0/device:CPU:0"
  AttrMap attrs;                      // complete: defaults filled in
  std::vector<DataType> input_types;  // flat; reference types where the op takes a reference
  std::vector<DataType> output_types;
};

// The attribute as a T: std::string, int64_t, float, bool, DataType, PartialTensorShape, Tensor, FunctionRef or vectors
// of these. InvalidArgument names the node and the attribute where it is missing or of another type.
template <class T> absl::StatusOr<T> get_attr(const NodeInfo& node, std::string_view attr);

}  // namespace millrace
