#pragma once
// Datasets of the contents of files, one after another. Files are opened when their turn comes.

#include "data/dataset.h"

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
