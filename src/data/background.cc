#include "data/background.h"

#include <algorithm>
#include <deque>
#include <thread>

#include "base/thread_pool.h"

namespace millrace {
namespace {

constexpr int64_t kAutotunedBuffer = 8;
constexpr int64_t kMaxThreads = 256;

// What a stage has made ahead.
struct Result {
  absl::Status status;
  Element element;
  bool end = false;
};

absl::Status hand_out(Result result, Element* element, bool* end) {
  MR_RETURN_IF_ERROR(result.status);
  *end = result.end;
  *element = std::move(result.element);
  return absl::OkStatus();
}

class PrefetchIterator final : public DatasetIterator {
 public:
  PrefetchIterator(IteratorPtr input, int64_t buffer_size)
      : input_(std::move(input)), limit_(static_cast<size_t>(buffer_size)) {}
  ~PrefetchIterator() override {
    scope_.cancel();
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      room_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    std::unique_lock lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    if (buffer_.empty() && !ended_) {
      waiting_ = true;
      const absl::Status status =
          wait_until(lock, filled_, ctx.cancellation, [&] { return !buffer_.empty() || ended_; });
      waiting_ = false;
      MR_RETURN_IF_ERROR(status);
    }
    if (buffer_.empty()) {
      *end = true;
      return absl::OkStatus();
    }
    Result result = std::move(buffer_.front());
    buffer_.pop_front();
    // Waking the other side costs more than a small element: it is woken for half a buffer at a time.
    if (buffer_.size() <= limit_ / 2) room_.notify_one();
    lock.unlock();
    return hand_out(std::move(result), element, end);
  }

  bool is_ready() const override {
    std::lock_guard lock(mutex_);
    return !buffer_.empty() || ended_;
  }

  absl::Status save(StateWriter writer) override {
    std::lock_guard input(input_mutex_);
    std::lock_guard lock(mutex_);
    writer.put("ended", ended_);
    writer.put("buffer", static_cast<int64_t>(buffer_.size()));
    for (size_t i = 0; i < buffer_.size(); ++i) {
      writer.put(str_cat("status[", i, "]"), buffer_[i].status);
      writer.put(str_cat("buffer[", i, "]"), buffer_[i].element);
    }
    return input_->save(writer.nested("input"));
  }

  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    std::lock_guard lock(mutex_);
    MR_ASSIGN_OR_RETURN(const int64_t ended, reader.get_bounded("ended", 1));
    ended_ = ended != 0;
    MR_ASSIGN_OR_RETURN(const int64_t size, reader.get_bounded("buffer", static_cast<int64_t>(limit_)));
    for (int64_t i = 0; i < size; ++i) {
      Result result;
      MR_RETURN_IF_ERROR(reader.get_status(str_cat("status[", i, "]"), &result.status));
      MR_ASSIGN_OR_RETURN(result.element, reader.get_element(str_cat("buffer[", i, "]")));
      buffer_.push_back(std::move(result));
    }
    return input_->restore(ctx, reader.nested("input"));
  }

 private:
  void run() {
    name_this_thread("prefetch");
    IterationContext ctx{&scope_};
    while (true) {
      {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stopping_ || ended_ || buffer_.size() < limit_; });
        if (stopping_ || ended_) return;
      }
      std::lock_guard input(input_mutex_);
      Result result;
      result.status = input_->get_next(ctx, &result.element, &result.end);
      std::lock_guard lock(mutex_);
      if (result.status.ok() && result.end) ended_ = true;
      else buffer_.push_back(std::move(result));
      if (waiting_) filled_.notify_all();
    }
  }

  CancellationScope scope_;  // of the thread's work; ends with the iterator
  // Held from taking an element to storing it, so that a saved state loses none. Taken before mutex_.
  std::mutex input_mutex_;
  IteratorPtr input_;
  const size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<Result> buffer_;
  bool ended_ = false, stopping_ = false, waiting_ = false;
  std::thread thread_;  // started by the first call
};

