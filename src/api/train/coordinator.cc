#include "millrace/train/coordinator.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/errors.h"

namespace millrace::train {

struct Coordinator::State {
  struct Worker {
    std::string name;
    std::thread thread;
    std::shared_ptr<bool> done;
  };
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool stop = false;
  bool joined = false;
  std::exception_ptr error;
  std::vector<Worker> workers;
};

Coordinator::Coordinator() : state_(std::make_shared<State>()) {}

Coordinator::~Coordinator() {
  request_stop();
  for (State::Worker& worker : state_->workers) {
    if (worker.thread.joinable()) worker.thread.join();
  }
}

void Coordinator::request_stop() { request_stop(nullptr); }

void Coordinator::request_stop(std::exception_ptr error) {
  const std::lock_guard lock(state_->mutex);
  if (error && !state_->error && !state_->stop) {
    try {
      std::rethrow_exception(error);
    } catch (const errors::OutOfRangeError&) {  // the input has ended: that is how training stops
    } catch (const errors::CancelledError&) {
    } catch (...) {
      state_->error = error;
    }
  }
  state_->stop = true;
  state_->changed.notify_all();
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

bool Coordinator::wait_for_stop(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, timeout, [&] { return state_->stop; });
}

void Coordinator::raise_requested_exception() const {
  std::exception_ptr error;
  {
    const std::lock_guard lock(state_->mutex);
    error = state_->error;
  }
  if (error) std::rethrow_exception(error);
}

void Coordinator::register_thread(std::string name, std::thread thread) {
  // The thread itself cannot tell that it has ended, so a watcher that joins it does.
  auto done = std::make_shared<bool>(false);
  std::thread watcher([state = std::weak_ptr(state_), done, inner = std::move(thread)]() mutable {
    inner.join();
    if (const auto s = state.lock()) {
      const std::lock_guard lock(s->mutex);
      *done = true;
      s->changed.notify_all();
    }
  });
  const std::lock_guard lock(state_->mutex);
  state_->workers.push_back({std::move(name), std::move(watcher), std::move(done)});
}

void Coordinator::join(std::chrono::milliseconds stop_grace_period, bool ignore_live_threads) {
  std::vector<std::string> stragglers;
  {
    std::unique_lock lock(state_->mutex);
    const auto all_done = [&] {
      return std::ranges::all_of(state_->workers, [](const State::Worker& w) { return *w.done; });
    };
    state_->changed.wait(lock, [&] { return state_->stop || all_done(); });
    state_->changed.wait_for(lock, stop_grace_period, all_done);
    for (const State::Worker& w : state_->workers) {
      if (!*w.done) stragglers.push_back(w.name);
    }
  }
  std::vector<State::Worker> ended;
  {
    const std::lock_guard lock(state_->mutex);
    for (State::Worker& w : state_->workers) {
      if (*w.done) ended.push_back(std::move(w));
    }
    std::erase_if(state_->workers, [](const State::Worker& w) { return !w.thread.joinable(); });
    state_->joined = true;
  }
  for (State::Worker& w : ended) w.thread.join();
  raise_requested_exception();
  if (!stragglers.empty() && !ignore_live_threads) {
    std::string names;
    for (const std::string& name : stragglers) names += (names.empty() ? "" : " ") + name;
    raise(internal_error("Coordinator stopped with threads still running: ", names));
  }
}

}  // namespace millrace::train
