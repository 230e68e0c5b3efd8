#pragma once
// Where tensor memory comes from. Every allocation passes one of these, so that limits hold and sizes that a file or a
// message claims cannot exhaust the machine: over the limit the answer is a null buffer, which becomes
// ResourceExhausted.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "millrace/tensor.h"

namespace millrace {

inline constexpr size_t kTensorAlignment = 64;  // a cache line, and the widest vector

class Allocator {
 public:
  virtual ~Allocator() = default;
  // A buffer of at least `bytes` (> 0) aligned to kTensorAlignment with one owner, or null if that exceeds a limit.
  virtual Buffer* allocate(size_t bytes) = 0;
};

// The process's allocator: recycles freed buffers by size class, counts, and holds a limit (default: the machine's
// memory). Thread-safe.
Allocator* process_allocator();
struct AllocatorStats {
  int64_t bytes_in_use = 0;
  int64_t peak_bytes_in_use = 0;
  int64_t num_allocations = 0;
  int64_t bytes_limit = 0;
};
AllocatorStats process_allocator_stats();
void set_process_memory_limit(int64_t bytes);

}  // namespace millrace
