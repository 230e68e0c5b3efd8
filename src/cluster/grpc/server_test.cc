// A server in this process and TensorFlow's messages to it, as its client sends them.

#include "cluster/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "graph/proto_convert.h"
#include "gtest/gtest.h"
#include "tensor/allocator.h"
#include "tensorflow/core/protobuf/master_service.grpc.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;
using testing::HasSubstr;

std::string node(const std::string& name, const std::string& op, const std::vector<std::string>& inputs = {},
                 const std::string& attrs = {}) {
  std::string text = "node { name: '" + name + "' op: '" + op + "' ";
  for (const std::string& input : inputs) text += "input: '" + input + "' ";
  return text + attrs + "} ";
}
std::string type(const std::string& attr, const std::string& dtype) {
  return "attr { key: '" + attr + "' value { type: " + dtype + " } } ";
}
std::string types(const std::string& attr, const std::string& dtype) {
  return "attr { key: '" + attr + "' value { list { type: " + dtype + " } } } ";
}
std::string scalar(const std::string& attr) { return "attr { key: '" + attr + "' value { shape {} } } "; }
std::string constant(const std::string& name, float value) {
  return node(name, "Const", {},
              type("dtype", "DT_FLOAT") +
                  "attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: " +
                  std::to_string(value) + " } } } ");
}
const std::string kFloat = type("T", "DT_FLOAT");

std::string square_graph() {
  return node("x", "Placeholder", {},
              type("dtype", "DT_FLOAT") + "attr { key: 'shape' value { shape { unknown_rank: true } } } ") +
         node("y", "Square", {"x"}, kFloat);
}
std::string queue_graph() {
  return node("q", "FIFOQueueV2", {}, types("component_types", "DT_FLOAT")) + constant("one", 1) +
         node("enqueue", "QueueEnqueueV2", {"q", "one"}, types("Tcomponents", "DT_FLOAT")) +
         node("dequeue", "QueueDequeueV2", {"q"}, types("component_types", "DT_FLOAT"));
}
std::string variable_graph() {
  return node("v", "VariableV2", {}, type("dtype", "DT_FLOAT") + scalar("shape")) + constant("three", 3) +
         node("init", "Assign", {"v", "three"}, kFloat) + node("read", "Identity", {"v"}, kFloat);
}

pb::GraphDef graph(const std::string& text) {
  pb::GraphDef def;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &def)) << text;
  return def;
}

// What a client does; every call waits for its answer.
class Client {
 public:
  explicit Client(const Server& server) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    channel =
        grpc::CreateCustomChannel(str_cat("localhost:", server.port()), grpc::InsecureChannelCredentials(), arguments);
    stub = pb::MasterService::NewStub(channel);
  }

  std::string create(const std::string& text, bool isolated = true) {
    pb::CreateSessionRequest request;
    pb::CreateSessionResponse response;
    *request.mutable_graph_def() = graph(text);
    request.mutable_config()->set_isolate_session_state(isolated);
    grpc::ClientContext context;
    last = stub->CreateSession(&context, request, &response);
    return response.session_handle();
  }
  grpc::Status extend(const std::string& handle, const std::string& text, int64_t version) {
    pb::ExtendSessionRequest request;
    pb::ExtendSessionResponse response;
    request.set_session_handle(handle);
    *request.mutable_graph_def() = graph(text);
    request.set_current_graph_version(version);
    grpc::ClientContext context;
    return stub->ExtendSession(&context, request, &response);
  }
  pb::RunStepRequest step(const std::string& handle, const std::vector<std::string>& fetches,
                          const std::vector<std::string>& targets = {}) {
    pb::RunStepRequest request;
    request.set_session_handle(handle);
    request.set_store_errors_in_response_body(true);
    for (const auto& fetch : fetches) request.add_fetch(fetch);
    for (const auto& target : targets) request.add_target(target);
    return request;
  }
  pb::RunStepResponse run(const pb::RunStepRequest& request, int timeout_ms = 20000) {
    pb::RunStepResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    last = stub->RunStep(&context, request, &response);
    return response;
  }
  pb::RunStepResponse run(const std::string& handle, const std::vector<std::string>& fetches,
                          const std::vector<std::string>& targets = {}) {
    return run(step(handle, fetches, targets));
  }
  grpc::Status close(const std::string& handle) {
    pb::CloseSessionRequest request;
    pb::CloseSessionResponse response;
    request.set_session_handle(handle);
    grpc::ClientContext context;
    return stub->CloseSession(&context, request, &response);
  }

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<pb::MasterService::Stub> stub;
  grpc::Status last;
};

