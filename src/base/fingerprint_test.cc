#include "base/fingerprint.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Fingerprint, Md5OfItsStandard) {
  EXPECT_EQ(md5_leading_word(""), 0xd41d8cd9u);
  EXPECT_EQ(md5_leading_word("abc"), 0x90015098u);
  EXPECT_EQ(md5_leading_word("message digest"), 0xf96b697du);
  EXPECT_EQ(md5_leading_word("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"), 0xd174ab98u);
  EXPECT_EQ(md5_leading_word("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            0x57edf4a2u);
}

}  // namespace
}  // namespace millrace
