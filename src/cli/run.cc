#include "cli/run.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "cli/graph_file.h"
#include "cli/model.h"
#include "cli/status_text.h"
#include "cli/tensor_json.h"
#include "graph/proto_convert.h"
#include "io/file_system.h"
#include "io/record_reader.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {
namespace {

constexpr const char* kTargetCollection = "bench_train_op";

absl::StatusOr<Feeds> read_feeds(const std::string& path, const Model& model) {
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<RecordReader> reader, RecordReader::open(path));
  std::string bytes;
  MR_ASSIGN_OR_RETURN(const bool more, reader->read(bytes));
  if (!more)
    return data_loss(path,
                     ": the file holds no record; one tf.train.Example with a TensorProto per placeholder is needed");
  tensorflow::Example example;
  if (!example.ParseFromString(bytes)) return data_loss(path, ": the record at offset 0 is no tf.train.Example");
  std::vector<std::string> names;
  std::vector<Tensor> values;
  for (const auto& [name, feature] : example.features().feature()) {
    tensorflow::TensorProto proto;
    if (feature.bytes_list().value_size() != 1 || !proto.ParseFromString(feature.bytes_list().value(0))) {
      return data_loss(path, ": feature '", name, "' holds no TensorProto");
    }
    absl::StatusOr<Tensor> value = from_proto(proto);
    if (!value.ok()) return annotate(value.status(), str_cat(path, ": feature '", name, "'"));
    names.push_back(name);
    values.push_back(*std::move(value));
  }
  absl::StatusOr<Feeds> feeds = model.find_feeds(names, values);
  if (!feeds.ok()) return annotate(feeds.status(), path);
  return feeds;
}

struct Timing {
  double median_us = 0, best_us = 0;
};

class RunCommand {
 public:
  explicit RunCommand(const RunCommandOptions& options) : options_(options), steps_(options.steps.value_or(1)) {}

  absl::Status run() {
    MR_RETURN_IF_ERROR(load());
    MR_RETURN_IF_ERROR(prepare());
    for (int64_t i = 0; i < steps_ && step_ != nullptr; ++i) MR_RETURN_IF_ERROR(one_step());
    if (!fetches_.empty()) {
      MR_ASSIGN_OR_RETURN(fetched_, model_->run(feeds_, fetches_));
    }
    if (options_.time) MR_RETURN_IF_ERROR(measure());
    print();
    return absl::OkStatus();
  }

 private:
  absl::Status load() {
    MR_ASSIGN_OR_RETURN(const GraphFile file, read_graph_file(options_.meta));
    MR_ASSIGN_OR_RETURN(model_, Model::create(serving_meta_graph(file), file.path));
    if (file.kind == GraphFileKind::kSavedModel)
      MR_RETURN_IF_ERROR(model_->use_assets(std::string(directory_of(file.path))));
    return options_.checkpoint.empty() ? model_->initialize() : model_->restore(options_.checkpoint);
  }

  absl::Status prepare() {
    if (!options_.feeds.empty()) {
      MR_ASSIGN_OR_RETURN(feeds_, read_feeds(options_.feeds, *model_));
    }
    for (const auto& [output, value] : feeds_) feed_values_.push_back(value);
    MR_ASSIGN_OR_RETURN(fetches_, model_->find_outputs(options_.fetches));
    if (steps_ == 0 && !options_.time) return absl::OkStatus();
    const std::vector<std::string> names =
        options_.targets.empty() ? model_->collection(kTargetCollection) : options_.targets;
    if (names.empty()) {
      // Who only wants to look at values need not say --steps 0.
      if (!options_.steps && !options_.time && !fetches_.empty()) {
        steps_ = 0;
        return absl::OkStatus();
      }
      return invalid_argument(options_.meta, ": nothing to run: the graph has no collection ", kTargetCollection,
                              "; name operations with --target, or give --steps 0 and --fetch");
    }
    MR_ASSIGN_OR_RETURN(const std::vector<Node*> targets, model_->find_targets(names));
    std::vector<Output> fed;
    for (const auto& [output, value] : feeds_) fed.push_back(output);
    MR_ASSIGN_OR_RETURN(step_, model_->session().make_callable(fed, {}, targets));
    return absl::OkStatus();
  }

  absl::Status one_step() { return step_->run(feed_values_, &nothing_); }

  absl::StatusOr<double> batch(int64_t steps) {  // microseconds per step
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < steps; ++i) MR_RETURN_IF_ERROR(one_step());
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    return took.count() / static_cast<double>(steps);
  }

  // Batches long enough for the clock, as many as fit into the time, five at least.
  absl::Status measure() {
    constexpr double kBatchUs = 100e3, kTotalUs = 3e6;
    constexpr size_t kFewest = 5, kMost = 25;
    MR_RETURN_IF_ERROR(batch(2).status());  // warm
    MR_ASSIGN_OR_RETURN(double per_step, batch(1));
    int64_t steps = std::clamp<int64_t>(static_cast<int64_t>(kBatchUs / std::max(per_step, 0.05)), 1, 1000);
    MR_ASSIGN_OR_RETURN(per_step, batch(steps));  // one step alone is a poor guess
    steps = std::clamp<int64_t>(static_cast<int64_t>(kBatchUs / std::max(per_step, 0.05)), 1, 2'000'000);
    std::vector<double> all;
    for (double total = 0; all.size() < kFewest || (total < kTotalUs && all.size() < kMost);) {
      MR_ASSIGN_OR_RETURN(all.emplace_back(), batch(steps));
      total += all.back() * static_cast<double>(steps);
    }
    std::ranges::sort(all);
    const size_t middle = all.size() / 2;
    timing_ = {.median_us = all.size() % 2 == 1 ? all[middle] : (all[middle - 1] + all[middle]) / 2, .best_us = all[0]};
    return absl::OkStatus();
  }

  void print() const {
    std::string out;
    if (options_.json) {
      out = "{\"fetches\": {";
      std::set<std::string_view> named;  // a tensor that was asked for twice stands there once
      for (size_t i = 0; i < fetched_.size(); ++i) {
        if (!named.insert(options_.fetches[i]).second) continue;
        str_append(&out, i > 0 ? ", " : "", string_json(options_.fetches[i]), ": ", tensor_json(fetched_[i]));
      }
      str_append(&out, "}, \"steps\": ", steps_);
      if (options_.time)
        str_append(&out, ", \"median_us\": ", number_json(timing_.median_us),
                   ", \"best_us\": ", number_json(timing_.best_us));
      out += "}\n";
    } else {
      for (size_t i = 0; i < fetched_.size(); ++i)
        str_append(&out, options_.fetches[i], " = ", fetched_[i].to_string(), "\n");
      str_append(&out, "steps: ", steps_, "\n");
      char line[96];
      std::snprintf(line, sizeof(line), "time per step: median %.2f us, best %.2f us\n", timing_.median_us,
                    timing_.best_us);
      if (options_.time) out += line;
    }
    std::fputs(out.c_str(), stdout);
  }

  const RunCommandOptions& options_;
  int64_t steps_;
  std::unique_ptr<Model> model_;
  Feeds feeds_;
  std::vector<Tensor> feed_values_, nothing_, fetched_;
  std::vector<Output> fetches_;
  std::shared_ptr<CallableCore> step_;  // null: no step is run
  Timing timing_;
};

}  // namespace

int run_command(const RunCommandOptions& options) {
  if (const absl::Status status = RunCommand(options).run(); !status.ok()) {
    std::fprintf(stderr, "millrace run: %s\n", status_text(status).c_str());
    return 1;
  }
  return 0;
}

}  // namespace millrace
