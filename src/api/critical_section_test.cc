// Critical sections: graphs as TensorFlow's (tools/make_cond_graphs.py), values, and what is refused.

#include "millrace/critical_section.h"

#include <future>

#include "api/testing_graphs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/array_ops.h"
#include "millrace/errors.h"
#include "millrace/math_ops.h"
#include "millrace/session.h"
#include "millrace/variables.h"

namespace tf = millrace;

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(CriticalSection, builds_the_graph_of_tensorflow) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Output x = tf::placeholder(float32, {2}, {.name = "x"});
  tf::placeholder(bool_, TensorShape(), {.name = "p"});
  const tf::CriticalSection section;
  EXPECT_EQ(section.name(), "CriticalSection");
  const Output y = section.execute([&] { return x * 2.f; });
  tf::CriticalSection({.name = "other", .shared_name = "shared"})
      .execute(
          [&] {
            return std::vector<Output>{tf::square(y), tf::constant(1)};
          },
          {.name = "both"});
  const tf::control_dependencies after({y.op()});
  section.execute([] {
    return tf::cond(
        tf::constant(true), [] { return tf::constant(1); }, [] { return tf::constant(2); });
  });
  EXPECT_EQ(describe_graph(graph.impl()), expected_graph("critical_sections"));
}

TEST(CriticalSection, loses_no_update) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const tf::Variable count =
      tf::get_variable("count", TensorShape(), {.initializer = tf::zeros_initializer(), .use_resource = true});
  const tf::CriticalSection section;
  const Output next = section.execute([&] {  // reads and writes in two steps
    const Output read = count.read_value() + 1.f;
    return count.assign(read);
  });
  tf::Session session;
  session.run(count.initializer());
  std::vector<std::future<void>> threads;
  for (int t = 0; t < 4; ++t) {
    threads.push_back(std::async(std::launch::async, [&] {
      for (int i = 0; i < 25; ++i) session.run(next);
    }));
  }
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(session.run(count.value()).scalar<float>(), 100);
}

TEST(CriticalSection, refuses_what_could_not_end) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const tf::CriticalSection section({.shared_name = "s"}), same({.shared_name = "s"}), other;
  const auto locks_again = [&](const tf::CriticalSection& again) {
    section.execute([&] { return again.execute([] { return tf::constant(1); }); });
  };
  EXPECT_THAT([&] { locks_again(section); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("in which we are already running")));
  EXPECT_THAT([&] { locks_again(same); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("in which we are already running")));
  EXPECT_NO_THROW(locks_again(other));
  EXPECT_THAT([&] { section.execute([] { return tf::no_op(); }); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("must return at least one tensor")));
}

TEST(CriticalSection, has_its_resources_alone_where_it_says_so) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const tf::Variable v =
      tf::get_variable("v", TensorShape(), {.initializer = tf::zeros_initializer(), .use_resource = true});
  const tf::CriticalSection a, b;
  const auto read = [&] { return v.read_value() + 1.f; };
  a.execute(read, {.exclusive_resource_access = false});
  EXPECT_NO_THROW(b.execute(read, {.exclusive_resource_access = false}));
  EXPECT_NO_THROW(a.execute(read, {.exclusive_resource_access = false}));
  EXPECT_THAT([&] { b.execute(read); },
              ThrowsMessage<errors::InvalidArgumentError>(HasSubstr("exclusive resource access")));
}

}  // namespace
}  // namespace millrace
