// Single hooks, as TensorFlow 2.21's behave.
#include "millrace/train/hooks.h"

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

class HooksTest : public SupervisionTest {
 protected:
  // Trains make_model with these hooks for `steps` steps.
  void train(std::vector<Hook> hooks, int64_t steps) {
    const Model model = make_model();
    hooks.push_back(StopAtStepHook({.last_step = steps}));
    MonitoredSession session({.hooks = std::move(hooks)});
    while (!session.should_stop()) session.run(model.train);
  }
  std::vector<std::string> log_after(const std::string& line) const {
    std::vector<std::string> lines = log();
    const auto at = std::ranges::find(lines, line);
    return at == lines.end() ? std::vector<std::string>() : std::vector<std::string>(at + 1, lines.end());
  }
  std::vector<std::string> log_of_run() const { return log_after("Done running local_init_op."); }
};

TEST_F(HooksTest, timer_triggers_by_steps_or_seconds) {
  SecondOrStepTimer steps(std::nullopt, 2);
  EXPECT_TRUE(steps.should_trigger_for_step(1));
  EXPECT_FALSE(steps.update_last_triggered_step(1).has_value());
  EXPECT_FALSE(steps.should_trigger_for_step(1));
  EXPECT_FALSE(steps.should_trigger_for_step(2));
  EXPECT_TRUE(steps.should_trigger_for_step(3));
  EXPECT_EQ(steps.update_last_triggered_step(5)->steps, 4);
  EXPECT_EQ(steps.last_triggered_step(), 5);
  steps.reset();
  EXPECT_TRUE(steps.should_trigger_for_step(5));
  SecondOrStepTimer seconds(3600.0, std::nullopt);
  seconds.update_last_triggered_step(0);
  EXPECT_FALSE(seconds.should_trigger_for_step(1000000));
  EXPECT_EQ(error_of<errors::InvalidArgumentError>([] { SecondOrStepTimer(1.0, 1); }),
            "Can not provide both every_secs and every_steps.");
  EXPECT_EQ(error_of<errors::InvalidArgumentError>([] { SecondOrStepTimer({}, {}); }),
            "Either every_secs or every_steps should be provided.");
}

TEST_F(HooksTest, logs_tensors_by_name_sorted_by_tag_and_at_the_end) {
  auto as_default = Graph().as_default();
  constant(std::vector<int32_t>{1, 2}, {.name = "b"});
  train({LoggingTensorHook({{"z", "b:0"}, {"loss", "loss"}}, {.every_n_iter = 2, .at_end = true})}, 3);
  EXPECT_THAT(log_of_run(), ElementsAre("loss = 4.0, z = [1 2]", MatchesRegex("loss = 0.36602.*, z = .1 2. .T sec."),
                                        MatchesRegex("loss = 0.11072.*, z = .1 2. .T sec.")));
}

TEST_F(HooksTest, logs_only_at_the_end_and_with_a_formatter) {
  auto as_default = Graph().as_default();
  train({LoggingTensorHook({{"loss", "loss:0"}}, {.at_end = true}),
         LoggingTensorHook({{"loss", "loss:0"}}, {.every_n_secs = 3600,
                                                  .formatter =
                                                      [](const std::map<std::string, Tensor>& values) {
                                                        return "the loss: " + values.at("loss").to_string();
                                                      }})},
        2);
  EXPECT_THAT(log_of_run(), ElementsAre("the loss: 4.0", MatchesRegex("loss = 0.36602.*")));
}

TEST_F(HooksTest, logging_refuses_contradictions_and_strange_tensors) {
  const auto refused = [](const LoggingTensorOptions& options) {
    return error_of<errors::InvalidArgumentError>([&] { LoggingTensorHook({{"x", "x"}}, options); });
  };
  constexpr const char* kOne = "either at_end and/or exactly one of every_n_iter and every_n_secs must be provided.";
  EXPECT_EQ(refused({}), kOne);
  EXPECT_EQ(refused({.every_n_iter = 1, .every_n_secs = 1}), kOne);
  EXPECT_EQ(refused({.every_n_iter = 0}), "invalid every_n_iter=0.");
  const Graph other;
  Output elsewhere;
  {
    auto as_default = other.as_default();
    elsewhere = constant(1.0);
  }
  auto as_default = Graph().as_default();
  split(constant(std::vector<float>{1, 2}), 2, {.name = "halves"});
  EXPECT_THROW(LoggingTensorHook({{"x", elsewhere}}, {.every_n_iter = 1}).begin(), errors::InvalidArgumentError);
  EXPECT_THROW(LoggingTensorHook({{"x", "missing:0"}}, {.every_n_iter = 1}).begin(), errors::OpError);
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([] {
                LoggingTensorHook({{"x", "halves"}}, {.every_n_iter = 1}).begin();
              }),
              HasSubstr("is ambiguous"));
}

