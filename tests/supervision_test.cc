// Supervised programs (interop/supervision/scenarios.cc) do what they do in TensorFlow 2.21, in the same order: hooks,
// runs of sessions, files, log lines, events. `supervision_tf.py > tests/data/supervision_records.json` made the
// records.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "supervision/record.h"
#include "supervision/scenarios.h"

namespace millrace::records {
namespace {

const nlohmann::json& expected_records() {
  static const nlohmann::json records =
      nlohmann::json::parse(std::ifstream(MILLRACE_SOURCE_DIR "/tests/data/supervision_records.json"));
  return records;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

class Supervision : public testing::TestWithParam<std::pair<std::string, std::function<void()>>> {};

TEST_P(Supervision, does_what_tensorflow_does) {
  const auto& [name, scenario] = GetParam();
  EXPECT_EQ(joined(record(scenario)), joined(expected_records().at(name)));
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Supervision, testing::ValuesIn(scenarios()),
                         [](const auto& info) { return info.param.first; });

TEST(Supervision, every_record_has_its_scenario) { EXPECT_EQ(scenarios().size(), expected_records().size()); }

}  // namespace
}  // namespace millrace::records
