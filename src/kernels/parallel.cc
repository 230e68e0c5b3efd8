#include "kernels/parallel.h"

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace millrace {

#ifdef _OPENMP

namespace {
thread_local int wanted_threads = 0;
}

void set_intra_op_threads(int threads) {
  wanted_threads = std::max(threads, 0);
  // oneDNN asks OpenMP, whose setting belongs to the calling thread as well.
  static const int machine = omp_get_max_threads();
  omp_set_num_threads(threads > 0 ? threads : machine);
}

int intra_op_threads() { return wanted_threads > 0 ? wanted_threads : omp_get_max_threads(); }

void parallel_internal::run(int64_t n, int64_t total_cost, void* body, RangeFunction function) {
  const int64_t useful = std::min(n, total_cost / (kSmall / 2));
  const int threads = static_cast<int>(std::min<int64_t>(intra_op_threads(), useful));
  if (threads <= 1 || omp_in_parallel()) {
    function(body, 0, n);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t count = omp_get_num_threads(), i = omp_get_thread_num();
    const int64_t begin = n / count * i + std::min(i, n % count);
    const int64_t end = begin + n / count + (i < n % count ? 1 : 0);
    if (begin < end) function(body, begin, end);
  }
}

#else

void set_intra_op_threads(int) {}
int intra_op_threads() { return 1; }
void parallel_internal::run(int64_t n, int64_t, void* body, RangeFunction function) { function(body, 0, n); }

#endif

}  // namespace millrace
