#include "data/request_batcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/checked.h"
#include "data/rows.h"

namespace millrace {
namespace {

constexpr int64_t kTenYears = int64_t{315} * 1'000'000'000'000;  // in microseconds: as good as for ever

absl::StatusOr<Tensor> no_rows_of(const Tensor& tensor) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(tensor.shape(), 0, 0));
  return make_tensor(tensor.dtype(), shape);
}

}  // namespace

absl::Status check_options(const BatcherOptions& options) {
  if (options.max_running < 1) return invalid_argument("num_batch_threads must be positive; was ", options.max_running);
  if (options.max_request_rows < 1)
    return invalid_argument("input_batch_size_limit must be positive; was ", options.max_request_rows);
  if (options.timeout_micros < 0)
    return invalid_argument("batch_timeout_micros must be non-negative; was ", options.timeout_micros);
  if (options.max_enqueued_batches < 0)
    return invalid_argument("max_enqueued_batches must be non-negative; was ", options.max_enqueued_batches);
  if (options.max_batch_rows < 1 || options.max_batch_rows > options.max_request_rows)
    return invalid_argument(
        "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
        "max_execution_batch_size, which must be positive; they were ",
        options.max_request_rows, " and ", options.max_batch_rows);
  return absl::OkStatus();
}

absl::StatusOr<Tensor> concat_rows(const std::vector<Tensor>& inputs, int64_t padding) {
  const Tensor& first = inputs[0];
  if (inputs.size() == 1 && padding == 0) return first;
  CheckedInt rows = padding;
  for (const Tensor& input : inputs) {
    if (input.dtype() != first.dtype())
      return invalid_argument("Batching inputs must have equal dtypes, got ", dtype_name(first.dtype()), " and ",
                              dtype_name(input.dtype()));
    if (input.rank() != first.rank() || remove_dim(input.shape(), 0) != remove_dim(first.shape(), 0))
      return invalid_argument("Dimensions of inputs should match: shape[0] = ", first.shape(), " vs. shape[",
                              &input - inputs.data(), "] = ", input.shape());
    rows += input.dim(0);
  }
  if (padding > 0 && first.dim(0) == 0)
    return invalid_argument("Cannot use an empty tensor with zero rows as padding when batching");
  if (!rows.valid()) return invalid_argument("Batching inputs have too many rows");
  MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(first.shape(), 0, rows.value()));
  MR_ASSIGN_OR_RETURN(Tensor result, make_tensor(first.dtype(), shape));
  int64_t at = 0;
  for (const Tensor& input : inputs) {
    copy_values(input, 0, result, at, input.num_elements());
    at += input.num_elements();
  }
  const int64_t row = shape.num_elements() / std::max<int64_t>(rows.value(), 1);
  for (int64_t i = 0; i < padding && row > 0; ++i, at += row) copy_values(first, 0, result, at, row);
  return result;
}

RequestBatcher::~RequestBatcher() {
  for (const auto& [name, queue] : queues_) {
    if (queue.timer != 0) cancel_call(queue.timer);
  }
}

bool RequestBatcher::Batch::nobody_waits() const {
  return std::ranges::all_of(pieces, [](const Piece& piece) { return piece.of->ended; });
}

// --- requests come

void RequestBatcher::submit(const std::string& queue_name, Request request) {
  const auto keep = shared_from_this();
  const auto waiting = std::make_shared<Waiting>();
  waiting->rows = request.inputs[0].dim(0);
  waiting->request = std::move(request);
  absl::Status status;
  {
    const std::lock_guard lock(mutex_);  // a cancellation meanwhile waits for it, and then finds the request
    Queue& queue = queues_[queue_name];
    if (queue.batches.empty()) begin_batch(&queue);
    status = check_room(queue, waiting->rows);
    if (status.ok()) {
      const auto token = waiting->request.scope->on_cancel([this, waiting] { cancel(waiting); });
      if (token) {
        waiting->token = *token;
        enqueue(queue_name, &queue, waiting);
        start_ready();
      } else {
        status = cancelled("Batching was cancelled");
      }
    }
  }
  if (!status.ok()) waiting->request.done(std::move(status), {});
  cancel_stopped_timers();
}

