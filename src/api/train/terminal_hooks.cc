// Hooks for people: a progress bar, and a clean end on Ctrl-C.

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <mutex>

#include "absl/strings/str_format.h"
#include "api/train/hook_support.h"
#include "base/log.h"
#include "millrace/train/hooks.h"

namespace millrace::train {
namespace {

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::ceil(seconds));
  if (s >= 3600) return absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  return absl::StrFormat("%d:%02d", s / 60, s % 60);
}

std::string bar(double fraction) {
  constexpr int kWidth = 24;
  const int full = static_cast<int>(std::min(1.0, std::max(0.0, fraction)) * kWidth);
  return "[" + std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(kWidth - full), '.') + "]";
}

}  // namespace

ProgressBarHook::ProgressBarHook(const ProgressBarOptions& options) : options_(options) {}

void ProgressBarHook::begin() {
  global_step_ = required_global_step("ProgressBarHook");
  terminal_ = isatty(STDERR_FILENO) == 1;
}

void ProgressBarHook::after_create_session(Session& session, Coordinator&) {
  step_ = first_step_ = step_of(session.run(global_step_));
  shown_step_ = -1;
  start_ = shown_ = std::chrono::steady_clock::now();
}

std::optional<SessionRunArgs> ProgressBarHook::before_run(SessionRunContext&) {
  due_ = terminal_ ? seconds_since(shown_) >= options_.every_n_secs : (step_ + 1) % options_.every_n_steps == 0;
  SessionRunArgs args{.fetches = {global_step_}};
  if (options_.loss && (due_ || (options_.last_step && step_ + 1 >= *options_.last_step)))
    args.fetches.push_back(options_.loss);
  return args;
}

void ProgressBarHook::after_run(SessionRunContext&, const SessionRunValues& values) {
  // The read may have seen the step before or after this run counted it.
  step_ = std::max(step_ + 1, step_of(values.results[0]));
  if (values.results.size() > 1) last_values_ = values.results;
  if (due_) show(step_, last_values_, false);
}

void ProgressBarHook::end(Session& session) {
  step_ = step_of(session.run(global_step_));
  if (step_ != shown_step_ || terminal_) show(step_, last_values_, true);
}

void ProgressBarHook::show(int64_t step, const std::vector<Tensor>& values, bool last) {
  shown_ = std::chrono::steady_clock::now();
  shown_step_ = step;
  const double elapsed = seconds_since(start_);
  const double rate = elapsed > 0 ? static_cast<double>(step - first_step_) / elapsed : 0;
  std::string line = absl::StrFormat("step %d", step);
  if (options_.last_step) line += absl::StrFormat("/%d", *options_.last_step);
  line += absl::StrFormat("  %.0f steps/s", rate);
  if (values.size() > 1)
    line +=
        absl::StrFormat("  loss %.4f", values[1].dtype() == float64 ? values[1].scalar<double>()
                                                                    : static_cast<double>(values[1].scalar<float>()));
  if (options_.last_step && rate > 0 && !last)
    line += "  " + duration_text(static_cast<double>(*options_.last_step - step) / rate) + " left";
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  if (options_.last_step && *options_.last_step > 0)
    line = bar(static_cast<double>(step) / static_cast<double>(*options_.last_step)) + " " + line;
  std::fprintf(stderr, "\r%s\x1b[K%s", line.c_str(), last ? "\n" : "");
  std::fflush(stderr);
}

// --- preemption

namespace {

std::atomic<int> g_signal{0};

extern "C" void note_signal(int signal) {
  if (g_signal.exchange(signal) != 0) {  // asked twice: no more patience
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

constexpr int kSignals[] = {SIGINT, SIGTERM};

}  // namespace

// Takes the signals while any hook lives that needs them.
struct PreemptionHook::Registration {
  static inline std::mutex mutex;
  static inline int count = 0;
  static inline struct sigaction before[2];

  Registration() {
    const std::lock_guard lock(mutex);
    if (count++ > 0) return;
    g_signal = 0;
    struct sigaction action = {};
    action.sa_handler = note_signal;
    for (size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &action, &before[i]);
  }
  ~Registration() {
    const std::lock_guard lock(mutex);
    if (--count > 0) return;
    for (size_t i = 0; i < 2; ++i) sigaction(kSignals[i], &before[i], nullptr);
  }
};

PreemptionHook::PreemptionHook() = default;

void PreemptionHook::begin() { registration_ = std::make_shared<Registration>(); }

void PreemptionHook::after_run(SessionRunContext& context, const SessionRunValues&) {
  if (const int signal = g_signal.load(); signal != 0 && !context.stop_requested()) {
    log_warning("Signal ", signal, ": saving and ending.");
    context.request_stop();
  }
}

void PreemptionHook::end(Session&) { registration_.reset(); }

bool PreemptionHook::was_preempted() { return g_signal.load() != 0; }

}  // namespace millrace::train
