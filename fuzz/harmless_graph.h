#pragma once
// Which graphs a fuzzer may run: not those with ops that touch files, for it would write them anywhere.

#include <string>

#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {

inline bool touches_files(const std::string& op) {
  if (op == "Merge" || op == "RefMerge") return false;
  for (const char* word : {"File", "Save", "Restore", "Merge", "Print", "Cache", "Record", "TextLine", "CSV",
                           "ImmutableConst", "Reader", "Sql", "Socket"})
    if (op.find(word) != std::string::npos) return true;
  return false;
}

// Nor large ones.
inline bool is_harmless(const tensorflow::GraphDef& def, size_t most_nodes) {
  size_t nodes = 0;
  const auto check = [&](const auto& list) {
    for (const tensorflow::NodeDef& node : list)
      if (++nodes > most_nodes || touches_files(node.op())) return false;
    return true;
  };
  if (!check(def.node())) return false;
  for (const tensorflow::FunctionDef& function : def.library().function())
    if (!check(function.node_def())) return false;
  return true;
}

}  // namespace millrace
