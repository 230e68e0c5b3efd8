#include "gmock/gmock.h"
#include "runtime/testing_functions.h"

namespace millrace {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

const PartialTensorShape kScalar = PartialTensorShape::scalar();

RuntimeOptions only_inlining() {
  RuntimeOptions options;
  options.constant_folding = options.common_subexpressions = options.arithmetic = options.fusion = false;
  return options;
}

const Program& compiled(SessionCore& session, const std::vector<Output>& feeds, const std::vector<Output>& fetches,
                        const std::vector<Node*>& targets = {}) {
  const auto callable = session.make_callable(feeds, fetches, targets);
  EXPECT_TRUE(callable.ok()) << callable.status();
  return (*callable)->program();  // the session keeps it
}

// The nodes that a fetch comes to run, by name.
std::vector<std::string> names_of(TestGraph& g, const std::vector<Output>& feeds, const std::vector<Output>& fetches,
                                  const RuntimeOptions& options = only_inlining()) {
  const auto session = g.session({.runtime = options, .num_cpu_devices = 1});
  std::vector<std::string> names;
  for (const Program::Op& op : compiled(*session, feeds, fetches).ops()) names.push_back(op.state->info.name);
  return names;
}

void add_double_and_negate(TestGraph& g) {
  add_function(g, "double", float32, float32, {node("sum", "AddV2", {"x", "x"}, {{"T", float32}})}, "sum:z:0");
  add_function(g, "negate_double", float32, float32,
               {node("twice", "PartitionedCall", {"x"}, calls("double")),
                node("neg", "Neg", {"twice:output:0"}, {{"T", float32}})},
               "neg:y:0");
}

NodeDef variable_node() {
  return node("v", "VarHandleOp", {}, {{"dtype", float32}, {"shape", kScalar}, {"shared_name", "v"}});
}

// A variable that functions reach by its shared name.
struct SharedVariable {
  explicit SharedVariable(TestGraph& g)
      : handle(g.op("VarHandleOp", {}, {{"dtype", float32}, {"shape", kScalar}, {"shared_name", "v"}}, "v")),
        init(g.node("AssignVariableOp", {handle, g.constant(Tensor(1.0f))})),
        read(g.op("ReadVariableOp", {handle}, {{"dtype", float32}}, "read")) {}
  Output handle;
  Node* init;
  Output read;
};

// add_to_v(x) adds x to the variable and returns x.
void add_add_to_v(TestGraph& g) {
  add_function(g, "add_to_v", float32, float32,
               {variable_node(), node("add", "AssignAddVariableOp", {"v:resource:0", "x"}, {{"dtype", float32}})}, "x");
}

Output stateful_call(TestGraph& g, const std::string& function, const Output& x, std::string_view name = {},
                     const std::vector<Node*>& controls = {}) {
  return g.op("StatefulPartitionedCall", {std::vector<Output>{x}}, calls(function), name, controls);
}

TEST(InlineFunctions, bodies_take_the_place_of_calls) {
  TestGraph g;
  add_double_and_negate(g);
  const Output x = g.placeholder(float32);
  const Output y = call(g, "double", x, "call");
  EXPECT_THAT(names_of(g, {x}, {y}), ElementsAre("call/sum"));
  const auto session = g.session();
  EXPECT_TRUE(compiled(*session, {x}, {y}).is_flat());
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(3.0f)}}), 6);
}

TEST(InlineFunctions, calls_by_name_too) {
  TestGraph g;
  add_double_and_negate(g);
  const Output x = g.placeholder(float32);
  NodeSpec spec;
  spec.type = "double";
  spec.name = "call";
  spec.inputs = {x};
  Node* const made = *g.graph->add_node(std::move(spec));
  EXPECT_THAT(names_of(g, {x}, {{made, 0}}), ElementsAre("call/sum"));
}

