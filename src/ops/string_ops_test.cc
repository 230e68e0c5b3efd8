// String ops; expected values are TensorFlow 2.21's.

#include "base/fingerprint.h"
#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using Strings = std::vector<std::string>;

Strings run(OpTest& t) {
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << status;
  return status.ok() ? t.output(0).to_vector<std::string>() : Strings{};
}

TEST(Strings, join) {
  OpTest t(all_ops(), "StringJoin");
  t.attr("separator", "-").inputs({Tensor(Strings{"a", "b"}), Tensor("x"), Tensor(Strings{"c", "d"})});
  EXPECT_EQ(run(t), (Strings{"a-x-c", "b-x-d"}));
  OpTest scalars(all_ops(), "StringJoin");
  scalars.inputs({Tensor("a"), Tensor("b")});
  EXPECT_EQ(run(scalars), Strings{"ab"});
  OpTest wrong(all_ops(), "StringJoin");
  wrong.inputs({Tensor(Strings{"a", "b"}), Tensor(Strings{"a"})});
  EXPECT_EQ(wrong.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Strings, split) {
  const struct {
    const char* op;
    const char* separator;
    Strings in, values;
    std::vector<int64_t> shape;
  } cases[] = {
      {"StringSplitV2", "", {"hello  world ", "a"}, {"hello", "world", "a"}, {2, 2}},
      {"StringSplitV2", ",", {"1,,2", ""}, {"1", "", "2", ""}, {2, 3}},
      {"StringSplit", " ", {"hello  world ", ""}, {"hello", "world"}, {2, 2}},
      {"StringSplit", "", {"ab"}, {"a", "b"}, {1, 2}},
      {"StringSplit", "|,", {"a|b,c"}, {"a", "b", "c"}, {1, 3}},
  };
  for (const auto& c : cases) {
    OpTest t(all_ops(), c.op);
    t.input(Tensor(c.in)).input(Tensor(c.separator));
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(1).to_vector<std::string>(), c.values);
    EXPECT_EQ(t.output(2).to_vector<int64_t>(), c.shape);
  }
  OpTest spaces(all_ops(), "StringSplitV2");
  spaces.attr("maxsplit", 1).input(Tensor(Strings{"a b  c", "", "d", " e "})).input(Tensor(""));
  ASSERT_TRUE(spaces.run().ok());
  EXPECT_EQ(spaces.output(1).to_vector<std::string>(), (Strings{"a", "b  c", "d", "", "e", ""}));
  OpTest whole(all_ops(), "StringSplitV2");
  whole.attr("maxsplit", 0).input(Tensor(Strings{" a ", ""})).input(Tensor(""));
  ASSERT_TRUE(whole.run().ok());
  EXPECT_EQ(whole.output(1).to_vector<std::string>(), (Strings{" a ", ""}));
  OpTest most(all_ops(), "StringSplitV2");
  most.attr("maxsplit", 1).input(Tensor(Strings{"a,b,c"})).input(Tensor(","));
  ASSERT_TRUE(most.run().ok());
  EXPECT_EQ(most.output(1).to_vector<std::string>(), (Strings{"a", "b,c"}));
}

