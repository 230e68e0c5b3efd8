// The Supervisor: TensorFlow 2.21's trace "supervisor", its services and its waiting.
#include "millrace/train/supervisor.h"

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

using SupervisorTest = SupervisionTest;

TEST_F(SupervisorTest, does_what_tensorflows_does) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  Supervisor sv({.logdir = dir(), .summary_op = std::nullopt, .save_summaries_secs = 0, .save_model_secs = 0});
  EXPECT_EQ(sv.init_op().name(), "init");
  EXPECT_EQ(sv.ready_op().name(), "report_uninitialized_variables/boolean_mask/GatherV2:0");
  EXPECT_FALSE(sv.ready_for_local_init_op());
  EXPECT_EQ(sv.local_init_op().name(), "group_deps");
  EXPECT_FALSE(sv.summary_op());
  EXPECT_EQ(sv.save_path(), dir() + "/model.ckpt");
  EXPECT_THROW(constant(1.0), errors::FailedPreconditionError);  // the graph is final
  {
    auto managed = sv.managed_session();
    Session& session = managed.session();
    for (int i = 0; i < 4 && !sv.should_stop(); ++i) session.run(model.train);
    Saver(sv.saver()).save(session, sv.save_path(), {.global_step = global_step(session, sv.global_step())});
    sv.request_stop();
  }
  EXPECT_TRUE(sv.should_stop());
  EXPECT_THAT(files(), ElementsAre("checkpoint", "events", "graph.pbtxt", "model.ckpt-4.data-00000-of-00001",
                                   "model.ckpt-4.index", "model.ckpt-4.meta"));
  EXPECT_THAT(event_names(dir()),
              ElementsAre("version 0", "graph 0", "meta_graph 0", "session_log:1 0", "session_log:2 0"));
  EXPECT_THAT(log(), ElementsAre("Running local_init_op.", "Done running local_init_op.", "Starting standard services.",
                                 "Starting queue runners."));
}

TEST_F(SupervisorTest, services_save_and_write_summaries) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  Supervisor sv({.logdir = dir(), .save_summaries_secs = 0.02, .save_model_secs = 0.02});
  sv.managed_session([&](Session& session) {
    for (int i = 0; i < 200 && !std::filesystem::exists(dir() + "/checkpoint"); ++i) {
      session.run(model.train);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    sv.summary_computed(session, session.run(sv.summary_op()));
  });
  EXPECT_TRUE(latest_checkpoint(dir()).has_value());
  EXPECT_THAT(log(), Contains("Saving checkpoint to path ck/model.ckpt"));
  EXPECT_THAT(log(), Contains(HasSubstr("Recording summary at step ")));
  EXPECT_THAT(log(), Contains("global_step/sec"));
  EXPECT_THAT(event_names(dir()), Contains(HasSubstr("summary:loss")));
  EXPECT_THAT(event_names(dir()), Contains(HasSubstr("summary:global_step/sec")));
  EXPECT_THAT(event_names(dir()), Contains(HasSubstr("session_log:3")));

  // A second one goes on where the first was saved.
  auto again = Graph().as_default();
  make_model();
  Supervisor second({.logdir = dir()});
  second.managed_session([&](Session& session) { EXPECT_GT(global_step(session, second.global_step()), 0); });
}

TEST_F(SupervisorTest, services_have_names_and_are_made_where_they_have_something_to_do) {
  const auto services = [&](const SupervisorOptions& options) {
    auto as_default = Graph().as_default();
    make_model();
    Supervisor sv(options);
    Session session = sv.prepare_or_wait_for_session({.start_standard_services = false});
    std::vector<std::string> names;
    const std::vector<Thread> threads = sv.start_standard_services(session);
    for (const Thread& thread : threads) names.push_back(thread.name());
    sv.stop({.threads = threads});
    return names;
  };
  EXPECT_THAT(services({.logdir = dir()}),
              ElementsAre("SVSummaryThread", "SVStepCounterThread", "SVTimerCheckpointThread"));
  EXPECT_THAT(services({.logdir = dir(), .summary_op = std::nullopt, .save_model_secs = 0}),
              ElementsAre("SVStepCounterThread"));
  EXPECT_THAT(services({.logdir = dir(), .global_step = std::nullopt, .save_summaries_secs = 0}),
              ElementsAre("SVTimerCheckpointThread"));
  EXPECT_THAT(services({}), ElementsAre());
}

