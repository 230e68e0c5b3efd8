#include "base/fingerprint.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/coding.h"

namespace millrace {
namespace {

constexpr uint64_t k0 = 0xc3a5c85c97cb3127, k1 = 0xb492b66fbe98f273, k2 = 0x9ae16a3b2f90404f;

uint64_t shift_mix(uint64_t v) { return v ^ (v >> 47); }

uint64_t hash_16(uint64_t u, uint64_t v, uint64_t mul) {
  const uint64_t a = shift_mix((u ^ v) * mul);
  return shift_mix((v ^ a) * mul) * mul;
}

uint64_t up_to_16(const char* s, size_t n) {
  const uint64_t mul = k2 + n * 2;
  if (n >= 8) {
    const uint64_t a = load_fixed64(s) + k2, b = load_fixed64(s + n - 8);
    return hash_16(std::rotr(b, 37) * mul + a, (std::rotr(a, 25) + b) * mul, mul);
  }
  if (n >= 4) return hash_16(n + (uint64_t{load_fixed32(s)} << 3), load_fixed32(s + n - 4), mul);
  if (n == 0) return k2;
  const auto byte = [&](size_t i) { return uint32_t{static_cast<uint8_t>(s[i])}; };
  const uint32_t y = byte(0) + (byte(n >> 1) << 8), z = static_cast<uint32_t>(n) + (byte(n - 1) << 2);
  return shift_mix(y * k2 ^ z * k0) * k2;
}

uint64_t up_to_32(const char* s, size_t n) {
  const uint64_t mul = k2 + n * 2;
  const uint64_t a = load_fixed64(s) * k1, b = load_fixed64(s + 8);
  const uint64_t c = load_fixed64(s + n - 8) * mul, d = load_fixed64(s + n - 16) * k2;
  return hash_16(std::rotr(a + b, 43) + std::rotr(c, 30) + d, a + std::rotr(b + k2, 18) + c, mul);
}

uint64_t up_to_64(const char* s, size_t n) {
  const uint64_t mul = k2 + n * 2;
  const uint64_t a = load_fixed64(s) * k2, b = load_fixed64(s + 8);
  const uint64_t c = load_fixed64(s + n - 8) * mul, d = load_fixed64(s + n - 16) * k2;
  const uint64_t y = std::rotr(a + b, 43) + std::rotr(c, 30) + d;
  const uint64_t z = hash_16(y, a + std::rotr(b + k2, 18) + c, mul);
  const uint64_t e = load_fixed64(s + 16) * mul, f = load_fixed64(s + 24);
  const uint64_t g = (y + load_fixed64(s + n - 32)) * mul, h = (z + load_fixed64(s + n - 24)) * mul;
  return hash_16(std::rotr(e + f, 43) + std::rotr(g, 30) + h, e + std::rotr(f + a, 18) + g, mul);
}

using Pair = std::pair<uint64_t, uint64_t>;

Pair weak_32(const char* s, uint64_t a, uint64_t b) {
  const uint64_t w = load_fixed64(s), x = load_fixed64(s + 8), y = load_fixed64(s + 16), z = load_fixed64(s + 24);
  a += w;
  b = std::rotr(b + a + z, 21);
  const uint64_t c = a;
  a += x + y;
  b += std::rotr(a, 44);
  return {a + z, b + c};
}

uint64_t longer(const char* s, size_t n) {
  constexpr uint64_t seed = 81;
  uint64_t x = seed, y = seed * k1 + 113, z = shift_mix(y * k2 + 113) * k2;
  Pair v{0, 0}, w{0, 0};
  x = x * k2 + load_fixed64(s);
  const char* const end = s + (n - 1) / 64 * 64;
  const char* const last = end + ((n - 1) & 63) - 63;
  do {
    x = std::rotr(x + y + v.first + load_fixed64(s + 8), 37) * k1;
    y = std::rotr(y + v.second + load_fixed64(s + 48), 42) * k1;
    x ^= w.second;
    y += v.first + load_fixed64(s + 40);
    z = std::rotr(z + w.first, 33) * k1;
    v = weak_32(s, v.second * k1, x + w.first);
    w = weak_32(s + 32, z + w.second, y + load_fixed64(s + 16));
    std::swap(z, x);
    s += 64;
  } while (s != end);
  const uint64_t mul = k1 + ((z & 0xff) << 1);
  s = last;
  w.first += (n - 1) & 63;
  v.first += w.first;
  w.first += v.first;
  x = std::rotr(x + y + v.first + load_fixed64(s + 8), 37) * mul;
  y = std::rotr(y + v.second + load_fixed64(s + 48), 42) * mul;
  x ^= w.second * 9;
  y += v.first * 9 + load_fixed64(s + 40);
  z = std::rotr(z + w.first, 33) * mul;
  v = weak_32(s, v.second * mul, x + w.first);
  w = weak_32(s + 32, z + w.second, y + load_fixed64(s + 16));
  std::swap(z, x);
  return hash_16(hash_16(v.first, w.first, mul) + shift_mix(y) * k0 + z, hash_16(v.second, w.second, mul) + x, mul);
}

}  // namespace

uint64_t fingerprint64(std::string_view bytes) {
  const char* s = bytes.data();
  const size_t n = bytes.size();
  return n <= 16 ? up_to_16(s, n) : n <= 32 ? up_to_32(s, n) : n <= 64 ? up_to_64(s, n) : longer(s, n);
}

uint64_t hash64(std::string_view bytes, uint64_t seed) {
  constexpr uint64_t m = 0xc6a4a7935bd1e995;
  const char* s = bytes.data();
  size_t n = bytes.size();
  uint64_t h = seed ^ (n * m);
  for (; n >= 8; s += 8, n -= 8) {
    uint64_t k = load_fixed64(s) * m;
    k ^= k >> 47;
    h = (h ^ (k * m)) * m;
  }
  if (n > 0) {
    for (size_t i = 0; i < n; ++i) h ^= uint64_t{static_cast<uint8_t>(s[i])} << (8 * i);
    h *= m;
  }
  h ^= h >> 47;
  h *= m;
  return h ^ (h >> 47);
}

uint64_t sip_hash(uint64_t key0, uint64_t key1, std::string_view bytes) {
  uint64_t v0 = key0 ^ 0x736f6d6570736575, v1 = key1 ^ 0x646f72616e646f6d;
  uint64_t v2 = key0 ^ 0x6c7967656e657261, v3 = key1 ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  };
  const auto add = [&](uint64_t m) {
    v3 ^= m;
    rounds(2);
    v0 ^= m;
  };
  const char* s = bytes.data();
  size_t n = bytes.size();
  for (; n >= 8; s += 8, n -= 8) add(load_fixed64(s));
  uint64_t last = static_cast<uint64_t>(bytes.size()) << 56;
  for (size_t i = 0; i < n; ++i) last |= uint64_t{static_cast<uint8_t>(s[i])} << (8 * i);
  add(last);
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

namespace {

void md5_block(const char* block, std::array<uint32_t, 4>& state) {
  static constexpr std::array<std::array<int, 4>, 4> kShifts = {
      {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};
  std::array<uint32_t, 16> words;
  std::memcpy(words.data(), block, sizeof(words));
  auto [a, b, c, d] = state;
  for (uint32_t i = 0; i < 64; ++i) {
    const uint32_t round = i / 16;
    uint32_t mixed = 0, word = 0;
    switch (round) {
      case 0: mixed = (b & c) | (~b & d), word = i; break;
      case 1: mixed = (d & b) | (~d & c), word = (5 * i + 1) % 16; break;
      case 2: mixed = b ^ c ^ d, word = (3 * i + 5) % 16; break;
      default: mixed = c ^ (b | ~d), word = (7 * i) % 16; break;
    }
    const auto sine = static_cast<uint32_t>(std::floor(std::fabs(std::sin(i + 1.0)) * 4294967296.0));
    const uint32_t turned = std::rotl(a + mixed + sine + words[word], kShifts[round][i % 4]);
    a = d, d = c, c = b, b += turned;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

}  // namespace

uint32_t md5_leading_word(std::string_view bytes) {
  std::string padded(bytes);
  padded += '\x80';
  while (padded.size() % 64 != 56) padded += '\0';
  const uint64_t bits = static_cast<uint64_t>(bytes.size()) * 8;
  padded.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  std::array<uint32_t, 4> state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  for (size_t at = 0; at < padded.size(); at += 64) md5_block(padded.data() + at, state);
  return __builtin_bswap32(state[0]);
}

}  // namespace millrace
