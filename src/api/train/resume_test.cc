// A run that is killed at any moment and started again gives the losses of one that never was, to the last bit: the
// input pipeline's position is saved with the model.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "api/train/testing.h"

namespace tf = millrace;

namespace millrace::train {
namespace {

constexpr int64_t kSteps = 60;
constexpr const char* kDirectory = "MILLRACE_RESUME_DIRECTORY";
constexpr const char* kIterator = "MILLRACE_RESUME_ITERATOR";
constexpr const char* kPause = "MILLRACE_RESUME_PAUSE_US";

using ResumeTest = SupervisionTest;

tf::data::Iterator make_pipeline(bool one_shot) {
  std::vector<float> numbers(97);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i) / 97;
  const auto data = tf::data::Dataset::from_tensor_slices({Tensor(numbers)})
                        .shuffle(40, {.seed = 3})
                        .map([](const Output& x) { return x * 2.f; }, {.num_parallel_calls = 2})
                        .repeat()
                        .batch(8)
                        .prefetch(2);
  if (one_shot) return data.make_one_shot_iterator();
  const tf::data::Iterator iterator = data.make_initializable_iterator();
  tf::add_to_collection(GraphKeys::TABLE_INITIALIZERS, iterator.initializer());
  return iterator;
}

// Trains, and appends "step loss" (the loss as its bits) for each step to DIRECTORY/losses.
void train_and_record(const std::string& directory, bool one_shot, int pause_us) {
  const auto as_default = tf::Graph().as_default();
  tf::set_random_seed(5);
  const Output x = make_pipeline(one_shot).get_next()[0];
  const Variable w = tf::get_variable("w", GetVariableOptions{.initializer = Tensor(0.0f)});
  const Output loss = tf::reduce_mean(tf::square(x * w - (x * 3.f + 1.f)));
  const Variable step = get_or_create_global_step();
  const Operation train = AdamOptimizer({.learning_rate = 0.05}).minimize(loss, {.global_step = step});
  std::ofstream losses(directory + "/losses", std::ios::app);
  auto session = MonitoredTrainingSession({.checkpoint_dir = directory + "/run",
                                           .hooks = {StopAtStepHook({.last_step = kSteps}), PreemptionHook(),
                                                     tf::data::experimental::CheckpointInputPipelineHook()},
                                           .save_checkpoint_secs = std::nullopt,
                                           .save_checkpoint_steps = 7,
                                           .save_summaries_steps = std::nullopt,
                                           .log_step_count_steps = std::nullopt});
  Session raw = session.raw_session();
  while (!session.should_stop()) {
    const std::vector<Tensor> values = session.run({loss, train});
    uint32_t bits = 0;
    const float value = values[0].scalar<float>();
    std::memcpy(&bits, &value, sizeof(bits));
    losses << global_step(raw, step) << " " << bits << std::endl;
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
  }
}

// What the process that is to be killed runs; by itself it does nothing.
TEST_F(ResumeTest, child) {
  const char* directory = std::getenv(kDirectory);
  if (directory == nullptr) GTEST_SKIP() << "started by the other tests only";
  train_and_record(directory, std::string_view(std::getenv(kIterator)) == "one_shot", std::atoi(std::getenv(kPause)));
}

pid_t start(const std::string& directory, const char* iterator, int pause_us) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setenv(kDirectory, directory.c_str(), 1);
  ::setenv(kIterator, iterator, 1);
  ::setenv(kPause, std::to_string(pause_us).c_str(), 1);
  ::execl("/proc/self/exe", "api_test", "--gtest_filter=ResumeTest.child", "--gtest_brief=1", nullptr);
  ::_exit(127);
}

// The losses by step. A step that was run again, after what followed the last checkpoint was lost, must give the same.
std::map<int64_t, uint32_t> read_losses(const std::string& directory) {
  std::map<int64_t, uint32_t> losses;
  std::ifstream file(directory + "/losses");
  std::string line;
  while (std::getline(file, line)) {
    if (file.eof()) break;  // a line that a kill cut short
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const int64_t step = std::atoll(line.c_str());
    const auto bits = static_cast<uint32_t>(std::strtoul(line.c_str() + space, nullptr, 10));
    const auto [known, is_new] = losses.emplace(step, bits);
    if (!is_new) EXPECT_EQ(known->second, bits) << "step " << step << " gave another loss the second time";
  }
  return losses;
}

class Resume : public SupervisionTest, public testing::WithParamInterface<const char*> {};

TEST_P(Resume, gives_the_losses_of_an_uninterrupted_run) {
  const std::string whole = dir() + "/whole", parts = dir() + "/parts";
  for (const std::string& directory : {whole, parts}) std::filesystem::create_directories(directory);
  int status = 0;
  ASSERT_EQ(::waitpid(start(whole, GetParam(), 0), &status, 0) > 0, true);
  ASSERT_EQ(status, 0);
  const std::map<int64_t, uint32_t> expected = read_losses(whole);
  ASSERT_EQ(expected.size(), static_cast<size_t>(kSteps));

  std::mt19937 random(11);
  int killed = 0, ended = 0;
  for (int attempt = 0; attempt < 40 && ended == 0; ++attempt) {
    const pid_t child = start(parts, GetParam(), 3000);
    // Later and later, faster and faster, so that a slow machine gets on too.
    const auto later = static_cast<unsigned>(attempt * attempt * 10);
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 200 + later));
    ::kill(child, attempt % 3 == 2 ? SIGTERM : SIGKILL);
    ASSERT_GT(::waitpid(child, &status, 0), 0);
    if (WIFSIGNALED(status)) ++killed;
    else ASSERT_EQ(WEXITSTATUS(status), 0);
    if (read_losses(parts).contains(kSteps)) ++ended;
  }
  ASSERT_EQ(ended, 1);
  EXPECT_GT(killed, 0);
  const std::map<int64_t, uint32_t> losses = read_losses(parts);
  for (const auto& [step, bits] : losses) EXPECT_EQ(bits, expected.at(step)) << "step " << step;
  // A kill between a save and the line behind it loses that line.
  EXPECT_GE(losses.size() + static_cast<size_t>(killed), expected.size());
}

