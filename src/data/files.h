#pragma once
// Datasets of the contents of files, one after another. Files are opened when their turn comes.

#include "data/dataset.h"
#include "io/compression.h"

namespace millrace {

// Compression is "", "ZLIB" or "GZIP".
struct FileOptions {
  std::vector<std::string> files = {};
  std::string compression = {};
  int64_t buffer_bytes = 0;                // 0 or less: our choice
  std::vector<int64_t> byte_offsets = {};  // where to start in each file; none: at the beginning
};

DatasetPtr tf_record_dataset(FileOptions options);
DatasetPtr text_line_dataset(FileOptions options);

// An open file that gives strings.
class FileReader {
 public:
  virtual ~FileReader() = default;
  virtual absl::StatusOr<bool> read(std::string& record) = 0;  // false at the end
  virtual uint64_t offset() const = 0;                         // of the next one, for save(); in uncompressed bytes
};
absl::StatusOr<std::unique_ptr<FileReader>> open_text_lines(const std::string& path);
absl::StatusOr<std::unique_ptr<InputStream>> open_stream(const std::string& path, Compression compression);
// Passes over `count` bytes, or fewer where the stream ends; returns how many.
absl::StatusOr<uint64_t> skip_bytes(InputStream& stream, uint64_t count);
// Reads until `ahead` holds `wanted` bytes, or fewer where the stream ends: in pieces, so that a claimed record length
// makes no more memory than there are bytes.
absl::Status fetch_ahead(InputStream& stream, uint64_t wanted, std::string* ahead);

// Lines that may go on where a line ends inside double quotes; the first one of each file may be left out.
struct TextRecordOptions {
  bool quotes = false, header = false;
};
DatasetPtr text_record_dataset(FileOptions options, TextRecordOptions record);

struct FixedLengthOptions {
  int64_t record_bytes = 0, header_bytes = 0, footer_bytes = 0;
};
absl::StatusOr<DatasetPtr> fixed_length_record_dataset(FileOptions options, FixedLengthOptions record);

}  // namespace millrace