TEST(InlineFunctions, calls_within_bodies_too) {
  TestGraph g;
  add_double_and_negate(g);
  const Output x = g.placeholder(float32);
  const Output y = call(g, "negate_double", call(g, "negate_double", x, "a"), "b");
  EXPECT_THAT(names_of(g, {x}, {y}), ElementsAre("a/twice/sum", "a/neg", "b/twice/sum", "b/neg"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(3.0f)}}), 12);
}

TEST(InlineFunctions, other_passes_see_the_bodies) {
  TestGraph g;
  add_double_and_negate(g);
  const Output x = g.placeholder(float32);
  const Output same = g.op("Sub", {call(g, "double", x), call(g, "double", x)});
  EXPECT_EQ(names_of(g, {x}, {same}, {.fusion = false}).size(), 2u);
  const Output constant = call(g, "negate_double", g.constant(Tensor(2.0f)));
  EXPECT_THAT(names_of(g, {}, {constant}, {}), ElementsAre());
}

TEST(InlineFunctions, not_where_the_options_or_the_function_forbid_it) {
  TestGraph g;
  add_double_and_negate(g);
  add_function(g, "apart", float32, float32, {node("neg", "Neg", {"x"}, {{"T", float32}})}, "neg:y:0",
               {{"_noinline", true}});
  const Output x = g.placeholder(float32);
  const Output y = call(g, "double", x, "call"), z = call(g, "apart", x, "other");
  RuntimeOptions none = only_inlining();
  none.inline_functions = false;
  EXPECT_THAT(names_of(g, {x}, {y}, none), ElementsAre("call"));
  EXPECT_THAT(names_of(g, {x}, {z}), ElementsAre("other"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), z, {{x, Tensor(3.0f)}}), -3);
}

TEST(InlineFunctions, arguments_may_be_results) {
  TestGraph g;
  FunctionDef swap;
  swap.signature.name = "swap";
  swap.signature.inputs = {arg("a", float32), arg("b", float32)};
  swap.signature.outputs = {arg("p", float32), arg("q", float32)};
  swap.ret = {{"p", "b"}, {"q", "a"}};
  add_to_library(g, std::move(swap));
  const Output x = g.placeholder(float32, {}, "x"), y = g.placeholder(float32, {}, "y");
  const AttrMap attrs = calls("swap", {float32, float32}, {float32, float32});
  Node* const first = g.node("PartitionedCall", {std::vector<Output>{x, y}}, attrs);
  Node* const second = g.node("PartitionedCall", {std::vector<Output>{{first, 0}, {first, 1}}}, attrs);
  Node* const third = g.node("PartitionedCall", {std::vector<Output>{{second, 0}, {second, 1}}}, attrs);
  const auto got = run_all(*g.session(), {{third, 0}, {third, 1}}, {{x, Tensor(1.0f)}, {y, Tensor(2.0f)}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)[0].scalar<float>(), 2);
  EXPECT_EQ((*got)[1].scalar<float>(), 1);
}

