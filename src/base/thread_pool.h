#pragma once
// A fixed number of named threads that run closures in the order they came. For work beside the compute threads (input
// pipelines, files, calls); numeric loops run on OpenMP's pool instead.

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace millrace {

class ThreadPool {
 public:
  // Threads are called NAME/0, NAME/1, ... (cut to the 15 characters that the system shows).
  ThreadPool(std::string name, int threads);
  // Runs what is still queued, then joins.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(threads_.size()); }
  void schedule(std::function<void()> work);
  // True on a thread of this pool.
  bool is_own_thread() const;

 private:
  void run();

  std::mutex mutex_;  // guards queue_ and ending_
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

// Names the calling thread, for debuggers and `top`.
void name_this_thread(const std::string& name);

}  // namespace millrace
