#pragma once
// Stages that run ahead of their consumer on threads of their own.

#include <condition_variable>
#include <mutex>

#include "data/map.h"

namespace millrace {

// Waits until `ready` holds (checked under the lock) or the scope is cancelled, which is its status then. `lock` holds
// `mutex`; it is released for moments even where nothing has to be waited for.
template <class Ready>
absl::Status wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, CancellationScope* scope,
                        Ready ready) {
  if (ready()) return absl::OkStatus();
  std::mutex& mutex = *lock.mutex();
  lock.unlock();
  // The callback takes the lock, so that it cannot fall between the waiter's check and its sleep.
  const auto token = scope->on_cancel([&] {
    std::lock_guard inner(mutex);
    changed.notify_all();
  });
  lock.lock();
  changed.wait(lock, [&] { return ready() || scope->is_cancelled(); });
  const bool done = ready();
  lock.unlock();
  if (token) scope->remove(*token);
  lock.lock();
  return done ? absl::OkStatus() : scope->status();
}

// Number of threads where the graph leaves it to us.
int default_parallelism();

// Up to buffer_size (> 0; -1: our choice) elements are made ahead on one thread.
absl::StatusOr<DatasetPtr> prefetch_dataset(DatasetPtr input, int64_t buffer_size);
IteratorPtr prefetch_iterator(IteratorPtr input, int64_t buffer_size);

// Calls `function` on several threads.
IteratorPtr parallel_map_iterator(IteratorPtr input, FunctionPtr function, MapOptions options);

// The result of one call of a map function: OutOfRange as the options have it. *end is set for the end of the sequence.
absl::StatusOr<Element> call_map_function(const CapturedFunction& function, const MapOptions& options, Element element,
                                          CancellationScope* cancellation, bool* end);

}  // namespace millrace
