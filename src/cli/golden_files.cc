// Golden data beside a model or a checkpoint.

#include <algorithm>
#include <optional>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_state.h"
#include "cli/golden_cases.h"
#include "cli/graph_file.h"
#include "cli/model.h"
#include "io/file_system.h"
#include "tensor/tensor.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {
namespace {

using Records = std::shared_ptr<const std::vector<GoldenRecord>>;

// Loads or opens something once, for all cases of a file.
template <class T> class Once {
 public:
  template <class Make> absl::StatusOr<T*> get(Make make) {
    if (!made_) made_.emplace(make());
    if (!made_->ok()) return made_->status();
    return (*made_)->get();
  }

 private:
  std::optional<absl::StatusOr<std::unique_ptr<T>>> made_;
};

// The graph's file: a SavedModel's folder, a .meta in binary or text, or a frozen graph.
absl::StatusOr<std::string> graph_beside(const std::string& folder) {
  FileSystem& files = posix_file_system();
  if (std::string model = join_path(folder, "model"); files.is_directory(model)) return model;
  MR_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  for (const char* ending : {".meta", ".meta.pbtxt", "graph.pb", "graph.pbtxt"}) {
    const auto found = std::ranges::find_if(names, [&](const std::string& name) { return name.ends_with(ending); });
    if (found != names.end()) return join_path(folder, *found);
  }
  return not_found(folder, ": no model, .meta or graph.pb beside io.tfrecord");
}

absl::StatusOr<std::string> checkpoint_beside(const std::string& folder) {
  if (std::optional<std::string> latest = latest_checkpoint(folder)) return *latest;
  MR_ASSIGN_OR_RETURN(const std::vector<std::string> names, posix_file_system().list(folder));
  for (const std::string& name : names) {
    if (name.ends_with(".index")) return join_path(folder, name.substr(0, name.size() - 6));
  }
  return not_found(folder, ": no checkpoint");
}

absl::StatusOr<std::unique_ptr<Model>> load_model(const std::string& folder) {
  MR_ASSIGN_OR_RETURN(const std::string path, graph_beside(folder));
  MR_ASSIGN_OR_RETURN(const GraphFile file, read_graph_file(path));
  MR_ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::create(serving_meta_graph(file), file.path));
  if (file.kind == GraphFileKind::kGraphDef) return model;
  if (file.kind == GraphFileKind::kSavedModel) {
    MR_RETURN_IF_ERROR(model->use_assets(path));
    const std::string prefix = join_path(path, "variables/variables");
    MR_RETURN_IF_ERROR(checkpoint_exists(prefix) ? model->restore(prefix) : model->initialize_local());
  } else {
    const absl::StatusOr<std::string> prefix = checkpoint_beside(folder);
    MR_RETURN_IF_ERROR(prefix.ok() ? model->restore(*prefix) : model->initialize());
  }
  MR_RETURN_IF_ERROR(model->initialize_iterators());
  return model;
}

absl::Status check_run(Model& model, const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const std::vector<Output> fetches, model.find_outputs(record.texts("fetches")));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> values, record.tensors("feed_values"));
  MR_ASSIGN_OR_RETURN(const Feeds feeds, model.find_feeds(record.texts("feed_names"), values));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> got, model.run(feeds, fetches));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, record.tensors("expected"));
  return compare_all(got, expected, record.texts("fetches"), record.number("rtol"), record.number("atol"));
}

// Tensors too large to stand in the record follow a formula of their flat index.
absl::StatusOr<Tensor> large_tensor(const TensorShape& shape) {
  MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(DataType::kFloat, shape));
  int64_t i = 0;
  for (float& value : t.unchecked_mutable<float>())
    value = static_cast<float>(static_cast<double>(i++ * 37 % 1009) * 0.25);
  return t;
}

absl::Status check_tensor(const CheckpointReader& reader, const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const Tensor got, reader.read(record.text("name")));
  if (static_cast<int64_t>(got.dtype()) != record.integer("dtype")) {
    return invalid_argument("is ", dtype_name(got.dtype()), ", expected ",
                            dtype_name(static_cast<DataType>(record.integer("dtype"))));
  }
  MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(record.integers("shape")));
  if (!(got.shape() == shape)) return invalid_argument("has shape ", got.shape(), ", expected ", shape);
  MR_ASSIGN_OR_RETURN(std::vector<Tensor> expected, record.tensors("tensor"));
  if (expected.empty() && record.text("name") == "big") {
    MR_ASSIGN_OR_RETURN(expected.emplace_back(), large_tensor(shape));
  }
  return expected.empty() ? absl::OkStatus() : compare_tensors(got, expected[0], 0, 0);
}

CaseResult run_tensor(Once<CheckpointReader>& once, const GoldenRecord& record, const std::string& folder) {
  const absl::StatusOr<CheckpointReader*> reader = once.get([&]() -> absl::StatusOr<std::unique_ptr<CheckpointReader>> {
    MR_ASSIGN_OR_RETURN(const std::string prefix, checkpoint_beside(folder));
    return open_checkpoint(prefix);
  });
  return ended(reader.ok() ? check_tensor(**reader, record) : reader.status());
}

std::string folder_name(const std::string& folder) { return std::string(file_name_of(folder)); }

}  // namespace

std::vector<GoldenCase> model_cases(Records records, const std::string& folder) {
  std::vector<GoldenCase> cases;
  const auto once = std::make_shared<Once<Model>>();
  for (size_t i = 0; i < records->size(); ++i) {
    cases.push_back({folder_name(folder) + "/" + (*records)[i].text("name"), [records, once, folder, i] {
                       const absl::StatusOr<Model*> model = once->get([&] { return load_model(folder); });
                       return ended(model.ok() ? check_run(**model, (*records)[i]) : model.status());
                     }});
  }
  return cases;
}

std::vector<GoldenCase> checkpoint_cases(Records records, const std::string& folder) {
  std::vector<GoldenCase> cases;
  const auto once = std::make_shared<Once<CheckpointReader>>();
  for (size_t i = 0; i < records->size(); ++i) {
    cases.push_back({folder_name(folder) + "/" + (*records)[i].text("name"),
                     [records, once, folder, i] { return run_tensor(*once, (*records)[i], folder); }});
  }
  return cases;
}

}  // namespace millrace
