#include "tests/safety/trial.h"

#include <algorithm>
#include <cstring>

#include "runtime/session.h"
#include "tensor/allocator.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr int64_t kDeadlineMs = 300;             // of one step; waiting ops end with it
constexpr int64_t kRepetitionDeadlineMs = 5000;  // of one that did not need that long the first time

std::string tensor_text(const Tensor& t) {
  if (!t.has_value()) return "nothing";
  return str_cat(dtype_name(t.dtype()), t.shape(), " ",
                 is_pod(t.dtype()) || t.dtype() == string ? t.to_string(12) : "");
}

SessionCoreOptions random_options(Chance& chance) {
  SessionCoreOptions options;
  options.runtime.inter_op_parallelism_threads = chance.percent(15) ? 2 : 0;
  options.runtime.constant_folding = chance.percent(60);
  options.runtime.common_subexpressions = chance.percent(60);
  options.runtime.arithmetic = chance.percent(60);
  options.runtime.fusion = chance.percent(60);
  return options;
}

absl::Status run(SessionCore& session, const Trial& trial, const Trial::Step& step, std::vector<Tensor>* values,
                 int64_t deadline_ms = kDeadlineMs) {
  return session.run(
      {.feeds = trial.feeds, .fetches = step.fetches, .targets = step.targets, .timeout_in_ms = deadline_ms}, values);
}

// Hands blocks of the sizes of `values` back to the allocator, full of a pattern: what a kernel leaves unwritten then
// differs from what it left before.
void soil_memory(const std::vector<Tensor>& values) {
  std::vector<Buffer*> blocks;
  for (const Tensor& value : values) {
    if (!is_pod(value.dtype()) || value.byte_size() == 0) continue;
    Buffer* block = process_allocator()->allocate(value.byte_size());
    if (block == nullptr) continue;
    std::memset(block->data(), 0xA5, block->size());
    blocks.push_back(block);
  }
  for (Buffer* block : blocks) block->unref();
}

// Variables take values of any shape where these are fed, or where an assignment says so, as in TensorFlow; what is
// read of them then contradicts what was inferred.
bool variables_keep_their_shapes(const Trial& trial) {
  for (const Node* node : trial.graph->nodes()) {
    const AttrValue* validates = node->find_attr("validate_shape");
    if (node->op() == "Assign" && validates && validates->get<bool>() && !*validates->get<bool>()) return false;
    if (node->op() != "AssignVariableOp" || node->input(0).node()->op() != "VarHandleOp") continue;
    const auto* shape = node->input(0).node()->find_attr("shape")->get<PartialTensorShape>();
    for (const auto& [output, value] : trial.feeds)
      if (output == node->input(1) && shape && !shape->is_compatible_with(value.shape())) return false;
  }
  return true;
}

std::string wrong_shapes(const Trial::Step& step, const std::vector<Tensor>& values) {
  for (size_t i = 0; i < values.size() && i < step.fetches.size(); ++i) {
    const Output& output = step.fetches[i];
    const DataType wanted = base_dtype(output.node()->output_type(output.index()));
    if (values[i].dtype() != wanted)
      return str_cat(output.name(), " is ", dtype_name(values[i].dtype()), ", declared ", dtype_name(wanted));
    if (output.node()->find_attr("output_shapes"))
      continue;  // a claim of the graph's, which the runtime does not trust
    if (wanted == DataType::kResource)
      continue;  // shape functions say [2] of TensorArrays' and stacks' handles, as TensorFlow's do
    const PartialTensorShape& inferred = output.node()->output_shape(output.index());
    if (!inferred.is_compatible_with(values[i].shape()))
      return str_cat(output.name(), " has shape ", values[i].shape(), ", the shape function said ", inferred);
  }
  return "";
}

bool comparable(const Tensor& t) { return is_pod(t.dtype()) || t.dtype() == string; }

// Of several live inputs a Merge takes the first that comes.
bool has_race(const Trial& trial) {
  return std::ranges::any_of(trial.graph->nodes(), [](const Node* n) { return n->op().ends_with("Merge"); });
}

std::string wrong_repetition(SessionCore& session, const Trial& trial, const std::vector<Tensor>& first) {
  soil_memory(first);
  std::vector<Tensor> second;
  if (const absl::Status status = run(session, trial, trial.main, &second, kRepetitionDeadlineMs); !status.ok())
    return str_cat("the second run failed: ", status.ToString());
  for (size_t i = 0; i < first.size(); ++i) {
    if (comparable(first[i]) && !bitwise_equal(first[i], second[i]))
      return str_cat("output ", i, " differs between two runs: ", tensor_text(first[i]), " and ",
                     tensor_text(second[i]));
  }
  return "";
}

}  // namespace

bool is_repeatable(const OpEntry& op) {
  for (const char* name : {"ExtractGlimpse", "FractionalAvgPool", "FractionalMaxPool"}) {
    if (op.def.name.starts_with(name)) return false;
  }
  return !op.is_stateful() &&
         std::ranges::none_of(op.def.attrs, [](const AttrDef& attr) { return attr.name == "shared_name"; });
}

std::string describe(const Trial& trial) {
  std::string text;
  for (const Node* node : trial.graph->nodes()) {
    str_append(&text, "  ", node->name(), " = ", node->op(), "(");
    for (const Output& input : node->inputs()) str_append(&text, input ? input.name() : "?", " ");
    text += ")";
    for (const auto& [name, value] : node->attrs()) {
      const auto* tensor = value.get<Tensor>();
      str_append(&text, " ", name, "=", tensor ? tensor_text(*tensor) : value.to_string());
    }
    text += "\n";
  }
  for (const auto& [output, value] : trial.feeds)
    str_append(&text, "  feed ", output.name(), " ", tensor_text(value), "\n");
  return text;
}

std::string fault_of(const absl::Status& status) {
  const std::string message(status.message());
  // Exceptions are the last resort: whoever throws has trusted a size or an index.
  if (message.starts_with("out of memory") || message.find("a kernel threw") != std::string::npos)
    return str_cat("not a clean error: ", status.ToString());
  if (status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown)
    return str_cat("an error of ours: ", status.ToString());
  if (!status.ok() && message.empty()) return str_cat("an error without a message: ", status.ToString());
  return "";
}

std::string fault_of(const Trial& trial, Chance& chance) {
  const absl::StatusOr<std::shared_ptr<SessionCore>> session = SessionCore::create(trial.graph, random_options(chance));
  if (!session.ok()) return fault_of(session.status());
  std::vector<Tensor> values;
  for (const Trial::Step& step : trial.before) {
    if (const std::string fault = fault_of(run(**session, trial, step, &values)); !fault.empty()) return fault;
  }
  if (const absl::Status status = run(**session, trial, trial.main, &values); !status.ok()) return fault_of(status);
  const bool checks_shapes = variables_keep_their_shapes(trial);
  if (const std::string fault = wrong_shapes(trial.main, values); checks_shapes && !fault.empty()) return fault;
  if (trial.repeatable && !has_race(trial)) {
    if (const std::string fault = wrong_repetition(**session, trial, values); !fault.empty()) return fault;
  }
  for (const Trial::Step& step : trial.after) {
    std::vector<Tensor> more;
    const absl::Status status = run(**session, trial, step, &more);
    if (const std::string fault = status.ok() ? wrong_shapes(step, more) : fault_of(status); !fault.empty())
      return fault;
    if (!status.ok()) break;
  }
  return "";
}

}  // namespace millrace
