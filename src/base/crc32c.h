#pragma once
// CRC-32C (Castagnoli), the checksum of record files, checkpoints and their tables. Uses the CPU's instruction where
// there is one. Files store the masked form, so that a checksum of data that holds checksums stays useful.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace::crc32c {

// The checksum of A followed by `data`, where `crc` is the checksum of A.
uint32_t extend(uint32_t crc, const void* data, size_t size);

inline uint32_t value(const void* data, size_t size) { return extend(0, data, size); }
inline uint32_t value(std::string_view data) { return extend(0, data.data(), data.size()); }

inline constexpr uint32_t kMaskDelta = 0xa282ead8u;
inline uint32_t mask(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + kMaskDelta; }
inline uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - kMaskDelta;
  return (rotated >> 17) | (rotated << 15);
}

namespace internal {
uint32_t extend_by_table(uint32_t crc, const void* data, size_t size);  // what CPUs without the instruction use
}  // namespace internal

}  // namespace millrace::crc32c
