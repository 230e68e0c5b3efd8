#pragma once
// Runs golden cases in a process apart, so that one that crashes or hangs costs itself only.

#include <functional>
#include <string>
#include <vector>

#include "cli/golden_cases.h"

namespace millrace {

struct GoldenFile {
  std::string path;    // absolute
  std::string folder;  // what its cases are counted under
};

struct CaseReport {
  std::string folder, case_name;
  CaseResult result;
  // Names in io.tfrecord and expected.tfrecord begin with the folder's last part: it is not repeated.
  std::string name() const;
};

struct CaseRunnerOptions {
  std::string filter = {};  // only cases whose name contains it
  int timeout_seconds = 60;
  std::function<absl::StatusOr<std::vector<GoldenCase>>(const std::string& path)> cases_of = golden_cases;
};

// Runs the cases in order and tells of each as it ends, on the calling thread. Call before other threads are started.
void run_apart(const std::vector<GoldenFile>& files, const CaseRunnerOptions& options,
               const std::function<void(const CaseReport&)>& report);

}  // namespace millrace
