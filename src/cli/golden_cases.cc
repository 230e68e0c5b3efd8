#include "cli/golden_cases.h"

#include <filesystem>

#include "autodiff/gradients.h"
#include "cli/model.h"
#include "cli/status_text.h"
#include "graph/graph_def.h"
#include "io/file_system.h"
#include "ops/all_ops.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace millrace {
namespace {

absl::StatusOr<std::unique_ptr<Model>> model_of(const std::string& graph_def) {
  tensorflow::MetaGraphDef meta;
  if (!meta.mutable_graph_def()->ParseFromString(graph_def)) return data_loss("graph_def is no GraphDef");
  return Model::create(meta, "graph");
}

absl::StatusOr<std::vector<Tensor>> run_record(const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, model_of(record.text("graph_def")));
  for (const std::string& name : record.texts("pre_targets")) {
    MR_ASSIGN_OR_RETURN(const std::vector<Node*> target, model->find_targets({name}));
    MR_RETURN_IF_ERROR(model->run({}, {}, target).status());
  }
  MR_ASSIGN_OR_RETURN(const std::vector<Output> fetches, model->find_outputs(record.texts("fetches")));
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> targets, model->find_targets(record.texts("run_targets")));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> values, record.tensors("feed_values"));
  MR_ASSIGN_OR_RETURN(const Feeds feeds, model->find_feeds(record.texts("feed_names"), values));
  return model->run(feeds, fetches, targets);
}

// Summaries are equal as messages: fields may stand in any order, and numbers in packed or plain form.
bool same_summary(const Tensor& got, const Tensor& expected) {
  if (got.dtype() != DataType::kString || expected.dtype() != DataType::kString || got.num_elements() != 1 ||
      expected.num_elements() != 1)
    return false;
  tensorflow::Summary a, b;
  return a.ParseFromString(got.unchecked<std::string>()[0]) &&
         b.ParseFromString(expected.unchecked<std::string>()[0]) && deterministic_bytes(a) == deterministic_bytes(b);
}

absl::Status compare_record(const GoldenRecord& record, const std::vector<Tensor>& got) {
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, record.tensors("expected"));
  absl::Status status =
      compare_all(got, expected, record.texts("fetches"), record.number("rtol"), record.number("atol"));
  if (!status.ok() && record.text("op").find("Summary") != std::string::npos && got.size() == 1 &&
      expected.size() == 1 && same_summary(got[0], expected[0])) {
    return absl::OkStatus();
  }
  return status;
}

// ---- gradients

absl::StatusOr<Tensor> filled(DataType dtype, const TensorShape& shape, float value) {
  MR_ASSIGN_OR_RETURN(Tensor t, make_zeroed_tensor(dtype, shape));
  if (dtype == DataType::kFloat) {
    std::ranges::fill(t.unchecked_mutable<float>(), value);
  } else if (dtype == DataType::kDouble) {
    std::ranges::fill(t.unchecked_mutable<double>(), static_cast<double>(value));
  } else {
    return unimplemented("grad_ys of ", dtype_name(dtype));
  }
  return t;
}

template <class T, class Index>
absl::StatusOr<Tensor> sum_rows(const Tensor& values, const Tensor& indices, const TensorShape& shape) {
  MR_ASSIGN_OR_RETURN(Tensor dense, make_zeroed_tensor(values.dtype(), shape));
  const int64_t rows = shape.rank() == 0 ? 0 : shape.dim(0);
  const int64_t width = rows == 0 ? 0 : shape.num_elements() / rows;
  if (values.num_elements() != indices.num_elements() * width)
    return invalid_argument("slices of shape ", values.shape(), " for ", shape);
  const auto from = values.unchecked<T>();
  const auto to = dense.unchecked_mutable<T>();
  for (int64_t i = 0; i < indices.num_elements(); ++i) {
    const int64_t row = indices.unchecked<Index>()[static_cast<size_t>(i)];
    if (row < 0 || row >= rows) return invalid_argument("slice ", row, " of ", rows, " rows");
    for (int64_t j = 0; j < width; ++j)
      to[static_cast<size_t>(row * width + j)] += from[static_cast<size_t>(i * width + j)];
  }
  return dense;
}

