#pragma once
// Hashes whose values are part of formats and results: they never change.

#include <cstdint>
#include <string_view>

namespace millrace {

// FarmHash's 64-bit fingerprint (Geoff Pike): TensorFlow's Fingerprint64.
uint64_t fingerprint64(std::string_view bytes);
// MurmurHash64A (Austin Appleby) with TensorFlow's seed: its Hash64.
uint64_t hash64(std::string_view bytes, uint64_t seed = 0xDECAFCAFFE);
// SipHash-2-4 (Aumasson, Bernstein).
uint64_t sip_hash(uint64_t key0, uint64_t key1, std::string_view bytes);
// The first four bytes of the MD5 digest (RFC 1321), as its hexadecimal form reads: TensorFlow's Python makes seeds of
// them.
uint32_t md5_leading_word(std::string_view bytes);

}  // namespace millrace
