#include "cli/model.h"

#include <algorithm>
#include <set>

#include "checkpoint/checkpoint_reader.h"
#include "graph/graph_def.h"
#include "io/file_system.h"
#include "ops/all_ops.h"
#include "tensor/tensor.h"
#include "tensorflow/core/framework/variable.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"

namespace millrace {
namespace {

constexpr std::string_view kGlobalVariables = "variables", kLocalVariables = "local_variables",
                           kTables = "table_initializer";

std::string without_index(std::string_view tensor_name) {
  return std::string(tensor_name.substr(0, tensor_name.find(':')));
}

absl::StatusOr<std::vector<tensorflow::VariableDef>> variable_defs(const tensorflow::MetaGraphDef& meta,
                                                                   std::string_view key) {
  std::vector<tensorflow::VariableDef> defs;
  const auto found = meta.collection_def().find(std::string(key));
  if (found == meta.collection_def().end()) return defs;
  for (const std::string& bytes : found->second.bytes_list().value()) {
    tensorflow::VariableDef def;
    if (!def.ParseFromString(bytes)) return data_loss("collection '", key, "' holds bytes that are no VariableDef");
    defs.push_back(std::move(def));
  }
  return defs;
}

}  // namespace

Model::~Model() {
  if (session_) session_->close();
}

absl::StatusOr<std::unique_ptr<Model>> Model::create(const tensorflow::MetaGraphDef& meta_graph, std::string source) {
  std::unique_ptr<Model> model(new Model);
  model->source_ = std::move(source);
  model->graph_ = std::make_shared<GraphImpl>(all_ops());
  ImportOptions options;
  if (meta_graph.meta_info_def().has_stripped_op_list())
    options.producer_ops = &meta_graph.meta_info_def().stripped_op_list();
  if (absl::Status status = import_graph_def(meta_graph.graph_def(), options, model->graph_.get()).status();
      !status.ok()) {
    return annotate(status, model->source_);
  }
  model->meta_ = std::make_unique<tensorflow::MetaGraphDef>();
  *model->meta_->mutable_saver_def() = meta_graph.saver_def();
  *model->meta_->mutable_collection_def() = meta_graph.collection_def();
  *model->meta_->mutable_asset_file_def() = meta_graph.asset_file_def();
  MR_ASSIGN_OR_RETURN(model->session_, SessionCore::create(model->graph_));
  return model;
}

std::vector<std::string> Model::collection(std::string_view key) const {
  const auto found = meta_->collection_def().find(std::string(key));
  if (found == meta_->collection_def().end()) return {};
  const auto& names = found->second.node_list().value();
  return {names.begin(), names.end()};
}

absl::StatusOr<std::vector<Output>> Model::find_outputs(const std::vector<std::string>& names) const {
  std::vector<Output> outputs;
  for (const std::string& name : names) {
    MR_ASSIGN_OR_RETURN(const Output output, graph_->find_output(name));
    outputs.push_back(output);
  }
  return outputs;
}

absl::StatusOr<std::vector<Node*>> Model::find_targets(const std::vector<std::string>& names) const {
  std::vector<Node*> nodes;
  for (const std::string& name : names) {
    MR_ASSIGN_OR_RETURN(Node * node, graph_->find_node(without_index(name)));
    nodes.push_back(node);
  }
  return nodes;
}

absl::StatusOr<Feeds> Model::find_feeds(const std::vector<std::string>& names,
                                        const std::vector<Tensor>& values) const {
  if (names.size() != values.size())
    return invalid_argument(names.size(), " names of feeds for ", values.size(), " values");
  MR_ASSIGN_OR_RETURN(const std::vector<Output> outputs, find_outputs(names));
  Feeds feeds;
  for (size_t i = 0; i < values.size(); ++i) feeds.emplace_back(outputs[i], values[i]);
  return feeds;
}

absl::StatusOr<std::vector<Tensor>> Model::run(const Feeds& feeds, const std::vector<Output>& fetches,
                                               const std::vector<Node*>& targets) {
  std::vector<Tensor> fetched;
  MR_RETURN_IF_ERROR(session_->run({.feeds = feeds, .fetches = fetches, .targets = targets}, &fetched));
  return fetched;
}

absl::Status Model::run_targets(const std::vector<Node*>& targets) {
  if (targets.empty()) return absl::OkStatus();
  return run(assets_, {}, targets).status();
}

absl::StatusOr<std::vector<Node*>> Model::initializers(const std::vector<std::string_view>& keys) const {
  std::vector<std::string> names;
  std::set<std::string> known;
  for (const std::string_view key : keys) {
    MR_ASSIGN_OR_RETURN(const std::vector<tensorflow::VariableDef> defs, variable_defs(*meta_, key));
    for (const tensorflow::VariableDef& def : defs) {
      if (known.insert(without_index(def.variable_name())).second) names.push_back(def.initializer_name());
    }
  }
  MR_ASSIGN_OR_RETURN(std::vector<Node*> nodes, find_targets(names));
  // Graphs that lost their collections still follow TF1's names.
  if (std::ranges::find(keys, kGlobalVariables) != keys.end()) {
    for (const Node* variable : graph_->nodes()) {
      if (variable->op() != "VariableV2" && variable->op() != "Variable" && variable->op() != "VarHandleOp") continue;
      if (known.contains(variable->name())) continue;
      Node* assign = graph_->find(variable->name() + "/Assign");
      if (assign != nullptr && (assign->op() == "Assign" || assign->op() == "AssignVariableOp"))
        nodes.push_back(assign);
    }
  }
  return nodes;
}

absl::Status Model::initialize() {
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> variables, initializers({kGlobalVariables, kLocalVariables}));
  MR_RETURN_IF_ERROR(run_targets(variables));
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> tables, find_targets(collection(kTables)));
  return run_targets(tables);
}

