#pragma once
// The devices of a process, and how the names that users write select among them.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "graph/device_name.h"

namespace millrace {

struct Device {
  std::string name;  // full
  DeviceName parsed;
  std::string type;  // "CPU"
};

// CPU:0 .. CPU:n-1 under `job`.
std::vector<Device> local_devices(int num_cpus, std::string_view job = "localhost", int task = 0);

// True if all that `wanted` says holds for `full`.
bool device_matches(const DeviceName& wanted, const DeviceName& full);

// Takes over the parts that only `other` says. InvalidArgument where both say different things; with `soft`, type and
// number give way instead.
absl::Status merge_wishes(DeviceName* into, const DeviceName& other, bool soft);

}  // namespace millrace
