#pragma once
// Writes record files (TFRecord) that RecordReader and TensorFlow read. Not thread-safe.

#include <memory>
#include <string>
#include <string_view>

#include "io/compression.h"
#include "io/file_system.h"

namespace millrace {

struct RecordWriterOptions {
  Compression compression = Compression::kNone;
  DeflateOptions deflate = {};
};

class RecordWriter {
 public:
  static absl::StatusOr<std::unique_ptr<RecordWriter>> create(const std::string& path,
                                                              RecordWriterOptions options = {});
  explicit RecordWriter(std::unique_ptr<WritableFile> file, RecordWriterOptions options = {});

  absl::Status write(std::string_view record);
  absl::Status flush() { return file_->flush(); }
  absl::Status sync() { return file_->sync(); }
  // The destructor closes too, but keeps errors to itself.
  absl::Status close() { return file_->close(); }

 private:
  std::unique_ptr<WritableFile> file_;
};

}  // namespace millrace
