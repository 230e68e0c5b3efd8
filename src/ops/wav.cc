#include "ops/wav.h"

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/coding.h"

namespace millrace {
namespace {

constexpr int64_t kBytesPerSample = 2, kHeaderBytes = 44, kFormatBytes = 16;
constexpr uint16_t kPcm = 1;

void append_fixed16(std::string& out, uint16_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8);
}

int16_t to_int16(float sample) {
  const float scaled = std::round(sample * 32768.0f);
  return std::isnan(scaled) ? int16_t{0} : static_cast<int16_t>(std::clamp(scaled, -32768.0f, 32767.0f));
}

}  // namespace

absl::StatusOr<std::string> encode_wav(const float* samples, const WavFormat& format) {
  if (format.sample_rate <= 0 || format.sample_rate > int64_t{UINT32_MAX})
    return invalid_argument("sample_rate must be in (0, 2^32), got: ", format.sample_rate);
  if (format.channels <= 0 || format.channels > int64_t{UINT16_MAX})
    return invalid_argument("num_channels must be in (0, 2^16), got: ", format.channels);
  const int64_t bytes_per_frame = format.channels * kBytesPerSample;
  const CheckedInt bytes_per_second = CheckedInt(format.sample_rate) * bytes_per_frame;
  const CheckedInt data_bytes = CheckedInt(format.frames) * bytes_per_frame;
  if (!bytes_per_second.valid_and_at_most(int64_t{UINT32_MAX}) || bytes_per_frame > int64_t{UINT16_MAX})
    return invalid_argument("sample_rate ", format.sample_rate, " of ", format.channels,
                            " channels is too much for a WAV file");
  if (format.frames < 0 || !(data_bytes + kHeaderBytes).valid_and_at_most(int64_t{UINT32_MAX}))
    return invalid_argument("The provided channels and frames cannot be encoded as a WAV: ", format.channels, " and ",
                            format.frames);
  std::string file;
  file.reserve(static_cast<size_t>(kHeaderBytes + data_bytes.value()));
  file += "RIFF";
  append_fixed32(file, static_cast<uint32_t>(kHeaderBytes - 8 + data_bytes.value()));  // what follows
  file += "WAVEfmt ";
  append_fixed32(file, kFormatBytes);
  append_fixed16(file, kPcm);
  append_fixed16(file, static_cast<uint16_t>(format.channels));
  append_fixed32(file, static_cast<uint32_t>(format.sample_rate));
  append_fixed32(file, static_cast<uint32_t>(bytes_per_second.value()));
  append_fixed16(file, static_cast<uint16_t>(bytes_per_frame));
  append_fixed16(file, static_cast<uint16_t>(8 * kBytesPerSample));
  file += "data";
  append_fixed32(file, static_cast<uint32_t>(data_bytes.value()));
  for (int64_t i = 0; i < format.frames * format.channels; ++i)
    append_fixed16(file, static_cast<uint16_t>(to_int16(samples[i])));
  return file;
}

}  // namespace millrace