TEST_F(SupervisorTest, the_end_of_the_input_is_a_clean_end_and_other_errors_leave) {
  auto as_default = Graph().as_default();
  make_model();
  Supervisor sv;
  EXPECT_NO_THROW(sv.managed_session([](Session&) { throw errors::OutOfRangeError("the end"); }));
  EXPECT_EQ(error_of<errors::DataLossError>(
                [&] { sv.managed_session([](Session&) { throw errors::DataLossError("lost"); }); }),
            "lost");
  EXPECT_EQ(error_of<errors::AbortedError>([&] {
              auto managed = sv.managed_session();
              throw errors::AbortedError("preempted");
            }),
            "preempted");
  EXPECT_THAT(log(), Contains("Standard services need a 'logdir' passed to the SessionManager"));
}

TEST_F(SupervisorTest, an_error_of_a_thread_leaves_the_scope) {
  auto as_default = Graph().as_default();
  make_model();
  Supervisor sv;
  EXPECT_EQ(error_of<errors::UnavailableError>([&] {
              auto managed = sv.managed_session();
              sv.loop(0.001, [] { throw errors::UnavailableError("gone"); });
              sv.wait_for_stop();
            }),
            "gone");
}

TEST_F(SupervisorTest, starts_queue_runners) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue(2, {int64}, {.shapes = {PartialTensorShape::scalar()}});
  add_queue_runner(
      QueueRunner(queue, {queue.enqueue({data::Dataset::range(3).make_one_shot_iterator().get_next<1>()[0]})}));
  const Output value = queue.dequeue()[0];
  Supervisor sv;
  std::vector<int64_t> values;
  sv.managed_session([&](Session& session) {
    while (true) values.push_back(session.run(value).scalar<int64_t>());
  });
  EXPECT_THAT(values, ElementsAre(0, 1, 2));
}

TEST_F(SupervisorTest, others_wait_for_the_chief) {
  {
    auto as_default = Graph().as_default();
    make_model();
    EXPECT_THAT(error_of<errors::InvalidArgumentError>([] { Supervisor({.is_chief = false}); }),
                HasSubstr("all Variables must have their device set"));
  }
  auto as_default = Graph().as_default();
  const device cpu("/cpu:0");
  get_variable("w", GetVariableOptions{.initializer = Tensor(2.0f)});
  Supervisor sv({.is_chief = false, .logdir = dir(), .recovery_wait_secs = 0.05});
  EXPECT_THROW(sv.prepare_or_wait_for_session({.max_wait_secs = 0.1}), errors::DeadlineExceededError);
  Session session;
  EXPECT_THROW(sv.start_standard_services(session), errors::FailedPreconditionError);
  EXPECT_THROW(sv.summary_computed(session, Tensor("")), errors::FailedPreconditionError);
  EXPECT_FALSE(std::filesystem::exists(dir()));  // writes nothing
}

TEST_F(SupervisorTest, none_is_not_default) {
  auto as_default = Graph().as_default();
  make_model();
  Supervisor sv({.ready_op = std::nullopt,
                 .init_op = std::nullopt,
                 .local_init_op = std::nullopt,
                 .summary_op = std::nullopt,
                 .saver = std::nullopt,
                 .global_step = std::nullopt});
  EXPECT_FALSE(sv.ready_op() || sv.init_op() || sv.local_init_op() || sv.summary_op() || sv.saver() ||
               sv.global_step());
  EXPECT_EQ(error_of<errors::FailedPreconditionError>([&] { auto managed = sv.managed_session(); }),
            "Model is not initialized and no init_op or init_fn or local_init_op was given");
}

}  // namespace
}  // namespace millrace::train
