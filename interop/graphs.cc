// interop_graphs DIR [TARGET] : builds graphs with the public API, runs them (at the server TARGET), and writes for
// each DIR/NAME.pb (GraphDef) and DIR/NAME.json (targets to run before, fetches with the values found), for
// test_graphs_run.py to run them in TensorFlow.

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "millrace/millrace.h"

namespace tf = millrace;

namespace {

struct Case {
  std::vector<tf::Operation> targets;  // run one after another, before the fetches
  std::vector<tf::Output> fetches;
};

tf::Output matrix(int64_t rows, int64_t columns) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 37 % 23)) / 10.0f - 1.1f;
  return tf::constant(tf::Tensor(tf::TensorShape({rows, columns}), values));
}

Case elementwise() {
  tf::Output x = matrix(3, 4), y = matrix(1, 4);
  return {
      {},
      {x + y * 2.0f, tf::tanh(x) / (tf::square(y) + 1.0f), tf::exp(-tf::abs(x)), tf::maximum(x, y), tf::sigmoid(x - y),
       tf::squared_difference(x, y), tf::where(x > y, x, x * y), tf::cast(tf::floor(x), tf::int32)}};
}

Case reductions() {
  tf::Output x = matrix(4, 5);
  return {{},
          {tf::reduce_sum(x), tf::reduce_mean(x, 1), tf::reduce_max(x, 0),
           tf::reduce_prod(x, std::vector<int>{0, 1}, {.keepdims = true}), tf::reduce_logsumexp(x, 1), tf::argmax(x, 1),
           tf::nn::top_k(x, 2).values, tf::cumsum(x, 1)}};
}

Case matmul() {
  tf::Output a = matrix(3, 4), b = matrix(5, 4);
  tf::Output product = tf::matmul(a, b, {.transpose_b = true});
  return {{},
          {product, tf::nn::softmax(product),
           tf::nn::relu(tf::nn::bias_add(product, tf::constant(std::vector<float>{1, 2, 3, -4, -5}))),
           tf::transpose(product), tf::concat({product, product}, 1), tf::reshape(product, std::vector<int>{5, 3})}};
}

Case gradients() {
  tf::Output x = matrix(3, 4), w = matrix(4, 2);
  tf::Output y =
      tf::reduce_sum(tf::tanh(tf::matmul(x, w)) * tf::slice(x, std::vector<int>{0, 1}, std::vector<int>{3, 2}));
  Case c;
  for (const auto& dx : tf::gradients({y}, {x, w})) c.fetches.push_back(dx.dense());
  return c;
}

Case variables() {
  tf::Variable v = tf::get_variable("v", tf::TensorShape({2, 3}), {.initializer = tf::constant_initializer(1.5f)});
  tf::Variable r =
      tf::get_variable("r", tf::TensorShape({2, 3}), {.initializer = tf::ones_initializer(), .use_resource = true});
  tf::Output loss = tf::reduce_sum(tf::square(v) * tf::Output(r));
  tf::Operation train = tf::train::MomentumOptimizer({.learning_rate = 0.1, .momentum = 0.9}).minimize(loss);
  return {{tf::global_variables_initializer(), train, train}, {v, r, loss}};
}

Case losses() {
  tf::Output logits = matrix(4, 3);
  return {
      {},
      {tf::losses::sparse_softmax_cross_entropy(tf::constant(std::vector<int64_t>{0, 2, 1, 1}), logits),
       tf::losses::mean_squared_error(matrix(4, 3) * 0.5f, logits), tf::losses::huber_loss(matrix(4, 3) * 0.1f, logits),
       tf::losses::absolute_difference(matrix(4, 3) * 0.1f, logits)}};
}

Case dataset() {
  auto data = tf::data::Dataset::range(10)
                  .map([](tf::Output x) { return tf::cast(x, tf::float32) * 0.5f; })
                  .shuffle(5, {.seed = 3})
                  .batch(4)
                  .repeat(2);
  auto iterator = data.make_initializable_iterator();
  auto [next] = iterator.get_next<1>();
  return {{iterator.initializer()}, {next}};
}

Case random_numbers() {
  tf::set_random_seed(11);
  return {{},
          {tf::random_uniform(std::vector<int>{4, 3}, {.seed = 5}),
           tf::random_uniform(std::vector<int>{6}, {.minval = 0, .maxval = 100, .dtype = tf::int32}),
           tf::random_normal(std::vector<int>{5}, {.seed = 2}), tf::truncated_normal(std::vector<int>{5})}};
}

std::vector<double> flat(const tf::Tensor& tensor) {
  switch (tensor.dtype()) {
    case tf::float32: return {tensor.flat<float>().begin(), tensor.flat<float>().end()};
    case tf::int32: return {tensor.flat<int32_t>().begin(), tensor.flat<int32_t>().end()};
    case tf::int64: return {tensor.flat<int64_t>().begin(), tensor.flat<int64_t>().end()};
    default: throw std::runtime_error("a fetch of another type: " + tensor.to_string());
  }
}

void write(const std::string& directory, const std::string& name, const std::function<Case()>& build,
           const std::string& target) {
  tf::Graph graph;
  auto as_default = graph.as_default();
  const Case c = build();
  std::ofstream(directory + "/" + name + ".pb", std::ios::binary) << graph.graph_def_bytes();
  tf::Session session({.target = target, .config = {.isolate_session_state = true}});
  nlohmann::json out = {{"targets", nlohmann::json::array()}, {"fetches", nlohmann::json::array()}};
  for (const tf::Operation& target : c.targets) {
    session.run(target);
    out["targets"].push_back(target.name());
  }
  const std::vector<tf::Tensor> values = session.run(std::vector<tf::Fetch>(c.fetches.begin(), c.fetches.end()));
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<int64_t> shape;
    for (int k = 0; k < values[i].rank(); ++k) shape.push_back(values[i].dim(k));
    out["fetches"].push_back({{"tensor", c.fetches[i].name()}, {"shape", shape}, {"values", flat(values[i])}});
  }
  std::ofstream(directory + "/" + name + ".json") << out.dump();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: interop_graphs DIR [TARGET]\n";
    return 2;
  }
  const std::map<std::string, std::function<Case()>> cases = {
      {"elementwise", elementwise}, {"reductions", reductions}, {"matmul", matmul},   {"gradients", gradients},
      {"variables", variables},     {"losses", losses},         {"dataset", dataset}, {"random", random_numbers}};
  for (const auto& [name, build] : cases) write(argv[1], name, build, argc == 3 ? argv[2] : "");
}