TEST(InlineFunctions, recursion_stays_a_call) {
  TestGraph g;
  add_function(g, "countdown", float32, float32,
               {constant("one", Tensor(1.0f)), constant("zero", Tensor(0.0f)),
                node("less", "Sub", {"x", "one:output:0"}, {{"T", float32}}),
                node("more", "Greater", {"x", "zero:output:0"}, {{"T", float32}}),
                node("next", "StatelessIf", {"more:z:0", "less:z:0"},
                     {{"Tcond", bool_},
                      {"Tin", std::vector<DataType>{float32}},
                      {"Tout", std::vector<DataType>{float32}},
                      {"then_branch", FunctionRef("again")},
                      {"else_branch", FunctionRef("again_not")}})},
               "next:output:0");
  add_function(g, "again", float32, float32, {node("call", "PartitionedCall", {"x"}, calls("countdown"))},
               "call:output:0");
  add_function(g, "again_not", float32, float32, {}, "x");
  add_function(g, "ping", float32, float32, {node("next", "PartitionedCall", {"x"}, calls("pong"))}, "next:output:0");
  add_function(g, "pong", float32, float32, {node("next", "PartitionedCall", {"x"}, calls("ping"))}, "next:output:0");
  const Output x = g.placeholder(float32);
  const Output y = call(g, "countdown", x, "c"), z = call(g, "ping", x, "p");
  EXPECT_THAT(names_of(g, {x}, {y}), Contains("c/next"));
  EXPECT_THAT(names_of(g, {x}, {z}), ElementsAre("p/next/next"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(20.0f)}}), -1);
  EXPECT_EQ(run_all(*g.session(), {z}, {{x, Tensor(1.0f)}}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(InlineFunctions, functions_that_double_themselves_end_somewhere) {
  TestGraph g;
  add_double_and_negate(g);
  constexpr int kLevels = 40;  // 2^40 nodes in full
  for (int i = 0; i < kLevels; ++i) {
    const std::string below = i == 0 ? "double" : str_cat("level", i - 1);
    add_function(g, str_cat("level", i), float32, float32,
                 {node("a", "PartitionedCall", {"x"}, calls(below)), node("b", "PartitionedCall", {"x"}, calls(below)),
                  node("sum", "AddV2", {"a:output:0", "b:output:0"}, {{"T", float32}})},
                 "sum:z:0");
  }
  const Output x = g.placeholder(float32);
  const auto session = g.session({.runtime = only_inlining()});
  EXPECT_LT(compiled(*session, {x}, {call(g, "level39", x)}).num_ops(), 50000u);
  EXPECT_EQ(*run_scalar<float>(*session, call(g, "level9", x), {{x, Tensor(1.0f)}}), 2 << 10);
}

TEST(InlineFunctions, long_chains_of_functions_end_somewhere) {
  TestGraph g;
  add_double_and_negate(g);
  constexpr int kLevels = 300;
  for (int i = 0; i < kLevels; ++i) {
    const std::string below = i == 0 ? "double" : str_cat("level", i - 1);
    add_function(g, str_cat("level", i), float32, float32, {node("n", "PartitionedCall", {"x"}, calls(below))},
                 "n:output:0");
  }
  const Output x = g.placeholder(float32);
  EXPECT_EQ(*run_scalar<float>(*g.session(), call(g, "level299", x), {{x, Tensor(1.0f)}}), 2);
}

TEST(InlineFunctions, effects_come_behind_the_calls_control_inputs) {
  TestGraph g;
  add_add_to_v(g);
  const SharedVariable v(g);
  Node* const doubled = g.node("AssignVariableOp", {v.handle, g.op("Mul", {v.read, g.constant(Tensor(10.0f))})});
  const Output y = stateful_call(g, "add_to_v", g.constant(Tensor(2.0f)), "call", {doubled});
  const Output after = g.op("ReadVariableOp", {v.handle}, {{"dtype", float32}}, "after", {y.node()});
  for (const bool inlined : {false, true}) {
    const auto session = g.session(with_inlining(inlined));
    ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
    EXPECT_EQ(*run_scalar<float>(*session, after), 12) << inlined;
  }
}

TEST(InlineFunctions, several_control_inputs_all_hold) {
  TestGraph g;
  add_add_to_v(g);
  const SharedVariable v(g);
  Node* const fails = g.node("Assert", {g.constant(Tensor(false)), std::vector<Output>{g.constant(Tensor(7.0f))}});
  const Output y = stateful_call(g, "add_to_v", g.constant(Tensor(2.0f)), "call", {g.node("NoOp"), fails});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
  EXPECT_THAT(message(run_all(*session, {y})), HasSubstr("assertion failed"));
  EXPECT_EQ(*run_scalar<float>(*session, v.read), 1);
}

TEST(InlineFunctions, effects_happen_whatever_is_fetched) {
  TestGraph g;
  FunctionDef f;
  f.signature.name = "two";
  f.signature.inputs = {arg("x", float32)};
  f.signature.outputs = {arg("p", float32), arg("q", float32)};
  f.nodes = {variable_node(), node("add", "AssignAddVariableOp", {"v:resource:0", "x"}, {{"dtype", float32}}),
             node("neg", "Neg", {"x"}, {{"T", float32}}), node("square", "Square", {"x"}, {{"T", float32}})};
  f.ret = {{"p", "neg:y:0"}, {"q", "square:y:0"}};
  add_to_library(g, std::move(f));
  const SharedVariable v(g);
  Node* const made = g.node("StatefulPartitionedCall", {std::vector<Output>{g.constant(Tensor(3.0f))}},
                            calls("two", {float32}, {float32, float32}), "call");
  EXPECT_THAT(names_of(g, {}, {{made, 0}}), UnorderedElementsAre("call/v", "call/add", "call/neg"));
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, {made, 0}), -3);
  EXPECT_EQ(*run_scalar<float>(*session, v.read), 4);
  EXPECT_EQ(*run_scalar<float>(*session, {made, 1}), 9);
  ASSERT_TRUE(run_all(*session, {}, {}, {made}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, v.read), 10);
}

