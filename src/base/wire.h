#pragma once
// Protocol buffer messages read and written field by field, without generated classes: for the few messages that steps
// handle in number (tf.train.Example, summaries) and for handles. Bounded: reads stay inside the bytes given.
//
//   WireReader r(bytes);
//   while (r.next()) {
//     if (r.field() == 1 && r.type() == WireType::kBytes) name = r.bytes();
//     else r.skip();
//   }
//   if (!r.ok()) return data_loss("...");

#include <cstdint>
#include <string>
#include <string_view>

#include "base/coding.h"

namespace millrace {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Moves to the next field, whose value must then be read or skipped; false at the end or at an error.
  bool next() {
    if (p_ == end_ || !ok_) return false;
    const uint64_t tag = read_varint();
    field_ = static_cast<uint32_t>(tag >> 3);
    const auto type = static_cast<uint8_t>(tag & 7);
    type_ = static_cast<WireType>(type);
    // Groups (3, 4) went out of use before any message of ours was defined.
    if (field_ == 0 || (tag >> 32) != 0 || type == 3 || type == 4 || type > 5) ok_ = false;
    return ok_;
  }
  uint32_t field() const { return field_; }
  WireType type() const { return type_; }
  bool is(uint32_t field, WireType type) const { return field_ == field && type_ == type; }

  // The value of the current field, which must have that type. Zero or empty after an error.
  uint64_t varint() { return read_varint(); }
  uint32_t fixed32() {
    if (end_ - p_ < 4) return fail();
    const uint32_t v = load_fixed32(p_);
    p_ += 4;
    return v;
  }
  uint64_t fixed64() {
    if (end_ - p_ < 8) return fail();
    const uint64_t v = load_fixed64(p_);
    p_ += 8;
    return v;
  }
  std::string_view bytes() {
    const uint64_t size = read_varint();
    if (!ok_ || size > static_cast<uint64_t>(end_ - p_)) {
      fail();
      return {};
    }
    const std::string_view v(p_, static_cast<size_t>(size));
    p_ += size;
    return v;
  }
  void skip() {
    switch (type_) {
      case WireType::kVarint: read_varint(); break;
      case WireType::kFixed64: fixed64(); break;
      case WireType::kFixed32: fixed32(); break;
      case WireType::kBytes: bytes(); break;
    }
  }

  // For packed values: bare varints up to the end.
  bool at_end() const { return p_ == end_ || !ok_; }
  bool ok() const { return ok_; }

 private:
  uint32_t fail() {
    ok_ = false;
    p_ = end_;
    return 0;
  }
  uint64_t read_varint() {
    if (p_ != end_ && static_cast<uint8_t>(*p_) < 0x80) return static_cast<uint8_t>(*p_++);
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && p_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*p_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
      if (byte < 0x80) return value;
    }
    return fail();
  }

  const char* p_;
  const char* end_;
  uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
  bool ok_ = true;
};

inline void append_tag(std::string& out, uint32_t field, WireType type) {
  append_varint64(out, uint64_t{field} << 3 | static_cast<uint8_t>(type));
}
inline void append_varint_field(std::string& out, uint32_t field, uint64_t value) {
  append_tag(out, field, WireType::kVarint);
  append_varint64(out, value);
}
inline void append_bytes_field(std::string& out, uint32_t field, std::string_view value) {
  append_tag(out, field, WireType::kBytes);
  append_varint64(out, value.size());
  out.append(value);
}
inline void append_float_field(std::string& out, uint32_t field, float value) {
  append_tag(out, field, WireType::kFixed32);
  append_fixed32(out, std::bit_cast<uint32_t>(value));
}
inline void append_double_field(std::string& out, uint32_t field, double value) {
  append_tag(out, field, WireType::kFixed64);
  append_fixed64(out, std::bit_cast<uint64_t>(value));
}

}  // namespace millrace
