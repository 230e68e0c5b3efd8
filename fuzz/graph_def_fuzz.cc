// GraphDefs, binary or text: parsing, importing with shape inference, and exporting what was imported.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "graph/graph.h"
#include "graph/graph_def.h"
#include "ops/all_ops.h"
#include "tensorflow/core/framework/graph.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  tensorflow::GraphDef def;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!parse_proto(bytes, &def, "fuzz").ok()) return 0;
  const auto graph = std::make_shared<GraphImpl>(all_ops());
  if (!import_graph_def(def, {}, graph.get()).ok()) return 0;
  tensorflow::GraphDef exported;
  to_graph_def(*graph, &exported, {.add_shapes = true});
  // What was accepted once is accepted again.
  const auto again = std::make_shared<GraphImpl>(all_ops());
  if (!import_graph_def(exported, {}, again.get()).ok()) __builtin_trap();
  return 0;
}
