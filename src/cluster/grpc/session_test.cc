// tf::Session at a server in this process: what a program finds there is what it finds without one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <functional>
#include <future>
#include <thread>

#include "api/train/testing.h"
#include "millrace/millrace.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using train::ClusterSpec;
using train::error_of;
using Clock = std::chrono::steady_clock;

std::string text(const std::vector<Tensor>& values) {
  std::string all;
  for (const Tensor& value : values) all += value.has_value() ? value.to_string() + "\n" : "none\n";
  return all;
}

// The first test of a program runs it in this process, the second at a server.
class SessionTest : public testing::TestWithParam<bool> {
 protected:
  Session session(ConfigProto config = {}) const {
    config.isolate_session_state = true;
    return Session({.target = GetParam() ? server_.target() : "", .config = config});
  }
  train::Server server_ = train::Server::create_local_server();
  Graph graph_;
  DefaultGraph as_default_ = graph_.as_default();
};
INSTANTIATE_TEST_SUITE_P(, SessionTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "at_a_server" : "here"; });

TEST_P(SessionTest, fetches_feeds_and_operations) {
  const Output x = placeholder(float32, PartialTensorShape({-1})), y = square(x), z = y + 1.0f;
  const Operation nothing = no_op();
  const Session s = session();
  EXPECT_EQ(text(s.run({y, z, y, nothing, x}, {{x, std::vector<float>{1, 2, 3}}})),
            "[1.0 4.0 9.0]\n[2.0 5.0 10.0]\n[1.0 4.0 9.0]\nnone\n[1.0 2.0 3.0]\n");
  EXPECT_EQ(s.run(z.name(), {{y, std::vector<float>{5}}}).to_string(), "[6.0]");
  EXPECT_FALSE(s.run(nothing).has_value());
  EXPECT_EQ(text(s.run({x}, {{x, std::vector<float>{7}}})), "[7.0]\n");  // nothing to compute
  EXPECT_THAT(s.run(std::vector<Fetch>{}), SizeIs(0));
}

TEST_P(SessionTest, the_graph_may_grow_between_runs) {
  const Variable v = get_variable("v", GetVariableOptions{.initializer = Tensor(2.0f)});
  const Session s = session();
  s.run(global_variables_initializer());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(s.run(v + static_cast<float>(i)).scalar<float>(), 2.0f + static_cast<float>(i));
  // Functions too, before and after.
  const auto doubled = data::Dataset::range(3).map([](const Output& i) { return i * 2; });
  const Output first = doubled.make_one_shot_iterator().get_next()[0];
  EXPECT_EQ(s.run(first).scalar<int64_t>(), 0);
  const auto tripled = data::Dataset::range(3).map([](const Output& i) { return i * 3; }).skip(1);
  EXPECT_EQ(s.run(tripled.make_one_shot_iterator().get_next()[0]).scalar<int64_t>(), 3);
  EXPECT_EQ(s.run(first).scalar<int64_t>(), 2);
}

TEST_P(SessionTest, variables_of_both_kinds_train) {
  Output loss;
  const auto build = [&](const char* name, bool use_resource) {
    const Variable w =
        get_variable(name, GetVariableOptions{.initializer = Tensor(2.0f), .use_resource = use_resource});
    loss = square(w * 1.5 - 1.0);
    return train::MomentumOptimizer(0.1, 0.9).minimize(loss);
  };
  const Operation reference = build("reference", false);
  const Output reference_loss = loss;
  const Operation resource = build("resource", true);
  const Session s = session();
  s.run(global_variables_initializer());
  for (int i = 0; i < 3; ++i) s.run({reference, resource});
  const std::vector<Tensor> values = s.run({reference_loss, loss});
  EXPECT_EQ(values[0].scalar<float>(), values[1].scalar<float>());
  EXPECT_NEAR(values[0].scalar<float>(), 1.6570f, 1e-3f);
}

