#include "data/queue.h"

#include <algorithm>

#include "data/rows.h"
#include "data/seeds.h"

namespace millrace {
namespace {

class FifoOrder final : public QueueOrder {
 public:
  void push(Element element) override { elements_.push_back(std::move(element)); }
  Element pop() override {
    Element first = std::move(elements_.front());
    elements_.pop_front();
    return first;
  }
  void restore(Element element) override { elements_.push_front(std::move(element)); }
  int64_t size() const override { return static_cast<int64_t>(elements_.size()); }

 private:
  std::deque<Element> elements_;
};

class ShuffledOrder final : public QueueOrder {
 public:
  ShuffledOrder(int64_t seed, int64_t seed2) : random_(seed, seed2) {}
  void push(Element element) override { elements_.push_back(std::move(element)); }
  Element pop() override {
    Element& chosen = elements_[random_.next() % elements_.size()];
    Element result = std::move(chosen);
    if (&chosen != &elements_.back()) chosen = std::move(elements_.back());
    elements_.pop_back();
    return result;
  }
  void restore(Element element) override { push(std::move(element)); }
  int64_t size() const override { return static_cast<int64_t>(elements_.size()); }

 private:
  std::vector<Element> elements_;
  RandomStream random_;
};

class PriorityOrder final : public QueueOrder {
 public:
  void push(Element element) override {
    heap_.push_back(std::move(element));
    std::ranges::push_heap(heap_, later);
  }
  Element pop() override {
    std::ranges::pop_heap(heap_, later);
    Element first = std::move(heap_.back());
    heap_.pop_back();
    return first;
  }
  void restore(Element element) override { push(std::move(element)); }
  int64_t size() const override { return static_cast<int64_t>(heap_.size()); }