TEST_F(HooksTest, counts_steps_by_exactly_one_cadence) {
  EXPECT_EQ(error_of<errors::InvalidArgumentError>([] { StepCounterHook({.every_n_secs = 1}); }),
            "exactly one of every_n_steps and every_n_secs should be provided.");
  EXPECT_THROW(StepCounterHook({.every_n_steps = std::nullopt}), errors::InvalidArgumentError);
  EXPECT_NO_THROW(StepCounterHook({.every_n_steps = std::nullopt, .every_n_secs = 1}));
}

// Notes what it is told, and asks to stop after the save at a given step.
class Listener : public CheckpointSaverListener {
 public:
  explicit Listener(int64_t stop_at) : stop_at_(stop_at) {}
  void begin() override { trace().push_back("begin"); }
  void before_save(Session&, int64_t step) override { trace().push_back("before " + std::to_string(step)); }
  bool after_save(Session&, int64_t step) override {
    trace().push_back("after " + std::to_string(step));
    return step == stop_at_;
  }
  void end(Session&, int64_t step) override { trace().push_back("end " + std::to_string(step)); }

 private:
  int64_t stop_at_;
};

TEST_F(HooksTest, listeners_of_checkpoints_may_stop_training) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  add_to_collection(GraphKeys::SAVERS, Saver());
  {
    MonitoredSession session({.hooks = {CheckpointSaverHook({.checkpoint_dir = dir(),
                                                             .save_steps = 2,
                                                             .listeners = {std::make_shared<Listener>(4)},
                                                             .save_graph_def = false})}});
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_THAT(trace(),
              ElementsAre("begin", "before 0", "after 0", "before 2", "after 2", "before 4", "after 4", "end 4"));
  EXPECT_THAT(log(), testing::Contains(HasSubstr("A CheckpointSaverListener requested that training be stopped.")));
  EXPECT_FALSE(std::filesystem::exists(dir() + "/graph.pbtxt"));
  EXPECT_FALSE(std::filesystem::exists(dir() + "/model.ckpt-4.meta"));
  EXPECT_TRUE(std::filesystem::exists(dir() + "/model.ckpt-4.index"));
}

TEST_F(HooksTest, a_checkpoint_needs_one_saver) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Operation init = global_variables_initializer();
  const auto create = [&] {
    CheckpointSaverHook hook({.checkpoint_dir = dir(), .save_steps = 1});
    hook.begin();
    Session session;
    session.run(init);
    Coordinator coord;
    hook.after_create_session(session, coord);
  };
  EXPECT_THAT(error_of<errors::FailedPreconditionError>(create), HasSubstr("No items in collection savers"));
  add_to_collection(GraphKeys::SAVERS, Saver());
  add_to_collection(GraphKeys::SAVERS, Saver());
  EXPECT_THAT(error_of<errors::FailedPreconditionError>(create), HasSubstr("More than one item in collection savers"));
}

TEST_F(HooksTest, feeds_what_a_function_returns) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape::scalar());
  float next = 0;
  const Hook feed = FeedFnHook([&] { return FeedDict{{x, Tensor(++next)}}; });
  MonitoredSession session({.hooks = {feed}});
  EXPECT_EQ(session.run(x).scalar<float>(), 1.0f);
  EXPECT_EQ(session.run(x).scalar<float>(), 2.0f);
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] {
                session.run(x, {{x, Tensor(5.0f)}});
              }),
              HasSubstr("Same tensor is fed by a SessionRunHook and user."));
  session.close();
}

TEST_F(HooksTest, two_hooks_must_not_feed_the_same) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape::scalar());
  const auto feed = [&] { return FeedDict{{x, Tensor(1.0f)}}; };
  MonitoredSession session({.hooks = {FeedFnHook(feed), FeedFnHook(feed)}});
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] { session.run(x); }),
              HasSubstr("Same tensor is fed by two hooks."));
}

