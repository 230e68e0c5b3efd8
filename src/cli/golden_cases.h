#pragma once
// What a file of golden data asks for: its cases, each ready to run in a session of its own.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/golden.h"

namespace millrace {

// How a case ended.
struct CaseResult {
  enum class Outcome { kPassed, kFailed, kSkipped };
  Outcome outcome = Outcome::kPassed;
  std::string detail = {};  // why it failed, or what was missing
};

struct GoldenCase {
  std::string name;
  std::function<CaseResult()> run;
};

// The cases of one file, by what its records hold; none where it holds no golden data. An error if it cannot be read.
absl::StatusOr<std::vector<GoldenCase>> golden_cases(const std::string& path);

// A status as the end of a case: skipped where an op or a feature is not there yet, else failed.
CaseResult ended(const absl::Status& status);

// The kinds of records. A case, and a gradient, is one record; the others are a whole file, header first.
CaseResult run_case(const GoldenRecord& record);
CaseResult run_gradient(const GoldenRecord& record);
CaseResult run_training(const std::vector<GoldenRecord>& records);
CaseResult run_metric(const std::vector<GoldenRecord>& records);
CaseResult run_dataset(const std::vector<GoldenRecord>& records, const std::string& folder);

// Files beside other files: io.tfrecord beside a model, expected.tfrecord beside a checkpoint. Their cases share a
// session, or a reader.
std::vector<GoldenCase> model_cases(std::shared_ptr<const std::vector<GoldenRecord>> records,
                                    const std::string& folder);
std::vector<GoldenCase> checkpoint_cases(std::shared_ptr<const std::vector<GoldenRecord>> records,
                                         const std::string& folder);

}  // namespace millrace
