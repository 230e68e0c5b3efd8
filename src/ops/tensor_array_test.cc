// The array behind TensorArray ops. What the ops do together is held against TensorFlow by tests/golden/ops; their
// gradient graphs and static shapes by tests/gradient_graphs_test.cc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/tensor_array_resource.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorArrayResource::Options floats(int32_t size) { return {.dtype = DataType::kFloat, .size = size}; }
Tensor pair(float a, float b) { return Tensor(std::vector<float>{a, b}); }
std::string message(const absl::Status& status) { return std::string(status.message()); }

TEST(TensorArray, claims_memory_for_what_is_written_only) {
  TensorArrayResource::Options options = floats(0);
  options.dynamic_size = true;
  TensorArrayResource array("a", options);
  ASSERT_TRUE(array.write(2'000'000'000, pair(1, 2)).ok());
  EXPECT_EQ(*array.size(), 2'000'000'001);
  EXPECT_FALSE(array.write(int64_t{1} << 31, pair(1, 2)).ok());
  EXPECT_THAT(array.read(2'000'000'000)->to_vector<float>(), ElementsAre(1, 2));
}

TEST(TensorArray, keeps_shared_values_whole_when_gradients_add_up) {
  TensorArrayResource forward("a", floats(2));
  ASSERT_TRUE(forward.write(0, pair(1, 2)).ok());
  const auto gradient = *forward.make_gradient("a@g", TensorShape());
  const Tensor kept = pair(3, 4);
  ASSERT_TRUE(gradient->write(0, kept).ok());  // an array and a caller hold it
  ASSERT_TRUE(gradient->write(0, pair(10, 20)).ok());
  ASSERT_TRUE(gradient->write(0, pair(100, 200)).ok());
  EXPECT_THAT(gradient->read(0)->to_vector<float>(), ElementsAre(113, 224));
  EXPECT_THAT(kept.to_vector<float>(), ElementsAre(3, 4));
}

TEST(TensorArray, gradient_is_zero_where_nothing_was_written_to_it) {
  TensorArrayResource forward("a", floats(3));
  ASSERT_TRUE(forward.write(1, pair(1, 2)).ok());
  const auto gradient = *forward.make_gradient("a@g", *make_shape({2}));
  const Tensor zeros = *gradient->read(1);
  EXPECT_EQ(zeros.shape(), *make_shape({2, 2}));
  EXPECT_THAT(zeros.to_vector<float>(), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(message(gradient->read(0).status()), HasSubstr("element shape is not fully defined: <unknown>"));
}

TEST(TensorArray, says_what_was_wrong) {
  TensorArrayResource array("a_0", floats(2));
  EXPECT_EQ(message(array.write(2, pair(1, 2))),
            "TensorArray a_0: Tried to write to index 2 but array is not resizeable and size is: 2");
  EXPECT_EQ(message(array.read(-1).status()), "Tried to read from index -1 but array size is: 2");
  ASSERT_TRUE(array.write(0, pair(1, 2)).ok());
  EXPECT_EQ(message(array.write(0, pair(1, 2))),
            "TensorArray a_0: Could not write to TensorArray index 0 because it has already been written to.");
  ASSERT_TRUE(array.read(0).ok());
  EXPECT_THAT(message(array.read(0).status()), HasSubstr("Could not read index 0 twice because it was cleared"));
  ASSERT_TRUE(array.close().ok());
  EXPECT_EQ(message(array.read(0).status()), "TensorArray a_0 has already been closed.");
}

}  // namespace
}  // namespace millrace
