#pragma once
// Moving elements of any dtype. Array ops do not care what a number means: they move storage units of 1, 2, 4, 8 or 16
// bytes, or assign strings, handles and variants.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "base/status.h"
#include "tensor/handle.h"

namespace millrace {

struct Bits128 {
  uint64_t low = 0, high = 0;
};

// Calls fn(std::type_identity<S>()) with the storage unit S of the dtype; fn returns a status.
template <class Fn> absl::Status with_storage(DataType dtype, Fn&& fn) {
  switch (dtype) {
    case DataType::kString: return fn(std::type_identity<std::string>());
    case DataType::kResource: return fn(std::type_identity<ResourceHandle>());
    case DataType::kVariant: return fn(std::type_identity<Variant>());
    default: break;
  }
  switch (dtype_size(dtype)) {
    case 1: return fn(std::type_identity<uint8_t>());
    case 2: return fn(std::type_identity<uint16_t>());
    case 4: return fn(std::type_identity<uint32_t>());
    case 8: return fn(std::type_identity<uint64_t>());
    case 16: return fn(std::type_identity<Bits128>());
    default: return unimplemented("no elements of type ", dtype_name(dtype));
  }
}

// n elements from one place to another; the two do not overlap.
template <class S> inline void copy_run(const S* src, S* dst, int64_t n) {
  if constexpr (std::is_trivially_copyable_v<S>) {
    if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(S));
  } else {
    std::copy_n(src, n, dst);
  }
}

template <class S> inline void fill_zero(S* dst, int64_t n) {
  if constexpr (std::is_trivially_copyable_v<S>) {
    if (n > 0) std::memset(static_cast<void*>(dst), 0, static_cast<size_t>(n) * sizeof(S));
  } else {
    std::fill_n(dst, n, S());
  }
}

}  // namespace millrace
