#pragma once
// Functions for the graphs of the runtime's tests.

#include <string>
#include <utility>
#include <vector>

#include "runtime/testing_graph.h"

namespace millrace {

inline ArgDef arg(std::string name, DataType type) {
  ArgDef a;
  a.name = std::move(name);
  a.type = type;
  return a;
}

inline NodeDef node(std::string name, std::string op, std::vector<std::string> inputs, AttrMap attrs = {}) {
  return {std::move(name), std::move(op), "", std::move(inputs), std::move(attrs)};
}

inline NodeDef constant(std::string name, const Tensor& value) {
  return node(std::move(name), "Const", {}, {{"value", value}, {"dtype", value.dtype()}});
}

inline void add_to_library(TestGraph& g, FunctionDef f) {
  const absl::Status status = g.graph->library().add(std::move(f));
  EXPECT_TRUE(status.ok()) << status;
}

// name(x: type) -> y: result of the nodes.
inline void add_function(TestGraph& g, const std::string& name, DataType in, DataType out, std::vector<NodeDef> nodes,
                         const std::string& result, AttrMap attrs = {}) {
  FunctionDef f;
  f.signature.name = name;
  f.signature.inputs = {arg("x", in)};
  f.signature.outputs = {arg("y", out)};
  f.nodes = std::move(nodes);
  f.ret = {{"y", result}};
  f.attrs = std::move(attrs);
  add_to_library(g, std::move(f));
}

// Attributes of a call.
inline AttrMap calls(const std::string& function, std::vector<DataType> in = {float32},
                     std::vector<DataType> out = {float32}) {
  return {{"f", FunctionRef(function)}, {"Tin", std::move(in)}, {"Tout", std::move(out)}};
}

inline Output call(TestGraph& g, const std::string& function, const Output& x, std::string_view name = {},
                   const std::vector<Node*>& controls = {}) {
  return g.op("PartitionedCall", {std::vector<Output>{x}}, calls(function), name, controls);
}

inline SessionCoreOptions with_inlining(bool on) {
  SessionCoreOptions options;
  options.runtime.inline_functions = on;
  return options;
}

}  // namespace millrace
