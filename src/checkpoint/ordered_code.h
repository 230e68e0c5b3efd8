#pragma once
// Byte strings that sort as the values they encode. Checkpoints name the slices of a partitioned tensor with them
// (slice_key), so the encoding is TensorFlow's, byte for byte.

#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/tensor_slice.h"

namespace millrace::ordered_code {

void append_number(std::string& out, uint64_t value);          // its length, then its bytes, high ones first
void append_signed_number(std::string& out, int64_t value);    // shorter for small magnitudes
void append_string(std::string& out, std::string_view value);  // escaped, with an end mark

}  // namespace millrace::ordered_code

namespace millrace {

// The key of one slice of the tensor `name` in a bundle's index. It begins with a zero byte, as no tensor's name does.
std::string slice_key(std::string_view name, const TensorSlice& slice);
inline bool is_slice_key(std::string_view key) { return key.starts_with('\0'); }

}  // namespace millrace
