#include "base/deadline.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/thread_pool.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

class Timer {
 public:
  Timer() : thread_([this] { run(); }) { thread_.detach(); }

  DeadlineToken add(Clock::time_point when, std::function<void()> callback) {
    std::lock_guard lock(mutex_);
    const DeadlineToken token = next_++;
    calls_.emplace(std::pair(when, token), std::move(callback));
    times_.emplace(token, when);
    changed_.notify_all();
    return token;
  }

  void remove(DeadlineToken token) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return running_ != token; });
    if (const auto it = times_.find(token); it != times_.end()) {
      calls_.erase({it->second, token});
      times_.erase(it);
    }
  }

 private:
  void run() {
    name_this_thread("deadlines");
    std::unique_lock lock(mutex_);
    while (true) {
      if (calls_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const auto first = calls_.begin();
      if (const auto when = first->first.first; Clock::now() < when) {
        changed_.wait_until(lock, when);
        continue;
      }
      running_ = first->first.second;
      const std::function<void()> callback = std::move(first->second);
      times_.erase(running_);
      calls_.erase(first);
      lock.unlock();
      callback();
      lock.lock();
      running_ = 0;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<Clock::time_point, DeadlineToken>, std::function<void()>> calls_;
  std::map<DeadlineToken, Clock::time_point> times_;
  DeadlineToken next_ = 1;
  DeadlineToken running_ = 0;
  std::thread thread_;
};

Timer& timer() {
  static Timer* const timer = new Timer;  // its thread outlives everything
  return *timer;
}

}  // namespace

DeadlineToken call_after(std::chrono::microseconds delay, std::function<void()> callback) {
  return timer().add(Clock::now() + delay, std::move(callback));
}

void cancel_call(DeadlineToken token) { timer().remove(token); }

}  // namespace millrace
