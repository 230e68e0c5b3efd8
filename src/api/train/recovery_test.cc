// Supervised sessions where something goes wrong: hooks that throw, lost machines, threads, full disks.

#include "api/train/testing.h"
#include "io/faulty_file_system.h"

namespace millrace::train {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// Throws `error` at the n-th (from 1) call of one of its five methods.
template <class Error> class Thrower : public SessionRunHook {
 public:
  Thrower(std::string call, int count) : call_(std::move(call)), left_(std::make_shared<int>(count)) {}
  void begin() override { meet("begin"); }
  void after_create_session(Session&, Coordinator&) override { meet("after_create_session"); }
  std::optional<SessionRunArgs> before_run(SessionRunContext&) override {
    meet("before_run");
    return std::nullopt;
  }
  void after_run(SessionRunContext&, const SessionRunValues&) override { meet("after_run"); }
  void end(Session&) override { meet("end"); }

 private:
  void meet(const std::string& call) {
    if (call == call_ && --*left_ == 0) throw Error("thrown in " + call);
  }
  std::string call_;
  std::shared_ptr<int> left_;
};

class RecoveryTest : public SupervisionTest {
 protected:
  // Trains up to step 3, tracing with A around the given hook, and says what error left.
  template <class Error> std::string train(Hook hook, const std::string& checkpoint_dir = {}) {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    return error_of<Error>([&] {
      auto session = MonitoredTrainingSession({.checkpoint_dir = checkpoint_dir,
                                               .hooks = {Tracer("A"), hook, StopAtStepHook({.last_step = 3})},
                                               .save_checkpoint_steps = 1});
      while (!session.should_stop()) session.run(model.train);
    });
  }
  static long count(const std::string& call) {
    return std::ranges::count_if(trace(), [&](const std::string& line) { return line.starts_with(call); });
  }
};

TEST_F(RecoveryTest, an_error_of_a_hook_leaves_the_session) {
  using Thrown = Thrower<errors::InternalError>;
  for (const char* call : {"begin", "after_create_session", "before_run", "after_run", "end"}) {
    trace().clear();
    EXPECT_EQ(train<errors::InternalError>(Thrown(call, 1)), std::string("thrown in ") + call);
    // Only a loop that came to its end calls end; the hooks behind the one that threw there are not called.
    EXPECT_EQ(count("A.end"), std::string(call) == "end" ? 1 : 0) << call;
  }
}

TEST_F(RecoveryTest, any_exception_of_a_hook_is_an_error) {
  EXPECT_EQ(train<std::runtime_error>(Thrower<std::runtime_error>("after_run", 2)), "thrown in after_run");
  EXPECT_EQ(count("A.after_run"), 2);
  EXPECT_EQ(count("A.end"), 0);
}

TEST_F(RecoveryTest, a_lost_machine_makes_a_new_session_wherever_it_shows) {
  for (const char* call : {"after_create_session", "before_run", "after_run"}) {
    for (const bool aborted : {true, false}) {
      trace().clear();
      std::filesystem::remove_all(dir());
      const std::string error = aborted ? train<errors::OpError>(Thrower<errors::AbortedError>(call, 1), dir())
                                        : train<errors::OpError>(Thrower<errors::UnavailableError>(call, 1), dir());
      EXPECT_EQ(error, "no error") << call;
      EXPECT_EQ(count("A.begin"), 1) << call;
      EXPECT_EQ(count("A.after_create_session"), 2) << call;
      EXPECT_EQ(trace().back(), "A.end") << call;
    }
  }
  EXPECT_THAT(log(), Contains(HasSubstr("An error was raised while a session was being created. This may be due to a "
                                        "preemption of a connected worker or parameter server.")));
}

TEST_F(RecoveryTest, lost_machines_are_recovered_from_as_often_as_needed) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  class Flaky : public SessionRunHook {
   public:
    explicit Flaky(int* calls) : calls_(calls) {}
    void after_run(SessionRunContext&, const SessionRunValues&) override {
      if (++*calls_ % 2 == 1) throw errors::UnavailableError("gone");
    }

   private:
    int* calls_;
  };
  int calls = 0;
  {
    auto session = MonitoredTrainingSession({.checkpoint_dir = dir(),
                                             .hooks = {Flaky(&calls), StopAtStepHook({.last_step = 4})},
                                             .save_checkpoint_steps = 1});
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_EQ(*latest_checkpoint(dir()), dir() + "/model.ckpt-4");
  EXPECT_GE(calls, 4);
}

TEST_F(RecoveryTest, a_singular_session_does_not_recover) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  EXPECT_THROW(
      {
        SingularMonitoredSession session(
            {.hooks = {Tracer("A"), Thrower<errors::AbortedError>("before_run", 2)}, .checkpoint_dir = dir()});
        while (!session.should_stop()) session.run(model.train);
      },
      errors::AbortedError);
  EXPECT_EQ(count("A.after_create_session"), 1);
  EXPECT_EQ(count("A.end"), 0);
}

