// What supervision adds to a step in which no hook has anything to do.

#include <benchmark/benchmark.h>
#include <millrace/millrace.h>

namespace tf = millrace;

namespace {

struct Counter {
  Counter() : step(tf::train::get_or_create_global_step()), train(tf::assign_add(step, int64_t{1}).op()) {}
  tf::Variable step;
  tf::Operation train;
};

void bare_callable(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const Counter counter;
  const tf::Session session;
  session.run(tf::global_variables_initializer());
  const tf::Callable step = session.make_callable({counter.train});
  std::vector<tf::Tensor> results;
  for (auto _ : state) step.run({}, &results);
}
BENCHMARK(bare_callable);

void bare_session_run(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const Counter counter;
  const tf::Session session;
  session.run(tf::global_variables_initializer());
  for (auto _ : state) session.run(counter.train);
}
BENCHMARK(bare_session_run);

void monitored_without_hooks(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const Counter counter;
  tf::train::MonitoredSession session(tf::train::MonitoredSession::Options{});
  for (auto _ : state) session.run(counter.train);
}
BENCHMARK(monitored_without_hooks);

// A hook that looks at the global step each time, as most do.
void monitored_with_last_step(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const Counter counter;
  tf::train::MonitoredSession session({.hooks = {tf::train::StopAtStepHook({.last_step = int64_t{1} << 60})}});
  for (auto _ : state) session.run(counter.train);
}
BENCHMARK(monitored_with_last_step);

}  // namespace