class PrefetchDataset final : public Dataset {
 public:
  PrefetchDataset(DatasetPtr input, int64_t buffer_size)
      : Dataset(input->spec(), {input.get()}), input_(std::move(input)), buffer_size_(buffer_size) {}
  std::string_view name() const override { return "Prefetch"; }
  int64_t cardinality() const override { return input_->cardinality(); }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return prefetch_iterator(std::move(input), buffer_size_);
  }

 private:
  DatasetPtr input_;
  int64_t buffer_size_;
};

class ParallelMapIterator final : public DatasetIterator {
 public:
  ParallelMapIterator(IteratorPtr input, FunctionPtr function, MapOptions options)
      : input_(std::move(input)),
        function_(std::move(function)),
        options_(options),
        num_threads_(static_cast<size_t>(std::min(
            kMaxThreads, options.num_parallel_calls < 0 ? default_parallelism() : options.num_parallel_calls))),
        // More than there are calls at once, so that threads are woken for many elements at a time.
        capacity_(std::max<size_t>(2 * num_threads_, 16)) {}
  ~ParallelMapIterator() override {
    scope_.cancel();
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      room_.notify_all();
    }
    for (std::thread& t : threads_) t.join();
  }

  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    std::unique_lock lock(mutex_);
    start_threads();
    if (!has_next()) {
      waiting_ = true;
      const absl::Status status = wait_until(lock, finished_, ctx.cancellation, [&] { return has_next(); });
      waiting_ = false;
      MR_RETURN_IF_ERROR(status);
    }
    const auto it = next_call();
    if (it == calls_.end()) {
      *end = true;
      return absl::OkStatus();
    }
    Result result = std::move((*it)->result);
    calls_.erase(it);
    if (calls_.size() <= capacity_ / 2) room_.notify_all();
    lock.unlock();
    return hand_out(std::move(result), element, end);
  }

  bool is_ready() const override {
    std::lock_guard lock(mutex_);
    return has_next();
  }

  absl::Status save(StateWriter writer) override {
    std::unique_lock lock(mutex_);
    paused_ = true;
    idle_.wait(lock, [&] { return !fetching_ && running_ == 0; });
    function_->note_state(writer);
    writer.put("input_ended", input_ended_);
    writer.put("calls", static_cast<int64_t>(calls_.size()));
    for (size_t i = 0; i < calls_.size(); ++i) {
      writer.put(str_cat("end[", i, "]"), calls_[i]->result.end);
      writer.put(str_cat("status[", i, "]"), calls_[i]->result.status);
      writer.put(str_cat("result[", i, "]"), calls_[i]->result.element);
    }
    const absl::Status status = input_->save(writer.nested("input"));
    paused_ = false;
    room_.notify_all();
    return status;
  }

  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    std::lock_guard lock(mutex_);
    MR_ASSIGN_OR_RETURN(const int64_t ended, reader.get_bounded("input_ended", 1));
    input_ended_ = ended != 0;
    MR_ASSIGN_OR_RETURN(const int64_t size, reader.get_bounded("calls", INT32_MAX));
    for (int64_t i = 0; i < size; ++i) {
      auto call = std::make_shared<Call>();
      call->done = true;
      MR_ASSIGN_OR_RETURN(const int64_t end, reader.get_bounded(str_cat("end[", i, "]"), 1));
      call->result.end = end != 0;
      MR_RETURN_IF_ERROR(reader.get_status(str_cat("status[", i, "]"), &call->result.status));
      MR_ASSIGN_OR_RETURN(call->result.element, reader.get_element(str_cat("result[", i, "]")));
      calls_.push_back(std::move(call));
    }
    return input_->restore(ctx, reader.nested("input"));
  }

 private:
  struct Call {
    Result result;
    bool done = false;
  };
  using Calls = std::deque<std::shared_ptr<Call>>;

  void start_threads() {
    if (!threads_.empty()) return;
    for (size_t i = 0; i < num_threads_; ++i) threads_.emplace_back([this] { run(); });
  }

  // The call whose result goes out next: the oldest, or, where order does not matter, any that is done.
  Calls::const_iterator next_call() const {
    if (options_.deterministic) return calls_.begin();
    const auto done = std::find_if(calls_.begin(), calls_.end(), [](const auto& call) { return call->done; });
    return done == calls_.end() ? calls_.begin() : done;
  }
  bool has_next() const {
    if (calls_.empty()) return input_ended_;
    return (*next_call())->done;
  }

  void run() {
    name_this_thread("parallel_map");
    IterationContext ctx{&scope_};
    std::unique_lock lock(mutex_);
    while (true) {
      room_.wait(lock,
                 [&] { return stopping_ || input_ended_ || (!fetching_ && !paused_ && calls_.size() < capacity_); });
      if (stopping_ || input_ended_) return;
      fetching_ = true;  // input_ is this thread's until it is false again
      lock.unlock();
      auto call = std::make_shared<Call>();
      Element element;
      bool end = false;
      const absl::Status status = input_->get_next(ctx, &element, &end);
      lock.lock();
      fetching_ = false;
      if (status.ok() && end) {
        input_ended_ = true;
        room_.notify_all();
        finished_.notify_all();
        idle_.notify_all();
        return;
      }
      calls_.push_back(call);
      if (!status.ok()) {
        finish(*call, {status, {}, false});
        continue;
      }
      ++running_;
      if (calls_.size() < capacity_) room_.notify_one();
      lock.unlock();
      Result result;
      absl::StatusOr<Element> mapped =
          call_map_function(*function_, options_, std::move(element), &scope_, &result.end);
      if (mapped.ok()) result.element = *std::move(mapped);
      else result.status = mapped.status();
      lock.lock();
      --running_;
      finish(*call, std::move(result));
    }
  }

  // Under the lock.
  void finish(Call& call, Result result) {
    call.result = std::move(result);
    call.done = true;
    if (waiting_ && has_next()) finished_.notify_all();
    idle_.notify_all();
  }

  CancellationScope scope_;
  IteratorPtr input_;  // of the thread that set fetching_
  const FunctionPtr function_;
  const MapOptions options_;
  const size_t num_threads_, capacity_;

  mutable std::mutex mutex_;
  std::condition_variable room_, finished_, idle_;
  Calls calls_;  // in the order of their elements
  int running_ = 0;
  bool fetching_ = false, input_ended_ = false, stopping_ = false, waiting_ = false, paused_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

