#include "graph/graph_def.h"

#include <random>

#include "gmock/gmock.h"
#include "graph/op_maker.h"
#include "graph/proto_convert.h"
#include "graph/testing_ops.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/op_def.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {
namespace {

using testing::HasSubstr;

tensorflow::GraphDef graph_def(const std::string& text) {
  tensorflow::GraphDef def;
  EXPECT_EQ(parse_text_proto(text, &def, "test"), absl::OkStatus());
  return def;
}

std::string node(const std::string& name, const std::string& op, std::initializer_list<const char*> inputs = {},
                 const std::string& attrs = "") {
  std::string text = "node { name: '" + name + "' op: '" + op + "' ";
  for (const char* input : inputs) text += std::string("input: '") + input + "' ";
  return text + attrs + "}\n";
}
std::string type_attr(const std::string& name, const std::string& type = "DT_FLOAT") {
  return "attr { key: '" + name + "' value { type: " + type + " } } ";
}
const std::string kX = node("x", "Placeholder", {}, type_attr("dtype"));

struct ImportError {
  const char* name;
  std::string text;
  const char* message;
};

TEST(ImportTest, refuses_broken_graphs) {
  const ImportError cases[] = {
      {"unknown op", node("a", "Nope"), "Op type not registered 'Nope'"},
      {"unknown input", node("a", "NoOp", {"^b"}), "Node 'a': Unknown input node '^b'"},
      {"empty input", node("a", "NoOp", {""}), "Node 'a': Unknown input node ''"},
      {"cycle", node("a", "NoOp", {"^b"}) + node("b", "NoOp", {"^a"}), "2 nodes in a cycle"},
      {"self cycle", node("a", "Identity", {"a"}, type_attr("T")), "1 nodes in a cycle"},
      {"twice", node("a", "NoOp") + node("a", "NoOp"), "Node 'a' is not unique"},
      {"no such output", node("a", "NoOp") + node("b", "Identity", {"a"}, type_attr("T")),
       "Connecting to invalid output 0 of source node a which has 0 outputs."},
      {"bad name", node("b c", "NoOp"), "Node name contains invalid characters"},
      {"control first", node("c", "NoOp") + node("b", "NoOp", {"^c", "d"}),
       "Control dependencies must come after regular dependencies"},
      {"dtype", kX + node("b", "Identity", {"x"}, type_attr("T", "DT_INT32")), "was passed float"},
      {"missing attr", kX + node("b", "Identity", {"x"}), "T"},
      {"unknown attr", kX + node("b", "Identity", {"x"}, type_attr("T") + type_attr("zork")), "zork"},
      {"too few inputs", node("b", "Identity", {}, type_attr("T")), "expected 1 inputs but 0"},
      {"newer", "versions { producer: 99999 min_consumer: 99999 }", "min consumer version 99999 above current version"},
      {"negative list length", kX + node("p", "Pack", {"x"}, type_attr("T") + "attr { key: 'N' value { i: -5 } } "),
       "N"},
      {"huge list length",
       kX + node("p", "Pack", {"x"}, type_attr("T") + "attr { key: 'N' value { i: 4611686018427387904 } } "), ""},
      {"bad tensor",
       node("c", "Const", {},
            type_attr("dtype") + "attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } "
                                 "} tensor_content: 'abc' } } } "),
       "tensor_content"},
      {"huge tensor",
       node("c", "Const", {},
            type_attr("dtype") + "attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: "
                                 "1099511627776 } } float_val: 1 } } } "),
       "too large"},
      {"negative dim",
       node("c", "Const", {},
            type_attr("dtype") +
                "attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: -3 } } } } } "),
       ""},
      {"bad dtype", node("x", "Placeholder", {}, "attr { key: 'dtype' value { type: DT_INVALID } } "), ""},
      {"shape",
       kX + node("m", "MatMul", {"c", "c"}, type_attr("T")) +
           node("c", "Const", {},
                type_attr("dtype") + "attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: "
                                     "2 } } float_val: 1 } } } "),
       "rank"},
  };
  for (const ImportError& c : cases) {
    GraphImpl graph(test_ops());
    const absl::Status status = import_graph_def(graph_def(c.text), {}, &graph).status();
    EXPECT_FALSE(status.ok()) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.name;
    EXPECT_TRUE(graph.nodes().empty()) << c.name;
  }
}

TEST(ImportTest, all_of_a_graph_or_nothing) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(import_graph_def(graph_def(kX), {}, &graph).ok());
  Node* x = graph.find("x");
  push_control_dependencies(graph, {x});
  ImportOptions options;
  options.input_map = {{"in", x->output(0)}};
  options.apply_scopes = true;
  options.prefix = "p";
  const std::string good = node("b", "Identity", {"in"}, type_attr("T")) + node("c", "NoOp", {"^b"});
  const std::string bad =
      "versions { producer: 7 min_consumer: 0 } " + good + node("d", "Identity", {"b:5"}, type_attr("T"));
  ASSERT_FALSE(import_graph_def(graph_def(bad), options, &graph).ok());
  EXPECT_EQ(graph.nodes().size(), 1u);
  EXPECT_EQ(graph.find("p/b"), nullptr);
  EXPECT_TRUE(x->uses(0).empty());
  EXPECT_TRUE(x->control_outputs().empty());
  EXPECT_TRUE(graph.scopes().control_dependencies[0]->seen.empty());
  EXPECT_FALSE(graph.is_name_used("p/b"));
  EXPECT_EQ(graph.producer(), kGraphProducer);
  ASSERT_TRUE(import_graph_def(graph_def(good), options, &graph).ok());
  EXPECT_EQ(x->uses(0).size(), 1u);
}

