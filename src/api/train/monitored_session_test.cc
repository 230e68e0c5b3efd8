// Supervised sessions: the scenarios of TensorFlow 2.21 as C++ programs, with what is known of them;
// tests/supervision_test.cc holds more of them against records.
#include "millrace/train/monitored_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "api/train/testing.h"
#include "io/faulty_file_system.h"
#include "millrace/millrace.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using MonitoredSessionTest = SupervisionTest;

TEST_F(MonitoredSessionTest, trains_saves_and_logs_as_tensorflow_does) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  std::vector<float> losses;
  {
    auto session = MonitoredTrainingSession({.checkpoint_dir = dir(),
                                             .hooks = {Tracer("A"), Tracer("B"), StopAtStepHook({.last_step = 7}),
                                                       LoggingTensorHook({{"loss", model.loss}}, {.every_n_iter = 2})},
                                             .chief_only_hooks = {Tracer("C")},
                                             .save_checkpoint_steps = 3,
                                             .save_summaries_steps = 2,
                                             .log_step_count_steps = 4});
    while (!session.should_stop()) losses.push_back(session.run({model.loss, model.train})[0].scalar<float>());
  }
  const std::vector<float> expected = {4.0f,        1.2099998f,    0.36602488f,  0.11072253f,
                                       0.03349357f, 0.0101318058f, 0.0030648704f};
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-5 * expected[i]);

  std::vector<std::string> calls = {"C.begin",
                                    "A.begin",
                                    "B.begin",
                                    "C.after_create_session 0",
                                    "A.after_create_session 0",
                                    "B.after_create_session 0"};
  for (int step = 1; step <= 7; ++step) {
    for (const char* hook : {"C", "A", "B"}) calls.push_back(std::string(hook) + ".before_run");
    for (const char* hook : {"C", "A", "B"}) calls.push_back(std::string(hook) + ".after_run " + std::to_string(step));
  }
  for (const char* hook : {"C", "A", "B"}) calls.push_back(std::string(hook) + ".end");
  EXPECT_EQ(trace(), calls);

  std::vector<std::string> kept = {"checkpoint", "events", "graph.pbtxt"};
  for (const char* step : {"0", "3", "6", "7"}) {
    for (const char* part : {".data-00000-of-00001", ".index", ".meta"})
      kept.push_back(std::string("model.ckpt-") + step + part);
  }
  EXPECT_EQ(files(), kept);

  std::vector<std::string> lines = {"Create CheckpointSaverHook.", "Graph was finalized.", "Running local_init_op.",
                                    "Done running local_init_op."};
  const auto saves = [&](int step) {
    const std::string s = std::to_string(step);
    lines.push_back("Calling checkpoint listeners before saving checkpoint " + s + "...");
    lines.push_back("Saving checkpoints for " + s + " into ck/model.ckpt.");
    lines.push_back("Calling checkpoint listeners after saving checkpoint " + s + "...");
  };
  saves(0);
  lines.push_back("loss = 4.0");
  saves(3);
  lines.insert(lines.end(), {"loss = 0.36602488 (T sec)", "global_step/sec", "loss = 0.03349357 (T sec)"});
  saves(6);
  lines.push_back("loss = 0.0030648704 (T sec)");
  saves(7);
  // The last digits of the losses may differ.
  const auto shortened = [](std::vector<std::string> all) {
    for (std::string& line : all) {
      if (line.starts_with("loss = 0."))
        line = line.substr(0, 14) + line.substr(std::min(line.size(), line.find(" (")));
    }
    return all;
  };
  EXPECT_EQ(shortened(log()), shortened(lines));
  EXPECT_THAT(event_names(dir()),
              ElementsAre("version 0", "graph 0", "meta_graph 0", "graph 0", "meta_graph 0", "session_log:3 0",
                          "session_log:1 1", "summary:loss_1 1", "summary:loss_1 3", "session_log:3 3",
                          "summary:global_step/sec 5", "summary:loss_1 5", "session_log:3 6", "summary:loss_1 7"));
}

TEST_F(MonitoredSessionTest, resumes_from_the_checkpoint) {
  for (const int64_t stop : {3, 5}) {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    auto session = MonitoredTrainingSession({.checkpoint_dir = dir(),
                                             .hooks = {Tracer("A"), StopAtStepHook({.last_step = stop})},
                                             .save_checkpoint_steps = 100});
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_THAT(trace(), testing::Contains("A.after_create_session 3"));
  EXPECT_EQ(trace().back(), "A.end");
  EXPECT_THAT(log(), testing::Contains("Restoring parameters from ck/model.ckpt-3"));
  EXPECT_EQ(*latest_checkpoint(dir()), dir() + "/model.ckpt-5");
}

TEST_F(MonitoredSessionTest, falls_back_to_an_older_checkpoint_where_the_newest_is_damaged) {
  for (const int64_t stop : {2, 4}) {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    auto session = MonitoredTrainingSession(
        {.checkpoint_dir = dir(), .hooks = {StopAtStepHook({.last_step = stop})}, .save_checkpoint_steps = 100});
    while (!session.should_stop()) session.run(model.train);
  }
  {
    std::fstream data(dir() + "/model.ckpt-4.data-00000-of-00001", std::ios::in | std::ios::out | std::ios::binary);
    data.put('\x7f');
  }
  auto as_default = Graph().as_default();
  make_model();
  auto session = MonitoredTrainingSession({.checkpoint_dir = dir(), .hooks = {Tracer("A")}});
  EXPECT_THAT(trace(), testing::Contains("A.after_create_session 2"));
  EXPECT_THAT(log(), testing::Contains(HasSubstr("is damaged")));
}

TEST_F(MonitoredSessionTest, nan_loss_stops_training) {
  auto as_default = Graph().as_default();
  const Variable step = get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape::scalar());
  const Output loss = millrace::log(x);
  const Output count = step.assign_add(1);
  std::vector<float> values;
  {
    MonitoredSession session({.hooks = {Tracer("A"), NanTensorHook(loss, {.fail_on_nan_loss = false})}});
    for (const float fed : {1.0f, 2.0f, -1.0f, 3.0f}) {
      if (session.should_stop()) break;
      values.push_back(session.run({loss, count}, {{x, Tensor(fed)}})[0].scalar<float>());
    }
  }
  ASSERT_EQ(values.size(), 3u);
  EXPECT_TRUE(std::isnan(values[2]));
  EXPECT_EQ(trace().back(), "A.end");
  EXPECT_EQ(log().back(), "Model diverged with loss = NaN.");
}

