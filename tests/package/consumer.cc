// Fits y = 2x + 1 under a supervised session with a hook of its own, and meets an error: templates, virtual functions,
// shared objects and exceptions cross the border of the library.
#include <millrace/millrace.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
namespace tf = millrace;

class Tally : public tf::train::SessionRunHook {
 public:
  explicit Tally(std::shared_ptr<int> runs) : runs_(std::move(runs)) {}
  void after_run(tf::train::SessionRunContext&, const tf::train::SessionRunValues&) override { ++*runs_; }

 private:
  std::shared_ptr<int> runs_;
};

float fitted_weight(const std::string& directory, const std::shared_ptr<int>& runs) {
  auto as_default = tf::Graph().as_default();
  auto data = tf::data::Dataset::range(8)
                  .map([](const tf::Output& i) { return tf::cast(i, tf::float32) / 8.0f; })
                  .repeat()
                  .batch(8);
  tf::Output x = data.make_one_shot_iterator().get_next()[0];
  auto w = tf::get_variable("w", tf::TensorShape(), {.initializer = tf::zeros_initializer()});
  auto b = tf::get_variable("b", tf::TensorShape(), {.initializer = tf::zeros_initializer()});
  tf::Output loss = tf::reduce_mean(tf::square(w * x + b - (2.0f * x + 1.0f)));
  auto step = tf::train::get_or_create_global_step();
  auto train = tf::train::MomentumOptimizer(0.2, 0.9).minimize(loss, {.global_step = step});
  auto session = tf::train::MonitoredTrainingSession(
      {.checkpoint_dir = directory, .hooks = {tf::train::StopAtStepHook({.last_step = 300}), Tally(runs)}});
  while (!session.should_stop()) session.run(train);
  session.close();  // saves
  return tf::train::load_variable(directory, "w").scalar<float>();
}

bool refuses_mismatched_shapes() try {
  auto as_default = tf::Graph().as_default();
  tf::matmul(tf::zeros(std::vector{2, 3}), tf::zeros(std::vector{2, 3}));
  return false;
} catch (const tf::errors::InvalidArgumentError& error) {
  return std::string(error.what()).find("MatMul") != std::string::npos;
}

int main() {
  const std::string directory = std::filesystem::temp_directory_path() / "millrace-consumer";
  std::filesystem::remove_all(directory);
  auto runs = std::make_shared<int>(0);
  const float weight = fitted_weight(directory, runs);
  std::filesystem::remove_all(directory);
  const bool good = std::abs(weight - 2) < 0.01f && *runs == 300 && refuses_mismatched_shapes();
  std::printf("w = %.3f after %d runs: %s\n", weight, *runs, good ? "good" : "bad");
  return good ? 0 : 1;
}
