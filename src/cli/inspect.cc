#include "cli/inspect.h"

#include <cstdio>
#include <cstring>

#include "base/crc32c.h"
#include "checkpoint/checkpoint_reader.h"
#include "cli/graph_file.h"
#include "cli/inspection.h"
#include "cli/status_text.h"
#include "io/record_reader.h"

namespace millrace {

std::string count_of(int64_t count, const std::string& what) {
  return str_cat(count, " ", what, count == 1 ? "" : "s");
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 10000) return str_cat(bytes, " bytes");
  const char* units[] = {"kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", value, units[unit]);
  return text;
}

namespace {

// The beginning of a file, enough to tell kinds apart, and its last bytes.
struct Glimpse {
  std::string start, end;
  uint64_t size = 0;
};

absl::StatusOr<Glimpse> glimpse(FileSystem& files, const std::string& path) {
  MR_ASSIGN_OR_RETURN(const auto file, files.open(path));
  Glimpse seen;
  MR_ASSIGN_OR_RETURN(seen.size, file->size());
  seen.start.resize(std::min<uint64_t>(seen.size, 4096));
  MR_RETURN_IF_ERROR(read_exactly(*file, 0, seen.start));
  seen.end.resize(std::min<uint64_t>(seen.size, 8));
  MR_RETURN_IF_ERROR(read_exactly(*file, seen.size - seen.end.size(), seen.end));
  return seen;
}

bool begins_with_record(const std::string& start) {
  if (start.size() < kRecordHeaderBytes) return false;
  uint32_t crc = 0;
  std::memcpy(&crc, start.data() + 8, sizeof(crc));
  return crc32c::mask(crc32c::value(start.data(), 8)) == crc;
}

// Behind the length and its checksum stands an Event: tag 1 (wall time), 8 bytes, tag 3 (file version).
bool begins_with_event(const std::string& start) {
  return start.find("brain.Event:", kRecordHeaderBytes) == kRecordHeaderBytes + 11;
}

bool ends_with_table_magic(const std::string& end) { return end == std::string("\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8); }

bool is_compressed(const std::string& path, Compression compression) {
  const auto reader = RecordReader::open(path, {.compression = compression});
  std::string record;
  return reader.ok() && (*reader)->read(record).ok();
}

bool has_in_name(const std::string& path, std::string_view part) {
  return file_name_of(path).find(part) != std::string_view::npos;
}

class Inspector {
 public:
  explicit Inspector(const InspectOptions& options) : options_(options) {}

  std::vector<Inspection> inspect(const std::string& path) const {
    const absl::StatusOr<FileSystem*> files = file_system_for(path);
    if (!files.ok()) return {failure(path, files.status())};
    if ((*files)->is_directory(path)) return inspect_folder(**files, path);
    if (!(*files)->exists(path)) {
      if (checkpoint_exists(path)) return {inspect_checkpoint(path, options_.verify)};
      return {failure(path, not_found("no such file, and no checkpoint of that name (", path, ".index)"))};
    }
    return {inspect_file(**files, path)};
  }

 private:
  static Inspection failure(const std::string& path, const absl::Status& status) {
    Inspection result;
    result.json = {{"file", path}};
    result.status = status;
    return result;
  }

  std::vector<Inspection> inspect_folder(FileSystem& files, const std::string& folder) const {
    for (const char* model : {"saved_model.pb", "saved_model.pbtxt"}) {
      if (files.exists(join_path(folder, model))) return {inspect_graph(folder)};
    }
    const absl::StatusOr<std::vector<std::string>> names = files.list(folder);
    if (!names.ok()) return {failure(folder, names.status())};
    std::vector<Inspection> all;
    for (const std::string& name : *names) {
      const std::string path = join_path(folder, name);
      if (name == "checkpoint") {
        all.push_back(inspect_checkpoint_state(path));
      } else if (name.ends_with(".index")) {
        all.push_back(inspect_checkpoint(path.substr(0, path.size() - 6), options_.verify));
      } else if (name.find("tfevents") != std::string::npos && !name.ends_with(".json")) {
        all.push_back(inspect_events(path));
      } else if (const auto seen = glimpse(files, path); seen.ok() && ends_with_table_magic(seen->end)) {
        all.push_back(inspect_checkpoint(path, options_.verify));  // of the first format
      }
    }
    if (all.empty())
      return {failure(folder, not_found("the folder holds no checkpoint, no event file and no SavedModel"))};
    return all;
  }

  Inspection inspect_file(FileSystem& files, const std::string& path) const {
    const absl::StatusOr<Glimpse> seen = glimpse(files, path);
    if (!seen.ok()) return failure(path, seen.status());
    if (path.ends_with(".index")) return inspect_checkpoint(path.substr(0, path.size() - 6), options_.verify);
    if (const size_t data = path.rfind(".data-");
        data != std::string::npos && files.exists(path.substr(0, data) + ".index")) {
      return inspect_checkpoint(path.substr(0, data), options_.verify);
    }
    if (begins_with_event(seen->start) || (has_in_name(path, "tfevents") && !looks_like_text(seen->start)))
      return inspect_events(path);
    if (begins_with_record(seen->start)) return inspect_records(path, Compression::kNone);
    if (seen->start.starts_with("\x1f\x8b") && is_compressed(path, Compression::kGzip))
      return inspect_records(path, Compression::kGzip);
    if (seen->start.starts_with("x") && is_compressed(path, Compression::kZlib))
      return inspect_records(path, Compression::kZlib);
    if (has_in_name(path, ".tfrecord")) return inspect_records(path, Compression::kNone);
    if (ends_with_table_magic(seen->end)) return inspect_checkpoint(path, options_.verify);
    if (file_name_of(path) == "checkpoint" && looks_like_text(seen->start)) return inspect_checkpoint_state(path);
    return inspect_graph(path);
  }

  const InspectOptions& options_;
};

}  // namespace

int inspect_command(const InspectOptions& options) {
  const Inspector inspector(options);
  bool all_well = true;
  Json list = Json::array();
  for (const std::string& file : options.files) {
    for (Inspection& found : inspector.inspect(file)) {
      const std::string message(found.status.message());
      if (options.json) {
        if (!found.status.ok()) found.json["error"] = status_text(found.status);
        list.push_back(std::move(found.json));
      } else if (!found.text.empty()) {
        std::fputs(found.text.c_str(), stdout);
        std::fputs("\n", stdout);
      }
      if (found.status.ok()) continue;
      all_well = false;
      std::fflush(stdout);
      const bool named = message.find(file) != std::string::npos;
      std::fprintf(stderr, "millrace inspect: %s%s%s\n", named ? "" : file.c_str(), named ? "" : ": ",
                   status_text(found.status).c_str());
    }
  }
  if (options.json) std::printf("%s\n", list.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  return all_well ? 0 : 1;
}

}  // namespace millrace