TEST(InlineFunctions, effects_of_nested_calls_happen_and_are_waited_for) {
  TestGraph g;
  add_add_to_v(g);
  add_function(
      g, "outer", float32, float32,
      {node("inner", "StatefulPartitionedCall", {"x"}, calls("add_to_v")), node("neg", "Neg", {"x"}, {{"T", float32}})},
      "neg:y:0");
  const SharedVariable v(g);
  const Output y = stateful_call(g, "outer", g.constant(Tensor(3.0f)), "call");
  const Output after = g.op("ReadVariableOp", {v.handle}, {{"dtype", float32}}, "after", {y.node()});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, after), 4);
  EXPECT_EQ(*run_scalar<float>(*session, y), -3);
  EXPECT_EQ(*run_scalar<float>(*session, v.read), 7);
}

TEST(InlineFunctions, who_waits_for_a_call_waits_for_its_arguments) {
  TestGraph g;
  add_function(g, "ignores", float32, float32, {constant("one", Tensor(1.0f))}, "one:output:0");
  add_add_to_v(g);
  const SharedVariable v(g);
  const Output y = call(g, "ignores", stateful_call(g, "add_to_v", g.constant(Tensor(5.0f))), "call");
  const Output after = g.op("ReadVariableOp", {v.handle}, {{"dtype", float32}}, "after", {y.node()});
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, after), 6);
}

TEST(InlineFunctions, control_outputs_are_waited_for) {
  TestGraph g;
  FunctionDef f;
  f.signature.name = "checked";
  f.signature.inputs = {arg("x", float32)};
  f.signature.outputs = {arg("y", float32)};
  f.nodes = {node("check", "CheckNumerics", {"x"}, {{"T", float32}, {"message", "not finite"}})};
  f.ret = {{"y", "x"}};
  f.control_ret = {{"check", "check"}};
  f.control_outputs = {"check"};
  add_to_library(g, std::move(f));
  const Output x = g.placeholder(float32);
  const Output y = call(g, "checked", x, "call");
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, y, {{x, Tensor(1.0f)}}), 1);
  const absl::Status status = run_all(*session, {y}, {{x, Tensor(INFINITY)}}).status();
  EXPECT_THAT(message(status), HasSubstr("not finite"));
  EXPECT_THAT(message(status), HasSubstr("{{node call/check}}"));
}

