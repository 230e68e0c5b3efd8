#pragma once
// The bounded reader that all of our own formats are parsed with: it never reads past the bytes it was given, and it
// limits how deep parts may be nested. An error is DataLoss and names the source (a file, a record) and the offset in
// it.
//
//   ByteReader reader(contents, "model.ckpt-10.index");
//   MR_ASSIGN_OR_RETURN(const uint64_t length, reader.read_varint64("key length"));
//   MR_ASSIGN_OR_RETURN(const std::string_view key, reader.read_bytes(length, "key"));
//
// Borrows the bytes and the source's name. Not thread-safe.

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace millrace {

class ByteReader {
 public:
  static constexpr int kMaxDepth = 64;

  explicit ByteReader(std::string_view bytes, std::string_view source = "input") : bytes_(bytes), source_(source) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return remaining() == 0; }

  // `what` names the value in errors.
  absl::StatusOr<std::string_view> read_bytes(uint64_t size, std::string_view what);
  absl::StatusOr<uint8_t> read_byte(std::string_view what);
  absl::StatusOr<uint32_t> read_fixed32(std::string_view what);
  absl::StatusOr<uint64_t> read_fixed64(std::string_view what);
  absl::StatusOr<uint32_t> read_varint32(std::string_view what);  // more than 32 bits are an error
  absl::StatusOr<uint64_t> read_varint64(std::string_view what);
  absl::Status skip(uint64_t size, std::string_view what);

  // A reader over the next `size` bytes, one level deeper; this one goes on behind them.
  absl::StatusOr<ByteReader> read_nested(uint64_t size, std::string_view what);

  // DataLoss at the current position.
  absl::Status error(std::string_view message) const;

 private:
  std::string_view bytes_;
  std::string_view source_;
  size_t position_ = 0;
  size_t base_ = 0;  // offset of bytes_ in the outermost reader
  int depth_ = 0;
};

}  // namespace millrace
