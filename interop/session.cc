// interop_session TARGET DIR : what programs find in sessions at TARGET ("": in this process), as one JSON object on
// standard output, for test_session.py to compare. DIR is for checkpoints.

#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "millrace/millrace.h"

namespace tf = millrace;
using nlohmann::json;

namespace {

std::string target, directory;

tf::Session new_session(tf::ConfigProto config = {}) {
  config.isolate_session_state = true;
  return tf::Session({.target = target, .config = config});
}

// Class and node of what `body` throws; the texts differ in details.
json error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const tf::errors::OpError& e) {
    return {{"code", static_cast<int>(e.code())}, {"node", e.where().node_name}};
  }
  return "no error";
}

json numbers(const tf::Tensor& value) { return value.to_vector<float>(); }

json training() {
  json losses;
  for (const bool use_resource : {false, true}) {
    const std::string name = use_resource ? "resource" : "reference";
    tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape({-1, 3}));
    tf::Variable w = tf::get_variable(name, tf::TensorShape({3, 2}),
                                      {.initializer = tf::constant_initializer(0.5f), .use_resource = use_resource});
    tf::Output loss = tf::reduce_mean(tf::square(tf::matmul(x, w) - 1.0f));
    tf::Operation train = tf::train::AdamOptimizer({.learning_rate = 0.1}).minimize(loss);
    tf::Session session = new_session();
    session.run(tf::global_variables_initializer());
    const tf::Tensor rows(tf::TensorShape({2, 3}), std::vector<float>{1, 2, 3, -1, 0, 1});
    for (int i = 0; i < 5; ++i) losses.push_back(session.run({loss, train}, {{x, rows}})[0].scalar<float>());
    losses.push_back(numbers(session.run(w)));
  }
  return losses;
}

json strings() {
  tf::Output x = tf::placeholder(tf::string, tf::PartialTensorShape({-1}));
  tf::Session session = new_session();
  json found;
  for (const std::string& text :
       session.run(tf::identity(x), {{x, std::vector<std::string>{"", "a", "long text"}}}).to_vector<std::string>())
    found.push_back(text);
  return found;
}

json growth() {
  tf::Variable v = tf::get_variable("v", tf::GetVariableOptions{.initializer = tf::Tensor(2.0f)});
  tf::Session session = new_session();
  session.run(tf::global_variables_initializer());
  json found;
  for (int i = 0; i < 4; ++i) found.push_back(session.run(v * static_cast<float>(i)).scalar<float>());
  auto squares = tf::data::Dataset::range(4).map([](const tf::Output& i) { return i * i; }).skip(2);
  found.push_back(session.run(squares.make_one_shot_iterator().get_next()[0]).scalar<int64_t>());
  return found;
}

json callables() {
  tf::Output x = tf::placeholder(tf::float32, tf::TensorShape()), y = tf::square(x);
  tf::Variable n = tf::get_variable("n", tf::GetVariableOptions{.initializer = tf::Tensor(0.0f)});
  tf::Operation count = tf::assign_add(n, 1.0f).op();
  tf::Session session = new_session();
  session.run(tf::global_variables_initializer());
  json found;
  {
    const tf::Callable step = session.make_callable({y, count, y}, {x});
    for (const float value : {1.0f, 2.0f}) found.push_back(step({value})[2].scalar<float>());
  }
  found.push_back(session.run(n).scalar<float>());
  return found;
}

json partial_runs() {
  tf::Output a = tf::placeholder(tf::float32, tf::TensorShape()), b = tf::placeholder(tf::float32, tf::TensorShape()),
             c = tf::placeholder(tf::float32, tf::TensorShape());
  tf::Output r1 = a + b, r2 = r1 * c;
  tf::Session session = new_session();
  const std::string handle = session.partial_run_setup({r1, r2}, {a, b, c});
  json found = {session.partial_run(handle, r1, {{a, 1.0f}, {b, 2.0f}}).scalar<float>()};
  found.push_back(error_of([&] { session.partial_run(handle, r1); }));
  found.push_back(session.partial_run(handle, r2, {{c, 17.0f}}).scalar<float>());
  return found;
}

