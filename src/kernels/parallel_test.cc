#include "kernels/parallel.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ParallelFor, covers_every_index_once) {
  for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{100000}}) {
    for (const double cost : {0.001, 1e6}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
      parallel_for(n, cost, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      for (const auto& s : seen) EXPECT_EQ(s, 1);
    }
  }
}

TEST(ParallelFor, small_work_stays_on_the_caller) {
  int calls = 0;
  parallel_for(100, 1, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(ParallelFor, keeps_the_limit_of_the_thread) {
  set_intra_op_threads(1);
  EXPECT_EQ(intra_op_threads(), 1);
  int calls = 0;
  parallel_for(1000000, 1000, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 1);
  set_intra_op_threads(0);
  EXPECT_GE(intra_op_threads(), 1);
}

TEST(ParallelFor, nested_loops_are_serial) {
  std::atomic<int64_t> sum = 0;
  parallel_for(8, 1e6, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) parallel_for(1000, 1000, [&](int64_t b, int64_t e) { sum += e - b; });
  });
  EXPECT_EQ(sum, 8000);
}

}  // namespace
}  // namespace millrace
