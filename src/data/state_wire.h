#pragma once
// The saved position of an iterator as bytes, for checkpoints.

#include <string>
#include <string_view>

#include "data/state.h"

namespace millrace {

// Unimplemented where it holds tensors of handles or variants, as a dataset of windows has.
absl::StatusOr<std::string> encode_iterator_state(const IteratorState& state);
// DataLoss for bytes that are no such state. Takes no more memory than there are bytes, by a factor of 40 or so.
absl::StatusOr<IteratorState> decode_iterator_state(std::string_view bytes);

}  // namespace millrace
