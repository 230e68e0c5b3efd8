#pragma once
// Devices by name: "/job:localhost/replica:0/task:0/device:CPU:0" and partial ones that users write ("/cpu:0", "/gpu:*",
// "/job:ps/task:1").

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace millrace {

// What a device string says; parts that it leaves out match anything.
struct DeviceName {
  std::optional<std::string> job;
  std::optional<int> replica;
  std::optional<int> task;
  std::optional<std::string> type;  // "CPU", "GPU": upper case for these two
  std::optional<int> id;

  // InvalidArgument "Malformed device specification 'X'".
  static absl::StatusOr<DeviceName> parse(std::string_view text);
  std::string to_string() const;
  bool matches(const DeviceName& full) const;
  // Takes over the parts that only `other` says. InvalidArgument where both say different things; with `soft`, type and id
  // give way instead.
  absl::Status merge(const DeviceName& other, bool soft);
};

struct Device {
  std::string name;  // full
  DeviceName parsed;
  std::string type;  // "CPU"
};

// The devices of this process: CPU:0 .. CPU:n-1 under `job`.
std::vector<Device> local_devices(int num_cpus, std::string_view job = "localhost", int task = 0);

}  // namespace millrace
