#include "kernels/parallel.h"

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace millrace {

#ifdef _OPENMP

namespace {
thread_local int limit = 0;
}

void set_intra_op_threads(int threads) {
  limit = std::max(threads, 0);
  // oneDNN asks OpenMP, whose setting belongs to the calling thread as well.
  static const int machine = std::max(omp_get_max_threads(), 1);
  omp_set_num_threads(threads > 0 ? threads : machine);
}

int intra_op_threads() {
  if (omp_in_parallel()) return 1;
  return limit > 0 ? limit : omp_get_max_threads();
}

#else

void set_intra_op_threads(int) {}
int intra_op_threads() { return 1; }

#endif

namespace parallel_internal {

void run_ranges(int64_t n, int threads, RangeFunction fn, void* context) {
#ifdef _OPENMP
#ifdef __SSE__
  // Denormals are treated in the team as on the caller, which may flush them.
  const unsigned int csr = _mm_getcsr();
#endif
#pragma omp parallel num_threads(threads)
  {
#ifdef __SSE__
    const unsigned int own = _mm_getcsr();
    if (own != csr) _mm_setcsr(csr);
#endif
    const int64_t count = omp_get_num_threads();
    const int64_t me = omp_get_thread_num();
    const int64_t size = n / count, extra = n % count;
    const int64_t begin = me * size + std::min(me, extra);
    const int64_t end = begin + size + (me < extra ? 1 : 0);
    if (begin < end) fn(context, begin, end);
#ifdef __SSE__
    if (own != csr) _mm_setcsr(own);
#endif
  }
#else
  fn(context, 0, n);
#endif
}

}  // namespace parallel_internal
}  // namespace millrace
