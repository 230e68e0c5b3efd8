#include "base/byte_reader.h"

#include "base/coding.h"
#include "base/status.h"

namespace millrace {

absl::Status ByteReader::error(std::string_view message) const {
  return data_loss(source_, ": ", message, " at offset ", base_ + position_);
}

absl::StatusOr<std::string_view> ByteReader::read_bytes(uint64_t size, std::string_view what) {
  if (size > remaining()) return error(str_cat("truncated ", what, " (", size, " bytes, ", remaining(), " left)"));
  const std::string_view result = bytes_.substr(position_, size);
  position_ += size;
  return result;
}

absl::Status ByteReader::skip(uint64_t size, std::string_view what) { return read_bytes(size, what).status(); }

absl::StatusOr<uint8_t> ByteReader::read_byte(std::string_view what) {
  if (at_end()) return error(str_cat("truncated ", what));
  return static_cast<uint8_t>(bytes_[position_++]);
}

absl::StatusOr<uint32_t> ByteReader::read_fixed32(std::string_view what) {
  MR_ASSIGN_OR_RETURN(const std::string_view bytes, read_bytes(4, what));
  return load_fixed32(bytes.data());
}

absl::StatusOr<uint64_t> ByteReader::read_fixed64(std::string_view what) {
  MR_ASSIGN_OR_RETURN(const std::string_view bytes, read_bytes(8, what));
  return load_fixed64(bytes.data());
}

absl::StatusOr<uint64_t> ByteReader::read_varint64(std::string_view what) {
  uint64_t value = 0;
  size_t at = position_;
  for (int shift = 0; shift < 64 && at < bytes_.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes_[at++]);
    if (shift == 63 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      position_ = at;
      return value;
    }
  }
  return error(str_cat(at == bytes_.size() && at - position_ < kMaxVarint64Bytes ? "truncated " : "overlong ", what));
}

absl::StatusOr<uint32_t> ByteReader::read_varint32(std::string_view what) {
  const size_t start = position_;
  MR_ASSIGN_OR_RETURN(const uint64_t value, read_varint64(what));
  if (value > UINT32_MAX) {
    position_ = start;
    return error(str_cat("overlong ", what));
  }
  return static_cast<uint32_t>(value);
}

absl::StatusOr<ByteReader> ByteReader::read_nested(uint64_t size, std::string_view what) {
  if (depth_ + 1 > kMaxDepth) return error(str_cat("too deeply nested ", what));
  const size_t start = base_ + position_;
  MR_ASSIGN_OR_RETURN(const std::string_view bytes, read_bytes(size, what));
  ByteReader nested(bytes, source_);
  nested.base_ = start;
  nested.depth_ = depth_ + 1;
  return nested;
}

}  // namespace millrace
