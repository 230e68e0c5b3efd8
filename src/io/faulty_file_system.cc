#include "io/faulty_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace {
namespace {

std::string without_slash(std::string path) {
  while (path.ends_with('/') && !path.ends_with("://")) path.pop_back();
  return path;
}

}  // namespace

class FaultyReader final : public RandomAccessFile, public InputStream {
 public:
  FaultyReader(FaultyFileSystem* files, std::shared_ptr<FaultyFileSystem::Node> node, std::string name)
      : files_(files), node_(std::move(node)), name_(std::move(name)) {}
  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> out) const override {
    return files_->read(*node_, offset, out, name_);
  }
  absl::StatusOr<size_t> read(std::span<char> out) override {
    MR_ASSIGN_OR_RETURN(const size_t got, read_at(offset_, out));
    offset_ += got;
    return got;
  }
  absl::StatusOr<uint64_t> size() const override {
    std::lock_guard<std::mutex> lock(files_->mutex_);
    return node_->data.size();
  }
  std::optional<uint64_t> remaining() const override {
    std::lock_guard<std::mutex> lock(files_->mutex_);
    return node_->data.size() - std::min<uint64_t>(offset_, node_->data.size());
  }
  const std::string& name() const override { return name_; }

 private:
  FaultyFileSystem* files_;
  std::shared_ptr<FaultyFileSystem::Node> node_;
  std::string name_;
  uint64_t offset_ = 0;
};

class FaultyWriter final : public WritableFile {
 public:
  FaultyWriter(FaultyFileSystem* files, std::shared_ptr<FaultyFileSystem::Node> node, int64_t epoch, std::string name)
      : files_(files), node_(std::move(node)), epoch_(epoch), name_(std::move(name)), position_(node_->data.size()) {}
  absl::Status append(std::string_view data) override {
    if (!error_.ok()) return error_;
    position_ += data.size();
    return error_ = files_->append(*node_, epoch_, data, name_);
  }
  absl::Status flush() override { return error_; }
  absl::Status sync() override {
    if (!error_.ok()) return error_;
    return error_ = files_->sync(*node_, epoch_, name_);
  }
  absl::Status close() override { return error_; }
  uint64_t position() const override { return position_; }
  const std::string& name() const override { return name_; }

 private:
  FaultyFileSystem* files_;
  std::shared_ptr<FaultyFileSystem::Node> node_;
  int64_t epoch_;
  std::string name_;
  uint64_t position_;
  absl::Status error_;
};

FaultyFileSystem::FaultyFileSystem(std::string scheme) : scheme_(std::move(scheme)) {
  directories_.insert(scheme_ + "://");
  register_file_system(scheme_, this);
}

FaultyFileSystem::~FaultyFileSystem() { register_file_system(scheme_, nullptr); }

void FaultyFileSystem::fail_at(int64_t count, absl::Status error) {
  std::lock_guard<std::mutex> lock(mutex_);
  fail_at_ = operations_ + count;
  fail_on_ = false;
  fault_ = std::move(error);
}

void FaultyFileSystem::fail_from(int64_t count, absl::Status error) {
  fail_at(count, std::move(error));
  std::lock_guard<std::mutex> lock(mutex_);
  fail_on_ = true;
}

void FaultyFileSystem::clear_faults() {
  std::lock_guard<std::mutex> lock(mutex_);
  fail_at_ = -1;
  fail_on_ = false;
  capacity_ = UINT64_MAX;
  max_read_ = SIZE_MAX;
}

void FaultyFileSystem::set_capacity(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  capacity_ = bytes;
}

void FaultyFileSystem::set_max_read(size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  max_read_ = bytes;
}

void FaultyFileSystem::crash(bool keep_torn) {
  clear_faults();
  std::lock_guard<std::mutex> lock(mutex_);
  ++epoch_;
  files_ = durable_files_;
  for (auto& [path, node] : files_) {
    const size_t torn = keep_torn ? (node->data.size() - node->synced) / 2 : 0;
    node->data.resize(node->synced + torn);
    node->synced = node->data.size();
  }
}

int64_t FaultyFileSystem::operations() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return operations_;
}

std::string* FaultyFileSystem::mutable_contents(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second->data;
}

