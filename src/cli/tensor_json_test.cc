#include "cli/tensor_json.h"

#include <limits>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(TensorJson, nests_lists_as_the_shape_says) {
  EXPECT_EQ(tensor_json(Tensor(1.5f)), "1.5");
  EXPECT_EQ(tensor_json(Tensor(int64_t{1} << 62)), "4611686018427387904");
  EXPECT_EQ(tensor_json(Tensor(true)), "true");
  EXPECT_EQ(tensor_json(Tensor({2, 2}, std::vector<int32_t>{1, 2, 3, 4})), "[[1, 2], [3, 4]]");
  EXPECT_EQ(tensor_json(Tensor({2, 1, 2}, std::vector<int32_t>{1, 2, 3, 4})), "[[[1, 2]], [[3, 4]]]");
  EXPECT_EQ(tensor_json(Tensor({0}, std::vector<float>{})), "[]");
  EXPECT_EQ(tensor_json(Tensor({2, 0, 3}, std::vector<float>{})), "[[], []]");
}

TEST(TensorJson, keeps_every_bit_of_a_number) {
  EXPECT_EQ(tensor_json(Tensor(0.1f)), "0.10000000149011612");
  EXPECT_EQ(tensor_json(Tensor(0.1)), "0.1");
  EXPECT_EQ(tensor_json(Tensor(2.0f)), "2.0");
  EXPECT_EQ(tensor_json(Tensor(
                std::vector<float>{std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})),
            "[NaN, -Infinity]");
  EXPECT_EQ(tensor_json(Tensor(std::vector<BFloat16>{BFloat16(1.5f)})), "[1.5]");
  EXPECT_EQ(tensor_json(Tensor(std::vector<Complex64>{{1, -2}})), "[[1.0, -2.0]]");
}

TEST(TensorJson, escapes_text_and_replaces_what_is_none) {
  EXPECT_EQ(tensor_json(Tensor("a\"b\n")), "\"a\\\"b\\n\"");
  EXPECT_EQ(tensor_json(Tensor("\xff")), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace millrace
