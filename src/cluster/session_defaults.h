#pragma once

#include <cstdint>

namespace millrace {

// What sessions get whose config leaves it at its default.
struct SessionDefaults {
  int num_cpu_devices = 1;  // the server's, for all sessions
  int intra_op_parallelism_threads = 0;
  int inter_op_parallelism_threads = 0;
  int64_t operation_timeout_in_ms = 0;
  bool allow_soft_placement = false;
  bool log_device_placement = false;
};

}  // namespace millrace
