#pragma once
// Makes nodes as TensorFlow's Python API does: unique names below the current scope, attributes inferred from inputs,
// literals turned into Const nodes named after the argument they fill ("add/y"), and all open scopes applied.

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace millrace {

// An argument of an op: one value, or a list where the op takes a list.
class OpArg {
 public:
  OpArg(Input value) : values_{std::move(value)} {}  // NOLINT: arguments convert
  // Those that the library itself passes on say nothing of the user's source line.
  OpArg(const Output& value) : values_{Input(value, {})} {}                         // NOLINT
  OpArg(const Tensor& value) : values_{Input(value, {})} {}                         // NOLINT
  OpArg(std::vector<Input> values) : values_(std::move(values)), is_list_(true) {}  // NOLINT
  OpArg(const std::vector<Output>& values) : is_list_(true) {                       // NOLINT
    for (const Output& value : values) values_.push_back(Input(value, {}));
  }
  const std::vector<Input>& values() const { return values_; }
  bool is_list() const { return is_list_; }

 private:
  std::vector<Input> values_;
  bool is_list_ = false;
};

struct OpRequest {
  std::string_view type = {};
  std::vector<OpArg> args = {};  // one per declared input
  AttrMap attrs = {};            // those that inputs do not give; an attribute without a value takes its default
  std::string_view name = {};    // empty: the op's type. "a/b/": exactly "a/b", as an open scope's name
  std::string source = {};
};

absl::StatusOr<Node*> make_op(GraphImpl& graph, const OpRequest& request);

// A Const node; `name` as above. `compact`: one value repeated, as tf.constant(0, shape=[n]) and tf.zeros make it, and
// is written that way.
absl::StatusOr<Output> make_const(GraphImpl& graph, const Tensor& value, std::string_view name = "Const",
                                  std::string source = {}, bool compact = false);

// Input as an Output of the graph: captured, converted, or a new Const of the wanted dtype (kInvalid: its natural one).
absl::StatusOr<Output> to_output(GraphImpl& graph, const Input& input, DataType dtype, std::string_view name,
                                 bool as_ref = false, std::string source = {});

// A literal as the dtype, where Python's conversion would allow it (an int as a float, no float as an int).
absl::StatusOr<Tensor> cast_literal(const Tensor& literal, DataType dtype);

}  // namespace millrace
