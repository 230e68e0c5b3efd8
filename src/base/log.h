#pragma once
// Log lines for people. Arguments are joined as str_cat does:
//
//   log_warning(path, ": falling back to the older checkpoint ", older);
//
// Lines go to standard error through spdlog, unless a sink is set. The environment's MILLRACE_LOG_LEVEL (debug, info,
// warning, error, off) sets what is shown; info by default. Thread-safe.

#include <functional>
#include <string_view>

#include "base/strings.h"

namespace millrace {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

bool log_enabled(LogLevel level);
void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view line);

// Where lines go instead; an empty one brings back standard error. The sink must be thread-safe and must not log
// itself.
using LogSink = std::function<void(LogLevel, std::string_view)>;
void set_log_sink(LogSink sink);

template <class... Args> void log_debug(const Args&... args) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, str_cat(args...));
}
template <class... Args> void log_info(const Args&... args) {
  if (log_enabled(LogLevel::kInfo)) log_line(LogLevel::kInfo, str_cat(args...));
}
template <class... Args> void log_warning(const Args&... args) {
  if (log_enabled(LogLevel::kWarning)) log_line(LogLevel::kWarning, str_cat(args...));
}
template <class... Args> void log_error(const Args&... args) {
  if (log_enabled(LogLevel::kError)) log_line(LogLevel::kError, str_cat(args...));
}

}  // namespace millrace