void feed(pb::RunStepRequest* request, const std::string& name, const Tensor& value) {
  auto* named = request->add_feed();
  named->set_name(name);
  ASSERT_TRUE(to_proto(value, named->mutable_tensor()).ok());
}
float value_of(const pb::RunStepResponse& response, int i = 0) {
  EXPECT_EQ(response.status_code(), pb::error::OK) << response.status_error_message();
  if (response.tensor_size() <= i) return -1;
  return from_proto(response.tensor(i).tensor())->scalar<float>();
}

struct ServerTest : testing::Test {
  std::unique_ptr<Server> server = *Server::start({});
  Client client{*server};
};

TEST_F(ServerTest, runs_steps_of_a_growing_graph) {
  const std::string handle = client.create(square_graph());
  ASSERT_TRUE(client.last.ok()) << client.last.error_message();
  ASSERT_TRUE(client.extend(handle, node("z", "Neg", {"y"}, kFloat), 0).ok());
  pb::RunStepRequest request = client.step(handle, {"y:0", "z:0"});
  feed(&request, "x:0", Tensor(3.0f));
  const pb::RunStepResponse response = client.run(request);
  EXPECT_EQ(value_of(response, 0), 9);
  EXPECT_EQ(value_of(response, 1), -9);
  EXPECT_EQ(response.tensor(1).name(), "z:0");
  EXPECT_TRUE(client.close(handle).ok());
  EXPECT_EQ(server->num_sessions(), 0u);
}

TEST_F(ServerTest, sessions_it_does_not_know_are_aborted) {
  EXPECT_EQ(client.close("nope").error_code(), grpc::StatusCode::ABORTED);
  const pb::RunStepResponse response = client.run("nope", {"y:0"});  // in the body, as at TensorFlow's server
  EXPECT_TRUE(client.last.ok());
  EXPECT_EQ(response.status_code(), pb::error::ABORTED);
  EXPECT_THAT(response.status_error_message(), HasSubstr("Session nope is not found."));
}

TEST_F(ServerTest, errors_of_steps_stand_in_the_body_and_name_the_node) {
  const std::string handle = client.create(square_graph() + node("odd", "NoSuchOp", {"y"}) +
                                           node("after", "Identity", {"odd"}, kFloat) + variable_graph());
  pb::RunStepResponse response = client.run(handle, {"y:0"});
  EXPECT_TRUE(client.last.ok());
  EXPECT_EQ(response.status_code(), pb::error::INVALID_ARGUMENT);
  EXPECT_THAT(response.status_error_message(), HasSubstr(" [[{{node x}}]]"));
  // What is unknown is an error only where it is needed.
  response = client.run(handle, {"after:0"});
  EXPECT_EQ(response.status_code(), pb::error::NOT_FOUND);
  EXPECT_THAT(response.status_error_message(), HasSubstr("Op type not registered 'NoSuchOp'"));
  EXPECT_THAT(response.status_error_message(), HasSubstr(" [[{{node odd}}]]"));
  response = client.run(handle, {"read:0"});
  EXPECT_EQ(response.status_code(), pb::error::FAILED_PRECONDITION);
  EXPECT_THAT(response.status_error_message(), HasSubstr("Attempting to use uninitialized value v"));
  EXPECT_EQ(client.run(handle, {}, {"init"}).status_code(), pb::error::OK);
  EXPECT_EQ(value_of(client.run(handle, {"read:0"})), 3);
  EXPECT_EQ(client.run(handle, {"absent:0"}).status_code(), pb::error::NOT_FOUND);
  EXPECT_EQ(client.run(handle, {"read:7"}).status_code(), pb::error::INVALID_ARGUMENT);
}

