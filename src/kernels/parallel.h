#pragma once
// Cutting a loop among the intra-op threads. They are OpenMP's, the pool that oneDNN uses too, so that there is never a
// second one that spins. Small loops stay on the caller.
//
//   parallel_for(rows, 50, [&](int64_t begin, int64_t end) { for (int64_t r = begin; r < end; ++r) ... });

#include <cstdint>
#include <type_traits>

namespace millrace {

// How many threads a loop started by the calling thread may use; 0 asks for the machine's (OpenMP's default).
void set_intra_op_threads(int threads);
int intra_op_threads();

namespace parallel_internal {
inline constexpr int64_t kSmall = 30'000;  // nanoseconds of work below which waking threads costs more than it gains
using RangeFunction = void (*)(void* body, int64_t begin, int64_t end);
void run(int64_t n, int64_t total_cost, void* body, RangeFunction function);
}  // namespace parallel_internal

// Calls body(begin, end) on disjoint ranges that cover [0, n). `cost` is about how many nanoseconds one item takes. The
// body must not throw.
template <class Body>
void parallel_for(int64_t n, int64_t cost, Body&& body) {
  if (n <= 0) return;
  const int64_t total = n > INT64_MAX / (cost + 1) ? INT64_MAX : n * cost;
  if (n == 1 || total < parallel_internal::kSmall) {
    body(int64_t{0}, n);
    return;
  }
  using Plain = std::remove_reference_t<Body>;
  parallel_internal::run(n, total, const_cast<void*>(static_cast<const void*>(&body)),
                         [](void* b, int64_t begin, int64_t end) { (*static_cast<Plain*>(b))(begin, end); });
}

}  // namespace millrace
