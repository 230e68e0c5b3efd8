#include "checkpoint/tensor_slice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "checkpoint/ordered_code.h"

namespace millrace {
namespace {

TEST(TensorSlice, ParsesAndPrints) {
  for (const char* text : {"", "-", "-:-", "0,2:-", "3,1:0,7:-"}) {
    const auto slice = TensorSlice::parse(text);
    ASSERT_TRUE(slice.ok()) << text << slice.status();
    EXPECT_EQ(slice->to_string(), text);
  }
  for (const char* text :
       {":", "0", "0,", ",1", "a,b", "0,0", "-1,2", "1,-2", "0,2:", "0,99999999999999999999", "0 ,2"}) {
    EXPECT_EQ(TensorSlice::parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(TensorSlice, ResolvesAgainstAShape) {
  const TensorShape shape = {4, 6};
  const auto resolve = [&](const char* text) { return TensorSlice::parse(text)->resolved(shape); };
  EXPECT_EQ(resolve("1,2:-")->to_string(), "1,2:0,6");
  EXPECT_EQ(resolve("1,2:-")->shape(), (TensorShape{2, 6}));
  EXPECT_TRUE(resolve("3,1:5,1").ok());
  for (const char* text : {"3,2:-", "0,5:-", "9223372036854775807,1:-", "1,9223372036854775807:-", "-", "-:-:-"}) {
    EXPECT_EQ(resolve(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(TensorSlice::parse("0,4:-")->covers(shape));
  EXPECT_FALSE(TensorSlice::parse("0,3:-")->covers(shape));
}

TEST(TensorSlice, ShapeAndSlice) {
  const auto spec = parse_shape_and_slice("4 6 0,2:-");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->shape, (TensorShape{4, 6}));
  EXPECT_EQ(spec->slice.to_string(), "0,2:-");
  EXPECT_EQ(spec->slice_shape, (TensorShape{2, 6}));
  for (const char* text : {"", "bad", "4 6", "4 6 0,5:-", "4 6 0,2", "x 6 0,2:-", "-4 6 0,2:-", "4 6 0,2:-:-",
                           "9223372036854775807 9223372036854775807 -:-"}) {
    EXPECT_EQ(parse_shape_and_slice(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(OrderedCode, KnownBytes) {
  const auto number = [](int64_t value) {
    std::string out;
    ordered_code::append_signed_number(out, value);
    return out;
  };
  using namespace std::string_literals;
  EXPECT_EQ(number(0), "\x80"s);
  EXPECT_EQ(number(-1), "\x7f"s);
  EXPECT_EQ(number(63), "\xbf"s);
  EXPECT_EQ(number(64), "\xc0\x40"s);
  EXPECT_EQ(number(150), "\xc0\x96"s);
  EXPECT_EQ(slice_key("p", *TensorSlice::parse("2,2:-")), "\0p\0\x01\x01\x02\x82\x82\x80\x7f"s);
  std::string out;
  ordered_code::append_string(out, "a\0b\xff"s);
  EXPECT_EQ(out,
            "a\0\xff"
            "b\xff\0\0\x01"s);
}

TEST(OrderedCode, SortsAsTheNumbers) {
  std::mt19937_64 random(3);
  std::vector<int64_t> numbers = {0, -1, 1, INT64_MIN, INT64_MAX};
  for (int bits = 0; bits < 64; ++bits) {
    for (int i = 0; i < 20; ++i) numbers.push_back(static_cast<int64_t>(random()) >> bits);
  }
  std::sort(numbers.begin(), numbers.end());
  std::string last;
  for (size_t i = 0; i < numbers.size(); ++i) {
    std::string code;
    ordered_code::append_signed_number(code, numbers[i]);
    EXPECT_LE(code.size(), 10u);
    if (i > 0) EXPECT_EQ(last < code, numbers[i - 1] < numbers[i]) << numbers[i - 1] << " " << numbers[i];
    last = code;
  }
}

}  // namespace
}  // namespace millrace
