#include "millrace/train/evaluation_hooks.h"

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class EvaluationHooksTest : public SupervisionTest {
 protected:
  // Trains `steps` steps with evaluations that give these values of "m" every second step; returns the steps made.
  int64_t train(const std::vector<double>& values, std::vector<Hook> hooks, int64_t steps) {
    auto as_default = Graph().as_default();
    const Model model = make_model();
    size_t next = 0;
    const auto evaluate = [&](Session&, int64_t) {
      return std::map<std::string, double>{{"m", values[std::min(next++, values.size() - 1)]}};
    };
    hooks.insert(hooks.begin(), EvaluationHook(evaluate, {.every_n_steps = 2, .at_end = false, .output_dir = dir()}));
    hooks.push_back(StopAtStepHook({.last_step = steps}));
    int64_t made = 0;
    MonitoredSession session({.hooks = std::move(hooks)});
    for (; !session.should_stop(); ++made) session.run(model.train);
    return made;
  }
  static EarlyStoppingOptions every_step() { return {.run_every_secs = std::nullopt, .run_every_steps = 1}; }
};

TEST_F(EvaluationHooksTest, evaluates_on_a_cadence_and_at_the_end) {
  auto as_default = Graph().as_default();
  const Model model = make_model();
  std::vector<int64_t> steps;
  {
    const auto evaluate = [&](Session& session, int64_t step) {
      steps.push_back(step);
      return std::map<std::string, double>{{"loss", session.run(model.loss).scalar<float>()}, {"a", 1}};
    };
    MonitoredSession session({.hooks = {EvaluationHook(evaluate, {.every_n_steps = 2, .output_dir = dir()}),
                                        StopAtStepHook({.last_step = 5})}});
    while (!session.should_stop()) session.run(model.train);
  }
  EXPECT_THAT(steps, ElementsAre(2, 4, 5));
  EXPECT_THAT(log(), testing::Contains("Evaluation at global step 2: a = 1, loss = 0.366025"));
  const auto metrics = read_eval_metrics(dir());
  ASSERT_EQ(metrics.size(), 3u);
  EXPECT_NEAR(metrics.at(2).at("loss"), 0.36602488, 1e-6);
  EXPECT_EQ(metrics.at(5).at("a"), 1);
  EXPECT_TRUE(read_eval_metrics(dir() + "/missing").empty());
}

TEST_F(EvaluationHooksTest, stops_without_improvement) {
  EXPECT_LT(train({5, 4, 4, 4, 4}, {stop_if_no_decrease_hook(dir(), "m", 4, every_step())}, 40), 40);
  EXPECT_THAT(log(), testing::Contains("No decrease in metric \"m\" for 4 steps, which is greater than or equal to "
                                       "max steps (4) configured for early stopping."));
  EXPECT_THAT(log(), testing::Contains(HasSubstr("Requesting early stopping at global step ")));
}

TEST_F(EvaluationHooksTest, goes_on_while_it_gets_better) {
  EXPECT_EQ(train({1, 2, 3, 4, 5, 6}, {stop_if_no_increase_hook(dir(), "m", 4, every_step())}, 10), 10);
  EXPECT_LT(train({6, 5, 4, 3, 2, 1}, {stop_if_no_increase_hook(dir(), "m", 4, every_step())}, 10), 10);
}

TEST_F(EvaluationHooksTest, stops_beyond_a_threshold) {
  EXPECT_LT(train({1, 2, 3, 4}, {stop_if_higher_hook(dir(), "m", 2.5, every_step())}, 40), 40);
  EXPECT_THAT(log(), testing::Contains("At step 6, metric \"m\" has value 3 which is higher than the configured "
                                       "threshold (2.5) for early stopping."));
}

TEST_F(EvaluationHooksTest, early_metrics_do_not_count) {
  EarlyStoppingOptions options = every_step();
  options.min_steps = 5;
  EXPECT_EQ(train({1, 1, 9}, {stop_if_lower_hook(dir(), "m", 2, options)}, 10), 10);
}

TEST_F(EvaluationHooksTest, bad_arguments_are_refused) {
  const auto never = [] { return false; };
  EXPECT_THROW(EarlyStoppingHook(never, {.run_every_secs = 1, .run_every_steps = 1}), errors::InvalidArgumentError);
  EXPECT_THROW(EarlyStoppingHook({}), errors::InvalidArgumentError);
  EXPECT_THROW(EvaluationHook([](Session&, int64_t) { return std::map<std::string, double>(); }, {}),
               errors::InvalidArgumentError);
  EXPECT_THAT(
      error_of<errors::NotFoundError>([&] { train({1}, {stop_if_lower_hook(dir(), "other", 2, every_step())}, 10); }),
      HasSubstr("no metric 'other'"));
}

}  // namespace
}  // namespace millrace::train
