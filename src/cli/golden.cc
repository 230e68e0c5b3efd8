#include "cli/golden.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "autodiff/gradients.h"
#include "graph/graph_def.h"
#include "graph/op_maker.h"
#include "graph/proto_convert.h"
#include "io/record_reader.h"
#include "ops/all_ops.h"
#include "runtime/session.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace millrace {

GoldenRecord::GoldenRecord() : example_(std::make_unique<tensorflow::Example>()) {}
GoldenRecord::~GoldenRecord() = default;
GoldenRecord::GoldenRecord(GoldenRecord&&) noexcept = default;
GoldenRecord& GoldenRecord::operator=(GoldenRecord&&) noexcept = default;

absl::StatusOr<GoldenRecord> GoldenRecord::parse(const std::string& bytes) {
  GoldenRecord record;
  if (!record.example_->ParseFromString(bytes)) return data_loss("a golden record is no tensorflow.Example");
  return record;
}

bool GoldenRecord::has(const std::string& feature) const { return example_->features().feature().contains(feature); }

std::vector<std::string> GoldenRecord::texts(const std::string& feature) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  if (it == all.end()) return {};
  const auto& values = it->second.bytes_list().value();
  return {values.begin(), values.end()};
}

std::string GoldenRecord::text(const std::string& feature) const {
  const std::vector<std::string> all = texts(feature);
  return all.empty() ? "" : all[0];
}

float GoldenRecord::number(const std::string& feature, float otherwise) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  return it == all.end() || it->second.float_list().value().empty() ? otherwise : it->second.float_list().value(0);
}

int64_t GoldenRecord::integer(const std::string& feature, int64_t otherwise) const {
  const auto& all = example_->features().feature();
  const auto it = all.find(feature);
  return it == all.end() || it->second.int64_list().value().empty() ? otherwise : it->second.int64_list().value(0);
}

absl::StatusOr<std::vector<Tensor>> GoldenRecord::tensors(const std::string& feature) const {
  std::vector<Tensor> out;
  for (const std::string& bytes : texts(feature)) {
    tensorflow::TensorProto proto;
    if (!proto.ParseFromString(bytes)) return data_loss("'", feature, "' holds no TensorProto");
    MR_ASSIGN_OR_RETURN(Tensor t, from_proto(proto));
    out.push_back(std::move(t));
  }
  return out;
}

absl::StatusOr<std::vector<GoldenRecord>> read_golden_file(const std::string& path) {
  MR_ASSIGN_OR_RETURN(const auto reader, RecordReader::open(path));
  std::vector<GoldenRecord> records;
  std::string bytes;
  while (true) {
    MR_ASSIGN_OR_RETURN(const bool more, reader->read(bytes));
    if (!more) return records;
    MR_ASSIGN_OR_RETURN(GoldenRecord record, GoldenRecord::parse(bytes));
    records.push_back(std::move(record));
  }
}

