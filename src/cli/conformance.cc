#include "cli/conformance.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <vector>

#include "cli/golden.h"

namespace millrace {
namespace {

struct Counts {
  int passed = 0, failed = 0, skipped = 0;
};

struct Summary {
  Counts total;
  std::map<std::string, Counts> by_folder;
  std::map<std::string, int> missing;  // ops not registered, with the cases they cost

  void count(const std::string& folder, const CaseResult& result) {
    for (Counts* counts : {&total, &by_folder[folder]}) {
      switch (result.outcome) {
        case CaseResult::Outcome::kPassed: ++counts->passed; break;
        case CaseResult::Outcome::kFailed: ++counts->failed; break;
        case CaseResult::Outcome::kSkipped: ++counts->skipped; break;
      }
    }
    if (result.outcome == CaseResult::Outcome::kSkipped) ++missing[result.detail];
  }
};

// The first line is enough on a terminal; the rest tells where in the graph.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr size_t kLongest = 400;
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

void run_file(const std::filesystem::path& path, const std::string& folder, const ConformanceOptions& options, Summary* summary) {
  const auto records = read_golden_file(path.string());
  if (!records.ok()) return;  // record files of other kinds lie around, damaged ones on purpose
  for (const GoldenRecord& record : *records) {
    const bool is_gradient = record.has("xs") && record.has("expected_grads");
    if (!is_gradient && !(record.has("graph_def") && (record.has("fetches") || record.has("run_targets")) && !record.has("type"))) continue;
    const std::string name = folder + "/" + (record.has("name") ? record.text("name") : path.stem().string());
    if (!options.filter.empty() && name.find(options.filter) == std::string::npos) continue;
    const CaseResult result = is_gradient ? run_gradient(record) : run_case(record);
    summary->count(folder, result);
    if (result.outcome == CaseResult::Outcome::kFailed) std::printf("FAILED %s: %s\n", name.c_str(), one_line(result.detail).c_str());
    else if (options.verbose) std::printf("%s %s\n", result.outcome == CaseResult::Outcome::kPassed ? "passed" : "skipped", name.c_str());
  }
}

}  // namespace

int run_conformance(const ConformanceOptions& options) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::recursive_directory_iterator it(options.folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".tfrecord") files.push_back(it->path());
  }
  if (error) {
    std::fprintf(stderr, "cannot read %s: %s\n", options.folder.c_str(), error.message().c_str());
    return 2;
  }
  std::sort(files.begin(), files.end());
  Summary summary;
  for (const auto& file : files) {
    std::string folder = std::filesystem::relative(file.parent_path(), options.folder).string();
    if (folder == ".") folder = std::filesystem::absolute(file.parent_path()).filename().string();
    run_file(file, folder, options, &summary);
  }
  for (const auto& [op, cases] : summary.missing) std::printf("skipped %d: no %s\n", cases, op.c_str());
  std::printf("%-28s %8s %8s %8s\n", "folder", "passed", "failed", "skipped");
  for (const auto& [folder, c] : summary.by_folder) std::printf("%-28s %8d %8d %8d\n", folder.c_str(), c.passed, c.failed, c.skipped);
  std::printf("%d passed, %d failed, %d skipped\n", summary.total.passed, summary.total.failed, summary.total.skipped);
  return summary.total.failed == 0 ? 0 : 1;
}

}  // namespace millrace
