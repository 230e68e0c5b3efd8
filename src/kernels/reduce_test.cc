#include "kernels/reduce.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

using Dims = std::vector<int64_t>;

std::vector<double> naive_sum(const std::vector<float>& x, const Dims& dims, const std::vector<bool>& reduced) {
  int64_t outputs = 1;
  for (size_t d = 0; d < dims.size(); ++d)
    if (!reduced[d]) outputs *= dims[d];
  std::vector<double> out(static_cast<size_t>(outputs));
  for (size_t flat = 0; flat < x.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), at = 0, stride = 1;
    for (size_t d = dims.size(); d-- > 0;) {
      if (!reduced[d]) {
        at += rest % dims[d] * stride;
        stride *= dims[d];
      }
      rest /= dims[d];
    }
    out[static_cast<size_t>(at)] += x[flat];
  }
  return out;
}

TEST(Reduce, sums_any_set_of_dimensions) {
  const std::vector<Dims> shapes = {{},       {5},        {3, 4},     {2, 3, 4},  {2, 3, 4, 5},   {1, 7, 1, 2},
                                    {100000}, {300, 400}, {3, 50000}, {50000, 3}, {20, 30, 40, 5}};
  for (const Dims& dims : shapes) {
    const int64_t n = std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
    std::vector<float> x(static_cast<size_t>(n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 37) % 101) - 50;
    for (unsigned mask = 0; mask < 1u << dims.size(); ++mask) {
      bool reduced[8];
      std::vector<bool> flags;
      for (size_t d = 0; d < dims.size(); ++d) {
        reduced[d] = mask >> d & 1;
        flags.push_back(reduced[d]);
      }
      const std::vector<double> want = naive_sum(x, dims, flags);
      std::vector<float> one(want.size(), -1), many(want.size(), -1);
      const Reduction& sum = *find_reduction(ReduceKind::kSum, DataType::kFloat);
      set_intra_op_threads(1);
      ASSERT_TRUE(reduce(sum, x.data(), dims, reduced, one.data()).ok());
      set_intra_op_threads(4);
      ASSERT_TRUE(reduce(sum, x.data(), dims, reduced, many.data()).ok());
      set_intra_op_threads(0);
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_FLOAT_EQ(one[i], static_cast<float>(want[i])) << mask;
        EXPECT_EQ(one[i], many[i]) << "the number of threads changes the result";
      }
    }
  }
}

TEST(Reduce, long_float_sums_stay_accurate) {
  const std::vector<float> x(10'000'000, 0.1f);
  const int64_t dims[] = {10'000'000};
  const bool reduced[] = {true};
  float out = 0;
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kSum, DataType::kFloat), x.data(), dims, reduced, &out).ok());
  EXPECT_NEAR(out, 1e6, 5);
  const int64_t columns[] = {5'000'000, 2};
  const bool first[] = {true, false};
  float two[2];
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kSum, DataType::kFloat), x.data(), columns, first, two).ok());
  EXPECT_NEAR(two[1], 5e5, 5);
}

TEST(Reduce, empty_reductions_give_the_neutral_element) {
  const int64_t dims[] = {2, 0};
  const bool reduced[] = {false, true};
  float out[2];
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kProd, DataType::kFloat), nullptr, dims, reduced, out).ok());
  EXPECT_EQ(out[1], 1);
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kMax, DataType::kFloat), nullptr, dims, reduced, out).ok());
  EXPECT_EQ(out[0], -INFINITY);
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kMean, DataType::kFloat), nullptr, dims, reduced, out).ok());
  EXPECT_TRUE(std::isnan(out[0]));
}

TEST(Reduce, integer_means_do_not_overflow_their_type) {
  const int8_t x[] = {100, 100, 100};
  const int64_t dims[] = {3};
  const bool reduced[] = {true};
  int8_t out = 0;
  ASSERT_TRUE(reduce(*find_reduction(ReduceKind::kMean, DataType::kInt8), x, dims, reduced, &out).ok());
  EXPECT_EQ(out, 100);
}

TEST(Reduce, nan_wins_over_numbers) {
  const float x[] = {1, NAN, 2};
  const int64_t dims[] = {3};
  const bool reduced[] = {true};
  for (const ReduceKind kind : {ReduceKind::kMax, ReduceKind::kMin}) {
    float out = 0;
    ASSERT_TRUE(reduce(*find_reduction(kind, DataType::kFloat), x, dims, reduced, &out).ok());
    EXPECT_TRUE(std::isnan(out));
  }
}

}  // namespace
}  // namespace millrace
