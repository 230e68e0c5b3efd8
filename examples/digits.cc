// Trains a classifier of handwritten digits (data/README.md), and tells how well it does on digits it has not seen.
// Usage: digits [--steps N] [--fresh]
#include <millrace/millrace.h>

#include <cstdio>
#include <filesystem>
#include <string>
namespace tf = millrace;

const std::string kDirectory = "runs/digits";

std::vector<tf::Output> parse_digit(const tf::Output& record) {
  auto example = tf::parse_single_example(
      record, {{"image", tf::FixedLenFeature({64}, tf::float32)}, {"label", tf::FixedLenFeature({}, tf::int64)}});
  return {example["image"], example["label"]};
}

tf::Output model(const tf::Output& image) {
  tf::Output hidden = tf::layers::dense(image, 128, {.activation = tf::nn::relu});
  return tf::layers::dense(hidden, 10);
}

void train(int64_t steps) {
  auto as_default = tf::Graph().as_default();
  tf::set_random_seed(1);
  auto data = tf::data::TFRecordDataset("data/digits-train.tfrecord")
                  .map(parse_digit, {.num_parallel_calls = 2}).shuffle(2000, {.seed = 1}).batch(64).repeat().prefetch(2);
  auto [image, label] = data.make_one_shot_iterator().get_next<2>();
  tf::Output loss = tf::losses::sparse_softmax_cross_entropy(label, model(image));
  auto step = tf::train::get_or_create_global_step();
  auto train = tf::train::AdamOptimizer({.learning_rate = 1e-3}).minimize(loss, {.global_step = step});
  tf::summary::scalar("loss", loss);

  auto session = tf::train::MonitoredTrainingSession({
      .checkpoint_dir = kDirectory,
      .hooks = {tf::train::StopAtStepHook({.last_step = steps}), tf::train::PreemptionHook(),
                tf::train::ProgressBarHook({.last_step = steps, .loss = loss})}});
  while (!session.should_stop()) session.run(train);
}

float test_accuracy() {
  auto as_default = tf::Graph().as_default();
  auto data = tf::data::TFRecordDataset("data/digits-test.tfrecord").map(parse_digit).batch(360);
  auto [image, label] = data.make_one_shot_iterator().get_next<2>();
  auto [accuracy, update] = tf::metrics::accuracy(label, tf::argmax(model(image), 1));
  auto creator = std::make_shared<tf::train::ChiefSessionCreator>(tf::train::ChiefSessionCreatorOptions{.checkpoint_dir = kDirectory});
  tf::train::MonitoredSession session({.session_creator = creator});
  return session.run(update).scalar<float>();
}

int main(int argc, char** argv) try {
  int64_t steps = 2000, first = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--fresh") std::filesystem::remove_all(kDirectory);
    else if (argument == "--steps" && i + 1 < argc && std::sscanf(argv[i + 1], "%ld", &steps) == 1) ++i;
    else throw tf::errors::InvalidArgumentError("bad argument " + argument + "; usage: digits [--steps N] [--fresh]");
  }
  if (auto checkpoint = tf::train::latest_checkpoint(kDirectory)) {
    first = tf::train::load_variable(*checkpoint, "global_step").scalar<int64_t>();
    std::printf("resumed from step %ld\n", first);
  }
  if (first < steps) train(steps);
  std::printf("test accuracy: %.4f\n", test_accuracy());
  std::printf("checkpoints and event files: %s\nsee them with: tensorboard --logdir %s\n", kDirectory.c_str(), kDirectory.c_str());
} catch (const std::exception& error) {
  std::fprintf(stderr, "digits: %s\n", error.what());
  return 1;
}
