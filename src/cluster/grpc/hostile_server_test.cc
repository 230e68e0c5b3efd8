// Servers that answer nonsense, or not at all: clear errors for their clients, and no waits without an end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "api/train/testing.h"
#include "cluster/grpc/grpc_transport.h"
#include "cluster/message_bytes.h"
#include "cluster/server.h"
#include "graph/proto_convert.h"
#include "millrace/millrace.h"
#include "tensorflow/core/protobuf/master.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;
using testing::HasSubstr;
using train::error_of;
using Clock = std::chrono::steady_clock;

// Gives to each method what the test has written down; nothing, where it has not.
class FakeMaster final : public CallHandler {
 public:
  FakeMaster() { listener_ = *grpc_transport()->listen("127.0.0.1", 0, 1 << 28, this); }
  ~FakeMaster() override {
    answer_waiting();
    listener_->stop(std::chrono::milliseconds(100));
  }

  void give(const std::string& method, const google::protobuf::MessageLite& answer) {
    give(method, answer.SerializeAsString());
  }
  void give(const std::string& method, std::string answer) {
    const std::lock_guard lock(mutex_);
    answers_[method] = std::move(answer);
  }
  std::string target() const { return str_cat("grpc://localhost:", listener_->port()); }
  // What has got no answer so far gets an error.
  void answer_waiting() {
    std::vector<IncomingCall*> calls;
    {
      const std::lock_guard lock(mutex_);
      calls.swap(waiting_);
    }
    for (IncomingCall* const call : calls) call->finish(cancelled("too late"), {});
  }

  std::vector<const char*> methods() const override { return {std::begin(kMethods), std::end(kMethods)}; }
  std::unique_ptr<CallState> handle(size_t method, IncomingCall* call) override {
    struct State final : CallState {
      void on_cancel() override {}
    };
    std::unique_lock lock(mutex_);
    const std::string name = std::string(kMethods[method]).substr(std::string("/tensorflow.MasterService/").size());
    const auto it = answers_.find(name);
    if (it == answers_.end()) {
      waiting_.push_back(call);
    } else {
      std::string answer = it->second;
      lock.unlock();
      call->finish(absl::OkStatus(), std::move(answer));
    }
    return std::make_unique<State>();
  }

 private:
  static constexpr const char* kMethods[] = {
      "/tensorflow.MasterService/CreateSession", "/tensorflow.MasterService/RunStep",
      "/tensorflow.MasterService/CloseSession",  "/tensorflow.MasterService/MakeCallable",
      "/tensorflow.MasterService/RunCallable",   "/tensorflow.MasterService/ReleaseCallable",
      "/tensorflow.MasterService/ListDevices",   "/tensorflow.MasterService/PartialRunSetup"};
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::vector<IncomingCall*> waiting_;
  std::unique_ptr<Listener> listener_;
};

class HostileServerTest : public testing::Test {
 protected:
  HostileServerTest() {
    pb::CreateSessionResponse created;
    created.set_session_handle("session");
    master_.give("CreateSession", created);
    master_.give("CloseSession", std::string());
  }
  std::string run_error(const pb::RunStepResponse& answer) {
    master_.give("RunStep", answer);
    return error_of<errors::InternalError>([&] { session_.run(y_); });
  }

  FakeMaster master_;
  DefaultGraph as_default_ = Graph().as_default();
  Output y_ = square(constant(3.0f), {.name = "y"});
  Session session_{{.target = master_.target()}};
};

TEST_F(HostileServerTest, bytes_that_are_no_message) {
  master_.give("RunStep", std::string("\xff\xff\xff\xff garbage"));
  EXPECT_THAT(error_of<errors::InternalError>([&] { session_.run(y_); }), HasSubstr("tensorflow.RunStepResponse"));
  master_.give("ListDevices", std::string("\x0a\x7f short"));
  EXPECT_THAT(error_of<errors::InternalError>([&] { session_.list_devices(); }), HasSubstr(master_.target()));
  master_.give("CreateSession", std::string());
  EXPECT_THAT(error_of<errors::InternalError>([&] { Session({.target = master_.target()}).run(y_); }),
              HasSubstr("gave no session"));
}

TEST_F(HostileServerTest, answers_that_do_not_fit_the_question) {
  pb::RunStepResponse answer;
  EXPECT_THAT(run_error(answer), HasSubstr("lacks the tensor 'y:0'"));
  pb::NamedTensorProto* const tensor = answer.add_tensor();
  tensor->set_name("z:0");
  EXPECT_THAT(run_error(answer), HasSubstr("lacks the tensor 'y:0'"));
  tensor->set_name("y:0");
  ASSERT_TRUE(to_proto(Tensor(int32_t{1}), tensor->mutable_tensor()).ok());
  EXPECT_THAT(run_error(answer), HasSubstr("gave int32 for 'y:0', which is float"));
  tensor->mutable_tensor()->Clear();
  tensor->mutable_tensor()->set_dtype(pb::DT_FLOAT);
  tensor->mutable_tensor()->mutable_tensor_shape()->add_dim()->set_size(int64_t{1} << 50);
  EXPECT_THAT(run_error(answer), HasSubstr("'y:0'"));
  tensor->mutable_tensor()->set_tensor_content("abc");
  tensor->mutable_tensor()->mutable_tensor_shape()->mutable_dim(0)->set_size(3);
  EXPECT_THAT(run_error(answer), HasSubstr("'y:0'"));
  ASSERT_TRUE(to_proto(Tensor(9.0f), tensor->mutable_tensor()).ok());
  master_.give("RunStep", answer);
  EXPECT_EQ(session_.run(y_).scalar<float>(), 9);
}