TEST(ImportTest, says_which_op_is_not_registered) {
  GraphImpl graph(test_ops());
  EXPECT_EQ(unregistered_op(import_graph_def(graph_def(node("a", "Nope")), {}, &graph).status()), "Nope");
  EXPECT_EQ(unregistered_op(absl::NotFoundError("something else")), "");
}

TEST(ImportTest, nodes_may_come_in_any_order) {
  GraphImpl graph(test_ops());
  const auto imported = import_graph_def(
      graph_def(node("c", "NoOp", {"^b"}) + node("b", "Identity", {"x"}, type_attr("T")) + kX), {}, &graph);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->nodes[0]->name(), "x");
  EXPECT_EQ(graph.find("c")->control_inputs()[0]->name(), "b");
}

TEST(ImportTest, prefixes_and_returns) {
  GraphImpl graph(test_ops());
  ImportOptions options;
  options.prefix = "p";
  options.return_elements = {"b:0", "b"};
  const std::string text =
      kX + node("b", "Identity", {"x"}, type_attr("T") + "attr { key: '_class' value { list { s: 'loc:@x' } } } ");
  const auto imported = import_graph_def(graph_def(text), options, &graph);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->returned[0].name(), "p/b:0");
  EXPECT_EQ(imported->returned[1].index(), -1);
  EXPECT_EQ(graph.find("p/b")->find_attr("_class")->get<std::vector<std::string>>()->at(0), "loc:@p/x");
  options.return_elements = {"nope"};
  options.prefix = "q";
  EXPECT_THAT(std::string(import_graph_def(graph_def(text), options, &graph).status().message()),
              HasSubstr("Requested return node 'nope' not found in graph def"));
  options.return_elements = {"b:3"};
  options.prefix = "r";
  EXPECT_THAT(std::string(import_graph_def(graph_def(text), options, &graph).status().message()),
              HasSubstr("Invalid return output 3 of node 'b', which has 1 output(s)"));
}

