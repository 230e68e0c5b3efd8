// Parsing and decoding ops; expected values and messages are TensorFlow 2.21's.

#include "base/wire.h"
#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using Strings = std::vector<std::string>;

std::string floats(const std::vector<float>& values) {
  std::string packed, list, feature;
  for (const float v : values) append_fixed32(packed, std::bit_cast<uint32_t>(v));
  append_bytes_field(list, 1, packed);
  append_bytes_field(feature, 2, list);
  return feature;
}
std::string ints(const std::vector<int64_t>& values) {
  std::string list, feature;
  for (const int64_t v : values) append_varint_field(list, 1, static_cast<uint64_t>(v));  // not packed
  append_bytes_field(feature, 3, list);
  return feature;
}
std::string texts(const Strings& values) {
  std::string list, feature;
  for (const std::string& v : values) append_bytes_field(list, 1, v);
  append_bytes_field(feature, 1, list);
  return feature;
}
std::string example(const std::vector<std::pair<std::string, std::string>>& features) {
  std::string map, out;
  for (const auto& [key, feature] : features) {
    std::string entry;
    append_bytes_field(entry, 1, key);
    append_bytes_field(entry, 2, feature);
    append_bytes_field(map, 1, entry);
  }
  append_bytes_field(out, 1, map);
  return out;
}

const Tensor kNone = Tensor(TensorShape({0}), Strings{});

// ParseExampleV2 with one dense float feature "a".
std::unique_ptr<OpTest> dense(const Tensor& serialized, const PartialTensorShape& shape, const Tensor& default_value) {
  auto made = std::make_unique<OpTest>(all_ops(), "ParseExampleV2");
  OpTest& t = *made;
  t.attr("dense_shapes", std::vector<PartialTensorShape>{shape})
      .attr("num_sparse", 0)
      .attr("sparse_types", std::vector<DataType>{});
  t.attr("ragged_value_types", std::vector<DataType>{}).attr("ragged_split_types", std::vector<DataType>{});
  t.input(serialized).input(kNone).input(kNone).input(Tensor(Strings{"a"})).input(kNone).inputs({default_value});
  return made;
}

const Tensor kRequired = Tensor(TensorShape({0}), std::vector<float>{});

TEST(ParseExample, dense_features) {
  const std::unique_ptr<OpTest> batch =
      dense(Tensor(Strings{example({{"a", floats({1, 2})}}),
                           example({{"b", ints({3})}, {"a", floats({5, 6})}, {"a", floats({3, 4})}})}),
            PartialTensorShape({2}), kRequired);
  ASSERT_TRUE(batch->run().ok());
  EXPECT_EQ(batch->output(0).shape(), TensorShape({2, 2}));
  EXPECT_EQ(batch->output(0).to_vector<float>(),
            (std::vector<float>{1, 2, 3, 4}));  // the last of two equal keys counts

  const std::unique_ptr<OpTest> single =
      dense(Tensor(example({{"a", floats({7})}})), PartialTensorShape::scalar(), kRequired);
  ASSERT_TRUE(single->run().ok());
  EXPECT_EQ(single->output(0).scalar<float>(), 7);

  const std::unique_ptr<OpTest> missing =
      dense(Tensor(Strings{example({})}), PartialTensorShape({2}), Tensor({2}, std::vector<float>{8, 9}));
  ASSERT_TRUE(missing->run().ok());
  EXPECT_EQ(missing->output(0).to_vector<float>(), (std::vector<float>{8, 9}));

  const std::unique_ptr<OpTest> rows =
      dense(Tensor(Strings{example({{"a", floats({1, 2})}}), example({}), example({{"a", floats({3, 4, 5, 6})}})}),
            PartialTensorShape({-1, 2}), Tensor(9.0f));
  ASSERT_TRUE(rows->run().ok());
  EXPECT_EQ(rows->output(0).shape(), TensorShape({3, 2, 2}));
  EXPECT_EQ(rows->output(0).to_vector<float>(), (std::vector<float>{1, 2, 9, 9, 9, 9, 9, 9, 3, 4, 5, 6}));
}