TEST_F(HooksTest, final_ops_run_once_at_the_end) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  const Output doubled = Output(get_global_step()) * 2;
  const auto final_ops = std::make_shared<FinalOpsHook>(std::vector<Fetch>{doubled});
  {
    MonitoredSession session({.hooks = {StopAtStepHook({.last_step = 3}), final_ops}});
    while (!session.should_stop()) session.run(model.train);
    EXPECT_TRUE(final_ops->final_ops_values().empty());
  }
  ASSERT_EQ(final_ops->final_ops_values().size(), 1u);
  EXPECT_EQ(final_ops->final_ops_values()[0].scalar<int64_t>(), 6);
}

TEST_F(HooksTest, final_ops_that_read_an_ended_input_say_so) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output next = data::Dataset::range(1).make_one_shot_iterator().get_next<1>()[0];
  MonitoredSession session({.hooks = {FinalOpsHook({next})}});
  session.run(next);
  EXPECT_THROW(session.close(), errors::OutOfRangeError);
  EXPECT_THAT(log().back(), HasSubstr("FinalOpsHook"));
}

TEST_F(HooksTest, waits_for_the_global_step) {
  auto as_default = Graph().as_default();
  const Variable step = get_or_create_global_step();
  const Output count = step.assign_add(1);
  MonitoredSession session({.hooks = {GlobalStepWaiterHook(3)}});
  Thread chief("chief", [&] {
    for (int i = 0; i < 3; ++i) session.raw_session().run(count);
  });
  chief.start();
  EXPECT_GE(session.run({count})[0].scalar<int64_t>(), 4);
  chief.join();
  EXPECT_EQ(log().back(), "Waiting for global step 3 before starting training.");
  session.run({count});
  EXPECT_EQ(log().size(), 4u);  // said once
}

TEST_F(HooksTest, profiles_every_so_many_steps) {
  auto as_default = Graph().as_default();
  std::filesystem::create_directories(dir());
  train({ProfilerHook({.save_steps = 2, .output_dir = dir()})}, 5);
  EXPECT_THAT(log_of_run(), ElementsAre("Saving timeline for 2 into 'ck/timeline-2.json'.",
                                        "Saving timeline for 4 into 'ck/timeline-4.json'."));
  EXPECT_THAT(files(), ElementsAre("events", "timeline-2.json", "timeline-4.json"));
  std::ifstream file(dir() + "/timeline-2.json");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("\"traceEvents\""));
  EXPECT_THAT(text, HasSubstr("ApplyGradientDescent"));
  summary::FileWriterCache::get(dir()).flush();
  std::vector<std::string> tags;
  for (const tensorflow::Event& event : events_in(dir())) {
    if (event.has_tagged_run_metadata()) tags.push_back(event.tagged_run_metadata().tag());
  }
  EXPECT_THAT(tags, ElementsAre("step_2", "step_4"));
  EXPECT_THAT(text, testing::Not(HasSubstr("\"Memory\"")));
  EXPECT_THROW(ProfilerHook({}), errors::InvalidArgumentError);
}

TEST_F(HooksTest, profiles_memory_where_asked) {
  auto as_default = Graph().as_default();
  std::filesystem::create_directories(dir());
  train({ProfilerHook({.save_steps = 2, .output_dir = dir(), .show_memory = true})}, 3);
  std::ifstream file(dir() + "/timeline-2.json");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("\"cat\": \"Memory\", \"ph\": \"C\""));
  EXPECT_THAT(text, HasSubstr("\"tensor_description\": \"float [], 4 bytes\""));
}

TEST_F(HooksTest, nan_of_any_float_type_is_seen) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const Output x = placeholder(float32, PartialTensorShape({1}));
  const Output narrow = cast(x, bfloat16);
  MonitoredSession session({.hooks = {NanTensorHook(narrow, {.fail_on_nan_loss = false})}});
  session.run(x, {{x, Tensor(std::vector<float>{1})}});
  EXPECT_FALSE(session.should_stop());
  session.run(x, {{x, Tensor(std::vector<float>{NAN})}});
  EXPECT_TRUE(session.should_stop());
}

}  // namespace
}  // namespace millrace::train
