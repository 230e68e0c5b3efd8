#include "graph/graph.h"

#include "base/errors.h"
#include "gmock/gmock.h"
#include "graph/constant_value.h"
#include "graph/device_name.h"
#include "graph/op_maker.h"
#include "graph/testing_ops.h"
#include "gtest/gtest.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

using testing::HasSubstr;

std::string message(const absl::Status& status) { return std::string(status.message()); }
template <class T> std::string message(const absl::StatusOr<T>& value) { return message(value.status()); }

class GraphTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(test_ops().errors(), testing::IsEmpty()); }

  Output constant(const Tensor& value, std::string_view name = "Const") { return *make_const(graph_, value, name); }
  Output placeholder(DataType dtype, const PartialTensorShape& shape, std::string_view name = "x") {
    return (*make_op(graph_, {.type = "Placeholder", .attrs = {{"dtype", dtype}, {"shape", shape}}, .name = name}))
        ->output(0);
  }
  absl::StatusOr<Node*> op(std::string_view type, std::vector<OpArg> args, AttrMap attrs = {},
                           std::string_view name = {}) {
    return make_op(graph_, {.type = type, .args = std::move(args), .attrs = std::move(attrs), .name = name});
  }

  GraphImpl graph_{test_ops()};
};

TEST_F(GraphTest, literals_take_the_dtype_of_the_other_argument) {
  const Output x = placeholder(float64, {2});
  const Node* add = *op("Add", {x, Input(1)});
  EXPECT_EQ(add->input(1).name(), "Add/y:0");
  EXPECT_EQ(add->input(1).dtype(), float64);
  const Node* reversed = *op("Add", {Input(2.5), x});
  EXPECT_EQ(reversed->input(0).name(), "Add_1/x:0");
  EXPECT_EQ(reversed->input(0).dtype(), float64);
}

TEST_F(GraphTest, plain_doubles_are_float32) {
  EXPECT_EQ((*op("Add", {Input(1.0), Input(2.0)}))->output(0).dtype(), float32);
  EXPECT_EQ((*op("Add", {Input(1), Input(2)}))->output(0).dtype(), int32);
}

TEST_F(GraphTest, a_float_does_not_become_an_int) {
  EXPECT_THAT(message(op("Add", {placeholder(int32, {}), Input(1.5)})), HasSubstr("Expected int32, but got 1.5"));
}

