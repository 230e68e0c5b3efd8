// Trains a convolutional network on MNIST's handwritten digits, evaluates it as it goes, and writes images, histograms
// and both losses for TensorBoard. Where the files come from: main's message if they are missing. Usage: mnist
// [--data_dir DIR] [--model_dir DIR] [--steps N] [--eval_steps N]
#include <millrace/millrace.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>
namespace tf = millrace;

struct Flags {
  std::string data_dir = "data/mnist", model_dir = "runs/mnist";
  int64_t steps = 1000, eval_steps = 200;  // how long to train, and how often to evaluate
};

constexpr int64_t kSide = 28, kPixels = kSide * kSide, kClasses = 10;

// --- the files: a big-endian header of 32-bit numbers, then bytes (IDX)

struct IdxFile {
  std::string path, compression;
  int64_t header_bytes, record_bytes, count = 0;
};

IdxFile find_idx(const std::string& data_dir, const std::string& name, int64_t header_bytes, int64_t record_bytes) {
  const std::string path = data_dir + "/" + name;
  if (std::filesystem::exists(path)) return {path, "", header_bytes, record_bytes};
  if (std::filesystem::exists(path + ".gz")) return {path + ".gz", "GZIP", header_bytes, record_bytes};
  throw tf::errors::NotFoundError(
      path + " is missing, and so is " + path + ".gz. Put the four files of MNIST into " + data_dir +
      ", as they are or unpacked: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
      "t10k-labels-idx1-ubyte. They are at https://storage.googleapis.com/cvdf-datasets/mnist/ (or name another folder "
      "with "
      "--data_dir).");
}

tf::data::Dataset records(const IdxFile& file, int64_t header_bytes, int64_t record_bytes) {
  return tf::data::FixedLengthRecordDataset(file.path, record_bytes,
                                            {.header_bytes = header_bytes, .compression_type = file.compression});
}

// Reads all of the file once: what the header says must be what is there.
void check_idx(IdxFile& file) {
  const auto as_default = tf::Graph().as_default();
  auto head =
      records(file, 0, 1).take(file.header_bytes).batch(file.header_bytes).make_one_shot_iterator().get_next<1>();
  auto body = records(file, file.header_bytes, file.record_bytes).batch(1000).make_one_shot_iterator().get_next<1>();
  tf::Session session;
  std::vector<uint8_t> header;
  try {
    header = session.run(tf::decode_raw(head[0], tf::uint8)).to_vector<uint8_t>();
  } catch (const tf::errors::OutOfRangeError&) {
  }  // an empty file
  const auto number = [&](size_t i) {
    return static_cast<int64_t>(header.at(4 * i)) << 24 | header.at(4 * i + 1) << 16 | header.at(4 * i + 2) << 8 |
           header.at(4 * i + 3);
  };
  const bool images = file.record_bytes > 1;
  if (static_cast<int64_t>(header.size()) < file.header_bytes || number(0) != (images ? 0x803 : 0x801) ||
      (images && (number(2) != kSide || number(3) != kSide)))
    throw tf::errors::DataLossError(file.path + " is no IDX file of " + (images ? "28x28 images" : "labels"));
  try {
    const tf::Output size = tf::size(body[0]);
    while (true) file.count += session.run(size).scalar<int32_t>();
  } catch (const tf::errors::OutOfRangeError&) {
  }
  if (file.count != number(1))
    throw tf::errors::DataLossError(file.path + " is truncated or damaged: its header says " +
                                    std::to_string(number(1)) + " items, and there are " + std::to_string(file.count));
}

struct Split {
  Split(const std::string& data_dir, const std::string& prefix)
      : images(find_idx(data_dir, prefix + "-images-idx3-ubyte", 16, kPixels)),
        labels(find_idx(data_dir, prefix + "-labels-idx1-ubyte", 8, 1)) {
    check_idx(images), check_idx(labels);
    if (images.count != labels.count)
      throw tf::errors::DataLossError(images.path + " and " + labels.path +
                                      " do not belong together: " + std::to_string(images.count) + " images, " +
                                      std::to_string(labels.count) + " labels");
  }
  tf::data::Dataset dataset() const {
    const auto parse = [](const tf::Output& image, const tf::Output& label) -> std::vector<tf::Output> {
      const tf::Output pixels = tf::cast(tf::decode_raw(image, tf::uint8), tf::float32) / 255.0;
      return {tf::reshape(pixels, {kSide, kSide, 1}),
              tf::reshape(tf::cast(tf::decode_raw(label, tf::uint8), tf::int64), std::vector<int32_t>{})};
    };
    return tf::data::Dataset::zip({records(images, 16, kPixels), records(labels, 8, 1)})
        .map(parse, {.num_parallel_calls = 2});
  }
  IdxFile images, labels;
};

// --- the model

tf::Output block(const tf::Output& x, int64_t filters, bool training) {
  tf::Output y = tf::layers::conv2d(x, filters, 5, {.padding = "same", .use_bias = false});
  y = tf::nn::relu(tf::layers::batch_normalization(y, {.momentum = 0.9, .training = training}));
  return tf::layers::max_pooling2d(y, 2, 2);
}

