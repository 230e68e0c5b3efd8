#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace millrace {
namespace {

TEST(Crc32c, KnownValues) {  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c::value(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c::value(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending(32, '\0');
  for (int i = 0; i < 32; ++i) ascending[i] = static_cast<char>(i);
  EXPECT_EQ(crc32c::value(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c::value("123456789"), 0xe3069283u);
}

TEST(Crc32c, InstructionAgreesWithTableAtEveryLengthAndAlignment) {
  std::mt19937 random(1);
  std::string data(20000, '\0');
  for (char& c : data) c = static_cast<char>(random());
  for (size_t size : {0, 1, 7, 8, 9, 1023, 1024, 3071, 3072, 3073, 6144, 9999, 19990}) {
    for (size_t offset = 0; offset < 9; ++offset) {
      EXPECT_EQ(crc32c::value(data.data() + offset, size),
                crc32c::internal::extend_by_table(0, data.data() + offset, size))
          << size << " at " << offset;
    }
  }
}

TEST(Crc32c, ExtendJoinsParts) {
  const std::string data = "hello world, this is split in two";
  for (size_t i = 0; i <= data.size(); ++i) {
    EXPECT_EQ(crc32c::extend(crc32c::value(data.data(), i), data.data() + i, data.size() - i), crc32c::value(data));
  }
}

TEST(Crc32c, MaskIsInvertible) {
  const uint32_t crc = crc32c::value("foo");
  EXPECT_NE(crc, crc32c::mask(crc));
  EXPECT_NE(crc, crc32c::mask(crc32c::mask(crc)));
  EXPECT_EQ(crc, crc32c::unmask(crc32c::mask(crc)));
}

}  // namespace
}  // namespace millrace