// As TensorFlow: 2 streams where calls are inlined, one that both draw from where they are not.
TEST(InlineFunctions, each_call_has_random_streams_of_its_own_that_go_on) {
  TestGraph g;
  add_function(
      g, "noise", float32, float32,
      {constant("shape", Tensor(int32, {0})),
       node("u", "RandomUniform", {"shape:output:0"}, {{"T", int32}, {"dtype", float32}, {"seed", 1}, {"seed2", 2}}),
       node("sum", "AddV2", {"x", "u:output:0"}, {{"T", float32}})},
      "sum:z:0");
  const Output x = g.constant(Tensor(0.0f));
  const Output a = stateful_call(g, "noise", x, "a"), b = stateful_call(g, "noise", x, "b"), only_a = g.op("Neg", {a});
  const auto pair_of = [&](SessionCore& session) {
    const auto got = run_all(session, {a, b});
    EXPECT_TRUE(got.ok()) << got.status();
    return std::pair((*got)[0].scalar<float>(), (*got)[1].scalar<float>());
  };
  const auto called = g.session(with_inlining(false));
  const auto [p, q] = pair_of(*called);
  EXPECT_NE(p, q);
  const auto inlined = g.session();
  const auto [a1, b1] = pair_of(*inlined);
  EXPECT_EQ(a1, b1);
  const auto [a2, b2] = pair_of(*inlined);
  EXPECT_EQ(a2, b2);
  EXPECT_NE(a1, a2);
  const float a3 = -*run_scalar<float>(*inlined, only_a);
  EXPECT_NE(a3, a1);
  EXPECT_NE(a3, a2);
  const auto [a4, b4] = pair_of(*inlined);
  EXPECT_EQ(b4, a3);  // b has drawn one time less
  EXPECT_NE(a4, b4);
}

TEST(InlineFunctions, references_are_read_once) {
  TestGraph g;
  add_double_and_negate(g);
  const Output v = g.variable(float32, kScalar);
  const Output init = g.op("Assign", {v, g.constant(Tensor(1.0f))});
  const Output y = call(g, "double", v, "call");
  const auto session = g.session();
  EXPECT_EQ(run_all(*session, {y}).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(run_all(*session, {init}).ok());
  EXPECT_EQ(*run_scalar<float>(*session, y), 2);
  EXPECT_THAT(names_of(g, {}, {y}), ElementsAre("v", "call/input_0", "call/sum"));
}

TEST(InlineFunctions, variables_of_a_body_are_returned_by_value) {
  TestGraph g;
  add_function(g, "counter", float32, float32,
               {node("v", "VariableV2", {}, {{"dtype", float32}, {"shape", kScalar}}),
                node("set", "Assign", {"v:ref:0", "x"}, {{"T", float32}})},
               "set:output_ref:0");
  const Output x = g.placeholder(float32);
  const Output y = stateful_call(g, "counter", x);
  EXPECT_EQ(*run_scalar<float>(*g.session(), g.op("Neg", {y}), {{x, Tensor(4.0f)}}), -4);
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(4.0f)}}), 4);
}

TEST(InlineFunctions, loop_bodies_and_branches_are_called) {
  TestGraph g;
  add_double_and_negate(g);
  add_function(g, "small", float32, bool_,
               {constant("limit", Tensor(100.0f)), node("less", "Less", {"x", "limit:output:0"}, {{"T", float32}})},
               "less:z:0");
  add_function(g, "twice", float32, float32, {node("inner", "PartitionedCall", {"x"}, calls("double"))},
               "inner:output:0");
  const Output x = g.placeholder(float32), pred = g.placeholder(bool_, kScalar, "pred");
  const std::vector<DataType> kFloat = {float32};
  const Output loop = g.op("While", {std::vector<Output>{x}},
                           {{"cond", FunctionRef("small")}, {"body", FunctionRef("twice")}, {"T", kFloat}}, "loop");
  const Output choice = g.op("If", {pred, std::vector<Output>{x}},
                             {{"then_branch", FunctionRef("twice")},
                              {"else_branch", FunctionRef("negate_double")},
                              {"Tin", kFloat},
                              {"Tout", kFloat}},
                             "choice");
  EXPECT_THAT(names_of(g, {x, pred}, {loop, choice}), UnorderedElementsAre("loop", "choice"));
  const auto session = g.session();
  EXPECT_EQ(*run_scalar<float>(*session, loop, {{x, Tensor(1.0f)}}), 128);
  EXPECT_EQ(*run_scalar<float>(*session, choice, {{x, Tensor(1.0f)}, {pred, Tensor(true)}}), 2);
  EXPECT_EQ(*run_scalar<float>(*session, choice, {{x, Tensor(1.0f)}, {pred, Tensor(false)}}), -2);
}