tf::Output model(const tf::Output& image, bool training) {
  tf::Output x = tf::layers::flatten(block(block(image, 16, training), 32, training));
  x = tf::layers::dense(x, 128, {.activation = tf::nn::relu});
  return tf::layers::dense(tf::layers::dropout(x, {.rate = 0.4, .training = training}), kClasses);
}

// --- evaluation, after each checkpoint

class Evaluation : public tf::train::CheckpointSaverListener {
 public:
  Evaluation(const Split& test, const Flags& flags) : test_(test), flags_(flags) {}
  bool after_save(tf::Session&, int64_t global_step) override {
    const float accuracy = evaluate();
    std::printf("step %ld: test accuracy: %.4f\n", global_step, accuracy);
    std::fflush(stdout);
    return false;
  }

 private:
  float evaluate() {
    const auto as_default = tf::Graph().as_default();
    auto [image, label] = test_.dataset().batch(500).make_one_shot_iterator().get_next<2>();
    const tf::Output logits = model(image, false);
    auto [accuracy, update_accuracy] = tf::metrics::accuracy(label, tf::argmax(logits, 1));
    auto [loss, update_loss] = tf::metrics::mean(tf::losses::sparse_softmax_cross_entropy(label, logits));
    const auto step = tf::train::get_or_create_global_step();
    const tf::Output summary =
        tf::summary::merge({tf::summary::scalar("test_accuracy", accuracy), tf::summary::scalar("test_loss", loss)});
    tf::train::Saver saver;
    tf::Session session;
    session.run(tf::local_variables_initializer());
    saver.restore(session, *tf::train::latest_checkpoint(flags_.model_dir));
    try {
      while (true) session.run({update_accuracy, update_loss});
    } catch (const tf::errors::OutOfRangeError&) {
    }
    tf::summary::FileWriter writer(flags_.model_dir + "/eval");
    writer.add_summary(session.run(summary).scalar<std::string>(), tf::train::global_step(session, step));
    return session.run(accuracy).scalar<float>();
  }
  const Split& test_;
  const Flags& flags_;
};

// --- training

void train(const Split& data, const Split& test, const Flags& flags) {
  const auto as_default = tf::Graph().as_default();
  tf::set_random_seed(1);
  auto [image, label] =
      data.dataset().shuffle(10000, {.seed = 1}).repeat().batch(64).prefetch(2).make_one_shot_iterator().get_next<2>();
  const tf::Output logits = model(image, true);
  const tf::Output loss = tf::losses::sparse_softmax_cross_entropy(label, logits);
  const auto step = tf::train::get_or_create_global_step();
  tf::Operation train;
  {
    const tf::control_dependencies averages(tf::get_collection<tf::Operation>(tf::GraphKeys::UPDATE_OPS));
    const tf::Output rate = tf::train::exponential_decay(1e-3, step, 1000, 0.9);
    train = tf::train::AdamOptimizer({.learning_rate = rate}).minimize(loss, {.global_step = step});
  }
  tf::summary::scalar("loss", loss);
  tf::summary::image("digits", image, {.max_outputs = 4});
  for (const tf::Variable& v : tf::trainable_variables()) tf::summary::histogram(v.op().name(), v);

  const auto scaffold = std::make_shared<tf::train::Scaffold>();
  auto session = tf::train::MonitoredTrainingSession(
      {.checkpoint_dir = flags.model_dir,
       .scaffold = scaffold,
       .hooks = {tf::train::StopAtStepHook({.last_step = flags.steps}), tf::train::PreemptionHook(),
                 tf::train::ProgressBarHook({.last_step = flags.steps, .loss = loss}),
                 tf::train::CheckpointSaverHook({.checkpoint_dir = flags.model_dir,
                                                 .save_steps = flags.eval_steps,
                                                 .scaffold = scaffold,
                                                 .listeners = {std::make_shared<Evaluation>(test, flags)}})},
       .save_checkpoint_secs = std::nullopt,
       .save_summaries_steps = 50});
  while (!session.should_stop()) session.run(train);
}

int64_t number(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const int64_t value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value <= 0)
    throw tf::errors::InvalidArgumentError(flag + " must be a positive number, not '" + text + "'");
  return value;
}

int main(int argc, char** argv) try {
  Flags flags;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--data_dir") flags.data_dir = value;
    else if (flag == "--model_dir") flags.model_dir = value;
    else if (flag == "--steps") flags.steps = number(flag, value);
    else if (flag == "--eval_steps") flags.eval_steps = number(flag, value);
    else
      throw tf::errors::InvalidArgumentError(
          "unknown argument " + flag +
          "; usage: mnist [--data_dir DIR] [--model_dir DIR] [--steps N] [--eval_steps N]");
  }
  const Split data(flags.data_dir, "train"), test(flags.data_dir, "t10k");
  std::printf("%ld digits to train with, %ld to test with\n", data.images.count, test.images.count);
  train(data, test, flags);
  std::printf("checkpoints and event files: %s\nsee them with: tensorboard --logdir %s\n", flags.model_dir.c_str(),
              flags.model_dir.c_str());
} catch (const std::exception& error) {
  std::fprintf(stderr, "mnist: %s\n", error.what());
  return 1;
}
