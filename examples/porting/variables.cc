// docs/porting.md, "Variables".
#include <millrace/millrace.h>

#include "expect.h"
namespace tf = millrace;

// [get_variable]
tf::Output linear(const tf::Output& x, int64_t units) {
  tf::Variable w = tf::get_variable("w", {x.shape().dim(1), units}, {.initializer = tf::glorot_uniform_initializer()});
  tf::Variable b = tf::get_variable("b", {units}, {.initializer = tf::zeros_initializer()});
  return tf::matmul(x, w) + b;
}

tf::Output shared(const tf::Output& x) {
  tf::variable_scope scope("layer", {.reuse = tf::AUTO_REUSE});
  return linear(x, 3);  // "layer/w", "layer/b"
}
// [/get_variable]

void shares_variables() {
  auto as_default = tf::Graph().as_default();
  shared(tf::ones({2, 5}));
  shared(tf::ones({4, 5}));
  expect(tf::trainable_variables().size() == 2 && tf::trainable_variables()[0].name() == "layer/w:0");
}

void assigns() {
  auto as_default = tf::Graph().as_default();
  // [assign]
  tf::Variable counter(0, {.trainable = false, .name = "counter"});
  tf::Output next = tf::assign_add(counter, 1);
  tf::Session session;
  session.run(tf::global_variables_initializer());
  for (int i = 0; i < 3; ++i) session.run(next);
  int32_t count = session.run(counter).scalar<int32_t>();
  // [/assign]
  expect(count == 3);
}

void collects() {
  auto as_default = tf::Graph().as_default();
  tf::Output x = tf::ones({2, 5});
  // [regularizer]
  auto l2 = [](const tf::Output& w) { return 0.01f * tf::nn::l2_loss(w); };
  tf::layers::dense(x, 3, {.kernel_regularizer = l2, .name = "fc"});
  tf::Output penalty = tf::losses::get_regularization_loss();
  // [/regularizer]
  expect(tf::get_collection<tf::Output>(tf::GraphKeys::REGULARIZATION_LOSSES).size() == 1 && penalty);
}

int main() {
  shares_variables();
  assigns();
  collects();
}
