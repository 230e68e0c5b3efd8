#pragma once
// What the ids of segments must be where the rows of one stand together.

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace millrace {

// How many segments sorted ids make: one more than the last.
inline absl::StatusOr<int64_t> count_segments(const std::vector<int64_t>& ids) {
  if (ids.empty()) return 0;
  if (ids.back() < 0) return invalid_argument("segment ids must be >= 0");
  if (ids.back() == INT64_MAX) return invalid_argument("segment id ", ids.back(), " is too large");
  return ids.back() + 1;
}

// InvalidArgument unless the ids do not decrease and lie in [0, segments).
inline absl::Status check_sorted(const std::vector<int64_t>& ids, int64_t segments) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool last = i + 1 == ids.size();
    if (!last && ids[i + 1] == ids[i]) continue;
    if (!last && ids[i + 1] < ids[i]) return invalid_argument("segment ids are not increasing");
    if (ids[i] < 0 || ids[i] >= segments) {
      return invalid_argument("Segment id ", ids[i], " out of range [0, ", segments,
                              "), possibly because 'segment_ids' input is not sorted.");
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