INSTANTIATE_TEST_SUITE_P(Iterators, Resume, testing::Values("initializable", "one_shot"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(ResumeTest, an_iterator_goes_on_where_the_checkpoint_was_taken) {
  for (const bool one_shot : {true, false}) {
    const auto as_default = tf::Graph().as_default();
    const tf::data::Iterator iterator = make_pipeline(one_shot);
    const Output next = iterator.get_next()[0];
    tf::add_to_collection(GraphKeys::SAVEABLE_OBJECTS, tf::data::experimental::make_saveable_from_iterator(iterator));
    Saver saver;
    std::filesystem::create_directories(dir());
    std::string path;
    std::vector<std::vector<float>> expected;
    {
      Session session;
      if (!one_shot) session.run(iterator.initializer());
      for (int i = 0; i < 5; ++i) session.run({next});
      path = saver.save(session, dir() + "/iterator");
      for (int i = 0; i < 20; ++i) expected.push_back(session.run({next})[0].to_vector<float>());
      saver.restore(session, path);
      EXPECT_EQ(session.run({next})[0].to_vector<float>(), expected[0]);
    }
    Session session;
    saver.restore(session, path);  // of an initializable one: until it is initialized
    if (!one_shot) session.run(iterator.initializer());
    for (const std::vector<float>& batch : expected) EXPECT_EQ(session.run({next})[0].to_vector<float>(), batch);
    if (one_shot) continue;
    session.run(iterator.initializer());  // anew, not from there again
    EXPECT_NE(session.run({next})[0].to_vector<float>(), expected[0]);
  }
}

TEST_F(ResumeTest, what_a_pipeline_keeps_elsewhere_is_not_passed_over) {
  const auto as_default = tf::Graph().as_default();
  std::filesystem::create_directories(dir());
  const auto iterator =
      tf::data::Dataset::range(5)
          .map([](const Output& x) {
            return tf::cast(x, tf::float32) + tf::random_uniform(Tensor(TensorShape({0}), std::vector<int32_t>{}));
          })
          .make_one_shot_iterator();
  const auto saver_with = [&](const std::string& policy) {
    return Saver({.var_list = {{tf::data::experimental::make_saveable_from_iterator(iterator, policy)}}});
  };
  Saver fails = saver_with("fail"), ignores = saver_with("ignore");
  Session session;
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] { fails.save(session, dir() + "/a"); }),
              testing::HasSubstr("stateful ops"));
  ignores.save(session, dir() + "/b");
  EXPECT_THROW(saver_with("perhaps"), errors::InvalidArgumentError);
  // Functions that only make datasets keep nothing.
  const auto nested = tf::data::Dataset::range(3)
                          .flat_map([](const std::vector<Output>&) { return tf::data::Dataset::range(2); })
                          .make_one_shot_iterator();
  Saver saves({.var_list = {{tf::data::experimental::make_saveable_from_iterator(nested)}}});
  Session other;
  saves.save(other, dir() + "/c");
}

TEST_F(ResumeTest, the_state_of_another_pipeline_is_refused) {
  std::filesystem::create_directories(dir());
  const auto build = [](bool shuffles) {
    const auto data = tf::data::Dataset::range(9);
    return (shuffles ? data.shuffle(4, {.seed = 1}) : data).make_one_shot_iterator();
  };
  const auto saver = [](const tf::data::Iterator& iterator) {
    return Saver({.var_list = {{tf::data::experimental::make_saveable_from_iterator(iterator)}}});
  };
  {
    const auto as_default = tf::Graph().as_default();
    Saver plain = saver(build(false));
    Session session;
    plain.save(session, dir() + "/plain");
  }
  const auto as_default = tf::Graph().as_default();
  Saver shuffled = saver(build(true));
  Session session;
  EXPECT_THAT(error_of<errors::InvalidArgumentError>([&] { shuffled.restore(session, dir() + "/plain"); }),
              testing::HasSubstr("saved from another pipeline"));
}

TEST_F(ResumeTest, the_hook_says_what_it_misses) {
  const auto as_default = tf::Graph().as_default();
  tf::data::experimental::CheckpointInputPipelineHook hook;
  EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] { hook.begin(); }), testing::HasSubstr("no iterators"));
  using Hook = tf::data::experimental::CheckpointInputPipelineHook;
  EXPECT_THROW(Hook(Hook::Options{.external_state_policy = "no"}), errors::InvalidArgumentError);
}

}  // namespace
}  // namespace millrace::train