 private:
  static bool later(const Element& a, const Element& b) {
    return a[0].unchecked<int64_t>()[0] > b[0].unchecked<int64_t>()[0];
  }
  std::vector<Element> heap_;
};

// Each row in the corner of a zeroed row as large as the largest in every dimension.
absl::Status copy_padded(Tensor& from, const TensorShape& row_shape, int64_t row, Tensor* to) {
  const int rank = row_shape.rank();
  if (from.num_elements() == 0) return absl::OkStatus();
  // Runs of the last dimension lie together in both.
  const int64_t run = rank == 0 ? 1 : from.dim(rank - 1);
  std::vector<int64_t> at(static_cast<size_t>(std::max(0, rank - 1)), 0);
  for (int64_t i = 0; i < from.num_elements(); i += run) {
    int64_t offset = row;
    for (int d = 0; d + 1 < rank; ++d) offset = offset * row_shape.dim(d) + at[static_cast<size_t>(d)];
    if (rank > 0) offset *= row_shape.dim(rank - 1);
    copy_elements(from, i, *to, offset, run);
    for (int d = rank - 2; d >= 0; --d) {
      if (++at[static_cast<size_t>(d)] < from.dim(d)) break;
      at[static_cast<size_t>(d)] = 0;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Element> stack_padded(std::vector<Element>& elements) {
  Element batch;
  for (size_t c = 0; c < elements[0].size(); ++c) {
    const int rank = elements[0][c].rank();
    std::vector<int64_t> dims(static_cast<size_t>(rank), 0);
    for (const Element& element : elements) {
      for (int d = 0; d < rank; ++d)
        dims[static_cast<size_t>(d)] = std::max(dims[static_cast<size_t>(d)], element[c].dim(d));
    }
    MR_ASSIGN_OR_RETURN(const TensorShape row_shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(row_shape, 0, static_cast<int64_t>(elements.size())));
    MR_ASSIGN_OR_RETURN(Tensor stacked, make_zeroed_tensor(elements[0][c].dtype(), shape));
    for (size_t i = 0; i < elements.size(); ++i)
      MR_RETURN_IF_ERROR(copy_padded(elements[i][c], row_shape, static_cast<int64_t>(i), &stacked));
    batch.push_back(std::move(stacked));
  }
  return batch;
}

}  // namespace

std::unique_ptr<QueueOrder> fifo_order() { return std::make_unique<FifoOrder>(); }
std::unique_ptr<QueueOrder> shuffled_order(int64_t seed, int64_t seed2) {
  choose_seeds_if_unset(&seed, &seed2);
  return std::make_unique<ShuffledOrder>(seed, seed2);
}
std::unique_ptr<QueueOrder> priority_order() { return std::make_unique<PriorityOrder>(); }

Queue::Queue(QueueOptions options, std::unique_ptr<QueueOrder> order)
    : options_(std::move(options)), order_(std::move(order)) {}

// --- what may enter

absl::Status Queue::check_types(const Element& element) const {
  if (element.size() != options_.types.size()) {
    return invalid_argument("Wrong number of components in tuple. Expected ", options_.types.size(), ", got ",
                            element.size());
  }
  for (size_t i = 0; i < element.size(); ++i) {
    if (element[i].dtype() != options_.types[i]) {
      return invalid_argument("Type mismatch in tuple component ", i, ". Expected ", dtype_name(options_.types[i]),
                              ", got ", dtype_name(element[i].dtype()));
    }
  }
  return absl::OkStatus();
}

absl::Status Queue::check_element(const Element& element) const {
  MR_RETURN_IF_ERROR(check_types(element));
  for (size_t i = 0; i < options_.shapes.size(); ++i) {
    if (!options_.shapes[i].is_compatible_with(element[i].shape())) {
      return invalid_argument("Shape mismatch in tuple component ", i, ". Expected ", options_.shapes[i], ", got ",
                              element[i].shape());
    }
  }
  return absl::OkStatus();
}

absl::Status Queue::check_batch(const Element& batch) const {
  MR_RETURN_IF_ERROR(check_types(batch));
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].rank() == 0)
      return invalid_argument("Component ", i, " of a batch to enqueue must have at least one dimension, got a scalar");
    if (batch[i].dim(0) != batch[0].dim(0)) {
      return invalid_argument("All input tensors must have the same size in the 0th dimension. Component ", i, " has ",
                              batch[i].dim(0), ", and should have ", batch[0].dim(0));
    }
    if (options_.shapes.empty()) continue;
    const TensorShape row = subshape(batch[i].shape(), 1, batch[i].rank());
    if (!options_.shapes[i].is_compatible_with(row)) {
      MR_ASSIGN_OR_RETURN(const PartialTensorShape expected,
                          concatenate(subshape(batch[i].shape(), 0, 1), options_.shapes[i]));
      return invalid_argument("Shape mismatch in tuple component ", i, ". Expected ", expected, ", got ",
                              batch[i].shape());
    }
  }
  return absl::OkStatus();
}

// --- attempts

void Queue::enqueue(Element element, CancellationScope* scope, Done done) {
  if (absl::Status status = check_element(element); !status.ok()) return done(std::move(status), {});
  start({.kind = Kind::kEnqueue, .element = std::move(element), .scope = scope, .done = std::move(done)});
}

void Queue::enqueue_many(Element batch, CancellationScope* scope, Done done) {
  if (absl::Status status = check_batch(batch); !status.ok()) return done(std::move(status), {});
  const int64_t rows = batch[0].dim(0);
  if (rows == 0) return done(absl::OkStatus(), {});
  start({.kind = Kind::kEnqueueMany,
         .element = std::move(batch),
         .remaining = rows,
         .scope = scope,
         .done = std::move(done)});
}

void Queue::dequeue(CancellationScope* scope, Done done) {
  start({.kind = Kind::kDequeue, .scope = scope, .done = std::move(done)});
}

void Queue::dequeue_many(int64_t count, bool up_to, CancellationScope* scope, Done done) {
  if (options_.shapes.empty()) {
    return done(invalid_argument(options_.kind,
                                 "'s DequeueMany and DequeueUpTo require the components to have specified shapes."),
                {});
  }
  if (count == 0) {
    absl::StatusOr<Element> batch = empty_batch();
    return batch.ok() ? done(absl::OkStatus(), *std::move(batch)) : done(batch.status(), {});
  }
  start({.kind = up_to ? Kind::kDequeueUpTo : Kind::kDequeueMany,
         .remaining = count,
         .scope = scope,
         .done = std::move(done)});
}

void Queue::close(bool cancel_pending_enqueues, CancellationScope* scope, Done done) {
  if (!cancel_pending_enqueues) return start({.kind = Kind::kClose, .scope = scope, .done = std::move(done)});
  close_and_cancel();
  done(absl::OkStatus(), {});
}

int64_t Queue::size() const {
  const std::lock_guard lock(mutex_);
  return order_->size();
}

bool Queue::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

namespace {
absl::Status cancelled_attempt(bool dequeues) {
  return cancelled(dequeues ? "Dequeue operation was cancelled" : "Enqueue operation was cancelled");
}
}  // namespace

void Queue::start(Attempt attempt) {
  const bool dequeues = attempt.kind >= Kind::kDequeue;
  {
    const std::lock_guard lock(mutex_);  // a cancellation meanwhile waits for it, and then finds the attempt
    attempt.id = next_id_++;
    const auto token = attempt.scope->on_cancel([this, id = attempt.id] { cancel(id); });
    if (token) {
      attempt.token = *token;
      (dequeues ? dequeues_ : enqueues_).push_back(std::move(attempt));
      attempt.done = nullptr;
    }
  }
  if (attempt.done) attempt.done(cancelled_attempt(dequeues), {});
  flush();
}

void Queue::cancel(int64_t id) {
  Done done;
  absl::Status status;
  {
    const std::lock_guard lock(mutex_);
    for (std::deque<Attempt>* attempts : {&enqueues_, &dequeues_}) {
      const auto found = std::ranges::find(*attempts, id, &Attempt::id);
      if (found == attempts->end()) continue;
      for (auto e = found->collected.rbegin(); e != found->collected.rend(); ++e) order_->restore(std::move(*e));
      done = std::move(found->done);
      status = cancelled_attempt(attempts == &dequeues_);
      attempts->erase(found);
    }
  }
  if (!done) return;  // it has just completed
  flush();            // before `done`, behind which this may be gone
  done(std::move(status), {});
}

void Queue::close_and_cancel() {
  std::vector<Attempt> pending;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    std::ranges::move(enqueues_, std::back_inserter(pending));
    enqueues_.clear();
  }
  flush();
  for (Attempt& attempt : pending) {
    attempt.status = cancelled_attempt(false);
    finish(std::move(attempt));
  }
}

