#pragma once
// A fuzzer's input as a stream that gives a few bytes at a time.

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "io/file_system.h"

namespace millrace {

class MemoryStream final : public InputStream {
 public:
  explicit MemoryStream(std::string data, size_t step = 7) : data_(std::move(data)), step_(step) {}
  absl::StatusOr<size_t> read(std::span<char> out) override {
    const size_t count = std::min({out.size(), step_, data_.size() - position_});
    std::memcpy(out.data(), data_.data() + position_, count);
    position_ += count;
    return count;
  }
  std::optional<uint64_t> remaining() const override { return data_.size() - position_; }
  const std::string& name() const override { return name_; }

 private:
  const std::string data_, name_ = "memory";
  const size_t step_;
  size_t position_ = 0;
};

}  // namespace millrace
