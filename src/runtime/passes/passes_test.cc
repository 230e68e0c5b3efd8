#include "runtime/passes/passes.h"

#include "base/errors.h"
#include "gmock/gmock.h"
#include "runtime/testing_graph.h"

namespace millrace {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::UnorderedElementsAre;

// The types of the ops that a signature comes to run.
std::vector<std::string> ops_of(TestGraph& g, const std::vector<Output>& feeds, const std::vector<Output>& fetches,
                                const RuntimeOptions& options = {}) {
  const auto session = g.session({.runtime = options, .num_cpu_devices = 1});
  const auto callable = session->make_callable(feeds, fetches, {});
  EXPECT_TRUE(callable.ok()) << callable.status();
  std::vector<std::string> types;
  for (const Program::Op& op : (*callable)->program().ops()) types.push_back(op.state->info.op);
  return types;
}

RuntimeOptions unoptimized() {
  RuntimeOptions options;
  options.constant_folding = options.common_subexpressions = options.arithmetic = options.fusion =
      options.inline_functions = false;
  return options;
}

TEST(Passes, constants_are_folded) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output c = g.op("Neg", {g.op("AddV2", {g.constant(Tensor(1.0f)), g.constant(Tensor(2.0f))})});
  const Output y = g.op("Mul", {x, c});
  EXPECT_THAT(ops_of(g, {x}, {y}), ElementsAre("Mul"));
  EXPECT_THAT(ops_of(g, {x}, {y}, unoptimized()), UnorderedElementsAre("AddV2", "Neg", "Mul"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(2.0f)}}), -6);
}

TEST(Passes, a_constant_that_cannot_be_computed_fails_only_where_it_runs) {
  TestGraph g;
  const Output bad = g.op("FloorDiv", {g.constant(Tensor(int32_t{1})), g.constant(Tensor(int32_t{0}))});
  EXPECT_EQ(run_all(*g.session(), {bad}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Passes, known_shapes_are_constants) {
  TestGraph g;
  const Output known = g.placeholder(float32, {2, 3}, "known"), open = g.placeholder(float32, {-1, 3}, "open");
  const Output a = g.op("Shape", {g.op("Neg", {known})}), b = g.op("Shape", {g.op("Neg", {open})});
  EXPECT_THAT(ops_of(g, {known}, {a}), ElementsAre());
  EXPECT_THAT(ops_of(g, {open}, {b}), UnorderedElementsAre("Neg", "Shape"));
  const auto session = g.session();
  EXPECT_THAT((*run_all(*session, {a}, {{known, Tensor(float32, {2, 3})}}))[0].to_vector<int32_t>(), ElementsAre(2, 3));
  EXPECT_THAT((*run_all(*session, {b}, {{open, Tensor(float32, {5, 3})}}))[0].to_vector<int32_t>(), ElementsAre(5, 3));
}

TEST(Passes, equal_nodes_become_one) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("AddV2", {g.op("Square", {x}), g.op("Square", {x})});
  const Output z =
      g.op("AddV2", {g.op("Mul", {x, g.constant(Tensor(2.0f))}), g.op("Mul", {x, g.constant(Tensor(2.0f))})});
  RuntimeOptions apart;
  apart.fusion = false;  // which would hide them
  EXPECT_THAT(ops_of(g, {x}, {y}, apart), ElementsAre("Square", "AddV2"));
  EXPECT_THAT(ops_of(g, {x}, {z}, apart), ElementsAre("Mul", "AddV2"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(3.0f)}}), 18);
}

TEST(Passes, random_ops_stay_apart) {
  TestGraph g;
  const Output shape = g.constant(Tensor(std::vector<int32_t>{2}));
  const AttrMap attrs = {{"dtype", float32}, {"seed", 1}, {"seed2", 2}};
  const Output sum = g.op("AddV2", {g.op("RandomUniform", {shape}, attrs), g.op("RandomUniform", {shape}, attrs)});
  EXPECT_THAT(ops_of(g, {}, {sum}), ElementsAre("RandomUniform", "RandomUniform", "AddV2"));
}

TEST(Passes, identities_are_passed_by_except_reads_of_variables) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output y = g.op("Neg", {g.op("Identity", {g.op("StopGradient", {x})})});
  EXPECT_THAT(ops_of(g, {x}, {y}), ElementsAre("Neg"));
  const Output read = g.op("Neg", {g.op("Identity", {g.variable(float32, {2})})});
  EXPECT_THAT(ops_of(g, {}, {read}), Contains("Identity"));
}

