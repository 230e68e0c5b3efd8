#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "io/file_system.h"

namespace millrace {
namespace {

constexpr size_t kWriteBuffer = 64 << 10;

std::string plain(const std::string& path) { return path.starts_with("file://") ? path.substr(7) : path; }

// Repeats a system call that a signal interrupted.
template <class Call> auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // 0 or -1, as close(2).
  int close() { return fd_ >= 0 ? ::close(std::exchange(fd_, -1)) : 0; }

 private:
  int fd_;
};

absl::StatusOr<Descriptor> open_file(const std::string& path, int flags) {
  Descriptor fd(retry([&] { return ::open(plain(path).c_str(), flags | O_CLOEXEC, 0666); }));
  if (fd.get() < 0) return file_error(path, errno);
  return fd;
}

// A directory opens for reading without complaint; tell at once.
absl::StatusOr<Descriptor> open_for_reading(const std::string& path, struct stat* info) {
  MR_ASSIGN_OR_RETURN(Descriptor fd, open_file(path, O_RDONLY));
  if (fstat(fd.get(), info) != 0) return file_error(path, errno);
  if (S_ISDIR(info->st_mode)) return file_error(path, EISDIR);
  return fd;
}

class PosixRandomAccessFile final : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string name, Descriptor fd) : name_(std::move(name)), fd_(std::move(fd)) {}

  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> out) const override {
    if (offset > INT64_MAX) return size_t{0};
    const ssize_t got = retry([&] { return ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
    if (got < 0) return file_error(name_, errno);
    return static_cast<size_t>(got);
  }
  absl::StatusOr<uint64_t> size() const override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) return file_error(name_, errno);
    return static_cast<uint64_t>(info.st_size);
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  Descriptor fd_;
};

class PosixInputStream final : public InputStream {
 public:
  PosixInputStream(std::string name, Descriptor fd) : name_(std::move(name)), fd_(std::move(fd)) {}

