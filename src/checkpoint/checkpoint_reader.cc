#include "checkpoint/checkpoint_reader.h"

#include <algorithm>
#include <cctype>

#include "checkpoint/bundle_reader.h"
#include "checkpoint/slice_file.h"
#include "io/file_system.h"

namespace millrace {
namespace {

// The files of a checkpoint of the first format; none if there is no such checkpoint.
std::vector<std::string> slice_files(FileSystem& files, const std::string& pattern) {
  auto paths = files.glob(pattern);
  if (!paths.ok()) return {};
  std::erase_if(*paths, [&](const std::string& path) { return files.is_directory(path); });
  return *std::move(paths);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> open_checkpoint(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(prefix));
  if (files->exists(bundle_index_path(prefix)) || slice_files(*files, prefix).empty())
    return BundleReader::open(prefix);
  return SliceFileReader::open(prefix);
}

bool checkpoint_exists(const std::string& prefix) {
  const auto files = file_system_for(prefix);
  return files.ok() && ((*files)->exists(bundle_index_path(prefix)) || !slice_files(**files, prefix).empty());
}

absl::StatusOr<int64_t> checkpoint_time(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(prefix));
  if (const auto index = files->stat(bundle_index_path(prefix)); index.ok()) return index->modified_nanos;
  for (const std::string& path : slice_files(*files, prefix)) {
    if (const auto stat = files->stat(path); stat.ok()) return stat->modified_nanos;
  }
  return not_found("There is no checkpoint ", prefix);
}

absl::Status verify_checkpoint(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(const auto reader, open_checkpoint(prefix));
  return reader->verify();
}

absl::Status remove_checkpoint(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(prefix));
  absl::Status result;
  const auto remove = [&](const std::string& path) {
    const absl::Status removed = files->remove_file(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) result.Update(removed);
  };
  // The index first: without it, nobody takes the rest for a checkpoint.
  remove(bundle_index_path(prefix));
  result.Update(remove_bundle_data(*files, prefix));
  for (const std::string& path : slice_files(*files, prefix)) remove(path);
  remove(meta_graph_path(prefix));
  return result;
}

std::string meta_graph_path(std::string_view prefix, std::string_view suffix) {
  // What stands behind the last "-of-", and before it behind a dash, are numbers (or question marks) where it is a
  // shard.
  const auto is_number = [](std::string_view text, bool or_mark) {
    return !text.empty() &&
           std::ranges::all_of(text, [&](unsigned char c) { return std::isdigit(c) != 0 || (or_mark && c == '?'); });
  };
  std::string_view base = prefix;
  if (const size_t of = prefix.rfind("-of-"); of != std::string_view::npos && is_number(prefix.substr(of + 4), false)) {
    const size_t dash = prefix.rfind('-', of - 1);
    if (of > 0 && dash != std::string_view::npos && is_number(prefix.substr(dash + 1, of - dash - 1), true))
      base = prefix.substr(0, dash);
  }
  return str_cat(base, ".", suffix);
}

}  // namespace millrace
