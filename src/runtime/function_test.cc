// Functions of the library: called by name, by PartitionedCall, and by the functional control flow.

#include "autodiff/gradients.h"
#include "gmock/gmock.h"
#include "runtime/testing_functions.h"

namespace millrace {
namespace {

using testing::HasSubstr;

void add_usual_functions(TestGraph& g) {
  add_function(g, "double", float32, float32, {node("sum", "AddV2", {"x", "x"}, {{"T", float32}})}, "sum:z:0");
  add_function(g, "negate", float32, float32, {node("neg", "Neg", {"x"}, {{"T", float32}})}, "neg:y:0");
  add_function(g, "below_100", float32, bool_,
               {constant("limit", Tensor(100.0f)), node("less", "Less", {"x", "limit:output:0"}, {{"T", float32}})},
               "less:z:0");
  add_function(g, "forever", float32, float32,
               {node("again", "PartitionedCall", {"x"},
                     {{"f", FunctionRef("forever")},
                      {"Tin", std::vector<DataType>{float32}},
                      {"Tout", std::vector<DataType>{float32}}})},
               "again:output:0");
  add_function(g, "fails", float32, float32,
               {constant("shape", Tensor(std::vector<int32_t>{7, 7})),
                node("rr", "Reshape", {"x", "shape:output:0"}, {{"T", float32}, {"Tshape", int32}})},
               "rr:output:0");
}

const std::vector<DataType> kFloat = {float32};

TEST(Functions, are_called) {
  TestGraph g;
  add_usual_functions(g);
  const Output x = g.placeholder(float32);
  const Output y = call(g, "double", x);
  for (const bool inlined : {false, true}) {
    const auto session = g.session(with_inlining(inlined));
    for (const float v : {1.0f, 2.0f}) EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(v)}}), 2 * v);
  }
}

TEST(Functions, are_called_by_their_name) {
  TestGraph g;
  add_usual_functions(g);
  const Output x = g.placeholder(float32);
  NodeSpec spec;
  spec.type = "double";
  spec.name = "call";
  spec.inputs = {x};
  const auto call = g.graph->add_node(std::move(spec));
  ASSERT_TRUE(call.ok()) << call.status();
  for (const bool inlined : {false, true}) {
    EXPECT_EQ(*run_scalar<float>(*g.session(with_inlining(inlined)), {*call, 0}, {{x, Tensor(4.0f)}}), 8);
  }
}

TEST(Functions, if_calls_one_of_two) {
  TestGraph g;
  add_usual_functions(g);
  const Output x = g.placeholder(float32), pred = g.placeholder(bool_, PartialTensorShape::scalar(), "pred");
  const Output y = g.op("If", {pred, std::vector<Output>{x}},
                        {{"then_branch", FunctionRef("double")},
                         {"else_branch", FunctionRef("negate")},
                         {"Tin", kFloat},
                         {"Tout", kFloat}});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(3.0f)}, {pred, Tensor(true)}}), 6);
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(3.0f)}, {pred, Tensor(false)}}), -3);
}

TEST(Functions, case_takes_the_last_branch_for_other_numbers) {
  TestGraph g;
  add_usual_functions(g);
  const Output x = g.placeholder(float32), index = g.placeholder(int32, PartialTensorShape::scalar(), "index");
  const Output y = g.op("Case", {index, std::vector<Output>{x}},
                        {{"branches", std::vector<FunctionRef>{FunctionRef("double"), FunctionRef("negate")}},
                         {"Tin", kFloat},
                         {"Tout", kFloat}});
  const auto session = g.session();
  for (const auto& [i, want] : {std::pair{0, 6.0f}, {1, -3.0f}, {7, -3.0f}, {-1, -3.0f}}) {
    EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(3.0f)}, {index, Tensor(i)}}), want);
  }
}

TEST(Functions, while_repeats_its_body) {
  TestGraph g;
  add_usual_functions(g);
  const Output x = g.placeholder(float32);
  const Output y = g.op("While", {std::vector<Output>{x}},
                        {{"cond", FunctionRef("below_100")}, {"body", FunctionRef("double")}, {"T", kFloat}});
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(1.0f)}}), 128);
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(500.0f)}}), 500);
}

