#pragma once
// Loops split over the process's OpenMP team (team.h), which oneDNN uses too, so that there is never a second pool that
// spins. Small work stays on the caller, as waking a team costs some microseconds; where the team is busy for others,
// the caller does all ranges itself.
//
//   parallel_for(n, 1.5, [&](int64_t begin, int64_t end) { ... });   // 1.5 ns per item: a hint, not a promise
//
// Ranges do not overlap and cover [0, n); the function runs concurrently on them and must not throw. How [0, n) is cut
// depends on the number of threads that the caller may use, never on how many are free: where sums must not depend on
// it, cut by size instead (see reduce.h).

#include <cstdint>
#include <type_traits>

namespace millrace {

// The most threads that loops of the calling thread use; a session sets it around its steps. 0 means all processors.
void set_intra_op_threads(int threads);
int intra_op_threads();  // always >= 1; 1 without OpenMP, and inside a parallel loop

// While one lives, the calling thread opens no parallel regions: neither our loops nor oneDNN's.
class SerialGuard {
 public:
  SerialGuard();
  ~SerialGuard();
  SerialGuard(const SerialGuard&) = delete;
  SerialGuard& operator=(const SerialGuard&) = delete;

 private:
  int threads_before_;
};

namespace parallel_internal {
inline constexpr double kMinNanosecondsPerThread = 8000;
using RangeFunction = void (*)(void* context, int64_t begin, int64_t end);
void run_ranges(int64_t n, int threads, RangeFunction fn, void* context);
}  // namespace parallel_internal

template <class F> void parallel_for(int64_t n, double cost_ns, F&& fn) {
  if (n <= 0) return;
  const double total = static_cast<double>(n) * cost_ns;
  if (total < 2 * parallel_internal::kMinNanosecondsPerThread || n == 1) {
    fn(int64_t{0}, n);
    return;
  }
  const double wanted = total / parallel_internal::kMinNanosecondsPerThread;
  const int limit = intra_op_threads();
  int threads = wanted < limit ? static_cast<int>(wanted) : limit;
  if (threads > n) threads = static_cast<int>(n);
  if (threads <= 1) {
    fn(int64_t{0}, n);
    return;
  }
  auto call = [](void* context, int64_t begin, int64_t end) {
    (*static_cast<std::remove_reference_t<F>*>(context))(begin, end);
  };
  parallel_internal::run_ranges(n, threads, call, const_cast<void*>(static_cast<const void*>(&fn)));
}

}  // namespace millrace
