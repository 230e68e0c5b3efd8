#pragma once
// The one way to write a file that must be whole or absent: the bytes go to a temporary name beside the final one,
// reach the disk, and only then take the final name; the directory is synced last. What a failed or killed writer
// leaves is a file NAME.tempstate*, never a torn NAME.
//
//   MR_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
//   MR_RETURN_IF_ERROR(file.append(bytes));
//   MR_RETURN_IF_ERROR(file.commit());

#include <memory>
#include <string>
#include <string_view>

#include "io/file_system.h"

namespace millrace {

class DurableFile {
 public:
  static absl::StatusOr<DurableFile> create(const std::string& path);
  DurableFile(DurableFile&& other) noexcept = default;
  DurableFile& operator=(DurableFile&& other) = delete;
  // Removes the temporary file unless it was published.
  ~DurableFile();

  absl::Status append(std::string_view data) { return file_->append(data); }
  uint64_t position() const { return file_->position(); }
  const std::string& path() const { return path_; }
  WritableFile* file() { return file_.get(); }  // for writers that take one; must not be closed

  // All bytes on disk, under the temporary name still.
  absl::Status finish();
  // Takes the final name. Several files published together: finish all, publish each, then sync their directory once.
  absl::Status publish();
  // finish, publish, and sync of the directory.
  absl::Status commit();

 private:
  DurableFile(FileSystem* files, std::string path, std::string temporary, std::unique_ptr<WritableFile> file);

  FileSystem* files_;
  std::string path_;
  std::string temporary_;               // empty once published
  std::unique_ptr<WritableFile> file_;  // null once moved from
  bool finished_ = false;
};

absl::Status write_file_durably(const std::string& path, std::string_view contents);

// A name beside `path` that no other writer uses: PATH.tempstate<number>, as TensorFlow names them.
std::string temporary_name(const std::string& path);

}  // namespace millrace
