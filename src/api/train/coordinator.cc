#include "millrace/train/coordinator.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "api/train/hook_support.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/thread_pool.h"

namespace millrace::train {
namespace {

using Seconds = std::chrono::duration<double>;

// Longer waits than this overflow the clock.
constexpr Seconds kForever = std::chrono::hours(24 * 365);

std::chrono::steady_clock::time_point after(Seconds wait) {
  const Seconds bounded = std::clamp(wait, Seconds(0), kForever);
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(bounded);
}

// The code of an error of the API; absent for other exceptions.
std::optional<errors::Code> code_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const errors::OpError& e) {
    return e.code();
  } catch (...) {
    return std::nullopt;
  }
}

}  // namespace

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

// --- Thread

struct Thread::State {
  std::string name;
  std::function<void()> body;  // none once it has ended
  std::mutex mutex;            // guards what follows
  std::condition_variable ended;
  bool started = false;
  bool done = false;
};

Thread::Thread(std::string name, std::function<void()> body) : state_(std::make_shared<State>()) {
  state_->name = std::move(name);
  state_->body = std::move(body);
}

void Thread::start() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->started) raise(failed_precondition("thread ", state_->name, " can only be started once"));
    state_->started = true;
  }
  std::thread([state = state_] {
    name_this_thread(state->name);
    try {
      state->body();
    } catch (const std::exception& e) {
      log_error("Exception in thread ", state->name, ": ", e.what());
    } catch (...) {
      log_error("Exception of unknown type in thread ", state->name);
    }
    state->body = nullptr;  // before anybody is told that the thread has ended
    const std::lock_guard lock(state->mutex);
    state->done = true;
    state->ended.notify_all();
  }).detach();
}

bool Thread::is_alive() const {
  const std::lock_guard lock(state_->mutex);
  return state_->started && !state_->done;
}

void Thread::join() const {
  std::unique_lock lock(state_->mutex);
  state_->ended.wait(lock, [&] { return !state_->started || state_->done; });
}

bool Thread::join_for(Seconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->ended.wait_until(lock, after(timeout), [&] { return !state_->started || state_->done; });
}

const std::string& Thread::name() const { return state_->name; }

// --- Coordinator

struct Coordinator::State {
  std::vector<errors::Code> clean;
  mutable std::mutex mutex;  // guards what follows
  mutable std::condition_variable stopped;
  bool stop = false;
  bool joined = false;
  std::exception_ptr error;
  std::vector<Thread> registered;
  std::vector<Thread> stragglers;
};

Coordinator::Coordinator(const CoordinatorOptions& options) : state_(std::make_shared<State>()) {
  state_->clean = options.clean_stop_exception_types;
}

Coordinator::~Coordinator() {
  request_stop();
  std::vector<Thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    threads.swap(state_->registered);
  }
  for (const Thread& thread : threads) thread.join();
}

void Coordinator::request_stop() { request_stop(nullptr); }

void Coordinator::request_stop(const std::exception_ptr& error) {
  bool failure = error != nullptr;
  if (failure) {
    const std::optional<errors::Code> code = code_of(error);
    failure = !code || std::ranges::find(state_->clean, *code) == state_->clean.end();
  }
  const std::lock_guard lock(state_->mutex);
  if (state_->joined && failure) std::rethrow_exception(error);  // nobody would hear of it any more
  if (state_->stop) return;
  if (failure && !state_->error) {
    log_info("Error reported to Coordinator: ", message_of(error));
    state_->error = error;
  }
  state_->stop = true;
  state_->stopped.notify_all();
}

void Coordinator::clear_stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stop = false;
  state_->joined = false;
  state_->error = nullptr;
}

bool Coordinator::should_stop() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stop;
}

void Coordinator::stop_on_exception(const std::function<void()>& body) {
  try {
    body();
  } catch (...) {
    request_stop(std::current_exception());
  }
}

bool Coordinator::wait_for_stop(std::optional<Seconds> timeout) const {
  std::unique_lock lock(state_->mutex);
  const auto stop = [&] { return state_->stop; };
  if (timeout) return state_->stopped.wait_until(lock, after(*timeout), stop);
  state_->stopped.wait(lock, stop);
  return true;
}

void Coordinator::raise_requested_exception() const {
  std::exception_ptr error;
  {
    const std::lock_guard lock(state_->mutex);
    error = state_->error;
  }
  if (error) std::rethrow_exception(error);
}

void Coordinator::register_thread(const Thread& thread) {
  const std::lock_guard lock(state_->mutex);
  state_->registered.push_back(thread);
}

void Coordinator::join(const std::vector<Thread>& threads, const JoinOptions& options) {
  std::vector<Thread> all = threads;
  {
    const std::lock_guard lock(state_->mutex);
    all.insert(all.end(), state_->registered.begin(), state_->registered.end());
  }
  for (const Thread& thread : all) {
    while (!should_stop() && !thread.join_for(std::chrono::milliseconds(20))) {
    }
  }
  const auto deadline = after(Seconds(options.stop_grace_period_secs));
  for (const Thread& thread : all) (void)thread.join_for(deadline - std::chrono::steady_clock::now());
  std::erase_if(all, [](const Thread& thread) { return !thread.is_alive(); });

  std::string names;
  for (const Thread& thread : all) str_append(&names, names.empty() ? "" : " ", thread.name());
  {
    const std::lock_guard lock(state_->mutex);
    state_->joined = true;
    state_->registered.clear();
    state_->stragglers = all;
  }
  raise_requested_exception();
  if (all.empty()) return;
  if (!options.ignore_live_threads)
    raise(failed_precondition("Coordinator stopped with threads still running: ", names));
  log_info("Coordinator stopped with threads still running: ", names);
}

bool Coordinator::joined() const {
  const std::lock_guard lock(state_->mutex);
  return state_->joined;
}

std::vector<std::string> Coordinator::live_threads() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> names;
  for (const Thread& thread : state_->stragglers) {
    if (thread.is_alive()) names.push_back(thread.name());
  }
  return names;
}

// --- LooperThread

LooperThread::LooperThread(Coordinator& coord, std::optional<double> timer_interval_secs, std::function<void()> target,
                           const std::string& name)
    : coord_(coord),
      interval_(timer_interval_secs),
      target_(std::move(target)),
      self_(std::make_shared<std::shared_ptr<LooperThread>>()),
      thread_(name, [slot = self_] {
        const std::shared_ptr<LooperThread> self = std::move(*slot);
        self->run();
      }) {
  if (interval_ && !(*interval_ > 0))
    raise(invalid_argument("LooperThread: timer_interval_secs must be > 0, got ", *interval_));
  coord_.register_thread(thread_);
}

std::shared_ptr<LooperThread> LooperThread::loop(Coordinator& coord, std::optional<double> timer_interval_secs,
                                                 std::function<void()> target) {
  auto looper = std::make_shared<LooperThread>(coord, timer_interval_secs, std::move(target));
  looper->start();
  return looper;
}

void LooperThread::start() {
  *self_ = shared_from_this();
  thread_.start();
}

void LooperThread::run() {
  coord_.stop_on_exception([&] {
    start_loop();
    auto next = std::chrono::steady_clock::now();
    while (!(interval_ ? coord_.wait_for_stop(next - std::chrono::steady_clock::now()) : coord_.should_stop())) {
      if (interval_) next += std::chrono::duration_cast<std::chrono::steady_clock::duration>(Seconds(*interval_));
      run_loop();
    }
    stop_loop();
  });
}

void LooperThread::run_loop() {
  if (target_) target_();
}

}  // namespace millrace::train
