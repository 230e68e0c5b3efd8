#pragma once
// Puts nodes given as data into a graph: the part of import that GraphDefs and function bodies share.

#include <vector>

#include "graph/graph_def.h"

namespace millrace {

// In dependency order, the first of the ready ones first. Loops close through NextIteration nodes only; other cycles
// are refused.
absl::StatusOr<Imported> import_nodes(std::vector<NodeDef> nodes, const ImportOptions& options, GraphImpl* graph);

// "node:2" -> {node, 2}; "node" -> {node, 0}; "^node" -> {node, -1}.
struct TensorName {
  std::string_view node;
  int index = 0;
};
TensorName parse_tensor_name(std::string_view name);

}  // namespace millrace