TEST_F(MonitoredSessionTest, nan_loss_raises_and_end_is_not_called) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape::scalar());
  const Output loss = millrace::log(x);
  EXPECT_THROW(
      {
        MonitoredSession session({.hooks = {Tracer("A"), NanTensorHook(loss)}});
        session.run(loss, {{x, Tensor(1.0f)}});
        session.run(loss, {{x, Tensor(-1.0f)}});
      },
      NanLossDuringTrainingError);
  EXPECT_THAT(trace(), ElementsAre("A.begin", "A.after_create_session 0", "A.before_run", "A.after_run 0",
                                   "A.before_run", "A.after_run 0"));
}

TEST_F(MonitoredSessionTest, recovers_from_a_lost_machine) {
  class Fail : public SessionRunHook {
   public:
    explicit Fail(int* calls) : calls_(calls) {}
    std::optional<SessionRunArgs> before_run(SessionRunContext&) override {
      if (++*calls_ == 3) {
        trace().push_back("raise AbortedError");
        throw errors::AbortedError("preempted");
      }
      return std::nullopt;
    }

   private:
    int* calls_;
  };
  auto as_default = Graph().as_default();
  const Model model = make_model();
  int calls = 0;
  std::vector<int> runs;
  {
    auto session = MonitoredTrainingSession({.checkpoint_dir = dir(),
                                             .hooks = {Tracer("A"), Fail(&calls), StopAtStepHook({.last_step = 4})},
                                             .save_checkpoint_steps = 2});
    while (!session.should_stop()) {
      session.run(model.train);
      runs.push_back(calls);
    }
  }
  EXPECT_THAT(runs, ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(trace(),
              ElementsAre("A.begin", "A.after_create_session 0", "A.before_run", "A.after_run 1", "A.before_run",
                          "A.after_run 2", "A.before_run", "raise AbortedError", "A.after_create_session 2",
                          "A.before_run", "A.after_run 3", "A.before_run", "A.after_run 4", "A.end"));
  EXPECT_THAT(log(), testing::Contains(HasSubstr("An error was raised. This may be due to a preemption")));
}

TEST_F(MonitoredSessionTest, the_end_of_the_data_ends_the_loop) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output next = data::Dataset::range(3).make_one_shot_iterator().get_next<1>()[0];
  int runs = 0;
  {
    MonitoredSession session({.hooks = {Tracer("A")}});
    while (!session.should_stop()) {
      if (session.run(next.op())) ++runs;
    }
    EXPECT_TRUE(session.should_stop());
  }
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(trace().back(), "A.end");
}

TEST_F(MonitoredSessionTest, fetched_values_leave_the_end_of_the_data_as_an_exception) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output next = data::Dataset::range(1).make_one_shot_iterator().get_next<1>()[0];
  EXPECT_THROW(
      {
        MonitoredSession session({.hooks = {Tracer("A")}});
        session.run(next);
        session.run(next);
      },
      errors::OutOfRangeError);
  EXPECT_EQ(trace().back(), "A.end");  // a clean end
}

TEST_F(MonitoredSessionTest, the_graph_is_final_inside) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  {
    auto session = MonitoredTrainingSession({.hooks = {StopAtStepHook({.num_steps = 1})}});
    EXPECT_THROW(constant(1.0), errors::FailedPreconditionError);
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_NO_THROW(constant(1.0));
}

TEST_F(MonitoredSessionTest, an_uninitialized_variable_is_named) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  get_variable("w", {2});
  auto scaffold = std::make_shared<Scaffold>(ScaffoldOptions{.init_op = no_op()});
  try {
    MonitoredTrainingSession({.scaffold = scaffold});
    FAIL() << "no error";
  } catch (const errors::FailedPreconditionError& e) {
    EXPECT_THAT(e.what(), HasSubstr("w"));
    EXPECT_THAT(e.what(), HasSubstr("not initialized"));
  }
}

TEST_F(MonitoredSessionTest, contradictory_hook_arguments_are_refused) {
  EXPECT_THROW(StopAtStepHook({}), errors::InvalidArgumentError);
  EXPECT_THROW(StopAtStepHook({.num_steps = 1, .last_step = 2}), errors::InvalidArgumentError);
  EXPECT_THROW(SecondOrStepTimer(1.0, 2), errors::InvalidArgumentError);
  EXPECT_THROW(CheckpointSaverHook({.checkpoint_dir = dir(), .save_secs = 1.0, .save_steps = 1}),
               errors::InvalidArgumentError);
  auto as_default = Graph().as_default();
  EXPECT_THROW(MonitoredTrainingSession({.hooks = {StopAtStepHook({.last_step = 1})}}),
               errors::FailedPreconditionError);  // no global step
}

}  // namespace
}  // namespace millrace::train
