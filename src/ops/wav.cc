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

// Reads a file piece by piece; the first piece that is not there ends it.
class Pieces {
 public:
  explicit Pieces(std::string_view rest) : rest_(rest) {}
  bool at_end() const { return rest_.empty(); }
  absl::StatusOr<std::string_view> take(uint64_t size) {
    if (size > rest_.size()) return invalid_argument("Data too short when trying to read string");
    const std::string_view piece = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(static_cast<size_t>(size));
    return piece;
  }
  absl::StatusOr<uint32_t> take_number(size_t bytes) {
    MR_ASSIGN_OR_RETURN(const std::string_view piece, take(bytes));
    uint32_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(piece[i]);
    return value;
  }
  absl::Status expect(std::string_view text) {
    MR_ASSIGN_OR_RETURN(const std::string_view found, take(text.size()));
    if (found == text) return absl::OkStatus();
    return invalid_argument("Header mismatch: Expected ", text, " but found ", found);
  }

 private:
  std::string_view rest_;
};

absl::StatusOr<WavFormat> take_format(Pieces& file) {
  MR_RETURN_IF_ERROR(file.expect("RIFF"));
  MR_RETURN_IF_ERROR(file.take(4).status());  // the file's size: what is there counts
  MR_RETURN_IF_ERROR(file.expect("WAVE"));
  MR_RETURN_IF_ERROR(file.expect("fmt "));
  MR_ASSIGN_OR_RETURN(const uint32_t size, file.take_number(4));
  if (size != kFormatBytes && size != kFormatBytes + 2)
    return invalid_argument("Bad format chunk size for WAV: Expected 16 or 18, but got", size);
  MR_ASSIGN_OR_RETURN(const uint32_t kind, file.take_number(2));
  if (kind != kPcm) return invalid_argument("Bad audio format for WAV: Expected 1 (PCM), but got", kind);
  WavFormat format;
  MR_ASSIGN_OR_RETURN(format.channels, file.take_number(2));
  if (format.channels < 1) return invalid_argument("Bad number of channels for WAV: Expected at least 1, but got 0");
  MR_ASSIGN_OR_RETURN(format.sample_rate, file.take_number(4));
  MR_ASSIGN_OR_RETURN(const int64_t bytes_per_second, file.take_number(4));
  MR_ASSIGN_OR_RETURN(const int64_t bytes_per_frame, file.take_number(2));
  MR_ASSIGN_OR_RETURN(const uint32_t bits, file.take_number(2));
  if (bits != 8 * kBytesPerSample) return invalid_argument("Can only read 16-bit WAV files, but received ", bits);
  if (bytes_per_frame != format.channels * kBytesPerSample)
    return invalid_argument("Bad bytes per sample in WAV header: Expected ", format.channels * kBytesPerSample,
                            " but got ", bytes_per_frame);
  if (bytes_per_second != format.sample_rate * bytes_per_frame)
    return invalid_argument("Bad bytes per second in WAV header: Expected ", format.sample_rate * bytes_per_frame,
                            " but got ", bytes_per_second);
  MR_RETURN_IF_ERROR(file.take(size - kFormatBytes).status());
  return format;
}

}  // namespace

absl::StatusOr<Wav> parse_wav(std::string_view text) {
  Pieces file(text);
  Wav wav;
  MR_ASSIGN_OR_RETURN(wav.format, take_format(file));
  bool found = false;
  while (!file.at_end()) {
    MR_ASSIGN_OR_RETURN(const std::string_view chunk, file.take(4));
    MR_ASSIGN_OR_RETURN(const uint32_t size, file.take_number(4));
    if (chunk != "data") {
      MR_RETURN_IF_ERROR(file.take(size).status());
      continue;
    }
    if (found) return invalid_argument("More than one data chunk found in WAV");
    found = true;
    wav.format.frames = size / (wav.format.channels * kBytesPerSample);
    MR_ASSIGN_OR_RETURN(wav.samples,
                        file.take(static_cast<uint64_t>(wav.format.frames * wav.format.channels * kBytesPerSample)));
  }
  if (!found) return invalid_argument("No data chunk found in WAV");
  return wav;
}

float wav_sample(const Wav& wav, size_t i) {
  const auto low = static_cast<uint8_t>(wav.samples[2 * i]), high = static_cast<uint8_t>(wav.samples[2 * i + 1]);
  return static_cast<float>(static_cast<int16_t>(high << 8 | low)) / 32768.0f;
}

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
