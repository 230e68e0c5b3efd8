// Input pipelines: elements a second, of one iterator.

#include <benchmark/benchmark.h>
#include <millrace/millrace.h>

#include <filesystem>

#include "io/record_writer.h"
#include "tensorflow/core/example/example.pb.h"

namespace tf = millrace;

namespace {

// `elements`: how many source elements one run takes.
void pull(benchmark::State& state, const tf::data::Dataset& dataset, int64_t elements) {
  const std::vector<tf::Output> next = dataset.make_one_shot_iterator().get_next();
  const tf::Session session;
  const tf::Callable step = session.make_callable({next.begin(), next.end()});
  std::vector<tf::Tensor> results;
  step.run({}, &results);
  for (auto _ : state) step.run({}, &results);
  state.SetItemsProcessed(state.iterations() * elements);
}

tf::data::Dataset numbers() { return tf::data::Dataset::range(int64_t{1} << 40); }

void range(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  pull(state, numbers(), 1);
}
BENCHMARK(range);

void map(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  pull(state, numbers().map([](const tf::Output& x) { return x * int64_t{2}; }), 1);
}
BENCHMARK(map);

void shuffle(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  pull(state, numbers().shuffle(2000, {.seed = 1}), 1);
}
BENCHMARK(shuffle);

void batch(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  pull(state, numbers().batch(64), 64);
}
BENCHMARK(batch);

void map_shuffle_batch_prefetch(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  pull(state,
       numbers()
           .map([](const tf::Output& x) { return x * int64_t{2}; }, {.num_parallel_calls = 2})
           .shuffle(2000, {.seed = 1})
           .batch(64)
           .prefetch(2),
       64);
}
BENCHMARK(map_shuffle_batch_prefetch)->UseRealTime();

// Ten thousand examples of 64 floats and a label.
class RecordFile {
 public:
  RecordFile() : path_((std::filesystem::temp_directory_path() / "millrace_data_bench.tfrecord").string()) {
    auto writer = tf::RecordWriter::create(path_);
    for (int64_t i = 0; writer.ok() && i < kRecords; ++i) {
      tensorflow::Example example;
      auto& features = *example.mutable_features()->mutable_feature();
      for (int k = 0; k < 64; ++k) features["image"].mutable_float_list()->add_value(static_cast<float>(i + k));
      features["label"].mutable_int64_list()->add_value(i % 10);
      if (!(*writer)->write(example.SerializeAsString()).ok()) break;
    }
    if (writer.ok()) (void)(*writer)->close();
  }
  ~RecordFile() { std::filesystem::remove(path_); }
  tf::data::Dataset dataset() const { return tf::data::TFRecordDataset(path_).repeat(); }

 private:
  static constexpr int64_t kRecords = 10000;
  std::string path_;
};

void records(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const RecordFile file;
  pull(state, file.dataset(), 1);
}
BENCHMARK(records);

void parsed_records(benchmark::State& state) {
  const auto as_default = tf::Graph().as_default();
  const RecordFile file;
  const auto parse = [](const tf::Output& record) -> std::vector<tf::Output> {
    auto example = tf::parse_single_example(
        record, {{"image", tf::FixedLenFeature({64}, tf::float32)}, {"label", tf::FixedLenFeature({}, tf::int64)}});
    return {example["image"], example["label"]};
  };
  pull(state, file.dataset().map(parse), 1);
}
BENCHMARK(parsed_records);

}  // namespace
