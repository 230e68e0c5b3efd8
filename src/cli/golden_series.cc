// Golden files that are one case: a header, then what every step gives.

#include <unistd.h>

#include <filesystem>

#include "cli/golden_cases.h"
#include "cli/model.h"
#include "io/file_system.h"
#include "tensor/tensor.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace millrace {
namespace {

struct Tolerance {
  explicit Tolerance(const GoldenRecord& header) : rtol(header.number("rtol")), atol(header.number("atol")) {}
  double rtol, atol;
};

absl::StatusOr<std::unique_ptr<Model>> model_of(const GoldenRecord& header) {
  tensorflow::MetaGraphDef meta;
  const bool whole = header.has("meta_graph");
  if (whole ? !meta.ParseFromString(header.text("meta_graph"))
            : !meta.mutable_graph_def()->ParseFromString(header.text("graph_def"))) {
    return data_loss("the header's graph cannot be parsed");
  }
  return Model::create(meta, "graph");
}

absl::Status run_node(Model& model, const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> targets, model.find_targets({name}));
  return model.run({}, {}, targets).status();
}

absl::StatusOr<Feeds> feeds_of(const Model& model, const GoldenRecord& step) {
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> values, step.tensors("feed_values"));
  return model.find_feeds(step.texts("feed_names"), values);
}

absl::StatusOr<std::vector<Output>> variable_values(const Model& model, const std::vector<std::string>& names) {
  std::vector<Output> outputs;
  for (const std::string& name : names) {
    MR_ASSIGN_OR_RETURN(const Output output, variable_value(model.graph(), name));
    outputs.push_back(output);
  }
  return outputs;
}

// Fetches, and compares with the tensors of a feature.
absl::Status check(Model& model, const Feeds& feeds, const std::vector<Output>& fetches, const GoldenRecord& record,
                   const std::string& feature, const std::vector<std::string>& names, const Tolerance& within) {
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> got, model.run(feeds, fetches));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, record.tensors(feature));
  return compare_all(got, expected, names, within.rtol, within.atol);
}

absl::Status check_training_step(Model& model, const GoldenRecord& header, const GoldenRecord& step,
                                 const std::vector<Output>& variables, const Tolerance& within) {
  MR_ASSIGN_OR_RETURN(const Feeds feeds, feeds_of(model, step));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> loss, model.find_outputs({header.text("loss")}));
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> train, model.find_targets({header.text("train_op")}));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> got, model.run(feeds, loss, train));
  if (got[0].dtype() != DataType::kFloat || got[0].num_elements() != 1) return invalid_argument("the loss is no float");
  MR_ASSIGN_OR_RETURN(const Tensor expected, make_scalar<float>(step.number("loss")));
  MR_ASSIGN_OR_RETURN(const Tensor value, reshaped(got[0], TensorShape()));
  MR_RETURN_IF_ERROR(compare_all({value}, {expected}, {"loss"}, within.rtol, within.atol));
  return check(model, {}, variables, step, "values", header.texts("variables"), within);
}

absl::Status train(const std::vector<GoldenRecord>& records) {
  const GoldenRecord& header = records[0];
  const Tolerance within(header);
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, model_of(header));
  MR_RETURN_IF_ERROR(run_node(*model, header.text("init_op")));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> variables, variable_values(*model, header.texts("variables")));
  MR_RETURN_IF_ERROR(
      annotate(check(*model, {}, variables, header, "initial", header.texts("variables"), within), "at the start"));
  for (size_t i = 1; i < records.size(); ++i) {
    MR_RETURN_IF_ERROR(
        annotate(check_training_step(*model, header, records[i], variables, within), str_cat("step ", i)));
  }
  return absl::OkStatus();
}

absl::Status check_metric_step(Model& model, const GoldenRecord& header, const GoldenRecord& step,
                               const std::vector<Output>& variables, const Tolerance& within) {
  MR_ASSIGN_OR_RETURN(const Feeds feeds, feeds_of(model, step));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> update, model.find_outputs({header.text("update_op")}));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> value, model.find_outputs({header.text("value")}));
  MR_RETURN_IF_ERROR(check(model, feeds, update, step, "update", {"update_op"}, within));
  MR_RETURN_IF_ERROR(check(model, {}, value, step, "value", {"value"}, within));
  return check(model, {}, variables, step, "variables", header.texts("local_variables"), within);
}

absl::Status measure(const std::vector<GoldenRecord>& records) {
  const GoldenRecord& header = records[0];
  const Tolerance within(header);
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, model_of(header));
  MR_RETURN_IF_ERROR(run_node(*model, header.text("init_op")));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> value, model->find_outputs({header.text("value")}));
  MR_RETURN_IF_ERROR(annotate(check(*model, {}, value, header, "initial_value", {"value"}, within), "at the start"));
  MR_ASSIGN_OR_RETURN(const std::vector<Output> variables, variable_values(*model, header.texts("local_variables")));
  for (size_t i = 1; i < records.size(); ++i) {
    MR_RETURN_IF_ERROR(annotate(check_metric_step(*model, header, records[i], variables, within), str_cat("step ", i)));
  }
  return absl::OkStatus();
}

absl::Status iterate(const std::vector<GoldenRecord>& records) {
  constexpr double kTolerance = 1e-6;  // of floats; other elements are exact
  const GoldenRecord& header = records[0];
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, model_of(header));
  MR_RETURN_IF_ERROR(run_node(*model, header.text("init_op")));
  const std::vector<std::string> names = header.texts("fetches");
  MR_ASSIGN_OR_RETURN(const std::vector<Output> fetches, model->find_outputs(names));
  for (size_t i = 1; i < records.size(); ++i) {
    const absl::StatusOr<std::vector<Tensor>> got = model->run({}, fetches);
    if (!got.ok()) return annotate(got.status(), str_cat("element ", i - 1));
    MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, records[i].tensors("values"));
    MR_RETURN_IF_ERROR(
        annotate(compare_all(*got, expected, names, kTolerance, kTolerance), str_cat("element ", i - 1)));
  }
  const int64_t end_code = header.integer("end_code");
  if (end_code == 0) return absl::OkStatus();
  const absl::Status end = model->run({}, fetches).status();
  if (static_cast<int64_t>(end.code()) == end_code) return absl::OkStatus();
  if (end.ok())
    return invalid_argument("one element more, expected error code ", end_code, " after element ", records.size() - 2);
  return annotate(end, str_cat("at the end, expected error code ", end_code));
}

// Pipelines that read files name them relative to the folder `records` beside the folder of the golden file.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::filesystem::path& folder) {
    std::error_code error;
    old_ = std::filesystem::current_path(error);
    if (std::filesystem::is_directory(folder, error)) std::filesystem::current_path(folder, error);
  }
  ~WorkingDirectory() {
    std::error_code error;
    std::filesystem::current_path(old_, error);
  }

 private:
  std::filesystem::path old_;
};

}  // namespace

CaseResult run_training(const std::vector<GoldenRecord>& records) { return ended(train(records)); }
CaseResult run_metric(const std::vector<GoldenRecord>& records) { return ended(measure(records)); }

CaseResult run_dataset(const std::vector<GoldenRecord>& records, const std::string& folder) {
  const WorkingDirectory beside(std::filesystem::path(folder) / ".." / "records");
  return ended(iterate(records));
}

}  // namespace millrace
