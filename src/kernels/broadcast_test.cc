#include "kernels/broadcast.h"

#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/parallel.h"

namespace millrace {
namespace {

using Dims = std::vector<int64_t>;

struct Sub {
  float operator()(float a, float b) const { return a - b; }
};

int64_t size_of(const Dims& dims) { return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>()); }

// The element of an operand that output element `flat` reads, by definition.
int64_t source(const Dims& dims, const Dims& out, int64_t flat) {
  int64_t offset = 0, stride = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t d = out.size() - 1 - i;
    const int64_t index = flat % out[d];
    flat /= out[d];
    if (i >= dims.size()) continue;
    const int64_t own = dims[dims.size() - 1 - i];
    if (own != 1) offset += index * stride;
    stride *= own;
  }
  return offset;
}

struct Case {
  Dims x, y, out;
};

TEST(Broadcast, matches_the_definition) {
  const std::vector<Case> cases = {
      {{}, {}, {}},
      {{3}, {}, {3}},
      {{}, {2, 3}, {2, 3}},
      {{2, 3}, {3}, {2, 3}},
      {{2, 1}, {1, 3}, {2, 3}},
      {{2, 1, 3}, {1, 4, 1}, {2, 4, 3}},
      {{1, 1, 1}, {1}, {1, 1, 1}},
      {{5, 1, 2, 1, 3}, {4, 1, 6, 1}, {5, 4, 2, 6, 3}},
      {{700, 1}, {700}, {700, 700}},
      {{3, 1000}, {3, 1}, {3, 1000}},
      {{60, 2, 50, 1}, {2, 1, 40}, {60, 2, 50, 40}},
  };
  for (const Case& c : cases) {
    std::vector<float> x(static_cast<size_t>(size_of(c.x))), y(static_cast<size_t>(size_of(c.y)));
    std::iota(x.begin(), x.end(), 1.0f);
    std::iota(y.begin(), y.end(), 100.0f);
    std::vector<float> out(static_cast<size_t>(size_of(c.out)), -1);
    BinaryOperation op;
    op.loop = &binary_loop<Sub, float>;
    op.cost_ns = 10;
    binary_broadcast(op, x.data(), c.x, y.data(), c.y, out.data(), c.out);
    for (int64_t i = 0; i < size_of(c.out); ++i) {
      ASSERT_EQ(out[static_cast<size_t>(i)],
                x[static_cast<size_t>(source(c.x, c.out, i))] - y[static_cast<size_t>(source(c.y, c.out, i))])
          << i;
    }
  }
}

TEST(Broadcast, joins_dimensions) {
  const Dims x = {2, 3, 4, 5}, y = {4, 5}, out = x;
  const std::span<const int64_t> operands[] = {x, y};
  const Broadcast plan(operands, out);
  EXPECT_EQ(plan.rank(), 2);
  EXPECT_EQ(plan.inner(), 20);
  EXPECT_EQ(plan.rows(), 6);
}

TEST(BinaryFlat, works_in_place_on_the_single_element) {
  float x = 5;
  BinaryOperation op;
  op.loop = &binary_loop<Sub, float>;
  const float y = 2;
  binary_flat(op, &x, true, &y, false, &x, 1);
  EXPECT_EQ(x, 3);
}

}  // namespace
}  // namespace millrace
