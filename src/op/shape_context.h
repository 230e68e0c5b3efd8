#pragma once
// What a shape function sees and says. The same functions run twice: when a node is made (inputs partly known), and
// before its kernel on the actual inputs (all known, fed values included), where they are the op's input contract.
//
//   absl::Status matmul_shape(ShapeContext& c) {
//     MR_ASSIGN_OR_RETURN(const PartialTensorShape a, c.with_rank(0, 2));
//     ...
//     return c.set_output(0, {rows, cols});
//   }

#include <optional>
#include <span>
#include <vector>

#include "op/node_info.h"
#include "tensor/tensor.h"

namespace millrace {

// What is known of the value behind a resource or variant output.
struct HandleType {
  DataType dtype = DataType::kInvalid;
  PartialTensorShape shape;
};

class ShapeContext {
 public:
  // Values and handles may be shorter than shapes: missing ones are unknown. `values[i]` is null or input i's constant
  // value; `partial_values[i]` is what is known of input i taken as a shape vector.
  ShapeContext(const NodeInfo& node, std::vector<PartialTensorShape> inputs, std::vector<const Tensor*> values = {},
               std::vector<std::optional<PartialTensorShape>> partial_values = {},
               std::vector<std::vector<HandleType>> handles = {});

  const NodeInfo& node() const { return node_; }
  template <class T> absl::StatusOr<T> attr(std::string_view name) const { return get_attr<T>(node_, name); }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  DataType input_type(int i) const { return base_dtype(node_.input_types.at(static_cast<size_t>(i))); }

  // Unknown for an index out of range.
  const PartialTensorShape& input(int i) const;
  absl::StatusOr<PartialTensorShape> with_rank(int i, int rank) const;
  absl::StatusOr<PartialTensorShape> with_rank_at_least(int i, int rank) const;
  absl::StatusOr<PartialTensorShape> with_rank_at_most(int i, int rank) const;

  // The value of input i where it is constant, else null.
  const Tensor* value(int i) const;
  // Its integers (int32 or int64, any shape); nullopt where it is not constant.
  absl::StatusOr<std::optional<std::vector<int64_t>>> int_values(int i) const;
  absl::StatusOr<std::optional<int64_t>> int_scalar(int i) const;
  // Input i (a vector of int32 or int64) taken as a shape: as much as is known of it. -1 elements are unknown
  // dimensions.
  absl::StatusOr<PartialTensorShape> as_shape(int i) const;

  absl::Status set_output(int i, PartialTensorShape shape);  // always ok: reads well after return
  absl::Status set_output(int i, absl::StatusOr<PartialTensorShape> shape);
  const PartialTensorShape& output(int i) const { return outputs_.at(static_cast<size_t>(i)); }
  // What is known of output i, taken as a shape vector by a later node (Shape, Pack, ConcatV2, ... say it).
  void set_partial_value(int i, PartialTensorShape value);
  const std::optional<PartialTensorShape>& partial_value(int i) const {
    return partial_outputs_.at(static_cast<size_t>(i));
  }
  const std::optional<PartialTensorShape>& input_partial_value(int i) const;

  // The values behind resource or variant input i; empty if unknown.
  std::span<const HandleType> handle(int i) const;
  void set_handle(int i, std::vector<HandleType> types) {
    output_handles_.at(static_cast<size_t>(i)) = std::move(types);
  }
  const std::vector<HandleType>& output_handle(int i) const { return output_handles_.at(static_cast<size_t>(i)); }

 private:
  const NodeInfo& node_;
  std::vector<PartialTensorShape> inputs_;
  std::vector<const Tensor*> values_;
  std::vector<std::optional<PartialTensorShape>> partial_values_;
  std::vector<std::vector<HandleType>> handles_;
  std::vector<PartialTensorShape> outputs_;  // unknown until set
  std::vector<std::optional<PartialTensorShape>> partial_outputs_;
  std::vector<std::vector<HandleType>> output_handles_;
};

// Shape functions that many ops share.
absl::Status unchanged_shape(ShapeContext& c);  // every output like input 0
absl::Status scalar_shape(ShapeContext& c);     // every output a scalar
absl::Status no_outputs(ShapeContext& c);
absl::Status unknown_shapes(ShapeContext& c);   // nothing is known
absl::Status broadcast_shape(ShapeContext& c);  // output 0: inputs 0 and 1 broadcast
absl::Status merged_shape(ShapeContext& c);     // all inputs and all outputs have one shape

}  // namespace millrace
