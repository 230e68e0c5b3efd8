#include "base/byte_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

TEST(ByteReader, ReadsWhatCodingWrites) {
  std::string bytes;
  append_varint64(bytes, 0);
  append_varint64(bytes, 300);
  append_varint64(bytes, ~uint64_t{0});
  append_fixed32(bytes, 0xdeadbeef);
  append_fixed64(bytes, 0x0123456789abcdef);
  bytes += "tail";
  ByteReader reader(bytes);
  EXPECT_EQ(*reader.read_varint64("a"), 0u);
  EXPECT_EQ(*reader.read_varint32("b"), 300u);
  EXPECT_EQ(*reader.read_varint64("c"), ~uint64_t{0});
  EXPECT_EQ(*reader.read_fixed32("d"), 0xdeadbeefu);
  EXPECT_EQ(*reader.read_fixed64("e"), 0x0123456789abcdefu);
  EXPECT_EQ(*reader.read_byte("f"), 't');
  EXPECT_EQ(*reader.read_bytes(3, "g"), "ail");
  EXPECT_TRUE(reader.at_end());
}

TEST(ByteReader, RefusesWhatIsNotThere) {
  struct Case {
    std::string_view name, bytes, message;
    absl::Status (*read)(ByteReader&);
  };
  using R = ByteReader;
  const Case cases[] = {
      {"fixed32", "abc", "f: truncated v (4 bytes, 3 left) at offset 0",
       [](R& r) { return r.read_fixed32("v").status(); }},
      {"fixed64", "abcdefg", "truncated v", [](R& r) { return r.read_fixed64("v").status(); }},
      {"byte", "", "truncated v", [](R& r) { return r.read_byte("v").status(); }},
      {"bytes_huge", "abc", "truncated v", [](R& r) { return r.read_bytes(~uint64_t{0}, "v").status(); }},
      {"varint_cut", "\x80\x80", "truncated v", [](R& r) { return r.read_varint64("v").status(); }},
      {"varint_long", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "overlong v",
       [](R& r) { return r.read_varint64("v").status(); }},
      {"varint_endless", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", "overlong v",
       [](R& r) { return r.read_varint64("v").status(); }},
      {"varint32", "\xff\xff\xff\xff\x1f", "overlong v", [](R& r) { return r.read_varint32("v").status(); }},
      {"skip", "ab", "truncated v", [](R& r) { return r.skip(3, "v"); }},
  };
  for (const Case& c : cases) {
    ByteReader reader(c.bytes, "f");
    const absl::Status status = c.read(reader);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.message))) << c.name;
    EXPECT_EQ(reader.position(), 0u) << c.name;
  }
}

TEST(ByteReader, NestedReadersKeepTheirBoundsAndOffsets) {
  ByteReader reader("0123456789", "f");
  ASSERT_TRUE(reader.skip(2, "head").ok());
  auto nested = reader.read_nested(3, "part");
  ASSERT_TRUE(nested.ok());
  EXPECT_EQ(*nested->read_byte("x"), '2');
  EXPECT_THAT(std::string(nested->read_bytes(3, "y").status().message()), HasSubstr("at offset 3"));
  EXPECT_EQ(*reader.read_byte("z"), '5');
}

TEST(ByteReader, LimitsDepth) {
  ByteReader reader("abc");
  int depth = 0;
  absl::Status status;
  for (; depth < 1000; ++depth) {
    auto nested = reader.read_nested(reader.remaining(), "part");
    if (!nested.ok()) {
      status = nested.status();
      break;
    }
    reader = *nested;
  }
  EXPECT_EQ(depth, ByteReader::kMaxDepth);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too deeply nested part"));
}

}  // namespace
}  // namespace millrace
