#include "cli/case_runner.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "cli/conformance.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using Outcome = CaseResult::Outcome;
using ::testing::HasSubstr;

absl::StatusOr<std::vector<GoldenCase>> troublesome(const std::string& path) {
  if (path == "unreadable") return data_loss("no golden data");
  return std::vector<GoldenCase>{
      {"fine", [] { return CaseResult{}; }},
      {"crashes",
       [] {
         ::signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler
         ::raise(SIGSEGV);
         return CaseResult{};
       }},
      {"throws", []() -> CaseResult { throw std::runtime_error("out of luck"); }},
      {"hangs",
       [] {
         while (true) ::pause();
         return CaseResult{};
       }},
      {"exits", []() -> CaseResult { ::_exit(7); }},
      {"differs",
       [] {
         return CaseResult{Outcome::kFailed, "element 0\nis\t1"};
       }},
      {"is skipped",
       [] {
         return CaseResult{Outcome::kSkipped, "op Sparkle"};
       }},
  };
}

TEST(CaseRunner, lets_no_case_take_the_others_down) {
  std::vector<std::string> seen;
  run_apart(
      {{"a", "one"}, {"unreadable", "two"}, {"b", "three"}}, {.timeout_seconds = 1, .cases_of = troublesome},
      [&](const CaseReport& report) {
        seen.push_back(str_cat(report.name(), " ", static_cast<int>(report.result.outcome), " ", report.result.detail));
      });
  ASSERT_EQ(seen.size(), 14u);
  EXPECT_EQ(seen[0], "one/fine 0 ");
  EXPECT_THAT(seen[1], HasSubstr("one/crashes 1 crashed: Segmentation fault"));
  EXPECT_THAT(seen[2], HasSubstr("one/throws 1 exception: out of luck"));
  EXPECT_EQ(seen[3], "one/hangs 1 takes longer than 1 s");
  EXPECT_EQ(seen[4], "one/exits 1 ended the process with exit code 7");
  EXPECT_EQ(seen[5], "one/differs 1 element 0 is 1");
  EXPECT_EQ(seen[6], "one/is skipped 2 op Sparkle");
  EXPECT_EQ(seen[7], "three/fine 0 ");
  EXPECT_EQ(seen[13], "three/is skipped 2 op Sparkle");
}

TEST(CaseRunner, runs_what_the_filter_lets_through) {
  std::vector<std::string> seen;
  run_apart({{"a", "one"}, {"b", "two"}}, {.filter = "two/f", .cases_of = troublesome},
            [&](const CaseReport& report) { seen.push_back(report.name()); });
  EXPECT_THAT(seen, testing::ElementsAre("two/fine"));
}

TEST(CaseReport, names_the_folder_once) {
  EXPECT_EQ((CaseReport{"metagraph/mlp", "mlp/predict", {}}).name(), "metagraph/mlp/predict");
  EXPECT_EQ((CaseReport{"ops", "Add/00", {}}).name(), "ops/Add/00");
}

TEST(Conformance, gives_2_for_a_folder_that_is_not_there) {
  EXPECT_EQ(run_conformance({.folder = "/no/such/folder"}), 2);
}

TEST(Conformance, passes_by_files_of_other_kinds) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_conformance({.folder = MILLRACE_SOURCE_DIR "/tests/golden/checkpoints/sharded"}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr(" 0 failed, 0 skipped\n"));
}

}  // namespace
}  // namespace millrace
