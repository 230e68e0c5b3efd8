#pragma once
// What a traced step did when: RunMetadata's step_stats, as C++ values.

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "op/kernel.h"

namespace millrace {

struct OutputStats {
  int slot = 0;
  DataType dtype = DataType::kInvalid;
  TensorShape shape;
  int64_t bytes = 0;
};

struct NodeStats {
  std::string node_name;
  std::string label;  // "y = Identity(mul)"
  std::string device;
  int64_t scheduled_nanos = 0;  // since the epoch
  int64_t start_nanos = 0;
  int64_t end_nanos = 0;
  uint32_t thread = 0;
  std::vector<OutputStats> outputs;
};

int64_t wall_nanos();

// Thread-safe.
class StepStatsCollector {
 public:
  void add(NodeStats stats) {
    std::lock_guard lock(mutex_);
    nodes_.push_back(std::move(stats));
  }
  std::vector<NodeStats> take() {
    std::lock_guard lock(mutex_);
    return std::move(nodes_);
  }

 private:
  std::mutex mutex_;
  std::vector<NodeStats> nodes_;
};

// Chrome's trace format ("chrome://tracing"): one line of boxes per thread and device.
std::string timeline_json(const std::vector<NodeStats>& nodes);

}  // namespace millrace