TEST_P(SessionTest, tensors_of_every_kind_go_there_and_back) {
  const Session s = session();
  const auto back = [&](const Tensor& value) {
    const Output x = placeholder(value.dtype(), PartialTensorShape());
    const Tensor got = s.run(identity(x), {{x, value}});
    EXPECT_EQ(got.dtype(), value.dtype());
    EXPECT_EQ(got.shape(), value.shape());
    return got.to_string();
  };
  const std::vector<Tensor> values = {
      Tensor(1.5f),
      Tensor(-2.25),
      Tensor(7),
      Tensor(int64_t{1} << 40),
      Tensor(true),
      Tensor("text"),
      Tensor(TensorShape{2, 2}, std::vector<std::string>{"", std::string("a\0b", 3), "longer", std::string(1000, 'x')}),
      Tensor(TensorShape{2, 0}, std::vector<float>{}),
      Tensor(std::vector<uint8_t>{0, 255}),
      Tensor(std::vector<int8_t>{-128, 127}),
      Tensor(std::vector<int16_t>{-5}),
      Tensor(std::vector<uint16_t>{65535}),
      Tensor(std::vector<uint32_t>{4294967295u}),
      Tensor(std::vector<uint64_t>{~uint64_t{0}}),
      Tensor(std::vector<std::complex<float>>{{1, 2}}),
      Tensor(std::vector<std::complex<double>>{{3, -4}})};
  for (const Tensor& value : values) EXPECT_EQ(back(value), value.to_string());
  for (const DataType dtype : {DataType::kHalf, DataType::kBfloat16}) {
    const Output x = placeholder(float32, PartialTensorShape());
    EXPECT_EQ(s.run(cast(x, dtype), {{x, std::vector<float>{0.5f, -3}}}).dtype(), dtype);
  }
}

TEST_P(SessionTest, errors_are_of_their_class_and_name_the_node) {
  const Output x = placeholder(float32, PartialTensorShape({2}), {.name = "x"});
  const Output y = square(x, {.name = "y"});
  const Variable v = get_variable("v", TensorShape());
  const Output shape = placeholder(int32, PartialTensorShape({1}));
  const Output bad = reshape(x, shape, {.name = "bad"});
  const FIFOQueue queue(2, {float32});
  const Operation close = queue.close();
  const Output dequeue = queue.dequeue()[0];
  const Session s = session();
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { s.run(y); }), HasSubstr("{{node x}}"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { s.run(y, {{x, 1}}); }), HasSubstr("to be float"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] {
                s.run(y, {{x, std::vector<float>{1}}});
              }),
              HasSubstr("Cannot feed value of shape (1,) for Tensor 'x:0', which has shape '(2,)'"));
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] { s.run(v); }), HasSubstr("uninitialized value v"));
  s.run(close);
  EXPECT_THAT(error_of<errors::OutOfRangeError>([&] { s.run(dequeue); }), HasSubstr("is closed"));
  EXPECT_THAT(error_of<errors::NotFoundError>([&] { s.run("nowhere"); }), HasSubstr("nowhere"));
  try {
    s.run(bad, {{x, std::vector<float>{1, 2}}, {shape, std::vector<int>{5}}});
    ADD_FAILURE() << "no error";
  } catch (const errors::InvalidArgumentError& e) {
    EXPECT_EQ(e.where().node_name, "bad");
    EXPECT_EQ(e.where().op_type, "Reshape");
    EXPECT_THAT(e.where().source, HasSubstr("session_test.cc:"));
    EXPECT_THAT(e.what(), HasSubstr("session_test.cc:"));
  }
  EXPECT_EQ(s.run(y, {{x, std::vector<float>{1, 2}}}).to_string(), "[1.0 4.0]");
}

TEST_P(SessionTest, callables) {
  const Output x = placeholder(float32, TensorShape()), y = square(x);
  const Variable n = get_variable("n", GetVariableOptions{.initializer = Tensor(0.0f)});
  const Operation count = assign_add(n, 1.0f).op();
  const Session s = session();
  s.run(global_variables_initializer());
  {
    const Callable step = s.make_callable({y, count, y, x}, {x});
    EXPECT_EQ(text(step({3.0f})), "9.0\nnone\n9.0\n3.0\n");
    EXPECT_EQ(text(step({4.0f})), "16.0\nnone\n16.0\n4.0\n");
    EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { step({}); }), HasSubstr("takes 1 values, got 0"));
    EXPECT_EQ(s.run(n).scalar<float>(), 2);
    s.run(y + 1.0f, {{x, 0.0f}});  // the graph has grown
    step({1.0f});
  }
  EXPECT_EQ(s.run(n).scalar<float>(), 3);
  const Callable late = s.make_callable({y}, {x});
  s.close();
  EXPECT_THROW(late({1.0f}), errors::CancelledError);
}