TEST(ParseExample, sparse_and_ragged_features) {
  OpTest t(all_ops(), "ParseExampleV2");
  t.attr("dense_shapes", std::vector<PartialTensorShape>{})
      .attr("num_sparse", 2)
      .attr("sparse_types", std::vector<DataType>{int64, string});
  t.attr("ragged_value_types", std::vector<DataType>{float32}).attr("ragged_split_types", std::vector<DataType>{int32});
  t.input(Tensor(Strings{example({{"i", ints({-1, 2})}, {"r", floats({1})}}), example({}),
                         example({{"s", texts({"x"})}, {"r", floats({2, 3})}})}));
  t.input(kNone).input(Tensor(Strings{"i", "s"})).input(kNone).input(Tensor(Strings{"r"})).inputs({});
  const absl::Status status = t.run();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(t.output(0).to_vector<int64_t>(), (std::vector<int64_t>{0, 0, 0, 1}));
  EXPECT_EQ(t.output(1).to_vector<int64_t>(), (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(t.output(2).to_vector<int64_t>(), (std::vector<int64_t>{-1, 2}));
  EXPECT_EQ(t.output(3).to_vector<std::string>(), Strings{"x"});
  EXPECT_EQ(t.output(4).to_vector<int64_t>(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(t.output(5).to_vector<int64_t>(), (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(t.output(6).to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(t.output(7).to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 1, 3}));
}

TEST(ParseExample, errors_name_example_and_feature) {
  const struct {
    Tensor serialized;
    const char* message;
  } cases[] = {
      {Tensor(Strings{example({{"b", ints({1})}})}),
       "Name: <unknown>, Feature: a (data type: float) is required but could not be found."},
      {Tensor(example({})), "Feature: a (data type: float) is required but could not be found."},
      {Tensor(Strings{example({{"a", ints({1})}})}),
       "Name: <unknown>, Key: a, Index: 0.  Data types don't match. Data type: int64 but expected type: float"},
      {Tensor(example({{"a", ints({1})}})),
       "Key: a.  Data types don't match. Data type: int64 but expected type: float"},
      {Tensor(Strings{example({{"a", floats({1, 2})}})}),
       "Name: <unknown>, Key: a, Index: 0.  Number of float values != expected.  Values size: 2 but output shape: [3]"},
      {Tensor(Strings{"\xff\xff\xff"}),
       "Could not parse example input, Name: <unknown>, Index: 0: Can't parse serialized Example."},
  };
  for (const auto& c : cases) {
    const std::unique_ptr<OpTest> t = dense(c.serialized, PartialTensorShape({3}), kRequired);
    const absl::Status status = t->run();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
}

// Every truncation and many flipped bytes: an error or a result, never anything else (the sanitizers watch).
TEST(ParseExample, lists_of_different_lengths_are_refused) {
  OpTest ragged(all_ops(), "ParseExampleV2");
  ragged.attr("Tdense", std::vector<DataType>{}).attr("dense_shapes", std::vector<PartialTensorShape>{});
  ragged.attr("num_sparse", 0).attr("sparse_types", std::vector<DataType>{});
  ragged.attr("ragged_value_types", std::vector<DataType>{float32, int64, float32});
  ragged.attr("ragged_split_types", std::vector<DataType>{});
  EXPECT_EQ(ragged.infer({{1}, {0}, {0}, {0}, {3}}).status().code(), absl::StatusCode::kInvalidArgument);
  OpTest sparse(all_ops(), "ParseSingleExample");
  sparse.attr("num_sparse", 3).attr("sparse_keys", Strings{"a"}).attr("sparse_types", std::vector<DataType>{int64});
  sparse.attr("Tdense", std::vector<DataType>{}).attr("dense_keys", Strings{});
  sparse.attr("dense_shapes", std::vector<PartialTensorShape>{});
  EXPECT_EQ(sparse.infer({PartialTensorShape::scalar()}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ParseExample, survives_damaged_bytes) {
  const std::string whole =
      example({{"a", floats({1, 2, 3})}, {"b", texts({"hello", "world"})}, {"c", ints({1, 300, -1})}});
  for (size_t n = 0; n < whole.size(); ++n) {
    std::string damaged = whole;
    damaged[n] = static_cast<char>(damaged[n] ^ 0x5a);
    for (const std::string& s : {whole.substr(0, n), damaged}) {
      const std::unique_ptr<OpTest> t =
          dense(Tensor(Strings{s}), PartialTensorShape({3}), Tensor({3}, std::vector<float>{0, 0, 0}));
      (void)t->run();
    }
  }
}

TEST(Tensors, serialize_and_parse) {
  for (const Tensor& value : {Tensor({2, 2}, std::vector<float>{1, 2, 3, 4}), Tensor(int64_t{-7}),
                              Tensor(Strings{"a", "", "c"}), Tensor(TensorShape({0, 3}), std::vector<int32_t>{})}) {
    OpTest serialize(all_ops(), "SerializeTensor");
    serialize.input(value);
    ASSERT_TRUE(serialize.run().ok());
    OpTest parse(all_ops(), "ParseTensor");
    parse.attr("out_type", value.dtype()).input(serialize.output(0));
    ASSERT_TRUE(parse.run().ok());
    EXPECT_TRUE(bitwise_equal(parse.output(0), value));
    OpTest wrong(all_ops(), "ParseTensor");
    wrong.attr("out_type", bool_).input(serialize.output(0));
    EXPECT_EQ(wrong.run().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(DecodeCSV, fields) {
  const auto csv = [](const std::string& record) {
    auto t = std::make_unique<OpTest>(all_ops(), "DecodeCSV");
    t->input(Tensor(Strings{record}))
        .inputs({Tensor(TensorShape({0}), std::vector<int32_t>{}), Tensor({1}, std::vector<float>{7}),
                 Tensor({1}, Strings{"z"})});
    return t;
  };
  auto t = csv("1,2.5,\"a \"\"b\"\"\"");
  ASSERT_TRUE(t->run().ok());
  EXPECT_EQ(t->output(0).to_vector<int32_t>(), std::vector<int32_t>{1});
  EXPECT_EQ(t->output(1).to_vector<float>(), std::vector<float>{2.5f});
  EXPECT_EQ(t->output(2).to_vector<std::string>(), Strings{"a \"b\""});
  t = csv("3,,");
  ASSERT_TRUE(t->run().ok());
  EXPECT_EQ(t->output(1).to_vector<float>(), std::vector<float>{7});
  EXPECT_EQ(t->output(2).to_vector<std::string>(), Strings{"z"});
  const std::pair<const char*, const char*> errors[] = {
      {"1,2.5", "Expect 3 fields but have 2 in record 0"},
      {"q,2.5,x", "Field 0 in record 0 is not a valid int32: q"},
      {",2.5,x", "Field 0 is required but missing in record 0!"},
      {"1,\"2.5,x", "Quoted field has to end with quote followed by delim or end"},
      {"1,2\"5,x", "Unquoted fields cannot have quotes/CRLFs inside"},
  };
  for (const auto& [record, message] : errors) EXPECT_EQ(csv(record)->run().message(), message);
}

TEST(DecodeRaw, numbers) {
  OpTest t(all_ops(), "DecodeRaw");
  t.attr("out_type", int16).input(Tensor(Strings{"abcd", "efgh"}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).shape(), TensorShape({2, 2}));
  EXPECT_EQ(t.output(0).to_vector<int16_t>(), (std::vector<int16_t>{25185, 25699, 26213, 26727}));
  OpTest big(all_ops(), "DecodeRaw");
  big.attr("out_type", int16).attr("little_endian", false).input(Tensor(std::string("\0\1", 2)));
  ASSERT_TRUE(big.run().ok());
  EXPECT_EQ(big.output(0).to_vector<int16_t>(), std::vector<int16_t>{1});
  OpTest odd(all_ops(), "DecodeRaw");
  odd.attr("out_type", int16).input(Tensor("abc"));
  EXPECT_EQ(odd.run().message(), "Input to DecodeRaw has length 3 that is not a multiple of 2, the size of int16");
  OpTest padded(all_ops(), "DecodePaddedRaw");
  padded.attr("out_type", uint8).input(Tensor(Strings{"abcd", "e"})).input(Tensor(int32_t{3}));
  ASSERT_TRUE(padded.run().ok());
  EXPECT_EQ(padded.output(0).to_vector<uint8_t>(), (std::vector<uint8_t>{'a', 'b', 'c', 'e', 0, 0}));
}

TEST(Base64, web_safe) {
  for (const bool pad : {false, true}) {
    OpTest t(all_ops(), "EncodeBase64");
    t.attr("pad", pad).input(Tensor(Strings{"a", "ab", "abc", "\xff\xfe"}));
    ASSERT_TRUE(t.run().ok());
    EXPECT_EQ(t.output(0).to_vector<std::string>(),
              pad ? (Strings{"YQ==", "YWI=", "YWJj", "__4="}) : (Strings{"YQ", "YWI", "YWJj", "__4"}));
    OpTest back(all_ops(), "DecodeBase64");
    back.input(t.output(0));
    ASSERT_TRUE(back.run().ok());
    EXPECT_EQ(back.output(0).to_vector<std::string>(), (Strings{"a", "ab", "abc", "\xff\xfe"}));
  }
  for (const char* bad : {"YQ$", "Y", "="}) {
    OpTest t(all_ops(), "DecodeBase64");
    t.input(Tensor(bad));
    EXPECT_EQ(t.run().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace millrace
