#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor iota(const TensorShape& shape) {
  std::vector<float> v(static_cast<size_t>(shape.num_elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return Tensor(shape, v);
}
Tensor ints(const TensorShape& shape, std::vector<int32_t> v) { return Tensor(shape, v); }

TEST(GatherV2, along_each_axis) {
  OpTest rows(all_ops(), "GatherV2");
  ASSERT_TRUE(rows.input(iota({3, 2})).input(ints({2}, {2, 0})).input(Tensor(0)).run().ok());
  EXPECT_THAT(rows.output(0).to_vector<float>(), ElementsAre(4, 5, 0, 1));
  OpTest columns(all_ops(), "GatherV2");
  ASSERT_TRUE(columns.input(iota({3, 2})).input(ints({}, {1})).input(Tensor(-1)).run().ok());
  EXPECT_THAT(columns.output(0).to_vector<float>(), ElementsAre(1, 3, 5));
  OpTest batches(all_ops(), "GatherV2");
  ASSERT_TRUE(batches.attr("batch_dims", int64_t{1})
                  .input(iota({2, 3}))
                  .input(ints({2, 2}, {0, 2, 1, 1}))
                  .input(Tensor(1))
                  .run()
                  .ok());
  EXPECT_THAT(batches.output(0).to_vector<float>(), ElementsAre(0, 2, 4, 4));
}

TEST(GatherV2, names_the_bad_index) {
  OpTest t(all_ops(), "GatherV2");
  const absl::Status status = t.input(iota({3, 2})).input(ints({1, 2}, {0, 3})).input(Tensor(0)).run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "indices[0,1] = 3 is not in [0, 3)");
  OpTest negative(all_ops(), "GatherV2");
  EXPECT_EQ(std::string(negative.input(iota({3, 2})).input(ints({1}, {-1})).input(Tensor(0)).run().message()),
            "indices[0] = -1 is not in [0, 3)");
  OpTest empty(all_ops(), "GatherV2");
  EXPECT_FALSE(empty.input(iota({0, 2})).input(ints({1}, {0})).input(Tensor(0)).run().ok());
}

TEST(GatherV2, large_ones_in_parallel) {
  const Tensor params = iota({5000, 32});
  std::vector<int32_t> index(5000);
  for (size_t i = 0; i < index.size(); ++i) index[i] = static_cast<int32_t>((i * 37) % 5000);
  OpTest t(all_ops(), "GatherV2");
  ASSERT_TRUE(t.input(params).input(Tensor(index)).input(Tensor(0)).run().ok());
  const auto out = t.output(0).flat<float>();
  for (size_t i = 0; i < index.size(); ++i) ASSERT_EQ(out[i * 32 + 5], static_cast<float>(index[i] * 32 + 5));
}

