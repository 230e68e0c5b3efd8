#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

Tensor floats(std::vector<float> v) { return Tensor(v); }
Tensor ints(std::vector<int32_t> v) { return Tensor(v); }
Tensor matrix(int64_t rows, int64_t columns) {
  std::vector<float> v(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return Tensor(TensorShape{rows, columns}, v);
}

TEST(Segment, reductions_and_gaps) {
  struct Case {
    const char* op;
    std::vector<float> values;
  };
  const Case cases[] = {{"SegmentSum", {3, 0, 7}},
                        {"SegmentProd", {2, 1, 12}},
                        {"SegmentMin", {1, 0, 3}},
                        {"SegmentMax", {2, 0, 4}},
                        {"SegmentMean", {1.5, 0, 3.5}}};
  for (const Case& c : cases) {
    OpTest t(all_ops(), c.op);
    ASSERT_TRUE(t.input(floats({1, 2, 3, 4})).input(ints({0, 0, 2, 2})).run().ok()) << c.op;
    EXPECT_EQ(t.output(0).to_vector<float>(), c.values) << c.op;
    for (const std::vector<int32_t>& bad : {std::vector<int32_t>{0, 1, 0, 1}, {-1, 0, 0, 0}, {0, 0, 0}}) {
      OpTest b(all_ops(), c.op);
      EXPECT_EQ(b.input(floats({1, 2, 3, 4})).input(ints(bad)).run().code(), absl::StatusCode::kInvalidArgument)
          << c.op;
    }
    OpTest huge(all_ops(), c.op);
    EXPECT_FALSE(huge.input(matrix(1, 64)).input(Tensor(std::vector<int64_t>{INT64_MAX - 1})).run().ok()) << c.op;
  }
}

TEST(UnsortedSegment, drops_negative_ids) {
  OpTest sum(all_ops(), "UnsortedSegmentSum");
  ASSERT_TRUE(sum.input(matrix(3, 2)).input(ints({1, -1, 1})).input(Tensor(2)).run().ok());
  EXPECT_THAT(sum.output(0).to_vector<float>(), ElementsAre(0, 0, 4, 6));
  OpTest max(all_ops(), "UnsortedSegmentMax");
  ASSERT_TRUE(max.input(floats({1, 2})).input(ints({0, 0})).input(Tensor(2)).run().ok());
  EXPECT_THAT(max.output(0).to_vector<float>(), ElementsAre(2, std::numeric_limits<float>::lowest()));
  OpTest bad(all_ops(), "UnsortedSegmentSum");
  EXPECT_EQ(std::string(bad.input(floats({1, 2})).input(ints({0, 2})).input(Tensor(2)).run().message()),
            "segment_ids[1] = 2 is out of range [0, 2)");
}

TEST(DynamicPartition, and_stitch_are_inverse) {
  OpTest parts(all_ops(), "DynamicPartition");
  ASSERT_TRUE(parts.attr("num_partitions", int64_t{2}).input(matrix(3, 2)).input(ints({1, 0, 1})).run().ok());
  EXPECT_THAT(parts.output(0).to_vector<float>(), ElementsAre(2, 3));
  OpTest stitch(all_ops(), "DynamicStitch");
  ASSERT_TRUE(stitch.inputs({ints({1}), ints({0, 2})}).inputs({parts.output(0), parts.output(1)}).run().ok());
  EXPECT_EQ(stitch.output(0).to_vector<float>(), matrix(3, 2).to_vector<float>());
  OpTest bad(all_ops(), "DynamicPartition");
  EXPECT_FALSE(bad.attr("num_partitions", int64_t{2}).input(matrix(3, 2)).input(ints({1, 2, 0})).run().ok());
  OpTest negative(all_ops(), "DynamicStitch");
  EXPECT_FALSE(negative.inputs({ints({-1})}).inputs({floats({1})}).run().ok());
}

TEST(ScatterNd, adds_equal_indices) {
  OpTest t(all_ops(), "ScatterNd");
  ASSERT_TRUE(t.input(Tensor(TensorShape{3, 1}, std::vector<int32_t>{1, 3, 1}))
                  .input(floats({1, 2, 3}))
                  .input(ints({4}))
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(0, 4, 0, 2));
  for (const int32_t index : {-1, 4}) {
    OpTest b(all_ops(), "ScatterNd");
    EXPECT_FALSE(
        b.input(Tensor(TensorShape{1, 1}, std::vector<int32_t>{index})).input(floats({1})).input(ints({4})).run().ok());
  }
  OpTest shapes(all_ops(), "ScatterNd");
  EXPECT_FALSE(shapes.input(Tensor(TensorShape{1, 1}, std::vector<int32_t>{0}))
                   .input(floats({1, 2}))
                   .input(ints({4}))
                   .run()
                   .ok());
}

TEST(TensorScatter, leaves_its_input_alone) {
  const Tensor x = floats({1, 2, 3});
  OpTest t(all_ops(), "TensorScatterMax");
  ASSERT_TRUE(t.input(x).input(Tensor(TensorShape{2, 1}, std::vector<int32_t>{0, 2})).input(floats({5, 0})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(5, 2, 3));
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(1, 2, 3));
}

TEST(Unique, by_first_appearance) {
  OpTest t(all_ops(), "UniqueWithCounts");
  ASSERT_TRUE(t.input(Tensor(std::vector<std::string>{"b", "a", "b"})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<std::string>(), ElementsAre("b", "a"));
  EXPECT_THAT(t.output(1).to_vector<int32_t>(), ElementsAre(0, 1, 0));
  EXPECT_THAT(t.output(2).to_vector<int32_t>(), ElementsAre(2, 1));
  OpTest zeros(all_ops(), "Unique");
  ASSERT_TRUE(zeros.input(floats({0.0f, -0.0f, NAN, NAN})).run().ok());
  EXPECT_THAT(zeros.output(1).to_vector<int32_t>(), ElementsAre(0, 0, 1, 2));
  OpTest rows(all_ops(), "UniqueV2");
  ASSERT_TRUE(rows.input(Tensor(TensorShape{3, 2}, std::vector<int32_t>{1, 2, 3, 4, 1, 2}))
                  .input(Tensor(std::vector<int64_t>{0}))
                  .run()
                  .ok());
  EXPECT_THAT(rows.output(0).to_vector<int32_t>(), ElementsAre(1, 2, 3, 4));
}

TEST(ListDiff, keeps_what_y_lacks) {
  OpTest t(all_ops(), "ListDiff");
  ASSERT_TRUE(t.input(ints({1, 2, 3, 2})).input(ints({2})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<int32_t>(), ElementsAre(1, 3));
  EXPECT_THAT(t.output(1).to_vector<int32_t>(), ElementsAre(0, 2));
}

TEST(MatrixDiag, bands_go_in_and_out) {
  for (const char* align : {"LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT"}) {
    OpTest part(all_ops(), "MatrixDiagPartV3");
    ASSERT_TRUE(part.attr("align", align).input(matrix(3, 4)).input(ints({-1, 2})).input(Tensor(9.0f)).run().ok())
        << align;
    EXPECT_EQ(part.output(0).shape().to_string(), "[4,3]");
    OpTest back(all_ops(), "MatrixSetDiagV3");
    ASSERT_TRUE(back.attr("align", align).input(matrix(3, 4)).input(part.output(0)).input(ints({-1, 2})).run().ok())
        << align;
    EXPECT_EQ(back.output(0).to_vector<float>(), matrix(3, 4).to_vector<float>()) << align;
  }
  for (const std::vector<int32_t>& bad :
       {std::vector<int32_t>{4}, {-3}, {1, 0}, {}, {0, 0, 0}, {INT32_MIN, INT32_MAX}}) {
    OpTest b(all_ops(), "MatrixDiagPartV3");
    EXPECT_EQ(b.input(matrix(3, 4)).input(ints(bad)).input(Tensor(0.0f)).run().code(),
              absl::StatusCode::kInvalidArgument);
    OpTest d(all_ops(), "MatrixDiagV3");
    EXPECT_FALSE(
        d.input(matrix(1, 2)).input(ints(bad)).input(Tensor(2)).input(Tensor(3)).input(Tensor(0.0f)).run().ok());
  }
}

TEST(SpaceToBatch, and_back) {
  OpTest to(all_ops(), "SpaceToBatchND");
  const Tensor x(TensorShape{1, 3, 4, 1}, matrix(3, 4).to_vector<float>());
  const Tensor paddings(TensorShape{2, 2}, std::vector<int32_t>{1, 0, 0, 2});
  ASSERT_TRUE(to.input(x).input(ints({2, 3})).input(paddings).run().ok());
  EXPECT_EQ(to.output(0).shape().to_string(), "[6,2,2,1]");
  OpTest from(all_ops(), "BatchToSpaceND");
  ASSERT_TRUE(from.input(to.output(0)).input(ints({2, 3})).input(paddings).run().ok());
  EXPECT_EQ(from.output(0).to_vector<float>(), x.to_vector<float>());
  for (const std::vector<int32_t>& block : {std::vector<int32_t>{0, 1}, {-1, 1}, {5, 1}, {INT32_MAX, INT32_MAX}}) {
    OpTest b(all_ops(), "SpaceToBatchND");
    EXPECT_FALSE(b.input(x).input(ints(block)).input(paddings).run().ok());
  }
}

TEST(SpaceToDepth, both_layouts_and_back) {
  for (const char* format : {"NHWC", "NCHW"}) {
    const Tensor x(std::string(format) == "NHWC" ? TensorShape{1, 4, 2, 3} : TensorShape{1, 3, 4, 2},
                   matrix(6, 4).to_vector<float>());
    OpTest to(all_ops(), "SpaceToDepth");
    ASSERT_TRUE(to.attr("block_size", int64_t{2}).attr("data_format", format).input(x).run().ok());
    OpTest from(all_ops(), "DepthToSpace");
    ASSERT_TRUE(from.attr("block_size", int64_t{2}).attr("data_format", format).input(to.output(0)).run().ok());
    EXPECT_EQ(from.output(0).to_vector<float>(), x.to_vector<float>());
  }
}

}  // namespace
}  // namespace millrace
