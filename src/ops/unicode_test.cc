// Ill-formed strings. Well-formed ones are held against TensorFlow by tests/golden/ops.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> starts(const std::string& text, const char* encoding) {
  OpTest t(all_ops(), "UnicodeDecodeWithOffsets");
  t.attr("input_encoding", encoding).input(Tensor(text));
  EXPECT_TRUE(t.run().ok());
  return t.output(2).to_vector<int64_t>();
}

TEST(Unicode, counts_one_error_for_each_longest_beginning) {
  EXPECT_THAT(starts("a\xE2\x82", "UTF-8"), ElementsAre(0, 1));
  EXPECT_THAT(starts("\xF0\x80\x80", "UTF-8"), ElementsAre(0, 1, 2));
  EXPECT_THAT(starts("\xED\xA0\x80z", "UTF-8"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(starts(std::string("\xD8\x00\x00\x41", 4), "UTF-16-BE"), ElementsAre(0, 2));
  EXPECT_THAT(starts(std::string("\x00\x41\xD8", 3), "UTF-16-BE"), ElementsAre(0, 2));
  EXPECT_THAT(starts(std::string("\x00\x11\x00\x00\x01", 5), "UTF-32-BE"), ElementsAre(0, 4));
}

TEST(Unicode, reads_other_encodings) {
  OpTest t(all_ops(), "UnicodeTranscode");
  t.attr("input_encoding", "SHIFT_JIS")
      .attr("output_encoding", "UTF-8")
      .input(Tensor(std::string("\x82\xA0"
                                "A")));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).scalar<std::string>(),
            "\xE3\x81\x82"
            "A");
  EXPECT_THAT(starts("\x82\xA0"
                     "A\x82",
                     "SHIFT_JIS"),
              ElementsAre(0, 2, 3));
}

TEST(Unicode, refuses_encodings_it_does_not_know) {
  for (const char* encoding : {"", "no such", "UTF-8//TRANSLIT", "../../etc/passwd"}) {
    OpTest t(all_ops(), "UnicodeDecode");
    t.attr("input_encoding", encoding).input(Tensor("a"));
    EXPECT_TRUE(absl::IsInvalidArgument(t.run())) << encoding;
  }
}

}  // namespace
}  // namespace millrace