TEST(Passes, dense_layers_are_fused) {
  TestGraph g;
  const Output x = g.placeholder(float32, {-1, 2}), w = g.placeholder(float32, {2, 2}, "w"),
               b = g.placeholder(float32, {2}, "b");
  const Output mm = g.op("MatMul", {x, w});
  const Output logits = g.op("BiasAdd", {mm, b});
  const Output y = g.op("Relu", {logits});
  EXPECT_THAT(ops_of(g, {x, w, b}, {y}), ElementsAre("_FusedMatMul"));
  EXPECT_THAT(ops_of(g, {x, w, b}, {y, logits}), ElementsAre("_FusedMatMul", "Relu"));
  EXPECT_THAT(ops_of(g, {x, w, b}, {y, mm}), Not(Contains("_FusedMatMul")));
  const Feeds feeds = {{x, Tensor({1, 2}, std::vector<float>{1, -2})},
                       {w, Tensor({2, 2}, std::vector<float>{1, 2, 3, 4})},
                       {b, Tensor(std::vector<float>{10, 1})}};
  const auto values = run_all(*g.session(), {y}, feeds);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_THAT((*values)[0].to_vector<float>(), ElementsAre(5, 0));
}

TEST(Passes, convolutions_take_bias_and_activation_along) {
  TestGraph g;
  const Output x = g.placeholder(float32, {-1, 1, 2, 1}), w = g.placeholder(float32, {1, 2, 1, 1}, "w"),
               b = g.placeholder(float32, {1}, "b");
  const Output conv = g.op(
      "Conv2D", {x, w}, {{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", "SAME"}, {"data_format", "NHWC"}});
  const Output y = g.op("Relu", {g.op("BiasAdd", {conv, b})});
  EXPECT_THAT(ops_of(g, {x, w, b}, {y}), ElementsAre("_FusedConv2D"));
  EXPECT_THAT(ops_of(g, {x, w, b}, {y, conv}), Not(Contains("_FusedConv2D")));
  const Output other = g.op(
      "BiasAdd", {g.op("Conv2D", {x, w},
                       {{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", "SAME"}, {"data_format", "NCHW"}}),
                  b});
  EXPECT_THAT(ops_of(g, {x, w, b}, {other}), Not(Contains("_FusedConv2D")));
  const Feeds feeds = {{x, Tensor({1, 1, 2, 1}, std::vector<float>{1, 2})},
                       {w, Tensor({1, 2, 1, 1}, std::vector<float>{1, 10})},
                       {b, Tensor(std::vector<float>{-3})}};
  const auto values = run_all(*g.session(), {y}, feeds);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_THAT((*values)[0].to_vector<float>(), ElementsAre(18, 0));
}

TEST(Passes, batch_normalization_takes_addition_and_relu_along) {
  TestGraph g;
  const Output x = g.placeholder(float32, {2, 1, 1, 1}), side = g.placeholder(float32, {2, 1, 1, 1}, "side");
  const Output one = g.constant(Tensor(std::vector<float>{1})), none = g.constant(Tensor(float32, {0}));
  Node* const norm = g.node("FusedBatchNormV3", {x, one, one, none, none}, {{"U", float32}, {"epsilon", 0.0f}});
  const Output y(norm, 0), mean(norm, 1);
  const Output plain = g.op("Relu", {y}), sum = g.op("Relu", {g.op("AddV2", {side, y})});
  const Output tied = g.op("Relu", {g.op("AddV2", {g.op("AddV2", {side, mean}), y})});
  EXPECT_THAT(ops_of(g, {x}, {plain}), ElementsAre("_FusedBatchNormEx"));
  EXPECT_THAT(ops_of(g, {x, side}, {sum, mean}), ElementsAre("_FusedBatchNormEx"));
  // The addend needs the batch's mean, so it cannot go in.
  EXPECT_THAT(ops_of(g, {x, side}, {tied}), Not(Contains("_FusedBatchNormEx")));
  const Feeds feeds = {{x, Tensor({2, 1, 1, 1}, std::vector<float>{1, 3})},
                       {side, Tensor({2, 1, 1, 1}, std::vector<float>{-1, 5})}};
  const auto values = run_all(*g.session(), {sum, mean}, feeds);
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_THAT((*values)[0].to_vector<float>(), ElementsAre(0, 7));
  EXPECT_THAT((*values)[1].to_vector<float>(), ElementsAre(2));
}

TEST(Passes, what_is_waited_for_but_not_read_does_not_run) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output v = g.variable(float32, PartialTensorShape::scalar());
  Node* const assign = g.node("Assign", {v, x});
  // Unread: Neg and, once that is gone, Exp. What they wait for is waited for still.
  const Output exp = g.op("Exp", {Output(assign, 0)});
  Node* const neg = g.node("Neg", {exp});
  const Output y = g.op("Identity", {v}, {}, "y", {neg});
  EXPECT_THAT(ops_of(g, {x}, {y}), Not(testing::AnyOf(Contains("Neg"), Contains("Exp"))));
  EXPECT_THAT(ops_of(g, {x}, {y}), Contains("Assign"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(7.0f)}}), 7);
  EXPECT_THAT(ops_of(g, {x}, {y, exp}), Contains("Exp"));
}

// What a signature gives with all passes and with none.
void expect_same(TestGraph& g, const std::vector<Output>& fetches, const Feeds& feeds) {
  const auto with = run_all(*g.session(), fetches, feeds);
  const auto without = run_all(*g.session({.runtime = unoptimized(), .num_cpu_devices = 1}), fetches, feeds);
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_TRUE(without.ok()) << without.status();
  for (size_t i = 0; i < fetches.size(); ++i) EXPECT_TRUE(bitwise_equal((*with)[i], (*without)[i])) << i;
}

Tensor ramp(const TensorShape& shape) {
  std::vector<float> values(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 23) * 0.25f - 2.5f;
  return Tensor(shape, values);
}

struct Elementwise {
  TestGraph g;
  Output x = g.placeholder(float32, {}, "x"), y = g.placeholder(float32, {}, "y");
  Output product = g.op("Mul", {x, y});
  Output sum = g.op("AddV2", {g.op("Tanh", {product}), g.constant(Tensor(0.5f))});
  Output all = g.op("AddN", {std::vector<Output>{sum, x, product}}, {}, "all");
};

TEST(Passes, elementwise_ops_become_one) {
  Elementwise e;
  EXPECT_THAT(ops_of(e.g, {e.x, e.y}, {e.sum}), ElementsAre("_FusedElementwise"));
  EXPECT_THAT(ops_of(e.g, {e.x, e.y}, {e.all, e.product}), ElementsAre("_FusedElementwise"));
  EXPECT_THAT(ops_of(e.g, {e.x, e.y}, {e.all}, unoptimized()), testing::SizeIs(4));
  for (const TensorShape& y : {TensorShape{}, TensorShape{7}, TensorShape{3, 7}, TensorShape{3, 1}, TensorShape{1, 1}})
    expect_same(e.g, {e.all, e.product}, {{e.x, ramp({3, 7})}, {e.y, ramp(y)}});
  expect_same(e.g, {e.all}, {{e.x, ramp({0, 4})}, {e.y, ramp({4})}});
  // Neither rows nor columns: op by op.
  expect_same(e.g, {e.all, e.sum}, {{e.x, ramp({2, 3, 4})}, {e.y, ramp({1, 3, 1})}});
}

TEST(Passes, elementwise_groups_say_which_op_was_wrong) {
  Elementwise e;
  const auto session = e.g.session();
  const auto mul = run_all(*session, {e.all}, {{e.x, ramp({2})}, {e.y, ramp({3})}});
  EXPECT_EQ(mul.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(mul), testing::HasSubstr("Incompatible shapes: [2] vs. [3]"));
  EXPECT_EQ(where_of(mul.status()).node_name, "Mul");
  const auto add = run_all(*session, {e.all}, {{e.x, ramp({2})}, {e.y, ramp({3, 2})}});
  EXPECT_EQ(add.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(add), testing::HasSubstr("must have the same size and shape"));
  EXPECT_EQ(where_of(add.status()).node_name, "all");
}

TEST(Passes, elementwise_groups_leave_no_way_around) {
  TestGraph g;
  const Output x = g.placeholder(float32);
  const Output a = g.op("Mul", {x, x});
  const Output total = g.op("Sum", {a, g.constant(Tensor(std::vector<int32_t>{0}))});
  const Output b = g.op("Sub", {a, total});
  const Output y = g.op("Square", {b});
  EXPECT_THAT(ops_of(g, {x}, {y}), ElementsAre("Mul", "Sum", "_FusedElementwise"));
  expect_same(g, {y}, {{x, ramp({9})}});
}

TEST(Passes, controls_that_order_nothing_go) {
  TestGraph g;
  const Output x = g.placeholder(float32), v = g.variable(float32, {2});
  const Output a = g.op("Square", {x}), b = g.op("Neg", {x});
  Node* const both = g.node("NoOp", {}, {}, "both", {a.node(), b.node()});
  const Output first = g.op("Identity", {a}, {}, "first", {both}), second = g.op("Identity", {b}, {}, "second", {both});
  EXPECT_THAT(ops_of(g, {x}, {g.op("AddV2", {first, second})}), ElementsAre("_FusedElementwise"));
  // An update is waited for, and what runs for its errors still runs.
  Node* const update = g.node("Assign", {v, x});
  const Output read = g.op("Identity", {g.op("Neg", {x}, {}, "neg", {update})});
  EXPECT_THAT(ops_of(g, {x}, {read}), Contains("Assign"));
  const Output alone = g.op("CheckNumerics", {x}, {{"message", "x"}}, "alone");
  EXPECT_THAT(ops_of(g, {x}, {g.op("Neg", {x}, {}, "waits", {alone.node()})}), Contains("CheckNumerics"));
}

}  // namespace
}  // namespace millrace
