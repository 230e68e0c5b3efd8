#include "graph/device_name.h"

#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace millrace {
namespace {

// A number, or nothing for "*".
absl::StatusOr<std::optional<int>> number(std::string_view text, std::string_view name) {
  if (text == "*") return std::optional<int>();
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return invalid_argument("Unknown attribute '", text, "' is encountered while parsing the device spec: '", name,
                            "'.");
  return std::optional<int>(value);
}

}  // namespace

std::string DeviceName::to_string() const {
  std::string text;
  if (job) str_append(&text, "/job:", *job);
  if (replica) str_append(&text, "/replica:", *replica);
  if (task) str_append(&text, "/task:", *task);
  if (type) str_append(&text, "/device:", *type, ":", id ? std::to_string(*id) : "*");
  return text;
}

absl::StatusOr<DeviceName> parse_device(std::string_view name) {
  DeviceName result;
  for (const absl::string_view part : absl::StrSplit(to_absl(name), '/', absl::SkipEmpty())) {
    const std::vector<std::string> pieces = absl::StrSplit(part, ':');
    const std::string& key = pieces[0];
    if (pieces.size() == 2 && key == "job") {
      result.job = pieces[1];
    } else if (pieces.size() == 2 && key == "replica") {
      MR_ASSIGN_OR_RETURN(result.replica, number(pieces[1], name));
    } else if (pieces.size() == 2 && key == "task") {
      MR_ASSIGN_OR_RETURN(result.task, number(pieces[1], name));
    } else if (key == "device" && (pieces.size() == 3 || pieces.size() == 2)) {
      if (pieces[1] != "*") result.type = absl::AsciiStrToUpper(pieces[1]);
      if (pieces.size() == 3) {
        MR_ASSIGN_OR_RETURN(result.id, number(pieces[2], name));
      }
    } else if (const std::string upper = absl::AsciiStrToUpper(key);
               pieces.size() <= 2 && (upper == "CPU" || upper == "GPU")) {
      result.type = upper;
      if (pieces.size() == 2) {
        MR_ASSIGN_OR_RETURN(result.id, number(pieces[1], name));
      }
    } else {
      return invalid_argument("Unknown attribute '", to_std(part), "' is encountered while parsing the device spec: '",
                              name, "'.");
    }
  }
  return result;
}

DeviceName merge_devices(const DeviceName& base, const DeviceName& over) {
  DeviceName result = over;
  if (!result.job) result.job = base.job;
  if (!result.replica) result.replica = base.replica;
  if (!result.task) result.task = base.task;
  if (!result.type) result.type = base.type;
  if (!result.id) result.id = base.id;
  return result;
}

}  // namespace millrace
