// tf.cond: graphs as TensorFlow's (tools/make_cond_graphs.py), values, gradients, and what is refused.

#include "millrace/control_flow.h"

#include <filesystem>

#include "api/testing_graphs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/array_ops.h"
#include "millrace/errors.h"
#include "millrace/gradients.h"
#include "millrace/math_ops.h"
#include "millrace/session.h"
#include "millrace/train/saver.h"
#include "millrace/variables.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/protobuf/control_flow.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace tf = millrace;

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Inputs {
  Output x = tf::placeholder(float32, {2}, {.name = "x"});
  Output p = tf::placeholder(bool_, TensorShape(), {.name = "p"});
};

std::vector<tf::Variable> variables(bool use_resource) {
  std::vector<tf::Variable> result;
  for (const char* name : {"v", "w"})
    result.push_back(
        tf::get_variable(name, {2}, {.initializer = tf::ones_initializer(), .use_resource = use_resource}));
  return result;
}

void values() {
  const auto [x, p] = Inputs();
  const Output y = tf::cond(
      p, [&] { return x * 2.f + 1.f; }, [&] { return x; });
  tf::gradients({y}, {x});
  tf::cond(
      p,
      [&] {
        return std::vector<Output>{x, tf::constant(1)};
      },
      [&] {
        return std::vector<Output>{x - y, tf::constant(2)};
      },
      {.name = "both"});
}

void reference_variables() {
  const auto [x, p] = Inputs();
  const auto vars = variables(false);
  const tf::Variable v = vars[0], w = vars[1];
  const Output y = tf::cond(
      p, [&] { return x * v + w; }, [&] { return x; });
  tf::gradients({y}, {x, v, w});
  tf::cond(
      p, [&] { return v.assign_add(x).op(); }, [] { return tf::no_op(); });
}

void resource_variables() {
  const auto [x, p] = Inputs();
  const auto vars = variables(true);
  const Output y = tf::cond(
      p, [&] { return x * vars[0]; }, [&] { return vars[1] * x; });
  tf::gradients({y}, {x, vars[0], vars[1]});
}

Output nested_value(const Output& x, const Output& p) {
  return tf::cond(
      p,
      [&] {
        return tf::cond(
            tf::reduce_sum(x) > 0.f, [&] { return x + x; },
            [] {
              return tf::constant(Tensor(std::vector<float>{1, 2}));
            });
      },
      [&] { return x * 2.f; });
}

void nested() {
  const auto [x, p] = Inputs();
  tf::gradients({nested_value(x, p)}, {x});
}

std::string describe(const tensorflow::CondContextDef& c) {
  std::string text = c.context_name() + " pred=" + c.pred_name() + " pivot=" + c.pivot_name() +
                     " branch=" + std::to_string(c.branch()) + " values=";
  for (int i = 0; i < c.values_def().values_size(); ++i) text += (i ? " " : "") + c.values_def().values(i);
  text += " outside=";
  std::map<std::string, std::string> outside(c.values_def().external_values().begin(),
                                             c.values_def().external_values().end());
  bool first = true;
  for (const auto& [key, value] : outside) text += (std::exchange(first, false) ? "" : " ") + key + "=" + value;
  text += "\n";
  for (const auto& inner : c.nested_contexts()) text += describe(inner.cond_ctxt());
  return text;
}

std::string describe_contexts(const Graph& graph) {
  std::string text;
  for (const CollectionItem& item : graph.get_collection(GraphKeys::COND_CONTEXT)) {
    tensorflow::CondContextDef def;
    EXPECT_TRUE(def.ParseFromString(std::get<std::shared_ptr<CollectionObject>>(item)->to_proto()));
    text += describe(def);
  }
  return text;
}

