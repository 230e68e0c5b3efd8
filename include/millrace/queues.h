#pragma once
// Queues between threads and steps, as ops: an enqueue waits for room, a dequeue for elements, and neither holds a
// thread meanwhile.
//
//   tf::FIFOQueue queue(10, {tf::float32}, {.shapes = {{}}});
//   tf::train::add_queue_runner(tf::train::QueueRunner(queue, {queue.enqueue({reader})}));
//   tf::Output batch = queue.dequeue_many(32)[0];
//
// A closed queue refuses enqueues with CancelledError, and dequeues with OutOfRangeError once it holds too little.

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

struct CloseOptions {
  bool cancel_pending_enqueues = false;  // else these are waited for
  std::string name = {};
};

// An element by the names of its components, for queues whose `names` were given:
//   tf::FIFOQueue queue(10, {tf::float32, tf::int32}, {.names = {"image", "label"}});
//   queue.enqueue(tf::QueueElement{{"label", label}, {"image", image}});
//   std::map<std::string, tf::Output> next = queue.by_name(queue.dequeue());
using QueueElement = std::map<std::string, Input>;

// What all queues can do. Names of operations are TF1's: "fifo_queue_enqueue", "fifo_queue_DequeueMany", ...
class QueueBase {
 public:
  // Without `names` the components have none. InvalidArgumentError unless there are as many names as dtypes.
  QueueBase(const Output& queue_ref, std::vector<DataType> dtypes, std::vector<PartialTensorShape> shapes,
            std::vector<std::string> names = {});
  // The queue at an index, an int32 scalar known when it runs. InvalidArgumentError (TF1's TypeError) where there is no
  // queue, or their dtypes or names differ.
  static QueueBase from_list(const Input& index, const std::vector<QueueBase>& queues);

  // One value per component; literals take the component's dtype. InvalidArgumentError for another number of them, and
  // where the queue has names.
  Operation enqueue(const std::vector<Input>& vals, const NameOptions& options = {}) const;
  // Each row is an element.
  Operation enqueue_many(const std::vector<Input>& vals, const NameOptions& options = {}) const;
  // The same by name. InvalidArgumentError unless these are the queue's names. (Templates, so that a list in braces is
  // none.)
  template <std::same_as<QueueElement> T> Operation enqueue(const T& vals, const NameOptions& options = {}) const {
    return enqueue_components(in_order(vals), options);
  }
  template <std::same_as<QueueElement> T> Operation enqueue_many(const T& vals, const NameOptions& options = {}) const {
    return enqueue_many_components(in_order(vals), options);
  }
  // One output per component.
  std::vector<Output> dequeue(const NameOptions& options = {}) const;
  // n elements as rows. The components' shapes must have been given.
  std::vector<Output> dequeue_many(const Input& n, const NameOptions& options = {}) const;
  // The same, or what a closed queue still holds.
  std::vector<Output> dequeue_up_to(const Input& n, const NameOptions& options = {}) const;
  // What was dequeued, by component name. InvalidArgumentError for a queue without names.
  std::map<std::string, Output> by_name(const std::vector<Output>& dequeued) const;
  Operation close(const CloseOptions& options = {}) const;
  Output is_closed(const NameOptions& options = {}) const;
  Output size(const NameOptions& options = {}) const;  // int32

  const Output& queue_ref() const { return queue_ref_; }
  std::string name() const { return queue_ref_.op().name(); }
  const std::vector<DataType>& dtypes() const { return dtypes_; }
  const std::vector<PartialTensorShape>& shapes() const { return shapes_; }  // empty: not specified
  const std::vector<std::string>& names() const { return names_; }           // empty: components have none

 private:
  void check_no_names() const;
  std::vector<Input> in_order(const QueueElement& vals) const;
  Operation enqueue_components(const std::vector<Input>& vals, const NameOptions& options) const;
  Operation enqueue_many_components(const std::vector<Input>& vals, const NameOptions& options) const;
  std::string name_or(std::string_view name, const char* suffix) const;
  Operation enqueue(const char* op, const char* suffix, const std::vector<Input>& vals, std::string_view name) const;
  std::vector<Output> dequeue_batch(const char* op, const char* suffix, const Input& n, std::string_view name) const;

  Output queue_ref_;
  std::vector<DataType> dtypes_;
  std::vector<PartialTensorShape> shapes_;
  std::vector<std::string> names_;
};

struct FIFOQueueOptions {
  std::vector<PartialTensorShape> shapes = {};  // one per component, all dimensions known
  std::vector<std::string> names = {};          // of the components
  std::string shared_name = {};                 // queues of one name and session are one
  std::string name = "fifo_queue";
};
class FIFOQueue : public QueueBase {
 public:
  FIFOQueue(int64_t capacity, const std::vector<DataType>& dtypes, const FIFOQueueOptions& options = {});
};

struct RandomShuffleQueueOptions {
  std::vector<PartialTensorShape> shapes = {};
  std::vector<std::string> names = {};
  std::optional<int64_t> seed = {};
  std::string shared_name = {};
  std::string name = "random_shuffle_queue";
};
// min_after_dequeue elements stay, for good mixing, until the queue is closed.
class RandomShuffleQueue : public QueueBase {
 public:
  RandomShuffleQueue(int64_t capacity, int64_t min_after_dequeue, const std::vector<DataType>& dtypes,
                     const RandomShuffleQueueOptions& options = {});
};

struct PaddingFIFOQueueOptions {
  std::vector<std::string> names = {};
  std::string shared_name = {};
  std::string name = "padding_fifo_queue";
};
// Dimensions may be unknown: dequeue_many pads with zeros to the largest of the batch.
class PaddingFIFOQueue : public QueueBase {
 public:
  PaddingFIFOQueue(int64_t capacity, const std::vector<DataType>& dtypes, const std::vector<PartialTensorShape>& shapes,
                   const PaddingFIFOQueueOptions& options = {});
};

struct PriorityQueueOptions {
  std::string shared_name = {};
  std::string name = "priority_queue";
};
// Elements have an int64 scalar as first component besides those of `types`; the smallest leaves first.
class PriorityQueue : public QueueBase {
 public:
  PriorityQueue(int64_t capacity, const std::vector<DataType>& types, const std::vector<PartialTensorShape>& shapes,
                const PriorityQueueOptions& options = {});
};

#pragma GCC visibility pop

}  // namespace millrace