TEST_F(HostileServerTest, errors_of_no_known_class) {
  pb::RunStepResponse answer;
  answer.set_status_code(static_cast<pb::error::Code>(4711));
  answer.set_status_error_message("what is this? {{node nowhere");
  master_.give("RunStep", answer);
  EXPECT_THAT(error_of<errors::UnknownError>([&] { session_.run(y_); }), HasSubstr("what is this?"));
  answer.set_status_code(pb::error::OUT_OF_RANGE);
  answer.set_status_error_message("{{node }} {{node y}}");
  master_.give("RunStep", answer);
  EXPECT_THAT(error_of<errors::OutOfRangeError>([&] { session_.run(y_); }), HasSubstr("{{node y}}"));
}

TEST_F(HostileServerTest, callables_with_other_values_than_asked_for) {
  pb::MakeCallableResponse made;
  made.set_handle(7);
  master_.give("MakeCallable", made);
  master_.give("ReleaseCallable", std::string());
  pb::RunCallableResponse answer;
  master_.give("RunCallable", answer);
  const Callable callable = session_.make_callable({y_});
  EXPECT_THAT(error_of<errors::InternalError>([&] { callable(); }), HasSubstr("gave 0 values of 1"));
  ASSERT_TRUE(to_proto(Tensor("text"), answer.add_fetch()).ok());
  master_.give("RunCallable", answer);
  EXPECT_THAT(error_of<errors::InternalError>([&] { callable(); }), HasSubstr("gave string"));
}

TEST_F(HostileServerTest, metadata_of_any_kind) {
  pb::RunStepResponse answer;
  answer.add_tensor()->set_name("y:0");
  ASSERT_TRUE(to_proto(Tensor(9.0f), answer.mutable_tensor(0)->mutable_tensor()).ok());
  pb::NodeExecStats* const node = answer.mutable_metadata()->mutable_step_stats()->add_dev_stats()->add_node_stats();
  node->set_all_start_micros(INT64_MAX);
  node->set_all_end_rel_micros(INT64_MIN);
  master_.give("RunStep", answer);
  RunMetadata metadata;
  session_.run({y_}, {}, {.trace_level = RunOptions::FULL_TRACE}, &metadata);
  EXPECT_EQ(metadata.step_stats.size(), 1u);
}

// No answer ever comes: a timeout or a close ends the wait, and closing itself waits some seconds at most.
TEST_F(HostileServerTest, silence) {
  EXPECT_THROW(session_.run(y_, {}, {.timeout_in_ms = 100}), errors::DeadlineExceededError);
  auto waits =
      std::async(std::launch::async, [&] { return error_of<errors::CancelledError>([&] { session_.run(y_); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  session_.close();
  EXPECT_THAT(waits.get(), HasSubstr("closed"));

  const FakeMaster mute;
  const Session other({.target = mute.target()});
  auto creates =
      std::async(std::launch::async, [&] { return error_of<errors::CancelledError>([&] { other.run(y_); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto before = Clock::now();
  other.close();
  EXPECT_THAT(creates.get(), HasSubstr("closed"));
  EXPECT_LT(Clock::now() - before, std::chrono::seconds(2));
}

TEST(Limits, messages_that_are_too_large_for_the_server) {
  const std::unique_ptr<Server> server = *Server::start({.max_message_bytes = 100'000});
  const auto as_default = Graph().as_default();
  const Output x = placeholder(float32, PartialTensorShape({-1})), sum = reduce_sum(x);
  const Output n = placeholder(int32, PartialTensorShape({1})), many = fill(n, 1.0f);
  const Session session({.target = server->target()});
  const auto too_large = [](auto run) { return error_of<errors::ResourceExhaustedError>(run); };
  EXPECT_THAT(too_large([&] { session.run(sum, {{x, std::vector<float>(100'000)}}); }), HasSubstr("larger than max"));
  EXPECT_THAT(too_large([&] { session.run(many, {{n, std::vector<int>{100'000}}}); }), HasSubstr("larger than max"));
  EXPECT_EQ(session.run(sum, {{x, std::vector<float>(10, 1.0f)}}).scalar<float>(), 10);
}

}  // namespace
}  // namespace millrace
