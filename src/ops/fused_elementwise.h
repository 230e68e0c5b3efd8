#pragma once
// Several elementwise float ops as one kernel, for the compiler: no graph holds such a node. What each op would have
// said to bad inputs is said here too, in its name.

#include <memory>
#include <string>
#include <vector>

#include "op/kernel.h"
#include "op/registry.h"

namespace millrace {

// True for ops that can be members, where all inputs and the output are float.
bool is_fusible_elementwise(std::string_view op);

struct FusedMember {
  std::string op, name, device, source;
  std::vector<int> operands = {};  // the fused node's inputs first, then earlier members
  bool is_output = false;
};

// The node's definition: N floats in, M out; attributes as fused_elementwise_attrs gives them.
const OpEntry& fused_elementwise_entry();
AttrMap fused_elementwise_attrs(const std::vector<FusedMember>& members);
std::unique_ptr<Kernel> make_fused_elementwise(int num_inputs, std::vector<FusedMember> members);

}  // namespace millrace
