#include "millrace/framework.h"

#include <thread>

#include "api/op_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/array_ops.h"
#include "millrace/errors.h"
#include "millrace/gradients.h"
#include "millrace/math_ops.h"
#include "millrace/random_ops.h"
#include "millrace/session.h"
#include "millrace/variables.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/variable.pb.h"

namespace tf = millrace;

namespace millrace {
namespace {

using testing::HasSubstr;

template <class Error, class F> std::string message_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

TEST(GraphTest, the_innermost_as_default_counts) {
  const tf::Graph outer, inner;
  const Graph before = tf::get_default_graph();
  {
    const auto a = outer.as_default();
    EXPECT_EQ(tf::get_default_graph(), outer);
    {
      const auto b = inner.as_default();
      tf::constant(1.f);
      EXPECT_EQ(tf::get_default_graph(), inner);
    }
    EXPECT_EQ(tf::get_default_graph(), outer);
    EXPECT_THROW(tf::reset_default_graph(), errors::FailedPreconditionError);
    std::thread([&] { EXPECT_EQ(tf::get_default_graph(), before); }).join();
  }
  EXPECT_EQ(inner.get_operations().size(), 1u);
  EXPECT_EQ(outer.get_operations().size(), 0u);
  tf::reset_default_graph();
  EXPECT_FALSE(tf::get_default_graph() == before);
}

TEST(GraphTest, finds_by_name) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const Output x = tf::constant(1.f, {.name = "x"});
  EXPECT_EQ(g.get_tensor_by_name("x:0"), x);
  EXPECT_EQ(g.get_operation_by_name("x"), x.op());
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([&] { g.get_tensor_by_name("x"); }),
              HasSubstr("refers to an Operation, not a Tensor"));
  EXPECT_THAT(message_of<errors::NotFoundError>([&] { g.get_tensor_by_name("y:0"); }),
              HasSubstr("refers to a Tensor which does not exist"));
  EXPECT_THAT(message_of<errors::NotFoundError>([&] { g.get_operation_by_name("y"); }),
              HasSubstr("refers to an Operation not in the graph"));
}

TEST(GraphTest, finalized_graphs_do_not_grow) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  g.finalize();
  EXPECT_THAT(message_of<errors::FailedPreconditionError>([] { tf::constant(1.f); }),
              HasSubstr("Graph is finalized and cannot be modified."));
  EXPECT_THROW(tf::add_to_collection("c", std::string("x")), errors::FailedPreconditionError);
}

TEST(GraphTest, errors_carry_op_and_source_line) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const Output a = tf::placeholder(tf::float32, {2, 3}, {.name = "a"});
  const int line = __LINE__ + 2;
  try {
    create_op("MatMul", {Input(a), Input(a)}, {}, "m");
    FAIL();
  } catch (const errors::InvalidArgumentError& error) {
    EXPECT_EQ(error.where().node_name, "m");
    EXPECT_EQ(error.where().op_type, "MatMul");
    EXPECT_EQ(error.where().source, "framework_test.cc:" + std::to_string(line));
    EXPECT_THAT(error.message(), HasSubstr("Dimensions must be equal, but are 3 and 2"));
  }
}

TEST(GraphTest, nodes_know_the_users_line) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const Output a = tf::constant(1.f);
  EXPECT_EQ(a.op().source(), "framework_test.cc:" + std::to_string(__LINE__ - 1));
  const tf::Variable v = tf::get_variable("v", {2});
  const std::string here = "framework_test.cc:" + std::to_string(__LINE__ - 1);
  for (const Operation& op : g.get_operations())
    if (op.name().starts_with("v")) EXPECT_EQ(op.source(), here) << op.name();
}

TEST(GraphTest, collections_filter_by_scope) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  Output in_scope;
  {
    const tf::name_scope scope("s");
    in_scope = tf::constant(1.f);
  }
  tf::add_to_collection("c", tf::constant(2.f));
  tf::add_to_collection("c", in_scope);
  EXPECT_THAT(tf::get_collection<Output>("c", "s/"), testing::ElementsAre(in_scope));
  EXPECT_EQ(tf::get_collection<Output>("c").size(), 2u);
  EXPECT_THAT(g.get_all_collection_keys(), testing::ElementsAre("c"));
  tf::get_collection_ref("c").clear();
  EXPECT_TRUE(tf::get_collection("c").empty());
}

// ---- seeds, as random_seed.get_seed of TensorFlow 2.21 gives them

struct SeedCase {
  std::optional<int64_t> graph, op;
  std::optional<int64_t> seed, first, second, third;
};

