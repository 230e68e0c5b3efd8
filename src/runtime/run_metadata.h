#pragma once
// A run's report as TensorFlow's RunMetadata proto.

#include <string>

#include "runtime/session.h"

namespace millrace {

std::string run_metadata_bytes(const RunReport& report);

}  // namespace millrace
