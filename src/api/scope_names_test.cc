// Names and devices that scopes give: the scenarios scope_names and device_strings that TensorFlow 2.21 recorded.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
#include "millrace/variables.h"

namespace tf = millrace;

namespace millrace {
namespace {

std::string add_name(std::string_view name = {}) {
  return tf::add(tf::constant(1, {.name = "one"}), 2, {.name = name}).op().name();
}
std::string variable_name(const char* name) { return tf::get_variable(name, {1}).name(); }
std::string new_variable_name() { return tf::Variable(Tensor(std::vector<int32_t>{1})).name(); }

TEST(ScopeNames, variables_and_operations_are_named_apart) {
  const auto as_default = tf::Graph().as_default();
  {
    const tf::variable_scope foo("foo");
    EXPECT_EQ(variable_name("bar"), "foo/bar:0");
  }
  {
    const tf::variable_scope bar("bar");
    EXPECT_EQ(variable_name("bar"), "bar/bar:0");
  }
  {
    const tf::name_scope a("a");
    EXPECT_EQ(new_variable_name(), "a/Variable:0");
    EXPECT_EQ(new_variable_name(), "a/Variable_1:0");
    EXPECT_EQ(variable_name("b"), "b:0");
    EXPECT_EQ(add_name(), "a/Add");
    EXPECT_EQ(add_name("x"), "a/x");
  }
  {
    const tf::name_scope a("a");
    EXPECT_EQ(add_name(), "a_1/Add");
  }
  {
    const tf::variable_scope foo("foo", {.reuse = Reuse::kTrue});
    EXPECT_EQ(variable_name("bar"), "foo/bar:0");
    EXPECT_EQ(add_name(), "foo_1/Add");
  }
  {
    const tf::variable_scope foo("foo");
    EXPECT_EQ(add_name(), "foo_2/Add");
    EXPECT_EQ(foo.name(), "foo");
    EXPECT_EQ(foo.scope().original_name_scope, "foo_2/");
  }
  for (const char* expected : {"dflt/w:0", "dflt_1/w:0"}) {
    const tf::variable_scope scope("", {.default_name = "dflt"});
    EXPECT_EQ(variable_name("w"), expected);
  }
  {
    const tf::variable_scope outer("x/y");
    const tf::variable_scope inner("z", {.auxiliary_name_scope = false});
    EXPECT_EQ(variable_name("w"), "x/y/z/w:0");
    EXPECT_EQ(add_name(), "x/y/Add");
  }
  {
    const tf::name_scope again("a/");
    EXPECT_EQ(add_name(), "a/Add_1");
  }
  {
    const tf::name_scope root("");
    EXPECT_EQ(add_name(), "Add");
  }
}

TEST(ScopeNames, variables_are_shared_only_where_asked) {
  const auto as_default = tf::Graph().as_default();
  {
    const tf::variable_scope foo("foo");
    variable_name("bar");
  }
  EXPECT_THROW(variable_name("foo/bar"), errors::InvalidArgumentError);
  const tf::variable_scope foo("foo", {.reuse = Reuse::kTrue});
  EXPECT_THROW(variable_name("missing"), errors::InvalidArgumentError);
  EXPECT_THROW(tf::get_variable("bar", {2}), errors::InvalidArgumentError);
}

TEST(ScopeNames, unique_names_count_without_regard_to_case) {
  const tf::Graph graph;
  std::vector<std::string> names;
  for (const char* name : {"q", "q", "Q", "q_1"}) names.push_back(graph.unique_name(name));
  EXPECT_THAT(names, testing::ElementsAre("q", "q_1", "Q_2", "q_1_1"));
}

TEST(DeviceScopes, inner_ones_complete_and_replace) {
  const auto as_default = tf::Graph().as_default();
  const auto constant = [] { return tf::constant(1).op(); };
  const tf::device worker("/job:worker/task:1");
  EXPECT_EQ(constant().device(), "/job:worker/task:1");
  Operation on_gpu;
  {
    const tf::device gpu("/gpu:0");
    on_gpu = constant();
    EXPECT_EQ(on_gpu.device(), "/job:worker/task:1/device:GPU:0");
  }
  {
    const tf::device ps("/job:ps");
    EXPECT_EQ(constant().device(), "/job:ps/task:1");
  }
  {
    const tf::device none("");
    EXPECT_EQ(constant().device(), "");
  }
  {
    const tf::device by_type([](const Operation& op) { return op.type() == "Const" ? "/cpu:0" : ""; });
    EXPECT_EQ(constant().device(), "/job:worker/task:1/device:CPU:0");
  }
  const tf::colocate_with beside(on_gpu);
  const Operation colocated = constant();
  EXPECT_EQ(colocated.device(), "/job:worker/task:1/device:GPU:0");
  EXPECT_THAT(*colocated.attrs().at("_class").get<std::vector<std::string>>(),
              testing::ElementsAre("loc:@" + on_gpu.name()));
}

TEST(DeviceScopes, names_are_written_in_one_way) {
  const auto as_default = tf::Graph().as_default();
  for (const auto& [given, canonical] : std::vector<std::pair<const char*, const char*>>{
           {"/job:ps/task:0", "/job:ps/task:0"},
           {"/cpu:0", "/device:CPU:0"},
           {"/gpu:1", "/device:GPU:1"},
           {"/device:GPU:0", "/device:GPU:0"},
           {"/job:worker/replica:0/task:3/device:CPU:0", "/job:worker/replica:0/task:3/device:CPU:0"},
           {"/job:a/cpu:*", "/job:a/device:CPU:*"}}) {
    const tf::device scope(given);
    EXPECT_EQ(tf::no_op().device(), canonical);
  }
}

}  // namespace
}  // namespace millrace
