#include "cli/graph_file.h"

#include <algorithm>

#include "google/protobuf/io/coded_stream.h"
#include "graph/graph_def.h"
#include "io/file_system.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {

std::string to_string(GraphFileKind kind) {
  switch (kind) {
    case GraphFileKind::kGraphDef: return "GraphDef";
    case GraphFileKind::kMetaGraphDef: return "MetaGraphDef";
    case GraphFileKind::kSavedModel: return "SavedModel";
  }
  return "graph";
}

GraphFile::GraphFile() : model(std::make_unique<tensorflow::SavedModel>()) {}
GraphFile::~GraphFile() = default;
GraphFile::GraphFile(GraphFile&&) noexcept = default;
GraphFile& GraphFile::operator=(GraphFile&&) noexcept = default;

bool looks_like_text(std::string_view bytes) {
  const std::string_view start = bytes.substr(0, 4096);
  return !start.empty() && std::ranges::all_of(start, [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t';
  });
}

namespace {

// The names of the outermost fields decide; those stand at the beginning of a line.
GraphFileKind kind_of_text(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with("saved_model_schema_version") || line.starts_with("meta_graphs"))
      return GraphFileKind::kSavedModel;
    for (const char* field :
         {"meta_info_def", "graph_def", "saver_def", "collection_def", "signature_def", "asset_file_def"}) {
      if (line.starts_with(field)) return GraphFileKind::kMetaGraphDef;
    }
    if (line.starts_with("node") || line.starts_with("versions") || line.starts_with("library"))
      return GraphFileKind::kGraphDef;
    at += line.size() + 1;
  }
  return GraphFileKind::kGraphDef;
}

// Counts the outermost fields of a message, without looking inside.
struct OuterFields {
  int lengths[16] = {};  // by field number: how many with a length
  bool first_is_number = false;
  std::string first;  // field 1, the first time
};

OuterFields outer_fields(const std::string& bytes) {
  OuterFields fields;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    const uint32_t field = tag >> 3;
    uint64_t number = 0;
    uint32_t length = 0;
    switch (tag & 7) {
      case 0:
        if (!in.ReadVarint64(&number)) return fields;
        if (field == 1) fields.first_is_number = true;
        break;
      case 1:
        if (!in.Skip(8)) return fields;
        break;
      case 2: {
        if (!in.ReadVarint32(&length) || length > bytes.size()) return fields;
        const bool keep = field == 1 && fields.lengths[1] == 0;
        if (field < 16) ++fields.lengths[field];
        if (keep ? !in.ReadString(&fields.first, static_cast<int>(length)) : !in.Skip(static_cast<int>(length)))
          return fields;
        break;
      }
      case 5:
        if (!in.Skip(4)) return fields;
        break;
      default: return fields;
    }
  }
  return fields;
}

GraphFileKind kind_of_binary(const std::string& bytes) {
  const OuterFields fields = outer_fields(bytes);
  if (fields.first_is_number) return GraphFileKind::kSavedModel;
  if (fields.lengths[3] + fields.lengths[5] + fields.lengths[6] > 0) return GraphFileKind::kMetaGraphDef;
  if (fields.lengths[1] > 1) return GraphFileKind::kGraphDef;  // nodes; meta information comes once
  tensorflow::NodeDef node;
  if (fields.lengths[1] == 1 && node.ParseFromString(fields.first) && !node.op().empty())
    return GraphFileKind::kGraphDef;
  return fields.lengths[2] > 0 ? GraphFileKind::kMetaGraphDef : GraphFileKind::kGraphDef;
}

absl::StatusOr<std::string> path_of(const std::string& path) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  if (!files->is_directory(path)) return path;
  for (const char* name : {"saved_model.pb", "saved_model.pbtxt"}) {
    if (std::string inside = join_path(path, name); files->exists(inside)) return inside;
  }
  return not_found(path, ": the folder holds no saved_model.pb or saved_model.pbtxt");
}

}  // namespace

absl::StatusOr<GraphFile> parse_graph_file(const std::string& bytes, const std::string& path) {
  GraphFile file;
  file.path = path;
  if (bytes.empty()) return data_loss(path, ": the file is empty");
  if (bytes.size() >= uint64_t{1} << 31) return resource_exhausted(path, ": graphs of 2 GiB and more cannot be read");
  file.is_text = looks_like_text(bytes);
  file.kind = file.is_text ? kind_of_text(bytes) : kind_of_binary(bytes);
  google::protobuf::Message* into = file.model.get();
  if (file.kind == GraphFileKind::kMetaGraphDef) into = file.model->add_meta_graphs();
  if (file.kind == GraphFileKind::kGraphDef) into = file.model->add_meta_graphs()->mutable_graph_def();
  MR_RETURN_IF_ERROR(file.is_text ? parse_text_proto(bytes, into, path) : parse_proto(bytes, into, path));
  if (file.model->meta_graphs().empty()) return data_loss(path, ": the SavedModel holds no graph");
  return file;
}

absl::StatusOr<GraphFile> read_graph_file(const std::string& path) {
  MR_ASSIGN_OR_RETURN(const std::string file, path_of(path));
  MR_ASSIGN_OR_RETURN(const std::string bytes, read_file(file));
  return parse_graph_file(bytes, file);
}

const tensorflow::MetaGraphDef& serving_meta_graph(const GraphFile& file) {
  for (const tensorflow::MetaGraphDef& graph : file.model->meta_graphs()) {
    const auto& tags = graph.meta_info_def().tags();
    if (std::find(tags.begin(), tags.end(), "serve") != tags.end()) return graph;
  }
  return file.model->meta_graphs(0);
}

}  // namespace millrace