void Queue::flush() {
  std::vector<Attempt> finished;
  {
    const std::lock_guard lock(mutex_);
    bool changed = true;
    while (changed) {
      changed = flush_list(&enqueues_, &finished);
      changed = flush_list(&dequeues_, &finished) || changed;
    }
  }
  for (Attempt& attempt : finished) finish(std::move(attempt));
}

bool Queue::flush_list(std::deque<Attempt>* attempts, std::vector<Attempt>* finished) {
  bool changed = false;
  while (!attempts->empty()) {
    const Progress progress = advance(&attempts->front());
    changed = changed || progress != Progress::kNone;
    if (progress != Progress::kComplete) break;
    finished->push_back(std::move(attempts->front()));
    attempts->pop_front();
  }
  return changed;
}

// Nothing of the queue is touched: it may be gone once the last attempt's `done` has been called.
void Queue::finish(Attempt attempt) {
  attempt.scope->remove(attempt.token);
  attempt.done(std::move(attempt.status), std::move(attempt.element));
}

Queue::Progress Queue::advance(Attempt* attempt) {
  switch (attempt->kind) {
    case Kind::kEnqueue:
    case Kind::kEnqueueMany: return advance_enqueue(attempt);
    case Kind::kClose:
      if (closed_) attempt->status = cancelled("Queue '", options_.name, "' is already closed.");
      closed_ = true;
      return Progress::kComplete;
    default: return advance_dequeue(attempt);
  }
}