absl::Status Model::initialize_local() {
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> variables, initializers({kLocalVariables}));
  MR_RETURN_IF_ERROR(run_targets(variables));
  MR_ASSIGN_OR_RETURN(const std::vector<Node*> tables, find_targets(collection(kTables)));
  return run_targets(tables);
}

absl::Status Model::restore(const std::string& prefix) {
  if (!checkpoint_exists(prefix)) {
    return not_found(prefix, ": there is no checkpoint; give the path without .index or .data-00000-of-00001");
  }
  const tensorflow::SaverDef& saver = meta_->saver_def();
  if (saver.restore_op_name().empty()) {
    MR_RETURN_IF_ERROR(load_variables(prefix));
  } else {
    MR_ASSIGN_OR_RETURN(const Output filename, graph_->find_output(saver.filename_tensor_name()));
    MR_ASSIGN_OR_RETURN(Node * op, graph_->find_node(saver.restore_op_name()));
    MR_ASSIGN_OR_RETURN(Tensor value, make_scalar<std::string>(prefix));
    const absl::Status status = run({{filename, std::move(value)}}, {}, {op}).status();
    if (!status.ok())
      return to_std(status.message()).find(prefix) == std::string_view::npos ? annotate(status, prefix) : status;
  }
  return initialize_local();
}

// Without a saver in the graph, as TF1's Variable.load: the initializer runs with another initial value fed.
absl::Status Model::load_variables(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(const std::vector<tensorflow::VariableDef> defs, variable_defs(*meta_, kGlobalVariables));
  MR_ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointReader> reader, open_checkpoint(prefix));
  Feeds values;
  std::vector<Node*> targets;
  for (const tensorflow::VariableDef& def : defs) {
    MR_ASSIGN_OR_RETURN(const Output initial, graph_->find_output(def.initial_value_name()));
    Tensor value;
    if (const tensorflow::SaveSliceInfoDef& part = def.save_slice_info_def(); !part.full_name().empty()) {
      std::vector<TensorSlice::Extent> extents;
      for (int i = 0; i < std::min(part.var_offset_size(), part.var_shape_size()); ++i) {
        extents.push_back({part.var_offset(i), part.var_shape(i)});
      }
      MR_ASSIGN_OR_RETURN(value, reader->read_slice(part.full_name(), TensorSlice(std::move(extents))));
    } else {
      MR_ASSIGN_OR_RETURN(value, reader->read(without_index(def.variable_name())));
    }
    values.emplace_back(initial, std::move(value));
    MR_ASSIGN_OR_RETURN(Node * initializer, graph_->find_node(def.initializer_name()));
    targets.push_back(initializer);
  }
  if (targets.empty()) return absl::OkStatus();
  return run(values, {}, targets).status();
}

absl::Status Model::use_assets(const std::string& folder) {
  std::vector<tensorflow::AssetFileDef> defs(meta_->asset_file_def().begin(), meta_->asset_file_def().end());
  if (const auto found = meta_->collection_def().find("saved_model_assets");
      defs.empty() && found != meta_->collection_def().end()) {
    for (const auto& any : found->second.any_list().value()) {
      if (!defs.emplace_back().ParseFromString(any.value()))
        return data_loss(source_, ": 'saved_model_assets' holds no AssetFileDef");
    }
  }
  for (const tensorflow::AssetFileDef& def : defs) {
    if (file_name_of(def.filename()) != def.filename())
      return invalid_argument(source_, ": an asset is called '", def.filename(), "'");
    MR_ASSIGN_OR_RETURN(const Output output, graph_->find_output(def.tensor_info().name()));
    MR_ASSIGN_OR_RETURN(Tensor value, make_scalar<std::string>(join_path(join_path(folder, "assets"), def.filename())));
    assets_.emplace_back(output, std::move(value));
  }
  return absl::OkStatus();
}

absl::Status Model::initialize_iterators() {
  std::vector<Node*> ready;
  for (Node* node : graph_->nodes()) {
    if (node->op() != "MakeIterator") continue;
    std::set<const Node*> seen{node};
    std::vector<const Node*> open{node};
    bool needs_feed = false;
    while (!open.empty() && !needs_feed) {
      const Node* next = open.back();
      open.pop_back();
      needs_feed = next->op() == "Placeholder";
      for (const Output& input : next->inputs()) {
        if (seen.insert(input.node()).second) open.push_back(input.node());
      }
    }
    if (!needs_feed) ready.push_back(node);
  }
  return run_targets(ready);
}

absl::StatusOr<Output> variable_value(const GraphImpl& graph, const std::string& name) {
  MR_ASSIGN_OR_RETURN(Node * node, graph.find_node(without_index(name)));
  if (node->op() != "VarHandleOp") return Output(node, 0);
  if (Node* read = graph.find(node->name() + "/Read/ReadVariableOp")) return Output(read, 0);
  for (const Node::Use& use : node->uses(0)) {
    if (use.node->op() == "ReadVariableOp") return Output(use.node, 0);
  }
  return not_found("the graph has no op that reads variable '", name, "'");
}

}  // namespace millrace
