#include "runtime/step_stats.h"

#include <chrono>

#include "runtime/timeline.h"

namespace millrace {

int64_t wall_nanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string timeline_json(const std::vector<NodeStats>& nodes) { return timeline_json(nodes, {}); }

}  // namespace millrace