TEST_F(GraphTest, refuses_what_does_not_fit) {
  const Output f = placeholder(float32, {2, 3}, "f"), i = placeholder(int32, {2}, "i");
  EXPECT_THAT(message(op("Add", {f, i})),
              HasSubstr("Input 'y' of 'Add' Op has type int32 that does not match type float32 of argument 'x'."));
  EXPECT_THAT(message(op("MatMul", {f, f})),
              HasSubstr("Dimensions must be equal, but are 3 and 2 for '{{node MatMul}} = MatMul["));
  EXPECT_THAT(message(op("MatMul", {f, f})), HasSubstr("with input shapes: [2,3], [2,3]."));
  EXPECT_THAT(message(op("Add", {f})), HasSubstr("takes 2 arguments, got 1"));
  EXPECT_THAT(message(op("Pack", {std::vector<Output>{f, i}})),
              HasSubstr("have types [float32, int32] that don't all match"));
  EXPECT_THAT(message(op("Pack", {f})), HasSubstr("Expected a list"));
  EXPECT_THAT(message(op("Assign", {f, f})), HasSubstr("be a mutable tensor"));
  EXPECT_THAT(message(op("Nope", {})), HasSubstr("Op type not registered 'Nope'"));
  EXPECT_EQ(op("Nope", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message(op("NoOp", {}, {}, "a b")), HasSubstr("not a valid"));
  EXPECT_THAT(message(op("NoOp", {}, {}, "_a")), HasSubstr("not a valid"));
  EXPECT_FALSE(op("Add", {placeholder(bool_, {}, "b"), placeholder(bool_, {}, "c")}).ok());
  GraphImpl other(test_ops());
  EXPECT_THAT(message(make_op(other, {.type = "Identity", .args = {f}})), HasSubstr("must be from the same graph"));
}

TEST_F(GraphTest, errors_say_where) {
  const Output f = placeholder(float32, {2, 3}, "f");
  const absl::Status status =
      make_op(graph_, {.type = "MatMul", .args = {f, f}, .name = "m", .source = "train.cc:7"}).status();
  const errors::Where where = where_of(status);
  EXPECT_EQ(where.node_name, "m");
  EXPECT_EQ(where.op_type, "MatMul");
  EXPECT_EQ(where.source, "train.cc:7");
}

NodeSpec node_spec(const char* type, const char* name, std::vector<Output> inputs = {}, AttrMap attrs = {}) {
  NodeSpec spec;
  spec.type = type;
  spec.name = name;
  spec.inputs = std::move(inputs);
  spec.attrs = std::move(attrs);
  return spec;
}

TEST_F(GraphTest, low_level_nodes_are_checked_too) {
  EXPECT_THAT(message(graph_.add_node(node_spec("NoOp", ""))), HasSubstr("not a valid node name"));
  ASSERT_TRUE(graph_.add_node(node_spec("NoOp", "n")).ok());
  EXPECT_THAT(message(graph_.add_node(node_spec("NoOp", "n"))), HasSubstr("already exists"));
  EXPECT_THAT(message(graph_.add_node(node_spec("Identity", "i", {}, {{"T", float32}}))),
              HasSubstr("expected 1 inputs but 0 inputs"));
  EXPECT_FALSE(graph_.add_node(node_spec("Identity", "i", {Output(graph_.find("n"), 0)}, {{"T", float32}})).ok());
  graph_.finalize();
  EXPECT_EQ(graph_.add_node(node_spec("NoOp", "m")).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(GraphTest, finds_by_name) {
  const Output x = constant(Tensor(1.f), "x");
  EXPECT_EQ(*graph_.find_output("x:0"), x);
  EXPECT_THAT(message(graph_.find_output("y:0")), HasSubstr("The operation, 'y', does not exist in the graph."));
  EXPECT_THAT(message(graph_.find_output("x:4")), HasSubstr("exists but only has 1 outputs."));
  EXPECT_THAT(message(graph_.find_output("x:a")), HasSubstr("looks a like a Tensor name, but is not a valid one"));
  EXPECT_THAT(message(graph_.find_node("x:0")), HasSubstr("appears to refer to a Tensor, not a"));
}

TEST_F(GraphTest, constants_determine_shapes) {
  const Output x = placeholder(float32, {-1, 6});
  const Output shape = (*op("Shape", {x}))->output(0);
  const Output same = (*op("Reshape", {x, shape}))->output(0);
  EXPECT_EQ(same.shape(), PartialTensorShape({-1, 6}));
  const Output unknown = placeholder(int32, PartialTensorShape::scalar(), "n");
  const Output packed = (*op("Pack", {std::vector<Input>{unknown, Input(3)}}))->output(0);
  EXPECT_EQ((*op("Reshape", {x, packed}))->output(0).shape(), PartialTensorShape({-1, 3}));
  EXPECT_EQ(static_shape_value(packed), PartialTensorShape({-1, 3}));
  const Output known = placeholder(float32, {4, 5}, "known");
  const std::shared_ptr<const Tensor> value = static_value((*op("Shape", {known}))->output(0));
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(value->to_vector<int32_t>(), (std::vector<int32_t>{4, 5}));
}

TEST_F(GraphTest, python_sees_fewer_constants_than_shapes_do) {
  const Output through = (*op("Identity", {constant(Tensor(7))}))->output(0);
  EXPECT_EQ(static_value(through), nullptr);
  EXPECT_NE(through.node()->constant_value(0), nullptr);
}

TEST_F(GraphTest, set_shape_narrows) {
  const Output x = placeholder(float32, {-1, 3});
  EXPECT_TRUE(graph_.set_shape(x, {2, -1}).ok());
  EXPECT_EQ(x.shape(), PartialTensorShape({2, 3}));
  EXPECT_THAT(message(graph_.set_shape(x, {4, 3})), HasSubstr("not compatible"));
}

TEST_F(GraphTest, uses_and_control_outputs_follow) {
  const Output x = placeholder(float32, {2});
  Node* add = *op("Add", {x, x});
  ASSERT_EQ(x.node()->uses(0).size(), 2u);
  EXPECT_EQ(x.node()->uses(0)[1].node, add);
  EXPECT_EQ(x.node()->uses(0)[1].input, 1);
  Node* no_op = *op("NoOp", {});
  ASSERT_TRUE(graph_.add_control_input(no_op, add).ok());
  ASSERT_TRUE(graph_.add_control_input(no_op, add).ok());
  EXPECT_THAT(no_op->control_inputs(), testing::ElementsAre(add));
  EXPECT_THAT(add->control_outputs(), testing::ElementsAre(no_op));
}

TEST_F(GraphTest, collections_keep_order) {
  graph_.add_to_collection("b", std::string("1"));
  graph_.add_to_collection("a", int64_t{2});
  graph_.add_to_collection("b", 3.f);
  graph_.collection("empty");
  EXPECT_THAT(graph_.collection_keys(), testing::ElementsAre("b", "a"));
  EXPECT_EQ(graph_.find_collection("b")->size(), 2u);
}

TEST_F(GraphTest, a_container_goes_to_stateful_ops) {
  const ScopesGuard guard(graph_);
  graph_.scopes().container = "c";
  const Node* v = *op("VariableV2", {}, {{"dtype", float32}, {"shape", PartialTensorShape({2})}});
  EXPECT_EQ(*v->find_attr("container")->get<std::string>(), "c");
}

struct DeviceCase {
  const char* name;
  const char* canonical;  // null: refused
};

TEST(DeviceNameTest, parses) {
  const DeviceCase cases[] = {{"", ""},
                              {"/cpu:0", "/device:CPU:0"},
                              {"gpu:1", "/device:GPU:1"},
                              {"/job:ps/task:3", "/job:ps/task:3"},
                              {"/job:w/replica:1/task:2/device:GPU:0", "/job:w/replica:1/task:2/device:GPU:0"},
                              {"/device:CPU:*", "/device:CPU:*"},
                              {"/CPU", "/device:CPU:*"},
                              {"/job:a/job", nullptr},
                              {"/task:x", nullptr},
                              {"/nonsense:0", nullptr}};
  for (const DeviceCase& c : cases) {
    const absl::StatusOr<DeviceName> parsed = parse_device(c.name);
    ASSERT_EQ(parsed.ok(), c.canonical != nullptr) << c.name;
    if (c.canonical) EXPECT_EQ(parsed->to_string(), c.canonical) << c.name;
  }
}

TEST(DeviceNameTest, inner_wins) {
  EXPECT_EQ(merge_devices(*parse_device("/job:ps/task:0/cpu:1"), *parse_device("/job:w/gpu:0")).to_string(),
            "/job:w/task:0/device:GPU:0");
}

}  // namespace
}  // namespace millrace
