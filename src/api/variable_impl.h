#pragma once
// What a tf::Variable handle leads to: the nodes of one variable, of either kind.

#include <memory>
#include <string>

#include "millrace/variables.h"

namespace tensorflow {
class VariableDef;
}

namespace millrace {

class VariableImpl final : public CollectionObject,
                           public OutputSource,
                           public std::enable_shared_from_this<VariableImpl> {
 public:
  std::string name() const override { return variable.name(); }
  std::string to_proto() const override;
  // For a resource variable each conversion is a read of its own; by reference it is the handle.
  Output to_output(bool as_ref) const override;

  Output variable;  // VariableV2's reference, or VarHandleOp's handle
  Output snapshot;  // "w/read" or "w/Read/ReadVariableOp"
  Operation initializer;
  Output initial_value;
  DataType dtype = DataType::kInvalid;  // of the value
  bool is_resource = false;
  bool trainable = true;
  bool validate_shape = true;
  Constraint constraint;
};

// get_variable as TF1's layers call it: their own regularizer comes after the scope's.
Variable layer_variable(std::string_view name, const PartialTensorShape& shape, const GetVariableOptions& options);

// Small tensors of one value as a constant, large ones as a Fill, as tf.zeros and tf.ones build them in the current
// scopes.
Output filled(const TensorShape& shape, DataType dtype, int value, std::string_view name);

}  // namespace millrace