// Counts an operation and says whether it fails. Called with the lock held, as those below.
absl::Status FaultyFileSystem::operation(std::string_view path) {
  const int64_t number = operations_++;
  const bool fails = fail_at_ >= 0 && (number == fail_at_ || (fail_on_ && number > fail_at_));
  return fails ? absl::Status(fault_.code(), str_cat(path, "; ", to_std(fault_.message()))) : absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<FaultyFileSystem::Node>> FaultyFileSystem::find(const std::string& path) {
  if (directories_.contains(without_slash(path))) return file_error(path, EISDIR);
  const auto found = files_.find(path);
  if (found == files_.end()) return file_error(path, ENOENT);
  return found->second;
}

absl::Status FaultyFileSystem::append(Node& node, int64_t epoch, std::string_view data, const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (epoch != epoch_) return file_error(path, EBADF);
  if (const absl::Status fault = operation(path); !fault.ok()) {
    node.data.append(data.substr(0, data.size() / 2));
    return fault;
  }
  uint64_t used = 0;
  for (const auto& [name, file] : files_) used += file->data.size();
  const uint64_t room = capacity_ > used ? capacity_ - used : 0;
  node.data.append(data.substr(0, room));
  return data.size() <= room ? absl::OkStatus() : file_error(path, ENOSPC);
}

absl::Status FaultyFileSystem::sync(Node& node, int64_t epoch, const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (epoch != epoch_) return file_error(path, EBADF);
  MR_RETURN_IF_ERROR(operation(path));
  node.synced = node.data.size();
  return absl::OkStatus();
}

absl::StatusOr<size_t> FaultyFileSystem::read(const Node& node, uint64_t offset, std::span<char> out,
                                              const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  if (offset >= node.data.size() || out.empty()) return size_t{0};
  const size_t size = std::min({out.size(), node.data.size() - offset, max_read_});
  std::memcpy(out.data(), node.data.data() + offset, size);
  return size;
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> FaultyFileSystem::open(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  MR_ASSIGN_OR_RETURN(auto node, find(path));
  return std::make_unique<FaultyReader>(this, std::move(node), path);
}

absl::StatusOr<std::unique_ptr<InputStream>> FaultyFileSystem::open_stream(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  MR_ASSIGN_OR_RETURN(auto node, find(path));
  return std::make_unique<FaultyReader>(this, std::move(node), path);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::create(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  if (!directories_.contains(without_slash(std::string(directory_of(path))))) return file_error(path, ENOENT);
  if (directories_.contains(path)) return file_error(path, EISDIR);
  auto& node = files_[path];
  if (!node) node = std::make_shared<Node>();
  node->data.clear();
  node->synced = 0;
  return std::make_unique<FaultyWriter>(this, node, epoch_, path);
}

absl::StatusOr<std::unique_ptr<WritableFile>> FaultyFileSystem::open_to_append(const std::string& path) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = files_.find(path);
    if (found != files_.end()) {
      MR_RETURN_IF_ERROR(operation(path));
      return std::make_unique<FaultyWriter>(this, found->second, epoch_, path);
    }
  }
  return create(path);
}

absl::StatusOr<FileStat> FaultyFileSystem::stat(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  if (directories_.contains(without_slash(path))) return FileStat{.is_directory = true};
  MR_ASSIGN_OR_RETURN(const auto node, find(path));
  return FileStat{.size = node->data.size()};
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::list(const std::string& directory) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(directory));
  const std::string start = without_slash(directory);
  if (!directories_.contains(start)) return file_error(directory, ENOENT);
  const std::string prefix = start.ends_with('/') ? start : start + "/";
  std::vector<std::string> names;
  const auto add = [&](std::string_view path) {
    if (!path.starts_with(prefix) || path.size() == prefix.size()) return;
    path.remove_prefix(prefix.size());
    if (path.find('/') == std::string_view::npos) names.emplace_back(path);
  };
  for (const auto& [path, node] : files_) add(path);
  for (const auto& path : directories_) add(path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status FaultyFileSystem::make_directory(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  if (files_.contains(path) || !directories_.insert(without_slash(path)).second) return file_error(path, EEXIST);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::remove_file(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  MR_RETURN_IF_ERROR(find(path).status());
  files_.erase(path);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::remove_directory(const std::string& path) {
  MR_ASSIGN_OR_RETURN(const auto names, list(path));
  std::lock_guard<std::mutex> lock(mutex_);
  if (!names.empty()) return file_error(path, ENOTEMPTY);
  directories_.erase(without_slash(path));
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(from));
  MR_ASSIGN_OR_RETURN(auto node, find(from));
  if (directories_.contains(without_slash(to))) return file_error(to, EISDIR);
  files_.erase(from);
  files_[to] = std::move(node);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::sync_directory(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  MR_RETURN_IF_ERROR(operation(path));
  const std::string start = without_slash(path);
  const auto inside = [&](const std::string& file) { return directory_of(file) == start; };
  std::erase_if(durable_files_, [&](const auto& entry) { return inside(entry.first); });
  for (const auto& [file, node] : files_) {
    if (inside(file)) durable_files_[file] = node;
  }
  return absl::OkStatus();
}

}  // namespace millrace