absl::Status RequestBatcher::check_room(const Queue& queue, int64_t rows) const {
  if (rows > options_.max_request_rows)
    return invalid_argument("Task size ", rows, " is larger than maximum input batch size ", options_.max_request_rows);
  const auto batches = static_cast<int64_t>(queue.batches.size());
  const int64_t open = queue.batches.back()->rows;
  if (!options_.splits) {
    if (open + rows <= options_.max_request_rows || batches < options_.max_enqueued_batches) return absl::OkStatus();
    return unavailable("The batch scheduling queue to which this task was submitted is full; currently ", batches,
                       " batches enqueued and max_enqueued_batches is ", options_.max_enqueued_batches);
  }
  const int64_t more = std::max<int64_t>(0, options_.max_enqueued_batches - batches);
  const int64_t beyond_open = std::max<int64_t>(0, rows - (options_.max_batch_rows - open));
  if (beyond_open == 0 || (beyond_open - 1) / options_.max_batch_rows < more) return absl::OkStatus();
  return unavailable("The batch scheduling queue to which this task was submitted is full; task size is ", rows,
                     " (num_enqueued_batches=", batches, ", max_enqueued_batches=", options_.max_enqueued_batches,
                     ", open_batch_size=", open, ", max_execution_batch_size=", options_.max_batch_rows, ")");
}

void RequestBatcher::enqueue(const std::string& name, Queue* queue, const std::shared_ptr<Waiting>& waiting) {
  int64_t begin = 0;
  size_t part = 0;
  while (begin < waiting->rows) {
    const int64_t left = waiting->rows - begin, room = options_.max_batch_rows - queue->batches.back()->rows;
    if (room == 0 || (!options_.splits && left > room)) {
      begin_batch(queue);
      continue;
    }
    const int64_t rows = std::min(left, room);
    add(name, queue, {waiting, part++, begin, rows});
    begin += rows;
  }
  waiting->parts.resize(part);
  waiting->missing_parts = part;
}

void RequestBatcher::add(const std::string& name, Queue* queue, Piece piece) {
  Batch& open = *queue->batches.back();
  const bool is_first = open.pieces.empty();
  open.rows += piece.rows;
  open.pieces.push_back(std::move(piece));
  if (!is_first) return;
  queue->is_due = options_.timeout_micros == 0;
  if (queue->is_due) return;
  queue->timer = call_after(std::chrono::microseconds(std::min(options_.timeout_micros, kTenYears)),
                            [weak = weak_from_this(), name, number = open.number] {
                              if (const auto self = weak.lock()) self->expire(name, number);
                            });
}

void RequestBatcher::begin_batch(Queue* queue) {
  stop_timer(queue);
  queue->batches.push_back(std::make_shared<Batch>());
  queue->batches.back()->number = next_number_++;
}

void RequestBatcher::stop_timer(Queue* queue) {
  queue->is_due = false;
  if (const DeadlineToken timer = std::exchange(queue->timer, 0); timer != 0) stopped_timers_.push_back(timer);
}

// Not from the timer's thread, which would wait for itself.
void RequestBatcher::cancel_stopped_timers() {
  std::vector<DeadlineToken> stopped;
  {
    const std::lock_guard lock(mutex_);
    stopped.swap(stopped_timers_);
  }
  for (const DeadlineToken timer : stopped) cancel_call(timer);
}

void RequestBatcher::expire(const std::string& name, int64_t number) {
  const std::lock_guard lock(mutex_);
  Queue& queue = queues_[name];
  if (queue.batches.back()->number != number) return;  // it was filled just now
  queue.timer = 0;
  queue.is_due = true;
  start_ready();
}

// --- batches leave

void RequestBatcher::start_ready() {
  while (static_cast<int64_t>(running_.size()) < options_.max_running) {
    Queue* first = nullptr;
    for (auto& [name, queue] : queues_) {
      const Batch& front = *queue.batches.front();
      const bool is_ready =
          queue.batches.size() > 1 || front.rows >= options_.max_batch_rows || (queue.is_due && !front.pieces.empty());
      if (is_ready && (first == nullptr || front.number < first->batches.front()->number)) first = &queue;
    }
    if (first == nullptr) return;
    start(first);
  }
}

