#pragma once
// A session's queue: what FIFOQueueV2 and its kin lead to. Attempts to enqueue or dequeue wait in the order they came,
// holding no thread; whoever makes progress possible completes them.
//
// Thread-safe. `done` is called once, without locks held, from any thread; a scope must live until then. An attempt
// whose scope is cancelled ends with Cancelled "Enqueue (Dequeue) operation was cancelled".

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "data/dataset.h"
#include "op/resource.h"

namespace millrace {

// Where a queue keeps elements, and which one leaves next. Not thread-safe.
class QueueOrder {
 public:
  virtual ~QueueOrder() = default;
  virtual void push(Element element) = 0;
  virtual Element pop() = 0;  // not when empty
  // Takes back what a dequeue had taken, the element it took last first.
  virtual void restore(Element element) = 0;
  virtual int64_t size() const = 0;
};
std::unique_ptr<QueueOrder> fifo_order();
// A random one of those there; seeds 0, 0 mean seeds by chance.
std::unique_ptr<QueueOrder> shuffled_order(int64_t seed, int64_t seed2);
// The smallest first component, an int64 scalar.
std::unique_ptr<QueueOrder> priority_order();

struct QueueOptions {
  std::string kind;  // "FIFOQueue", for messages
  std::string name;
  int64_t capacity = 0;
  std::vector<DataType> types;
  std::vector<PartialTensorShape> shapes;  // one per component, or none: not specified
  bool pads = false;                       // shapes may have unknown dimensions; batches are padded with zeros
  bool takes_all_at_once = false;  // nothing leaves before all that an attempt wants is there, or the queue full
  int64_t min_after_dequeue = 0;   // so many stay until the queue is closed
};

class Queue final : public Resource {
 public:
  using Done = std::function<void(absl::Status, Element)>;

  Queue(QueueOptions options, std::unique_ptr<QueueOrder> order);
  std::string description() const override { return options_.kind; }
  const QueueOptions& options() const { return options_; }

  void enqueue(Element element, CancellationScope* scope, Done done);
  // Row by row, as there is room.
  void enqueue_many(Element batch, CancellationScope* scope, Done done);
  void dequeue(CancellationScope* scope, Done done);
  // A batch of `count` elements; with `up_to`, fewer where the queue is closed and holds fewer, but at least one.
  void dequeue_many(int64_t count, bool up_to, CancellationScope* scope, Done done);
  // No more enqueues: after those that wait now, or at once and cancelling these.
  void close(bool cancel_pending_enqueues, CancellationScope* scope, Done done);
  int64_t size() const;
  bool is_closed() const;

 private:
  enum class Kind { kEnqueue, kEnqueueMany, kClose, kDequeue, kDequeueMany, kDequeueUpTo };
  enum class Progress { kNone, kSome, kComplete };
  struct Attempt {
    Kind kind = Kind::kEnqueue;
    Element element = {};                 // to enqueue; once complete, what was dequeued
    int64_t remaining = 1;                // elements to enqueue or dequeue yet
    std::vector<Element> collected = {};  // dequeued so far
    CancellationScope* scope = nullptr;
    Done done = {};
    CancellationScope::Token token = 0;
    int64_t id = 0;
    absl::Status status = {};  // once complete
  };

  void start(Attempt attempt);
  void cancel(int64_t id);
  void close_and_cancel();
  void flush();
  bool flush_list(std::deque<Attempt>* attempts, std::vector<Attempt>* finished);
  static void finish(Attempt attempt);
  Progress advance(Attempt* attempt);
  Progress advance_enqueue(Attempt* attempt);
  Progress advance_dequeue(Attempt* attempt);
  Progress end_of_queue(Attempt* attempt);
  absl::StatusOr<Element> batch_of(std::vector<Element> elements) const;
  absl::StatusOr<Element> empty_batch() const;
  absl::Status check_types(const Element& element) const;
  absl::Status check_element(const Element& element) const;
  absl::Status check_batch(const Element& batch) const;
  absl::Status out_of_elements(int64_t requested, int64_t size) const;

  const QueueOptions options_;
  mutable std::mutex mutex_;  // guards what follows
  std::unique_ptr<QueueOrder> order_;
  bool closed_ = false;
  int64_t next_id_ = 0;
  std::deque<Attempt> enqueues_, dequeues_;  // enqueues_: closing too, which waits its turn behind them
};

}  // namespace millrace
