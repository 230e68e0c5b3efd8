#pragma once
// How our formats write integers: little-endian fixed widths and base-128 varints (as protocol buffers and LevelDB do).
// The reading side is base/byte_reader.h.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

namespace millrace {

static_assert(std::endian::native == std::endian::little, "file formats are written and read in place");

inline constexpr int kMaxVarint64Bytes = 10;

// Writes at most kMaxVarint64Bytes at `out` and returns the end.
inline char* encode_varint64(char* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

inline void append_varint64(std::string& out, uint64_t value) {
  char buffer[kMaxVarint64Bytes];
  out.append(buffer, encode_varint64(buffer, value) - buffer);
}

inline void append_fixed32(std::string& out, uint32_t value) { out.append(reinterpret_cast<const char*>(&value), 4); }
inline void append_fixed64(std::string& out, uint64_t value) { out.append(reinterpret_cast<const char*>(&value), 8); }

// From bytes known to be there.
inline uint32_t load_fixed32(const char* data) {
  uint32_t value;
  std::memcpy(&value, data, 4);
  return value;
}
inline uint64_t load_fixed64(const char* data) {
  uint64_t value;
  std::memcpy(&value, data, 8);
  return value;
}

}  // namespace millrace
