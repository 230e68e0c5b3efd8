#pragma once
// Indices that come from tensors. Every kernel that follows such an index asks here: the value is read from memory once
// (a buffer may be written by another thread between two reads) and compared with the bound before it is used.

#include <concepts>
#include <cstdint>

namespace millrace {

// True if 0 <= *index < limit; `*value` is what was read.
template <std::integral I> [[nodiscard]] inline bool read_bounded(const I* index, int64_t limit, int64_t* value) {
  const I once = *const_cast<const volatile I*>(index);
  if constexpr (sizeof(I) == 8 && std::unsigned_integral<I>) {
    *value = once > static_cast<uint64_t>(INT64_MAX) ? -1 : static_cast<int64_t>(once);
  } else {
    *value = static_cast<int64_t>(once);
  }
  return static_cast<uint64_t>(*value) < static_cast<uint64_t>(limit);  // limit >= 0
}

}  // namespace millrace
