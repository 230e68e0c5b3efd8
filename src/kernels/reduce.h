#pragma once
// Reductions of any set of dimensions of a row-major array. Results do not depend on the number of threads: work is cut
// into pieces by size alone, and partial results join in a fixed order.

#include <cstdint>
#include <span>

#include "base/status.h"
#include "millrace/types.h"

namespace millrace {

// A reduction over elements of one type. Accumulators are at most 16 bytes each and may be wider than elements.
struct Reduction {
  int in_size;   // bytes per element
  int acc_size;  // bytes per accumulator
  int out_size;
  double cost_ns;
  void (*init)(void* acc, int64_t n);                // n accumulators become the neutral element
  void (*row)(const void* x, int64_t n, void* acc);  // *acc joins x[0, n)
  void (*rows)(const void* x, int64_t count, int64_t n,
               void* out);                                   // out[i] = all of x[i * n, (i + 1) * n): short rows
  void (*columns)(const void* x, int64_t n, void* acc);      // acc[i] joins x[i]
  void (*combine)(const void* other, int64_t n, void* acc);  // acc[i] joins other[i]
  void (*finish)(const void* acc, int64_t n, int64_t count, void* out);  // count elements went into each
};

enum class ReduceKind { kSum, kMean, kProd, kMax, kMin, kEuclideanNorm, kHalfSumOfSquares, kAll, kAny };
// Null where the type has none. Sums of half and bfloat16 are kept in float, of integers in 64 bits.
const Reduction* find_reduction(ReduceKind kind, DataType dtype);

// out[kept dimensions] = reduction of x over the dimensions where reduced[i]. ResourceExhausted if scratch cannot be
// had.
absl::Status reduce(const Reduction& reduction, const void* x, std::span<const int64_t> dims, const bool* reduced,
                    void* out);

}  // namespace millrace