TEST(Strings, regular_expressions) {
  OpTest match(all_ops(), "StaticRegexFullMatch");
  match.attr("pattern", "^s3://.*").input(Tensor(Strings{"s3://x", "file"}));
  ASSERT_TRUE(match.run().ok());
  EXPECT_EQ(match.output(0).to_vector<bool>(), (std::vector<bool>{true, false}));
  OpTest bad(all_ops(), "StaticRegexFullMatch");
  bad.attr("pattern", "(").input(Tensor("x"));
  EXPECT_EQ(bad.run().code(), absl::StatusCode::kInvalidArgument);
  OpTest replace(all_ops(), "RegexReplace");
  replace.input(Tensor(Strings{"abcabc"})).input(Tensor("b(.)")).input(Tensor("\\1!"));
  EXPECT_EQ(run(replace), Strings{"ac!ac!"});
  OpTest once(all_ops(), "StaticRegexReplace");
  once.attr("pattern", "a").attr("rewrite", "").attr("replace_global", false).input(Tensor(Strings{"aa"}));
  EXPECT_EQ(run(once), Strings{"a"});
  OpTest rewrite(all_ops(), "StaticRegexReplace");
  rewrite.attr("pattern", "a").attr("rewrite", "\\7").input(Tensor(Strings{"aa"}));
  EXPECT_EQ(rewrite.run().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Strings, substrings_and_lengths) {
  OpTest t(all_ops(), "Substr");
  t.input(Tensor(Strings{"hello", "world"}))
      .input(Tensor({2}, std::vector<int32_t>{1, -2}))
      .input(Tensor({2}, std::vector<int32_t>{2, 9}));
  EXPECT_EQ(run(t), (Strings{"el", "ld"}));
  OpTest beyond(all_ops(), "Substr");
  beyond.input(Tensor("abc")).input(Tensor(int32_t{4})).input(Tensor(int32_t{1}));
  EXPECT_EQ(beyond.run().message(), "pos 4 out of range for stringb'abc' at index 0");
  OpTest characters(all_ops(), "Substr");
  characters.attr("unit", "UTF8_CHAR").input(Tensor("aäöb")).input(Tensor(int64_t{1})).input(Tensor(int64_t{2}));
  EXPECT_EQ(run(characters), Strings{"äö"});
  for (const auto& [unit, length] : {std::pair{"BYTE", 6}, std::pair{"UTF8_CHAR", 4}}) {
    OpTest l(all_ops(), "StringLength");
    l.attr("unit", unit).input(Tensor("aäöb"));
    ASSERT_TRUE(l.run().ok());
    EXPECT_EQ(l.output(0).scalar<int32_t>(), length);
  }
}

TEST(Strings, case_space_and_reduction) {
  OpTest lower(all_ops(), "StringLower");
  lower.input(Tensor(Strings{"AbÄ"}));
  EXPECT_EQ(run(lower), Strings{"abÄ"});
  OpTest upper(all_ops(), "StringUpper");
  upper.attr("encoding", "utf-8").input(Tensor(Strings{"abä\xff"}));
  EXPECT_EQ(run(upper), Strings{"ABÄ\xff"});
  OpTest strip(all_ops(), "StringStrip");
  strip.input(Tensor(Strings{" \ta b\n", ""}));
  EXPECT_EQ(run(strip), (Strings{"a b", ""}));
  const std::pair<std::vector<int32_t>, Strings> joins[] = {
      {{0, 1}, {"acbd"}}, {{1, 0}, {"abcd"}}, {{0}, {"ac", "bd"}}, {{-1}, {"ab", "cd"}}, {{}, {"a", "b", "c", "d"}}};
  for (const auto& [axes, expected] : joins) {
    OpTest t(all_ops(), "ReduceJoin");
    t.input(Tensor({2, 2}, Strings{"a", "b", "c", "d"})).input(Tensor({static_cast<int64_t>(axes.size())}, axes));
    EXPECT_EQ(run(t), expected);
  }
}

TEST(Strings, numbers) {
  const struct {
    Tensor in;
    AttrMap attrs;
    const char* out;
  } cases[] = {
      {Tensor(1.5f), {}, "1.500000"},
      {Tensor(1.5), {{"precision", 2}}, "1.50"},
      {Tensor(1.5e-7), {{"shortest", true}}, "1.5e-07"},
      {Tensor(1.5), {{"scientific", true}}, "1.500000e+00"},
      {Tensor(int64_t{-7}), {{"width", 5}, {"fill", "0"}}, "-0007"},
      {Tensor(true), {}, "true"},
      {Tensor("x"), {}, "x"},
  };
  for (const auto& c : cases) {
    OpTest t(all_ops(), "AsString");
    for (const auto& [name, value] : c.attrs) t.attr(name, value);
    t.input(c.in);
    EXPECT_EQ(run(t), Strings{c.out});
  }
  OpTest number(all_ops(), "StringToNumber");
  number.attr("out_type", float32).input(Tensor(Strings{" 1.5", "-inf"}));
  ASSERT_TRUE(number.run().ok());
  EXPECT_EQ(number.output(0).to_vector<float>()[0], 1.5f);
  OpTest wrong(all_ops(), "StringToNumber");
  wrong.attr("out_type", int32).input(Tensor("1.5"));
  EXPECT_EQ(wrong.run().message(), "StringToNumberOp could not correctly convert string: 1.5");
}

// Values of tf.strings.to_hash_bucket*(s, 2^62) for strings of every length class.
TEST(Strings, hashes_are_tensorflows) {
  const std::string s =
      "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs, and sphinx of black "
      "quartz, judge my vow";
  std::vector<uint64_t> seen;
  for (const size_t n : {0, 1, 3, 4, 7, 8, 16, 17, 32, 33, 64, 65, 124})
    seen.push_back(fingerprint64(s.substr(0, n)) & ((uint64_t{1} << 62) - 1));
  EXPECT_EQ(seen,
            (std::vector<uint64_t>{1936946117179621455, 1366698271136253306, 398699863598724093, 3813857490243172005,
                                   4268079096047479687, 491173507650915335, 4320848957565769301, 550333784831045053,
                                   3916272259504149090, 3629877152734163926, 3752270847880057449, 436762653845768959,
                                   76039468344837953}));
  EXPECT_EQ(hash64("hello world") & ((uint64_t{1} << 62) - 1), uint64_t{936430787915428847});
  EXPECT_EQ(sip_hash(1, 2, "hello world") & ((uint64_t{1} << 62) - 1), uint64_t{1015233985318741638});
}

TEST(Strings, ngrams_of_an_enormous_width_are_refused) {
  for (const int64_t width : {int64_t{1} << 40, int64_t{1} << 62}) {
    OpTest t(all_ops(), "StringNGrams");
    t.attr("separator", " ")
        .attr("ngram_widths", std::vector<int64_t>{width})
        .attr("left_pad", "l")
        .attr("right_pad", "r");
    t.attr("pad_width", -1).attr("preserve_short_sequences", false);
    t.input(Tensor(Strings{"a", "b"})).input(Tensor(std::vector<int64_t>{0, 2}));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(Strings, many_segments_without_columns_take_no_memory) {
  OpTest t(all_ops(), "UnsortedSegmentJoin");
  t.input(Tensor(string, {2, 0})).input(Tensor(std::vector<int64_t>{0, 1})).input(Tensor(int64_t{1} << 50));
  EXPECT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({int64_t{1} << 50, 0}));
}

}  // namespace
}  // namespace millrace
