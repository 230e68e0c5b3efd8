#include "millrace/train/queue_runner.h"

#include "api/train/testing.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/queue_runner.pb.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using QueueRunnerTest = SupervisionTest;

FIFOQueue make_queue(int64_t capacity) {
  return FIFOQueue(capacity, {int64}, {.shapes = {PartialTensorShape::scalar()}});
}

// The numbers 0, 1, ... of a dataset, put into a queue.
Operation count_into(const QueueBase& queue, int64_t limit) {
  return queue.enqueue({data::Dataset::range(limit).make_one_shot_iterator().get_next<1>()[0]});
}

TEST_F(QueueRunnerTest, operations_have_tensorflows_names) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue(3, {float32}, {.shapes = {PartialTensorShape::scalar()}});
  queue.enqueue({1.0});
  queue.enqueue_many({std::vector<float>{1, 2}});
  EXPECT_EQ(queue.dequeue_many(2)[0].shape(), PartialTensorShape({2}));
  EXPECT_EQ(queue.dequeue()[0].shape(), PartialTensorShape::scalar());
  EXPECT_EQ(queue.dequeue_up_to(2)[0].shape(), PartialTensorShape({-1}));
  queue.size();
  queue.is_closed();
  queue.close();
  std::vector<std::string> names;
  for (const Operation& op : get_default_graph().get_operations()) names.push_back(op.name());
  EXPECT_THAT(names,
              ElementsAre("fifo_queue", "fifo_queue_enqueue/component_0", "fifo_queue_enqueue",
                          "fifo_queue_EnqueueMany/component_0", "fifo_queue_EnqueueMany", "fifo_queue_DequeueMany/n",
                          "fifo_queue_DequeueMany", "fifo_queue_Dequeue", "fifo_queue_DequeueUpTo/n",
                          "fifo_queue_DequeueUpTo", "fifo_queue_Size", "fifo_queue_Is_Closed", "fifo_queue_Close"));
  EXPECT_THROW(queue.enqueue({1.0, 2.0}), errors::InvalidArgumentError);
}

TEST_F(QueueRunnerTest, one_thread_runs_a_dequeue_that_waits_and_the_enqueue_it_waits_for) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue = make_queue(10);
  const Output value = queue.dequeue()[0];
  const Operation put = queue.enqueue({7});
  Session session;
  EXPECT_EQ(session.run({value, put})[0].scalar<int64_t>(), 7);
}

TEST_F(QueueRunnerTest, a_timeout_or_a_closed_session_ends_a_dequeue) {
  auto as_default = Graph().as_default();
  const Output value = make_queue(10).dequeue()[0];
  Session session;
  EXPECT_THROW(session.run(value, {}, {.timeout_in_ms = 20}), errors::DeadlineExceededError);
  Thread runner("runner", [&] { EXPECT_THROW(session.run(value), errors::CancelledError); });
  runner.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  session.close();
  EXPECT_TRUE(runner.join_for(std::chrono::seconds(20)));
}

// The scenario "queue_runner_coordinator" of TensorFlow's traces.
TEST_F(QueueRunnerTest, runs_until_the_input_ends) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue = make_queue(10);
  const QueueRunner runner(queue, {count_into(queue, 5)});
  add_queue_runner(runner);
  const Output value = queue.dequeue()[0];
  EXPECT_EQ(runner.name(), "fifo_queue");
  EXPECT_EQ(runner.enqueue_ops()[0].name(), "fifo_queue_enqueue");
  EXPECT_EQ(runner.close_op().name(), "fifo_queue_Close");
  EXPECT_EQ(runner.cancel_op().name(), "fifo_queue_Close_1");

  Coordinator coord;
  Session session;
  std::vector<Thread> threads = start_queue_runners(session, &coord);
  ASSERT_EQ(threads.size(), 2u);
  EXPECT_EQ(threads[0].name(), "QueueRunnerThread-fifo_queue-fifo_queue_enqueue");
  EXPECT_EQ(threads[1].name(), "QueueRunnerThread-fifo_queue-close_on_stop");
  std::vector<int64_t> values;
  try {
    while (!coord.should_stop()) values.push_back(session.run(value).scalar<int64_t>());
  } catch (const errors::OutOfRangeError& e) {
    trace().push_back("OutOfRangeError");
    EXPECT_THAT(e.what(), HasSubstr("is closed and has insufficient elements (requested 1, current size 0)"));
  }
  coord.request_stop();
  coord.join(threads);
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(trace(), ElementsAre("OutOfRangeError"));
  EXPECT_THAT(log(), ElementsAre());
}

