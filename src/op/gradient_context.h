#pragma once
// What a gradient rule needs of a graph. Rules build ops, never kernels, so that second derivatives come for free;
// names of the built nodes are those that TensorFlow's Python rules give, as graphs must be equal node for node.
//
//   absl::Status matmul_gradient(GradientContext& g) {  // C = A B: dA = dC B^T, dB = A^T dC
//     ...
//     g.set_dx(0, g.op("MatMul", {g.dy(0), g.x(1)}, {{"transpose_b", true}}));
//     return absl::OkStatus();
//   }
// Building cannot fail visibly: the first error is kept and ends the rule's result; later calls return absent outputs.

#include <memory>
#include <string_view>
#include <vector>

#include "millrace/graph.h"
#include "op/node_info.h"

namespace millrace {

class GradientContext {
 public:
  virtual ~GradientContext() = default;

  // The forward node.
  virtual const NodeInfo& node() const = 0;
  virtual int num_inputs() const = 0;
  virtual int num_outputs() const = 0;
  virtual Output x(int i) const = 0;  // the forward node's input i
  virtual Output y(int i) const = 0;  // its output i
  // The gradient with respect to output i, dense; absent if the target does not depend on it (TF1's None), unless that
  // output is of a floating type: then zeros are made, as TF1 does.
  virtual Output dy(int i) = 0;
  virtual bool has_dy(int i) const = 0;  // false where TF1 would have None
  // The gradient of output i where it came as slices, else null: for rules that hand slices on or treat them on their
  // own (dy() would make them dense).
  virtual const IndexedSlices* dy_slices(int i) const = 0;

  // The result: gradient of input i, dense or as slices. Inputs not set have none.
  virtual void set_dx(int i, Output dx) = 0;
  virtual void set_dx(int i, const IndexedSlices& dx) = 0;

  // What is known statically.
  virtual PartialTensorShape shape(const Output& output) const = 0;
  // The shape of the variable behind a resource handle, as far as it is known.
  virtual PartialTensorShape variable_shape(const Output& handle) const { return {}; }
  // True for what is zero by its making: a ZerosLike node, or a constant of zeros.
  virtual bool is_zero(const Output& output) const { return false; }
  virtual DataType dtype(const Output& output) const = 0;                // never a reference type
  virtual const Tensor* constant_value(const Output& output) const = 0;  // null unless a constant

  // A new node. Its name is `name`, or the op type, made unique in the current scope; the name "/" is the innermost
  // name scope's own (Python's operators open a scope "mul", put a converted literal "mul/y" into it and call the op
  // "mul"). Returns all outputs.
  virtual std::vector<Output> op_outputs(std::string_view type, const std::vector<Output>& inputs, AttrMap attrs = {},
                                         std::string_view name = {}) = 0;
  // With a list input (N * T, or a list of types): pass arguments as lists.
  virtual std::vector<Output> op_with_lists(std::string_view type, const std::vector<std::vector<Output>>& inputs,
                                            AttrMap attrs = {}, std::string_view name = {}) = 0;
  // compact: one value repeated, written as tf.zeros writes it.
  virtual Output constant(const Tensor& value, std::string_view name = "Const", bool compact = false) = 0;

  // Guards: nodes made while one lives are named below `name`, or depend on `ops`.
  class Guard {
   public:
    virtual ~Guard() = default;
  };
  virtual std::unique_ptr<Guard> name_scope(std::string_view name) = 0;
  virtual std::unique_ptr<Guard> control_dependencies(const std::vector<Output>& ops) = 0;
  virtual std::unique_ptr<Guard> colocate_with(const Output& op) = 0;  // nodes get _class = ["loc:@NAME"]
  virtual std::unique_ptr<Guard> device(std::string_view device) = 0;  // as tf.device; "/cpu:0"

  // True the first time that this graph is asked with this key: some of TF's rules build helper nodes once per graph.
  virtual bool first_time(const std::string& key) = 0;
  virtual void fail(absl::Status status) = 0;

  // Conveniences over the above.
  Output op(std::string_view type, const std::vector<Output>& inputs, AttrMap attrs = {}, std::string_view name = {}) {
    const std::vector<Output> outputs = op_outputs(type, inputs, std::move(attrs), name);
    return outputs.empty() ? Output() : outputs[0];
  }
  template <class T> absl::StatusOr<T> attr(std::string_view name) const { return get_attr<T>(node(), name); }
  Output int32_scalar(int32_t value, std::string_view name = "Const") { return constant(Tensor(value), name); }
};

}  // namespace millrace
