#pragma once
// Record files (TFRecord): a sequence of byte strings, each with its length and checksums (docs/formats/records.md).
//
//   MR_ASSIGN_OR_RETURN(auto reader, RecordReader::open("train.tfrecord", {.compression = Compression::kGzip}));
//   std::string record;
//   while (true) {
//     MR_ASSIGN_OR_RETURN(const bool more, reader->read(record));
//     if (!more) break;
//   }
//
// A record that ends early is DataLoss "truncated record at OFFSET", one whose checksum is wrong DataLoss "corrupted
// record at OFFSET"; the offset is that of the record's start, before compression. A length claimed by the file never
// makes more memory than there are bytes (twice), and no more than `max_record_bytes` where the file is compressed. Not
// thread-safe.

#include <memory>
#include <string>

#include "io/compression.h"
#include "io/file_system.h"

namespace millrace {

// length (8), its masked crc (4), data, its masked crc (4): all little-endian.
inline constexpr size_t kRecordHeaderBytes = 12;
inline constexpr size_t kRecordFooterBytes = 4;

struct RecordReaderOptions {
  Compression compression = Compression::kNone;
  size_t buffer_bytes = 256 << 10;                // 0: what is asked for is read, no more
  uint64_t max_record_bytes = uint64_t{1} << 30;  // of compressed files; for plain ones the file's size is the limit
};

class RecordReader {
 public:
  static absl::StatusOr<std::unique_ptr<RecordReader>> open(const std::string& path, RecordReaderOptions options = {});
  RecordReader(std::unique_ptr<InputStream> stream, RecordReaderOptions options = {});

  // The next record, or false at the end of the file. An error is for good.
  absl::StatusOr<bool> read(std::string& record);
  // Passes over up to `count` records and returns how many there were.
  absl::StatusOr<int64_t> skip(int64_t count);
  // Where the next record starts, in bytes before compression.
  uint64_t offset() const { return offset_; }
  // Continues at an offset that offset() gave; of a compressed file everything before it is read again.
  // The stream must be at an earlier offset.
  absl::Status seek_forward(uint64_t offset);

 private:
  absl::StatusOr<bool> read_record(std::string& record);
  absl::StatusOr<size_t> fetch(char* out, size_t size);
  absl::Status fetch_body(uint64_t length, std::string& record);
  absl::Status truncated() const;
  absl::Status corrupted() const;

  std::unique_ptr<InputStream> stream_;
  RecordReaderOptions options_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;  // what of buffer_ is still to be read
  uint64_t offset_ = 0;
  absl::Status error_;
};

}  // namespace millrace
