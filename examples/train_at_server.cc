// Training at a server: this program builds the graph, and the server runs it and keeps the variables.
//   train_at_server                                  starts a server of its own and trains there
//   train_at_server --target grpc://localhost:2222   at `millrace serve --port 2222`, or at TensorFlow's server
// Options: [--steps N] [--directory DIR]. The server reads and writes the files: it must see the same folders.
//
// If the server is started anew in between, the supervised session goes on from its last checkpoint.
#include <millrace/millrace.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
namespace tf = millrace;

struct Model {
  tf::Output accuracy;  // on the batch that comes next
  tf::Operation train;
};

Model build(const std::string& data) {
  tf::set_random_seed(1);
  auto parse = [](const tf::Output& record) {
    auto example = tf::parse_single_example(
        record, {{"image", tf::FixedLenFeature({64}, tf::float32)}, {"label", tf::FixedLenFeature({}, tf::int64)}});
    return std::vector<tf::Output>{example["image"], example["label"]};
  };
  auto digits = tf::data::TFRecordDataset(data + "/digits-train.tfrecord").map(parse).shuffle(2000, {.seed = 1});
  auto [image, label] = digits.repeat().batch(64).prefetch(2).make_one_shot_iterator().get_next<2>();
  tf::Output hidden = tf::layers::dense(image, 64, {.activation = tf::nn::relu});
  tf::Output logits = tf::layers::dense(hidden, 10);
  tf::Output loss = tf::losses::sparse_softmax_cross_entropy(label, logits);
  auto step = tf::train::get_or_create_global_step();
  Model model;
  model.train = tf::train::AdamOptimizer({.learning_rate = 1e-3}).minimize(loss, {.global_step = step});
  model.accuracy = tf::reduce_mean(tf::cast(tf::equal(tf::argmax(logits, 1), label), tf::float32));
  return model;
}

void train(const std::string& target, const std::string& directory, int64_t steps) {
  auto as_default = tf::Graph().as_default();
  const Model model = build(std::filesystem::absolute("data"));
  for (const tf::DeviceAttributes& device : tf::Session({.target = target}).list_devices())
    std::printf("device %s\n", device.name.c_str());
  auto session = tf::train::MonitoredTrainingSession({.master = target,
                                                      .checkpoint_dir = std::filesystem::absolute(directory),
                                                      .hooks = {tf::train::StopAtStepHook({.last_step = steps})},
                                                      .save_checkpoint_steps = 100});
  while (!session.should_stop()) session.run(model.train);
  session.close();  // saves
  const tf::Session look({.target = target});  // sees the same variables: they are the server's
  float accuracy = 0;
  constexpr int kBatches = 10;
  for (int i = 0; i < kBatches; ++i) accuracy += look.run(model.accuracy).scalar<float>() / kBatches;
  std::printf("accuracy on %d training batches: %.4f\n", kBatches, static_cast<double>(accuracy));
}

int main(int argc, char** argv) try {
  std::map<std::string, std::string> options = {{"--target", ""}, {"--steps", "500"}, {"--directory", "runs/train_at_server"}};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || !options.contains(argv[i])) {
      std::fprintf(stderr, "usage: train_at_server [--target grpc://HOST:PORT] [--steps N] [--directory DIR]\n");
      return 2;
    }
    options[argv[i]] = argv[i + 1];
  }
  std::string target = options["--target"];
  std::optional<tf::train::Server> server;
  if (target.empty()) target = server.emplace(tf::train::Server::create_local_server()).target();
  std::printf("training at %s\n", target.c_str());
  train(target, options["--directory"], std::atoll(options["--steps"].c_str()));
} catch (const tf::errors::OpError& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
