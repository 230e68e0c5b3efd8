#pragma once
// Statuses as the command shows them: class and message, without what programs read.

#include <string>

#include "base/status.h"

namespace millrace {

inline std::string status_text(const absl::Status& status) {
  return str_cat(absl::StatusCodeToString(status.code()), ": ", status.message());
}

}  // namespace millrace
