#pragma once
// The only door to the operating system's files. What lives in src/io: file systems, durable writes, record and event
// files, compression. What does not: anything that knows tensors (src/checkpoint) or protocol buffers.
//
// Every error names the file and has TensorFlow's class: NotFound, PermissionDenied, ResourceExhausted (full disk),
// FailedPrecondition (a directory where a file was wanted), ...
//
//   MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
//   MR_ASSIGN_OR_RETURN(auto file, files->open(path));

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace millrace {

// Bytes in order, once. Not thread-safe.
class InputStream {
 public:
  virtual ~InputStream() = default;
  // Reads between 1 and out.size() bytes, as many as are at hand; 0 only at the end (or if `out` is empty).
  virtual absl::StatusOr<size_t> read(std::span<char> out) = 0;
  // Bytes left, where that is known without reading them.
  virtual std::optional<uint64_t> remaining() const { return std::nullopt; }
  virtual const std::string& name() const = 0;
};

// A file read at any offset. Thread-safe.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;
  // Reads between 1 and out.size() bytes at `offset`; 0 only at the end (or if `out` is empty).
  virtual absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> out) const = 0;
  virtual absl::StatusOr<uint64_t> size() const = 0;
  virtual const std::string& name() const = 0;
};

// A file written from its beginning (or its end, if opened for appending). Not thread-safe. Errors are for good: after
// one, every further call fails. The destructor closes without telling of errors, so call close().
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status append(std::string_view data) = 0;
  virtual absl::Status flush() = 0;  // to the operating system
  virtual absl::Status sync() = 0;   // to the disk
  virtual absl::Status close() = 0;
  virtual uint64_t position() const = 0;  // the file's length with what is still buffered
  virtual const std::string& name() const = 0;
};

struct FileStat {
  uint64_t size = 0;
  bool is_directory = false;
  int64_t modified_nanos = 0;  // since 1970
};

// Thread-safe. Paths are plain, with '/' between parts.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> open(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<InputStream>> open_stream(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> create(const std::string& path) = 0;  // empties an old file
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> open_to_append(const std::string& path) = 0;

  virtual absl::StatusOr<FileStat> stat(const std::string& path) = 0;
  virtual absl::StatusOr<std::vector<std::string>> list(const std::string& directory) = 0;  // names, sorted
  virtual absl::Status make_directory(const std::string& path) = 0;
  virtual absl::Status remove_file(const std::string& path) = 0;
  virtual absl::Status remove_directory(const std::string& path) = 0;               // an empty one
  virtual absl::Status rename(const std::string& from, const std::string& to) = 0;  // replaces an old file
  // Makes creations, renames and removals in the directory survive a power cut.
  virtual absl::Status sync_directory(const std::string& path) = 0;

  // Written in terms of the above.
  virtual absl::Status remove_tree(const std::string& path);
  bool exists(const std::string& path) { return stat(path).ok(); }
  bool is_directory(const std::string& path);
  // All missing directories of the path.
  absl::Status make_directories(const std::string& path);
  // Paths that match, sorted: '*', '?' and '[a-z]' match within one part of the path, as TensorFlow's matching_files.
  absl::StatusOr<std::vector<std::string>> glob(const std::string& pattern);
};

FileSystem& posix_file_system();

// The file system of the path's scheme: none or file:// is the posix one, others must have been registered;
// Unimplemented otherwise.
absl::StatusOr<FileSystem*> file_system_for(std::string_view path);
// For tests and extensions; paths reach `files` with their scheme. `files` must outlive its use; null unregisters.
void register_file_system(const std::string& scheme, FileSystem* files);

// Whole files, through file_system_for. read_file fails with ResourceExhausted over `limit` bytes.
absl::StatusOr<std::string> read_file(const std::string& path, uint64_t limit = uint64_t{1} << 31);
absl::Status write_file(const std::string& path, std::string_view contents);  // neither durable nor atomic

// Reads exactly out.size() bytes; OutOfRange if the file ends before.
absl::Status read_exactly(const RandomAccessFile& file, uint64_t offset, std::span<char> out);
// Reads out.size() bytes or fewer where the stream ends; returns how many.
absl::StatusOr<size_t> read_full(InputStream& stream, std::span<char> out);

// "a/b", whatever slashes there are between; an empty part counts as absent.
std::string join_path(std::string_view a, std::string_view b);
std::string_view directory_of(std::string_view path);  // "" if there is none, "/" for "/x"
std::string_view file_name_of(std::string_view path);  // behind the last slash
bool is_absolute_path(std::string_view path);          // begins with '/' or a scheme

// The status of a failed system call on `path`: "path; No such file or directory", with TensorFlow's class for `error`.
absl::Status file_error(std::string_view path, int error);

}  // namespace millrace
