// docs/porting.md, "Supervised sessions".
#include <millrace/millrace.h>

#include <filesystem>

#include "expect.h"
namespace tf = millrace;

// [hook]
class LossBelow : public tf::train::SessionRunHook {
 public:
  LossBelow(const tf::Output& loss, float wanted) : loss_(loss), wanted_(wanted) {}
  std::optional<tf::train::SessionRunArgs> before_run(tf::train::SessionRunContext&) override {
    return tf::train::SessionRunArgs{.fetches = {loss_}};
  }
  void after_run(tf::train::SessionRunContext& context, const tf::train::SessionRunValues& values) override {
    if (values.results[0].scalar<float>() < wanted_) context.request_stop();
  }

 private:
  tf::Output loss_;
  float wanted_;
};
// [/hook]

void trains(const std::string& directory, int64_t last_step) {
  auto as_default = tf::Graph().as_default();
  tf::set_random_seed(1);
  tf::Output x = tf::random_uniform(std::vector{8, 3});
  tf::Output loss = tf::losses::mean_squared_error(tf::reduce_sum(x, 1, {.keepdims = true}), tf::layers::dense(x, 1));
  auto step = tf::train::get_or_create_global_step();
  auto train = tf::train::MomentumOptimizer(0.05, 0.9).minimize(loss, {.global_step = step});
  // [monitored]
  tf::summary::scalar("loss", loss);
  auto session = tf::train::MonitoredTrainingSession(
      {.checkpoint_dir = directory,
       .hooks = {tf::train::StopAtStepHook({.last_step = last_step}), LossBelow(loss, 1e-12f),
                 tf::train::NanTensorHook(loss), tf::train::LoggingTensorHook({{"loss", loss}}, {.every_n_iter = 100})},
       .save_checkpoint_steps = 50,
       .save_summaries_steps = 20});
  while (!session.should_stop()) session.run(train);
  // [/monitored]
}

int main() {
  const std::string directory = "runs/porting-supervised";
  std::filesystem::remove_all(directory);  // what an earlier run left
  trains(directory, 60);
  trains(directory, 120);  // goes on from the checkpoint
  expect(tf::train::load_variable(directory, "global_step").scalar<int64_t>() == 120);
}