// Starts a thread that reports an error, or one that does not stop.
class Threads : public SessionRunHook {
 public:
  explicit Threads(std::function<void(Coordinator&)> body) : body_(std::move(body)) {}
  void after_create_session(Session&, Coordinator& coord) override {
    Thread thread("worker", [body = body_, &coord] { coord.stop_on_exception([&] { body(coord); }); });
    coord.register_thread(thread);
    thread.start();
  }

 private:
  std::function<void(Coordinator&)> body_;
};

TEST_F(RecoveryTest, an_error_of_a_thread_ends_the_loop_and_leaves_at_its_end) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  EXPECT_EQ(error_of<errors::DataLossError>([&] {
              MonitoredSession session(
                  {.hooks = {Tracer("A"), Threads([](Coordinator&) { throw errors::DataLossError("bad file"); })}});
              while (!session.should_stop()) session.run(model.train);
            }),
            "bad file");
  EXPECT_EQ(trace().back(), "A.end");
  EXPECT_THAT(log(), Contains("Error reported to Coordinator: bad file"));
}

TEST_F(RecoveryTest, a_thread_that_meets_a_lost_machine_makes_a_new_session) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  std::atomic<int> starts = 0;
  {
    MonitoredSession session({.hooks = {Tracer("A"), Threads([&](Coordinator& coord) {
                                          if (++starts == 1) throw errors::AbortedError("preempted");
                                          coord.wait_for_stop();
                                        })}});
    while (starts < 2) {
      ASSERT_FALSE(session.should_stop());
      session.run(model.train);
    }
  }
  EXPECT_EQ(count("A.after_create_session"), 2);
  EXPECT_THAT(log(), Contains(HasSubstr("An error was raised while considering whether the session is complete.")));
}

TEST_F(RecoveryTest, threads_that_do_not_stop_are_left_after_the_grace_period) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  std::atomic<bool> release = false, ended = false;
  {
    MonitoredSession session({.hooks = {Threads([&](Coordinator& coord) {
                                while (!release) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                EXPECT_TRUE(coord.should_stop());  // it may look at it still
                                ended = true;
                              })},
                              .stop_grace_period_secs = 0.05});
  }
  EXPECT_THAT(log(), Contains("Coordinator stopped with threads still running: worker"));
  release = true;
  while (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(RecoveryTest, a_step_function_runs_with_and_without_hooks_and_may_stop) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  MonitoredSession session({.hooks = {Tracer("A")}});
  EXPECT_TRUE(session.run_step_fn([&](MonitoredSession::StepContext& step) {
    step.session().run(model.loss);
    step.run_with_hooks({model.train});
  }));
  EXPECT_EQ(count("A.before_run"), 1);
  EXPECT_FALSE(session.run_step_fn([&](MonitoredSession::StepContext& step) {
    step.request_stop();
    ADD_FAILURE() << "request_stop returned";
  }));
  EXPECT_TRUE(session.should_stop());
  EXPECT_EQ(error_of<errors::FailedPreconditionError>([&] { session.run(model.loss); }),
            "Run called even after should_stop requested.");
  session.close();
  EXPECT_EQ(error_of<errors::FailedPreconditionError>([&] { session.run(model.loss); }), "Session is already closed.");
}

TEST_F(RecoveryTest, an_error_that_the_program_handles_does_not_end_the_session) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape::scalar());
  {
    MonitoredSession session({.hooks = {Tracer("A")}});
    EXPECT_THROW(session.run(x), errors::InvalidArgumentError);  // nothing is fed
    EXPECT_EQ(session.run(x, {{x, Tensor(2.0f)}}).scalar<float>(), 2.0f);
  }
  EXPECT_EQ(trace().back(), "A.end");
}

TEST_F(RecoveryTest, a_full_disk_ends_training_and_leaves_earlier_checkpoints_whole) {
  FaultyFileSystem disk("supervised");
  const std::string run = "supervised://run";
  {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    auto session = MonitoredTrainingSession({.checkpoint_dir = run,
                                             .hooks = {StopAtStepHook({.last_step = 2})},
                                             .save_checkpoint_steps = 2,
                                             .save_summaries_steps = std::nullopt,
                                             .log_step_count_steps = std::nullopt});
    while (!session.should_stop()) session.run(model.train);
  }
  {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    EXPECT_THROW(
        {
          auto session = MonitoredTrainingSession({.checkpoint_dir = run,
                                                   .hooks = {Tracer("A")},
                                                   .save_checkpoint_steps = 2,
                                                   .save_summaries_steps = std::nullopt,
                                                   .log_step_count_steps = std::nullopt});
          disk.set_capacity(1);
          while (!session.should_stop()) session.run(model.train);
        },
        errors::OpError);
    EXPECT_EQ(count("A.end"), 0);
  }
  disk.set_capacity(uint64_t{1} << 30);
  {
    auto as_default = Graph().as_default();
    make_model();
    auto session = MonitoredTrainingSession({.checkpoint_dir = run,
                                             .hooks = {Tracer("B")},
                                             .save_checkpoint_secs = std::nullopt,
                                             .save_summaries_steps = std::nullopt,
                                             .log_step_count_steps = std::nullopt});
    EXPECT_THAT(trace(), Contains("B.after_create_session 2"));
  }
  summary::FileWriterCache::clear();  // while the disk is there
}

}  // namespace
}  // namespace millrace::train
