// Every registered op under calls that are right, almost right and wrong: each must give an answer of the inferred
// shape or a clean error; never a crash, a hang, a report of a sanitizer, an answer that differs between two runs, or
// memory without bounds. The op list is the registry's, so a new op is tested the day it is registered.
//
//   MILLRACE_SAFETY_CASES=2000   cases per op (default 30)
//   MILLRACE_SAFETY_SEED=7       another stream of cases (default 1)
//   MILLRACE_SAFETY_OPS=Conv     only ops whose name contains this
//   MILLRACE_SAFETY_CASE=4711    only this case of each op: what a failure names

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fingerprint.h"
#include "cli/case_runner.h"
#include "gtest/gtest.h"
#include "ops/all_ops.h"
#include "tensor/allocator.h"
#include "tests/safety/seeds.h"
#include "tests/safety/trial.h"

namespace millrace {
namespace {

constexpr int kSecondsPerCase = 30;                   // far over the deadline of its steps
constexpr int64_t kMemoryLimit = int64_t{192} << 20;  // of all tensors together

std::string setting(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

// What cases print and what sanitizers report goes to a file; a failure shows its end.
class Log {
 public:
  explicit Log(const std::string& folder)
      : path_(folder + "/log"), file_(::open(path_.c_str(), O_CREAT | O_RDWR | O_APPEND, 0600)) {}
  ~Log() { ::close(file_); }
  void take_over() const { ::dup2(file_, 1), ::dup2(file_, 2); }  // in the process of the cases
  void begin(const std::string& text) const {
    if (::ftruncate(file_, 0) == 0 && ::write(file_, text.data(), text.size()) < 0) std::abort();
  }
  // The log as it is now, for `text` to find after other cases have begun.
  void keep() const {
    std::filesystem::copy_file(path_, path_ + ".kept", std::filesystem::copy_options::overwrite_existing);
  }
  std::string text() const {
    const bool kept = std::filesystem::exists(path_ + ".kept");
    std::ifstream in(kept ? path_ + ".kept" : path_, std::ios::binary);
    std::string all((std::istreambuf_iterator<char>(in)), {});
    in.close();
    if (kept) std::filesystem::remove(path_ + ".kept");
    return all.substr(0, 8000);
  }

 private:
  std::string path_;
  int file_;
};

CaseResult run_case(const std::string& op, int64_t number, const Log& log) {
  const std::string id = str_cat(op, "/", setting("MILLRACE_SAFETY_SEED", "1"), "/", number);
  Chance chance(fingerprint64(id));
  log.begin(id + "\n");
  absl::StatusOr<Trial> trial = not_found("");
  if (chance.percent(60)) trial = mutated_trial(op, chance);
  if (trial.status().code() == absl::StatusCode::kNotFound) trial = declared_trial(op, chance);
  std::string fault;
  if (trial.ok()) {
    log.begin(id + "\n" + describe(*trial));
    fault = fault_of(*trial, chance);
  } else {
    fault = fault_of(trial.status());
  }
  if (fault.empty()) return {};
  log.keep();
  return {CaseResult::Outcome::kFailed, fault};
}

class Safety : public testing::Test {
 protected:
  Safety() : folder_(str_cat(testing::TempDir(), "/millrace_safety_", ::getpid())) {
    std::filesystem::create_directories(folder_ + "/files");
  }
  ~Safety() override { std::filesystem::remove_all(folder_); }
  const std::string folder_;
};

TEST_F(Safety, every_op_answers_or_refuses) {
  const Log log(folder_);
  const std::string wanted = setting("MILLRACE_SAFETY_OPS", ""), only = setting("MILLRACE_SAFETY_CASE", "");
  const int64_t first = only.empty() ? 0 : std::atoll(only.c_str());
  const int64_t count = only.empty() ? std::atoll(setting("MILLRACE_SAFETY_CASES", "30").c_str()) : 1;
  std::vector<GoldenFile> ops;
  for (const std::string& name : all_ops().names())
    if (name.find(wanted) != std::string::npos) ops.push_back({name, name});
  load_seeds();

  const auto cases_of = [&](const std::string& op) -> absl::StatusOr<std::vector<GoldenCase>> {
    static const bool settled = [&] {  // once in each process of cases
      log.take_over();
      std::filesystem::current_path(folder_ + "/files");
      set_process_memory_limit(kMemoryLimit);
      return true;
    }();
    if (!settled) return not_found("");
    std::vector<GoldenCase> cases;
    for (int64_t i = first; i < first + count; ++i)
      cases.push_back({str_cat(op, "/", i), [op, i, &log] { return run_case(op, i, log); }});
    return cases;
  };
  int64_t ran = 0, failed = 0;
  run_apart(ops, {.timeout_seconds = kSecondsPerCase, .cases_of = cases_of}, [&](const CaseReport& report) {
    ++ran;
    if (report.result.outcome != CaseResult::Outcome::kFailed) return;
    ++failed;
    const size_t slash = report.case_name.find('/');
    ADD_FAILURE() << report.result.detail << "\n again: MILLRACE_SAFETY_SEED=" << setting("MILLRACE_SAFETY_SEED", "1")
                  << " MILLRACE_SAFETY_OPS=" << report.case_name.substr(0, slash)
                  << " MILLRACE_SAFETY_CASE=" << report.case_name.substr(slash + 1) << " safety_test\n"
                  << log.text();
  });
  std::printf("%lld cases of %zu ops, %lld failed\n", static_cast<long long>(ran), ops.size(),
              static_cast<long long>(failed));
}

}  // namespace
}  // namespace millrace