namespace {

bool close_enough(double got, double expected, double rtol, double atol) {
  if (std::isnan(got) || std::isnan(expected)) return std::isnan(got) && std::isnan(expected);
  if (std::isinf(got) || std::isinf(expected)) return got == expected;
  return std::abs(got - expected) <= atol + rtol * std::abs(expected);
}

template <class T>
absl::Status compare_as(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  const auto a = got.unchecked<T>(), b = expected.unchecked<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    bool same;
    std::string shown;
    if constexpr (std::is_same_v<T, std::string>) {
      same = a[i] == b[i];
      if (!same) shown = str_cat("'", a[i].substr(0, 60), "', expected '", b[i].substr(0, 60), "'");
    } else if constexpr (std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>) {
      same = close_enough(a[i].real(), b[i].real(), rtol, atol) && close_enough(a[i].imag(), b[i].imag(), rtol, atol);
      if (!same) shown = absl::StrFormat("(%g,%g), expected (%g,%g)", a[i].real(), a[i].imag(), b[i].real(), b[i].imag());
    } else if constexpr (std::is_integral_v<T>) {
      same = a[i] == b[i] || close_enough(static_cast<double>(a[i]), static_cast<double>(b[i]), rtol, atol);
      if (!same) shown = str_cat(static_cast<int64_t>(a[i]), ", expected ", static_cast<int64_t>(b[i]));
    } else if constexpr (requires { a[i].value; }) {
      same = a[i].value == b[i].value || close_enough(a[i].value, b[i].value, rtol, atol);
      if (!same) shown = str_cat(static_cast<int64_t>(a[i].value), ", expected ", static_cast<int64_t>(b[i].value));
    } else {
      const auto x = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(a[i]);
      const auto y = static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(b[i]);
      same = close_enough(x, y, rtol, atol);
      if (!same) shown = absl::StrFormat("%.9g, expected %.9g", static_cast<double>(x), static_cast<double>(y));
    }
    if (!same) return invalid_argument("element ", i, " is ", shown);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status compare_tensors(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  if (got.dtype() != expected.dtype()) {
    return invalid_argument("is ", dtype_name(got.dtype()), ", expected ", dtype_name(expected.dtype()));
  }
  if (!(got.shape() == expected.shape())) return invalid_argument("has shape ", got.shape(), ", expected ", expected.shape());
  switch (got.dtype()) {
#define MR_CASE(T) \
  case dtype_of<T>: return compare_as<T>(got, expected, rtol, atol);
    MR_CASE(float) MR_CASE(double) MR_CASE(int8_t) MR_CASE(int16_t) MR_CASE(int32_t) MR_CASE(int64_t) MR_CASE(uint8_t)
    MR_CASE(uint16_t) MR_CASE(uint32_t) MR_CASE(uint64_t) MR_CASE(bool) MR_CASE(std::string) MR_CASE(Complex64)
    MR_CASE(Complex128) MR_CASE(Half) MR_CASE(BFloat16) MR_CASE(Qint8) MR_CASE(Quint8) MR_CASE(Qint16) MR_CASE(Quint16)
    MR_CASE(Qint32)
#undef MR_CASE
    default: return invalid_argument("tensors of ", dtype_name(got.dtype()), " cannot be compared");
  }
}

namespace {

CaseResult failed(std::string why) { return {CaseResult::Outcome::kFailed, std::move(why)}; }

absl::StatusOr<std::shared_ptr<GraphImpl>> import(const std::string& bytes) {
  tensorflow::GraphDef def;
  if (!def.ParseFromString(bytes)) return data_loss("graph_def is no GraphDef");
  auto graph = std::make_shared<GraphImpl>(all_ops());
  MR_RETURN_IF_ERROR(import_graph_def(def, {}, graph.get()).status());
  return graph;
}

absl::StatusOr<Output> first_output(absl::StatusOr<Node*> node) {
  if (!node.ok()) return node.status();
  return Output(*node, 0);
}

absl::StatusOr<std::vector<Output>> find_outputs(const GraphImpl& graph, const std::vector<std::string>& names) {
  std::vector<Output> outputs;
  for (const std::string& name : names) {
    MR_ASSIGN_OR_RETURN(const Output output, graph.find_output(name));
    outputs.push_back(output);
  }
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> run_record(const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<GraphImpl> graph, import(record.text("graph_def")));
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<SessionCore> session, SessionCore::create(graph));
  std::vector<Tensor> results;
  for (const std::string& name : record.texts("pre_targets")) {
    MR_ASSIGN_OR_RETURN(Node* node, graph->find_node(name));
    MR_RETURN_IF_ERROR(session->run({.targets = {&node, 1}}, &results));
  }
  MR_ASSIGN_OR_RETURN(const std::vector<Output> fetches, find_outputs(*graph, record.texts("fetches")));
  std::vector<Node*> targets;
  for (const std::string& name : record.texts("run_targets")) {
    MR_ASSIGN_OR_RETURN(Node* node, graph->find_node(name));
    targets.push_back(node);
  }
  MR_ASSIGN_OR_RETURN(const std::vector<Output> fed, find_outputs(*graph, record.texts("feed_names")));
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> values, record.tensors("feed_values"));
  if (fed.size() != values.size()) return data_loss("as many feed_names as feed_values are needed");
  std::vector<std::pair<Output, Tensor>> feeds;
  for (size_t i = 0; i < fed.size(); ++i) feeds.emplace_back(fed[i], values[i]);
  MR_RETURN_IF_ERROR(session->run({.feeds = feeds, .fetches = fetches, .targets = targets}, &results));
  return results;
}

CaseResult compare_all(const GoldenRecord& record, const std::vector<Tensor>& got, const std::vector<Tensor>& expected,
                       const std::vector<std::string>& names) {
  if (got.size() != expected.size()) return failed(str_cat(got.size(), " results, expected ", expected.size()));
  for (size_t i = 0; i < got.size(); ++i) {
    absl::Status status = compare_tensors(got[i], expected[i], record.number("rtol"), record.number("atol"));
    if (!status.ok()) return failed(str_cat(i < names.size() ? names[i] : str_cat("result ", i), " ", to_std(status.message())));
  }
  return {};
}

}  // namespace

