#include "base/cancellation.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"

namespace millrace {
namespace {

TEST(Cancellation, CallsEachCallbackOnce) {
  CancellationScope scope;
  int called = 0;
  ASSERT_TRUE(scope.on_cancel([&] { ++called; }));
  ASSERT_TRUE(scope.on_cancel([&] { ++called; }));
  EXPECT_FALSE(scope.is_cancelled());
  EXPECT_TRUE(scope.status().ok());
  scope.cancel(absl::AbortedError("closed"));
  scope.cancel();
  EXPECT_EQ(called, 2);
  EXPECT_EQ(scope.status(), absl::AbortedError("closed"));
  EXPECT_FALSE(scope.on_cancel([&] { ++called; }));
  EXPECT_EQ(called, 2);
}

TEST(Cancellation, RemovedCallbackIsNotCalled) {
  CancellationScope scope;
  int called = 0;
  const auto token = scope.on_cancel([&] { ++called; });
  EXPECT_TRUE(scope.remove(*token));
  EXPECT_FALSE(scope.remove(*token));
  scope.cancel();
  EXPECT_EQ(called, 0);
}

TEST(Cancellation, RemoveWaitsForTheRunningCallback) {
  CancellationScope scope;
  std::promise<void> started;
  std::atomic<bool> finished{false};
  const auto token = scope.on_cancel([&] {
    started.set_value();
    absl::SleepFor(absl::Milliseconds(30));
    finished = true;
  });
  std::thread canceller([&] { scope.cancel(); });
  started.get_future().wait();
  EXPECT_FALSE(scope.remove(*token));
  EXPECT_TRUE(finished);
  canceller.join();
}

TEST(Cancellation, CallbackMayRemoveItselfAndOthers) {
  CancellationScope scope;
  std::optional<CancellationScope::Token> first, second;
  int called = 0;
  first = scope.on_cancel([&] {
    ++called;
    scope.remove(*first);
    scope.remove(*second);
  });
  second = scope.on_cancel([&] {
    ++called;
    scope.remove(*second);
    scope.remove(*first);
  });
  scope.cancel();
  EXPECT_EQ(called, 1);
}

TEST(Cancellation, ReachesNestedScopesButNotUp) {
  CancellationScope session;
  CancellationScope step(&session), other(&session);
  CancellationScope call(&step);
  step.cancel(absl::DeadlineExceededError("late"));
  EXPECT_EQ(call.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(other.is_cancelled());
  EXPECT_FALSE(session.is_cancelled());
  session.cancel();
  EXPECT_TRUE(other.is_cancelled());
  EXPECT_EQ(step.status().code(), absl::StatusCode::kDeadlineExceeded);
  CancellationScope late(&session);
  EXPECT_TRUE(late.is_cancelled());
}

TEST(Cancellation, ScopesMayEndWhileTheParentIsCancelled) {
  for (int round = 0; round < 50; ++round) {
    CancellationScope parent;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          CancellationScope child(&parent);
          auto token = child.on_cancel([] {});
          if (token) child.remove(*token);
        }
      });
    }
    parent.cancel();
    for (auto& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace millrace
