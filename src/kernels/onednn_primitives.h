#pragma once
// What the sources that speak to oneDNN share: the engine, streams, error texts and a bounded cache of primitives. Only
// src/kernels/onednn*.cc may include this.

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "absl/container/flat_hash_map.h"
#include "kernels/onednn.h"
#include "kernels/parallel.h"
#include "oneapi/dnnl/dnnl.hpp"
#include "tensor/allocator.h"

namespace millrace::onednn {

const dnnl::engine& engine();
dnnl::stream& stream();  // one per calling thread: streams are cheap but not to be shared

// Attributes for every primitive: who runs it brings the working memory. oneDNN's own is one block per thread, as large
// as what was made on that thread needs, while what is cached here is made on one thread and runs on others.
dnnl::primitive_attr attributes(const dnnl::post_ops& ops = {});
// Runs a primitive made so, on the calling thread's stream, until it has finished. Throws std::bad_alloc.
void run(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
         std::unordered_map<int, dnnl::memory> arguments);

// Memory for one call, out of the process's allocator. Throws std::bad_alloc.
class Temporary {
 public:
  explicit Temporary(const dnnl::memory::desc& desc);
  ~Temporary() { buffer_->unref(); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const dnnl::memory& memory() const { return memory_; }

 private:
  Buffer* buffer_;
  dnnl::memory memory_;
};

absl::Status failure(std::string_view what, const dnnl::error& error);
void append_activation(Activation activation, float alpha, dnnl::post_ops* ops);

// Primitives by what they are made for and by the number of threads, which oneDNN builds into them; the least recently
// used one leaves when the cache is full.
template <class What, class Made> class Cache {
 public:
  // make(what) gives a shared_ptr<const Made>.
  template <class Make> std::shared_ptr<const Made> get(const What& what, Make&& make) {
    const Key key{what, intra_op_threads()};
    {
      std::lock_guard lock(mutex_);
      if (auto it = found_.find(key); it != found_.end()) {
        order_.splice(order_.begin(), order_, it->second);
        return it->second->second;
      }
    }
    std::shared_ptr<const Made> made = make(what);  // outside the lock: it takes long
    std::lock_guard lock(mutex_);
    if (auto it = found_.find(key); it != found_.end()) return it->second->second;
    order_.emplace_front(key, made);
    found_.emplace(key, order_.begin());
    if (static_cast<int64_t>(order_.size()) > kOnednnCacheLimit) {
      found_.erase(order_.back().first);
      order_.pop_back();
    }
    return made;
  }
  int64_t size() {
    std::lock_guard lock(mutex_);
    return static_cast<int64_t>(order_.size());
  }

 private:
  using Key = std::pair<What, int>;
  using Entry = std::pair<Key, std::shared_ptr<const Made>>;
  std::mutex mutex_;
  std::list<Entry> order_;  // most recently used first
  absl::flat_hash_map<Key, typename std::list<Entry>::iterator> found_;
};

int64_t cached_convolutions();  // onednn_conv.cc

}  // namespace millrace::onednn
