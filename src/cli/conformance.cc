#include "cli/conformance.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <vector>

#include "cli/case_runner.h"
#include "nlohmann/json.hpp"

namespace millrace {
namespace {

struct Counts {
  int passed = 0, failed = 0, skipped = 0;
  void add(CaseResult::Outcome outcome) {
    switch (outcome) {
      case CaseResult::Outcome::kPassed: ++passed; break;
      case CaseResult::Outcome::kFailed: ++failed; break;
      case CaseResult::Outcome::kSkipped: ++skipped; break;
    }
  }
};

struct Summary {
  Counts total;
  std::map<std::string, Counts> by_folder;
  std::map<std::string, int> missing;  // what is not there yet, with the cases that it costs
  std::vector<std::pair<std::string, std::string>> failures;

  void add(const CaseReport& report) {
    total.add(report.result.outcome);
    by_folder[report.folder].add(report.result.outcome);
    if (report.result.outcome == CaseResult::Outcome::kSkipped) ++missing[report.result.detail];
    if (report.result.outcome == CaseResult::Outcome::kFailed)
      failures.emplace_back(report.name(), report.result.detail);
  }
};

void print_line(const CaseReport& report, bool verbose) {
  switch (report.result.outcome) {
    case CaseResult::Outcome::kFailed:
      std::printf("FAILED %s: %s\n", report.name().c_str(), report.result.detail.c_str());
      break;
    case CaseResult::Outcome::kSkipped:
      if (verbose) std::printf("skipped %s: %s\n", report.name().c_str(), report.result.detail.c_str());
      break;
    case CaseResult::Outcome::kPassed:
      if (verbose) std::printf("passed %s\n", report.name().c_str());
      break;
  }
  std::fflush(stdout);  // the next case may take long
}

void print_table(const Summary& summary) {
  for (const auto& [what, cases] : summary.missing) std::printf("not there yet, skipped %d: %s\n", cases, what.c_str());
  int width = 8;
  for (const auto& [folder, counts] : summary.by_folder) width = std::max(width, static_cast<int>(folder.size()));
  std::printf("%-*s %8s %8s %8s\n", width, "folder", "passed", "failed", "skipped");
  for (const auto& [folder, c] : summary.by_folder)
    std::printf("%-*s %8d %8d %8d\n", width, folder.c_str(), c.passed, c.failed, c.skipped);
  std::printf("%d passed, %d failed, %d skipped\n", summary.total.passed, summary.total.failed, summary.total.skipped);
}

nlohmann::ordered_json to_json(const Counts& counts) {
  return {{"passed", counts.passed}, {"failed", counts.failed}, {"skipped", counts.skipped}};
}

void print_json(const Summary& summary) {
  nlohmann::ordered_json out = to_json(summary.total);
  out["folders"] = nlohmann::ordered_json::object();
  for (const auto& [folder, counts] : summary.by_folder) out["folders"][folder] = to_json(counts);
  out["failures"] = nlohmann::ordered_json::array();
  for (const auto& [name, why] : summary.failures) out["failures"].push_back({{"case", name}, {"why", why}});
  out["missing"] = nlohmann::ordered_json::object();
  for (const auto& [what, cases] : summary.missing) out["missing"][what] = cases;
  std::printf("%s\n", out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

int run_conformance(const ConformanceOptions& options) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::absolute(options.folder, error).lexically_normal();
  std::vector<GoldenFile> files;
  for (std::filesystem::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".tfrecord") continue;
    std::string folder = it->path().parent_path().lexically_relative(root).string();
    if (folder == ".") folder = (root.has_filename() ? root : root.parent_path()).filename().string();
    files.push_back({it->path().string(), folder});
  }
  if (error) {
    std::fprintf(stderr, "millrace conformance: cannot read %s: %s\n", options.folder.c_str(), error.message().c_str());
    return 2;
  }
  std::ranges::sort(files, {}, &GoldenFile::path);
  Summary summary;
  run_apart(files, {.filter = options.filter, .timeout_seconds = options.timeout_seconds},
            [&](const CaseReport& report) {
              summary.add(report);
              if (!options.json) print_line(report, options.verbose);
            });
  if (options.json) {
    print_json(summary);
  } else {
    print_table(summary);
  }
  return summary.total.failed == 0 ? 0 : 1;
}

}  // namespace millrace
