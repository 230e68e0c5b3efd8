#include "io/record_reader.h"

#include <algorithm>
#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace {
namespace {

// Memory for a record grows with the bytes that have come, not with what the header claims.
constexpr uint64_t kFirstChunk = 1 << 20;

bool checksum_fits(std::string_view data, const char* stored) {
  return crc32c::mask(crc32c::value(data)) == load_fixed32(stored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordReader>> RecordReader::open(const std::string& path, RecordReaderOptions options) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  MR_ASSIGN_OR_RETURN(auto stream, files->open_stream(path));
  return std::make_unique<RecordReader>(std::move(stream), options);
}

RecordReader::RecordReader(std::unique_ptr<InputStream> stream, RecordReaderOptions options)
    : stream_(make_inflating_stream(std::move(stream), options.compression)),
      options_(options),
      buffer_(options.buffer_bytes, '\0') {}

absl::StatusOr<bool> RecordReader::read(std::string& record) {
  if (!error_.ok()) return error_;
  auto more = read_record(record);
  if (!more.ok()) error_ = more.status();
  return more;
}

absl::Status RecordReader::truncated() const {
  return data_loss(stream_->name(), ": truncated record at ", offset_, ": Read less bytes than requested");
}

absl::Status RecordReader::corrupted() const {
  return data_loss(stream_->name(), ": corrupted record at ", offset_,
                   offset_ == 0 ? " (Is this even a TFRecord file?)" : "");
}

absl::StatusOr<bool> RecordReader::read_record(std::string& record) {
  char header[kRecordHeaderBytes];
  MR_ASSIGN_OR_RETURN(const size_t got, fetch(header, sizeof(header)));
  if (got == 0) return false;
  if (got < sizeof(header)) return truncated();
  if (!checksum_fits({header, 8}, header + 8)) return corrupted();
  const uint64_t length = load_fixed64(header);
  MR_RETURN_IF_ERROR(fetch_body(length, record));
  char footer[kRecordFooterBytes];
  MR_ASSIGN_OR_RETURN(const size_t footer_got, fetch(footer, sizeof(footer)));
  if (footer_got < sizeof(footer)) return truncated();
  if (!checksum_fits(record, footer)) return corrupted();
  offset_ += kRecordHeaderBytes + length + kRecordFooterBytes;
  return true;
}

absl::Status RecordReader::fetch_body(uint64_t length, std::string& record) {
  if (length > kFirstChunk) {
    if (const auto left = stream_->remaining(); left && length > *left + (end_ - begin_)) return truncated();
  }
  if (options_.compression != Compression::kNone && length > options_.max_record_bytes) {
    return resource_exhausted(stream_->name(), ": record at ", offset_, " claims ", length, " bytes, the limit is ",
                              options_.max_record_bytes);
  }
  record.clear();
  while (record.size() < length) {
    const size_t have = record.size();
    const uint64_t chunk = std::min<uint64_t>(length - have, std::max<uint64_t>(kFirstChunk, have));
    record.resize(have + chunk);
    MR_ASSIGN_OR_RETURN(const size_t got, fetch(record.data() + have, chunk));
    if (got < chunk) return truncated();
  }
  return absl::OkStatus();
}

// Up to `size` bytes through the buffer; fewer only at the end.
absl::StatusOr<size_t> RecordReader::fetch(char* out, size_t size) {
  size_t done = 0;
  while (done < size) {
    if (begin_ < end_) {
      const size_t part = std::min(size - done, end_ - begin_);
      std::memcpy(out + done, buffer_.data() + begin_, part);
      begin_ += part;
      done += part;
      continue;
    }
    const bool direct = size - done >= buffer_.size();
    MR_ASSIGN_OR_RETURN(const size_t got,
                        stream_->read(direct ? std::span<char>(out + done, size - done) : std::span<char>(buffer_)));
    if (got == 0) break;
    if (direct) {
      done += got;
    } else {
      begin_ = 0;
      end_ = got;
    }
  }
  return done;
}

absl::StatusOr<int64_t> RecordReader::skip(int64_t count) {
  std::string record;
  for (int64_t i = 0; i < count; ++i) {
    MR_ASSIGN_OR_RETURN(const bool more, read(record));
    if (!more) return i;
  }
  return std::max<int64_t>(count, 0);
}

absl::Status RecordReader::seek_forward(uint64_t offset) {
  if (!error_.ok()) return error_;
  if (offset < offset_) {
    return invalid_argument(stream_->name(), ": cannot go back from offset ", offset_, " to ", offset);
  }
  char scratch[4096];
  while (offset_ < offset) {
    MR_ASSIGN_OR_RETURN(const size_t got, fetch(scratch, std::min<uint64_t>(sizeof(scratch), offset - offset_)));
    if (got == 0) return out_of_range(stream_->name(), ": no record at ", offset, ": the file ends at ", offset_);
    offset_ += got;
  }
  return absl::OkStatus();
}

}  // namespace millrace
