// The saved position of an iterator as bytes: what comes back, and what damaged ones are taken for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/state_wire.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

IteratorState some_state() {
  IteratorState state;
  StateWriter writer(&state);
  writer.put("next", int64_t{-5});
  writer.nested("input", 3).put("numbers", Tensor(std::vector<float>{1.5f, -2}));
  writer.put("element",
             std::vector<Tensor>{Tensor(std::vector<std::string>{"a", ""}), Tensor(true), Tensor(int64_t{7})});
  writer.put("status", absl::OutOfRangeError("end"));
  return state;
}

TEST(IteratorState, comes_back_from_bytes) {
  const IteratorState state = some_state();
  const std::string bytes = encode_iterator_state(state).value();
  const IteratorState back = decode_iterator_state(bytes).value();
  EXPECT_EQ(back.numbers, state.numbers);
  ASSERT_EQ(back.tensors.size(), state.tensors.size());
  for (const auto& [name, tensor] : state.tensors) EXPECT_TRUE(bitwise_equal(tensor, back.tensors.at(name))) << name;
  EXPECT_EQ(encode_iterator_state(back).value(), bytes);
}

TEST(IteratorState, damaged_bytes_are_an_error_or_another_state) {
  const std::string bytes = encode_iterator_state(some_state()).value();
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(decode_iterator_state(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
  EXPECT_FALSE(decode_iterator_state(bytes + "x").ok());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      decode_iterator_state(damaged).IgnoreError();
    }
  }
}

TEST(IteratorState, tensors_without_bytes_are_refused) {
  IteratorState state;
  StateWriter(&state).put("v", make_tensor(DataType::kVariant, TensorShape()).value());
  EXPECT_EQ(encode_iterator_state(state).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace millrace
