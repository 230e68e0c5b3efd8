#pragma once
// A traced step in Chrome's trace format.

#include <string>
#include <vector>

#include "runtime/step_stats.h"

namespace millrace {

struct TimelineOptions {
  bool show_dataflow = true;  // arrows from the producers of tensors to consumers on other threads
  bool show_memory =
      false;  // tensors as objects, from their op's start to their last reader's end, and a curve of their bytes
};
std::string timeline_json(const std::vector<NodeStats>& nodes, const TimelineOptions& options);

}  // namespace millrace