TEST(Functions, endless_recursion_is_an_error) {
  TestGraph g;
  add_usual_functions(g);
  const Output y = call(g, "forever", g.constant(Tensor(1.0f)));
  for (const bool inlined : {false, true}) {
    EXPECT_EQ(run_all(*g.session(with_inlining(inlined)), {y}).status().code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(Functions, endless_loops_end_with_the_timeout) {
  TestGraph g;
  add_usual_functions(g);
  const Output y = g.op("While", {std::vector<Output>{g.constant(Tensor(0.0f))}},
                        {{"cond", FunctionRef("below_100")}, {"body", FunctionRef("double")}, {"T", kFloat}});
  EXPECT_EQ(run_all(*g.session(), {y}, {}, {}, /*timeout_in_ms=*/50).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(Functions, errors_name_the_node_inside_and_the_call) {
  TestGraph g;
  add_usual_functions(g);
  const Output y = call(g, "fails", g.constant(Tensor(1.0f)), "call");
  for (const bool inlined : {false, true}) {
    const absl::Status status = run_all(*g.session(with_inlining(inlined)), {y}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(message(status), HasSubstr(inlined ? "[[{{node call/rr}}]]" : "[[{{node rr}}]]"));
    EXPECT_THAT(message(status), HasSubstr("[[{{node call}}]]"));
    EXPECT_THAT(message(status), HasSubstr("created at test.cc:1"));
  }
}

TEST(Functions, unknown_ones_are_not_found) {
  TestGraph g;
  const Output y = call(g, "nobody", g.constant(Tensor(1.0f)));
  EXPECT_EQ(run_all(*g.session(), {y}).status().code(), absl::StatusCode::kNotFound);
}

// x^2 + x, and its gradient under the name of another function.
void add_polynomial(TestGraph& g) {
  add_function(
      g, "polynomial", float32, float32,
      {node("square", "Square", {"x"}, {{"T", float32}}), node("sum", "AddV2", {"square:y:0", "x"}, {{"T", float32}})},
      "sum:z:0");
}

TEST(Functions, symbolic_gradient_differentiates_the_body) {
  TestGraph g;
  add_polynomial(g);
  const Output x = g.placeholder(float32), dy = g.placeholder(float32, {}, "dy");
  const AttrMap attrs = {{"f", FunctionRef("polynomial")}, {"Tout", kFloat}};
  const Output dx = g.op("SymbolicGradient", {std::vector<Output>{x, dy}}, attrs);
  EXPECT_EQ(*run_scalar<float>(*g.session(), dx, {{x, Tensor(3.0f)}, {dy, Tensor(2.0f)}}), 2 * 7);
}

TEST(Functions, symbolic_gradient_calls_the_function_that_the_library_names) {
  TestGraph g;
  add_polynomial(g);
  FunctionDef f;
  f.signature.name = "gradient";
  f.signature.inputs = {arg("x", float32), arg("dy", float32)};
  f.signature.outputs = {arg("dx", float32)};
  f.nodes = {node("difference", "Sub", {"x", "dy"}, {{"T", float32}})};
  f.ret = {{"dx", "difference:z:0"}};
  add_to_library(g, std::move(f));
  ASSERT_TRUE(g.graph->library().add_gradient("polynomial", "gradient").ok());
  const Output x = g.placeholder(float32), dy = g.placeholder(float32, {}, "dy");
  const AttrMap attrs = {{"f", FunctionRef("polynomial")}, {"Tout", kFloat}};
  const Output dx = g.op("SymbolicGradient", {std::vector<Output>{x, dy}}, attrs);
  EXPECT_EQ(*run_scalar<float>(*g.session(), dx, {{x, Tensor(3.0f)}, {dy, Tensor(2.0f)}}), 1);
}

TEST(Functions, gradients_flow_through_calls) {
  TestGraph g;
  add_polynomial(g);
  add_function(
      g, "twice", float32, float32,
      {node("first", "polynomial", {"x"}), node("second", "PartitionedCall", {"first:y:0"}, calls("polynomial"))},
      "second:output:0");
  const Output x = g.placeholder(float32);
  GradientSpec spec;
  spec.ys = {call(g, "twice", x)};
  spec.xs = {x};
  const auto dx = add_gradients(*g.graph, spec);
  ASSERT_TRUE(dx.ok()) << dx.status();
  // y = x^2 + x = 6 at 2: (2 y + 1)(2 x + 1)
  EXPECT_EQ(*run_scalar<float>(*g.session(), (*dx)[0].dense(), {{x, Tensor(2.0f)}}), 13 * 5);
}

TEST(Functions, symbolic_gradient_refuses_what_does_not_fit) {
  TestGraph g;
  add_polynomial(g);
  const Output x = g.placeholder(float32);
  const Output without =
      g.op("SymbolicGradient", {std::vector<Output>{x}}, {{"f", FunctionRef("polynomial")}, {"Tout", kFloat}});
  EXPECT_THAT(run_all(*g.session(), {without}, {{x, Tensor(3.0f)}}).status().ToString(), HasSubstr("other types"));
  const Output unknown =
      g.op("SymbolicGradient", {std::vector<Output>{x, x}}, {{"f", FunctionRef("nowhere")}, {"Tout", kFloat}});
  EXPECT_THAT(run_all(*g.session(), {unknown}, {{x, Tensor(3.0f)}}).status().ToString(), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace millrace
