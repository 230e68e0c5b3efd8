// Runs that go on after their caller has returned, and runs in parts.

#include "runtime/partial_run.h"

#include <condition_variable>
#include <future>
#include <optional>
#include <thread>

#include "gmock/gmock.h"
#include "runtime/testing_graph.h"

namespace millrace {
namespace {

using testing::HasSubstr;

struct Answer {
  absl::Status status;
  std::vector<Tensor> values;
};

// Where a callback leaves what it was given.
class Mailbox {
 public:
  auto callback() {
    return [this](absl::Status status, std::vector<Tensor> values, auto&&...) {
      const std::lock_guard lock(mutex_);
      ++calls_;
      answer_ = {std::move(status), std::move(values)};
      changed_.notify_all();
    };
  }
  bool is_empty() {
    const std::lock_guard lock(mutex_);
    return calls_ == 0;
  }
  Answer take() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return calls_ > 0; })) << "no answer";
    EXPECT_LE(calls_, 1);
    return answer_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  Answer answer_;
};

struct QueueGraph : TestGraph {
  Output queue = op("FIFOQueueV2", {}, {{"component_types", std::vector<DataType>{DataType::kInt32}}});
  Output value = placeholder(DataType::kInt32, {});
  Node* enqueue = node("QueueEnqueueV2", {queue, std::vector<Input>{value}});
  Output dequeue = op("QueueDequeueV2", {queue}, {{"component_types", std::vector<DataType>{DataType::kInt32}}});
};

TEST(AsyncRun, pending_steps_hold_no_thread) {
  QueueGraph g;
  const auto session = g.session();
  const auto dequeue = *session->make_callable({}, std::vector<Output>{g.dequeue}, {});
  constexpr int kSteps = 200;
  std::vector<Mailbox> mail(kSteps);
  for (Mailbox& m : mail) dequeue->new_run({})->start({}, m.callback());  // all from this thread
  for (Mailbox& m : mail) EXPECT_TRUE(m.is_empty());
  int32_t sum = 0, wanted = 0;
  for (int32_t i = 0; i < kSteps; ++i) {
    wanted += i;
    ASSERT_TRUE(run_all(*session, {}, {{g.value, Tensor(i)}}, {g.enqueue}).ok());
  }
  for (Mailbox& m : mail) {
    const Answer answer = m.take();
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    sum += answer.values[0].scalar<int32_t>();
  }
  EXPECT_EQ(sum, wanted);
}

TEST(AsyncRun, ends_by_cancel_timeout_and_close) {
  QueueGraph g;
  const auto session = g.session();
  const auto dequeue = *session->make_callable({}, std::vector<Output>{g.dequeue}, {});
  Mailbox cancelled_mail, timed_out, closed, late;
  const auto run = dequeue->new_run({});
  run->start({}, cancelled_mail.callback());
  run->cancel(cancelled("enough"));
  EXPECT_EQ(cancelled_mail.take().status.code(), absl::StatusCode::kCancelled);

  dequeue->new_run({.timeout_in_ms = 20})->start({}, timed_out.callback());
  EXPECT_EQ(timed_out.take().status.code(), absl::StatusCode::kDeadlineExceeded);

  dequeue->new_run({})->start({}, closed.callback());
  session->close();
  EXPECT_EQ(closed.take().status.code(), absl::StatusCode::kCancelled);
  dequeue->new_run({})->start({}, late.callback());
  EXPECT_EQ(late.take().status.code(), absl::StatusCode::kCancelled);
}

TEST(AsyncRun, checks_feeds_and_reports) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kFloat, {2});
  const auto callable =
      *g.session()->make_callable(std::vector<Output>{x}, std::vector<Output>{g.op("Square", {x})}, {});
  Mailbox wrong, right;
  callable->new_run({})->start({Tensor(std::vector<float>{1, 2, 3})}, wrong.callback());
  EXPECT_THAT(message(wrong.take().status), HasSubstr("Cannot feed value of shape (3,)"));
  RunReport report;
  callable->new_run({.trace = true, .output_partition_graphs = true})
      ->start({Tensor(std::vector<float>{2, 3})}, [&](absl::Status status, std::vector<Tensor> values, RunReport r) {
        report = std::move(r);
        right.callback()(status, values);
      });
  EXPECT_EQ(right.take().values[0].to_vector<float>()[1], 9);
  EXPECT_EQ(report.nodes.size(), 1u);
  EXPECT_EQ(report.partition_graphs.size(), 1u);
}

