// What TensorFlow does not say of ragged tensors: splits that name more than there is, and more rows than fit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor longs(std::vector<int64_t> values) { return Tensor(values); }

TEST(RaggedTensorToTensor, refuses_splits_behind_the_values) {  // TensorFlow 2.21 reads what lies there
  OpTest t(all_ops(), "RaggedTensorToTensor");
  const absl::Status status = t.attr("row_partition_types", std::vector<std::string>{"ROW_SPLITS"})
                                  .input(longs({-1, -1}))
                                  .input(longs({1, 2, 3}))
                                  .input(Tensor(int64_t{0}))
                                  .inputs({longs({0, 1, 5})})
                                  .run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ends at 5"));
}

TEST(RaggedTensorToTensor, rows_behind_the_output_take_no_memory) {
  OpTest t(all_ops(), "RaggedTensorToTensor");
  ASSERT_TRUE(t.attr("row_partition_types", std::vector<std::string>{"FIRST_DIM_SIZE", "VALUE_ROWIDS"})
                  .input(longs({2, -1}))
                  .input(longs({1, 2, 3}))
                  .input(Tensor(int64_t{0}))
                  .inputs({Tensor(int64_t{1} << 60), longs({0, 0, int64_t{1} << 50})})
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<int64_t>(), ElementsAre(1, 2, 0, 0));
}

TEST(RaggedTensorToTensor, refuses_rows_without_bound) {
  OpTest t(all_ops(), "RaggedTensorToTensor");
  const absl::Status status =
      t.attr("row_partition_types", std::vector<std::string>{"FIRST_DIM_SIZE", "VALUE_ROWIDS", "ROW_SPLITS"})
          .input(Tensor(int64_t{-1}))
          .input(longs({1}))
          .input(Tensor(int64_t{0}))
          .inputs({Tensor(int64_t{1} << 60), longs({0}), longs({0, 1})})
          .run();
  EXPECT_FALSE(status.ok());
}

TEST(RaggedGather, refuses_splits_that_do_not_fit_together) {
  OpTest t(all_ops(), "RaggedGather");
  const absl::Status status = t.attr("OUTPUT_RAGGED_RANK", int64_t{2})
                                  .inputs({longs({0, 1, 4}), longs({0, 1, 3})})
                                  .input(longs({1, 2, 3}))
                                  .input(longs({1}))
                                  .run();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(RaggedTensorFromVariant, three_dimensions_of_variants_have_all_their_rows) {  // TensorFlow 2.21 forgets some
  OpTest one(all_ops(), "RaggedTensorToVariant");
  ASSERT_TRUE(one.attr("batched_input", true).inputs({longs({0, 1, 3, 3, 4})}).input(longs({1, 2, 3, 4})).run().ok());
  absl::StatusOr<Tensor> cube = reshaped(one.output(0), *make_shape({2, 2, 1}));
  OpTest t(all_ops(), "RaggedTensorFromVariant");
  ASSERT_TRUE(t.attr("input_ragged_rank", int64_t{0})
                  .attr("output_ragged_rank", int64_t{3})
                  .attr("Tvalues", DataType::kInt64)
                  .input(*cube)
                  .run()
                  .ok());
  EXPECT_THAT(t.output(0).to_vector<int64_t>(), ElementsAre(0, 2, 4));
  EXPECT_THAT(t.output(1).to_vector<int64_t>(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(t.output(2).to_vector<int64_t>(), ElementsAre(0, 1, 3, 3, 4));
}

}  // namespace
}  // namespace millrace