TEST(InlineFunctions, not_where_a_branch_decides_whether_the_call_runs) {
  TestGraph g;
  add_add_to_v(g);
  const SharedVariable v(g);
  const Output x = g.placeholder(float32), pred = g.placeholder(bool_, kScalar, "pred");
  Node* const branch = g.node("Switch", {x, pred});
  const Output before = stateful_call(g, "add_to_v", g.constant(Tensor(100.0f)), "before");
  const Output y = stateful_call(g, "add_to_v", {branch, 1}, "call", {before.node()});
  const Output merged = g.op("Merge", {std::vector<Output>{{branch, 0}, y}});
  const auto names = names_of(g, {x, pred}, {merged});
  EXPECT_THAT(names, Contains("call"));
  EXPECT_THAT(names, Contains("before/add"));
  const auto session = g.session();
  ASSERT_TRUE(run_all(*session, {}, {}, {v.init}).ok());
  for (const bool taken : {false, true}) {
    EXPECT_EQ(*run_scalar<float>(*session, merged, {{x, Tensor(7.0f)}, {pred, Tensor(taken)}}), 7);
    EXPECT_EQ(*run_scalar<float>(*session, v.read), taken ? 208 : 101);
  }
}

TEST(InlineFunctions, bodies_with_frames_stay_apart) {
  TestGraph g;
  add_function(g, "first_or_second", float32, float32,
               {constant("yes", Tensor(true)), node("s", "Switch", {"x", "yes:output:0"}, {{"T", float32}}),
                node("m", "Merge", {"s:output_false:0", "s:output_true:0"}, {{"T", float32}, {"N", 2}})},
               "m:output:0");
  const Output x = g.placeholder(float32);
  const Output y = call(g, "first_or_second", x, "call");
  EXPECT_THAT(names_of(g, {x}, {y}), ElementsAre("call"));
  EXPECT_EQ(*run_scalar<float>(*g.session(), y, {{x, Tensor(7.0f)}}), 7);
}

TEST(InlineFunctions, bodies_run_where_they_ask_to) {
  TestGraph g;
  NodeDef there = node("there", "Neg", {"x"}, {{"T", float32}});
  there.device = "/device:CPU:1";
  NodeDef beside =
      node("beside", "Neg", {"there:y:0"}, {{"T", float32}, {"_class", std::vector<std::string>{"loc:@there"}}});
  add_function(g, "f", float32, float32, {there, beside, node("free", "Neg", {"beside:y:0"}, {{"T", float32}})},
               "free:y:0");
  add_double_and_negate(g);
  const Output x = g.placeholder(float32);
  const Output y = call(g, "f", x, "a"), z = call(g, "double", x, "b");
  for (const Output& at_2 : {y, z}) g.graph->set_device(at_2.node(), "/device:CPU:2");
  const auto session = g.session({.runtime = only_inlining(), .num_cpu_devices = 3});
  const auto devices_of = [&](const Output& fetch) {
    std::vector<std::string> devices;
    for (const Program::Op& op : compiled(*session, {x}, {fetch}).ops())
      devices.push_back(op.state->info.device.substr(op.state->info.device.size() - 5));
    return devices;
  };
  EXPECT_THAT(devices_of(y), ElementsAre("CPU:1", "CPU:1", "CPU:0"));
  EXPECT_THAT(devices_of(z), ElementsAre("CPU:2"));
}

TEST(InlineFunctions, wrong_calls_fail_where_they_are_called) {
  TestGraph g;
  add_double_and_negate(g);
  const Output x = g.constant(Tensor(int32_t{1}));
  const Output y = g.op("PartitionedCall", {std::vector<Output>{x}}, calls("double", {int32}, {int32}), "call");
  const absl::Status status = run_all(*g.session(), {y}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(status), HasSubstr("of other types"));
}

}  // namespace
}  // namespace millrace
