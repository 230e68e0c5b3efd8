// Hostile graphs, run: bytes to a GraphDef, imported into a session of little memory, every output fetched under a
// deadline.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fuzz/harmless_graph.h"
#include "graph/graph.h"
#include "graph/graph_def.h"
#include "ops/all_ops.h"
#include "runtime/session.h"
#include "tensor/allocator.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace millrace {
namespace {

constexpr int64_t kMemoryLimit = int64_t{64} << 20;
constexpr int64_t kDeadlineMs = 300;  // of a run
constexpr size_t kMostNodes = 200, kMostRuns = 24;

void run_one(SessionCore& session, const std::vector<Output>& fetches, const std::vector<Node*>& targets) {
  std::vector<Tensor> values;
  session.run({.feeds = {}, .fetches = fetches, .targets = targets, .timeout_in_ms = kDeadlineMs}, &values)
      .IgnoreError();
}

void run(std::string_view bytes) {
  set_process_memory_limit(kMemoryLimit);
  tensorflow::GraphDef def;
  if (!parse_proto(bytes, &def, "fuzz").ok() || !is_harmless(def, kMostNodes)) return;
  const auto graph = std::make_shared<GraphImpl>(all_ops());
  if (!import_graph_def(def, {}, graph.get()).ok()) return;
  const auto session = SessionCore::create(graph);
  if (!session.ok()) return;
  std::vector<Output> all;
  for (Node* node : graph->nodes())
    for (int i = 0; i < node->num_outputs() && all.size() < kMostNodes; ++i) all.push_back(node->output(i));
  if (!all.empty()) run_one(**session, all, {});
  // An error anywhere ends the run of all: each by itself, the last ones first, which stand on the others.
  const std::vector<Node*>& nodes = graph->nodes();
  for (size_t k = 0; k < nodes.size() && k < kMostRuns; ++k) run_one(**session, {}, {nodes[nodes.size() - 1 - k]});
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
