// docs/porting.md, "Training by hand".
#include <millrace/millrace.h>

#include <cmath>

#include "expect.h"
namespace tf = millrace;

tf::Output model(const tf::Output& x) { return tf::layers::dense(x, 1, {.name = "fc"}); }

void trains_with_a_saver(const std::string& directory) {
  auto as_default = tf::Graph().as_default();
  tf::set_random_seed(1);
  // [loop]
  tf::Output x = tf::placeholder(tf::float32, {-1, 1});
  tf::Output y = tf::placeholder(tf::float32, {-1, 1});
  tf::Output loss = tf::losses::mean_squared_error(y, model(x));
  auto global_step = tf::train::get_or_create_global_step();
  auto train = tf::train::AdamOptimizer(0.1).minimize(loss, {.global_step = global_step});
  tf::summary::scalar("loss", loss);
  tf::Output merged = tf::summary::merge_all();
  tf::train::Saver saver;

  tf::Session session;
  session.run(tf::global_variables_initializer());
  tf::summary::FileWriter writer(directory, {.graph = tf::get_default_graph()});
  tf::FeedDict batch = {{x, tf::Tensor({2, 1}, std::vector<float>{0, 1})}, {y, tf::Tensor({2, 1}, std::vector<float>{1, 3})}};
  for (int step = 1; step <= 200; ++step) {
    auto results = session.run({train, merged}, batch);
    if (step % 50 == 0) writer.add_summary(results[1], step);
  }
  writer.close();
  std::string path = saver.save(session, directory + "/model.ckpt", {.global_step = 200});
  // [/loop]
  expect(path == directory + "/model.ckpt-200" && session.run(loss, batch).scalar<float>() < 0.05f);
}

void restores(const std::string& directory) {
  auto as_default = tf::Graph().as_default();
  // [restore]
  tf::train::Saver saver = tf::train::import_meta_graph(directory + "/model.ckpt-200.meta");
  tf::Session session;
  saver.restore(session, *tf::train::latest_checkpoint(directory));
  tf::Tensor kernel = session.run("fc/kernel:0");
  // [/restore]
  expect(std::abs(kernel.scalar<float>() - 2) < 0.5f);
}

void clips() {
  auto as_default = tf::Graph().as_default();
  tf::Output loss = tf::reduce_sum(tf::square(model(tf::ones({4, 1})) - 100));
  // [clip]
  tf::train::GradientDescentOptimizer optimizer(0.01);
  auto gradients = optimizer.compute_gradients(loss);
  std::vector<tf::Output> dense;
  for (const auto& [gradient, variable] : gradients) dense.push_back(gradient.dense());
  auto [clipped, norm] = tf::clip_by_global_norm(dense, 1.0);
  for (size_t i = 0; i < gradients.size(); ++i) gradients[i].gradient = clipped[i];
  auto train = optimizer.apply_gradients(gradients);
  // [/clip]
  tf::Session session;
  session.run(tf::global_variables_initializer());
  session.run(train);
  expect(session.run(norm).scalar<float>() > 1);
}

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "runs/porting-training";
  trains_with_a_saver(directory);
  restores(directory);
  clips();
}
