#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace millrace {
namespace {

LogLevel level_from_environment() {
  const char* text = std::getenv("MILLRACE_LOG_LEVEL");
  const std::string_view name = text ? text : "";
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  return LogLevel::kInfo;
}

std::atomic<LogLevel>& level_now() {
  static std::atomic<LogLevel> level{level_from_environment()};
  return level;
}

std::mutex sink_mutex;
std::shared_ptr<const LogSink>& sink_slot() {
  static auto& slot = *new std::shared_ptr<const LogSink>;  // never destroyed: threads may log while the process ends
  return slot;
}

spdlog::logger& logger() {
  static auto& instance = *new std::shared_ptr<spdlog::logger>([] {
    auto made = std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->set_pattern("%Y-%m-%d %H:%M:%S.%f %^%L%$ %v");
    return made;
  }());
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    default: return spdlog::level::info;
  }
}

}  // namespace

bool log_enabled(LogLevel level) { return level >= level_now().load(std::memory_order_relaxed); }

void set_log_level(LogLevel level) { level_now() = level; }

void log_line(LogLevel level, std::string_view line) {
  std::shared_ptr<const LogSink> sink;
  {
    std::lock_guard<std::mutex> lock(sink_mutex);
    sink = sink_slot();
  }
  if (sink) return (*sink)(level, line);
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void set_log_sink(LogSink sink) {
  std::lock_guard<std::mutex> lock(sink_mutex);
  sink_slot() = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
}

}  // namespace millrace
