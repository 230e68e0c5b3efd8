#include "cli/case_runner.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <exception>
#include <optional>

#include "io/file_system.h"

namespace millrace {

std::string CaseReport::name() const {
  const std::string last(file_name_of(folder));
  if (case_name.starts_with(last + "/")) return folder + case_name.substr(last.size());
  return folder + "/" + case_name;
}

namespace {

// What the worker writes: one line per event, fields separated by tabs.
//   B <file> <case> <name>                begins
//   E <outcome> <detail>                  ends
//   D                                     all files done
constexpr char kBegins = 'B', kEnds = 'E', kDone = 'D';

std::string one_line(std::string text) {
  constexpr size_t kLongest = 600;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

struct Position {
  size_t file = 0, in_file = 0;
};

class Worker {
 public:
  Worker(const std::vector<GoldenFile>& files, const CaseRunnerOptions& options, int out)
      : files_(files), options_(options), out_(out) {}

  void run(Position start) {
    for (size_t f = start.file; f < files_.size(); ++f) {
      const absl::StatusOr<std::vector<GoldenCase>> cases = options_.cases_of(files_[f].path);
      if (!cases.ok()) continue;  // record files of other kinds lie around, damaged ones on purpose
      for (size_t i = f == start.file ? start.in_file : 0; i < cases->size(); ++i) {
        const CaseReport named{files_[f].folder, (*cases)[i].name, {}};
        if (!options_.filter.empty() && named.name().find(options_.filter) == std::string::npos) continue;
        write_line(str_cat("B\t", f, "\t", i, "\t", one_line(named.case_name)));
        const CaseResult result = run_caught((*cases)[i]);
        write_line(str_cat("E\t", static_cast<int>(result.outcome), "\t", one_line(result.detail)));
      }
    }
    write_line("D");
  }

 private:
  static CaseResult run_caught(const GoldenCase& golden) {
    try {
      return golden.run();
    } catch (const std::exception& e) {
      return {CaseResult::Outcome::kFailed, str_cat("exception: ", e.what())};
    }
  }
  void write_line(const std::string& line) const {
    const std::string text = line + "\n";
    for (size_t at = 0; at < text.size();) {
      const ssize_t n = ::write(out_, text.data() + at, text.size() - at);
      if (n <= 0) _exit(1);  // nobody reads any more
      at += static_cast<size_t>(n);
    }
  }

  const std::vector<GoldenFile>& files_;
  const CaseRunnerOptions& options_;
  const int out_;
};

// The worker's lines, and how it ended.
class Watch {
 public:
  Watch(int in, pid_t worker) : in_(in), worker_(worker) {}
  ~Watch() {
    ::close(in_);
    ::kill(worker_, SIGKILL);
    if (!reaped_) ::waitpid(worker_, nullptr, 0);
  }

  // The next line, or nothing after `timeout_seconds`, or where the worker is gone.
  std::optional<std::string> next_line(int timeout_seconds) {
    const time_t deadline = ::time(nullptr) + timeout_seconds + 1;
    while (true) {
      if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      const time_t left = deadline - ::time(nullptr);
      pollfd ready{in_, POLLIN, 0};
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(std::min<time_t>(left, 3600) * 1000)) == 0) {
        timed_out_ = true;
        return std::nullopt;
      }
      char bytes[4096];
      const ssize_t n = ::read(in_, bytes, sizeof(bytes));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::nullopt;
      buffer_.append(bytes, static_cast<size_t>(n));
    }
  }

  // After next_line gave nothing.
  std::string how_it_ended(int timeout_seconds) {
    if (timed_out_) return str_cat("takes longer than ", timeout_seconds, " s");
    int status = 0;
    ::waitpid(worker_, &status, 0);
    reaped_ = true;
    if (WIFSIGNALED(status)) return str_cat("crashed: ", ::strsignal(WTERMSIG(status)));
    return str_cat("ended the process with exit code ", WEXITSTATUS(status));
  }

 private:
  const int in_;
  const pid_t worker_;
  std::string buffer_;
  bool timed_out_ = false, reaped_ = false;
};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find('\t', at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

class Apart {
 public:
  Apart(const std::vector<GoldenFile>& files, const CaseRunnerOptions& options,
        const std::function<void(const CaseReport&)>& report)
      : files_(files), options_(options), report_(report) {}

  // Runs cases from the position on until one takes the process down; false once all are done.
  bool run(Position* position) {
    int ends[2];
    if (::pipe(ends) != 0) return give_up();
    const pid_t worker = ::fork();
    if (worker < 0) return give_up();
    if (worker == 0) {
      ::close(ends[0]);
      Worker(files_, options_, ends[1]).run(*position);
      _exit(0);  // without destructors: the parent has its own copies
    }
    ::close(ends[1]);
    Watch watch(ends[0], worker);
    return follow(watch, position);
  }

 private:
  bool give_up() {
    report_({"", "worker", {CaseResult::Outcome::kFailed, str_cat("no process for the cases: ", ::strerror(errno))}});
    return false;
  }

  bool follow(Watch& watch, Position* position) {
    std::optional<CaseReport> open;
    while (true) {
      const std::optional<std::string> line = watch.next_line(options_.timeout_seconds);
      if (!line) {
        const std::string how = watch.how_it_ended(options_.timeout_seconds);
        if (!open) {  // between two cases: in the reading of a file
          report_({"",
                   "after " + files_[std::min(position->file, files_.size() - 1)].path,
                   {CaseResult::Outcome::kFailed, how}});
          *position = {position->file + 1, 0};
        } else {
          open->result = {CaseResult::Outcome::kFailed, how};
          report_(*open);
        }
        return position->file < files_.size();
      }
      const std::vector<std::string> fields = split(*line);
      if (line->front() == kDone) return false;
      if (line->front() == kBegins) {
        *position = {std::stoul(fields[1]), std::stoul(fields[2]) + 1};
        open = CaseReport{files_[std::stoul(fields[1])].folder, fields[3], {}};
      } else if (line->front() == kEnds && open) {
        open->result = {static_cast<CaseResult::Outcome>(std::stoi(fields[1])), fields[2]};
        report_(*open);
        open.reset();
      }
    }
  }

  const std::vector<GoldenFile>& files_;
  const CaseRunnerOptions& options_;
  const std::function<void(const CaseReport&)>& report_;
};

}  // namespace

void run_apart(const std::vector<GoldenFile>& files, const CaseRunnerOptions& options,
               const std::function<void(const CaseReport&)>& report) {
  if (files.empty()) return;
  Apart apart(files, options, report);
  Position position;
  while (apart.run(&position)) {
  }
}

}  // namespace millrace
