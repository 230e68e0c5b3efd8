#include "kernels/team.h"

#include <atomic>
#include <barrier>
#include <filesystem>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

constexpr int kThreads = 4, kCallers = 16;

// Threads that this process runs.
int count_threads() {
  int count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

class Team : public testing::Test {
 protected:
  void SetUp() override {
    set_intra_op_threads(kThreads);
    if (intra_op_threads() != kThreads) GTEST_SKIP() << "without OpenMP there is one thread";
  }
  void TearDown() override { set_intra_op_threads(0); }
};

// Runs `work` on many threads at once, each allowed kThreads. Returns how many threads the process then has besides
// them and those from before.
template <class F> int run_on_many(F work) {
  const int before = count_threads();
  int during = 0;
  std::barrier together(kCallers);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      set_intra_op_threads(kThreads);
      together.arrive_and_wait();
      work(i);
      together.arrive_and_wait();
      if (i == 0) during = count_threads();
      together.arrive_and_wait();
    });
  }
  for (std::thread& caller : callers) caller.join();
  return during - before - kCallers;
}

// One that oneDNN's sgemm does, or one for which a primitive is made.
std::vector<float> product(int64_t size) {
  std::vector<float> a(static_cast<size_t>(size * size)), c(a.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 7919 % 1000) / 1000;
  const MatMulShape shape{.m = size, .n = size, .k = size};
  EXPECT_TRUE(matmul(shape, a.data(), a.data(), nullptr, c.data()).ok());
  return c;
}

TEST_F(Team, threads_stay_few_and_results_the_same) {
  const std::vector<float> expected[] = {product(192), product(256)};
  std::vector<int> different(kCallers);
  const int more = run_on_many([&](int i) {
    for (int k = 0; k < 20; ++k) {
      different[static_cast<size_t>(i)] += product(k % 2 ? 256 : 192) != expected[k % 2];
      parallel_for(64, 1e6, [](int64_t, int64_t) {});
    }
  });
  EXPECT_LE(more, (kOwnTeams + 1) * (kThreads - 1) + 1);
  EXPECT_EQ(different, std::vector<int>(kCallers));
}

TEST_F(Team, loops_are_cut_the_same_whoever_is_busy) {
  using Ranges = std::set<std::pair<int64_t, int64_t>>;
  const Ranges expected = {{0, 26}, {26, 51}, {51, 76}, {76, 101}};
  std::vector<int> different(kCallers);
  run_on_many([&](int i) {
    for (int k = 0; k < 200; ++k) {
      std::mutex mutex;
      Ranges ranges;
      parallel_for(101, 1e6, [&](int64_t begin, int64_t end) {
        std::lock_guard lock(mutex);
        ranges.emplace(begin, end);
      });
      different[static_cast<size_t>(i)] += ranges != expected;
    }
  });
  EXPECT_EQ(different, std::vector<int>(kCallers));
}

TEST_F(Team, loops_within_loops_are_serial_on_a_busy_team_too) {
  std::vector<int> cut(kCallers);
  run_on_many([&](int i) {
    std::atomic<int> calls = 0;
    parallel_for(kThreads, 1e6, [&](int64_t, int64_t) { parallel_for(100, 1e6, [&](int64_t, int64_t) { ++calls; }); });
    cut[static_cast<size_t>(i)] = calls;
  });
  EXPECT_EQ(cut, std::vector<int>(kCallers, kThreads));
}

TEST_F(Team, places_are_given_back_when_threads_end) {
  run_on_many([&](int) { run_in_team([] {}); });
  std::thread::id ran_on;
  std::thread caller([&] {
    set_intra_op_threads(kThreads);
    run_in_team([&] { ran_on = std::this_thread::get_id(); });
    EXPECT_EQ(ran_on, std::this_thread::get_id());
  });
  caller.join();
}

TEST_F(Team, exceptions_reach_the_caller) {
  std::vector<int> caught(kCallers);
  run_on_many([&](int i) {
    try {
      run_in_team([] { throw std::runtime_error("it broke"); });
    } catch (const std::runtime_error&) {
      caught[static_cast<size_t>(i)] = 1;
    }
    run_in_team([] {});
  });
  EXPECT_EQ(caught, std::vector<int>(kCallers, 1));
}

}  // namespace
}  // namespace millrace