TEST_P(SessionTest, partial_runs) {
  const Output a = placeholder(float32, TensorShape()), b = placeholder(float32, TensorShape()),
               c = placeholder(float32, TensorShape());
  const Output r1 = a + b, r2 = r1 * c;
  const Variable n = get_variable("n", GetVariableOptions{.initializer = Tensor(0.0f)});
  const Operation count = assign_add(n, 1.0f).op();
  const Session s = session();
  s.run(global_variables_initializer());
  const std::string handle = s.partial_run_setup({r1, r2, count}, {a, b, c});
  const std::string other = s.partial_run_setup({r2}, {a, b, c});
  EXPECT_NE(handle, other);
  EXPECT_EQ(s.partial_run(handle, r1, {{a, 1.0f}, {b, 2.0f}}).scalar<float>(), 3);
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { s.partial_run(handle, r1); }), HasSubstr("fetched"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] {
                s.partial_run(handle, r2, {{c, 1}});
              }),
              HasSubstr("to be float"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { s.partial_run(handle, r1 + c); }),
              HasSubstr("not specified in partial_run_setup"));
  EXPECT_THROW(s.partial_run(handle, count), errors::FailedPreconditionError);
  EXPECT_THROW(s.partial_run("no such", r2, {{c, 1.0f}}), errors::InvalidArgumentError);
  EXPECT_EQ(s.partial_run(handle, r2, {{c, 17.0f}}).scalar<float>(), 51);
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { s.partial_run(handle, r2); }),
              HasSubstr("Must run 'setup'"));
  EXPECT_EQ(s.run(n).scalar<float>(), 1);  // what is run without being fetched
  EXPECT_EQ(text(s.partial_run(other, std::vector<Fetch>{}, {{a, 1.0f}, {b, 1.0f}})), "");
  EXPECT_EQ(text(s.partial_run(other, {r2}, {{c, 2.0f}})), "4.0\n");
  EXPECT_THROW(s.partial_run_setup({}, {a}), errors::InvalidArgumentError);
}

TEST_P(SessionTest, queues_and_steps_that_wait) {
  const FIFOQueue queue(1, {int32});
  const Output value = placeholder(int32, TensorShape());
  const Operation enqueue = queue.enqueue({value});
  const Output dequeue = queue.dequeue()[0];
  const Session s = session();
  std::vector<std::future<int32_t>> waiting;
  for (int i = 0; i < 8; ++i)
    waiting.push_back(std::async(std::launch::async, [&] { return s.run(dequeue).scalar<int32_t>(); }));
  for (int i = 0; i < 8; ++i) s.run(enqueue, {{value, i}});
  int sum = 0;
  for (auto& got : waiting) sum += got.get();
  EXPECT_EQ(sum, 28);
}

TEST_P(SessionTest, timeouts) {
  const FIFOQueue queue(1, {int32});
  const Output dequeue = queue.dequeue()[0];
  const Operation enqueue = queue.enqueue({3});
  const Session s = session();
  EXPECT_THROW(s.run(dequeue, {}, {.timeout_in_ms = 60}), errors::DeadlineExceededError);
  s.run(enqueue);
  EXPECT_EQ(s.run(dequeue, {}, {.timeout_in_ms = 20000}).scalar<int32_t>(), 3);  // the step that ended took nothing
  const Session impatient = session({.operation_timeout_in_ms = 500});
  EXPECT_THROW(impatient.run(dequeue), errors::DeadlineExceededError);
  EXPECT_THROW(impatient.make_callable({dequeue})(), errors::DeadlineExceededError);
}

