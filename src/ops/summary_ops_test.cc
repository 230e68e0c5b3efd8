// Summary ops, read back with a small reader of our own; expected values are TensorFlow 2.21's.

#include <cfloat>
#include <cmath>

#include "base/wire.h"
#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using Strings = std::vector<std::string>;

std::string scalar_summary(const Tensor& tags, const Tensor& values) {
  OpTest t(all_ops(), "ScalarSummary");
  t.input(tags).input(values);
  const absl::Status status = t.run();
  EXPECT_TRUE(status.ok()) << status;
  return t.output(0).scalar<std::string>();
}

std::string value(const std::string& tag, float v) {
  std::string inner, out;
  append_bytes_field(inner, 1, tag);
  append_float_field(inner, 2, v);
  append_bytes_field(out, 1, inner);
  return out;
}

TEST(Summaries, scalars) {
  EXPECT_EQ(scalar_summary(Tensor("loss"), Tensor(0.5f)), value("loss", 0.5f));
  EXPECT_EQ(scalar_summary(Tensor("loss"), Tensor(0.0f)), value("loss", 0));
  EXPECT_EQ(scalar_summary(Tensor(Strings{"a", "b"}), Tensor({2}, std::vector<int64_t>{1, -2})),
            value("a", 1) + value("b", -2));
  OpTest t(all_ops(), "ScalarSummary");
  t.input(Tensor("x")).input(Tensor({2}, std::vector<float>{1, 2}));
  EXPECT_EQ(t.run().message(), "tags and values are not the same shape: [] != [2] (tag 'x')");
}

TEST(Summaries, merge) {
  OpTest t(all_ops(), "MergeSummary");
  t.inputs({Tensor(value("a", 1)), Tensor(Strings{value("b", 2), value("c", 3)})});
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).scalar<std::string>(), value("a", 1) + value("b", 2) + value("c", 3));
  OpTest twice(all_ops(), "MergeSummary");
  twice.inputs({Tensor(value("a", 1)), Tensor(value("a", 2))});
  EXPECT_EQ(twice.run().message(), "Duplicate tag a found in summary inputs");
  OpTest damaged(all_ops(), "MergeSummary");
  damaged.inputs({Tensor("\xff\xff")});
  EXPECT_EQ(damaged.run().message(), "Could not parse one of the summary inputs");
}

std::vector<double> doubles(std::string_view packed) {
  std::vector<double> out;
  for (size_t i = 0; i + 8 <= packed.size(); i += 8)
    out.push_back(std::bit_cast<double>(load_fixed64(packed.data() + i)));
  return out;
}

TEST(Summaries, histogram) {
  OpTest t(all_ops(), "HistogramSummary");
  t.input(Tensor("h")).input(Tensor({4}, std::vector<float>{-1, 0, 1, 1}));
  ASSERT_TRUE(t.run().ok());
  const std::string summary = t.output(0).scalar<std::string>();
  WireReader outer(summary);
  ASSERT_TRUE(outer.next());
  WireReader v(outer.bytes());
  std::string_view histogram;
  while (v.next()) {
    if (v.is(5, WireType::kBytes)) histogram = v.bytes();
    else v.skip();
  }
  double min = 0, max = 0, num = 0, sum = 0, squares = 0;
  std::vector<double> limits, buckets;
  WireReader h(histogram);
  while (h.next()) {
    if (h.type() == WireType::kFixed64)
      (h.field() == 1   ? min
       : h.field() == 2 ? max
       : h.field() == 3 ? num
       : h.field() == 4 ? sum
                        : squares) = std::bit_cast<double>(h.fixed64());
    else (h.field() == 6 ? limits : buckets) = doubles(h.bytes());
  }
  ASSERT_TRUE(h.ok());
  EXPECT_EQ((std::vector<double>{min, max, num, sum, squares}), (std::vector<double>{-1, 1, 4, 1, 3}));
  ASSERT_EQ(limits.size(), 7u);
  EXPECT_EQ(buckets, (std::vector<double>{0, 1, 0, 1, 0, 2, 0}));
  EXPECT_EQ(limits[2], 0.0);
  EXPECT_EQ(limits[3], 1e-12);
  EXPECT_DOUBLE_EQ(limits[4], 0.917246389039776);
  EXPECT_DOUBLE_EQ(limits[5], 1.0089710279437536);
  EXPECT_EQ(limits[6], DBL_MAX);
  OpTest nan(all_ops(), "HistogramSummary");
  nan.input(Tensor("h")).input(Tensor(std::nanf("")));
  EXPECT_EQ(nan.run().message(), "Nan in summary histogram for: test");
}

absl::Status image_summary(const Tensor& images, AttrMap attrs = {}) {
  OpTest t(all_ops(), "ImageSummary");
  for (const auto& [name, value] : attrs) t.attr(name, value);
  return t.input(Tensor("im")).input(images).run();
}
Tensor zeros(const TensorShape& shape) {
  return Tensor(shape, std::vector<float>(static_cast<size_t>(shape.num_elements()), 0.0f));
}

// Pixels are compared with TensorFlow's in tests/golden/events/summary_ops.
TEST(Summaries, images_that_cannot_be_shown_are_errors) {
  EXPECT_TRUE(image_summary(zeros({2, 3, 4, 1})).ok());
  EXPECT_TRUE(image_summary(zeros({0, 3, 4, 1})).ok());
  for (const TensorShape& shape : {TensorShape({2, 3, 4, 2}), TensorShape({3, 4, 3}), TensorShape({1, 0, 4, 3}),
                                   TensorShape({1, 4, 0, 3}), TensorShape({2, 3, 4, 0})})
    EXPECT_EQ(image_summary(zeros(shape)).code(), absl::StatusCode::kInvalidArgument) << shape.to_string();
  const Tensor one_color(std::vector<uint8_t>{9}), floats(std::vector<float>{1, 2, 3, 4});
  EXPECT_TRUE(image_summary(zeros({1, 2, 2, 1}), {{"bad_color", one_color}}).ok());
  EXPECT_EQ(image_summary(zeros({1, 2, 2, 3}), {{"bad_color", one_color}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(image_summary(zeros({1, 2, 2, 3}), {{"bad_color", floats}}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Summaries, sounds_with_their_rate_as_attribute_or_input) {
  const Tensor sound({1, 3}, std::vector<float>{0, 0.5f, -1});
  OpTest attribute(all_ops(), "AudioSummary");
  ASSERT_TRUE(attribute.attr("sample_rate", 8000.0f).input(Tensor("a")).input(sound).run().ok());
  OpTest input(all_ops(), "AudioSummaryV2");
  ASSERT_TRUE(input.input(Tensor("a")).input(sound).input(Tensor(8000.0f)).run().ok());
  const std::string& summary = input.output(0).scalar<std::string>();
  EXPECT_EQ(attribute.output(0).scalar<std::string>(), summary);
  EXPECT_NE(summary.find(std::string("data\6\0\0\0\0\0\0\x40\0\x80", 14)), std::string::npos);
}

}  // namespace
}  // namespace millrace
