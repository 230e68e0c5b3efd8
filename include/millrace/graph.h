#pragma once
// Symbolic values: Output is one output of one operation of a graph, Input is what functions that build operations
// accept.

#include <concepts>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "millrace/attr.h"
#include "millrace/tensor.h"

namespace millrace {

class Node;  // a node of a graph; lives as long as its graph

#pragma GCC visibility push(default)

class Graph;  // millrace/framework.h

class Operation;

// One output of an operation. A cheap value; its graph must live. TF1's Python calls this a Tensor.
class Output {
 public:
  Output() = default;
  Output(Node* node, int index) : node_(node), index_(index) {}
  explicit operator bool() const { return node_ != nullptr; }

  std::string name() const;  // "dense/BiasAdd:0"
  DataType dtype() const;    // a reference type for the outputs of reference variables
  PartialTensorShape shape() const;
  // Narrows the static shape; InvalidArgumentError where it contradicts what is known.
  void set_shape(const PartialTensorShape& shape) const;
  Operation op() const;

  Node* node() const { return node_; }
  int index() const { return index_; }
  friend bool operator==(const Output&, const Output&) = default;

 private:
  Node* node_ = nullptr;
  int index_ = 0;
};

// A node as users see it: something to run, to depend on, or to take outputs of.
class Operation {
 public:
  Operation() = default;
  explicit Operation(Node* node) : node_(node) {}
  Operation(const Output& output) : node_(output.node()) {}  // NOLINT: an output stands for its operation
  explicit operator bool() const { return node_ != nullptr; }

  const std::string& name() const;
  const std::string& type() const;
  const std::string& device() const;
  int num_inputs() const;
  int num_outputs() const;
  Output input(int i) const;
  Output output(int i) const;
  std::vector<Operation> control_inputs() const;
  const AttrMap& attrs() const;
  const std::string& source() const;  // "train.cc:42", where the user's program created it; empty for imported nodes
  Graph graph() const;  // defined in millrace/framework.h's sources; the graph lives while the handle does

  Node* node() const { return node_; }
  friend bool operator==(const Operation&, const Operation&) = default;

 private:
  Node* node_ = nullptr;
};

// The sparse gradient of a gather: rows `values` at `indices` of a tensor of shape `dense_shape`.
struct IndexedSlices {
  Output values;
  Output indices;
  Output dense_shape;  // may be absent
};

// What stands for a value without being one yet: a variable, which is read where it is used, or handed on as a
// reference.
class OutputSource {
 public:
  virtual ~OutputSource() = default;
  // The value for an op that is being built; as_ref: the reference or handle itself. May make nodes in the default
  // graph.
  virtual Output to_output(bool as_ref) const = 0;
};

class Input;
namespace internal {
template <class T>
concept VariableLike = requires(const T& v) {
  { v.output_source() } -> std::convertible_to<std::shared_ptr<const OutputSource>>;
};
template <class T>
concept Literal = std::is_constructible_v<Tensor, T> && !std::is_convertible_v<T, Output> &&
                  !std::is_same_v<std::remove_cvref_t<T>, Input>;
template <class T>
concept OutputLike = std::is_convertible_v<T, Output> && !std::is_same_v<std::remove_cvref_t<T>, Output> &&
                     !std::is_same_v<std::remove_cvref_t<T>, Input> && !VariableLike<T>;
}  // namespace internal

// An argument of a function that builds operations: a symbolic value, a variable, or a literal that becomes a Const
// node there. Its construction notes the caller's source line, which errors of the operation then show.
//
// Literals follow Python's rules: a C++ number takes the dtype that the op's other arguments give (1 becomes 1.0f), and
// a plain double is a float32 where nothing says otherwise, as Python's floats are. Tensors keep their dtype there.
class Input {
 public:
  Input() = default;                                                                         // absent
  Input(const Output& output, std::source_location where = std::source_location::current())  // NOLINT
      : output_(output), where_(where) {}
  template <internal::Literal T>
  Input(T&& literal, std::source_location where = std::source_location::current())  // NOLINT
      : literal_(std::forward<T>(literal)), is_number_(std::is_arithmetic_v<std::remove_cvref_t<T>>), where_(where) {}
  template <internal::VariableLike T>
  Input(const T& value, std::source_location where = std::source_location::current())  // NOLINT
      : source_(value.output_source()), where_(where) {}
  template <internal::OutputLike T>  // other things that stand for an Output
  Input(const T& value, std::source_location where = std::source_location::current())  // NOLINT
      : output_(value), where_(where) {}

  explicit operator bool() const { return static_cast<bool>(output_) || source_ != nullptr || literal_.has_value(); }
  bool is_literal() const { return literal_.has_value(); }
  bool is_number() const { return is_number_; }  // a literal that was a plain C++ number
  // The symbolic value; a variable is read anew at each call. Absent for literals: convert_to_tensor handles all kinds.
  Output output(bool as_ref = false) const { return source_ ? source_->to_output(as_ref) : output_; }
  const Tensor& literal() const { return literal_; }
  const std::shared_ptr<const OutputSource>& source() const { return source_; }  // null unless a variable
  const std::source_location& where() const { return where_; }

 private:
  Output output_;
  Tensor literal_;
  std::shared_ptr<const OutputSource> source_;
  bool is_number_ = false;
  std::source_location where_;
};

// A shape, a permutation, axes: an Input that may also be numbers in braces, tf::zeros({2, 3}) or tf::reshape(x, {-1}).
// They are a vector, be it of one element; of int32, or of int64 where one needs it. Empty braces are an absent
// argument.
class IntList : public Input {
 public:
  using Input::Input;
  IntList() = default;
  IntList(const Input& input) : Input(input) {}                                                                // NOLINT
  IntList(std::initializer_list<int64_t> list, std::source_location where = std::source_location::current());  // NOLINT
};

#pragma GCC visibility pop

}  // namespace millrace
