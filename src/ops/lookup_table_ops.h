#pragma once
// What the families over tables share.

#include <span>
#include <string>
#include <vector>

#include "op/kernel.h"
#include "ops/lookup_table.h"

namespace millrace {

// "int64, string"
std::string type_list(std::span<const DataType> types);

// InvalidArgument unless the node's types after the handle, and of its outputs, are these.
absl::Status check_table_types(const KernelContext& ctx, std::vector<DataType> wanted_inputs,
                               const std::vector<DataType>& wanted_outputs);

}  // namespace millrace