CaseResult run_case(const GoldenRecord& record) {
  const absl::StatusOr<std::vector<Tensor>> got = run_record(record);
  const auto wanted = static_cast<int>(record.integer("error_code"));
  if (!got.ok()) {
    if (std::string op = unregistered_op(got.status()); !op.empty()) return {CaseResult::Outcome::kSkipped, std::move(op)};
    if (static_cast<int>(got.status().code()) == wanted) return {};
    return failed(got.status().ToString());
  }
  if (wanted != 0) return failed(str_cat("succeeded, expected error code ", wanted));
  const absl::StatusOr<std::vector<Tensor>> expected = record.tensors("expected");
  if (!expected.ok()) return failed(expected.status().ToString());
  return compare_all(record, *got, *expected, record.texts("fetches"));
}

namespace {

// A tensor like `like` filled with the value, as nodes of the graph.
absl::StatusOr<Output> filled_like(GraphImpl& graph, const Output& like, float value) {
  MR_ASSIGN_OR_RETURN(const Output shape, first_output(make_op(graph, {.type = "Shape", .args = {like}})));
  MR_ASSIGN_OR_RETURN(const Output constant, make_const(graph, Tensor(value)));
  MR_ASSIGN_OR_RETURN(const Output scalar, first_output(make_op(graph, {.type = "Cast", .args = {constant}, .attrs = {{"DstT", base_dtype(like.dtype())}}})));
  return first_output(make_op(graph, {.type = "Fill", .args = {shape, scalar}}));
}

struct GradientRun {
  std::vector<std::string> kinds;
  std::vector<Tensor> y, grads;
};

absl::StatusOr<GradientRun> differentiate(const GoldenRecord& record) {
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<GraphImpl> graph, import(record.text("graph_def")));
  GradientSpec spec;
  MR_ASSIGN_OR_RETURN(spec.xs, find_outputs(*graph, record.texts("xs")));
  MR_ASSIGN_OR_RETURN(spec.ys, find_outputs(*graph, record.texts("ys")));
  if (record.has("grad_ys_fill")) {
    for (const Output& y : spec.ys) {
      MR_ASSIGN_OR_RETURN(const Output grad, filled_like(*graph, y, record.number("grad_ys_fill")));
      spec.grad_ys.push_back(grad);
    }
  }
  MR_ASSIGN_OR_RETURN(const std::vector<Gradient> gradients, add_gradients(*graph, spec));
  GradientRun run;
  std::vector<Output> fetches = spec.ys;
  for (const Gradient& g : gradients) {
    run.kinds.push_back(!g ? "none" : g.is_slices() ? "slices" : "dense");
    if (!g) continue;
    Output dense = g.dense();
    if (g.is_slices()) {
      MR_ASSIGN_OR_RETURN(dense, densify(*graph, g.slices()));
    }
    fetches.push_back(dense);
  }
  MR_ASSIGN_OR_RETURN(const std::shared_ptr<SessionCore> session, SessionCore::create(graph));
  std::vector<Tensor> values;
  MR_RETURN_IF_ERROR(session->run({.fetches = fetches}, &values));
  run.y.assign(values.begin(), values.begin() + static_cast<ptrdiff_t>(spec.ys.size()));
  run.grads.assign(values.begin() + static_cast<ptrdiff_t>(spec.ys.size()), values.end());
  return run;
}

}  // namespace

CaseResult run_gradient(const GoldenRecord& record) {
  if (record.has("meta_graph")) return {CaseResult::Outcome::kSkipped, "gradients through an imported cond or while_loop"};
  absl::StatusOr<GradientRun> run = differentiate(record);
  if (!run.ok()) {
    if (std::string op = unregistered_op(run.status()); !op.empty()) return {CaseResult::Outcome::kSkipped, std::move(op)};
    return failed(run.status().ToString());
  }
  if (run->kinds != record.texts("grad_kinds")) {
    std::string text = "kinds of gradients:";
    for (const std::string& kind : run->kinds) text += " " + kind;
    return failed(text);
  }
  const auto expected_y = record.tensors("expected_y"), expected_grads = record.tensors("expected_grads");
  if (!expected_y.ok() || !expected_grads.ok()) return failed("the record cannot be read");
  std::vector<Tensor> wanted;
  for (size_t i = 0; i < expected_grads->size(); ++i) {
    if (i >= run->kinds.size() || run->kinds[i] != "none") wanted.push_back((*expected_grads)[i]);
  }
  if (CaseResult y = compare_all(record, run->y, *expected_y, record.texts("ys")); y.outcome != CaseResult::Outcome::kPassed) return y;
  return compare_all(record, run->grads, wanted, {});
}

}  // namespace millrace
