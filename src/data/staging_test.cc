// When staging areas wait and end. What comes out of them is held against TensorFlow by tests/golden/ops.

#include "data/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What a call ended with; `calls` stays 0 while it waits.
struct Result {
  int calls = 0;
  absl::Status status;
  int64_t key = 0;
  Element parts;
  StagingArea::Done done() {
    return [this](absl::Status s, Element p) { ++calls, status = std::move(s), parts = std::move(p); };
  }
  StagingMap::Done map_done() {
    return
        [this](absl::Status s, int64_t k, Element p) { ++calls, status = std::move(s), key = k, parts = std::move(p); };
  }
  bool ok() const { return calls == 1 && status.ok(); }
  int32_t value() const { return parts.at(0).scalar<int32_t>(); }
};

const std::vector<DataType> kInt = {DataType::kInt32};
const std::vector<DataType> kIntAndFloat = {DataType::kInt32, DataType::kFloat};

TEST(StagingArea, makes_puts_wait_for_a_place) {
  StagingArea area({.capacity = 2});
  CancellationScope scope;
  Result put[4], got[4];
  for (int i = 0; i < 4; ++i) area.put({Tensor(i)}, &scope, put[i].done());
  EXPECT_EQ(put[0].calls + put[1].calls + put[2].calls + put[3].calls, 2);
  EXPECT_EQ(area.size(), 2);
  for (int i = 0; i < 4; ++i) {
    area.get(kInt, &scope, got[i].done());
    ASSERT_TRUE(got[i].ok()) << i;
    EXPECT_EQ(got[i].value(), i);
  }
  EXPECT_TRUE(put[3].ok());
}

TEST(StagingArea, makes_puts_wait_for_memory) {
  StagingArea area({.memory_limit = 8});
  CancellationScope scope;
  Result large, first, second, third;
  area.put({Tensor(std::vector<int32_t>{1, 2, 3})}, &scope, large.done());
  EXPECT_EQ(large.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(large.status.message()),
              HasSubstr("size of '12' bytes into Staging Area with a memory limit of '8'"));
  area.put({Tensor(1)}, &scope, first.done());
  area.put({Tensor(2)}, &scope, second.done());
  area.put({Tensor(3)}, &scope, third.done());
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(third.calls, 0);
  area.clear();
  EXPECT_TRUE(third.ok());
  EXPECT_EQ(area.size(), 1);
}

TEST(StagingArea, ends_waiting_when_cancelled) {
  StagingArea area({.capacity = 1});
  CancellationScope scope, other;
  Result got, peeked, put, second;
  area.get(kInt, &scope, got.done());
  area.peek(1, kInt, &scope, peeked.done());
  area.put({Tensor(7)}, &other, put.done());
  EXPECT_TRUE(put.ok());
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value(), 7);
  Result full;
  area.put({Tensor(8)}, &other, full.done());
  area.put({Tensor(9)}, &scope, second.done());
  EXPECT_EQ(peeked.calls + second.calls, 0);
  scope.cancel();
  EXPECT_EQ(second.status, absl::CancelledError("Stage operation was cancelled"));
  EXPECT_EQ(peeked.status, absl::CancelledError("StagePeek operation was cancelled"));
  EXPECT_EQ(area.size(), 1);
}

