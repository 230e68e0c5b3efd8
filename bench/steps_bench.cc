// What steps cost: the way in and out of a run, many small ops, a loop, a small model.

#include <benchmark/benchmark.h>
#include <millrace/millrace.h>

#include "api/op_builder.h"
#include "graph/graph.h"

namespace tf = millrace;

namespace {

tf::Tensor values(const tf::TensorShape& shape, float scale = 1.0f) {
  std::vector<float> v(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = scale * static_cast<float>((i * 37 + 11) % 101) / 101.0f;
  return tf::Tensor(shape, v);
}

// Runs the callable; the results' vector is used again.
void steps(benchmark::State& state, const tf::Callable& step, const std::vector<tf::Tensor>& feeds) {
  std::vector<tf::Tensor> results;
  for (int i = 0; i < 3; ++i) step.run(feeds, &results);
  for (auto _ : state) step.run(feeds, &results);
}

void trivial_callable(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar());
  const tf::Session session;
  const tf::Callable step = session.make_callable({x + 1.0f}, {x});
  steps(state, step, {tf::Tensor(1.0f)});
}
BENCHMARK(trivial_callable);

void trivial_session_run(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar()), y = x + 1.0f;
  const tf::Session session;
  const tf::FeedDict feeds = {{x, tf::Tensor(1.0f)}};
  session.run(y, feeds);
  for (auto _ : state) benchmark::DoNotOptimize(session.run(y, feeds));
}
BENCHMARK(trivial_session_run);

// A thousand small ops, each waiting for the one before.
void chain(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape{16});
  const tf::Output square = tf::constant(std::vector<int32_t>{4, 4}), flat = tf::constant(std::vector<int32_t>{16});
  tf::Output h = x;
  for (int i = 0; i < 500; ++i) {
    h = tf::reshape(tf::tanh(h), square);
    h = tf::reshape(tf::matmul(h, h), flat);
  }
  const tf::Session session;
  steps(state, session.make_callable({h}, {x}), {values({16})});
}
BENCHMARK(chain)->Unit(benchmark::kMicrosecond);

// Elementwise ops alone, on small and on large tensors.
void elementwise_chain(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const tf::TensorShape shape{state.range(0)};
  const tf::Output x = tf::placeholder(tf::float32, shape);
  tf::Output h = x;
  for (int i = 0; i < 10; ++i) h = tf::maximum(h * 0.5f + x, 0.1f);
  const tf::Session session;
  steps(state, session.make_callable({h}, {x}), {values(shape)});
}
BENCHMARK(elementwise_chain)->Arg(16)->Arg(4096)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

// while (i < 1000) { i += 1; x += 1; }, in TF1's frames: the time is that of all iterations.
void while_loop(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  tf::GraphImpl& graph = tf::default_graph();
  const auto enter = [](const tf::Output& value, bool constant) {
    return tf::create_output("Enter", {value}, {{"frame_name", "loop"}, {"is_constant", constant}});
  };
  const auto merge = [&](const tf::Output& first) {
    tf::NodeSpec spec;
    spec.type = "Merge";
    spec.name = graph.unique_name("Merge");
    spec.inputs = {first, tf::Output()};  // the second comes around the loop
    spec.attrs = {{"T", first.dtype()}, {"N", 2}};
    return *graph.add_node(std::move(spec));
  };
  tf::Node* const i = merge(enter(tf::constant(0), false));
  tf::Node* const x = merge(enter(tf::constant(0.0f), false));
  const tf::Output one = enter(tf::constant(1), true), more = enter(tf::constant(1.0f), true);
  const tf::Output again =
      tf::create_output("LoopCond", {tf::create_output("Less", {i->output(0), enter(tf::constant(1000), true)})});
  const tf::Operation switch_i = tf::create_op("Switch", {i->output(0), again});
  const tf::Operation switch_x = tf::create_op("Switch", {x->output(0), again});
  const auto around = [&](tf::Node* node, const tf::Output& next) {
    return graph.set_input(node, 1, tf::create_output("NextIteration", {next}));
  };
  if (!around(i, tf::create_output("AddV2", {switch_i.output(1), one})).ok() ||
      !around(x, tf::create_output("AddV2", {switch_x.output(1), more})).ok())
    return state.SkipWithError("the loop could not be closed");
  const tf::Output last = tf::create_output("Exit", {switch_x.output(0)});
  const tf::Session session;
  const tf::Callable step = session.make_callable({last});
  if (step()[0].scalar<float>() != 1000.0f) return state.SkipWithError("the loop counted wrongly");
  steps(state, step, {});
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(while_loop)->Unit(benchmark::kMicrosecond);

// A training step of a perceptron: batch, width, hidden units, classes.
void perceptron(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const int64_t batch = state.range(0), width = state.range(1), units = state.range(2);
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape{batch, width}),
                   y = tf::placeholder(tf::int64, tf::PartialTensorShape{batch});
  const tf::Output hidden = tf::layers::dense(x, units, {.activation = tf::nn::relu});
  const tf::Output loss = tf::losses::sparse_softmax_cross_entropy(y, tf::layers::dense(hidden, 10));
  const auto train = tf::train::AdamOptimizer({.learning_rate = 1e-3}).minimize(loss);
  const tf::Session session;
  session.run(tf::global_variables_initializer());
  std::vector<int64_t> labels(static_cast<size_t>(batch));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i % 10);
  steps(state, session.make_callable({train}, {x, y}), {values({batch, width}), tf::Tensor(labels)});
}
BENCHMARK(perceptron)->Args({32, 64, 64})->Args({128, 784, 512})->Unit(benchmark::kMicrosecond);

}  // namespace
