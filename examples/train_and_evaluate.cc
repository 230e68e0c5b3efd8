// Three ways of training and validating, on the handwritten digits of data/README.md:
//   train_and_evaluate feedable   one session: a feedable iterator reads now the training, now the validation data
//   train_and_evaluate loop       in turn: train some steps, evaluate the checkpoint, go on from it
//   train_and_evaluate train      two processes: this one trains,
//   train_and_evaluate evaluate   and this one, started beside it, evaluates each new checkpoint until the last step's
// Options: [--steps N] [--directory DIR]
#include <millrace/millrace.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
namespace tf = millrace;

struct Settings {
  std::string mode, directory = "runs/train_and_evaluate";
  int64_t steps = 1000, every = 200;  // evaluates, or saves, every so many steps
};

tf::data::Dataset digits(const std::string& part) {
  return tf::data::TFRecordDataset("data/digits-" + part + ".tfrecord").map([](const tf::Output& record) {
    auto example = tf::parse_single_example(
        record, {{"image", tf::FixedLenFeature({64}, tf::float32)}, {"label", tf::FixedLenFeature({}, tf::int64)}});
    return std::vector<tf::Output>{example["image"], example["label"]};
  });
}
tf::data::Dataset training_data() { return digits("train").shuffle(2000, {.seed = 1}).repeat().batch(64).prefetch(2); }
tf::data::Dataset validation_data() { return digits("test").batch(360); }

struct Model {
  tf::Output loss, accuracy;
  tf::Operation train;
};

Model build(const tf::Output& image, const tf::Output& label) {
  tf::set_random_seed(1);
  tf::Output hidden = tf::layers::dense(image, 64, {.activation = tf::nn::relu});
  tf::Output logits = tf::layers::dense(hidden, 10);
  Model model;
  model.loss = tf::losses::sparse_softmax_cross_entropy(label, logits);
  model.accuracy = tf::reduce_mean(tf::cast(tf::equal(tf::argmax(logits, 1), label), tf::float32));
  auto step = tf::train::get_or_create_global_step();
  model.train = tf::train::AdamOptimizer({.learning_rate = 1e-3}).minimize(model.loss, {.global_step = step});
  return model;
}

void report(int64_t step, float accuracy) {
  std::printf("step %ld: validation accuracy %.4f\n", static_cast<long>(step), static_cast<double>(accuracy));
  std::fflush(stdout);
}

// --- one session

void train_feedable(const Settings& settings) {
  auto as_default = tf::Graph().as_default();
  auto training = training_data().make_one_shot_iterator();
  auto validation = validation_data().make_initializable_iterator();
  tf::Output handle = tf::placeholder(tf::string, tf::PartialTensorShape::scalar());
  auto [image, label] = tf::data::Iterator::from_string_handle(handle, training.element_spec()).get_next<2>();
  const Model model = build(image, label);

  auto session = tf::train::MonitoredTrainingSession({
      .checkpoint_dir = settings.directory, .hooks = {tf::train::StopAtStepHook({.last_step = settings.steps})}});
  // Not supervised: what these run is no step of training, so no hook counts it.
  tf::Session raw = session.raw_session();
  const tf::Tensor from_training = raw.run(training.string_handle()), from_validation = raw.run(validation.string_handle());
  for (int64_t run = 1; !session.should_stop(); ++run) {
    session.run(model.train, {{handle, from_training}});
    if (run % settings.every != 0) continue;
    raw.run(validation.initializer());
    report(run, raw.run(model.accuracy, {{handle, from_validation}}).scalar<float>());
  }
}

// --- in turn, or in two processes

void train_until(const Settings& settings, int64_t last_step) {
  auto as_default = tf::Graph().as_default();
  auto [image, label] = training_data().make_one_shot_iterator().get_next<2>();
  const Model model = build(image, label);
  // The next turn goes on with the next batch: the position in the data is saved with the model.
  auto session = tf::train::MonitoredTrainingSession({
      .checkpoint_dir = settings.directory,
      .hooks = {tf::train::StopAtStepHook({.last_step = last_step}), tf::train::PreemptionHook(),
                tf::data::experimental::CheckpointInputPipelineHook()},
      .save_checkpoint_steps = settings.every});
  while (!session.should_stop()) session.run(model.train);
}

// Returns the checkpoint's step.
int64_t evaluate(const std::string& checkpoint) {
  auto as_default = tf::Graph().as_default();
  auto [image, label] = validation_data().make_one_shot_iterator().get_next<2>();
  const Model model = build(image, label);
  auto creator = std::make_shared<tf::train::ChiefSessionCreator>(
      tf::train::ChiefSessionCreatorOptions{.checkpoint_filename_with_path = checkpoint});
  tf::train::MonitoredSession session({.session_creator = creator});
  const int64_t step = session.run(tf::train::get_global_step().value()).scalar<int64_t>();
  report(step, session.run(model.accuracy).scalar<float>());
  return step;
}

void train_in_turn(const Settings& settings) {
  for (int64_t step = settings.every; step <= settings.steps; step += settings.every) {
    train_until(settings, step);
    evaluate(*tf::train::latest_checkpoint(settings.directory));
  }
}

void evaluate_checkpoints(const Settings& settings) {
  std::string last;
  for (int64_t step = 0; step < settings.steps;) {
    const auto checkpoint = tf::train::latest_checkpoint(settings.directory);
    if (checkpoint && *checkpoint != last) {
      last = *checkpoint;
      try {
        step = evaluate(last);
      } catch (const tf::errors::NotFoundError&) {
        continue;  // deleted meanwhile: there is a newer one
      }
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
}

Settings parse(int argc, char** argv) {
  Settings settings;
  long steps = settings.steps;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--steps" && i + 1 < argc && std::sscanf(argv[i + 1], "%ld", &steps) == 1) ++i;
    else if (argument == "--directory" && i + 1 < argc) settings.directory = argv[++i];
    else if (settings.mode.empty() && argument[0] != '-') settings.mode = argument;
    else throw tf::errors::InvalidArgumentError("bad argument " + argument);
  }
  settings.steps = steps;
  return settings;
}

int main(int argc, char** argv) try {
  const Settings settings = parse(argc, argv);
  if (settings.mode == "feedable") train_feedable(settings);
  else if (settings.mode == "loop") train_in_turn(settings);
  else if (settings.mode == "train") train_until(settings, settings.steps);
  else if (settings.mode == "evaluate") evaluate_checkpoints(settings);
  else throw tf::errors::InvalidArgumentError(
      "usage: train_and_evaluate feedable|loop|train|evaluate [--steps N] [--directory DIR]");
} catch (const std::exception& error) {
  std::fprintf(stderr, "train_and_evaluate: %s\n", error.what());
  return 1;
}
