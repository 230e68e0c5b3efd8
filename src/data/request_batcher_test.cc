// How batches come about and end. What single runs give is held against TensorFlow by tests/golden/ops.

#include "data/request_batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kLong = int64_t{3600} * 1'000'000;  // microseconds

Tensor floats(std::vector<float> values) { return Tensor(values); }

// One request and its answer, which may come from another thread.
class Ask {
 public:
  RequestBatcher::Request request(int64_t id, Element inputs, RequestBatcher::Call call = {}) {
    return {.id = id,
            .inputs = std::move(inputs),
            .call = std::move(call),
            .scope = &scope,
            .schedule = [](const std::function<void()>& work) { deferred().push_back(work); },
            .done =
                [this](absl::Status s, Element r) {
                  const std::lock_guard lock(mutex_);
                  ++calls_, status_ = std::move(s), results_ = std::move(r);
                  ended_.notify_all();
                }};
  }
  bool has_ended() const {
    const std::lock_guard lock(mutex_);
    return calls_ > 0;
  }
  absl::Status status() const {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(calls_, 1);
    return status_;
  }
  std::vector<float> values(size_t i = 0) const { return results_.at(i).to_vector<float>(); }
  const Element& results() const { return results_; }

  // What was scheduled: run when the test says so, as it may not run under the lock of the batcher.
  static std::deque<std::function<void()>>& deferred() {
    static std::deque<std::function<void()>> work;
    return work;
  }
  static void run_deferred() {
    while (!deferred().empty()) {
      const std::function<void()> work = std::move(deferred().front());
      deferred().pop_front();
      work();
    }
  }

  CancellationScope scope;

 private:
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  int calls_ = 0;
  absl::Status status_;
  Element results_;
};

BatcherOptions options(int64_t rows, int64_t timeout = kLong) {
  return {.max_request_rows = rows,
          .max_batch_rows = rows,
          .timeout_micros = timeout,
          .max_enqueued_batches = 10,
          .max_running = 1};
}

template <class Batcher> void submit(Batcher& batcher, RequestBatcher::Request request) {
  batcher->submit("", std::move(request));
  Ask::run_deferred();
}

// Twice the batch, noting how large it was.
RequestBatcher::Call twice(std::vector<int64_t>* sizes) {
  return [sizes](Element batch, CancellationScope*, const RequestBatcher::Done& done) {
    sizes->push_back(batch[0].dim(0));
    std::vector<float> values = batch[0].to_vector<float>();
    for (float& v : values) v *= 2;
    done(absl::OkStatus(), {floats(values)});
  };
}

