#pragma once
// A file system in memory that fails on request: the twin of the real one for tests. It can give short reads, tear a
// write in half, run full, fail the nth operation, and forget on a simulated crash whatever was not synced.
//
//   FaultyFileSystem disk;                       // registered as faulty://
//   disk.fail_from(7);                           // the 8th operation from now and all later ones fail, as if killed
//   there EXPECT_FALSE(save("faulty://run/model.ckpt-1").ok()); disk.crash();                                // only
//   what was synced is left; operations work again
//
// Directories are durable at once; a file's name is durable once its directory is synced, its bytes once it is.
// Thread-safe.

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "io/file_system.h"

namespace millrace {

class FaultyFileSystem final : public FileSystem {
 public:
  // Registers itself under the scheme, which must be free, until its end.
  explicit FaultyFileSystem(std::string scheme = "faulty");
  ~FaultyFileSystem() override;

  // The operation `count` from now on (0: the next) fails once.
  void fail_at(int64_t count, absl::Status error = absl::UnknownError("Input/output error"));
  // That one and all later ones fail; a write there leaves half of its bytes.
  void fail_from(int64_t count, absl::Status error = absl::UnknownError("Input/output error"));
  void clear_faults();
  // Room for all files' bytes; a write beyond it leaves what fits and fails as a full disk does.
  void set_capacity(uint64_t bytes);
  // No read gives more bytes than this.
  void set_max_read(size_t bytes);
  // Loses what was not synced; with `keep_torn`, half of the unsynced bytes of a file with a durable name are kept.
  // Open files are dead afterwards. Faults are cleared.
  void crash(bool keep_torn = false);
  int64_t operations() const;  // so far
  // For tests that damage files: bytes of the file, or null.
  std::string* mutable_contents(const std::string& path);

  absl::StatusOr<std::unique_ptr<RandomAccessFile>> open(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<InputStream>> open_stream(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> open_to_append(const std::string& path) override;
  absl::StatusOr<FileStat> stat(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> list(const std::string& directory) override;
  absl::Status make_directory(const std::string& path) override;
  absl::Status remove_file(const std::string& path) override;
  absl::Status remove_directory(const std::string& path) override;
  absl::Status rename(const std::string& from, const std::string& to) override;
  absl::Status sync_directory(const std::string& path) override;

 private:
  struct Node {
    std::string data;
    size_t synced = 0;  // bytes of data that survive a crash
  };
  friend class FaultyReader;
  friend class FaultyWriter;

  absl::Status operation(std::string_view path);
  absl::StatusOr<std::shared_ptr<Node>> find(const std::string& path);
  absl::Status append(Node& node, int64_t epoch, std::string_view data, const std::string& path);
  absl::Status sync(Node& node, int64_t epoch, const std::string& path);
  absl::StatusOr<size_t> read(const Node& node, uint64_t offset, std::span<char> out, const std::string& path);

  const std::string scheme_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Node>> files_;
  std::map<std::string, std::shared_ptr<Node>> durable_files_;  // what a crash leaves of the names
  std::set<std::string> directories_;
  int64_t operations_ = 0;
  int64_t epoch_ = 0;  // number of crashes
  int64_t fail_at_ = -1;
  bool fail_on_ = false;  // every operation from fail_at_ on, not only that one
  absl::Status fault_;
  uint64_t capacity_ = UINT64_MAX;
  size_t max_read_ = SIZE_MAX;
};

}  // namespace millrace
