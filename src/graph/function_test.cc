#include "graph/function.h"

#include "gmock/gmock.h"
#include "graph/graph.h"
#include "graph/graph_def.h"
#include "graph/op_maker.h"
#include "graph/testing_ops.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {
namespace {

using testing::HasSubstr;

// out = x + x, of any type; y = {x, 1}'s second output list.
constexpr const char* kLibrary = R"(
library { function {
  signature { name: 'double' input_arg { name: 'x' type_attr: 'T' } output_arg { name: 'out' type_attr: 'T' } attr { name: 'T' type: 'type' } }
  node_def { name: 'sum' op: 'Add' input: 'x' input: 'x' attr { key: 'T' value { placeholder: 'T' } } }
  node_def { name: 'two' op: 'TwoOut' input: 'sum:z:0' attr { key: 'T' value { placeholder: 'T' } } attr { key: 'N' value { i: 3 } } }
  node_def { name: 'last' op: 'Identity' input: 'two:b:1' input: '^sum' attr { key: 'T' value { placeholder: 'T' } } }
  ret { key: 'out' value: 'last:output:0' }
} }
node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } }
node { name: 'call' op: 'double' input: 'x' attr { key: 'T' value { type: DT_FLOAT } } }
)";

tensorflow::GraphDef parsed(std::string text) {
  tensorflow::GraphDef def;
  EXPECT_EQ(parse_text_proto(text, &def, "test"), absl::OkStatus());
  return def;
}

TEST(FunctionTest, bodies_are_instantiated) {
  GraphImpl graph(test_ops());
  const auto imported = import_graph_def(parsed(kLibrary), {}, &graph);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(graph.find("call")->entry(), nullptr);
  EXPECT_EQ(graph.find("call")->output(0).dtype(), float32);
  const auto body = graph.library().instantiate(FunctionRef("double", {{"T", float64}}));
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_THAT(body->arg_types, testing::ElementsAre(float64));
  EXPECT_EQ(body->args[0]->op(), "_Arg");
  const Node* last = body->rets[0]->input(0).node();
  EXPECT_EQ(last->name(), "last");
  EXPECT_EQ(last->input(0).name(), "two:2");  // output "b" begins behind "a"
  EXPECT_EQ(last->control_inputs()[0]->name(), "sum");
  EXPECT_FALSE(body->is_stateful);
}

TEST(FunctionTest, errors_name_the_function) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(import_graph_def(parsed(kLibrary), {}, &graph).ok());
  EXPECT_THAT(std::string(graph.library().instantiate(FunctionRef("double")).status().message()), HasSubstr("T"));
  EXPECT_EQ(graph.library().instantiate(FunctionRef("nope")).status().code(), absl::StatusCode::kNotFound);
  for (const char* change : {"two:b:7", "two:nope:0", "nowhere:z:0", "two", ":::", "two:b"}) {
    std::string text = kLibrary;
    const std::string from = "two:b:1";
    text.replace(text.find(from), from.size(), change);
    GraphImpl other(test_ops());
    ASSERT_TRUE(import_graph_def(parsed(text), {}, &other).ok());
    const absl::Status status = other.library().instantiate(FunctionRef("double", {{"T", float64}})).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << change;
    EXPECT_THAT(std::string(status.message()), HasSubstr("double")) << change;
  }
}

TEST(FunctionTest, a_name_means_one_function) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(import_graph_def(parsed(kLibrary), {}, &graph).ok());
  FunctionDef copy = *graph.library().find("double");
  EXPECT_TRUE(graph.library().add(copy).ok());
  copy.nodes.pop_back();
  EXPECT_THAT(std::string(graph.library().add(copy).message()), HasSubstr("a different function with the same name"));
  copy.signature.name = "Identity";
  EXPECT_THAT(std::string(graph.library().add(copy).message()), HasSubstr("an op with the same name"));
}

TEST(FunctionTest, graphs_become_functions) {
  GraphImpl body(test_ops());
  Node* x = *make_op(body, {.type = "Placeholder", .attrs = {{"dtype", float32}}, .name = "Args/X_0"});
  Node* sum = *make_op(body, {.type = "Add", .args = {x->output(0), Input(1.f)}});
  Node* two = *make_op(body, {.type = "TwoOut", .args = {sum->output(0)}});
  FunctionSpec spec;
  spec.name = "f";
  spec.inputs = {x->output(0)};
  spec.outputs = {two->output(2), x->output(0)};
  const auto def = graph_to_function(body, spec);
  ASSERT_TRUE(def.ok()) << def.status();
  EXPECT_EQ(def->signature.inputs[0].name, "args_x_0");
  EXPECT_EQ(def->ret[0].second, "TwoOut:b:1");
  EXPECT_EQ(def->ret[1].second, "args_x_0");
  EXPECT_THAT(def->nodes[1].inputs, testing::ElementsAre("args_x_0", "Add/y:output:0"));
  FunctionLibrary& library = body.library();
  ASSERT_TRUE(library.add(*def).ok());
  EXPECT_TRUE(library.instantiate(FunctionRef("f")).ok());
}

TEST(FunctionTest, libraries_are_exported) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(import_graph_def(parsed(kLibrary), {}, &graph).ok());
  tensorflow::GraphDef def;
  to_graph_def(graph, &def);
  GraphImpl again(test_ops());
  ASSERT_TRUE(import_graph_def(def, {}, &again).ok());
  EXPECT_TRUE(same_function(*graph.library().find("double"), *again.library().find("double")));
}

}  // namespace
}  // namespace millrace