absl::StatusOr<Tensor> dense_sum(const Tensor& values, const Tensor& indices, const TensorShape& shape) {
  const bool wide = indices.dtype() == DataType::kInt64;
  if (!wide && indices.dtype() != DataType::kInt32)
    return invalid_argument("slices with indices of ", dtype_name(indices.dtype()));
  if (values.dtype() == DataType::kFloat)
    return wide ? sum_rows<float, int64_t>(values, indices, shape) : sum_rows<float, int32_t>(values, indices, shape);
  if (values.dtype() == DataType::kDouble)
    return wide ? sum_rows<double, int64_t>(values, indices, shape) : sum_rows<double, int32_t>(values, indices, shape);
  return unimplemented("slices of ", dtype_name(values.dtype()));
}

absl::StatusOr<std::vector<Gradient>> given_gradients(const GoldenRecord& record, const std::vector<Tensor>& y_values,
                                                      GraphImpl* graph) {
  std::vector<Gradient> given;
  if (!record.has("grad_ys_fill")) return given;
  for (size_t i = 0; i < y_values.size(); ++i) {
    MR_ASSIGN_OR_RETURN(Tensor value, filled(y_values[i].dtype(), y_values[i].shape(), record.number("grad_ys_fill")));
    NodeSpec spec;
    spec.type = "Const";
    spec.name = str_cat("given_grad_ys_", i);
    spec.attrs["dtype"] = value.dtype();
    spec.attrs["value"] = std::move(value);
    MR_ASSIGN_OR_RETURN(Node * node, graph->add_node(std::move(spec)));
    given.emplace_back(Output(node, 0));
  }
  return given;
}

// One x: its gradient's kind, then its value.
absl::Status check_gradient(Model& model, const Gradient& gradient, const std::string& kind, const Tensor& expected,
                            const GoldenRecord& record) {
  const std::string got = !gradient ? "none" : gradient.is_slices() ? "slices" : "dense";
  if (got != kind) return invalid_argument("is ", got, ", expected ", kind);
  if (!gradient) return absl::OkStatus();
  Tensor value;
  if (gradient.is_slices()) {
    MR_ASSIGN_OR_RETURN(const std::vector<Tensor> parts,
                        model.run({}, {gradient.slices().values, gradient.slices().indices}));
    MR_ASSIGN_OR_RETURN(value, dense_sum(parts[0], parts[1], expected.shape()));
  } else {
    MR_ASSIGN_OR_RETURN(const std::vector<Tensor> parts, model.run({}, {gradient.dense()}));
    value = parts[0];
  }
  return compare_tensors(value, expected, record.number("rtol"), record.number("atol"));
}

absl::Status check_gradients(const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, model_of(record.text("graph_def")));
  GradientSpec spec;
  const std::vector<std::string> ys = record.texts("ys"), xs = record.texts("xs"), kinds = record.texts("grad_kinds");
  MR_ASSIGN_OR_RETURN(spec.ys, model->find_outputs(ys));
  MR_ASSIGN_OR_RETURN(spec.xs, model->find_outputs(xs));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> y_values, model->run({}, spec.ys));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected_y, record.tensors("expected_y"));
  MR_RETURN_IF_ERROR(compare_all(y_values, expected_y, ys, record.number("rtol"), record.number("atol")));
  MR_ASSIGN_OR_RETURN(spec.grad_ys, given_gradients(record, y_values, &model->graph()));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> expected, record.tensors("expected_grads"));
  MR_ASSIGN_OR_RETURN(const std::vector<Gradient> gradients, add_gradients(model->graph(), spec));
  if (expected.size() != xs.size() || kinds.size() != xs.size() || gradients.size() != xs.size()) {
    return data_loss("as many expected_grads and grad_kinds as xs are needed");
  }
  for (size_t i = 0; i < xs.size(); ++i) {
    if (absl::Status status = check_gradient(*model, gradients[i], kinds[i], expected[i], record); !status.ok()) {
      return annotate(status, str_cat("gradient of ", xs[i]));
    }
  }
  return absl::OkStatus();
}

