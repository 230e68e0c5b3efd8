#include "kernels/team.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "base/thread_pool.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

thread_local bool is_inside = false;  // in the team's work: regions may be opened at once

// A thread's right to a team of its own, until the thread ends; libgomp then ends its workers.
class Seat {
 public:
  ~Seat() {
    if (taken_) free_seats().fetch_add(1);
  }
  bool take() {
    if (taken_) return true;
    int free = free_seats().load();
    while (free > 0 && !free_seats().compare_exchange_weak(free, free - 1)) {
    }
    return taken_ = free > 0;
  }

 private:
  static std::atomic<int>& free_seats() {
    static std::atomic<int> seats{kOwnTeams};
    return seats;
  }
  bool taken_ = false;
};
thread_local Seat seat;

// Held while a region runs.
std::mutex& region() {
  static auto* const mutex = new std::mutex;
  return *mutex;
}

// The thread that leads the team of those without one. Used by one caller at a time, who holds the region.
class Leader {
 public:
  Leader() : thread_([this] { serve(); }) { thread_.detach(); }

  void run(team_internal::Work work, void* context) {
    std::unique_lock lock(mutex_);
    work_ = work;
    context_ = context;
    threads_ = intra_op_threads();
#ifdef __SSE__
    csr_ = _mm_getcsr();
#endif
    changed_.notify_all();
    changed_.wait(lock, [this] { return work_ == nullptr; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void serve() {
    name_this_thread("team");
    is_inside = true;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return work_ != nullptr; });
      if (intra_op_threads() != threads_) set_intra_op_threads(threads_);
#ifdef __SSE__
      _mm_setcsr(csr_);  // denormals are treated as on the caller
#endif
      try {
        work_(context_);
      } catch (...) {
        error_ = std::current_exception();
      }
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  team_internal::Work work_ = nullptr;  // null: none to do
  void* context_ = nullptr;
  int threads_ = 1;
  unsigned int csr_ = 0;
  std::exception_ptr error_;
  std::thread thread_;
};

Leader& leader() {
  static auto* const leader = new Leader;  // its thread outlives everything
  return *leader;
}

struct Inside {
  Inside() { is_inside = true; }
  ~Inside() { is_inside = false; }
};

}  // namespace

namespace team_internal {

void run(Work work, void* context) {
  if (is_inside || intra_op_threads() == 1) {
    work(context);
    return;
  }
  std::lock_guard lock(region());
  if (!seat.take()) {
    leader().run(work, context);
    return;
  }
  const Inside inside;
  work(context);
}

}  // namespace team_internal

TeamIfFree::TeamIfFree() : may_open_(is_inside) {
  if (is_inside || !seat.take() || !region().try_lock()) return;
  may_open_ = entered_ = is_inside = true;
}

TeamIfFree::~TeamIfFree() {
  if (!entered_) return;
  is_inside = false;
  region().unlock();
}

}  // namespace millrace
