// The texts of the checkpoint layer: state files, which must come back from what we print of them, and slice
// specifications.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/checkpoint_state.h"
#include "checkpoint/tensor_slice.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto state = millrace::parse_checkpoint_state(text); state.ok()) {
    const auto again = millrace::parse_checkpoint_state(millrace::checkpoint_state_text(*state));
    if (!again.ok() || again->all_model_checkpoint_paths != state->all_model_checkpoint_paths) __builtin_trap();
  }
  if (const auto spec = millrace::parse_shape_and_slice(text); spec.ok()) {
    if (spec->slice_shape.num_elements() > spec->shape.num_elements()) __builtin_trap();
  }
  return 0;
}
