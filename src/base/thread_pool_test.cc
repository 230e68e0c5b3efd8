#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"

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
  absl::Notification first, second;
  absl::BlockingCounter done(2);
  pool.schedule([&] {  // each waits for the other: with one thread this would hang
    first.Notify();
    second.WaitForNotification();
    done.DecrementCount();
  });
  pool.schedule([&] {
    first.WaitForNotification();
    second.Notify();
    done.DecrementCount();
  });
  done.Wait();
}

TEST(ThreadPool, KnowsItsThreads) {
  ThreadPool pool("test", 1);
  EXPECT_FALSE(pool.is_own_thread());
  bool own = false;
  absl::BlockingCounter done(1);
  pool.schedule([&] {
    own = pool.is_own_thread();
    done.DecrementCount();
  });
  done.Wait();
  EXPECT_TRUE(own);
}

}  // namespace
}  // namespace millrace