TEST_F(ServerTest, a_failed_extend_leaves_the_session_as_it_was) {
  const std::string handle = client.create(square_graph());
  EXPECT_EQ(client.extend(handle, constant("c", 1) + constant("y", 1), 0).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(client.extend(handle, node("d", "Neg", {"absent"}, kFloat), 0).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(client.extend(handle, constant("c", 1), 5).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(client.extend(handle, constant("c", 1), 0).ok());
  EXPECT_TRUE(client.extend(handle, node("d", "Neg", {"c"}, kFloat), 1).ok());
  EXPECT_EQ(value_of(client.run(handle, {"d:0"})), -1);
}

TEST_F(ServerTest, many_steps_may_wait_and_close_ends_them) {
  const std::string handle = client.create(queue_graph());
  const auto dequeue = [&] {
    return std::async(std::launch::async, [&] { return Client(*server).run(handle, {"dequeue:0"}); });
  };
  std::vector<std::future<pb::RunStepResponse>> waiting;
  for (int i = 0; i < 40; ++i) waiting.push_back(dequeue());
  for (int i = 0; i < 30; ++i) ASSERT_EQ(client.run(handle, {}, {"enqueue"}).status_code(), pb::error::OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  EXPECT_TRUE(client.close(handle).ok());
  int got = 0, ended = 0;
  for (auto& future : waiting) {
    const pb::RunStepResponse response = future.get();
    got += response.status_code() == pb::error::OK && response.tensor_size() == 1;
    ended += response.status_code() == pb::error::CANCELLED;
  }
  EXPECT_EQ(got, 30);
  EXPECT_EQ(ended, 10);
}

TEST_F(ServerTest, a_step_whose_client_waits_no_longer_ends) {
  const std::string handle = client.create(queue_graph());
  client.run(client.step(handle, {"dequeue:0"}), 50);
  EXPECT_EQ(client.last.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  // It takes no element that somebody else waits for.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(client.run(handle, {}, {"enqueue"}).status_code(), pb::error::OK);
  EXPECT_EQ(value_of(client.run(handle, {"dequeue:0"})), 1);
  pb::RunStepRequest request = client.step(handle, {"dequeue:0"});
  request.mutable_options()->set_timeout_in_ms(30);
  EXPECT_EQ(client.run(request).status_code(), pb::error::DEADLINE_EXCEEDED);
}

TEST_F(ServerTest, containers_are_shared_unless_isolated_and_reset_forgets_them) {
  const std::string one = client.create(variable_graph(), false), two = client.create(variable_graph(), false);
  const std::string alone = client.create(variable_graph(), true);
  EXPECT_EQ(client.run(one, {}, {"init"}).status_code(), pb::error::OK);
  EXPECT_EQ(value_of(client.run(two, {"read:0"})), 3);
  EXPECT_EQ(client.run(alone, {"read:0"}).status_code(), pb::error::FAILED_PRECONDITION);
  client.close(one);
  EXPECT_EQ(value_of(client.run(two, {"read:0"})), 3);
  pb::ResetRequest request;
  pb::ResetResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(client.stub->Reset(&context, request, &response).ok());
  EXPECT_EQ(client.run(two, {"read:0"}).status_code(), pb::error::ABORTED);
  const std::string anew = client.create(variable_graph(), false);
  EXPECT_EQ(client.run(anew, {"read:0"}).status_code(), pb::error::FAILED_PRECONDITION);
}

TEST_F(ServerTest, callables) {
  const std::string handle = client.create(square_graph());
  pb::MakeCallableRequest make;
  pb::MakeCallableResponse made;
  make.set_session_handle(handle);
  make.mutable_options()->add_feed("x:0");
  make.mutable_options()->add_fetch("y:0");
  grpc::ClientContext c1, c2, c3, c4;
  ASSERT_TRUE(client.stub->MakeCallable(&c1, make, &made).ok());
  pb::RunCallableRequest run;
  pb::RunCallableResponse ran;
  run.set_session_handle(handle);
  run.set_handle(made.handle());
  ASSERT_TRUE(to_proto(Tensor(5.0f), run.add_feed()).ok());
  ASSERT_TRUE(client.stub->RunCallable(&c2, run, &ran).ok());
  EXPECT_EQ(from_proto(ran.fetch(0))->scalar<float>(), 25);
  pb::ReleaseCallableRequest release;
  pb::ReleaseCallableResponse released;
  release.set_session_handle(handle);
  release.set_handle(made.handle());
  ASSERT_TRUE(client.stub->ReleaseCallable(&c3, release, &released).ok());
  EXPECT_EQ(client.stub->RunCallable(&c4, run, &ran).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, partial_runs) {
  const std::string handle = client.create(square_graph());
  pb::PartialRunSetupRequest setup;
  pb::PartialRunSetupResponse ready;
  setup.set_session_handle(handle);
  setup.add_feed("x:0");
  setup.add_fetch("y:0");
  grpc::ClientContext context;
  ASSERT_TRUE(client.stub->PartialRunSetup(&context, setup, &ready).ok());
  pb::RunStepRequest request = client.step(handle, {"y:0"});
  request.set_partial_run_handle(ready.partial_run_handle());
  EXPECT_THAT(client.run(request).status_error_message(), HasSubstr("can't be computed from the feeds"));
  feed(&request, "x:0", Tensor(2.0f));
  EXPECT_EQ(value_of(client.run(request)), 4);
  request.set_partial_run_handle("77");
  EXPECT_THAT(client.run(request).status_error_message(), HasSubstr("Must run PartialRunSetup"));
}

TEST_F(ServerTest, large_tensors_both_ways) {
  const std::string handle = client.create(square_graph());
  constexpr int64_t kElements = 50'000'000 / 4;
  pb::RunStepRequest request = client.step(handle, {"y:0"});
  feed(&request, "x:0", Tensor(TensorShape{kElements}, std::vector<float>(kElements, 2)));
  const pb::RunStepResponse response = client.run(request);
  ASSERT_EQ(response.tensor_size(), 1) << client.last.error_message() << response.status_error_message();
  EXPECT_EQ(from_proto(response.tensor(0).tensor())->flat<float>()[kElements - 1], 4);
}

TEST_F(ServerTest, malformed_requests_are_answered) {
  const std::string handle = client.create(square_graph());
  pb::RunStepRequest request = client.step(handle, {"y:0"});
  auto* tensor = request.add_feed()->mutable_tensor();
  request.mutable_feed(0)->set_name("x:0");
  tensor->set_dtype(pb::DT_FLOAT);
  tensor->mutable_tensor_shape()->add_dim()->set_size(int64_t{1} << 60);
  EXPECT_EQ(client.run(request).status_code(), pb::error::INVALID_ARGUMENT);
  tensor->mutable_tensor_shape()->mutable_dim(0)->set_size(2);
  tensor->set_tensor_content("abc");
  EXPECT_EQ(client.run(request).status_code(), pb::error::INVALID_ARGUMENT);
  tensor->set_dtype(static_cast<pb::DataType>(99));
  EXPECT_EQ(client.run(request).status_code(), pb::error::INVALID_ARGUMENT);
  request.mutable_feed(0)->set_name("^x");
  EXPECT_NE(client.run(request).status_code(), pb::error::OK);

  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> raw(client.channel);
  const grpc::Slice garbage("\xff\xff\xff\xff no message");
  grpc::ByteBuffer sent(&garbage, 1), answer;
  grpc::ClientContext context;
  std::promise<grpc::Status> ended;
  raw.UnaryCall(&context, "/tensorflow.MasterService/RunStep", {}, &sent, &answer,
                [&](grpc::Status s) { ended.set_value(s); });
  EXPECT_FALSE(ended.get_future().get().ok());

  pb::RunStepRequest good = client.step(handle, {"y:0"});
  feed(&good, "x:0", Tensor(3.0f));
  EXPECT_EQ(value_of(client.run(good)), 9);
}

TEST_F(ServerTest, graphs_that_make_no_sense_are_refused) {
  for (const std::string& text :
       {node("a", "Neg", {"b"}, kFloat), node("a b", "NoOp"), node("a", "NoOp") + node("a", "NoOp"),
        std::string("versions { min_consumer: 99999 }")}) {
    EXPECT_EQ(client.create(text), "") << text;
    EXPECT_EQ(client.last.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << text;
  }
  // A circle is found when a step needs it.
  const std::string handle =
      client.create(node("a", "Neg", {"b"}, kFloat) + node("b", "Neg", {"a"}, kFloat) + constant("c", 1));
  EXPECT_EQ(client.run(handle, {"a:0"}).status_code(), pb::error::INVALID_ARGUMENT);
  EXPECT_EQ(value_of(client.run(handle, {"c:0"})), 1);
}

TEST(Server, clients_at_the_same_time_and_sessions_that_come_and_go) {
  const auto server = *Server::start({});
  const auto client = [&](int sessions) {
    Client c(*server);
    for (int i = 0; i < sessions; ++i) {
      const std::string handle = c.create(variable_graph());
      EXPECT_EQ(c.run(handle, {}, {"init"}).status_code(), pb::error::OK);
      EXPECT_EQ(value_of(c.run(handle, {"read:0"})), 3);
      EXPECT_TRUE(c.close(handle).ok());
    }
  };
  // A session's memory goes when the last thread that ran a step of it lets go, a moment after the answer.
  const auto bytes_settle_at = [](int64_t wanted) {
    for (int i = 0; i < 100 && process_allocator_stats().bytes_in_use > wanted; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return process_allocator_stats().bytes_in_use;
  };
  client(3);
  const int64_t before = bytes_settle_at(0) + 1024;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) threads.emplace_back(client, 20);
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(server->num_sessions(), 0u);
  EXPECT_LE(bytes_settle_at(before), before);
}

TEST(Server, limits) {
  const auto server = *Server::start({.max_sessions = 2, .max_message_bytes = 100'000});
  Client client(*server);
  const std::string one = client.create(square_graph()), two = client.create(square_graph());
  EXPECT_NE(two, "");
  EXPECT_EQ(client.create(square_graph()), "");
  EXPECT_EQ(client.last.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  client.close(two);
  EXPECT_NE(client.create(square_graph()), "");
  pb::RunStepRequest request = client.step(one, {"y:0"});
  feed(&request, "x:0", Tensor(TensorShape{100'000}, std::vector<float>(100'000)));
  client.run(request);
  EXPECT_EQ(client.last.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(Server, a_trace_names_the_device_though_no_node_ran) {
  const auto server = *Server::start({});
  Client client(*server);
  const std::string handle = client.create(queue_graph());
  pb::RunStepRequest request = client.step(handle, {"one:0"});
  request.mutable_options()->set_trace_level(pb::RunOptions::FULL_TRACE);
  const pb::RunStepResponse response = client.run(request);
  ASSERT_EQ(response.status_code(), pb::error::OK) << response.status_error_message();
  ASSERT_EQ(response.metadata().step_stats().dev_stats_size(), 1);
  EXPECT_EQ(response.metadata().step_stats().dev_stats(0).device(), "/job:localhost/replica:0/task:0/device:CPU:0");
}

TEST(Server, a_client_that_left_in_a_step_makes_room) {
  const auto server = *Server::start({.max_sessions = 1});
  Client client(*server);
  const std::string left = client.create(queue_graph());
  client.run(client.step(left, {"dequeue:0"}), 200);
  EXPECT_EQ(client.last.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  std::string next;
  for (int i = 0; i < 100 && next.empty(); ++i) {  // the server hears of it a little later
    next = client.create(queue_graph());
    if (next.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_NE(next, "");
  EXPECT_EQ(client.run(left, {}, {"dequeue"}).status_code(), pb::error::ABORTED);
  // One whose client is there keeps its place.
  EXPECT_EQ(client.create(queue_graph()), "");
  EXPECT_EQ(client.last.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST(Server, stop_ends_what_waits) {
  auto server = *Server::start({});
  Client client(*server);
  const std::string handle = client.create(queue_graph());
  auto waiting = std::async(std::launch::async, [&] { return client.run(handle, {"dequeue:0"}).status_code(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  std::thread joins([&] { server->join(); });
  server->stop();
  joins.join();
  EXPECT_EQ(waiting.get(), pb::error::CANCELLED);
  server->stop();
}

TEST(Server, a_port_that_is_taken_is_an_error) {
  const auto server = *Server::start({});
  EXPECT_EQ(Server::start({.port = server->port()}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace millrace
