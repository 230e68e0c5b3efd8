// The graphs of optimizers, moving averages, learning rates and image ops against TensorFlow's, node for node (see
// same_graph_test.cc), and what these classes refuse.

#include <fstream>

#include "api/op_builder.h"
#include "api/testing_graphs.h"
#include "gtest/gtest.h"
#include "millrace/array_ops.h"
#include "millrace/errors.h"
#include "millrace/gradients.h"
#include "millrace/math_ops.h"
#include "millrace/session.h"
#include "millrace/summary.h"
#include "millrace/train/adaptive_optimizers.h"
#include "millrace/train/global_step.h"
#include "millrace/train/learning_rate_decay.h"
#include "millrace/train/moving_averages.h"
#include "nlohmann/json.hpp"

namespace tf = millrace;

namespace millrace {
namespace {

// A resource variable is gathered from by its handle, as tf.gather does.
Output loss_of(const Variable& w, const Variable& b) {
  const Output x = tf::constant(Tensor(std::vector<int32_t>{0, 1, 1}));
  const Output rows = w.is_resource()
                          ? create_output("ResourceGather", {w.ref(), x}, {{"dtype", tf::float32}}, "Gather")
                          : tf::gather(w, x);
  return tf::reduce_sum(operator_ops::add(rows, b));
}

void optimizers() {
  const Variable step = tf::train::get_or_create_global_step();
  const Variable w = tf::get_variable("w", {4, 3}), b = tf::get_variable("b", {3});
  const Output loss = loss_of(w, b);
  const auto minimize = [&](tf::train::Optimizer&& optimizer) { optimizer.minimize(loss, {.global_step = step}); };
  minimize(tf::train::RMSPropOptimizer(0.1));
  minimize(tf::train::RMSPropOptimizer({.learning_rate = 0.1, .momentum = 0.9, .centered = true, .name = "Centered"}));
  minimize(tf::train::AdagradOptimizer(0.1));
  minimize(
      tf::train::AdagradDAOptimizer({.learning_rate = 0.1, .global_step = step, .l1_regularization_strength = 0.5}));
  minimize(tf::train::FtrlOptimizer({.learning_rate = 0.1, .l1_regularization_strength = 0.5}));
  minimize(tf::train::FtrlOptimizer({.learning_rate = 0.1,
                                     .name = "Shrink",
                                     .accum_name = "acc",
                                     .l2_shrinkage_regularization_strength = 0.5,
                                     .beta = 0.5}));
  minimize(tf::train::AdadeltaOptimizer());
  minimize(tf::train::ProximalGradientDescentOptimizer(0.1));
  minimize(tf::train::ProximalAdagradOptimizer(0.1));
}

void optimizers_resource() {
  tf::enable_resource_variables();
  optimizers();
  tf::disable_resource_variables();
}

void moving_averages() {
  const Variable v(Tensor(std::vector<float>{1, 2}), {.name = "v"});
  const Variable r = tf::get_variable("r", {2}, {.use_resource = true});
  const Variable step = tf::train::get_or_create_global_step();
  tf::train::ExponentialMovingAverage ema({.decay = 0.99, .num_updates = step});
  ema.apply({v, r});
  ema.apply({v});
  const Output t = tf::constant(Tensor(std::vector<float>{1, 2}), {.name = "t"});
  tf::train::ExponentialMovingAverage({.decay = 0.9, .zero_debias = true, .name = "Debiased"}).apply({t});
  tf::train::ExponentialMovingAverage({.decay = 0.9, .name = "Plain"}).apply({t});
}

void learning_rates() {
  const Variable step = tf::train::get_or_create_global_step();
  tf::train::exponential_decay(0.1, step, 10, 0.5);
  tf::train::exponential_decay(0.1, step, 10, 0.5, {.staircase = true, .name = "stairs"});
  tf::train::natural_exp_decay(0.1, step, 10, 0.5);
  tf::train::inverse_time_decay(0.1, step, 10, 0.5, {.staircase = true});
  tf::train::polynomial_decay(0.1, step, 20, {.end_learning_rate = 0.01, .power = 2});
  tf::train::polynomial_decay(0.1, step, 20, {.end_learning_rate = 0.01, .cycle = true});
  tf::train::cosine_decay(0.1, step, 30, {.alpha = 0.1});
  tf::train::linear_cosine_decay(0.1, step, 30);
  tf::train::noisy_linear_cosine_decay(0.1, step, 30);
  const Output rate = tf::placeholder(tf::float64, TensorShape(), {.name = "rate"});
  tf::train::exponential_decay(rate, step, 10, 0.5);
}

void image_summaries() {
  const Output x = tf::placeholder(tf::float32, {-1, 4, 4, 3}, {.name = "x"});
  tf::summary::image("im", x);
  tf::summary::image("im", x, {.max_outputs = 1, .family = "f"});
}

void audio_summaries() {
  const Output x = tf::placeholder(tf::float32, {-1, 5}, {.name = "x"});
  const Output rate = tf::placeholder(tf::float32, TensorShape(), {.name = "rate"});
  tf::summary::audio("au", x, 44100.0f);
  tf::summary::audio("au", x, rate, {.max_outputs = 1, .family = "f"});
}

void gradients_images() {
  const Output x = tf::placeholder(tf::float32, {2, 4, 4, 3}, {.name = "x"});
  const Output u = tf::placeholder(tf::float32, {2, -1, 4, 3}, {.name = "u"});
  const Output boxes = tf::placeholder(tf::float32, {2, 4}, {.name = "boxes"});
  const Output index = tf::placeholder(tf::int32, {2}, {.name = "index"});
  for (const Output& image : {x, u}) {
    for (const char* op : {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"}) {
      const Output resized = create_output(op, {image, Tensor(std::vector<int32_t>{5, 6})}, {{"align_corners", true}});
      tf::gradients({resized}, {image});
    }
    const Output crops = create_output("CropAndResize", {image, boxes, index, Tensor(std::vector<int32_t>{3, 3})});
    tf::gradients({crops}, {image, boxes});
  }
}

struct Case {
  const char* name;
  void (*build)();
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class TrainingGraph : public testing::TestWithParam<Case> {};

TEST_P(TrainingGraph, node_for_node) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  GetParam().build();
  EXPECT_EQ(describe_graph(graph.impl()), expected_graph(GetParam().name));
}

#define MR_CASE(name) \
  Case { #name, name }
INSTANTIATE_TEST_SUITE_P(Tensorflow, TrainingGraph,
                         testing::Values(MR_CASE(optimizers), MR_CASE(optimizers_resource), MR_CASE(moving_averages),
                                         MR_CASE(learning_rates), MR_CASE(image_summaries), MR_CASE(audio_summaries),
                                         MR_CASE(gradients_images)),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- values

struct Schedule {
  const char* name;
  Output (*make)(const Variable& step);
};
// The arguments with which tools/golden/training.py made learning_rates.json: values at every third step.
const Schedule kSchedules[] = {
    {"exponential", [](const Variable& s) { return tf::train::exponential_decay(0.1, s, 10, 0.5); }},
    {"exponential_staircase",
     [](const Variable& s) { return tf::train::exponential_decay(0.1, s, 10, 0.5, {.staircase = true}); }},
    {"natural", [](const Variable& s) { return tf::train::natural_exp_decay(0.1, s, 10, 0.5); }},
    {"inverse", [](const Variable& s) { return tf::train::inverse_time_decay(0.1, s, 10, 0.5); }},
    {"polynomial",
     [](const Variable& s) {
       return tf::train::polynomial_decay(0.1, s, 20, {.end_learning_rate = 0.01, .power = 2});
     }},
    {"polynomial_cycle",
     [](const Variable& s) {
       return tf::train::polynomial_decay(0.1, s, 20, {.end_learning_rate = 0.01, .cycle = true});
     }},
    {"piecewise",
     [](const Variable& s) {
       return tf::train::piecewise_constant(s, {10, 20}, {0.1, 0.05, 0.01});
     }},
    {"cosine", [](const Variable& s) { return tf::train::cosine_decay(0.1, s, 30, {.alpha = 0.1}); }},
    {"cosine_restarts", [](const Variable& s) { return tf::train::cosine_decay_restarts(0.1, s, 10); }},
    {"cosine_restarts_same",
     [](const Variable& s) { return tf::train::cosine_decay_restarts(0.1, s, 10, {.t_mul = 1, .m_mul = 0.5}); }},
    {"linear_cosine", [](const Variable& s) { return tf::train::linear_cosine_decay(0.1, s, 30); }},
};

TEST(LearningRates, values_are_tensorflows) {
  std::ifstream file(MILLRACE_SOURCE_DIR "/tests/golden/training/learning_rates.json");
  const nlohmann::json expected = nlohmann::json::parse(file);
  for (const Schedule& schedule : kSchedules) {
    SCOPED_TRACE(schedule.name);
    const tf::Graph graph;
    const auto as_default = graph.as_default();
    const Variable step = tf::train::get_or_create_global_step();
    const Output rate = schedule.make(step);
    tf::Session session;
    const auto& values = expected.at(schedule.name);
    for (size_t i = 0; i < values.size(); ++i) {
      const float got = session.run(rate, {{step.op().output(0), static_cast<int64_t>(3 * i)}}).scalar<float>();
      EXPECT_NEAR(got, values[i].get<float>(), 1e-7f) << "step " << 3 * i;
    }
  }
}

TEST(LearningRates, noise_has_its_variance) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  tf::set_random_seed(3);
  const Variable step = tf::train::get_or_create_global_step();
  const Output plain = tf::train::linear_cosine_decay(1.0, step, 100);
  const Output noisy = tf::train::noisy_linear_cosine_decay(1.0, step, 100);
  tf::Session session;
  session.run(step.initializer());
  double squares = 0;
  for (int i = 0; i < 400; ++i) {
    const double difference = session.run(noisy).scalar<float>() - session.run(plain).scalar<float>();
    squares += difference * difference;
  }
  EXPECT_NEAR(squares / 400, 1, 0.2);  // at step 0 the cosine is 1 and the variance initial_variance
}

TEST(LearningRates, bad_arguments_are_errors) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Variable step = tf::train::get_or_create_global_step();
  EXPECT_THROW(tf::train::piecewise_constant(step, {10}, {0.1}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::piecewise_constant(step, {}, {0.1}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::piecewise_constant(step, {1.5}, {0.1, 0.2}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::piecewise_constant(step, {1}, {0.1, 2}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::cosine_decay_restarts(0.1, step, 10, {.t_mul = 0}), errors::InvalidArgumentError);
}

TEST(AdaptiveOptimizers, bad_hyperparameters_are_errors) {
  EXPECT_THROW(tf::train::RMSPropOptimizer(tf::train::RMSPropOptions{}), errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::AdagradOptimizer({.learning_rate = 0.1, .initial_accumulator_value = 0}),
               errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::AdagradDAOptimizer(tf::train::AdagradDAOptions{.learning_rate = 0.1}),
               errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::FtrlOptimizer({.learning_rate = 0.1, .learning_rate_power = 1}),
               errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::FtrlOptimizer({.learning_rate = 0.1, .l1_regularization_strength = -1}),
               errors::InvalidArgumentError);
  EXPECT_THROW(tf::train::ProximalAdagradOptimizer({.learning_rate = 0.1, .initial_accumulator_value = -1}),
               errors::InvalidArgumentError);
}

TEST(MovingAverages, follow_their_variable) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Variable v(2.0f, {.name = "v"});
  const Variable other(0.0f, {.trainable = false, .name = "other"});
  tf::train::ExponentialMovingAverage ema(0.75);
  const Operation update = ema.apply();
  const Output assign = v.assign(6.0f);
  tf::Session session;
  session.run(tf::global_variables_initializer());
  EXPECT_EQ(session.run(ema.average(v)).scalar<float>(), 2);
  session.run(assign);
  session.run(update);
  EXPECT_FLOAT_EQ(session.run(ema.average(v)).scalar<float>(), 3);
  EXPECT_EQ(ema.average_name(v), "v/ExponentialMovingAverage");
  EXPECT_EQ(ema.average_name(other), "other/ExponentialMovingAverage");
  EXPECT_FALSE(ema.average(other));
  const auto names = ema.variables_to_restore();
  EXPECT_EQ(names.at("v/ExponentialMovingAverage"), v);
  EXPECT_EQ(names.at("other"), other);
}

TEST(MovingAverages, integers_have_none) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Variable v(2, {.name = "v"});
  EXPECT_THROW(tf::train::ExponentialMovingAverage(0.9).apply({v}), errors::InvalidArgumentError);
}

TEST(Variables, initial_values_made_of_variables_are_right_in_any_order) {
  const tf::Graph graph;
  const auto as_default = graph.as_default();
  const Variable a(3.0f, {.name = "a"});
  const Variable b(tf::multiply(a, 2.0f), {.name = "b"});
  tf::Session session;
  session.run(b.initializer());  // before a's
  EXPECT_EQ(session.run(b).scalar<float>(), 6);
}

}  // namespace
}  // namespace millrace
