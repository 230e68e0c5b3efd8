#pragma once
// The values of summaries, as serialized tensorflow.Summary messages: what the summary ops give and the ops of summary
// writers write.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/tensor.h"

namespace millrace {

template <class T> double as_double(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return static_cast<double>(static_cast<float>(value));
  else return static_cast<double>(value);
}

// Each adds one Summary.Value, or one per image or sound, to a serialized Summary. InvalidArgument for what cannot be
// shown; dtypes that are no real numbers (for images: uint8, half, float, double; for sound: float) too.

void append_scalar_value(std::string& summary, std::string_view tag, float value);
// The number of a tensor with one element.
absl::StatusOr<float> scalar_to_show(const Tensor& value);
// `what`: named in the message of a number that is not finite. Takes bool too.
absl::Status append_histogram_value(std::string& summary, std::string_view tag, const Tensor& values,
                                    std::string_view what);
// A batch [n, height, width, channels] of images, the first `most` of them as PNG files. Pixels with a number that is
// not finite become `bad_color`.
absl::Status append_image_values(std::string& summary, std::string_view tag, const Tensor& images, int64_t most,
                                 std::span<const uint8_t> bad_color);
// A batch [n, frames] or [n, frames, channels] of sounds, the first `most` of them as WAV files.
absl::Status append_audio_values(std::string& summary, std::string_view tag, const Tensor& sounds, int64_t most,
                                 float sample_rate);
// A tensor; tag and node name where they are not empty, `metadata` (a serialized SummaryMetadata) where it is given.
struct TensorValue {
  std::string_view tag = {}, node_name = {};
  std::optional<std::string_view> metadata = {};
};
absl::Status append_tensor_value(std::string& summary, const TensorValue& value, const Tensor& tensor);

}  // namespace millrace
