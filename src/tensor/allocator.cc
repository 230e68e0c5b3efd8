#include "tensor/allocator.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

namespace millrace {
namespace {

// Size classes: four per power of two from 64 bytes to 64 MiB; larger blocks go straight to the system.
constexpr size_t kSmallest = 64, kLargestCached = size_t{64} << 20;
constexpr int kClassesPerOctave = 4;
constexpr int kNumClasses = 21 * kClassesPerOctave;

struct SizeClass {
  int index;     // -1: not cached
  size_t bytes;  // rounded up
};

SizeClass size_class(size_t bytes) {
  if (bytes <= kSmallest) return {0, kSmallest};
  if (bytes > kLargestCached) return {-1, (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment};
  const int octave = std::bit_width(bytes - 1) - 1;  // 2^octave < bytes <= 2^(octave+1)
  const size_t step = (size_t{1} << octave) / kClassesPerOctave;
  const size_t steps = (bytes - (size_t{1} << octave) + step - 1) / step;  // 1..4
  const size_t rounded = (size_t{1} << octave) + steps * step;
  const size_t aligned = (rounded + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  return {(octave - 6) * kClassesPerOctave + static_cast<int>(steps), aligned};
}

class ProcessAllocator;

class HeapBuffer final : public Buffer {
 public:
  HeapBuffer(ProcessAllocator* owner, void* data, size_t size, int size_class)
      : Buffer(data, size), owner_(owner), class_(size_class) {}
  void destroy() override;
  ~HeapBuffer() override { std::free(data_); }
  int size_class_index() const { return class_; }
  HeapBuffer* next = nullptr;  // in the free list

 private:
  ProcessAllocator* owner_;
  int class_;
};

class ProcessAllocator final : public Allocator {
 public:
  ProcessAllocator() {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    limit_ = pages > 0 && page > 0 ? static_cast<int64_t>(pages) * page : int64_t{1} << 40;
  }

  Buffer* allocate(size_t bytes) override {
    if (bytes > static_cast<size_t>(limit_.load(std::memory_order_relaxed))) return nullptr;
    const SizeClass c = size_class(bytes == 0 ? 1 : bytes);
    const int64_t in_use =
        in_use_.fetch_add(static_cast<int64_t>(c.bytes), std::memory_order_relaxed) + static_cast<int64_t>(c.bytes);
    if (in_use > limit_.load(std::memory_order_relaxed)) {
      in_use_.fetch_sub(static_cast<int64_t>(c.bytes), std::memory_order_relaxed);
      return nullptr;
    }
    count_.fetch_add(1, std::memory_order_relaxed);
    int64_t peak = peak_.load(std::memory_order_relaxed);
    while (in_use > peak && !peak_.compare_exchange_weak(peak, in_use, std::memory_order_relaxed)) {
    }
    if (HeapBuffer* reused = take_free(c.index)) return reused;
    void* data = std::aligned_alloc(kTensorAlignment, c.bytes);
    if (data == nullptr) {
      in_use_.fetch_sub(static_cast<int64_t>(c.bytes), std::memory_order_relaxed);
      return nullptr;
    }
    return new HeapBuffer(this, data, c.bytes, c.index);
  }

  void release(HeapBuffer* buffer) {
    in_use_.fetch_sub(static_cast<int64_t>(buffer->size()), std::memory_order_relaxed);
    const int c = buffer->size_class_index();
    if (c >= 0) {
      FreeList& list = free_[static_cast<size_t>(c)];
      std::lock_guard lock(list.mutex);
      if (list.count < keep(buffer->size())) {
        buffer->next = list.head;
        list.head = buffer;
        ++list.count;
        return;
      }
    }
    delete buffer;
  }

  AllocatorStats stats() const { return {in_use_.load(), peak_.load(), count_.load(), limit_.load()}; }
  void set_limit(int64_t bytes) { limit_.store(bytes); }

 private:
  struct FreeList {
    std::mutex mutex;
    HeapBuffer* head = nullptr;
    int count = 0;
  };

  // Small blocks are kept by the dozen, large ones a few at a time: at most 64 MiB or so per class.
  static int keep(size_t bytes) {
    const size_t n = (size_t{64} << 20) / bytes;
    return static_cast<int>(n < 2 ? 2 : n > 64 ? 64 : n);
  }

  HeapBuffer* take_free(int index) {
    if (index < 0) return nullptr;
    FreeList& list = free_[static_cast<size_t>(index)];
    HeapBuffer* buffer;
    {
      std::lock_guard lock(list.mutex);
      buffer = list.head;
      if (buffer == nullptr) return nullptr;
      list.head = buffer->next;
      --list.count;
    }
    buffer->next = nullptr;
    buffer->ref();  // from zero owners to one
    return buffer;
  }

  std::array<FreeList, kNumClasses + 1> free_;
  std::atomic<int64_t> in_use_{0}, peak_{0}, count_{0}, limit_{0};
};

void HeapBuffer::destroy() { owner_->release(this); }

ProcessAllocator& instance() {
  static auto* allocator = new ProcessAllocator;  // outlives every tensor
  return *allocator;
}

}  // namespace

Allocator* process_allocator() { return &instance(); }
AllocatorStats process_allocator_stats() { return instance().stats(); }
void set_process_memory_limit(int64_t bytes) { instance().set_limit(bytes); }

}  // namespace millrace
