#include "millrace/train/coordinator.h"

#include "api/train/testing.h"

namespace millrace::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using CoordinatorTest = SupervisionTest;

// A thread that runs until the coordinator stops.
Thread waiter(Coordinator& coord, const std::string& name) {
  Thread thread(name, [&coord] { coord.wait_for_stop(); });
  thread.start();
  return thread;
}

TEST_F(CoordinatorTest, stops_all_threads) {
  Coordinator coord;
  const std::vector<Thread> threads = {waiter(coord, "a"), waiter(coord, "b")};
  EXPECT_FALSE(coord.should_stop());
  EXPECT_FALSE(coord.wait_for_stop(std::chrono::milliseconds(1)));
  EXPECT_TRUE(threads[0].is_alive());
  coord.request_stop();
  EXPECT_TRUE(coord.should_stop());
  EXPECT_TRUE(coord.wait_for_stop());
  coord.join(threads);
  EXPECT_TRUE(coord.joined());
  EXPECT_FALSE(threads[0].is_alive() || threads[1].is_alive());
}

TEST_F(CoordinatorTest, the_first_error_counts_and_is_thrown_by_join) {
  Coordinator coord;
  Thread first("first", [&] { coord.stop_on_exception([] { throw errors::DataLossError("first"); }); });
  Thread second("second", [&] {
    coord.wait_for_stop();
    coord.stop_on_exception([] { throw errors::InternalError("second"); });
  });
  for (Thread* thread : {&first, &second}) {
    coord.register_thread(*thread);
    thread->start();
  }
  EXPECT_EQ(error_of<errors::DataLossError>([&] { coord.join(); }), "first");
  EXPECT_THAT(log(), ElementsAre("Error reported to Coordinator: first"));
  EXPECT_THROW(coord.raise_requested_exception(), errors::DataLossError);
}

TEST_F(CoordinatorTest, the_end_of_the_input_is_a_clean_stop) {
  const auto report = [](Coordinator& coord) {
    coord.stop_on_exception([] { throw errors::OutOfRangeError("the end"); });
  };
  Coordinator usual;
  report(usual);
  EXPECT_TRUE(usual.should_stop());
  EXPECT_NO_THROW(usual.join());
  Coordinator strict({.clean_stop_exception_types = {}});
  report(strict);
  EXPECT_THROW(strict.join(), errors::OutOfRangeError);
}

TEST_F(CoordinatorTest, an_error_after_join_is_thrown_at_once) {
  Coordinator coord;
  coord.request_stop();
  coord.join();
  EXPECT_THROW(coord.stop_on_exception([] { throw std::runtime_error("late"); }), std::runtime_error);
  coord.clear_stop();
  EXPECT_FALSE(coord.should_stop());
  EXPECT_FALSE(coord.joined());
  EXPECT_NO_THROW(coord.stop_on_exception([] { throw std::runtime_error("again"); }));
  EXPECT_THROW(coord.join(), std::runtime_error);
}

TEST_F(CoordinatorTest, names_threads_that_do_not_stop) {
  std::atomic<bool> release = false;
  Coordinator coord;
  const auto straggler = [&](const char* name) {
    Thread thread(name, [&release] {
      while (!release) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    thread.start();
    return thread;
  };
  const Thread a = straggler("a"), b = straggler("b");
  const Thread good = waiter(coord, "good");
  coord.request_stop();
  EXPECT_EQ(error_of<errors::FailedPreconditionError>([&] {
              coord.join({a, good, b}, {.stop_grace_period_secs = 0.05});
            }),
            "Coordinator stopped with threads still running: a b");
  EXPECT_THAT(coord.live_threads(), ElementsAre("a", "b"));
  coord.join({a}, {.stop_grace_period_secs = 0, .ignore_live_threads = true});
  EXPECT_EQ(log().back(), "Coordinator stopped with threads still running: a");
  release = true;
  a.join();
  b.join();
  EXPECT_THAT(coord.live_threads(), ElementsAre());
}

TEST_F(CoordinatorTest, join_waits_for_threads_that_end_by_themselves) {
  Coordinator coord;
  std::atomic<bool> ran = false;
  Thread thread("short", [&] { ran = true; });
  coord.register_thread(thread);
  thread.start();
  EXPECT_THROW(thread.start(), errors::FailedPreconditionError);
  coord.join();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(coord.should_stop());
}

TEST_F(CoordinatorTest, a_thread_logs_what_its_body_throws) {
  Thread thread("t", [] { throw errors::InternalError("lost"); });
  thread.start();
  thread.join();
  EXPECT_THAT(log(), ElementsAre("Exception in thread t: lost"));
}

TEST_F(CoordinatorTest, a_looper_runs_until_stopped) {
  Coordinator coord;
  std::atomic<int> timed = 0, untimed = 0;
  LooperThread::loop(coord, 0.001, [&] { ++timed; });
  LooperThread::loop(coord, std::nullopt, [&] {
    if (++untimed == 100) coord.request_stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  coord.join();
  EXPECT_GE(untimed, 100);
  EXPECT_GE(timed, 2);
  EXPECT_THROW(LooperThread::loop(coord, 0.0, [] {}), errors::InvalidArgumentError);
}

TEST_F(CoordinatorTest, a_looper_calls_its_own_methods_and_reports_errors) {
  class Looper : public LooperThread {
   public:
    explicit Looper(Coordinator& coord) : LooperThread(coord, 0.001) {}
    std::vector<std::string> calls;

   protected:
    void start_loop() override { calls.push_back("start"); }
    void run_loop() override {
      calls.push_back("run");
      if (calls.size() == 3) throw errors::UnavailableError("gone");
    }
    void stop_loop() override { calls.push_back("stop"); }
  };
  Coordinator coord;
  const auto looper = std::make_shared<Looper>(coord);
  looper->start();
  EXPECT_THROW(coord.join(), errors::UnavailableError);
  EXPECT_THAT(looper->calls, ElementsAre("start", "run", "run"));
}

}  // namespace
}  // namespace millrace::train