json queues() {
  tf::FIFOQueue queue(1, {tf::int32});
  tf::Output value = tf::placeholder(tf::int32, tf::TensorShape()), dequeue = queue.dequeue()[0];
  tf::Operation enqueue = queue.enqueue({value}), close = queue.close();
  tf::Session session = new_session();
  session.run(queue.size());
  std::vector<std::future<int>> waiting;
  for (int i = 0; i < 4; ++i)
    waiting.push_back(std::async(std::launch::async, [&] { return session.run(dequeue).scalar<int32_t>(); }));
  for (int i = 0; i < 4; ++i) session.run(enqueue, {{value, i}});
  int sum = 0;
  for (auto& got : waiting) sum += got.get();
  json found = {sum, error_of([&] { session.run(dequeue, {}, {.timeout_in_ms = 100}); })};
  session.run(close);
  found.push_back(error_of([&] { session.run(dequeue); }));
  return found;
}

json errors() {
  tf::Output x = tf::placeholder(tf::float32, tf::PartialTensorShape({2}), {.name = "x"});
  tf::Output shape = tf::placeholder(tf::int32, tf::PartialTensorShape({1}));
  tf::Output bad = tf::reshape(x, shape, {.name = "bad"});
  tf::Variable v = tf::get_variable("uninitialized", tf::TensorShape());
  tf::Session session = new_session();
  json found;
  found.push_back(error_of([&] { session.run(bad, {{shape, std::vector<int>{2}}}); }));
  found.push_back(error_of([&] { session.run(bad, {{x, std::vector<float>{1, 2}}, {shape, std::vector<int>{5}}}); }));
  found.push_back(error_of([&] { session.run(bad, {{x, 1.0f}}); }).at("code"));
  found.push_back(error_of([&] { session.run(v); }).at("code"));
  return found;
}

json closing() {
  tf::FIFOQueue queue(1, {tf::int32});
  tf::Output dequeue = queue.dequeue()[0];
  tf::Session session = new_session();
  session.run(queue.size());
  auto waits = std::async(std::launch::async, [&] { return error_of([&] { session.run(dequeue); }).at("code"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  session.close();
  return {waits.get(), error_of([&] { session.run(dequeue); }).at("code")};
}

json devices() {
  json found;
  for (const tf::DeviceAttributes& device : new_session().list_devices())
    found.push_back({device.name, device.device_type, device.incarnation != 0});
  return found;
}

json traces() {
  tf::Output x = tf::placeholder(tf::float32, tf::TensorShape()), y = tf::square(x, {.name = "y"});
  tf::RunMetadata metadata;
  new_session().run({y}, {{x, 3.0f}}, {.trace_level = tf::RunOptions::FULL_TRACE, .output_partition_graphs = true},
                    &metadata);
  bool found = false;
  for (const auto& node : metadata.step_stats)
    found |= node.node_name == "y" && node.all_end_nanos >= node.all_start_nanos && node.all_start_nanos > 0;
  return {found, metadata.serialized.find("Square") != std::string::npos};
}

json supervised() {
  json steps;
  for (const int64_t last : {4, 7}) {
    auto as_default = tf::Graph().as_default();
    tf::Variable w = tf::get_variable("w", tf::GetVariableOptions{.initializer = tf::Tensor(2.0f)});
    tf::Output loss = tf::square(w * 1.5f - 1.0f);
    auto step = tf::train::get_or_create_global_step();
    auto train = tf::train::GradientDescentOptimizer(0.1).minimize(loss, {.global_step = step});
    auto session = tf::train::MonitoredTrainingSession({.master = target,
                                                        .checkpoint_dir = directory,
                                                        .hooks = {tf::train::StopAtStepHook({.last_step = last})},
                                                        .save_checkpoint_steps = 2,
                                                        .config = {.isolate_session_state = true}});
    while (!session.should_stop()) session.run(train);
    session.close();
    steps.push_back(tf::train::load_variable(directory, "global_step").scalar<int64_t>());
    steps.push_back(tf::train::load_variable(directory, "w").scalar<float>());
  }
  return steps;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: interop_session TARGET DIR\n";
    return 2;
  }
  target = argv[1], directory = argv[2];
  const std::map<std::string, std::function<json()>> programs = {
      {"training", training},         {"strings", strings}, {"growth", growth},        {"callables", callables},
      {"partial_runs", partial_runs}, {"queues", queues},   {"errors", errors},        {"closing", closing},
      {"devices", devices},           {"traces", traces},   {"supervised", supervised}};
  json found;
  for (const auto& [name, program] : programs) {
    try {
      auto as_default = tf::Graph().as_default();
      found[name] = program();
    } catch (const std::exception& e) {
      found[name] = std::string("failed: ") + e.what();
    }
  }
  std::cout << found.dump() << "\n";
}
