#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>

namespace millrace {
namespace {

TEST(ThreadPool, RunsEverythingBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool("test", 3);
    EXPECT_EQ(pool.size(), 3);
    for (int i = 0; i < 1000; ++i) pool.schedule([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

TEST(ThreadPool, RunsSideBySide) {
  ThreadPool pool("test", 2);
  std::promise<void> first, second;
  std::latch done(2);
  pool.schedule([&] {  // each waits for the other: with one thread this would hang
    first.set_value();
    second.get_future().wait();
    done.count_down();
  });
  pool.schedule([&] {
    first.get_future().wait();
    second.set_value();
    done.count_down();
  });
  done.wait();
}

TEST(ThreadPool, KnowsItsThreads) {
  ThreadPool pool("test", 1);
  EXPECT_FALSE(pool.is_own_thread());
  bool own = false;
  std::latch done(1);
  pool.schedule([&] {
    own = pool.is_own_thread();
    done.count_down();
  });
  done.wait();
  EXPECT_TRUE(own);
}

}  // namespace
}  // namespace millrace