TEST(StagingArea, keeps_a_tuple_that_is_asked_for_with_other_types) {
  StagingArea area({});
  Result put, one, two, negative;
  area.put({Tensor(1), Tensor(2.0f)}, nullptr, put.done());
  area.get(kInt, nullptr, one.done());
  EXPECT_THAT(std::string(one.status.message()), HasSubstr("Mismatch stage/unstage: 2 vs. 1"));
  area.get({DataType::kInt32, DataType::kInt32}, nullptr, two.done());
  EXPECT_EQ(two.status.code(), absl::StatusCode::kInvalidArgument);
  area.peek(-1, kIntAndFloat, nullptr, negative.done());  // TensorFlow waits for ever
  EXPECT_EQ(negative.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(area.size(), 1);
}

TEST(StagingMap, makes_a_tuple_of_its_parts) {
  StagingMap map({}, kIntAndFloat);
  Result got, part, last;
  map.get(5, {0, 1}, kIntAndFloat, nullptr, got.map_done());
  map.put(5, {1}, {Tensor(2.0f)}, nullptr, part.map_done());
  EXPECT_TRUE(part.ok());
  EXPECT_EQ(map.incomplete_size(), 1);
  EXPECT_EQ(got.calls, 0);
  map.put(5, {0}, {Tensor(1)}, nullptr, last.map_done());
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got.value(), 1);
  EXPECT_EQ(got.parts[1].scalar<float>(), 2.0f);
  EXPECT_EQ(map.incomplete_size() + map.size(), 0);
}

TEST(StagingMap, counts_bytes_of_parts_as_they_come_and_go) {
  StagingMap map({.memory_limit = 8}, kIntAndFloat);
  Result part, whole, more, got, rest;
  map.put(1, {0}, {Tensor(1)}, nullptr, part.map_done());
  map.put(2, {0, 1}, {Tensor(1), Tensor(2.0f)}, nullptr, whole.map_done());
  EXPECT_EQ(whole.calls, 0);
  map.put(1, {1}, {Tensor(2.0f)}, nullptr, more.map_done());
  EXPECT_TRUE(more.ok());
  map.get(1, {0}, kInt, nullptr, got.map_done());
  EXPECT_EQ(whole.calls, 0);  // half of the memory is free
  map.get_first({1}, {DataType::kFloat}, nullptr, rest.map_done());
  EXPECT_EQ(rest.key, 1);
  EXPECT_TRUE(whole.ok());
  EXPECT_EQ(map.size(), 1);
}

TEST(StagingMap, refuses_parts_that_do_not_fit) {
  StagingMap map({}, kIntAndFloat);
  const auto put = [&](std::vector<int64_t> at, Element values) {
    Result result;
    map.put(1, std::move(at), std::move(values), nullptr, result.map_done());
    return std::string(result.status.message());
  };
  EXPECT_EQ(put({}, {Tensor(1)}), "Indices are empty");
  EXPECT_EQ(put({1, 0}, {Tensor(1), Tensor(2.0f)}), "Indices are not strictly ordered");
  EXPECT_EQ(put({5}, {Tensor(1)}), "Index '5' for key '1' was out of bounds '2'.");
  EXPECT_EQ(put({-1}, {Tensor(1)}), "Index '-1' for key '1' was out of bounds '2'.");
  EXPECT_THAT(put({0, 1}, {Tensor(1)}), HasSubstr("of equal number"));
  EXPECT_THAT(put({0}, {Tensor(1.0f)}), HasSubstr("component 0 is float, not int32"));
  EXPECT_THAT(put({0, 1}, {Tensor(1), Tensor(2)}), HasSubstr("component 1 is int32, not float"));
  EXPECT_EQ(map.size() + map.incomplete_size(), 0);
  EXPECT_EQ(put({0}, {Tensor(1)}), "");
  EXPECT_EQ(put({0}, {Tensor(1)}), "The tensor for index '0' for key '1' was already initialized '2'.");
}

TEST(StagingMap, gives_the_smallest_key_first) {
  StagingMap map({}, kInt);
  Result put;
  for (const int64_t key : {3, -2, 7}) map.put(key, {0}, {Tensor(static_cast<int32_t>(key))}, nullptr, put.map_done());
  std::vector<int64_t> keys;
  for (int i = 0; i < 3; ++i) {
    Result got;
    map.get_first({0}, kInt, nullptr, got.map_done());
    keys.push_back(got.key);
  }
  EXPECT_THAT(keys, ElementsAre(-2, 3, 7));
}

}  // namespace
}  // namespace millrace
