// Supervised sessions at a server: TF1's `master`.

#include <optional>
#include <thread>

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::Contains;
using testing::HasSubstr;

class SupervisedTest : public SupervisionTest {
 protected:
  // A server at the same address as the one before.
  void start() {
    if (address_.empty()) {
      server_.emplace(Server::create_local_server());
      address_ = server_->target().substr(std::string("grpc://").size());
    } else {
      server_.emplace(ClusterSpec{{"localhost", {address_}}});
    }
  }
  std::string target() const { return "grpc://" + address_; }
  void SetUp() override {
    SupervisionTest::SetUp();
    start();
  }

  std::string address_;
  std::optional<Server> server_;
};

TEST_F(SupervisedTest, trains_saves_and_goes_on) {
  for (const int64_t last : {5, 8}) {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    const Variable step = get_global_step();
    auto session = MonitoredTrainingSession({.master = target(),
                                             .checkpoint_dir = dir(),
                                             .hooks = {Tracer("A"), StopAtStepHook({.last_step = last})},
                                             .save_checkpoint_steps = 2,
                                             .config = {.isolate_session_state = true}});
    while (!session.should_stop()) session.run(model.train);
    session.close();
    EXPECT_EQ(load_variable(dir(), "global_step").scalar<int64_t>(), last);
  }
  EXPECT_THAT(trace(), Contains("A.after_create_session 5"));
  EXPECT_THAT(event_names(dir()), Contains("summary:loss_1 1"));
}

TEST_F(SupervisedTest, recovers_when_the_server_starts_anew) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  auto session = MonitoredTrainingSession({.master = target(),
                                           .checkpoint_dir = dir(),
                                           .hooks = {Tracer("A"), StopAtStepHook({.last_step = 6})},
                                           .save_checkpoint_steps = 1});
  for (int i = 0; i < 3; ++i) session.run(model.train);
  server_.reset();  // and with it all variables
  std::thread later([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    start();
  });
  while (!session.should_stop()) session.run(model.train);
  session.close();
  later.join();
  EXPECT_EQ(load_variable(dir(), "global_step").scalar<int64_t>(), 6);
  EXPECT_THAT(trace(), Contains("A.after_create_session 0"));
  EXPECT_THAT(trace(), Contains("A.after_create_session 3"));  // from the checkpoint
  EXPECT_EQ(std::ranges::count(trace(), "A.begin"), 1);
}

TEST_F(SupervisedTest, without_recovery_the_error_leaves) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  SingularMonitoredSession session({.master = target()});
  session.run(model.train);
  server_.reset();
  EXPECT_THAT(error_of<errors::UnavailableError>([&] { session.run(model.train); }), HasSubstr(target()));
}

TEST_F(SupervisedTest, a_worker_waits_for_its_chief) {
  std::thread worker([this] {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    const SessionManager manager({.ready_op = report_uninitialized_variables(), .recovery_wait_secs = 0.1});
    const Session session = manager.wait_for_session(target(), {.max_wait_secs = 20});
    session.run(model.train);
    auto monitored =
        MonitoredTrainingSession({.master = target(), .is_chief = false, .hooks = {StopAtStepHook({.last_step = 3})}});
    while (!monitored.should_stop()) monitored.run(model.train);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  {
    auto as_default = Graph().as_default();
    make_model();
    const Variable step = get_global_step();
    const Session chief = SessionManager({.ready_op = report_uninitialized_variables()})
                              .prepare_session(target(), {.init_op = global_variables_initializer()});
    worker.join();
    EXPECT_EQ(chief.run(step).scalar<int64_t>(), 3);  // the worker's steps, on shared variables
  }
}

TEST_F(SupervisedTest, queue_runners_and_a_supervisor) {
  auto as_default = Graph().as_default();
  const Output numbers = range_input_producer(100, {.shuffle = false, .capacity = 4}).dequeue()[0];
  const Variable total = get_variable("total", GetVariableOptions{.initializer = Tensor(0)});
  const Output add = assign_add(total, numbers);
  get_or_create_global_step();
  Supervisor supervisor({.logdir = dir()});
  supervisor.managed_session(
      [&](Session& session) {
        for (int i = 0; i < 10; ++i) session.run(add);
        EXPECT_EQ(session.run(total).scalar<int32_t>(), 45);
      },
      {.master = target()});
  EXPECT_THAT(files(), Contains("checkpoint"));
}

}  // namespace
}  // namespace millrace::train