int default_parallelism() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

IteratorPtr prefetch_iterator(IteratorPtr input, int64_t buffer_size) {
  return std::make_unique<PrefetchIterator>(std::move(input),
                                            buffer_size < 0 ? kAutotunedBuffer : std::min(buffer_size, INT64_MAX / 2));
}

absl::StatusOr<DatasetPtr> prefetch_dataset(DatasetPtr input, int64_t buffer_size) {
  if (buffer_size < -1) return invalid_argument("buffer_size must be >= 0 or set buffer_size to be -1 for auto-tuning");
  if (buffer_size == 0) return input;
  return std::make_shared<PrefetchDataset>(std::move(input), buffer_size);
}

IteratorPtr parallel_map_iterator(IteratorPtr input, FunctionPtr function, MapOptions options) {
  return std::make_unique<ParallelMapIterator>(std::move(input), std::move(function), options);
}

absl::StatusOr<Element> call_map_function(const CapturedFunction& function, const MapOptions& options, Element element,
                                          CancellationScope* cancellation, bool* end) {
  absl::StatusOr<Element> result = function.run(std::move(element), cancellation);
  if (result.ok() || !absl::IsOutOfRange(result.status())) return result;
  if (options.preserve_cardinality)
    return invalid_argument("Function invocation produced OutOfRangeError: ", to_std(result.status().message()));
  *end = true;
  return Element{};
}

}  // namespace millrace
