#pragma once
// Device names, full or partial: "/job:worker/replica:0/task:1/device:CPU:0", "/cpu:0", "/device:GPU:*".

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace millrace {

struct DeviceName {
  std::optional<std::string> job;
  std::optional<int> replica;
  std::optional<int> task;
  std::optional<std::string> type;  // upper case
  std::optional<int> id;            // absent with a type: any
  std::string to_string() const;    // in TensorFlow's canonical form; empty if nothing is said
  friend bool operator==(const DeviceName&, const DeviceName&) = default;
};

// InvalidArgument for anything that is not a device name. The empty name says nothing.
absl::StatusOr<DeviceName> parse_device(std::string_view name);
// What `over` leaves open is taken from `base`.
DeviceName merge_devices(const DeviceName& base, const DeviceName& over);

}  // namespace millrace
