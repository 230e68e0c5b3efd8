// Calls that are almost right: graphs that TensorFlow ran once, changed in a few places.

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/strings.h"
#include "cli/golden.h"
#include "graph/graph_def.h"
#include "graph/graph_import.h"
#include "graph/proto_convert.h"
#include "ops/all_ops.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tests/safety/seeds.h"
#include "tests/safety/trial.h"
#include "tests/safety/values.h"

namespace millrace {
namespace {

// A record of tests/golden, as far as it can be changed and run again.
struct Seed {
  tensorflow::GraphDef library;  // without nodes
  std::vector<NodeDef> nodes;
  std::vector<std::string> before, fetches, targets;
  std::vector<std::pair<std::string, Tensor>> feeds;
};

absl::StatusOr<Seed> seed_of(const GoldenRecord& record) {
  if (!record.has("graph_def")) return not_found("no graph");
  Seed seed;
  if (!seed.library.ParseFromString(record.text("graph_def"))) return data_loss("no graph");
  for (const tensorflow::NodeDef& node : seed.library.node()) {
    MR_ASSIGN_OR_RETURN(NodeDef made, from_proto(node));
    seed.nodes.push_back(std::move(made));
  }
  seed.library.clear_node();
  seed.before = record.texts("pre_targets");
  if (record.has("init_op")) seed.before.push_back(record.text("init_op"));
  seed.fetches = record.texts(record.has("ys") ? "ys" : "fetches");
  seed.targets = record.texts("run_targets");
  const std::vector<std::string> names = record.texts("feed_names");
  if (names.empty()) return seed;
  MR_ASSIGN_OR_RETURN(const std::vector<Tensor> values, record.tensors("feed_values"));
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) seed.feeds.emplace_back(names[i], values[i]);
  return seed;
}

// By the types of the ops in them.
using Seeds = std::map<std::string, std::vector<std::shared_ptr<const Seed>>, std::less<>>;

Seeds read_seeds() {
  Seeds seeds;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(MILLRACE_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".tfrecord") files.push_back(entry.path().string());
  std::ranges::sort(files);
  for (const std::string& file : files) {
    const auto records = read_golden_file(file);
    if (!records.ok()) continue;  // damaged on purpose
    for (const GoldenRecord& record : *records) {
      absl::StatusOr<Seed> seed = seed_of(record);
      if (!seed.ok()) continue;
      const auto shared = std::make_shared<const Seed>(*std::move(seed));
      std::vector<std::string> types;
      for (const NodeDef& node : shared->nodes) types.push_back(node.op);
      std::ranges::sort(types);
      types.erase(std::unique(types.begin(), types.end()), types.end());
      for (const std::string& type : types)
        if (auto& list = seeds[type]; list.size() < 200) list.push_back(shared);
    }
  }
  return seeds;
}

const Seeds& all_seeds() {
  static const Seeds seeds = read_seeds();
  return seeds;
}

// Another dtype throughout: attributes, constants and feeds.
void change_dtype(Chance& chance, const OpEntry& entry, Seed* seed) {
  if (entry.kernels.empty()) return;
  const auto& constraints = chance.pick(entry.kernels).constraints;
  if (constraints.empty()) return;
  const auto& [attr, to] = constraints[0];
  const auto node = std::ranges::find(seed->nodes, entry.def.name, &NodeDef::op);
  const auto it = node->attrs.find(attr);
  const auto* from = it == node->attrs.end() ? nullptr : it->second.get<DataType>();
  if (from == nullptr || *from == to) return;
  const DataType old = *from;
  const auto converted = [&](const Tensor& t) {
    return random_tensor(chance, to, {t.shape().dims().begin(), t.shape().dims().end()}, chance.percent(70));
  };
  for (NodeDef& other : seed->nodes) {
    for (auto& [name, value] : other.attrs) {
      if (const auto* type = value.get<DataType>(); type && *type == old) value = to;
      else if (const auto* tensor = value.get<Tensor>(); tensor && tensor->dtype() == old) value = converted(*tensor);
    }
  }
  for (auto& [name, value] : seed->feeds)
    if (value.dtype() == old) value = converted(value);
}

void change_attr(Chance& chance, const OpEntry& entry, Seed* seed) {
  if (entry.def.attrs.empty()) return;
  const AttrDef& attr = chance.pick(entry.def.attrs);
  if (attr.type == "type" && chance.percent(80)) return;  // mostly a mismatch that building refuses
  std::ranges::find(seed->nodes, entry.def.name, &NodeDef::op)->attrs[attr.name] =
      random_attr(chance, attr, Sizes(chance));
}

std::vector<NodeDef*> constants_of(Seed* seed) {
  std::vector<NodeDef*> found;
  for (NodeDef& node : seed->nodes)
    if (node.op == "Const") found.push_back(&node);
  return found;
}

void change_value(Chance& chance, Seed* seed) {
  const std::vector<NodeDef*> constants = constants_of(seed);
  const auto which = chance.below(std::ssize(constants) + std::ssize(seed->feeds));
  if (which < std::ssize(constants)) {
    AttrValue& value = constants[static_cast<size_t>(which)]->attrs["value"];
    if (const auto* tensor = value.get<Tensor>()) value = mutated_tensor(chance, *tensor);
  } else if (!seed->feeds.empty()) {
    Tensor& value = seed->feeds[static_cast<size_t>(which - std::ssize(constants))].second;
    value = mutated_tensor(chance, value);
  }
}

// Constants become fed placeholders, so that what is wrong with them shows only in the run.
void feed_constants(Seed* seed) {
  for (NodeDef* node : constants_of(seed)) {
    const auto* value = node->attrs["value"].get<Tensor>();
    if (value == nullptr || !value->has_value()) continue;
    const Tensor fed = *value;
    node->op = "Placeholder";
    node->compact_value = false;
    node->attrs = {{"dtype", fed.dtype()}, {"shape", PartialTensorShape()}};
    seed->feeds.emplace_back(node->name + ":0", fed);
  }
}

absl::StatusOr<Trial> trial_of(const Seed& seed, const std::string& op) {
  Trial trial;
  trial.graph = std::make_shared<GraphImpl>(all_ops());
  MR_RETURN_IF_ERROR(import_graph_def(seed.library, {}, trial.graph.get()).status());
  MR_RETURN_IF_ERROR(import_nodes(seed.nodes, {}, trial.graph.get()).status());
  trial.repeatable = seed.before.empty();
  for (Node* node : trial.graph->nodes()) {
    if (node->op() == op && trial.node == nullptr) trial.node = node;
    if (!node->entry() || !is_repeatable(*node->entry())) trial.repeatable = false;
  }
  const auto step = [&](const std::vector<std::string>& fetches,
                        const std::vector<std::string>& targets) -> absl::StatusOr<Trial::Step> {
    Trial::Step made;
    for (const std::string& name : fetches) {
      MR_ASSIGN_OR_RETURN(const Output output, trial.graph->find_output(name));
      made.fetches.push_back(output);
    }
    for (const std::string& name : targets) {
      MR_ASSIGN_OR_RETURN(Node* const node, trial.graph->find_node(name));
      made.targets.push_back(node);
    }
    return made;
  };
  for (const std::string& name : seed.before) {
    MR_ASSIGN_OR_RETURN(Trial::Step made, step({}, {name}));
    trial.before.push_back(std::move(made));
  }
  MR_ASSIGN_OR_RETURN(trial.main, step(seed.fetches, seed.targets));
  for (const auto& [name, value] : seed.feeds) {
    MR_ASSIGN_OR_RETURN(const Output output, trial.graph->find_output(name));
    trial.feeds.emplace_back(output, value);
  }
  return trial;
}

}  // namespace

void load_seeds() { all_seeds(); }

absl::StatusOr<Trial> mutated_trial(const std::string& op, Chance& chance) {
  const auto it = all_seeds().find(op);
  if (it == all_seeds().end()) return not_found("no golden record of ", op);
  const OpEntry& entry = *all_ops().find(op);
  Seed seed = *chance.pick(it->second);
  if (chance.percent(25)) change_dtype(chance, entry, &seed);
  for (int64_t n = chance.between(0, 3); n > 0; --n) {
    if (chance.percent(25)) change_attr(chance, entry, &seed);
    else change_value(chance, &seed);
  }
  if (chance.percent(50)) feed_constants(&seed);
  return trial_of(seed, op);
}

}  // namespace millrace