// "(op type: X)" of the driver's LookupError; empty for other errors.
std::string op_without_gradient(const absl::Status& status) {
  const std::string message(status.message());
  constexpr std::string_view kBefore = "(op type: ";
  const size_t begin = message.find(kBefore);
  if (message.find("No gradient defined") == std::string::npos || begin == std::string::npos) return {};
  const size_t name = begin + kBefore.size();
  return message.substr(name, message.find(')', name) - name);
}

}  // namespace

CaseResult ended(const absl::Status& status) {
  if (status.ok()) return {};
  if (std::string op = unregistered_op(status); !op.empty()) return {CaseResult::Outcome::kSkipped, "op " + op};
  return {CaseResult::Outcome::kFailed, status_text(status)};
}

CaseResult run_case(const GoldenRecord& record) {
  const absl::StatusOr<std::vector<Tensor>> got = run_record(record);
  const auto wanted = static_cast<int>(record.integer("error_code"));
  if (got.ok() && wanted == 0) return ended(compare_record(record, *got));
  if (got.ok()) return {CaseResult::Outcome::kFailed, str_cat("succeeded, expected error code ", wanted)};
  CaseResult result = ended(got.status());
  if (result.outcome == CaseResult::Outcome::kFailed && static_cast<int>(got.status().code()) == wanted) return {};
  return result;
}

CaseResult run_gradient(const GoldenRecord& record) {
  const absl::Status status = check_gradients(record);
  if (std::string op = op_without_gradient(status); !op.empty()) {
    return {CaseResult::Outcome::kSkipped,
            record.has("meta_graph") ? "gradients of control flow contexts" : "gradient of " + op};
  }
  return ended(status);
}

absl::StatusOr<std::vector<GoldenCase>> golden_cases(const std::string& path) {
  MR_ASSIGN_OR_RETURN(std::vector<GoldenRecord> all, read_golden_file(path));
  std::vector<GoldenCase> cases;
  if (all.empty()) return cases;
  const auto records = std::make_shared<const std::vector<GoldenRecord>>(std::move(all));
  const std::string folder(directory_of(path));
  const std::string stem = std::filesystem::path(path).stem().string();
  const GoldenRecord& first = records->front();
  if (file_name_of(path) == "io.tfrecord" && first.has("fetches")) return model_cases(records, folder);
  if (file_name_of(path) == "expected.tfrecord" && first.has("dtype")) return checkpoint_cases(records, folder);
  if (first.text("type") == "header") {
    if (first.has("train_op")) {
      cases.push_back({stem, [records] { return run_training(*records); }});
    } else if (first.has("update_op")) {
      cases.push_back({stem, [records] { return run_metric(*records); }});
    } else if (first.has("end_code")) {
      cases.push_back({stem, [records, folder] { return run_dataset(*records, folder); }});
    }
    return cases;
  }
  for (size_t i = 0; i < records->size(); ++i) {
    const GoldenRecord& record = (*records)[i];
    const std::string name = record.has("name") ? record.text("name") : str_cat(stem, "/", i);
    if (record.has("xs") && record.has("expected_grads")) {
      cases.push_back({name, [records, i] { return run_gradient((*records)[i]); }});
    } else if (record.has("graph_def") && (record.has("fetches") || record.has("run_targets"))) {
      cases.push_back({name, [records, i] { return run_case((*records)[i]); }});
    }
  }
  return cases;
}

}  // namespace millrace