struct Case {
  const char* name;
  void (*build)();
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class CondGraph : public testing::TestWithParam<Case> {};

TEST_P(CondGraph, is_that_of_tensorflow) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  GetParam().build();
  EXPECT_EQ(describe_graph(graph.impl()) + describe_contexts(graph),
            expected_graph(std::string("cond_") + GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(Tensorflow, CondGraph,
                         testing::Values(Case{"values", values}, Case{"reference_variables", reference_variables},
                                         Case{"resource_variables", resource_variables}, Case{"nested", nested}),
                         [](const auto& info) { return std::string(info.param.name); });

std::vector<float> floats(const Tensor& t) { return t.to_vector<float>(); }

class CondTest : public testing::Test {
 protected:
  FeedDict feeds(bool taken, std::vector<float> values) { return {{in.p, taken}, {in.x, Tensor(values)}}; }
  const tf::Graph graph;
  const DefaultGraph as_default = graph.as_default();
  const Inputs in;
};

TEST_F(CondTest, only_the_branch_that_is_taken_runs) {
  const tf::Variable on(0, {.name = "on"}), off(0, {.name = "off"});
  const Output y = tf::cond(
      in.p, [&] { return tf::identity(on.assign_add(1)); }, [&] { return off.assign_add(10) + 1; });
  const Session session;
  session.run(tf::global_variables_initializer());
  EXPECT_EQ(session.run(y, feeds(true, {1, 2})).scalar<int32_t>(), 1);
  EXPECT_EQ(session.run(y, feeds(false, {1, 2})).scalar<int32_t>(), 11);
  EXPECT_EQ(session.run(y, feeds(true, {1, 2})).scalar<int32_t>(), 2);
  EXPECT_EQ(session.run(off).scalar<int32_t>(), 10);
}

TEST_F(CondTest, operations_are_run_where_they_are_chosen) {
  const tf::Variable v = tf::get_variable("v", {2}, {.initializer = tf::zeros_initializer(), .use_resource = true});
  const Output done = tf::cond(
      in.p, [&] { return v.assign_add(in.x).op(); }, [] { return tf::no_op(); });
  const Session session;
  session.run(tf::global_variables_initializer());
  EXPECT_FALSE(session.run(done, feeds(false, {1, 2})).scalar<bool>());
  EXPECT_TRUE(session.run(done, feeds(true, {3, 4})).scalar<bool>());
  EXPECT_THAT(floats(session.run(v)), ElementsAre(3, 4));
}

TEST_F(CondTest, gradients_are_those_of_the_branch) {
  const tf::Variable v = tf::get_variable("v", {2}, {.initializer = tf::ones_initializer(), .use_resource = true});
  const Output y = tf::cond(
      in.p, [&] { return tf::square(in.x) * v; }, [&] { return in.x * 3.f; });
  const auto dy = tf::gradients({y}, {in.x, v});
  const Session session;
  session.run(tf::global_variables_initializer());
  const auto both = [&](bool taken) { return session.run({dy[0].dense(), dy[1].dense()}, feeds(taken, {2, 5})); };
  EXPECT_THAT(floats(both(true)[0]), ElementsAre(4, 10));
  EXPECT_THAT(floats(both(true)[1]), ElementsAre(4, 25));
  EXPECT_THAT(floats(both(false)[0]), ElementsAre(3, 3));
  EXPECT_THAT(floats(both(false)[1]), ElementsAre(0, 0));
}

TEST_F(CondTest, gradients_of_rows_that_one_branch_reads) {
  const tf::Variable v = tf::get_variable("v", {3, 1}, {.initializer = tf::ones_initializer()});
  const Output y = tf::cond(
      in.p,
      [&] {
        return tf::gather(v, tf::constant(Tensor(std::vector<int32_t>{2, 2})));
      },
      [] {
        return tf::constant(Tensor(TensorShape({2, 1}), std::vector<float>{0, 0}));
      });
  const Output dv = tf::dense_gradient(tf::gradients({y}, {v})[0]);
  const Session session;
  session.run(tf::global_variables_initializer());
  EXPECT_THAT(floats(session.run(dv, feeds(true, {0, 0}))), ElementsAre(0, 0, 2));
  EXPECT_THAT(floats(session.run(dv, feeds(false, {0, 0}))), ElementsAre(0, 0, 0));
}

TEST_F(CondTest, nested_ones_have_values_and_gradients) {
  const Output y = nested_value(in.x, in.p), dx = tf::gradients({y}, {in.x})[0].dense();
  const Session session;
  const auto check = [&](bool p, std::vector<float> x, std::vector<float> value, std::vector<float> slope) {
    const auto got = session.run({y, dx}, feeds(p, x));
    EXPECT_EQ(floats(got[0]), value);
    EXPECT_EQ(floats(got[1]), slope);
  };
  check(true, {1, 3}, {2, 6}, {2, 2});
  check(true, {-1, -3}, {1, 2}, {0, 0});
  check(false, {-1, -3}, {-2, -6}, {2, 2});
}

// Without the collection of contexts, as import_graph_def leaves it, gradients take the number of the live input.
TEST_F(CondTest, gradients_of_imported_conditions) {
  const std::string file = std::string(MILLRACE_SOURCE_DIR) + "/src/api/testdata/cond_model.meta";
  for (const bool with_contexts : {true, false}) {
    const tf::Graph imported;
    const auto inside = imported.as_default();
    tf::train::import_meta_graph(file);
    if (!with_contexts) {
      const tensorflow::GraphDef def = imported.as_graph_def();
      tf::import_graph_def(def, {.name = "again"});
    }
    const std::string prefix = with_contexts ? "" : "again/";
    const Output x = imported.get_tensor_by_name(prefix + "x:0"), p = imported.get_tensor_by_name(prefix + "p:0");
    const Output dx = tf::gradients({imported.get_tensor_by_name(prefix + "cond/Merge:0")}, {x})[0].dense();
    const Session session;
    const auto slope = [&](bool taken, std::vector<float> at) {
      return floats(session.run(dx, {{p, taken}, {x, Tensor(at)}}));
    };
    EXPECT_THAT(slope(true, {1, 3}), ElementsAre(2, 2)) << with_contexts;
    EXPECT_THAT(slope(false, {1, 3}), ElementsAre(2, 2)) << with_contexts;
    if (with_contexts) EXPECT_THAT(slope(true, {-1, -3}), ElementsAre(0, 0));
  }
}

TEST_F(CondTest, contexts_come_through_a_meta_graph) {
  nested_value(in.x, in.p);
  const std::string before = describe_contexts(graph), file = testing::TempDir() + "/cond.meta";
  tf::train::export_meta_graph({.filename = file});
  const tf::Graph imported;
  const auto inside = imported.as_default();
  tf::train::import_meta_graph(file);
  EXPECT_EQ(describe_contexts(imported), before);
  std::filesystem::remove(file);
}

TEST_F(CondTest, what_is_wrong_is_said) {
  const auto one = [] { return tf::constant(1.f); };
  EXPECT_THAT([&] { tf::cond(in.x, one, one); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("must be a bool tensor: 'x:0'")));
  EXPECT_THAT([&] { tf::cond(true, one, one); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("must be a bool tensor")));
  EXPECT_THAT([&] { tf::cond(in.p, one, [] { return tf::constant(1); }); },
              ThrowsMessage<errors::InvalidArgumentError>(
                  HasSubstr("Received float from 'true_fn' and int32 from 'false_fn'")));
  EXPECT_THAT(
      [&] {
        tf::cond(
            in.p, [] { return std::vector<Output>(); }, [] { return std::vector<Output>(); });
      },
      ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("must return at least one result")));
  const auto list = [&](size_t n) { return [n] { return std::vector<Output>(n, tf::constant(1.f)); }; };
  EXPECT_THAT([&] { tf::cond(in.p, list(1), list(2)); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("as many values: 1 and 2")));
}

}  // namespace
}  // namespace millrace
