#pragma once
// Rows picked by index. Each index is read once and checked against its bound before it is followed.

#include <atomic>
#include <cstdint>
#include <span>

#include "kernels/bounded_index.h"
#include "kernels/elements.h"
#include "kernels/parallel.h"

namespace millrace {

// params: [batch, outer, limit, inner], indices: [batch, count], out: [batch, outer, count, inner].
struct GatherSizes {
  int64_t batch = 1, outer = 1, limit = 0, inner = 1, count = 0;
};

// -1, or the position of an index outside [0, limit), in which case the output is not complete.
template <class S, class I> int64_t gather_rows(const GatherSizes& g, const S* params, const I* indices, S* out) {
  std::atomic<int64_t> bad{-1};
  const double row_ns = 2.0 + static_cast<double>(g.inner) * static_cast<double>(sizeof(S)) / 16.0;
  parallel_for(g.batch * g.outer * g.count, row_ns, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t i = row % g.count;
      const int64_t block = row / g.count;  // batch * outer
      const int64_t position = block / g.outer * g.count + i;
      int64_t index = 0;
      if (!read_bounded(indices + position, g.limit, &index)) [[unlikely]] {
        bad.store(position, std::memory_order_relaxed);
        return;
      }
      copy_run(params + (block * g.limit + index) * g.inner, out + row * g.inner, g.inner);
    }
  });
  return bad.load();
}

// An index of several components: the position of the row it names, or -1 if a component is outside its dimension.
template <class I> int64_t nd_position(const I* components, std::span<const int64_t> dims) {
  int64_t position = 0;
  for (size_t k = 0; k < dims.size(); ++k) {
    int64_t index = 0;
    if (!read_bounded(components + k, dims[k], &index)) return -1;
    position = position * dims[k] + index;
  }
  return position;
}

}  // namespace millrace
