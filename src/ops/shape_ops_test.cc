#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor ints(std::vector<int32_t> v) { return Tensor(v); }
Tensor iota(const TensorShape& shape) {
  std::vector<float> v(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return Tensor(shape, v);
}

struct ReshapeCase {
  TensorShape from;
  std::vector<int32_t> to;
  std::string shape;  // or the words of the error
};

TEST(Reshape, infers_and_checks) {
  const ReshapeCase cases[] = {
      {{2, 3}, {6}, "[6]"},
      {{2, 3}, {3, -1}, "[3,2]"},
      {{2, 3}, {-1, 1, 2}, "[3,1,2]"},
      {{}, {}, "[]"},
      {{0, 3}, {3, 0}, "[3,0]"},
      {{2, 3}, {-1, -1}, "Only one input size may be -1, not both 0 and 1"},
      {{2, 3}, {-2, 3}, "must be"},
      {{2, 3}, {4, -1}, "divisible by 4"},
      {{2, 3}, {5}, "5"},
      {{0}, {0, -1}, "[0,1]"},
      {{0, 6}, {0, -1, 3}, "[0,2,3]"},
      {{5, 0, 7}, {-1, 0}, "[35,0]"},
      {{2, 3}, {0, -1}, "6 values, but the requested shape has 0"},
      {{2, 3}, {2147483647, 2147483647, 2147483647}, "too large"},
  };
  for (const ReshapeCase& c : cases) {
    OpTest t(all_ops(), "Reshape");
    const absl::Status status = t.input(iota(c.from)).input(ints(c.to)).run();
    if (status.ok()) {
      EXPECT_EQ(t.output(0).shape().to_string(), c.shape);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(to_std(status.message()).find(c.shape), std::string::npos) << status;
    }
  }
}

TEST(Reshape, shares_the_buffer) {
  const Tensor x = iota({2, 3});
  OpTest t(all_ops(), "Reshape");
  ASSERT_TRUE(t.input(x).input(ints({3, 2})).run().ok());
  EXPECT_EQ(t.output(0).raw_data(), x.raw_data());
}

TEST(Reshape, shapes_at_construction) {
  const Tensor wanted = ints({-1, 2});
  OpTest t(all_ops(), "Reshape");
  t.attr("T", float32).attr("Tshape", int32);
  EXPECT_THAT(*t.infer({{4, 3}, {2}}, {nullptr, &wanted}), ElementsAre("[6,2]"));
  EXPECT_THAT(*t.infer({{-1, 3}, {2}}, {nullptr, &wanted}), ElementsAre("[?,2]"));
  EXPECT_THAT(*t.infer({{-1, 3}, {2}}), ElementsAre("[?,?]"));
}

TEST(BroadcastGradientArgs, axes) {
  struct Case {
    std::vector<int32_t> a, b, ra, rb;
  };
  const Case cases[] = {
      {{2, 3}, {3}, {}, {0}},   {{2, 3}, {1, 3}, {}, {0}}, {{2, 1}, {1, 3}, {1}, {0}},
      {{}, {2, 3}, {0, 1}, {}}, {{1, 2}, {1, 2}, {}, {}},  {{1, 1}, {1}, {0, 1}, {0, 1}},
  };
  for (const Case& c : cases) {
    OpTest t(all_ops(), "BroadcastGradientArgs");
    ASSERT_TRUE(t.input(ints(c.a)).input(ints(c.b)).run().ok());
    EXPECT_EQ(t.output(0).to_vector<int32_t>(), c.ra);
    EXPECT_EQ(t.output(1).to_vector<int32_t>(), c.rb);
  }
  OpTest bad(all_ops(), "BroadcastGradientArgs");
  EXPECT_THAT(std::string(bad.input(ints({2})).input(ints({3})).run().message()), HasSubstr("Incompatible shapes"));
}

TEST(BroadcastTo, repeats_along_ones_and_new_axes) {
  OpTest t(all_ops(), "BroadcastTo");
  ASSERT_TRUE(t.input(Tensor(TensorShape{2, 1}, std::vector<float>{1, 2})).input(ints({2, 2, 3})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
}

TEST(ExpandDims, and_squeeze) {
  OpTest e(all_ops(), "ExpandDims");
  ASSERT_TRUE(e.input(iota({2, 3})).input(Tensor(-1)).run().ok());
  EXPECT_EQ(e.output(0).shape().to_string(), "[2,3,1]");
  OpTest bad(all_ops(), "ExpandDims");
  EXPECT_EQ(bad.input(iota({2, 3})).input(Tensor(3)).run().code(), absl::StatusCode::kInvalidArgument);
  OpTest s(all_ops(), "Squeeze");
  ASSERT_TRUE(s.input(iota({1, 3, 1})).run().ok());
  EXPECT_EQ(s.output(0).shape().to_string(), "[3]");
  OpTest s2(all_ops(), "Squeeze");
  EXPECT_EQ(s2.attr("squeeze_dims", std::vector<int64_t>{1}).input(iota({1, 3, 1})).run().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Fill, a_zero_does_not_hide_dimensions_that_are_too_large_together) {
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{0, int64_t{1} << 40, int64_t{1} << 40},
                                           std::vector<int64_t>{int64_t{1} << 40, 0, int64_t{1} << 40}}) {
    OpTest t(all_ops(), "Fill");
    t.input(Tensor(dims)).input(Tensor(1.0f));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument);
  }
  OpTest t(all_ops(), "Fill");
  t.input(Tensor(std::vector<int64_t>{0, int64_t{1} << 62})).input(Tensor(1.0f));
  EXPECT_TRUE(t.run().ok());
}

}  // namespace
}  // namespace millrace