TEST_F(QueueRunnerTest, stopping_cancels_enqueues_that_wait) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue = make_queue(2);
  const Operation put = queue.enqueue({1});
  const QueueRunner runner(queue, {put, put});
  Coordinator coord;
  Session session;
  const std::vector<Thread> threads = runner.create_threads(session, &coord, true);
  EXPECT_EQ(threads.size(), 3u);
  EXPECT_TRUE(runner.create_threads(session, &coord, true).empty());  // those are running still
  coord.request_stop();
  EXPECT_NO_THROW(coord.join(threads, {.stop_grace_period_secs = 20}));
}

TEST_F(QueueRunnerTest, an_error_goes_to_the_coordinator_or_is_kept) {
  auto as_default = Graph().as_default();
  const FIFOQueue queue = make_queue(2);
  const Variable never = get_variable("never", GetVariableOptions{.initializer = Tensor(int64_t{1})});
  const QueueRunner runner(queue, {queue.enqueue({never})});
  Session session;
  {
    Coordinator coord;
    const std::vector<Thread> threads = runner.create_threads(session, &coord, true);
    EXPECT_THAT(error_of<errors::FailedPreconditionError>([&] { coord.join(threads); }), HasSubstr("never"));
    EXPECT_TRUE(runner.exceptions_raised().empty());
  }
  for (const Thread& thread : runner.create_threads(session, nullptr, true)) thread.join();
  EXPECT_EQ(runner.exceptions_raised().size(), 1u);
  EXPECT_THAT(log().back(), HasSubstr("Exception in QueueRunner: "));
}

TEST_F(QueueRunnerTest, survives_in_a_meta_graph) {
  tensorflow::MetaGraphDef meta;
  {
    auto as_default = Graph().as_default();
    const FIFOQueue queue = make_queue(10);
    add_queue_runner(
        QueueRunner(queue, {count_into(queue, 2)},
                    {.queue_closed_exception_types = {errors::Code::kOutOfRange, errors::Code::kCancelled}}));
    queue.dequeue({.name = "value"});
    meta = export_meta_graph();
  }
  auto as_default = Graph().as_default();
  import_meta_graph(meta);
  Coordinator coord;
  Session session;
  const std::vector<Thread> threads = start_queue_runners(session, &coord);
  ASSERT_EQ(threads.size(), 2u);
  EXPECT_EQ(session.run("value:0").scalar<int64_t>(), 0);
  coord.request_stop();
  coord.join(threads);
}

TEST_F(QueueRunnerTest, a_monitored_session_starts_and_stops_them) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const FIFOQueue queue = make_queue(2);
  add_queue_runner(QueueRunner(queue, {count_into(queue, 3)}));
  const Output value = queue.dequeue()[0];
  int runs = 0;
  {
    MonitoredSession session({.hooks = {Tracer("A")}});
    while (!session.should_stop()) {
      if (session.run(value.op())) ++runs;
    }
  }
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(trace().back(), "A.end");
}

TEST_F(QueueRunnerTest, an_error_of_a_runner_leaves_the_monitored_session) {
  auto as_default = Graph().as_default();
  get_or_create_global_step();
  const FIFOQueue queue = make_queue(2);
  const Variable zero = get_variable("zero", GetVariableOptions{.initializer = Tensor(int64_t{0})});
  add_queue_runner(QueueRunner(queue, {queue.enqueue({floordiv(1, zero)})}));
  EXPECT_THROW(
      {
        MonitoredSession session({.hooks = {Tracer("A")}});
        while (!session.should_stop()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      },
      errors::InvalidArgumentError);
  EXPECT_EQ(trace().back(), "A.end");
}

TEST_F(QueueRunnerTest, without_runners_there_is_a_warning) {
  auto as_default = Graph().as_default();
  EXPECT_TRUE(start_queue_runners(Session()).empty());
  EXPECT_THAT(log(), ElementsAre(HasSubstr("no queue runners")));
  const FIFOQueue queue = make_queue(1);
  EXPECT_THROW(QueueRunner(queue, {}), errors::InvalidArgumentError);
}

}  // namespace
}  // namespace millrace::train
