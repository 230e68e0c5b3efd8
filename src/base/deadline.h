#pragma once
// Calls things at a point in time: what timeouts of runs are made of. One thread for the process, started on first use.

#include <chrono>
#include <cstdint>
#include <functional>

namespace millrace {

using DeadlineToken = uint64_t;

// Calls `callback` once after `delay`, on the timer's thread; it must not block.
DeadlineToken call_after(std::chrono::microseconds delay, std::function<void()> callback);
// Afterwards the callback neither runs nor will run.
void cancel_call(DeadlineToken token);

}  // namespace millrace