  absl::StatusOr<size_t> read(std::span<char> out) override {
    const ssize_t got = retry([&] { return ::read(fd_.get(), out.data(), out.size()); });
    if (got < 0) return file_error(name_, errno);
    read_ += static_cast<uint64_t>(got);
    return static_cast<size_t>(got);
  }
  std::optional<uint64_t> remaining() const override {
    struct stat info;  // asked each time: the file may grow
    if (fstat(fd_.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
      return std::nullopt;  // /proc says 0
    const auto size = static_cast<uint64_t>(info.st_size);
    return size > read_ ? size - read_ : 0;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string name_;
  Descriptor fd_;
  uint64_t read_ = 0;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string name, Descriptor fd, uint64_t position)
      : name_(std::move(name)), fd_(std::move(fd)), position_(position) {}
  ~PosixWritableFile() override { flush().IgnoreError(); }

  absl::Status append(std::string_view data) override {
    MR_RETURN_IF_ERROR(check_open());
    position_ += data.size();
    if (buffer_.size() + data.size() > kWriteBuffer) {
      MR_RETURN_IF_ERROR(flush());
      if (data.size() >= kWriteBuffer) return write(data);
    }
    buffer_.append(data);
    return absl::OkStatus();
  }
  absl::Status flush() override {
    MR_RETURN_IF_ERROR(check_open());
    MR_RETURN_IF_ERROR(write(buffer_));
    buffer_.clear();
    return absl::OkStatus();
  }
  absl::Status sync() override {
    MR_RETURN_IF_ERROR(flush());
    if (retry([&] { return ::fsync(fd_.get()); }) != 0 && errno != EINVAL) return fail(errno);  // EINVAL: a pipe
    return absl::OkStatus();
  }
  absl::Status close() override {
    if (closed_) return error_;
    const absl::Status flushed = flush();
    closed_ = true;
    if (fd_.close() != 0 && flushed.ok()) return fail(errno);
    return flushed;
  }
  uint64_t position() const override { return position_; }
  const std::string& name() const override { return name_; }

 private:
  absl::Status check_open() const {
    if (!error_.ok()) return error_;
    return closed_ ? failed_precondition(name_, "; file is closed") : absl::OkStatus();
  }
  absl::Status fail(int error) { return error_ = file_error(name_, error); }
  absl::Status write(std::string_view data) {
    while (!data.empty()) {
      const ssize_t done = retry([&] { return ::write(fd_.get(), data.data(), data.size()); });
      if (done < 0) return fail(errno);
      data.remove_prefix(static_cast<size_t>(done));
    }
    return absl::OkStatus();
  }

  std::string name_;
  Descriptor fd_;
  uint64_t position_;
  std::string buffer_;
  bool closed_ = false;
  absl::Status error_;  // the first one
};

absl::Status check(int result, const std::string& path) {
  return result == 0 ? absl::OkStatus() : file_error(path, errno);
}

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> open(const std::string& path) override {
    struct stat info;
    MR_ASSIGN_OR_RETURN(Descriptor fd, open_for_reading(path, &info));
    return std::make_unique<PosixRandomAccessFile>(path, std::move(fd));
  }
  absl::StatusOr<std::unique_ptr<InputStream>> open_stream(const std::string& path) override {
    struct stat info;
    MR_ASSIGN_OR_RETURN(Descriptor fd, open_for_reading(path, &info));
    return std::make_unique<PosixInputStream>(path, std::move(fd));
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    MR_ASSIGN_OR_RETURN(Descriptor fd, open_file(path, O_WRONLY | O_CREAT | O_TRUNC));
    return std::make_unique<PosixWritableFile>(path, std::move(fd), 0);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> open_to_append(const std::string& path) override {
    MR_ASSIGN_OR_RETURN(Descriptor fd, open_file(path, O_WRONLY | O_CREAT | O_APPEND));
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return file_error(path, errno);
    return std::make_unique<PosixWritableFile>(path, std::move(fd), static_cast<uint64_t>(info.st_size));
  }

  absl::StatusOr<FileStat> stat(const std::string& path) override {
    struct stat info;
    if (::stat(plain(path).c_str(), &info) != 0) return file_error(path, errno);
    return FileStat{.size = static_cast<uint64_t>(info.st_size),
                    .is_directory = S_ISDIR(info.st_mode),
                    .modified_nanos = info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec};
  }
  absl::StatusOr<std::vector<std::string>> list(const std::string& directory) override {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(plain(directory).c_str()), ::closedir);
    if (!dir) return file_error(directory, errno);
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (!entry) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return file_error(directory, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status make_directory(const std::string& path) override {
    return check(::mkdir(plain(path).c_str(), 0777), path);
  }
  absl::Status remove_file(const std::string& path) override {
    if (is_directory(path)) return file_error(path, EISDIR);  // Linux says EISDIR, others EPERM
    return check(::unlink(plain(path).c_str()), path);
  }
  absl::Status remove_directory(const std::string& path) override { return check(::rmdir(plain(path).c_str()), path); }
  absl::Status rename(const std::string& from, const std::string& to) override {
    return check(::rename(plain(from).c_str(), plain(to).c_str()), from);
  }
  absl::Status sync_directory(const std::string& path) override {
    MR_ASSIGN_OR_RETURN(const Descriptor fd, open_file(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
    // Some network file systems cannot sync a directory, and need not.
    if (retry([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP) {
      return file_error(path, errno);
    }
    return absl::OkStatus();
  }
  // The generic one would follow symbolic links out of the tree.
  absl::Status remove_tree(const std::string& path) override {
    if (!exists(path)) return file_error(path, ENOENT);
    std::error_code error;
    std::filesystem::remove_all(plain(path), error);
    return error ? file_error(path, error.value()) : absl::OkStatus();
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static auto& files = *new PosixFileSystem;
  return files;
}

}  // namespace millrace