TEST_P(SessionTest, close_ends_what_waits) {
  const FIFOQueue queue(1, {int32});
  const Output dequeue = queue.dequeue()[0];
  const Session s = session();
  s.run(queue.size());
  const Callable callable = s.make_callable({dequeue});
  auto waits =
      std::async(std::launch::async, [&] { return error_of<errors::CancelledError>([&] { s.run(dequeue); }); });
  auto calls = std::async(std::launch::async, [&] { return error_of<errors::CancelledError>([&] { callable(); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto before = Clock::now();
  s.close();
  EXPECT_THAT(waits.get(), testing::Not(HasSubstr("error: ")));
  EXPECT_THAT(calls.get(), testing::Not(HasSubstr("error: ")));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(2));
  EXPECT_TRUE(s.closed());
  EXPECT_THROW(s.run(dequeue), errors::CancelledError);
  EXPECT_THROW(s.list_devices(), errors::CancelledError);
  s.close();
}

TEST_P(SessionTest, traces) {
  const Output y = square(constant(3.0f), {.name = "y"});
  const Session s = session({.graph_options = {.optimizer_options = {.opt_level = OptimizerOptions::L0}}});
  RunMetadata metadata;
  s.run({y}, {}, {.trace_level = RunOptions::FULL_TRACE, .output_partition_graphs = true}, &metadata);
  const auto named_y = [](const RunMetadata::NodeExecStats& node) { return node.node_name == "y"; };
  const auto found = std::ranges::find_if(metadata.step_stats, named_y);
  ASSERT_NE(found, metadata.step_stats.end());
  EXPECT_THAT(found->timeline_label, HasSubstr("Square"));
  EXPECT_THAT(found->device, HasSubstr("/device:CPU:0"));
  EXPECT_GT(found->all_start_nanos, int64_t{1'000'000'000'000'000'000});
  EXPECT_GE(found->all_end_nanos, found->all_start_nanos);
  EXPECT_THAT(metadata.serialized, HasSubstr("Square"));
  EXPECT_THAT(metadata.generate_chrome_trace_format(), HasSubstr("\"y\""));
  s.run({y}, {}, {}, &metadata);
  EXPECT_THAT(metadata.step_stats, SizeIs(0));
}

TEST_P(SessionTest, devices) {
  const Session s = session();
  const std::vector<DeviceAttributes> devices = s.list_devices();
  ASSERT_THAT(devices, SizeIs(1));
  EXPECT_EQ(devices[0].name, "/job:localhost/replica:0/task:0/device:CPU:0");
  EXPECT_EQ(devices[0].device_type, "CPU");
  EXPECT_NE(devices[0].incarnation, 0u);
  EXPECT_EQ(s.list_devices()[0].incarnation, devices[0].incarnation);
  EXPECT_EQ(s.run(constant(1)).scalar<int32_t>(), 1);  // a session that began without a graph
}

TEST_P(SessionTest, loops_and_conditions) {
  const Output x = placeholder(int32, TensorShape());
  const Output y = cond(
      x > 3, [&] { return x * 10; }, [&] { return x - 1; });
  const Session s = session();
  EXPECT_EQ(s.run(y, {{x, 5}}).scalar<int32_t>(), 50);
  EXPECT_EQ(s.run(y, {{x, 2}}).scalar<int32_t>(), 1);
}

TEST_P(SessionTest, many_megabytes_both_ways) {
  const Output x = placeholder(float32, PartialTensorShape({-1}));
  const Session s = session();
  constexpr int64_t kElements = 20'000'000 / 4;
  const Tensor got = s.run(x * 2.0f, {{x, std::vector<float>(kElements, 1.5f)}});
  EXPECT_EQ(got.num_elements(), kElements);
  EXPECT_EQ(got.flat<float>()[kElements - 1], 3.0f);
}

TEST_P(SessionTest, reset_ends_the_sessions) {
  const Output y = square(constant(2.0f));
  const Session s = session();
  EXPECT_EQ(s.run(y).scalar<float>(), 4);
  Session::reset(s.sess_str());
  if (GetParam()) {
    EXPECT_THAT(error_of<errors::AbortedError>([&] { s.run(y); }), HasSubstr("is not found"));
  } else {
    EXPECT_THROW(s.run(y), errors::CancelledError);
  }
  EXPECT_EQ(session().run(y).scalar<float>(), 4);
}

// --- what only servers have

TEST(RemoteSession, sessions_share_variables_until_a_reset) {
  train::Server server = train::Server::create_local_server();
  const auto as_default = Graph().as_default();
  const Variable v = get_variable("v", GetVariableOptions{.initializer = Tensor(2.0f)});
  const Operation init = global_variables_initializer();
  const Session one({.target = server.target()}), two({.target = server.target()});
  const Session alone({.target = server.target(), .config = {.isolate_session_state = true}});
  one.run(init);
  EXPECT_EQ(two.run(v).scalar<float>(), 2);
  EXPECT_THROW(alone.run(v), errors::FailedPreconditionError);
  one.close();
  EXPECT_EQ(two.run(v).scalar<float>(), 2);
  Session::reset(server.target(), {"another container"});
  const Session three({.target = server.target()});
  EXPECT_EQ(three.run(v).scalar<float>(), 2);
  Session::reset(server.target());
  const Session four({.target = server.target()});
  EXPECT_THROW(four.run(v), errors::FailedPreconditionError);
}

TEST(RemoteSession, a_server_that_goes_is_unavailable_and_one_that_came_anew_aborts) {
  std::string address;
  const auto as_default = Graph().as_default();
  const Output y = square(constant(3.0f));
  const FIFOQueue queue(1, {int32});
  const Output dequeue = queue.dequeue()[0];
  auto server = std::make_optional(train::Server::create_local_server());
  const std::string target = server->target();
  const Session s({.target = target});
  EXPECT_EQ(s.run(y).scalar<float>(), 9);
  auto waits = std::async(std::launch::async, [&] {
    try {
      s.run(dequeue);
    } catch (const errors::OpError& e) {
      return e.code();
    }
    return errors::Code::kOk;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.reset();
  EXPECT_THAT(waits.get(), testing::AnyOf(errors::Code::kCancelled, errors::Code::kUnavailable));
  EXPECT_THAT(error_of<errors::UnavailableError>([&] { s.run(y); }), HasSubstr(target));
  server.emplace(ClusterSpec{{"localhost", {target.substr(std::string("grpc://").size())}}});
  EXPECT_EQ(server->target(), target);
  std::string error;
  for (int i = 0; i < 100; ++i) {  // until the connection is there again
    error = error_of<errors::AbortedError>([&] { s.run(y); });
    if (error.find("is not found") != std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_THAT(error, HasSubstr("is not found. Possibly, this master has restarted."));
  EXPECT_EQ(Session({.target = target}).run(y).scalar<float>(), 9);
}

TEST(RemoteSession, a_server_may_come_later) {
  const auto as_default = Graph().as_default();
  const Output y = square(constant(3.0f));
  std::string target;
  {
    target = train::Server::create_local_server().target();  // a port that is free
  }
  const Session s({.target = target});
  auto runs = std::async(std::launch::async, [&] { return s.run(y).scalar<float>(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const train::Server server(ClusterSpec{{"localhost", {target.substr(std::string("grpc://").size())}}});
  EXPECT_EQ(runs.get(), 9);
}

TEST(RemoteSession, nobody_there) {
  const auto as_default = Graph().as_default();
  const Output y = square(constant(3.0f));
  const std::string target = train::Server::create_local_server().target();
  const auto before = Clock::now();
  const Session s({.target = target, .config = {.operation_timeout_in_ms = 300}});
  EXPECT_THAT(error_of<errors::OpError>([&] { s.run(y); }), HasSubstr("connect"));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(5));
  // A session that waits for its server can be closed.
  const Session patient({.target = target});
  auto waits =
      std::async(std::launch::async, [&] { return error_of<errors::CancelledError>([&] { patient.run(y); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const auto closing = Clock::now();
  patient.close();
  EXPECT_THAT(waits.get(), HasSubstr("closed"));
  EXPECT_LT(Clock::now() - closing, std::chrono::seconds(3));
}

TEST(RemoteSession, targets_that_are_none) {
  const auto as_default = Graph().as_default();
  EXPECT_THAT(error_of<errors::NotFoundError>([] { Session({.target = "foo://bar"}); }),
              HasSubstr("No session factory registered for the given session options: {target: \"foo://bar\""));
  EXPECT_THAT(error_of<errors::NotFoundError>([] { Session({.target = "local"}); }), HasSubstr("No session factory"));
  EXPECT_THROW(Session({.target = "grpc://"}), errors::InvalidArgumentError);
  EXPECT_THROW(Session::reset("foo://bar"), errors::NotFoundError);
}

TEST(RemoteSession, threads_use_one_session) {
  const train::Server server = train::Server::create_local_server();
  const auto as_default = Graph().as_default();
  const Output x = placeholder(float32, TensorShape()), y = square(x);
  const Session s({.target = server.target()});
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const float value = static_cast<float>(t * 100 + i);
        EXPECT_EQ(s.run(y, {{x, value}}).scalar<float>(), value * value);
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

// --- tf.train.Server and ClusterSpec

TEST(Server, begins_when_it_is_told_and_ends_when_it_is_told) {
  train::Server server = train::Server::create_local_server({}, /*start=*/false);
  EXPECT_THROW(server.target(), errors::FailedPreconditionError);
  EXPECT_THROW(server.join(), errors::FailedPreconditionError);
  server.start();
  server.start();
  const auto as_default = Graph().as_default();
  EXPECT_EQ(Session({.target = server.target()}).run(constant(1)).scalar<int32_t>(), 1);
  std::thread joins([&] { server.join(); });
  server.stop();
  joins.join();
  EXPECT_THROW(server.start(), errors::FailedPreconditionError);
}

TEST(Server, its_definition) {
  const train::Server server(ClusterSpec{{"worker", {"localhost:0"}}}, {.config = {.device_count = {{"CPU", 2}}}});
  EXPECT_EQ(server.server_def().job_name, "worker");
  EXPECT_EQ(server.server_def().task_index, 0);
  EXPECT_EQ(server.server_def().protocol, "grpc");
  const auto as_default = Graph().as_default();
  const std::vector<DeviceAttributes> devices = Session({.target = server.target()}).list_devices();
  ASSERT_THAT(devices, SizeIs(2));
  EXPECT_EQ(devices[1].name, "/job:worker/replica:0/task:0/device:CPU:1");
  const train::Server again(server.server_def());
  EXPECT_NE(again.target(), server.target());
}

TEST(Server, refuses_what_it_cannot_do) {
  const ClusterSpec two{{"worker", {"localhost:0", "localhost:0"}}},
      jobs{{"a", {"localhost:0"}}, {"b", {"localhost:0"}}};
  const ClusterSpec one{{"worker", {"localhost:0"}}};
  EXPECT_THAT(error_of<errors::UnimplementedError>([&] { train::Server(two, {.task_index = 1}); }),
              HasSubstr("2 tasks"));
  EXPECT_THAT(error_of<errors::UnimplementedError>([&] { train::Server(one, {.protocol = "grpc+verbs"}); }),
              HasSubstr("grpc+verbs"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { train::Server{two}; }), HasSubstr("`task_index`"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { train::Server{jobs}; }), HasSubstr("`job_name`"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { train::Server(one, {.job_name = "ps"}); }),
              HasSubstr("'ps'"));
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { train::Server(one, {.task_index = 3}); }),
              HasSubstr("index 3"));
  for (const char* address : {"localhost", "localhost:", ":2222", "localhost:70000", "localhost:2x"}) {
    EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] {
                  train::Server{ClusterSpec{{"worker", {address}}}};
                }),
                HasSubstr("host-port pair"))
        << address;
  }
  const train::Server taken = train::Server::create_local_server();
  const std::string address = taken.target().substr(std::string("grpc://").size());
  EXPECT_THROW((train::Server{ClusterSpec{{"worker", {address}}}}), errors::UnavailableError);
}

TEST(ClusterSpec, says_what_there_is) {
  const ClusterSpec cluster = ClusterSpec::from_tasks({{"ps", {{0, "a:1"}}}, {"worker", {{1, "b:1"}, {3, "c:1"}}}});
  EXPECT_THAT(cluster.jobs(), ElementsAre("ps", "worker"));
  EXPECT_EQ(cluster.num_tasks("worker"), 2);
  EXPECT_THAT(cluster.task_indices("worker"), ElementsAre(1, 3));
  EXPECT_EQ(cluster.task_address("worker", 3), "c:1");
  EXPECT_THAT(cluster.job_tasks("worker"), ElementsAre("", "b:1", "", "c:1"));
  EXPECT_THROW(cluster.task_address("worker", 0), errors::InvalidArgumentError);
  EXPECT_THROW(cluster.num_tasks("chief"), errors::InvalidArgumentError);
  EXPECT_EQ((ClusterSpec{{"ps", {"a:1"}}}), ClusterSpec::from_tasks({{"ps", {{0, "a:1"}}}}));
}

}  // namespace
}  // namespace millrace
