#include "cluster/message_bytes.h"

#include <limits>

#include "google/protobuf/io/zero_copy_stream.h"
#include "google/protobuf/message_lite.h"

namespace millrace {
namespace {

// Reads pieces where they lie. They are no longer than an int can say: a message has less than 2 GiB.
class PieceStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit PieceStream(std::span<const std::string_view> pieces) : pieces_(pieces) {}

  bool Next(const void** data, int* size) override {
    while (next_ < pieces_.size()) {
      const std::string_view rest = pieces_[next_].substr(offset_);
      ++next_, offset_ = 0;
      if (rest.empty()) continue;
      *data = rest.data();
      *size = static_cast<int>(rest.size());
      count_ += *size;
      return true;
    }
    return false;
  }
  void BackUp(int count) override {
    --next_;
    offset_ = pieces_[next_].size() - static_cast<size_t>(count);
    count_ -= count;
  }
  bool Skip(int count) override {
    const void* data;
    int size = 0;
    while (count > 0 && Next(&data, &size)) {
      if (size > count) BackUp(size - count), size = count;
      count -= size;
    }
    return count == 0;
  }
  int64_t ByteCount() const override { return count_; }

 private:
  const std::span<const std::string_view> pieces_;
  size_t next_ = 0, offset_ = 0;  // the piece to come, and where in it
  int64_t count_ = 0;
};

}  // namespace

absl::Status to_bytes(const google::protobuf::MessageLite& message, std::string* bytes) {
  const size_t size = message.ByteSizeLong();
  if (size > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return resource_exhausted("a message of ", size, " bytes is more than the 2 GiB that protocol buffers can hold");
  bytes->clear();
  return message.SerializeToString(bytes) ? absl::OkStatus() : internal_error("a message could not be written");
}

absl::Status from_bytes(const ReceivedMessage& received, google::protobuf::MessageLite* message) {
  size_t size = 0;
  for (const std::string_view piece : received.pieces()) size += piece.size();
  if (size > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    return resource_exhausted("a message of ", size, " bytes is more than the 2 GiB that protocol buffers can hold");
  PieceStream stream(received.pieces());
  if (message->ParseFromZeroCopyStream(&stream)) return absl::OkStatus();
  return internal_error("the bytes that came are no ", message->GetTypeName());
}

}  // namespace millrace