TEST(ImportTest, maps_inputs) {
  GraphImpl graph(test_ops());
  const Output mine = *make_const(graph, Tensor(2.f), "mine");
  ImportOptions options;
  options.prefix = "i";
  options.input_map = {{"x:0", mine}, {"nope:0", mine}};
  const auto imported = import_graph_def(graph_def(kX + node("b", "Identity", {"x"}, type_attr("T"))), options, &graph);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(graph.find("i/b")->input(0), mine);
  EXPECT_THAT(imported->unused_inputs, testing::ElementsAre("nope:0"));
}

TEST(ImportTest, makes_names_unique_where_asked) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(import_graph_def(graph_def(kX), {}, &graph).ok());
  EXPECT_THAT(std::string(import_graph_def(graph_def(kX), {}, &graph).status().message()), HasSubstr("already exists"));
  ImportOptions options;
  options.uniquify_names = true;
  ASSERT_TRUE(import_graph_def(graph_def(kX), options, &graph).ok());
  EXPECT_NE(graph.find("x_1"), nullptr);
}

TEST(ImportTest, loops_close_through_next_iteration) {
  GraphImpl graph(test_ops());
  const std::string frame = "attr { key: 'frame_name' value { s: 'f' } } ";
  const std::string text =
      kX + node("enter", "Enter", {"x"}, type_attr("T") + frame) +
      node("merge", "Merge", {"enter", "next"}, type_attr("T") + "attr { key: 'N' value { i: 2 } } ") +
      node("next", "NextIteration", {"merge"}, type_attr("T"));
  const auto imported = import_graph_def(graph_def(text), {}, &graph);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(graph.find("merge")->input(1).name(), "next:0");
  tensorflow::GraphDef out;
  to_graph_def(graph, &out);
  GraphImpl again(test_ops());
  EXPECT_TRUE(import_graph_def(out, {}, &again).ok());
}

TEST(ImportTest, drops_defaults_of_newer_producers) {
  const std::string text =
      kX + node("b", "Identity", {"x"}, type_attr("T") + "attr { key: 'fresh' value { b: true } } ");
  tensorflow::OpList ops;
  ASSERT_TRUE(parse_text_proto("op { name: 'Identity' attr { name: 'fresh' type: 'bool' default_value { b: true } } }",
                               &ops, "ops")
                  .ok());
  ImportOptions options;
  options.producer_ops = &ops;
  GraphImpl graph(test_ops());
  EXPECT_TRUE(import_graph_def(graph_def(text), options, &graph).ok());
}

// TensorFlow before producer version 22 wrote [] where it meant any shape.
TEST(ImportTest, a_placeholders_shape_means_what_its_producer_meant) {
  const std::string scalar =
      node("x", "Placeholder", {}, type_attr("dtype") + "attr { key: 'shape' value { shape {} } } ");
  const auto shape_from = [&](const std::string& versions) {
    GraphImpl graph(test_ops());
    const auto imported = import_graph_def(graph_def(versions + scalar), {}, &graph);
    EXPECT_TRUE(imported.ok()) << imported.status();
    return graph.nodes()[0]->output(0).shape().to_string();
  };
  EXPECT_EQ(shape_from("versions { producer: 21 } "), "<unknown>");
  EXPECT_EQ(shape_from("versions { producer: 22 } "), "[]");
}

TEST(ImportTest, a_hundred_thousand_nodes_in_a_chain) {
  tensorflow::GraphDef def = graph_def(kX);
  for (int i = 0; i < 100000; ++i) {
    tensorflow::NodeDef* n = def.add_node();
    n->set_name(str_cat("n", i));
    n->set_op("Identity");
    n->add_input(i == 0 ? "x" : str_cat("n", i - 1));
    (*n->mutable_attr())["T"].set_type(tensorflow::DT_FLOAT);
  }
  GraphImpl graph(test_ops());
  EXPECT_TRUE(import_graph_def(def, {}, &graph).ok());
  EXPECT_EQ(graph.nodes().size(), 100001u);
}

