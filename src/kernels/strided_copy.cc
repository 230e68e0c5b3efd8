#include "kernels/strided_copy.h"

#include <algorithm>
#include <vector>

#include "kernels/elements.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

struct Axis {
  int64_t size, src, dst;
};

// Axes without effect dropped, neighbours that are walked as one merged; outermost first. Empty for a single element.
std::vector<Axis> simplify(std::span<const int64_t> dims, std::span<const int64_t> src, std::span<const int64_t> dst) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < dims.size(); ++i) {
    const Axis axis{dims[i], src[i], dst[i]};
    if (axis.size == 1) continue;
    if (!axes.empty() && axes.back().src == axis.src * axis.size && axes.back().dst == axis.dst * axis.size) {
      axes.back() = {axes.back().size * axis.size, axis.src, axis.dst};
    } else {
      axes.push_back(axis);
    }
  }
  return axes;
}

template <class S> void copy_line(const S* src, const Axis& axis, S* dst) {
  if (axis.src == 1 && axis.dst == 1) return copy_run(src, dst, axis.size);
  if (axis.src == 0 && axis.dst == 1) {
    std::fill_n(dst, axis.size, *src);
    return;
  }
  for (int64_t i = 0; i < axis.size; ++i) dst[i * axis.dst] = src[i * axis.src];
}

// A plane whose source runs along `rows` and whose destination runs along `columns`: walked in tiles, so that both
// sides use the cache lines they touch.
template <class S> void copy_plane(const S* src, const Axis& rows, const Axis& columns, S* dst) {
  constexpr int64_t kTile = sizeof(S) <= 4 ? 32 : 16;
  for (int64_t r0 = 0; r0 < rows.size; r0 += kTile) {
    const int64_t r1 = std::min(rows.size, r0 + kTile);
    for (int64_t c0 = 0; c0 < columns.size; c0 += kTile) {
      const int64_t c1 = std::min(columns.size, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        const S* s = src + r * rows.src;
        S* d = dst + r * rows.dst;
        for (int64_t c = c0; c < c1; ++c) d[c * columns.dst] = s[c * columns.src];
      }
    }
  }
}

// Calls body(src, dst) for positions [begin, end) of the outer axes.
template <class S, class Body>
void walk(std::span<const Axis> outer, int64_t begin, int64_t end, const S* src, S* dst, Body&& body) {
  std::vector<int64_t> index(outer.size());
  int64_t rest = begin;
  for (size_t k = outer.size(); k-- > 0;) {
    index[k] = rest % outer[k].size;
    rest /= outer[k].size;
    src += index[k] * outer[k].src;
    dst += index[k] * outer[k].dst;
  }
  for (int64_t position = begin; position < end; ++position) {
    body(src, dst);
    for (size_t k = outer.size(); k-- > 0;) {
      src += outer[k].src;
      dst += outer[k].dst;
      if (++index[k] < outer[k].size) break;
      index[k] = 0;
      src -= outer[k].src * outer[k].size;
      dst -= outer[k].dst * outer[k].size;
    }
  }
}

template <class S> void copy_box(std::vector<Axis> axes, const S* src, S* dst) {
  if (axes.empty()) {
    *dst = *src;
    return;
  }
  const Axis inner = axes.back();
  axes.pop_back();
  // The axis along which the source is contiguous, where that is not the innermost one of the destination.
  size_t along = axes.size();
  if (inner.dst == 1 && inner.src != 1 && inner.src != 0) {
    for (size_t k = 0; k < axes.size(); ++k) {
      if (axes[k].src == 1) along = k;
    }
  }
  if (along < axes.size()) {
    Axis rows = axes[along];
    axes.erase(axes.begin() + static_cast<ptrdiff_t>(along));
    // A plane alone would leave the other cores idle: cut its longer side into strips.
    constexpr int64_t kStrip = 64;
    if (rows.size >= 2 * kStrip && rows.size % kStrip == 0) {
      axes.push_back({rows.size / kStrip, kStrip * rows.src, kStrip * rows.dst});
      rows.size = kStrip;
    }
    int64_t planes = 1;
    for (const Axis& axis : axes) planes *= axis.size;
    parallel_for(planes, rows.size * inner.size * 2, [&](int64_t begin, int64_t end) {
      walk(std::span<const Axis>(axes), begin, end, src, dst, [&](const S* s, S* d) { copy_plane(s, rows, inner, d); });
    });
    return;
  }
  int64_t lines = 1;
  for (const Axis& axis : axes) lines *= axis.size;
  const int64_t cost = std::max<int64_t>(1, inner.size * static_cast<int64_t>(sizeof(S)) / 16);
  if (lines == 1) {  // one long line
    parallel_for(inner.size, 1, [&](int64_t begin, int64_t end) {
      copy_line(src + begin * inner.src, Axis{end - begin, inner.src, inner.dst}, dst + begin * inner.dst);
    });
    return;
  }
  parallel_for(lines, cost + 4, [&](int64_t begin, int64_t end) {
    walk(std::span<const Axis>(axes), begin, end, src, dst, [&](const S* s, S* d) { copy_line(s, inner, d); });
  });
}

}  // namespace

absl::Status strided_copy(DataType dtype, std::span<const int64_t> dims, const void* src,
                          std::span<const int64_t> src_strides, void* dst, std::span<const int64_t> dst_strides) {
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return absl::OkStatus();
  return with_storage(dtype, [&]<class S>(std::type_identity<S>) {
    copy_box(simplify(dims, src_strides, dst_strides), static_cast<const S*>(src), static_cast<S*>(dst));
    return absl::OkStatus();
  });
}

}  // namespace millrace
