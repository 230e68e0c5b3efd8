#pragma once
// A graph, a session of it and a few words to write both with, for the tests of the runtime.

#include <string>
#include <vector>

#include "graph/op_maker.h"
#include "gtest/gtest.h"
#include "ops/all_ops.h"
#include "runtime/session.h"

namespace millrace {

class TestGraph {
 public:
  explicit TestGraph(const Registry& registry = all_ops()) : graph(std::make_shared<GraphImpl>(registry)) {}

  Node* node(std::string_view type, std::vector<OpArg> args = {}, AttrMap attrs = {}, std::string_view name = {},
             const std::vector<Node*>& controls = {}) {
    absl::StatusOr<Node*> made = make_op(
        *graph,
        {.type = type, .args = std::move(args), .attrs = std::move(attrs), .name = name, .source = "test.cc:1"});
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) std::abort();  // nothing below would mean anything
    for (Node* c : controls) EXPECT_TRUE(graph->add_control_input(*made, c).ok());
    return *made;
  }
  Output op(std::string_view type, std::vector<OpArg> args = {}, AttrMap attrs = {}, std::string_view name = {},
            const std::vector<Node*>& controls = {}) {
    return {node(type, std::move(args), std::move(attrs), name, controls), 0};
  }
  Output constant(const Tensor& value, std::string_view name = "Const") { return *make_const(*graph, value, name); }
  Output placeholder(DataType dtype, PartialTensorShape shape = {}, std::string_view name = "x") {
    return op("Placeholder", {}, {{"dtype", dtype}, {"shape", shape}}, name);
  }
  Output variable(DataType dtype, const PartialTensorShape& shape, std::string_view name = "v") {
    return op("VariableV2", {}, {{"dtype", dtype}, {"shape", shape}}, name);
  }

  std::shared_ptr<SessionCore> session(const SessionCoreOptions& options = {}) {
    return *SessionCore::create(graph, options);
  }

  const std::shared_ptr<GraphImpl> graph;
};

using Feeds = std::vector<std::pair<Output, Tensor>>;

inline absl::StatusOr<std::vector<Tensor>> run_all(SessionCore& session, const std::vector<Output>& fetches,
                                                   const Feeds& feeds = {}, const std::vector<Node*>& targets = {},
                                                   int64_t timeout_in_ms = 0) {
  std::vector<Tensor> values;
  absl::Status status =
      session.run({.feeds = feeds, .fetches = fetches, .targets = targets, .timeout_in_ms = timeout_in_ms}, &values);
  if (!status.ok()) return status;
  return values;
}

template <class T> absl::StatusOr<T> run_scalar(SessionCore& session, const Output& fetch, const Feeds& feeds = {}) {
  absl::StatusOr<std::vector<Tensor>> values = run_all(session, {fetch}, feeds);
  if (!values.ok()) return values.status();
  return (*values)[0].template scalar<T>();
}

inline std::string message(const absl::Status& status) { return std::string(status.message()); }
template <class T> std::string message(const absl::StatusOr<T>& value) { return std::string(value.status().message()); }

}  // namespace millrace
