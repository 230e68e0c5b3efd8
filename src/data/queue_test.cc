#include "data/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tensor/tensor.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What an attempt ended with; `ended` stays false while it waits.
struct Result {
  bool ended = false;
  absl::Status status;
  Element element;
  std::vector<int64_t> values() const { return element.at(0).to_vector<int64_t>(); }
};

class QueueTest : public testing::Test {
 protected:
  static QueueOptions options(int64_t capacity) {
    return {.kind = "FIFOQueue",
            .name = "q",
            .capacity = capacity,
            .types = {DataType::kInt64},
            .shapes = {PartialTensorShape::scalar()}};
  }
  static std::shared_ptr<Queue> fifo(int64_t capacity) {
    return std::make_shared<Queue>(options(capacity), fifo_order());
  }

  Queue::Done into(const char* name) {
    return [this, name](absl::Status status, Element element) {
      Result& result = results_[name];
      EXPECT_FALSE(result.ended) << name << " ended twice";
      result = {true, std::move(status), std::move(element)};
    };
  }
  const Result& of(const char* name) { return results_[name]; }
  bool ended(const char* name) { return results_[name].ended; }

  void put(Queue& queue, int64_t value, const char* name) { queue.enqueue({Tensor(value)}, &scope_, into(name)); }
  void put_all(Queue& queue, std::vector<int64_t> values, const char* name) {
    queue.enqueue_many({Tensor(values)}, &scope_, into(name));
  }

  CancellationScope scope_;
  std::map<std::string, Result> results_;
};