TEST(SeedTest, graph_and_op_seeds_combine) {
  constexpr int64_t kDefault = 87654321, kMax = 2147483647;
  const std::optional<int64_t> none;
  const SeedCase cases[] = {{none, none, none, none, none, none},
                            {none, 0, kDefault, 0, 0, 0},
                            {none, 42, kDefault, 42, 42, 42},
                            {0, none, 0, kMax, 1, 2},
                            {0, 0, 0, kMax, kMax, kMax},
                            {0, 1, 0, 1, 1, 1},
                            {1, none, 1, 0, 1, 2},
                            {1, 0, 1, 0, 0, 0},
                            {1, 42, 1, 42, 42, 42},
                            {kDefault, none, kDefault, 0, 1, 2}};
  for (const SeedCase& c : cases) {
    const tf::Graph g;
    const auto as_default = g.as_default();
    if (c.graph) tf::set_random_seed(*c.graph);
    for (const std::optional<int64_t>& second : {c.first, c.second, c.third}) {
      const tf::SeedPair seeds = tf::get_seed(c.op);
      EXPECT_EQ(seeds.seed, c.seed);
      EXPECT_EQ(seeds.seed2, second);
    }
  }
}

TEST(SeedTest, initializers_count) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  tf::set_random_seed(1);
  tf::get_variable("a", {2});
  tf::get_variable("b", {2});
  EXPECT_EQ(*g.get_operation_by_name("b/Initializer/random_uniform/RandomUniform").attrs().at("seed2").get<int64_t>(),
            1);
}

// ---- constants

TEST(ConstantTest, values_follow_pythons_rules) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  EXPECT_EQ(tf::constant(1.0).dtype(), tf::float32);
  EXPECT_EQ(tf::constant(1).dtype(), tf::int32);
  EXPECT_EQ(tf::constant(1, {.dtype = tf::float64}).dtype(), tf::float64);
  EXPECT_EQ(tf::constant(0.f, {.shape = TensorShape({2, 2})}).shape(), PartialTensorShape({2, 2}));
  EXPECT_EQ(tf::get_static_value(tf::constant(3, {.shape = TensorShape({2})}))->to_vector<int32_t>(),
            (std::vector<int32_t>{3, 3}));
  EXPECT_THROW(tf::constant(1.5, {.dtype = tf::int32}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::constant(Tensor(std::vector<float>{1, 2}), {.shape = TensorShape({3})}),
               errors::InvalidArgumentError);
  EXPECT_THROW(tf::constant("text", {.dtype = tf::float32}), errors::InvalidArgumentError);
}

// ---- variables

TEST(ConstantTest, numbers_in_braces_are_a_vector) {
  auto as_default = Graph().as_default();
  EXPECT_EQ(zeros({2, 3}).shape(), (PartialTensorShape{2, 3}));
  EXPECT_EQ(zeros({2}).shape(), PartialTensorShape{2});  // not the scalar 2
  const int64_t side = 3;
  EXPECT_EQ(reshape(zeros({2, side}), {side, 2, 1}).shape(), (PartialTensorShape{3, 2, 1}));
  EXPECT_EQ(reshape(ones({4}), {2, int64_t{2}}).op().input(1).dtype(), int32);
  EXPECT_EQ(broadcast_to(ones({1}), {1, int64_t{1} << 40}).op().input(1).dtype(), int64);
  EXPECT_EQ(reduce_sum(ones({2, 3, 4}), {0, 2}).shape(), PartialTensorShape{3});
  EXPECT_EQ(reduce_sum(ones({2, 3})).shape(), PartialTensorShape::scalar());
  const Output shape = constant(std::vector{6, 1});
  EXPECT_EQ(reshape(ones({2, 3}), {shape}).shape(), (PartialTensorShape{6, 1}));  // braces around a value mean nothing
}

TEST(VariableTest, names_say_whether_a_variable_is_shared) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const tf::Variable w = tf::get_variable("w", {2});
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::get_variable("w", {2}); }),
              HasSubstr("Variable w already exists, disallowed. Did you mean to set reuse=True"));
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::get_variable("w", {2}); }),
              HasSubstr("Originally defined at framework_test.cc:"));
  const tf::variable_scope root(tf::get_variable_scope(), {.reuse = Reuse::kTrue});
  EXPECT_EQ(tf::get_variable("w", {2}), w);
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::get_variable("u", {2}); }),
              HasSubstr("Variable u does not exist, or was not created with tf.get_variable()"));
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::get_variable("w", {3}); }),
              HasSubstr("Trying to share variable w, but specified shape [3] and found shape [2]."));
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::get_variable("w", {2}, {.dtype = tf::float64}); }),
              HasSubstr("but specified dtype"));
}