TEST(GatheringBatcher, gives_the_batch_to_the_last_request) {
  const auto batcher = std::make_shared<GatheringBatcher>(options(3));
  Ask first, second;
  submit(batcher, first.request(7, {floats({1, 2}), Tensor(std::vector<std::string>{"a", "b"})}));
  EXPECT_FALSE(first.has_ended());
  submit(batcher, second.request(8, {floats({3}), Tensor(std::vector<std::string>{"c"})}));
  ASSERT_TRUE(first.status().ok() && second.status().ok());
  EXPECT_EQ(first.results()[0].shape(), TensorShape({0}));
  EXPECT_EQ(first.results()[2].shape(), TensorShape({0, 3}));
  EXPECT_EQ(first.results()[3].scalar<int64_t>(), 7);
  EXPECT_THAT(second.values(), ElementsAre(1, 2, 3));
  EXPECT_THAT(second.results()[1].to_vector<std::string>(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(second.results()[2].to_vector<int64_t>(), ElementsAre(7, 0, 2, 8, 2, 3));
  EXPECT_EQ(second.results()[3].scalar<int64_t>(), 8);
}

TEST(GatheringBatcher, pads_to_an_allowed_size) {
  BatcherOptions padded = options(8);
  padded.allowed_rows = {2, 5, 8};
  const auto batcher = std::make_shared<GatheringBatcher>(padded);
  Ask first, second;
  submit(batcher, first.request(1, {floats({1, 2, 3, 4, 5, 6})}));
  submit(batcher, second.request(2, {floats({7, 8, 9})}));  // does not fit: the first batch leaves without it
  EXPECT_THAT(first.values(), ElementsAre(1, 2, 3, 4, 5, 6, 1, 1));
  EXPECT_FALSE(second.has_ended());
  second.scope.cancel();
}

TEST(GatheringBatcher, goes_on_without_a_request_that_is_cancelled) {
  const auto batcher = std::make_shared<GatheringBatcher>(options(3));
  Ask gone, first, second;
  submit(batcher, gone.request(1, {floats({1, 2})}));
  gone.scope.cancel();
  EXPECT_TRUE(absl::IsCancelled(gone.status()));
  submit(batcher, first.request(2, {floats({3, 4})}));
  EXPECT_FALSE(first.has_ended());
  submit(batcher, second.request(3, {floats({5})}));
  EXPECT_THAT(second.values(), ElementsAre(3, 4, 5));
  Ask late;
  late.scope.cancel();
  submit(batcher, late.request(4, {floats({1})}));
  EXPECT_TRUE(absl::IsCancelled(late.status()));
}

TEST(GatheringBatcher, refuses_all_requests_of_a_batch_that_does_not_fit_together) {
  const auto batcher = std::make_shared<GatheringBatcher>(options(2));
  Ask first, second, third, fourth;
  submit(batcher, first.request(1, {floats({1})}));
  submit(batcher, second.request(2, {Tensor(std::vector<int32_t>{1})}));
  EXPECT_THAT(std::string(first.status().message()), HasSubstr("equal dtypes"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("equal dtypes"));
  submit(batcher, third.request(3, {floats({1})}));
  submit(batcher, fourth.request(4, {floats({1}), floats({2})}));
  EXPECT_THAT(std::string(third.status().message()), HasSubstr("equal number of edges"));
}

TEST(CallingBatcher, gives_everyone_his_own_rows) {
  const auto batcher = std::make_shared<CallingBatcher>(options(3));
  std::vector<int64_t> sizes;
  Ask first, second;
  submit(batcher, first.request(1, {floats({1, 2})}, twice(&sizes)));
  submit(batcher, second.request(2, {floats({3})}, twice(&sizes)));
  EXPECT_THAT(first.values(), ElementsAre(2, 4));
  EXPECT_THAT(second.values(), ElementsAre(6));
  EXPECT_THAT(sizes, ElementsAre(3));
}

TEST(CallingBatcher, splits_what_is_too_large) {
  BatcherOptions split = options(10);
  split.splits = true;
  split.max_batch_rows = 2;
  const auto batcher = std::make_shared<CallingBatcher>(split);
  std::vector<int64_t> sizes;
  Ask first, second, large;
  submit(batcher, first.request(1, {floats({1})}, twice(&sizes)));
  submit(batcher, second.request(2, {floats({2, 3, 4, 5})}, twice(&sizes)));
  EXPECT_THAT(first.values(), ElementsAre(2));
  EXPECT_FALSE(second.has_ended());  // its last row waits for another
  Ask third;
  submit(batcher, third.request(3, {floats({6})}, twice(&sizes)));
  EXPECT_THAT(second.values(), ElementsAre(4, 6, 8, 10));
  EXPECT_THAT(third.values(), ElementsAre(12));
  EXPECT_THAT(sizes, ElementsAre(2, 2, 2));
  submit(batcher, large.request(4, {floats(std::vector<float>(11))}, twice(&sizes)));
  EXPECT_THAT(std::string(large.status().message()),
              HasSubstr("Task size 11 is larger than maximum input batch size 10"));
}

TEST(CallingBatcher, runs_so_many_batches_at_once_and_refuses_too_many_more) {
  BatcherOptions few = options(1, 0);
  few.max_enqueued_batches = 2;
  const auto batcher = std::make_shared<CallingBatcher>(few);
  std::vector<RequestBatcher::Done> running;
  std::vector<CancellationScope*> scopes;
  const RequestBatcher::Call call = [&](Element, CancellationScope* scope, RequestBatcher::Done done) {
    running.push_back(std::move(done));
    scopes.push_back(scope);
  };
  Ask asks[4];
  for (int i = 0; i < 4; ++i) submit(batcher, asks[i].request(i, {floats({1})}, call));
  EXPECT_EQ(running.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(asks[3].status()));
  running[0](absl::OkStatus(), {floats({5})});
  Ask::run_deferred();
  EXPECT_THAT(asks[0].values(), ElementsAre(5));
  ASSERT_EQ(running.size(), 2u);
  running[1](absl::InvalidArgumentError("no"), {});
  Ask::run_deferred();
  EXPECT_EQ(asks[1].status(), absl::InvalidArgumentError("no"));
  ASSERT_EQ(running.size(), 3u);
  asks[2].scope.cancel();  // nobody else waits for this batch
  EXPECT_TRUE(absl::IsCancelled(asks[2].status()));
  EXPECT_TRUE(scopes[2]->is_cancelled());
  running[2](absl::CancelledError(""), {});
}

TEST(CallingBatcher, refuses_results_of_other_sizes) {
  const auto batcher = std::make_shared<CallingBatcher>(options(1));
  const auto with = [&](Element outputs) {
    Ask ask;
    submit(batcher, ask.request(1, {floats({1})}, [&](Element, CancellationScope*, const RequestBatcher::Done& done) {
      done(absl::OkStatus(), std::move(outputs));
    }));
    return ask.status();
  };
  EXPECT_EQ(with({Tensor(1.0f)}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(with({floats({1, 2})}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(RequestBatcher, starts_an_incomplete_batch_after_a_while) {
  const auto batcher = std::make_shared<GatheringBatcher>(options(100, 20'000));
  std::mutex mutex;
  std::condition_variable scheduled;
  std::function<void()> work;
  Ask ask;
  RequestBatcher::Request request = ask.request(1, {floats({1, 2})});
  request.schedule = [&](std::function<void()> w) {
    const std::lock_guard lock(mutex);
    work = std::move(w);
    scheduled.notify_all();
  };
  batcher->submit("", std::move(request));
  std::unique_lock lock(mutex);
  ASSERT_TRUE(scheduled.wait_for(lock, std::chrono::seconds(10), [&] { return work != nullptr; }));
  const std::function<void()> taken = std::exchange(work, nullptr);
  lock.unlock();  // the work takes the batcher's lock, under which it was scheduled
  taken();
  EXPECT_THAT(ask.values(), ElementsAre(1, 2));
}

TEST(BatcherOptions, that_make_no_sense_are_refused) {
  EXPECT_TRUE(check_options(options(1)).ok());
  const auto refused = [](auto change) {
    BatcherOptions o = options(4);
    change(o);
    return check_options(o).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](auto& o) { o.max_running = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.max_request_rows = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.max_batch_rows = 5; }));
  EXPECT_TRUE(refused([](auto& o) { o.max_batch_rows = -1; }));
  EXPECT_TRUE(refused([](auto& o) { o.timeout_micros = -1; }));
  EXPECT_TRUE(refused([](auto& o) { o.max_enqueued_batches = -1; }));
}

}  // namespace
}  // namespace millrace
