#include "base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace {
namespace {

TEST(Log, SinkGetsLinesOfEnabledLevels) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  set_log_level(LogLevel::kWarning);
  log_info("not ", "shown");
  log_warning("shown ", 7, " {}");
  set_log_level(LogLevel::kInfo);
  log_info("now shown");
  log_debug("not this");
  set_log_sink({});
  EXPECT_EQ(lines, (std::vector<std::string>{"shown 7 {}", "now shown"}));
}

}  // namespace
}  // namespace millrace