TEST_F(QueueTest, elements_leave_in_order) {
  const auto q = fifo(10);
  put_all(*q, {1, 2, 3}, "put");
  put(*q, 4, "put one");
  EXPECT_EQ(q->size(), 4);
  q->dequeue(&scope_, into("one"));
  EXPECT_EQ(of("one").values(), std::vector<int64_t>{1});
  q->dequeue_many(3, false, &scope_, into("many"));
  EXPECT_EQ(of("many").values(), (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(of("many").element[0].shape(), TensorShape({3}));
}

TEST_F(QueueTest, attempts_wait_for_room_and_for_elements) {
  const auto q = fifo(2);
  q->dequeue_many(4, false, &scope_, into("many"));
  q->dequeue(&scope_, into("next"));
  EXPECT_FALSE(ended("many"));
  put_all(*q, {1, 2, 3, 4, 5, 6, 7, 8}, "put");  // more than there is room for: in parts
  EXPECT_EQ(of("many").values(), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(of("next").values(), std::vector<int64_t>{5});
  EXPECT_FALSE(ended("put"));
  EXPECT_EQ(q->size(), 2);
  q->dequeue(&scope_, into("last"));
  EXPECT_TRUE(ended("put"));
}

TEST_F(QueueTest, a_closed_queue_gives_what_it_holds) {
  const auto q = fifo(10);
  put_all(*q, {1, 2, 3}, "put");
  q->close(false, &scope_, into("close"));
  EXPECT_TRUE(of("close").status.ok());
  EXPECT_TRUE(q->is_closed());
  put(*q, 4, "late");
  EXPECT_EQ(of("late").status, absl::CancelledError("FIFOQueue 'q' is closed."));
  q->dequeue_many(4, false, &scope_, into("too many"));
  EXPECT_EQ(
      of("too many").status,
      absl::OutOfRangeError("FIFOQueue 'q' is closed and has insufficient elements (requested 4, current size 3)"));
  q->dequeue_many(4, true, &scope_, into("up to"));
  EXPECT_EQ(of("up to").values(), (std::vector<int64_t>{1, 2, 3}));
  q->dequeue(&scope_, into("none"));
  EXPECT_EQ(
      of("none").status,
      absl::OutOfRangeError("FIFOQueue 'q' is closed and has insufficient elements (requested 1, current size 0)"));
  q->close(false, &scope_, into("again"));
  EXPECT_EQ(of("again").status, absl::CancelledError("Queue 'q' is already closed."));
}

TEST_F(QueueTest, closing_waits_behind_pending_enqueues) {
  const auto q = fifo(1);
  put_all(*q, {1, 2}, "put");
  q->close(false, &scope_, into("close"));
  EXPECT_FALSE(ended("close"));
  EXPECT_FALSE(q->is_closed());
  q->dequeue(&scope_, into("one"));
  EXPECT_TRUE(of("put").status.ok());
  EXPECT_TRUE(ended("close"));
  q->dequeue(&scope_, into("two"));
  EXPECT_EQ(of("two").values(), std::vector<int64_t>{2});
}

TEST_F(QueueTest, closing_can_cancel_pending_enqueues) {
  const auto q = fifo(1);
  put_all(*q, {1, 2}, "put");
  q->close(true, &scope_, into("close"));
  EXPECT_TRUE(of("close").status.ok());
  EXPECT_EQ(of("put").status, absl::CancelledError("Enqueue operation was cancelled"));
  q->dequeue(&scope_, into("one"));
  EXPECT_EQ(of("one").values(), std::vector<int64_t>{1});
}

TEST_F(QueueTest, waiting_dequeues_end_when_the_queue_is_closed_and_give_back_what_they_took) {
  const auto q = fifo(10);
  q->dequeue_many(4, false, &scope_, into("many"));
  put_all(*q, {1, 2}, "put");
  EXPECT_EQ(q->size(), 0);  // the waiting batch holds them
  q->close(false, &scope_, into("close"));
  EXPECT_TRUE(absl::IsOutOfRange(of("many").status));
  q->dequeue_many(5, true, &scope_, into("up to"));
  EXPECT_EQ(of("up to").values(), (std::vector<int64_t>{1, 2}));
}

TEST_F(QueueTest, a_cancelled_scope_ends_its_attempts_only) {
  const auto q = fifo(1);
  CancellationScope step;
  q->dequeue_many(2, false, &step, into("cancelled"));
  q->dequeue(&scope_, into("other"));
  put(*q, 1, "put");
  EXPECT_FALSE(ended("other"));
  step.cancel();
  EXPECT_EQ(of("cancelled").status, absl::CancelledError("Dequeue operation was cancelled"));
  EXPECT_EQ(of("other").values(), std::vector<int64_t>{1});  // what the cancelled batch had taken
  q->dequeue(&step, into("late"));
  EXPECT_TRUE(absl::IsCancelled(of("late").status));
  put(*q, 2, "fills");
  CancellationScope second;
  q->enqueue({Tensor(int64_t{3})}, &second, into("waits"));
  second.cancel();
  EXPECT_EQ(of("waits").status, absl::CancelledError("Enqueue operation was cancelled"));
}

TEST_F(QueueTest, shuffles_as_tensorflow_does) {
  QueueOptions o = options(40);
  o.kind = "RandomShuffleQueue";
  const auto q = std::make_shared<Queue>(o, shuffled_order(87654321, 7));
  put_all(*q, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, "put");
  q->dequeue_many(8, false, &scope_, into("many"));
  EXPECT_THAT(of("many").values(), ElementsAre(7, 4, 19, 15, 0, 8, 10, 11));
  q->dequeue_many(4, false, &scope_, into("more"));
  EXPECT_THAT(of("more").values(), ElementsAre(14, 6, 16, 1));
}

TEST_F(QueueTest, so_many_stay_until_the_queue_is_closed) {
  QueueOptions o = options(40);
  o.min_after_dequeue = 2;
  const auto q = std::make_shared<Queue>(o, shuffled_order(1, 2));
  put_all(*q, {1, 2, 3}, "put");
  q->dequeue(&scope_, into("one"));
  q->dequeue(&scope_, into("two"));
  EXPECT_TRUE(ended("one"));
  EXPECT_FALSE(ended("two"));
  q->close(false, &scope_, into("close"));
  EXPECT_TRUE(of("two").status.ok());
  EXPECT_EQ(q->size(), 1);
}

TEST_F(QueueTest, the_smallest_priority_leaves_first) {
  QueueOptions o = options(10);
  o.types = {DataType::kInt64, DataType::kString};
  o.shapes = {PartialTensorShape::scalar(), PartialTensorShape::scalar()};
  const auto q = std::make_shared<Queue>(o, priority_order());
  q->enqueue_many({Tensor(std::vector<int64_t>{5, 1, 3}), Tensor(std::vector<std::string>{"five", "one", "three"})},
                  &scope_, into("put"));
  q->dequeue_many(3, false, &scope_, into("many"));
  EXPECT_EQ(of("many").element[0].to_vector<int64_t>(), (std::vector<int64_t>{1, 3, 5}));
  EXPECT_THAT(of("many").element[1].to_vector<std::string>(), ElementsAre("one", "three", "five"));
}

TEST_F(QueueTest, batches_are_padded) {
  QueueOptions o = options(10);
  o.pads = true;
  o.shapes = {PartialTensorShape({-1, -1})};
  const auto q = std::make_shared<Queue>(o, fifo_order());
  const auto enqueue = [&](const TensorShape& shape, std::vector<int64_t> values) {
    q->enqueue({Tensor(shape, values)}, &scope_, [](absl::Status status, Element) { EXPECT_TRUE(status.ok()); });
  };
  enqueue({1, 3}, {1, 2, 3});
  enqueue({2, 1}, {4, 5});
  enqueue({0, 2}, {});
  q->dequeue_many(3, false, &scope_, into("many"));
  EXPECT_EQ(of("many").element[0].shape(), TensorShape({3, 2, 3}));
  EXPECT_THAT(of("many").values(), ElementsAre(1, 2, 3, 0, 0, 0, /**/ 4, 0, 0, 5, 0, 0, /**/ 0, 0, 0, 0, 0, 0));
  q->dequeue_many(0, false, &scope_, into("nothing"));
  EXPECT_EQ(of("nothing").element[0].shape(), TensorShape({0, 0, 0}));
}

TEST_F(QueueTest, what_does_not_fit_is_refused) {
  const auto q = fifo(10);
  const auto message = [&](Element element, bool many) {
    std::string text;
    const Queue::Done done = [&](absl::Status status, Element) { text = std::string(status.message()); };
    if (many) q->enqueue_many(std::move(element), &scope_, done);
    else q->enqueue(std::move(element), &scope_, done);
    return text;
  };
  EXPECT_EQ(message({}, false), "Wrong number of components in tuple. Expected 1, got 0");
  EXPECT_EQ(message({Tensor(1.0f)}, false), "Type mismatch in tuple component 0. Expected int64, got float");
  EXPECT_EQ(message({Tensor(std::vector<int64_t>{1, 2})}, false),
            "Shape mismatch in tuple component 0. Expected [], got [2]");
  EXPECT_THAT(message({Tensor(int64_t{1})}, true), HasSubstr("at least one dimension"));
  EXPECT_THAT(message({Tensor(TensorShape({2, 1}), std::vector<int64_t>{1, 2})}, true), HasSubstr("Shape mismatch"));
  EXPECT_EQ(message({Tensor(TensorShape({0}), std::vector<int64_t>{})}, true), "");  // nothing to add
  QueueOptions unspecified = options(10);
  unspecified.shapes = {};
  Queue any(unspecified, fifo_order());
  any.dequeue_many(1, false, &scope_, into("many"));
  EXPECT_THAT(std::string(of("many").status.message()), HasSubstr("specified shapes"));
}

TEST_F(QueueTest, threads_meet) {
  const auto q = fifo(3);
  constexpr int64_t kEach = 2000;
  std::atomic<int64_t> sum = 0, got = 0, put = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int64_t i = 1; i <= kEach; ++i) q->enqueue({Tensor(i)}, &scope_, [&](absl::Status, Element) { ++put; });
    });
    threads.emplace_back([&] {
      for (int64_t i = 0; i < kEach; ++i) {
        q->dequeue(&scope_, [&](absl::Status status, Element element) {
          if (status.ok()) sum += element[0].scalar<int64_t>();
          ++got;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(put, 2 * kEach);
  EXPECT_EQ(got, 2 * kEach);
  EXPECT_EQ(sum, kEach * (kEach + 1));
}

}  // namespace
}  // namespace millrace
