#pragma once
// Graphs in files: GraphDef, MetaGraphDef and SavedModel, in binary or as text, told apart by what is in them.

#include <memory>
#include <string>

#include "base/status.h"

namespace tensorflow {
class MetaGraphDef;
class SavedModel;
}  // namespace tensorflow

namespace millrace {

enum class GraphFileKind { kGraphDef, kMetaGraphDef, kSavedModel };
std::string to_string(GraphFileKind kind);  // "GraphDef"

// What a file holds, always as a SavedModel: one meta graph for a MetaGraphDef, one with nothing but a graph for a
// GraphDef.
struct GraphFile {
  GraphFile();
  ~GraphFile();
  GraphFile(GraphFile&&) noexcept;
  GraphFile& operator=(GraphFile&&) noexcept;

  GraphFileKind kind = GraphFileKind::kGraphDef;
  bool is_text = false;
  std::string path;  // of the file itself, where a folder was given
  std::unique_ptr<tensorflow::SavedModel> model;
};

// `path`: a file, or the folder of a SavedModel. Errors begin with the file's name and say where it went wrong.
absl::StatusOr<GraphFile> read_graph_file(const std::string& path);
absl::StatusOr<GraphFile> parse_graph_file(const std::string& bytes, const std::string& path);

// True for bytes that people can read: text protos, state files.
bool looks_like_text(std::string_view bytes);

// The meta graph to run: the one tagged "serve" of several, else the first.
const tensorflow::MetaGraphDef& serving_meta_graph(const GraphFile& file);

}  // namespace millrace
