// Graphs that our API builds against those of TensorFlow's Python API, node for node. The lists in testdata were made
// with TensorFlow 2.21 (compat.v1): each test repeats, call for call, what made its list.

#include <functional>

#include "api/op_builder.h"
#include "api/testing_graphs.h"
#include "gtest/gtest.h"
#include "millrace/array_ops.h"
#include "millrace/gradients.h"
#include "millrace/math_ops.h"
#include "millrace/train/saver.h"
#include "millrace/variables.h"

namespace tf = millrace;

namespace millrace {
namespace {

void name_scopes() {
  const auto constant = [](const char* name) { tf::constant(1.f, {.name = name}); };
  constant("a"), constant("a"), constant("A"), constant("a_1"), constant("a");
  std::string s;
  {
    const tf::name_scope scope("s");
    s = scope.name();
    constant("a");
    for (int i = 0; i < 2; ++i) {
      const tf::name_scope t("t");
      tf::no_op();
    }
    {
      const tf::name_scope root("");
      tf::no_op({.name = "root"});
    }
    const tf::name_scope again(s);
    constant("a");
  }
  {
    const tf::name_scope scope("s");
    tf::identity(tf::constant(2.f));
  }
  {
    const tf::name_scope scope("S");
    tf::no_op();
  }
  const tf::name_scope again(s);
  tf::no_op({.name = "again"});
}

void devices_and_colocation() {
  const auto constant = [](const char* name) { return tf::constant(1.f, {.name = name}); };
  Output a, b, c;
  {
    const tf::device ps("/job:ps/task:0");
    a = constant("a");
    {
      const tf::device cpu("/cpu:0");
      b = constant("b");
      {
        const tf::device worker("/job:worker");
        constant("b2");
      }
      const tf::device none("");
      c = constant("c");
    }
    {
      const tf::device by_type([](const Operation& op) { return op.type() == "Const" ? "/gpu:1" : ""; });
      constant("d");
      const tf::device cpu("/cpu:0");
      constant("d2");
    }
    const tf::device cpu("cpu");
    constant("e");
  }
  {
    const tf::device any("/CPU:*");
    constant("e1");
  }
  {
    const tf::device third("/device:cpu:3");
    const tf::colocate_with with_a(a.op());
    const Output f = constant("f");
    {
      const tf::colocate_with with_b(b.op());
      constant("f2");
      const tf::device zz("/job:zz");
      constant("f2d");
    }
    {
      const tf::colocate_with with_b(b.op(), true);
      constant("f3");
    }
    const tf::colocate_with with_f(f.op());
    constant("f4");
  }
  const tf::control_dependencies after({a, b});
  {
    const tf::colocate_with with_a(a);
    constant("h");
  }
  {
    const tf::control_dependencies after_c({c.op()});
    const Output y = tf::identity(tf::identity(a, {.name = "x"}), {.name = "y"});
    create_op("AddV2", {y, b}, {}, "z");
  }
  const Operation w = create_op("AddV2", {c, c}, {}, "w");
  {
    const tf::control_dependencies none(nullptr);
    tf::constant(2.f, {.name = "nn"});
  }
  const tf::control_dependencies more({Operation(a), w});
  tf::no_op({.name = "k"});
}

void groups() {
  const Output a = tf::constant(1.f, {.name = "a"}), b = tf::constant(2.f, {.name = "b"});
  tf::group({a, b});
  tf::group({a}, {.name = "g"});
  tf::group({});
  tf::group({}, {.name = "h"});
  Output c;
  {
    const tf::device cpu("/cpu:1");
    c = tf::constant(3.f, {.name = "c"});
  }
  tf::group({a, c}, {.name = "mixed"});
  const std::vector<Output> same = tf::tuple({a, Output(), b});
  EXPECT_FALSE(same[1]);
  tf::tuple({b, a}, {.name = "t", .control_inputs = {c}});
}

void variables() {
  const tf::Variable v(1.0, {.name = "v"});
  const tf::Variable w = tf::get_variable("w", {2}, {.use_resource = true});
  const Tensor pair(std::vector<float>{1, 2});
  v.assign(2.f);
  v.assign_add(1.f);
  w.assign(pair);
  w.assign_add(pair);
  v.read_value();
  w.read_value();
  w.value();
  tf::identity(w);
  tf::identity(v);
  w.assign_sub(pair);
  tf::assign(v, 3.f);
  tf::is_variable_initialized(v);
  tf::is_variable_initialized(w);
  tf::get_variable("z", {2000}, {.initializer = tf::zeros_initializer()});
  tf::get_variable("z1", {.initializer = pair});
  tf::get_variable("z3", {.initializer = pair, .use_resource = true});
  tf::report_uninitialized_variables();
  tf::global_variables_initializer();
  tf::local_variables_initializer();
  const tf::control_dependencies after({v.op()});
  const tf::device cpu("/cpu:1");
  tf::get_variable("q", {2});
  tf::Variable(2.f, {.name = "r", .use_resource = true});
  tf::Variable([] { return tf::constant(2.f); }, {.name = "s"});
}

void initialized_value() {
  const tf::Variable v(1.0, {.name = "v"});
  v.initialized_value();
}

void variable_scopes() {
  const Initializer one = tf::ones_initializer();
  const tf::GetVariableOptions ones{.initializer = one};
  VariableScope a;
  {
    const tf::variable_scope scope("a");
    a = scope.scope();
    tf::get_variable("w", TensorShape(), ones);
    tf::Variable(1.0);
    tf::constant(1.f);
    {
      const tf::variable_scope b("b", {.reuse = tf::AUTO_REUSE});
      tf::get_variable("w", TensorShape(), ones);
    }
    const tf::variable_scope b("b", {.reuse = tf::AUTO_REUSE});
    tf::get_variable("w", TensorShape());
    tf::no_op({.name = "again"});
  }
  {
    const tf::variable_scope scope("a", {.reuse = Reuse::kTrue});
    tf::get_variable("w", TensorShape());
    tf::no_op({.name = "n"});
  }
  {
    const tf::variable_scope scope(a, {.reuse = Reuse::kTrue});
    tf::get_variable("w", TensorShape());
    tf::no_op({.name = "m"});
  }
  {
    const tf::name_scope outer("outer");
    {
      const tf::variable_scope scope(a);
      tf::get_variable("u", TensorShape(), ones);
      tf::no_op({.name = "o"});
    }
    const tf::variable_scope c("c");
    tf::get_variable("u", TensorShape(), ones);
    tf::no_op({.name = "o"});
  }
  for (int i = 0; i < 2; ++i) {
    const tf::variable_scope d("", {.default_name = "d"});
    tf::get_variable("w", TensorShape(), ones);
    tf::no_op({.name = "o"});
  }
  {
    const tf::variable_scope e("e", {.initializer = tf::zeros_initializer(), .use_resource = true});
    tf::get_variable("w", {3});
  }
  {
    const tf::variable_scope f("f", {.dtype = tf::float64});
    tf::get_variable("w", {3});
  }
  const tf::variable_scope g("g", {.auxiliary_name_scope = false});
  tf::get_variable("w", TensorShape(), ones);
  tf::no_op({.name = "g_op"});
}

void initializers() {
  namespace init = tf::initializers;
  const std::vector<Initializer> all = {init::constant(Tensor(std::vector<float>{1, 2, 3, 4})),
                                        init::constant(Tensor(3)),
                                        init::he_normal(),
                                        init::lecun_uniform(),
                                        init::uniform_unit_scaling(),
                                        init::random_uniform(),
                                        init::random_normal(),
                                        init::truncated_normal(),
                                        init::ones(),
                                        init::glorot_normal()};
  for (size_t i = 0; i < all.size(); ++i) tf::get_variable("w" + std::to_string(i), {2, 2}, {.initializer = all[i]});
  tf::get_variable(
      "i", {2, 2},
      {.dtype = tf::int32, .initializer = init::random_uniform({.minval = 0, .maxval = 10, .dtype = tf::int32})});
  tf::get_variable("j", {2, 2}, {.dtype = tf::int32});
  tf::get_variable("s", TensorShape());
}

struct Small {
  Output x = tf::placeholder(tf::float32, {2, 3}, {.name = "x"});
  Output y = create_output("Square", {x}, {}, "sq");
  Output z = create_output("AddV2", {create_output("Mul", {x, y}, {}, "mul"), create_output("Sin", {x})}, {}, "add");
};

void gradients_sum() {
  const Small s;
  tf::gradients({s.z}, {s.x, s.y});
}

void gradients_gated_tree_colocated() {
  const Small s;
  tf::gradients({s.z}, {s.x, s.y},
                {.colocate_gradients_with_ops = true,
                 .gate_gradients = true,
                 .aggregation_method = AggregationMethod::EXPERIMENTAL_TREE});
}

Output gather_rows(const Variable& w, const Output& indices) {
  return create_output("GatherV2", {Input(w), indices, Input(0)});
}
Output index_list(int a, int b) { return tf::constant(Tensor(std::vector<int32_t>{a, b})); }

void gradients_slices() {
  const tf::Variable w = tf::get_variable("w", {5, 3});
  const Output i = index_list(0, 1), j = index_list(2, 3);
  const Output a = gather_rows(w, i), b = gather_rows(w, j);
  const std::vector<Gradient> dw = tf::gradients({create_output("AddV2", {a, b}, {}, "add")}, {w});
  EXPECT_TRUE(dw[0].is_slices());
}

void gradients_mixed() {
  const tf::Variable w = tf::get_variable("w", {5, 3});
  const Output i = index_list(0, 1);
  const Output rows = tf::reduce_sum(gather_rows(w, i));
  const Output all = tf::reduce_sum(w);
  const std::vector<Gradient> dw = tf::gradients({create_output("AddV2", {rows, all}, {}, "add")}, {w});
  EXPECT_EQ(dw[0].dense().shape(), PartialTensorShape({5, 3}));
}

void gradients_given() {
  const Output x = tf::placeholder(tf::float32, {-1, 3}, {.name = "x"});
  const Output y = create_output("Square", {x});
  const Output c = tf::constant(1.f);
  tf::gradients({y, y}, {x, c},
                {.grad_ys = {tf::identity(y), Output()},
                 .stop_gradients = {x},
                 .unconnected_gradients = UnconnectedGradients::ZERO});
}

void gradients_second() {
  const Output x = tf::placeholder(tf::float32, {3}, {.name = "x"});
  const Output y = create_output("Tanh", {x});
  const std::vector<Gradient> g = tf::gradients({y}, {x});
  tf::gradients({g[0].dense()}, {x});
}

void gradients_parts() {
  const Output x = tf::placeholder(tf::float32, {4, 3}, {.name = "x"});
  Operation parts;
  {
    const tf::name_scope scope("split");
    const Output axis = tf::constant(0, {.name = "split_dim"});
    parts = create_op("Split", {axis, x}, {{"num_split", int64_t{2}}}, scope.name());
  }
  tf::gradients({create_output("Square", {parts.output(0)})}, {x});
}

void savers() {
  tf::get_variable("a", {2, 3}, {.initializer = tf::zeros_initializer()});
  tf::get_variable("b", {2}, {.initializer = tf::zeros_initializer(), .use_resource = true});
  for (const auto version : {tf::train::SaverVersion::kV1, tf::train::SaverVersion::kV2}) {
    for (const bool sharded : {false, true}) tf::train::Saver({.sharded = sharded, .write_version = version});
  }
  tf::train::Saver({.reshape = true, .name = "again", .restore_sequentially = true});
}

struct Case {
  const char* name;
  void (*build)();
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SameGraph : public testing::TestWithParam<Case> {};

TEST_P(SameGraph, node_for_node) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  GetParam().build();
  EXPECT_EQ(describe_graph(graph.impl()), expected_graph(GetParam().name));
}

#define MR_CASE(name) \
  Case { #name, name }
INSTANTIATE_TEST_SUITE_P(Tensorflow, SameGraph,
                         testing::Values(MR_CASE(name_scopes), MR_CASE(devices_and_colocation), MR_CASE(groups),
                                         MR_CASE(variables), MR_CASE(initialized_value), MR_CASE(variable_scopes),
                                         MR_CASE(initializers), MR_CASE(gradients_sum),
                                         MR_CASE(gradients_gated_tree_colocated), MR_CASE(gradients_slices),
                                         MR_CASE(gradients_mixed), MR_CASE(gradients_given), MR_CASE(gradients_second),
                                         MR_CASE(gradients_parts), MR_CASE(savers)),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace millrace
