#include "io/record_writer.h"

#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace {

absl::StatusOr<std::unique_ptr<RecordWriter>> RecordWriter::create(const std::string& path,
                                                                   RecordWriterOptions options) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  MR_ASSIGN_OR_RETURN(auto file, files->create(path));
  return std::make_unique<RecordWriter>(std::move(file), options);
}

RecordWriter::RecordWriter(std::unique_ptr<WritableFile> file, RecordWriterOptions options)
    : file_(make_deflating_file(std::move(file), options.compression, options.deflate)) {}

absl::Status RecordWriter::write(std::string_view record) {
  std::string header;
  append_fixed64(header, record.size());
  append_fixed32(header, crc32c::mask(crc32c::value(header)));
  MR_RETURN_IF_ERROR(file_->append(header));
  MR_RETURN_IF_ERROR(file_->append(record));
  std::string footer;
  append_fixed32(footer, crc32c::mask(crc32c::value(record)));
  return file_->append(footer);
}

}  // namespace millrace
