#include "checkpoint/ordered_code.h"

#include <bit>

namespace millrace {
namespace ordered_code {

void append_number(std::string& out, uint64_t value) {
  const int bytes = (std::bit_width(value) + 7) / 8;
  out += static_cast<char>(bytes);
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

// The first byte's leading ones (zeros for negative values) tell the length, as in UTF-8: n bytes hold the sign and 7n
// - 1 bits of the value.
void append_signed_number(std::string& out, int64_t value) {
  const uint64_t magnitude = value < 0 ? ~static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const int bytes = std::bit_width(magnitude) / 7 + 1;  // 1 to 10
  // Two's complement of ten bytes, of which the last `bytes` are written; the header's bits are flipped into them.
  unsigned char buffer[10];
  for (int i = 0; i < 10; ++i) {
    const int shift = 8 * (9 - i);
    buffer[i] =
        shift >= 64 ? (value < 0 ? 0xff : 0x00) : static_cast<unsigned char>(static_cast<uint64_t>(value) >> shift);
  }
  unsigned char* begin = buffer + 10 - bytes;
  // `bytes` ones, then a zero, in front: 0x80, 0xc0, ..., 0xfe, 0xff, 0xff80, 0xffc0.
  for (int bit = 0; bit < bytes; ++bit) begin[bit / 8] ^= static_cast<unsigned char>(0x80 >> (bit % 8));
  out.append(reinterpret_cast<char*>(begin), static_cast<size_t>(bytes));
}

void append_string(std::string& out, std::string_view value) {
  for (const char c : value) {
    out += c;
    if (c == '\0') out += '\xff';
    if (c == '\xff') out += '\0';
  }
  out += '\0';
  out += '\x01';
}

}  // namespace ordered_code

std::string slice_key(std::string_view name, const TensorSlice& slice) {
  std::string key;
  ordered_code::append_number(key, 0);
  ordered_code::append_string(key, name);
  ordered_code::append_number(key, static_cast<uint64_t>(slice.rank()));
  for (const TensorSlice::Extent& extent : slice.extents()) {
    ordered_code::append_signed_number(key, extent.start);
    ordered_code::append_signed_number(key, extent.length);
  }
  return key;
}

}  // namespace millrace
