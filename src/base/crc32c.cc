#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace millrace::crc32c {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // reflected

// tables[k][b]: the effect of byte b followed by k zero bytes, for eight bytes at a time.
using Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Tables make_tables() {
  Tables t{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t c = b;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? (c >> 1) ^ kPolynomial : c >> 1;
    t[0][b] = c;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xff];
  }
  return t;
}
constexpr Tables kTables = make_tables();

inline uint64_t load64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

#if defined(__x86_64__)
// One instruction per eight bytes has a latency of three cycles, so three independent parts run side by side; their
// checksums are joined by shifting the earlier ones over the later parts with tables of zero bytes.
constexpr size_t kPart = 1024;

// shift[k][b]: what byte k (value b) of a checksum becomes after kPart zero bytes.
using Shift = std::array<std::array<uint32_t, 256>, 4>;
Shift make_shift() {
  Shift s{};
  for (size_t k = 0; k < 4; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      uint32_t c = b << (8 * k);
      for (size_t i = 0; i < kPart; ++i) c = (c >> 8) ^ kTables[0][c & 0xff];
      s[k][b] = c;
    }
  }
  return s;
}

inline uint32_t shift_over_part(const Shift& s, uint32_t c) {
  return s[0][c & 0xff] ^ s[1][(c >> 8) & 0xff] ^ s[2][(c >> 16) & 0xff] ^ s[3][c >> 24];
}

__attribute__((target("sse4.2"))) uint32_t extend_by_instruction(uint32_t crc, const void* data, size_t size) {
  static const Shift shift = make_shift();
  const auto* p = static_cast<const uint8_t*>(data);
  uint64_t c = ~crc;
  while (size >= 3 * kPart) {
    uint64_t c1 = 0, c2 = 0;
    for (size_t i = 0; i < kPart; i += 8) {
      c = _mm_crc32_u64(c, load64(p + i));
      c1 = _mm_crc32_u64(c1, load64(p + kPart + i));
      c2 = _mm_crc32_u64(c2, load64(p + 2 * kPart + i));
    }
    c = shift_over_part(shift, static_cast<uint32_t>(c)) ^ c1;
    c = shift_over_part(shift, static_cast<uint32_t>(c)) ^ c2;
    p += 3 * kPart;
    size -= 3 * kPart;
  }
  for (; size >= 8; p += 8, size -= 8) c = _mm_crc32_u64(c, load64(p));
  for (; size > 0; ++p, --size) c = _mm_crc32_u8(static_cast<uint32_t>(c), *p);
  return ~static_cast<uint32_t>(c);
}

bool have_instruction() { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
uint32_t extend_by_instruction(uint32_t crc, const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint32_t c = ~crc;
  for (; size >= 8; p += 8, size -= 8) c = __crc32cd(c, load64(p));
  for (; size > 0; ++p, --size) c = __crc32cb(c, *p);
  return ~c;
}

bool have_instruction() { return true; }
#else
uint32_t extend_by_instruction(uint32_t crc, const void* data, size_t size) {
  return internal::extend_by_table(crc, data, size);
}

bool have_instruction() { return false; }
#endif

}  // namespace

uint32_t internal::extend_by_table(uint32_t crc, const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint32_t c = ~crc;
  for (; size >= 8; p += 8, size -= 8) {
    const uint32_t low = c ^ (p[0] | p[1] << 8 | p[2] << 16 | static_cast<uint32_t>(p[3]) << 24);
    c = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
        kTables[4][low >> 24] ^ kTables[3][p[4]] ^ kTables[2][p[5]] ^ kTables[1][p[6]] ^ kTables[0][p[7]];
  }
  for (; size > 0; ++p, --size) c = (c >> 8) ^ kTables[0][(c ^ *p) & 0xff];
  return ~c;
}

uint32_t extend(uint32_t crc, const void* data, size_t size) {
  static const bool instruction = have_instruction();
  return instruction ? extend_by_instruction(crc, data, size) : internal::extend_by_table(crc, data, size);
}

}  // namespace millrace::crc32c
