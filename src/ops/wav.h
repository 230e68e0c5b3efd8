#pragma once
// Sound as WAV files: 16-bit integers (PCM), little-endian.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace millrace {

struct WavFormat {
  int64_t sample_rate = 0, channels = 0, frames = 0;  // a frame has a sample of each channel
};

// `samples`: frames * channels numbers, of which -1 to 1 is the range; others are cut to it. InvalidArgument for a
// format that the file's fields cannot say.
absl::StatusOr<std::string> encode_wav(const float* samples, const WavFormat& format);

struct Wav {
  WavFormat format;
  std::string_view samples;  // inside of the file: two bytes each, frame by frame
};
// InvalidArgument for files of other kinds and for damaged ones.
absl::StatusOr<Wav> parse_wav(std::string_view file);
// The number of sample `i`.
float wav_sample(const Wav& wav, size_t i);

}  // namespace millrace
