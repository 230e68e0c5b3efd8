#pragma once
// Puts what several steps ask for into one batch, so that it is computed once. A request has a number of rows; those
// that come close together are concatenated, as soon as they fill a batch or the first of them has waited long enough.
//
// Requests wait holding no thread: batches are made on compute threads, timeouts come from the process's timer.
// Thread-safe. `done` is called once, without locks held, from any thread; a scope must live until then. A request
// whose scope is cancelled ends with Cancelled, and those that share its batch go on.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/deadline.h"
#include "data/dataset.h"
#include "op/resource.h"

namespace millrace {

struct BatcherOptions {
  int64_t max_request_rows = 0;
  int64_t max_batch_rows = 0;              // the same, unless requests may be split
  bool splits = false;                     // requests that are larger than the room in a batch
  int64_t timeout_micros = 0;              // how long an incomplete batch waits for more
  int64_t max_enqueued_batches = 0;        // per queue, those that run apart
  int64_t max_running = 0;                 // batches at once
  std::vector<int64_t> allowed_rows = {};  // increasing; batches are padded to one of these sizes, with their first row
};
// InvalidArgument with TensorFlow's words for options that make no sense.
absl::Status check_options(const BatcherOptions& options);

// `inputs` (not empty) one after the other along the first dimension, then the first row `padding` times.
// InvalidArgument where dtypes or other dimensions differ, or there is no row to pad with.
absl::StatusOr<Tensor> concat_rows(const std::vector<Tensor>& inputs, int64_t padding = 0);

class RequestBatcher : public Resource, public std::enable_shared_from_this<RequestBatcher> {
 public:
  using Done = std::function<void(absl::Status, Element)>;
  // Computes on a whole batch.
  using Call = std::function<void(Element batch, CancellationScope* scope, Done done)>;
  struct Request {
    int64_t id = 0;
    Element inputs = {};  // of equal first dimensions, > 0
    Call call = {};
    CancellationScope* scope = nullptr;
    std::function<void(std::function<void()>)> schedule = {};  // runs work on a compute thread; good until `done`
    Done done = {};
  };

  explicit RequestBatcher(BatcherOptions options) : options_(std::move(options)) {}
  ~RequestBatcher() override;
  std::string description() const override { return "Batcher"; }

  // InvalidArgument for a request that is too large, Unavailable where too many batches wait.
  void submit(const std::string& queue, Request request);

 protected:
  struct Waiting {  // a request, and what became of it
    Request request;
    int64_t rows = 0;
    std::vector<Element> parts = {};  // the results of its pieces
    size_t missing_parts = 0;
    bool ended = false;
    CancellationScope::Token token = 0;
  };
  struct Piece {
    std::shared_ptr<Waiting> of;
    size_t part = 0;
    int64_t begin = 0, rows = 0;  // of the request
  };
  struct Batch {
    std::vector<Piece> pieces;
    int64_t rows = 0;
    int64_t number = 0;       // in the order in which batches were begun
    CancellationScope scope;  // cancelled when nobody waits for the batch any more
    bool nobody_waits() const;
  };
  using BatchPtr = std::shared_ptr<Batch>;
  int64_t padded_rows(const Batch& batch) const;
  // The inputs of all pieces, padded.
  absl::StatusOr<Element> gather(const Batch& batch) const;
  // Computes the batch, then calls finish().
  virtual void process(BatchPtr batch) = 0;
  // The results of each piece, or the error of all.
  void finish(const BatchPtr& batch, absl::Status status, std::vector<Element> results);
  // The last piece that somebody still waits for.
  size_t last_awaited(const Batch& batch) const;

 private:
  struct Queue {
    std::deque<BatchPtr> batches;  // the last one is open
    bool is_due = false;           // the open one has waited long enough
    DeadlineToken timer = 0;       // of the open one
  };
  using Ended = std::vector<std::pair<std::shared_ptr<Waiting>, absl::Status>>;
  // All of these under the lock.
  absl::Status check_room(const Queue& queue, int64_t rows) const;
  void enqueue(const std::string& name, Queue* queue, const std::shared_ptr<Waiting>& waiting);
  void add(const std::string& name, Queue* queue, Piece piece);
  void begin_batch(Queue* queue);
  void stop_timer(Queue* queue);
  void start_ready();
  void start(Queue* queue);
  void forget(const std::shared_ptr<Waiting>& waiting, std::vector<BatchPtr>* abandoned);

  void expire(const std::string& name, int64_t number);
  void cancel(const std::shared_ptr<Waiting>& waiting);
  void cancel_stopped_timers();
  static void end(const Waiting& waiting, absl::Status status);

  const BatcherOptions options_;
  mutable std::mutex mutex_;  // guards what follows, and what became of requests
  std::map<std::string, Queue> queues_;
  std::vector<BatchPtr> running_;
  std::vector<DeadlineToken> stopped_timers_;  // to be taken back once the lock is free
  int64_t next_number_ = 0;
};

// Results of a batch go to the last request, the others get no rows: its inputs gathered, then which rows are whose
// (id, begin, end of each), then every one's own id.
class GatheringBatcher final : public RequestBatcher {
 public:
  using RequestBatcher::RequestBatcher;

 private:
  void process(BatchPtr batch) override;
};

// The last request's call computes on the batch; everyone gets the rows of his own.
class CallingBatcher final : public RequestBatcher {
 public:
  using RequestBatcher::RequestBatcher;

 private:
  void process(BatchPtr batch) override;
  absl::StatusOr<std::vector<Element>> split(const Batch& batch, const Element& outputs) const;
};

}  // namespace millrace
