#include "data/reader.h"

#include <atomic>

#include "base/wire.h"

namespace millrace {

struct Reader::Handover {
  Request request;
  absl::Status status;
  Element element;
  std::atomic<bool> other_side_is_done{false};
};

void Reader::read(int64_t count, std::shared_ptr<Queue> queue, CancellationScope* scope, Done done) {
  Request request{.count = count, .queue = std::move(queue), .scope = scope, .done = std::move(done)};
  {
    const std::lock_guard lock(mutex_);  // a cancellation meanwhile waits for it, and then finds the request
    if (busy_) {
      request.id = next_id_++;
      if (const auto token = scope->on_cancel([this, id = request.id] { cancel(id); })) {
        request.token = *token;
        waiting_.push_back(std::move(request));
        return;
      }
    } else {
      busy_ = true;
      request.id = -1;
    }
  }
  if (request.id >= 0) return request.done(scope->status(), {});
  serve(std::move(request));
}

void Reader::cancel(int64_t id) {
  Request request;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(waiting_, id, &Request::id);
    if (found == waiting_.end()) return;
    request = std::move(*found);
    waiting_.erase(found);
  }
  request.done(request.scope->status(), {});
}

// Serves requests until one has to wait for its work unit; then whoever completes the dequeue goes on.
void Reader::serve(Request request) {
  const std::shared_ptr<Reader> keep = shared_from_this();
  while (true) {
    absl::Status status = request.scope->status();
    while (status.ok() && !read_records(&request, &status)) {
      const auto handover = std::make_shared<Handover>();
      handover->request = std::move(request);
      const std::shared_ptr<Queue> queue = handover->request.queue;
      queue->dequeue(handover->request.scope, [keep, handover](absl::Status dequeued, Element element) {
        handover->status = std::move(dequeued);
        handover->element = std::move(element);
        if (handover->other_side_is_done.exchange(true)) keep->resume(*handover);
      });
      if (!handover->other_side_is_done.exchange(true)) return;
      request = std::move(handover->request);
      status = start_work(std::move(handover->status), handover->element);
    }
    if (!status.ok()) request.records = {};
    const Done done = std::move(request.done);
    Records records = std::move(request.records);
    const bool more = take_next(&request);
    done(std::move(status), std::move(records));
    if (!more) return;
  }
}

void Reader::resume(Handover& handover) {
  Request request = std::move(handover.request);
  absl::Status status = start_work(std::move(handover.status), handover.element);
  if (status.ok()) return serve(std::move(request));
  const Done done = std::move(request.done);
  const bool more = take_next(&request);
  done(std::move(status), {});
  if (more) serve(std::move(request));
}

bool Reader::take_next(Request* request) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      busy_ = false;
      return false;
    }
    *request = std::move(waiting_.front());
    waiting_.pop_front();
  }
  request->scope->remove(request->token);
  return true;
}

// False: a work unit is needed first.
bool Reader::read_records(Request* request, absl::Status* status) {
  const std::lock_guard lock(mutex_);
  Records& records = request->records;
  while (static_cast<int64_t>(records.values.size()) < request->count) {
    if (!in_progress()) return !records.values.empty();
    if (*status = request->scope->status(); !status->ok()) return true;
    std::string key, value;
    const absl::StatusOr<WorkUnit::Result> result = unit_->read(&key, &value);
    if (*status = result.status(); !status->ok()) return true;
    if (*result != WorkUnit::Result::kEnd) {
      ++produced_;
      records.keys.push_back(std::move(key));
      records.values.push_back(std::move(value));
    }
    if (*result == WorkUnit::Result::kRecord) continue;
    finished_ = started_;
    unit_.reset();
  }
  return true;
}

absl::Status Reader::start_work(absl::Status dequeued, const Element& element) {
  const std::lock_guard lock(mutex_);
  work_.clear();
  MR_RETURN_IF_ERROR(dequeued);
  if (element.size() != 1) return invalid_argument("Expected single component queue");
  if (element[0].dtype() != DataType::kString) return invalid_argument("Expected queue with single string component");
  if (element[0].num_elements() != 1) return invalid_argument("Expected to dequeue a one-element string tensor");
  work_ = element[0].unchecked<std::string>()[0];
  MR_ASSIGN_OR_RETURN(unit_, format_->open(work_));
  ++started_;
  return absl::OkStatus();
}

int64_t Reader::num_records_produced() const {
  const std::lock_guard lock(mutex_);
  return produced_;
}

int64_t Reader::num_work_units_completed() const {
  const std::lock_guard lock(mutex_);
  return finished_;
}

absl::StatusOr<std::string> Reader::serialize_state() const {
  if (!format_->keeps_state()) return unimplemented("Reader SerializeState");
  const std::lock_guard lock(mutex_);
  std::string state;
  if (started_ != 0) append_varint_field(state, 1, static_cast<uint64_t>(started_));
  if (finished_ != 0) append_varint_field(state, 2, static_cast<uint64_t>(finished_));
  if (produced_ != 0) append_varint_field(state, 3, static_cast<uint64_t>(produced_));
  if (!work_.empty()) append_bytes_field(state, 4, work_);
  return state;
}

absl::Status Reader::restore_state(std::string_view state) {
  if (!format_->keeps_state()) {
    reset();
    return unimplemented("Reader RestoreState");
  }
  int64_t started = 0, finished = 0, produced = 0;
  std::string work;
  WireReader r(state);
  while (r.next()) {
    if (r.is(1, WireType::kVarint)) started = static_cast<int64_t>(r.varint());
    else if (r.is(2, WireType::kVarint)) finished = static_cast<int64_t>(r.varint());
    else if (r.is(3, WireType::kVarint)) produced = static_cast<int64_t>(r.varint());
    else if (r.is(4, WireType::kBytes)) work = r.bytes();
    else r.skip();
  }
  absl::Status status;
  if (!r.ok()) status = invalid_argument("Could not parse state for ", format_->name(), ".");
  else if (started < 0 || finished < 0 || produced < 0)
    status = invalid_argument("Unexpected negative value when restoring in ", format_->name(), ".");
  else if (started != finished)  // as when it was told amid a work unit
    status = invalid_argument("Inconsistent work started vs. finished when restoring in ", format_->name(), ": ",
                              started, " vs. ", finished);
  reset();
  MR_RETURN_IF_ERROR(status);
  const std::lock_guard lock(mutex_);
  started_ = started, finished_ = finished, produced_ = produced;
  work_ = std::move(work);
  return absl::OkStatus();
}

void Reader::reset() {
  const std::lock_guard lock(mutex_);
  started_ = finished_ = produced_ = 0;
  work_.clear();
  unit_.reset();
}

}  // namespace millrace
