#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

Tensor matrix(int64_t rows, int64_t columns, float first) {
  std::vector<float> v(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < v.size(); ++i) v[i] = first + static_cast<float>(i);
  return Tensor(TensorShape{rows, columns}, v);
}

TEST(ConcatV2, joins_along_either_axis) {
  OpTest rows(all_ops(), "ConcatV2");
  ASSERT_TRUE(rows.inputs({matrix(1, 2, 0), matrix(2, 2, 10)}).input(Tensor(0)).run().ok());
  EXPECT_THAT(rows.output(0).to_vector<float>(), ElementsAre(0, 1, 10, 11, 12, 13));
  OpTest columns(all_ops(), "ConcatV2");
  ASSERT_TRUE(columns.inputs({matrix(2, 1, 0), matrix(2, 2, 10)}).input(Tensor(-1)).run().ok());
  EXPECT_THAT(columns.output(0).to_vector<float>(), ElementsAre(0, 10, 11, 1, 12, 13));
}

TEST(ConcatV2, joins_strings) {
  OpTest t(all_ops(), "ConcatV2");
  ASSERT_TRUE(t.inputs({Tensor(std::vector<std::string>{"a"}), Tensor(std::vector<std::string>{"b", "c"})})
                  .input(Tensor(0))
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<std::string>(), ElementsAre("a", "b", "c"));
}

TEST(ConcatV2, rejects_what_does_not_fit) {
  OpTest sizes(all_ops(), "ConcatV2");
  EXPECT_EQ(sizes.inputs({matrix(1, 2, 0), matrix(2, 3, 10)}).input(Tensor(0)).run().code(),
            absl::StatusCode::kInvalidArgument);
  OpTest axis(all_ops(), "ConcatV2");
  EXPECT_EQ(axis.inputs({matrix(1, 2, 0), matrix(1, 2, 10)}).input(Tensor(2)).run().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ConcatV2, shapes_at_construction) {
  const Tensor axis(1);
  OpTest t(all_ops(), "ConcatV2");
  t.attr("T", float32).attr("N", int64_t{2}).attr("Tidx", int32);
  EXPECT_THAT(*t.infer({{-1, 3}, {4, 2}, {}}, {nullptr, nullptr, &axis}), ElementsAre("[4,5]"));
  EXPECT_THAT(*t.infer({{-1, 3}, {4, 2}, {}}), ElementsAre("[?,?]"));
  EXPECT_FALSE(t.infer({{5, 3}, {4, 2}, {}}, {nullptr, nullptr, &axis}).ok());
}

TEST(Pack, and_unpack) {
  OpTest pack(all_ops(), "Pack");
  ASSERT_TRUE(pack.attr("axis", int64_t{1})
                  .inputs({Tensor(std::vector<float>{1, 2}), Tensor(std::vector<float>{3, 4})})
                  .run()
                  .ok());
  EXPECT_THAT(pack.output(0).to_vector<float>(), ElementsAre(1, 3, 2, 4));
  OpTest unpack(all_ops(), "Unpack");
  ASSERT_TRUE(unpack.attr("axis", int64_t{1}).attr("num", int64_t{2}).input(pack.output(0)).run().ok());
  EXPECT_THAT(unpack.output(1).to_vector<float>(), ElementsAre(3, 4));
}

TEST(SplitV, takes_the_rest) {
  OpTest t(all_ops(), "SplitV");
  ASSERT_TRUE(t.attr("num_split", int64_t{2})
                  .input(matrix(1, 5, 0))
                  .input(Tensor(std::vector<int64_t>{2, -1}))
                  .input(Tensor(1))
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<float>(), ElementsAre(0, 1));
  EXPECT_THAT(t.output(1).to_vector<float>(), ElementsAre(2, 3, 4));
  for (const std::vector<int64_t>& bad : {std::vector<int64_t>{-1, -1}, {6, -1}, {2, 2}, {-2, 7}}) {
    OpTest b(all_ops(), "SplitV");
    EXPECT_EQ(b.attr("num_split", int64_t{2}).input(matrix(1, 5, 0)).input(Tensor(bad)).input(Tensor(1)).run().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Transpose, every_permutation_of_a_box) {
  const Tensor x(TensorShape{2, 3, 4}, [] {
    std::vector<float> v(24);
    for (size_t i = 0; i < 24; ++i) v[i] = static_cast<float>(i);
    return v;
  }());
  std::vector<int32_t> perm = {0, 1, 2};
  const int64_t strides[] = {12, 4, 1};
  do {
    OpTest t(all_ops(), "Transpose");
    ASSERT_TRUE(t.input(x).input(Tensor(perm)).run().ok());
    const Tensor& y = t.output(0);
    const auto values = y.flat<float>();
    size_t at = 0;
    for (int64_t i = 0; i < y.dim(0); ++i)
      for (int64_t j = 0; j < y.dim(1); ++j)
        for (int64_t k = 0; k < y.dim(2); ++k)
          EXPECT_EQ(values[at++],
                    static_cast<float>(i * strides[perm[0]] + j * strides[perm[1]] + k * strides[perm[2]]));
  } while (std::next_permutation(perm.begin(), perm.end()));
  for (const std::vector<int32_t>& bad : {std::vector<int32_t>{0, 1}, {0, 0, 1}, {0, 1, 3}, {0, 1, -4}}) {
    OpTest t(all_ops(), "Transpose");
    EXPECT_EQ(t.input(x).input(Tensor(bad)).run().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Transpose, large_planes_and_strips) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{256, 192}, {130, 77}, {1, 500}, {300, 1}}) {
    OpTest t(all_ops(), "Transpose");
    const Tensor x = matrix(rows, columns, 0);
    ASSERT_TRUE(t.input(x).input(Tensor(std::vector<int32_t>{1, 0})).run().ok());
    const auto y = t.output(0).flat<float>();
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t j = 0; j < rows; ++j)
        ASSERT_EQ(y[static_cast<size_t>(i * rows + j)], static_cast<float>(j * columns + i));
  }
}

TEST(InvertPermutation, checks_each_index) {
  OpTest t(all_ops(), "InvertPermutation");
  ASSERT_TRUE(t.input(Tensor(std::vector<int32_t>{2, 0, 1})).run().ok());
  EXPECT_THAT(t.output(0).to_vector<int32_t>(), ElementsAre(1, 2, 0));
  for (const std::vector<int32_t>& bad : {std::vector<int32_t>{0, 0}, {0, 2}, {-1, 0}}) {
    OpTest b(all_ops(), "InvertPermutation");
    EXPECT_EQ(b.input(Tensor(bad)).run().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace millrace