Queue::Progress Queue::advance_enqueue(Attempt* attempt) {
  if (closed_) {
    attempt->status = cancelled(options_.kind, " '", options_.name, "' is closed.");
    return Progress::kComplete;
  }
  Progress progress = Progress::kNone;
  while (order_->size() < options_.capacity) {
    progress = Progress::kSome;
    Element element;
    if (attempt->kind == Kind::kEnqueue) {
      element = std::move(attempt->element);
    } else {
      for (const Tensor& component : attempt->element) {
        absl::StatusOr<Tensor> row = copy_row(component, component.dim(0) - attempt->remaining);
        if (!row.ok()) {
          attempt->status = row.status();
          return Progress::kComplete;
        }
        element.push_back(*std::move(row));
      }
    }
    order_->push(std::move(element));
    if (--attempt->remaining > 0) continue;
    attempt->element.clear();
    return Progress::kComplete;
  }
  return progress;
}

Queue::Progress Queue::advance_dequeue(Attempt* attempt) {
  if (closed_ && order_->size() < attempt->remaining) {
    if (const Progress progress = end_of_queue(attempt); progress != Progress::kNone) return progress;
  }
  if (options_.takes_all_at_once && !closed_ && order_->size() < std::min(attempt->remaining, options_.capacity)) {
    return Progress::kNone;
  }
  Progress progress = Progress::kNone;
  while (order_->size() > (closed_ ? 0 : options_.min_after_dequeue)) {
    progress = Progress::kSome;
    attempt->collected.push_back(order_->pop());
    if (--attempt->remaining > 0) continue;
    if (attempt->kind == Kind::kDequeue) {
      attempt->element = std::move(attempt->collected[0]);
      return Progress::kComplete;
    }
    absl::StatusOr<Element> batch = batch_of(std::move(attempt->collected));
    if (batch.ok()) attempt->element = *std::move(batch);
    else attempt->status = batch.status();
    return Progress::kComplete;
  }
  return progress;
}

// A closed queue holds fewer elements than are still asked for. None: what there is will do, and is all that is asked
// for now.
Queue::Progress Queue::end_of_queue(Attempt* attempt) {
  const int64_t size = order_->size();
  for (auto e = attempt->collected.rbegin(); e != attempt->collected.rend(); ++e) order_->restore(std::move(*e));
  attempt->collected.clear();
  if (attempt->kind == Kind::kDequeueUpTo) {
    if (order_->size() > 0) {
      attempt->remaining = order_->size();
      return Progress::kNone;
    }
    if (!enqueues_.empty()) return Progress::kSome;  // these end first
  }
  attempt->status = out_of_elements(attempt->remaining, size);
  return Progress::kComplete;
}

absl::Status Queue::out_of_elements(int64_t requested, int64_t size) const {
  return out_of_range(options_.kind, " '", options_.name, "' is closed and has insufficient elements (requested ",
                      requested, ", current size ", size, ")");
}

absl::StatusOr<Element> Queue::batch_of(std::vector<Element> elements) const {
  return options_.pads ? stack_padded(elements) : stack_rows(elements);
}

absl::StatusOr<Element> Queue::empty_batch() const {
  Element batch;
  for (size_t i = 0; i < options_.types.size(); ++i) {
    std::vector<int64_t> dims = {0};
    for (int d = 0; d < options_.shapes[i].rank(); ++d) dims.push_back(std::max<int64_t>(0, options_.shapes[i].dim(d)));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
    MR_ASSIGN_OR_RETURN(Tensor empty, make_zeroed_tensor(options_.types[i], shape));
    batch.push_back(std::move(empty));
  }
  return batch;
}

}  // namespace millrace