TEST(GatherNd, components_and_bounds) {
  OpTest t(all_ops(), "GatherNd");
  ASSERT_TRUE(t.input(iota({2, 3})).input(ints({2, 2}, {0, 1, 1, 2})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(1, 5));
  OpTest bad(all_ops(), "GatherNd");
  const absl::Status status = bad.input(iota({2, 3})).input(ints({1, 2}, {1, 3})).run();
  EXPECT_THAT(std::string(status.message()), HasSubstr("indices[0] = [1, 3] does not index into param shape [2,3]"));
  OpTest ignored(all_ops(), "GatherNd");
  ASSERT_TRUE(ignored.attr("bad_indices_policy", "IGNORE").input(iota({2, 3})).input(ints({1, 2}, {1, 3})).run().ok());
  EXPECT_THAT(ignored.output(0).to_vector<float>(), ElementsAre(0));
}

TEST(OneHot, leaves_out_of_range_off) {
  OpTest t(all_ops(), "OneHot");
  ASSERT_TRUE(t.input(ints({3}, {1, -1, 2})).input(Tensor(3)).input(Tensor(1.0f)).input(Tensor(0.0f)).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(0, 1, 0, 0, 0, 0, 0, 0, 1));
  OpTest first(all_ops(), "OneHot");
  ASSERT_TRUE(first.attr("axis", int64_t{0})
                  .input(ints({2}, {1, 0}))
                  .input(Tensor(2))
                  .input(Tensor("on"))
                  .input(Tensor(""))
                  .run()
                  .ok());
  EXPECT_THAT(first.output(0).to_vector<std::string>(), ElementsAre("", "on", "on", ""));
  OpTest bad(all_ops(), "OneHot");
  EXPECT_FALSE(bad.input(ints({1}, {0})).input(Tensor(-1)).input(Tensor(1.0f)).input(Tensor(0.0f)).run().ok());
  OpTest huge(all_ops(), "OneHot");
  EXPECT_FALSE(huge.input(Tensor(int32, TensorShape{1 << 16}))
                   .input(Tensor(INT32_MAX))
                   .input(Tensor(1.0f))
                   .input(Tensor(0.0f))
                   .run()
                   .ok());
}

TEST(Pad, all_kinds) {
  OpTest pad(all_ops(), "PadV2");
  ASSERT_TRUE(pad.input(ints({2}, {1, 2})).input(ints({1, 2}, {1, 2})).input(Tensor(7)).run().ok());
  EXPECT_THAT(pad.output(0).to_vector<int32_t>(), ElementsAre(7, 1, 2, 7, 7));
  OpTest reflect(all_ops(), "MirrorPad");
  ASSERT_TRUE(reflect.attr("mode", "REFLECT").input(ints({3}, {1, 2, 3})).input(ints({1, 2}, {2, 1})).run().ok());
  EXPECT_THAT(reflect.output(0).to_vector<int32_t>(), ElementsAre(3, 2, 1, 2, 3, 2));
  OpTest symmetric(all_ops(), "MirrorPad");
  ASSERT_TRUE(symmetric.attr("mode", "SYMMETRIC").input(ints({3}, {1, 2, 3})).input(ints({1, 2}, {2, 1})).run().ok());
  EXPECT_THAT(symmetric.output(0).to_vector<int32_t>(), ElementsAre(2, 1, 1, 2, 3, 3));
  for (const std::vector<int32_t>& bad : {std::vector<int32_t>{-1, 0}, {3, 0}}) {
    OpTest b(all_ops(), "MirrorPad");
    EXPECT_EQ(b.attr("mode", "REFLECT").input(ints({3}, {1, 2, 3})).input(ints({1, 2}, bad)).run().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Tile, repeats) {
  OpTest t(all_ops(), "Tile");
  ASSERT_TRUE(t.input(ints({2, 1}, {1, 2})).input(ints({2}, {2, 3})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<int32_t>(), ElementsAre(1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2));
  OpTest bad(all_ops(), "Tile");
  EXPECT_FALSE(bad.input(iota({1 << 16})).input(ints({1}, {INT32_MAX})).run().ok());
}

TEST(Roll, wraps_around) {
  OpTest t(all_ops(), "Roll");
  ASSERT_TRUE(t.input(iota({2, 3})).input(ints({2}, {1, -1})).input(ints({2}, {0, 1})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(4, 5, 3, 1, 2, 0));
}

TEST(ReverseSequence, checks_lengths) {
  OpTest t(all_ops(), "ReverseSequence");
  ASSERT_TRUE(t.attr("seq_dim", int64_t{1}).input(iota({2, 3})).input(ints({2}, {2, 3})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(1, 0, 2, 5, 4, 3));
  OpTest bad(all_ops(), "ReverseSequence");
  EXPECT_FALSE(bad.attr("seq_dim", int64_t{1}).input(iota({2, 3})).input(ints({2}, {4, 0})).run().ok());
}

TEST(Where, rows_of_positions) {
  OpTest t(all_ops(), "Where");
  ASSERT_TRUE(t.input(Tensor(TensorShape{2, 2}, std::vector<float>{0, 1, -1, 0})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<int64_t>(), ElementsAre(0, 1, 1, 0));
}

}  // namespace
}  // namespace millrace
