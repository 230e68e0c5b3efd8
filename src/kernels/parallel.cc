#include "kernels/parallel.h"

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "kernels/team.h"

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

SerialGuard::SerialGuard() : threads_before_(intra_op_threads()) {
  if (threads_before_ > 1) set_intra_op_threads(1);
}

SerialGuard::~SerialGuard() {
  if (threads_before_ > 1) set_intra_op_threads(threads_before_);
}

namespace parallel_internal {
namespace {

// Range `r` of `count` that [0, n) is cut into.
void run_range(int64_t n, int64_t count, int64_t r, RangeFunction fn, void* context) {
  const int64_t size = n / count, extra = n % count;
  const int64_t begin = r * size + std::min(r, extra);
  const int64_t end = begin + size + (r < extra ? 1 : 0);
  if (begin < end) fn(context, begin, end);
}

#ifdef _OPENMP
void run_in_region(int64_t n, int threads, RangeFunction fn, void* context) {
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
    // The team may come out smaller than asked for; the ranges stay.
    for (int64_t r = omp_get_thread_num(); r < threads; r += omp_get_num_threads()) {
      run_range(n, threads, r, fn, context);
    }
#ifdef __SSE__
    if (own != csr) _mm_setcsr(own);
#endif
  }
}
#endif

}  // namespace

void run_ranges(int64_t n, int threads, RangeFunction fn, void* context) {
#ifdef _OPENMP
  if (const TeamIfFree team; team) {
    run_in_region(n, threads, fn, context);
    return;
  }
#endif
  const SerialGuard serial;
  for (int64_t r = 0; r < threads; ++r) run_range(n, threads, r, fn, context);
}

}  // namespace parallel_internal
}  // namespace millrace
