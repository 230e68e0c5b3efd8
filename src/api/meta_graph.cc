#include "api/meta_graph.h"

#include <algorithm>
#include <array>
#include <set>

#include "api/op_builder.h"
#include "base/log.h"
#include "graph/cond_context.h"
#include "graph/graph_def.h"
#include "graph/proto_convert.h"
#include "millrace/train/queue_runner.h"
#include "millrace/train/saver.h"
#include "millrace/variables.h"
#include "tensorflow/core/framework/variable.pb.h"
#include "tensorflow/core/protobuf/control_flow.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/queue_runner.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"

namespace millrace {
namespace {

constexpr std::array kVariableCollections = {GraphKeys::GLOBAL_VARIABLES,        GraphKeys::TRAINABLE_VARIABLES,
                                             GraphKeys::LOCAL_VARIABLES,         GraphKeys::METRIC_VARIABLES,
                                             GraphKeys::MODEL_VARIABLES,         GraphKeys::GLOBAL_STEP,
                                             GraphKeys::MOVING_AVERAGE_VARIABLES};

bool holds_variables(std::string_view key) {
  return std::ranges::find(kVariableCollections, key) != kVariableCollections.end();
}

// False if the items are of mixed kinds or of one that cannot be stored.
bool to_collection(const std::vector<CollectionItem>& items, tensorflow::CollectionDef* out) {
  for (const CollectionItem& item : items) {
    if (item.index() != items[0].index() && !(item.index() < 2 && items[0].index() < 2)) return false;
    if (const auto* output = std::get_if<Output>(&item)) {
      out->mutable_node_list()->add_value(output->name());
    } else if (const auto* op = std::get_if<Operation>(&item)) {
      out->mutable_node_list()->add_value(op->name());
    } else if (const auto* text = std::get_if<std::string>(&item)) {
      out->mutable_bytes_list()->add_value(*text);
    } else if (const auto* number = std::get_if<int64_t>(&item)) {
      out->mutable_int64_list()->add_value(*number);
    } else if (const auto* real = std::get_if<float>(&item)) {
      out->mutable_float_list()->add_value(*real);
    } else if (const auto& object = std::get<std::shared_ptr<CollectionObject>>(item)) {
      const std::string bytes = object->to_proto();
      if (bytes.empty()) return false;
      out->mutable_bytes_list()->add_value(bytes);
    }
  }
  return true;
}

std::string with_scope(const std::string& import_scope, const std::string& name) {
  if (import_scope.empty()) return name;
  return name.starts_with("^") ? "^" + import_scope + "/" + name.substr(1) : import_scope + "/" + name;
}

void add_node(const Graph& graph, const std::string& key, const std::string& name) {
  if (name.find(':') != std::string::npos) {
    graph.add_to_collection(key, graph.get_tensor_by_name(name));
  } else {
    graph.add_to_collection(key, graph.get_operation_by_name(name));
  }
}

void add_bytes(const Graph& graph, const std::string& key, const std::string& bytes, const std::string& import_scope) {
  if (holds_variables(key)) {
    tensorflow::VariableDef def;
    if (!def.ParseFromString(bytes))
      raise(invalid_argument("collection '", key, "' of the meta graph holds bytes that are no VariableDef"));
    // One variable in several collections is one object.
    const std::string name = with_scope(import_scope, def.variable_name());
    for (const char* other : kVariableCollections) {
      for (const Variable& known : get_collection<Variable>(other)) {
        if (known.name() == name) {
          graph.add_to_collection(key, known);
          return;
        }
      }
    }
    graph.add_to_collection(key, Variable::from_proto(def, import_scope));
  } else if (key == GraphKeys::QUEUE_RUNNERS) {
    tensorflow::QueueRunnerDef def;
    if (!def.ParseFromString(bytes))
      raise(invalid_argument("collection '", key, "' of the meta graph holds bytes that are no QueueRunnerDef"));
    graph.add_to_collection(key, train::QueueRunner::from_proto(def, import_scope));
  } else if (key == GraphKeys::SAVERS) {
    tensorflow::SaverDef def;
    if (!def.ParseFromString(bytes))
      raise(invalid_argument("collection 'savers' of the meta graph holds bytes that are no SaverDef"));
    if (!import_scope.empty()) {
      def.set_filename_tensor_name(with_scope(import_scope, def.filename_tensor_name()));
      def.set_save_tensor_name(with_scope(import_scope, def.save_tensor_name()));
      def.set_restore_op_name(with_scope(import_scope, def.restore_op_name()));
    }
    graph.add_to_collection(key, train::Saver(def));
  } else if (key == GraphKeys::COND_CONTEXT) {
    tensorflow::CondContextDef def;
    if (!def.ParseFromString(bytes))
      raise(invalid_argument("collection 'cond_context' of the meta graph holds bytes that are no CondContextDef"));
    const auto context = value_or_raise(CondContext::from_proto(graph.impl(), def, import_scope));
    graph.add_to_collection(key, std::static_pointer_cast<CollectionObject>(context));
  } else {
    graph.add_to_collection(key, bytes);
  }
}

}  // namespace

void to_meta_graph(const Graph& graph, const MetaGraphOptions& o, tensorflow::MetaGraphDef* out) {
  to_graph_def(graph.impl(), out->mutable_graph_def());
  std::set<std::string> used;
  for (tensorflow::NodeDef& node : *out->mutable_graph_def()->mutable_node()) {
    used.insert(node.op());
    if (o.clear_devices) node.clear_device();
  }
  for (const auto& function : out->graph_def().library().function()) {
    for (const auto& node : function.node_def()) used.insert(node.op());
  }
  tensorflow::MetaGraphDef::MetaInfoDef& info = *out->mutable_meta_info_def();
  info.set_stripped_default_attrs(o.strip_default_attrs);
  for (const std::string& type : used) {
    if (const OpEntry* entry = graph.impl().registry().find(type))
      to_proto(entry->def, info.mutable_stripped_op_list()->add_op());
  }
  if (o.strip_default_attrs) {
    for (tensorflow::NodeDef& node : *out->mutable_graph_def()->mutable_node()) {
      const OpEntry* entry = graph.impl().registry().find(node.op());
      if (entry == nullptr) continue;
      for (const AttrDef& attr : entry->def.attrs) {
        const auto found = node.attr().find(attr.name);
        if (!attr.default_value || found == node.attr().end()) continue;
        tensorflow::AttrValue default_value;
        to_proto(*attr.default_value, &default_value);
        if (deterministic_bytes(default_value) == deterministic_bytes(found->second))
          node.mutable_attr()->erase(attr.name);
      }
    }
  }
  for (const std::string& key : graph.get_all_collection_keys()) {
    const std::vector<CollectionItem> items = graph.get_collection(key);
    if (items.empty()) continue;
    tensorflow::CollectionDef def;
    if (to_collection(items, &def)) {
      (*out->mutable_collection_def())[key] = std::move(def);
    } else {
      log_debug("collection '", key, "' cannot be stored in a meta graph and is left out");
    }
  }
}

void from_meta_graph(const tensorflow::MetaGraphDef& meta_graph, bool clear_devices, const std::string& import_scope) {
  const Graph graph = get_default_graph();
  ImportOptions options;
  options.prefix = import_scope;
  options.apply_scopes = true;
  options.producer_ops = meta_graph.has_meta_info_def() ? &meta_graph.meta_info_def().stripped_op_list() : nullptr;
  if (clear_devices) {
    tensorflow::GraphDef anywhere = meta_graph.graph_def();
    for (tensorflow::NodeDef& node : *anywhere.mutable_node()) node.clear_device();
    value_or_raise(import_graph_def(anywhere, options, &graph.impl()));
  } else {
    value_or_raise(import_graph_def(meta_graph.graph_def(), options, &graph.impl()));
  }
  // In the order of names: a proto map has none, and errors should be the same each time.
  std::vector<std::string> keys;
  for (const auto& [key, def] : meta_graph.collection_def()) keys.push_back(key);
  std::ranges::sort(keys);
  for (const std::string& key : keys) {
    const tensorflow::CollectionDef& def = meta_graph.collection_def().at(key);
    for (const std::string& name : def.node_list().value()) {
      if (key == GraphKeys::SAVEABLE_OBJECTS) continue;  // names of Python objects
      add_node(graph, key, with_scope(import_scope, name));
    }
    for (const std::string& bytes : def.bytes_list().value()) add_bytes(graph, key, bytes, import_scope);
    for (const int64_t number : def.int64_list().value()) graph.add_to_collection(key, number);
    for (const float real : def.float_list().value()) graph.add_to_collection(key, real);
  }
}

}  // namespace millrace