void RequestBatcher::start(Queue* queue) {
  if (queue->batches.size() == 1) begin_batch(queue);
  BatchPtr batch = std::move(queue->batches.front());
  queue->batches.pop_front();
  running_.push_back(batch);
  // Whoever ends a request needs the lock, so its step is still there.
  const Waiting& waiting = *batch->pieces.back().of;
  waiting.request.schedule([self = shared_from_this(), batch] { self->process(batch); });
}

int64_t RequestBatcher::padded_rows(const Batch& batch) const {
  const auto allowed = std::ranges::lower_bound(options_.allowed_rows, batch.rows);
  return allowed == options_.allowed_rows.end() ? batch.rows : *allowed;
}

absl::StatusOr<Element> RequestBatcher::gather(const Batch& batch) const {
  const size_t components = batch.pieces[0].of->request.inputs.size();
  Element gathered;
  for (size_t c = 0; c < components; ++c) {
    std::vector<Tensor> inputs;
    for (const Piece& piece : batch.pieces) {
      if (piece.of->request.inputs.size() != components)
        return invalid_argument("Batching inputs must have equal number of edges");
      MR_ASSIGN_OR_RETURN(Tensor rows, slice_rows(piece.of->request.inputs[c], piece.begin, piece.begin + piece.rows));
      inputs.push_back(std::move(rows));
    }
    MR_ASSIGN_OR_RETURN(Tensor all, concat_rows(inputs, padded_rows(batch) - batch.rows));
    gathered.push_back(std::move(all));
  }
  return gathered;
}

size_t RequestBatcher::last_awaited(const Batch& batch) const {
  const std::lock_guard lock(mutex_);
  for (size_t i = batch.pieces.size(); i-- > 0;) {
    if (!batch.pieces[i].of->ended) return i;
  }
  return batch.pieces.size() - 1;
}

void RequestBatcher::finish(const BatchPtr& batch, absl::Status status, std::vector<Element> results) {
  const auto keep = shared_from_this();
  Ended ended;
  std::vector<BatchPtr> abandoned;
  {
    const std::lock_guard lock(mutex_);
    std::erase(running_, batch);
    for (size_t i = 0; i < batch->pieces.size(); ++i) {
      const Piece& piece = batch->pieces[i];
      Waiting& waiting = *piece.of;
      if (waiting.ended) continue;
      if (status.ok()) {
        waiting.parts[piece.part] = std::move(results[i]);
        if (--waiting.missing_parts > 0) continue;
      }
      waiting.ended = true;
      if (!status.ok()) forget(piece.of, &abandoned);
      ended.emplace_back(piece.of, status);
    }
    start_ready();
  }
  cancel_stopped_timers();
  for (const BatchPtr& b : abandoned) b->scope.cancel();
  for (const auto& [waiting, s] : ended) end(*waiting, s);
}

void RequestBatcher::end(const Waiting& waiting, absl::Status status) {
  waiting.request.scope->remove(waiting.token);
  Element result;
  if (status.ok() && waiting.parts.size() == 1) result = waiting.parts[0];
  for (size_t c = 0; status.ok() && waiting.parts.size() > 1 && c < waiting.parts[0].size(); ++c) {
    std::vector<Tensor> parts;
    for (const Element& part : waiting.parts) parts.push_back(part[c]);
    absl::StatusOr<Tensor> whole = concat_rows(parts);
    if (whole.ok()) result.push_back(*std::move(whole));
    else status = whole.status();
  }
  waiting.request.done(std::move(status), std::move(result));
}

void RequestBatcher::cancel(const std::shared_ptr<Waiting>& waiting) {
  const auto keep = shared_from_this();
  std::vector<BatchPtr> abandoned;
  {
    const std::lock_guard lock(mutex_);
    if (waiting->ended) return;
    waiting->ended = true;
    forget(waiting, &abandoned);
  }
  for (const BatchPtr& batch : abandoned) batch->scope.cancel();
  waiting->request.done(cancelled("Batching was cancelled"), {});
}

