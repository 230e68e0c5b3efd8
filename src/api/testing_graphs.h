#pragma once
// Tests hold graphs against lists of nodes that TensorFlow's Python API made, one node per line:
//   name | type | inputs | device | @colocation

#include <fstream>
#include <sstream>
#include <string>

#include "graph/graph.h"
#include "graph/graph_def.h"

namespace millrace {

inline std::string describe_node(const Node& node) {
  const NodeDef def = to_node_def(node);
  std::string inputs;
  for (const std::string& input : def.inputs) inputs += (inputs.empty() ? "" : " ") + input;
  std::string line = def.name + " | " + def.op + " | " + inputs + " | " + def.device;
  if (const AttrValue* attr = node.find_attr("_class")) {
    std::string groups;
    if (const auto* classes = attr->get<std::vector<std::string>>())
      for (const std::string& c : *classes) groups += (groups.empty() ? "" : ",") + c;
    line += " | @" + groups;
  }
  return line;
}

inline std::string describe_graph(const GraphImpl& graph) {
  std::string text;
  for (const Node* node : graph.nodes()) text += describe_node(*node) + "\n";
  return text;
}

// A list of src/api/testdata.
inline std::string expected_graph(const std::string& name) {
  std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/src/api/testdata/" + name + ".txt");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace millrace
