#include "io/durable_file.h"

#include <unistd.h>

#include <atomic>
#include <chrono>

namespace millrace {

std::string temporary_name(const std::string& path) {
  static std::atomic<uint64_t> counter{0};
  uint64_t number = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  number ^= static_cast<uint64_t>(getpid()) << 40;
  number = (number + counter++) * 0x9e3779b97f4a7c15u;  // spread
  return str_cat(path, ".tempstate", number);
}

DurableFile::DurableFile(FileSystem* files, std::string path, std::string temporary, std::unique_ptr<WritableFile> file)
    : files_(files), path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

absl::StatusOr<DurableFile> DurableFile::create(const std::string& path) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  std::string temporary = temporary_name(path);
  MR_ASSIGN_OR_RETURN(auto file, files->create(temporary));
  return DurableFile(files, path, std::move(temporary), std::move(file));
}

DurableFile::~DurableFile() {
  if (!file_ || temporary_.empty()) return;
  file_->close().IgnoreError();
  files_->remove_file(temporary_).IgnoreError();
}

absl::Status DurableFile::finish() {
  if (finished_) return absl::OkStatus();
  MR_RETURN_IF_ERROR(file_->sync());
  MR_RETURN_IF_ERROR(file_->close());
  finished_ = true;
  return absl::OkStatus();
}

absl::Status DurableFile::publish() {
  MR_RETURN_IF_ERROR(finish());
  if (temporary_.empty()) return absl::OkStatus();
  MR_RETURN_IF_ERROR(files_->rename(temporary_, path_));
  temporary_.clear();
  return absl::OkStatus();
}

absl::Status DurableFile::commit() {
  MR_RETURN_IF_ERROR(publish());
  return files_->sync_directory(std::string(directory_of(path_)));
}

absl::Status write_file_durably(const std::string& path, std::string_view contents) {
  MR_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
  MR_RETURN_IF_ERROR(file.append(contents));
  return file.commit();
}

}  // namespace millrace
