// Summaries: events written a second, values a second that go into histograms.

#include <benchmark/benchmark.h>
#include <millrace/millrace.h>

#include <filesystem>

namespace tf = millrace;

namespace {

void scalar_events(benchmark::State& state) {
  const auto folder = std::filesystem::temp_directory_path() / "millrace_summary_bench";
  {
    tf::summary::FileWriter writer(folder.string());
    int64_t step = 0;
    for (auto _ : state) writer.add_scalar("loss", 0.5f, ++step);
    writer.close();
  }
  std::filesystem::remove_all(folder);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(scalar_events);

void scalar_op(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape::scalar());
  const tf::Output summary = tf::summary::scalar("loss", x);
  const tf::Session session;
  const tf::Callable step = session.make_callable({summary}, {x});
  for (auto _ : state) benchmark::DoNotOptimize(step({tf::Tensor(0.5f)}));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(scalar_op);

void histogram_op(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const int64_t n = 1 << 20;
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 37) % 1009) / 504.5f - 1.0f;
  const tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape{n});
  const tf::Output summary = tf::summary::histogram("weights", x);
  const tf::Session session;
  const tf::Callable step = session.make_callable({summary}, {x});
  const std::vector<tf::Tensor> feeds = {tf::Tensor(values)};
  for (auto _ : state) benchmark::DoNotOptimize(step(feeds));
  state.SetItemsProcessed(state.iterations() * n);
}
BENCHMARK(histogram_op)->Unit(benchmark::kMillisecond);

}  // namespace