TEST(VariableTest, shapes_must_be_known) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] {
                tf::get_variable("w", {-1, 2});
              }),
              HasSubstr("must be fully defined"));
  EXPECT_THAT(
      message_of<errors::InvalidArgumentError>([] { tf::get_variable("v", {2}, {.initializer = Tensor(1.f)}); }),
      HasSubstr("do not specify shape"));
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([] { tf::Variable(tf::placeholder(tf::float32)); }),
              HasSubstr("must have a shape specified"));
}

TEST(VariableTest, collections_and_protos) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const tf::Variable a(1.0, {.name = "a"});
  const tf::Variable b(
      1.0, {.trainable = false, .collections = std::vector<std::string>{GraphKeys::LOCAL_VARIABLES}, .name = "b"});
  const tf::Variable c = tf::get_variable("c", {2}, {.use_resource = true});
  EXPECT_THAT(tf::global_variables(), testing::ElementsAre(a, c));
  EXPECT_THAT(tf::trainable_variables(), testing::ElementsAre(a, c));
  EXPECT_THAT(tf::local_variables(), testing::ElementsAre(b));
  const tensorflow::VariableDef def = c.to_proto();
  EXPECT_EQ(def.variable_name(), "c:0");
  EXPECT_EQ(def.initializer_name(), "c/Assign");
  EXPECT_EQ(def.snapshot_name(), "c/Read/ReadVariableOp:0");
  EXPECT_TRUE(def.is_resource());
  const tf::Variable again = tf::Variable::from_proto(def);
  EXPECT_EQ(again.name(), "c:0");
  EXPECT_EQ(again.shape(), PartialTensorShape({2}));
  EXPECT_EQ(a.dtype(), ref_dtype(tf::float32));
  EXPECT_EQ(c.dtype(), tf::float32);
  EXPECT_THROW(c.assign(Tensor(std::vector<float>{1, 2, 3})), errors::InvalidArgumentError);
}

TEST(VariableTest, regularizers_and_constraints) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  tf::get_variable("w", {2}, {.regularizer = [](const Output& w) { return create_output("L2Loss", {w}); }});
  const std::vector<Output> losses = tf::get_collection<Output>(GraphKeys::REGULARIZATION_LOSSES);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_EQ(losses[0].name(), "w/Regularizer/L2Loss:0");
}

// ---- import and gradients

TEST(ImportTest, below_a_scope_of_its_own) {
  const tf::Graph source, target;
  {
    const auto as_default = source.as_default();
    tf::identity(tf::constant(1.f, {.name = "x"}), {.name = "y"});
  }
  const tensorflow::GraphDef def = source.as_graph_def();
  const auto as_default = target.as_default();
  const tf::ImportedElements first = tf::import_graph_def(def, {.return_elements = {"y:0", "x"}});
  EXPECT_EQ(first.outputs[0].name(), "import/y:0");
  EXPECT_EQ(first.operations[1].name(), "import/x");
  tf::import_graph_def(def);
  EXPECT_TRUE(target.has_operation("import_1/y"));
  tf::import_graph_def(def, {.name = ""});
  EXPECT_TRUE(target.has_operation("y"));
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([&] {
                tf::import_graph_def(def, {.input_map = {{"nope:0", first.outputs[0]}}});
              }),
              HasSubstr("Attempted to map inputs that were not found in graph_def: [nope:0]"));
  tensorflow::GraphDef unknown;
  unknown.add_node()->set_op("Nope");
  unknown.mutable_node(0)->set_name("n");
  EXPECT_THAT(message_of<errors::NotFoundError>([&] { tf::import_graph_def(unknown); }),
              HasSubstr("Op type not registered 'Nope'"));
}

TEST(GradientsTest, says_what_cannot_be_differentiated) {
  const tf::Graph g;
  const auto as_default = g.as_default();
  const Output x = tf::placeholder(tf::float32, {2, 2}, {.name = "x"});
  EXPECT_FALSE(tf::gradients({create_output("ArgMax", {x, Input(0)})}, {x})[0]);
  EXPECT_FALSE(tf::gradients({tf::constant(1.f)}, {x})[0]);
  EXPECT_FALSE(tf::gradients({create_output("StopGradient", {x})}, {x})[0]);
  const Output complex = create_output("Cast", {x}, {{"DstT", tf::complex64}});
  EXPECT_THAT(message_of<errors::InvalidArgumentError>([&] { tf::gradients({complex}, {x}); }),
              HasSubstr("must set grad_ys"));
  EXPECT_TRUE(tf::gradients({x}, {x})[0]);
}

}  // namespace
}  // namespace millrace
