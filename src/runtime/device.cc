#include "runtime/device.h"

#include <algorithm>

namespace millrace {
namespace {

template <class T> bool part_matches(const std::optional<T>& wanted, const std::optional<T>& have) {
  return !wanted || (have && *wanted == *have);
}

template <class T> bool merge_part(std::optional<T>* into, const std::optional<T>& from) {
  if (!from) return true;
  if (*into) return **into == *from;
  *into = from;
  return true;
}

}  // namespace

bool device_matches(const DeviceName& wanted, const DeviceName& full) {
  return part_matches(wanted.job, full.job) && part_matches(wanted.replica, full.replica) &&
         part_matches(wanted.task, full.task) && part_matches(wanted.type, full.type) &&
         part_matches(wanted.id, full.id);
}

absl::Status merge_wishes(DeviceName* into, const DeviceName& other, bool soft) {
  DeviceName merged = *into;
  if (!merge_part(&merged.job, other.job) || !merge_part(&merged.replica, other.replica) ||
      !merge_part(&merged.task, other.task)) {
    return invalid_argument("Cannot merge devices with incompatible jobs, replicas or tasks: '", into->to_string(),
                            "' and '", other.to_string(), "'");
  }
  const bool type_fits = merge_part(&merged.type, other.type);
  const bool id_fits = type_fits && merge_part(&merged.id, other.id);
  if (!id_fits) {
    if (!soft) {
      return invalid_argument("Cannot merge devices with incompatible ", type_fits ? "ids" : "types", ": '",
                              into->to_string(), "' and '", other.to_string(), "'");
    }
    merged.id.reset();
    if (!type_fits) merged.type.reset();
  }
  *into = std::move(merged);
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
