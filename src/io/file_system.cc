#include "io/file_system.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace millrace {
namespace {

std::mutex registry_mutex;
std::map<std::string, FileSystem*, std::less<>>& registry() {
  static auto& schemes = *new std::map<std::string, FileSystem*, std::less<>>;
  return schemes;
}

bool has_wildcard(std::string_view part) { return part.find_first_of("*?[\\") != std::string_view::npos; }

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

absl::StatusOr<FileSystem*> file_system_for(std::string_view path) {
  const size_t colon = path.find("://");
  const std::string_view scheme = colon == std::string_view::npos ? "" : path.substr(0, colon);
  if (scheme.empty() || scheme == "file") return &posix_file_system();
  std::lock_guard<std::mutex> lock(registry_mutex);
  const auto found = registry().find(scheme);
  if (found == registry().end()) {
    return unimplemented("File system scheme '", scheme, "' not implemented (file: '", path, "')");
  }
  return found->second;
}

void register_file_system(const std::string& scheme, FileSystem* files) {
  std::lock_guard<std::mutex> lock(registry_mutex);
  if (files) {
    registry()[scheme] = files;
  } else {
    registry().erase(scheme);
  }
}

bool FileSystem::is_directory(const std::string& path) {
  const auto found = stat(path);
  return found.ok() && found->is_directory;
}

absl::Status FileSystem::make_directories(const std::string& path) {
  std::vector<std::string> missing;
  for (std::string at = path; !at.empty();) {
    const auto found = stat(at);
    if (found.ok()) {
      if (!found->is_directory) return failed_precondition(at, " is not a directory");
      break;
    }
    missing.push_back(at);
    std::string up(directory_of(at));
    if (up == at) break;
    at = std::move(up);
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (at->ends_with('/')) continue;
    const absl::Status made = make_directory(*at);
    // Another process may have made it meanwhile.
    if (!made.ok() && !is_directory(*at)) return made;
  }
  return absl::OkStatus();
}

absl::Status FileSystem::remove_tree(const std::string& path) {
  // Directories in the order they were found: each before those inside it.
  std::vector<std::string> directories = {path};
  for (size_t i = 0; i < directories.size(); ++i) {
    MR_ASSIGN_OR_RETURN(const std::vector<std::string> names, list(directories[i]));
    for (const std::string& name : names) {
      std::string inside = join_path(directories[i], name);
      if (is_directory(inside)) {
        directories.push_back(std::move(inside));
      } else {
        MR_RETURN_IF_ERROR(remove_file(inside));
      }
    }
  }
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    MR_RETURN_IF_ERROR(remove_directory(*directory));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FileSystem::glob(const std::string& pattern) {
  std::vector<std::string> found;
  if (!has_wildcard(pattern)) {
    if (exists(pattern)) found.push_back(pattern);
    return found;
  }
  // The beginning without wildcards stands as it is; the rest is matched part by part.
  const size_t first_wildcard = pattern.find_first_of("*?[\\");
  const size_t slash = pattern.rfind('/', first_wildcard);
  const std::string base = slash == std::string::npos ? "" : pattern.substr(0, slash + 1);
  std::vector<std::string> candidates = {base};
  const std::vector<std::string_view> parts = split(std::string_view(pattern).substr(base.size()));
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part(parts[i]);
    const bool last = i + 1 == parts.size();
    std::vector<std::string> matched;
    for (const std::string& candidate : candidates) {
      if (!has_wildcard(part)) {
        std::string path = candidate + part;
        if (last ? exists(path) : is_directory(path)) matched.push_back(std::move(path));
        continue;
      }
      const auto names = list(candidate.empty() ? "." : candidate);
      if (!names.ok()) continue;  // not there, not a directory, not ours to read: no match
      for (const std::string& name : *names) {
        if (fnmatch(part.c_str(), name.c_str(), 0) != 0) continue;
        if (std::string path = candidate + name; last || is_directory(path)) matched.push_back(std::move(path));
      }
    }
    if (!last) {
      for (std::string& path : matched) path += '/';
    }
    candidates = std::move(matched);
  }
  std::sort(candidates.begin(), candidates.end());
  return candidates;
}

absl::Status read_exactly(const RandomAccessFile& file, uint64_t offset, std::span<char> out) {
  while (!out.empty()) {
    MR_ASSIGN_OR_RETURN(const size_t got, file.read_at(offset, out));
    if (got == 0) {
      return out_of_range(file.name(), ": Read less bytes than requested (", out.size(), " missing at offset ", offset,
                          ")");
    }
    offset += got;
    out = out.subspan(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> read_full(InputStream& stream, std::span<char> out) {
  size_t total = 0;
  while (total < out.size()) {
    MR_ASSIGN_OR_RETURN(const size_t got, stream.read(out.subspan(total)));
    if (got == 0) break;
    total += got;
  }
  return total;
}

absl::StatusOr<std::string> read_file(const std::string& path, uint64_t limit) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  MR_ASSIGN_OR_RETURN(auto stream, files->open_stream(path));
  // The size is a hint only: files of /proc say 0.
  std::string contents;
  size_t have = 0;
  size_t chunk = std::clamp<uint64_t>(stream->remaining().value_or(0) + 1, 4096, limit + 1);
  while (true) {
    contents.resize(have + chunk);
    MR_ASSIGN_OR_RETURN(const size_t got, read_full(*stream, std::span(contents).subspan(have)));
    have += got;
    if (have > limit) return resource_exhausted(path, ": larger than ", limit, " bytes");
    if (got < chunk) break;
    chunk = std::max<size_t>(have / 2, 4096);
  }
  contents.resize(have);
  return contents;
}

absl::Status write_file(const std::string& path, std::string_view contents) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  MR_ASSIGN_OR_RETURN(auto file, files->create(path));
  MR_RETURN_IF_ERROR(file->append(contents));
  return file->close();
}

}  // namespace millrace