TEST(ExportTest, round_trip_is_byte_for_byte) {
  GraphImpl graph(test_ops());
  const Output x = *make_const(graph, Tensor({2, 2}, std::vector<float>{1, 2, 3, 4}), "x");
  const Output zeros = *make_const(graph, Tensor(float32, {2, 2}), "zeros", "", true);
  ASSERT_TRUE(make_op(graph, {.type = "MatMul", .args = {x, zeros}}).ok());
  ASSERT_TRUE(make_const(graph, Tensor(std::vector<std::string>{"a", "b"}), "strings").ok());
  tensorflow::GraphDef def;
  to_graph_def(graph, &def);
  EXPECT_EQ(def.versions().producer(), kGraphProducer);
  EXPECT_EQ(def.node(0).attr().at("value").tensor().tensor_content().size(), 16u);
  EXPECT_EQ(def.node(1).attr().at("value").tensor().float_val_size(), 1);
  EXPECT_EQ(def.node(3).attr().at("value").tensor().string_val_size(), 2);
  GraphImpl again(test_ops());
  ASSERT_TRUE(import_graph_def(def, {}, &again).ok());
  tensorflow::GraphDef second;
  to_graph_def(again, &second);
  EXPECT_EQ(deterministic_bytes(def), deterministic_bytes(second));
}

// ---- tensors

TEST(TensorProtoTest, short_lists_repeat_the_last_value) {
  tensorflow::TensorProto proto;
  ASSERT_TRUE(
      parse_text_proto("dtype: DT_INT32 tensor_shape { dim { size: 4 } } int_val: 1 int_val: 2", &proto, "t").ok());
  EXPECT_EQ(from_proto(proto)->to_vector<int32_t>(), (std::vector<int32_t>{1, 2, 2, 2}));
  EXPECT_TRUE(is_compact(proto));
}

TEST(TensorProtoTest, every_dtype_round_trips) {
  for (int number = 1; number <= 23; ++number) {
    const DataType dtype = static_cast<DataType>(number);
    if (dtype == DataType::kVariant) continue;
    for (const TensorShape& shape : {TensorShape(), TensorShape({0}), TensorShape({3, 2})}) {
      Tensor t = *make_zeroed_tensor(dtype, shape);
      if (is_pod(dtype) && dtype != DataType::kBool)
        for (size_t i = 0; i < t.byte_size(); ++i)
          static_cast<char*>(t.raw_mutable_data())[i] = static_cast<char>(i * 7 + 1);
      for (const bool compact : {false, true}) {
        tensorflow::TensorProto proto;
        ASSERT_TRUE(to_proto(t, &proto, compact).ok()) << dtype_name(dtype);
        const absl::StatusOr<Tensor> back = from_proto(proto);
        ASSERT_TRUE(back.ok()) << dtype_name(dtype) << back.status();
        EXPECT_TRUE(bitwise_equal(t, *back)) << dtype_name(dtype);
      }
    }
  }
}

// ---- text and binary

TEST(ParseProtoTest, says_where_text_is_wrong) {
  tensorflow::GraphDef def;
  EXPECT_THAT(std::string(parse_proto("node {\n  name: 'a'\n  nope: 1\n}", &def, "g.pbtxt").message()),
              HasSubstr("g.pbtxt: not a text GraphDef: line 3"));
}

TEST(ParseProtoTest, broken_binaries_are_errors) {
  GraphImpl graph(test_ops());
  ASSERT_TRUE(make_const(graph, Tensor({2}, std::vector<float>{1, 2}), "x").ok());
  tensorflow::GraphDef def;
  to_graph_def(graph, &def);
  const std::string good = deterministic_bytes(def);
  ASSERT_TRUE(parse_proto(good, &def, "g").ok());
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bad = good;
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    if (!parse_proto(bad, &def, "g").ok()) continue;
    GraphImpl target(test_ops());
    import_graph_def(def, {}, &target).status().IgnoreError();
  }
}

}  // namespace
}  // namespace millrace
