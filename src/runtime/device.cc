#include "runtime/device.h"

#include <algorithm>
#include <charconv>

namespace millrace {
namespace {

// "3", or "*" for any. False if it is neither.
bool parse_index(std::string_view text, std::optional<int>* out) {
  if (text == "*") {
    out->reset();
    return true;
  }
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) return false;
  *out = value;
  return true;
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

bool parse_type(std::string_view type, std::string_view id, DeviceName* name) {
  if (type != "*") {
    if (type.empty()) return false;
    const std::string canonical = upper(type);
    name->type = canonical == "CPU" || canonical == "GPU" ? canonical : std::string(type);
  }
  return parse_index(id, &name->id);
}

// One part between slashes.
bool parse_part(std::string_view part, DeviceName* name) {
  const size_t colon = part.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view key = part.substr(0, colon), value = part.substr(colon + 1);
  if (key == "job") {
    if (value.empty()) return false;
    if (value != "*") name->job = std::string(value);
    return true;
  }
  if (key == "replica") return parse_index(value, &name->replica);
  if (key == "task") return parse_index(value, &name->task);
  if (key == "device") {
    const size_t second = value.find(':');
    return second == std::string_view::npos ? parse_type(value, "*", name)
                                            : parse_type(value.substr(0, second), value.substr(second + 1), name);
  }
  const std::string lower_key = upper(key);
  return (lower_key == "CPU" || lower_key == "GPU") && parse_type(key, value, name);
}

template <class T>
bool part_matches(const std::optional<T>& wanted, const std::optional<T>& have) {
  return !wanted || (have && *wanted == *have);
}

template <class T>
bool merge_part(std::optional<T>* into, const std::optional<T>& from) {
  if (!from) return true;
  if (*into) return **into == *from;
  *into = from;
  return true;
}

}  // namespace

absl::StatusOr<DeviceName> DeviceName::parse(std::string_view text) {
  DeviceName name;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '/') return invalid_argument("Malformed device specification '", text, "'");
    size_t end = text.find('/', at + 1);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view part = text.substr(at + 1, end - at - 1);
    if (!part.empty() && !parse_part(part, &name)) {
      return invalid_argument("Malformed device specification '", text, "'");
    }
    at = end;
  }
  return name;
}

std::string DeviceName::to_string() const {
  std::string out;
  if (job) str_append(&out, "/job:", *job);
  if (replica) str_append(&out, "/replica:", *replica);
  if (task) str_append(&out, "/task:", *task);
  if (type) {
    str_append(&out, "/device:", *type, ":", id ? str_cat(*id) : "*");
  } else if (id) {
    str_append(&out, "/device:*:", *id);
  }
  return out;
}

bool DeviceName::matches(const DeviceName& full) const {
  return part_matches(job, full.job) && part_matches(replica, full.replica) && part_matches(task, full.task) &&
         part_matches(type, full.type) && part_matches(id, full.id);
}

absl::Status DeviceName::merge(const DeviceName& other, bool soft) {
  DeviceName merged = *this;
  if (!merge_part(&merged.job, other.job) || !merge_part(&merged.replica, other.replica) ||
      !merge_part(&merged.task, other.task)) {
    return invalid_argument("Cannot merge devices with incompatible jobs, replicas or tasks: '", to_string(), "' and '",
                            other.to_string(), "'");
  }
  const bool type_fits = merge_part(&merged.type, other.type), id_fits = type_fits && merge_part(&merged.id, other.id);
  if (!id_fits) {
    if (!soft) {
      return invalid_argument("Cannot merge devices with incompatible ", type_fits ? "ids" : "types", ": '",
                              to_string(), "' and '", other.to_string(), "'");
    }
    merged.id.reset();
    if (!type_fits) merged.type.reset();
  }
  *this = std::move(merged);
  return absl::OkStatus();
}

std::vector<Device> local_devices(int num_cpus, std::string_view job, int task) {
  std::vector<Device> devices;
  for (int i = 0; i < std::max(num_cpus, 1); ++i) {
    DeviceName name{std::string(job), 0, task, "CPU", i};
    devices.push_back({name.to_string(), name, "CPU"});
  }
  return devices;
}

}  // namespace millrace
