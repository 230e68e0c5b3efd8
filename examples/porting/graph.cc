// docs/porting.md, "Graphs and sessions".
#include <millrace/millrace.h>

#include "expect.h"
namespace tf = millrace;

void feeds_and_fetches() {
  // [feeds]
  tf::Graph graph;
  auto as_default = graph.as_default();
  tf::Output x = tf::placeholder(tf::float32, {-1, 2}, {.name = "x"});
  tf::Output y = tf::matmul(x, tf::constant(std::vector{1.0f, 2.0f}, {.shape = tf::TensorShape{2, 1}}), {.name = "y"});
  tf::Session session;
  tf::Tensor value = session.run(y, {{x, tf::Tensor({1, 2}, std::vector<float>{3, 4})}});
  value = session.run("y:0", {{"x:0", tf::Tensor({1, 2}, std::vector<float>{3, 4})}});
  // [/feeds]
  expect(value.scalar<float>() == 11);
}

void scopes() {
  auto as_default = tf::Graph().as_default();
  // [scopes]
  tf::name_scope tower("tower");
  tf::Output a = tf::constant(1.0f, {.name = "a"});  // "tower/a:0"
  {
    tf::control_dependencies after({a.op()});
    tf::device cpu("/cpu:0");
    tf::identity(a, {.name = "b"});
  }
  // [/scopes]
  expect(a.name() == "tower/a:0");
  expect(tf::get_default_graph().get_operation_by_name("tower/b").device() == "/device:CPU:0");
}

void indexing() {
  auto as_default = tf::Graph().as_default();
  tf::Output x = tf::reshape(tf::range(24), {2, 3, 4});
  // [indexing]
  tf::Output row = tf::index(x, {0, tf::Slice(), tf::newaxis, -1});
  tf::Output every_other = tf::index(x, {tf::ellipsis, tf::Slice{.step = 2}});
  tf::Output batch = tf::index(tf::shape(x), {0});
  tf::Output sum = (x + 1) * 2 - x;
  // [/indexing]
  tf::Session session;
  auto values = session.run({row, every_other, batch, sum});
  expect(values[0].shape() == tf::TensorShape({3, 1}) && values[1].shape() == tf::TensorShape({2, 3, 2}));
  expect(values[2].scalar<int32_t>() == 2);
}

void conditions() {
  auto as_default = tf::Graph().as_default();
  tf::Output x = tf::placeholder(tf::float32, tf::TensorShape(), {.name = "x"});
  // [conditions]
  tf::Output y = tf::cond(x > 0.0f, [&] { return tf::log(x); }, [&] { return tf::zeros_like(x); });
  tf::Gradient slope = tf::gradients({y}, {x})[0];
  // [/conditions]
  tf::Session session;
  expect(session.run(y, {{x, 1.0f}}).scalar<float>() == 0 && session.run(y, {{x, -1.0f}}).scalar<float>() == 0);
  expect(session.run(slope.dense(), {{x, 2.0f}}).scalar<float>() == 0.5f);
  expect(session.run(slope.dense(), {{x, -2.0f}}).scalar<float>() == 0);
}

bool tells_what_is_wrong() {
  auto as_default = tf::Graph().as_default();
  tf::Output x = tf::placeholder(tf::float32, {.name = "x"});
  tf::Session session;
  bool caught = false;
  // [errors]
  try {
    session.run(tf::log(x));
  } catch (const tf::errors::InvalidArgumentError& e) {
    caught = e.where().node_name == "x";
  }
  // [/errors]
  return caught;
}

int main() {
  feeds_and_fetches();
  scopes();
  indexing();
  conditions();
  expect(tells_what_is_wrong());
}
