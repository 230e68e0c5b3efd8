#pragma once
// Statuses as the command shows them: class and message, and the node where the message does not name it.

#include <string>

#include "base/errors.h"

namespace millrace {

inline std::string status_text(const absl::Status& status) {
  std::string text = str_cat(absl::StatusCodeToString(status.code()), ": ", status.message());
  const errors::Where where = where_of(status);
  const std::string named = str_cat("{{node ", where.node_name, "}}");
  if (!where.node_name.empty() && text.find(named) == std::string::npos)
    str_append(&text, "\n\t [[", named, "]] ", where.op_type);
  return text;
}

}  // namespace millrace