// Takes an ended request out of batches that have not started.
void RequestBatcher::forget(const std::shared_ptr<Waiting>& waiting, std::vector<BatchPtr>* abandoned) {
  for (auto& [name, queue] : queues_) {
    for (const BatchPtr& batch : queue.batches) {
      std::erase_if(batch->pieces, [&](const Piece& piece) {
        if (piece.of != waiting) return false;
        batch->rows -= piece.rows;
        return true;
      });
    }
    const BatchPtr open = queue.batches.back();
    std::erase_if(queue.batches, [&](const BatchPtr& batch) { return batch != open && batch->pieces.empty(); });
    if (open->pieces.empty()) stop_timer(&queue);
  }
  for (const BatchPtr& batch : running_) {
    if (batch->nobody_waits()) abandoned->push_back(batch);
  }
}

// --- what is done with them

void GatheringBatcher::process(BatchPtr batch) {
  const size_t last = last_awaited(*batch);
  std::vector<Element> results(batch->pieces.size());
  const auto fill = [&]() -> absl::Status {
    MR_ASSIGN_OR_RETURN(Element gathered, gather(*batch));
    std::vector<int64_t> index;
    for (const Piece& piece : batch->pieces) {
      const int64_t begin = index.empty() ? 0 : index.back();
      index.insert(index.end(), {piece.of->request.id, begin, begin + piece.rows});
    }
    MR_ASSIGN_OR_RETURN(Tensor flat, make_vector<int64_t>(index));
    for (size_t i = 0; i < results.size(); ++i) {
      const Request& request = batch->pieces[i].of->request;
      const int64_t rows = i == last ? static_cast<int64_t>(results.size()) : 0;
      if (i == last) results[i] = std::move(gathered);
      for (size_t c = 0; i != last && c < request.inputs.size(); ++c) {
        MR_ASSIGN_OR_RETURN(Tensor none, no_rows_of(request.inputs[c]));
        results[i].push_back(std::move(none));
      }
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows, 3}));
      MR_ASSIGN_OR_RETURN(Tensor whose, rows > 0 ? reshaped(flat, shape) : make_tensor(DataType::kInt64, shape));
      MR_ASSIGN_OR_RETURN(Tensor id, make_scalar<int64_t>(request.id));
      results[i].push_back(std::move(whose));
      results[i].push_back(std::move(id));
    }
    return absl::OkStatus();
  };
  absl::Status status = fill();
  finish(batch, std::move(status), std::move(results));
}

void CallingBatcher::process(BatchPtr batch) {
  absl::StatusOr<Element> gathered = gather(*batch);
  if (!gathered.ok()) return finish(batch, gathered.status(), {});
  const Call call = batch->pieces[last_awaited(*batch)].of->request.call;
  CancellationScope* const scope = &batch->scope;
  call(*std::move(gathered), scope,
       [this, self = shared_from_this(), batch](absl::Status status, const Element& outputs) {
         absl::StatusOr<std::vector<Element>> results = std::vector<Element>();
         if (status.ok()) results = split(*batch, outputs);
         if (!results.ok()) return finish(batch, results.status(), {});
         finish(batch, std::move(status), *std::move(results));
       });
}

absl::StatusOr<std::vector<Element>> CallingBatcher::split(const Batch& batch, const Element& outputs) const {
  std::vector<Element> results(batch.pieces.size());
  const int64_t rows = padded_rows(batch);
  for (const Tensor& output : outputs) {
    if (output.rank() == 0) return failed_precondition("Batched output tensor has 0 dimensions");
    if (output.dim(0) != rows)
      return failed_precondition(
          "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
          "sizes of the input tensors: ",
          output.dim(0), " and ", rows);
    int64_t begin = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      MR_ASSIGN_OR_RETURN(Tensor part, copy_rows(output, begin, batch.pieces[i].rows));
      results[i].push_back(std::move(part));
      begin += batch.pieces[i].rows;
    }
  }
  return results;
}

}  // namespace millrace