// r1 = a + b, r2 = r1 * c, as in TensorFlow's documentation.
struct Parts : TestGraph {
  Output a = placeholder(DataType::kFloat, {}, "a"), b = placeholder(DataType::kFloat, {}, "b"),
         c = placeholder(DataType::kFloat, {}, "c");
  Output r1 = op("Add", {a, b}, {}, "r1"), r2 = op("Mul", {r1, c}, {}, "r2");
  std::shared_ptr<SessionCore> core = session();

  std::shared_ptr<PartialRun> setup() {
    auto run = core->partial_run_setup(std::vector<Output>{a, b, c}, std::vector<Output>{r1, r2}, {});
    EXPECT_TRUE(run.ok()) << run.status();
    return *run;
  }
};

Answer ask(PartialRun& run, std::vector<std::pair<int, Tensor>> feeds, std::vector<int> fetches) {
  Mailbox mail;
  run.run(std::move(feeds), std::move(fetches), mail.callback());
  return mail.take();
}

TEST(PartialRun, gives_what_can_be_had_so_far) {
  Parts g;
  for (int i = 0; i < 3; ++i) {
    const auto run = g.setup();
    EXPECT_FALSE(run->is_over());
    const Answer first = ask(*run, {{0, Tensor(1.0f)}, {1, Tensor(2.0f)}}, {0});
    ASSERT_TRUE(first.status.ok()) << first.status;
    EXPECT_EQ(first.values[0].scalar<float>(), 3);
    const Answer second = ask(*run, {{2, Tensor(17.0f)}}, {1});
    ASSERT_TRUE(second.status.ok()) << second.status;
    EXPECT_EQ(second.values[0].scalar<float>(), 51);
    EXPECT_TRUE(run->is_over());
  }
}

TEST(PartialRun, refuses_what_it_cannot_have_and_goes_on) {
  Parts g;
  const auto run = g.setup();
  EXPECT_THAT(message(ask(*run, {{0, Tensor(1.0f)}}, {1}).status),
              HasSubstr("Fetch r2:0 can't be computed from the feeds that have been fed so far."));
  EXPECT_TRUE(ask(*run, {{0, Tensor(1.0f)}}, {}).status.ok());
  EXPECT_THAT(message(ask(*run, {{0, Tensor(1.0f)}}, {}).status), HasSubstr("The feed a:0 has already been fed."));
  EXPECT_THAT(message(ask(*run, {{1, Tensor(int32_t{1})}}, {}).status), HasSubstr("to be float but int32 is provided"));
  EXPECT_EQ(ask(*run, {{1, Tensor(4.0f)}}, {0}).values[0].scalar<float>(), 5);
  EXPECT_THAT(message(ask(*run, {}, {0}).status), HasSubstr("The fetch r1:0 has already been fetched."));
  EXPECT_EQ(ask(*run, {{2, Tensor(2.0f)}}, {1}).values[0].scalar<float>(), 10);
}

TEST(PartialRun, ends_with_its_session) {
  Parts g;
  const auto run = g.setup();
  EXPECT_TRUE(ask(*run, {{0, Tensor(1.0f)}}, {}).status.ok());
  g.core->close();
  EXPECT_EQ(ask(*run, {{1, Tensor(1.0f)}}, {0}).status.code(), absl::StatusCode::kCancelled);
}

TEST(PartialRun, errors_of_a_step_end_it) {
  TestGraph g;
  const Output a = g.placeholder(DataType::kInt32, {}, "a"), b = g.placeholder(DataType::kInt32, {}, "b");
  const Output quotient = g.op("FloorDiv", {g.constant(Tensor(int32_t{1})), a}, {}, "q"), other = g.op("Neg", {b});
  const auto session = g.session();
  const auto run = *session->partial_run_setup(std::vector<Output>{a, b}, std::vector<Output>{quotient, other}, {});
  EXPECT_THAT(message(ask(*run, {{0, Tensor(int32_t{0})}}, {0}).status), HasSubstr("{{node q}}"));
  EXPECT_FALSE(ask(*run, {{1, Tensor(int32_t{1})}}, {1}).status.ok());
}

TEST(SessionCore, sessions_may_share_resources) {
  TestGraph g;
  const Output v = g.variable(DataType::kFloat, {});
  Node* const init = g.node("Assign", {v, g.constant(Tensor(3.0f))});
  const auto shared = std::make_shared<ResourceManager>();
  const auto other = g.session({.resources = shared});
  {
    const auto first = g.session({.resources = shared});
    ASSERT_TRUE(run_all(*first, {}, {}, {init}).ok());
    first->close();
  }
  EXPECT_EQ(*run_scalar<float>(*other, v), 3);
  shared->clear();
  EXPECT_THAT(message(run_scalar<float>(*g.session({.resources = shared}), v)), HasSubstr("uninitialized value v"));
}

}  // namespace
}  // namespace millrace
