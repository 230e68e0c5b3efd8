#include <algorithm>
#include <map>

#include "cli/graph_file.h"
#include "cli/inspection.h"
#include "millrace/types.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/variable.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {
namespace {

Json shape_json(const tensorflow::TensorShapeProto& shape) {
  if (shape.unknown_rank()) return nullptr;
  Json dims = Json::array();
  for (const auto& dim : shape.dim()) dims.push_back(dim.size());
  return dims;
}

std::string shape_text(const Json& shape) {
  if (shape.is_null()) return "<unknown>";
  std::string text = "[";
  for (const Json& dim : shape)
    str_append(&text, text.size() > 1 ? "," : "", dim.get<int64_t>() < 0 ? "?" : dim.dump());
  return text + "]";
}

Json node_json(const tensorflow::NodeDef& node) {
  Json out = {{"name", node.name()}};
  if (const auto dtype = node.attr().find("dtype"); dtype != node.attr().end()) {
    out["dtype"] = dtype_name(static_cast<DataType>(dtype->second.type()));
  }
  if (const auto shape = node.attr().find("shape"); shape != node.attr().end())
    out["shape"] = shape_json(shape->second.shape());
  return out;
}

bool is_variable(const std::string& op) { return op == "VariableV2" || op == "Variable" || op == "VarHandleOp"; }

Json tensors_json(const google::protobuf::Map<std::string, tensorflow::TensorInfo>& tensors) {
  std::map<std::string, const tensorflow::TensorInfo*> sorted;
  for (const auto& [key, info] : tensors) sorted[key] = &info;
  Json out = Json::object();
  for (const auto& [key, info] : sorted) {
    out[key] = {{"name", info->name()},
                {"dtype", dtype_name(static_cast<DataType>(info->dtype()))},
                {"shape", shape_json(info->tensor_shape())}};
  }
  return out;
}

// Collections of variables hold VariableDefs: name them.
void add_variable_names(const tensorflow::CollectionDef::BytesList& list, Json* collection) {
  for (const std::string& bytes : list.value()) {
    tensorflow::VariableDef def;
    if (!def.ParseFromString(bytes) || def.variable_name().empty()) continue;
    (*collection)["values"].push_back(def.variable_name());
    (*collection)["kind"] = "variable";
  }
}

Json collections_json(const tensorflow::MetaGraphDef& meta) {
  std::map<std::string, Json> sorted;
  for (const auto& [key, def] : meta.collection_def()) {
    switch (def.kind_case()) {
      case tensorflow::CollectionDef::kNodeList: {
        sorted[key] = {{"kind", "node"}, {"count", def.node_list().value_size()}};
        for (const std::string& name : def.node_list().value()) sorted[key]["values"].push_back(name);
        break;
      }
      case tensorflow::CollectionDef::kBytesList:
        sorted[key] = {{"kind", "byte string"}, {"count", def.bytes_list().value_size()}};
        if (key.find("variables") != std::string::npos) add_variable_names(def.bytes_list(), &sorted[key]);
        break;
      case tensorflow::CollectionDef::kInt64List:
        sorted[key] = {{"kind", "integer"}, {"count", def.int64_list().value_size()}};
        break;
      case tensorflow::CollectionDef::kFloatList:
        sorted[key] = {{"kind", "float"}, {"count", def.float_list().value_size()}};
        break;
      case tensorflow::CollectionDef::kAnyList:
        sorted[key] = {{"kind", "message"}, {"count", def.any_list().value_size()}};
        break;
      case tensorflow::CollectionDef::KIND_NOT_SET: sorted[key] = {{"kind", "nothing"}, {"count", 0}}; break;
    }
  }
  Json out = Json::object();
  for (auto& [key, value] : sorted) out[key] = std::move(value);
  return out;
}

Json graph_json(const tensorflow::MetaGraphDef& meta) {
  const tensorflow::GraphDef& graph = meta.graph_def();
  std::map<std::string, int> ops;
  Json variables = Json::array(), placeholders = Json::array(), functions = Json::array();
  for (const tensorflow::NodeDef& node : graph.node()) {
    ++ops[node.op()];
    if (is_variable(node.op())) variables.push_back(node_json(node));
    if (node.op() == "Placeholder" || node.op() == "PlaceholderWithDefault") placeholders.push_back(node_json(node));
  }
  for (const auto& function : graph.library().function()) {
    functions.push_back({{"name", function.signature().name()}, {"nodes", function.node_def_size()}});
  }
  Json out = {{"nodes", graph.node_size()}, {"producer", graph.versions().producer()}};
  if (!meta.meta_info_def().tensorflow_version().empty())
    out["tensorflow_version"] = meta.meta_info_def().tensorflow_version();
  if (!meta.meta_info_def().tags().empty()) {
    for (const std::string& tag : meta.meta_info_def().tags()) out["tags"].push_back(tag);
  }
  out["ops"] = Json::object();
  for (const auto& [op, count] : ops) out["ops"][op] = count;
  out["placeholders"] = std::move(placeholders);
  out["variables"] = std::move(variables);
  out["functions"] = std::move(functions);
  out["collections"] = collections_json(meta);
  if (!meta.saver_def().restore_op_name().empty()) {
    out["saver"] = {{"restore", meta.saver_def().restore_op_name()},
                    {"save", meta.saver_def().save_tensor_name()},
                    {"filename", meta.saver_def().filename_tensor_name()}};
  }
  std::map<std::string, const tensorflow::SignatureDef*> signatures;
  for (const auto& [key, signature] : meta.signature_def()) signatures[key] = &signature;
  out["signatures"] = Json::object();
  for (const auto& [key, signature] : signatures) {
    out["signatures"][key] = {{"method", signature->method_name()},
                              {"inputs", tensors_json(signature->inputs())},
                              {"outputs", tensors_json(signature->outputs())}};
  }
  return out;
}

std::string tensor_text(const Json& tensor) {
  std::string text = tensor["name"];
  if (tensor.contains("dtype")) text += " " + tensor["dtype"].get<std::string>();
  if (tensor.contains("shape")) text += " " + shape_text(tensor["shape"]);
  return text;
}

void append_list(const Json& graph, const char* key, std::string* out) {
  if (graph[key].empty()) return;
  str_append(out, "  ", key, ":\n");
  for (const Json& each : graph[key]) str_append(out, "    ", tensor_text(each), "\n");
}

std::string ops_text(const Json& ops) {
  std::vector<std::pair<int, std::string>> sorted;
  for (const auto& [op, count] : ops.items()) sorted.emplace_back(-count.get<int>(), op);
  std::ranges::sort(sorted);
  std::string line, out;
  for (const auto& [count, op] : sorted) {
    const std::string item = str_cat(-count, " ", op);
    if (line.size() + item.size() > 100) {
      str_append(&out, "    ", line, "\n");
      line.clear();
    }
    str_append(&line, line.empty() ? "" : ", ", item);
  }
  return str_cat(out, "    ", line, "\n");
}

std::string graph_text(const Json& graph) {
  std::string out;
  if (graph.contains("tags")) str_append(&out, "  tags: ", graph["tags"].dump(), "\n");
  str_append(&out, "  ", count_of(graph["nodes"].get<int64_t>(), "node"), ", producer ", graph["producer"].get<int>());
  if (graph.contains("tensorflow_version"))
    str_append(&out, ", written by TensorFlow ", graph["tensorflow_version"].get<std::string>());
  str_append(&out, "\n  ops:\n", ops_text(graph["ops"]));
  append_list(graph, "placeholders", &out);
  append_list(graph, "variables", &out);
  if (!graph["functions"].empty()) out += "  functions:\n";
  for (const Json& each : graph["functions"]) {
    str_append(&out, "    ", each["name"].get<std::string>(), ": ", count_of(each["nodes"].get<int64_t>(), "node"),
               "\n");
  }
  if (!graph["collections"].empty()) out += "  collections:\n";
  for (const auto& [key, each] : graph["collections"].items()) {
    str_append(&out, "    ", key, ": ", count_of(each["count"].get<int>(), each["kind"].get<std::string>()), "\n");
  }
  if (!graph["signatures"].empty()) out += "  signatures:\n";
  for (const auto& [key, each] : graph["signatures"].items()) {
    str_append(&out, "    ", key, " (", each["method"].get<std::string>(), ")\n");
    for (const char* side : {"inputs", "outputs"}) {
      for (const auto& [name, tensor] : each[side].items()) {
        str_append(&out, "      ", side == std::string_view("inputs") ? "in  " : "out ", name, ": ",
                   tensor_text(tensor), "\n");
      }
    }
  }
  return out;
}

}  // namespace

Inspection inspect_graph(const std::string& path) {
  Inspection result;
  result.json = {{"file", path}};
  const absl::StatusOr<GraphFile> file = read_graph_file(path);
  if (!file.ok()) {
    const bool named = to_std(file.status().message()).find(path) != std::string_view::npos;
    result.status = absl::Status(file.status().code(),
                                 str_cat(named ? "" : path + ": ", file.status().message(),
                                         " (taken for a graph, as it is no checkpoint, event file or record file)"));
    return result;
  }
  result.json["kind"] = to_string(file->kind);
  result.json["format"] = file->is_text ? "text" : "binary";
  result.json["graphs"] = Json::array();
  str_append(&result.text, path, ": ", to_string(file->kind), file->is_text ? ", text" : ", binary", "\n");
  for (const tensorflow::MetaGraphDef& meta : file->model->meta_graphs()) {
    result.json["graphs"].push_back(graph_json(meta));
    result.text += graph_text(result.json["graphs"].back());
  }
  return result;
}

}  // namespace millrace
