#include "ops/summary_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/checked.h"
#include "base/wire.h"
#include "op/registry.h"
#include "ops/histogram.h"
#include "ops/image_formats.h"
#include "ops/tensor_wire.h"
#include "ops/wav.h"

namespace millrace {
namespace {

// Field numbers of Summary, Summary.Value, Summary.Image, Summary.Audio.
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kTag = 1, kSimpleValue = 2, kImage = 4, kHistogram = 5, kAudio = 6, kNodeName = 7, kTensor = 8,
                   kMetadata = 9;
constexpr uint32_t kImageHeight = 1, kImageWidth = 2, kImageColorspace = 3, kEncodedImage = 4;
constexpr uint32_t kSampleRate = 1, kChannels = 2, kFrames = 3, kEncodedAudio = 4, kContentType = 5;

// Calls f with the elements of one of Ts, which the tensor must have.
template <class F, class... Ts> absl::Status visit(const Tensor& tensor, Types<Ts...>, const F& f) {
  absl::Status status = invalid_argument("A summary cannot show values of type ", dtype_name(tensor.dtype()));
  const auto one_of = [&]<class T>(std::type_identity<T>) {
    if (tensor.dtype() != dtype_of<T>) return false;
    status = f(tensor.unchecked<T>());
    return true;
  };
  (one_of(std::type_identity<Ts>()) || ...);
  return status;
}

// Adds a Summary.Value of a tag and further fields.
void append_value(std::string& summary, std::string_view tag, std::string_view fields) {
  std::string value;
  append_bytes_field(value, kTag, tag);
  value += fields;
  append_bytes_field(summary, kSummaryValue, value);
}
void append_value(std::string& summary, std::string_view tag, uint32_t field, std::string_view content) {
  std::string fields;
  append_bytes_field(fields, field, content);
  append_value(summary, tag, fields);
}

// One image of floating numbers as bytes: 0 to the largest become 0 to 255, or, where some are negative, -m to m become
// 1 to 255. A pixel with a number that is not finite gets `bad_color`. The range is a float, and each
// further step rounded to T, as TensorFlow's is.
template <class T> void to_bytes(std::span<const T> image, std::span<const uint8_t> bad_color, std::span<uint8_t> out) {
  using F = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto rounded = [](F value) { return static_cast<F>(static_cast<T>(value)); };
  constexpr float kAlmostZero = 1e-6f;
  const size_t channels = bad_color.size();
  const auto is_finite = [&](size_t pixel) {
    return std::ranges::all_of(image.subspan(pixel, channels), [](T v) { return std::isfinite(static_cast<F>(v)); });
  };
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (size_t i = 0; i < image.size(); i += channels) {
    if (!is_finite(i)) continue;
    for (const T v : image.subspan(i, channels)) {
      least = std::min(least, static_cast<float>(v));
      most = std::max(most, static_cast<float>(v));
    }
  }
  const bool is_signed = least < 0;
  const float range = is_signed ? std::max(std::abs(least), std::abs(most)) : most;
  const F scale = range < kAlmostZero ? F{0} : rounded((is_signed ? 127.0f : 255.0f) / range);
  const F offset = is_signed ? F{128} : F{0};
  for (size_t i = 0; i < image.size(); i += channels) {
    const bool finite = is_finite(i);
    for (size_t c = 0; c < channels; ++c) {
      const F value = finite ? rounded(rounded(static_cast<F>(image[i + c]) * scale) + offset) : F{0};
      out[i + c] = finite ? static_cast<uint8_t>(std::clamp<F>(value, 0, 255)) : bad_color[c];
    }
  }
}

absl::Status check_images(const TensorShape& shape, size_t bad_color) {
  const int64_t channels = shape.rank() == 4 ? shape.dim(3) : 0;
  if (channels != 1 && channels != 3 && channels != 4)
    return invalid_argument("Tensor must be 4-D with last dim 1, 3, or 4, not ", shape);
  if (shape.dim(1) == 0 || shape.dim(2) == 0) return invalid_argument("Tensor has images without pixels: ", shape);
  if (CheckedInt pixels = CheckedInt(shape.dim(1)) * shape.dim(2); !pixels.valid_and_at_most(kMostPixels))
    return invalid_argument("Tensor too large for summary ", shape);
  if (static_cast<int64_t>(bad_color) < channels)
    return invalid_argument("expected depth <= bad_color.size, got depth = ", channels,
                            ", bad_color.size = ", bad_color);
  return absl::OkStatus();
}

template <class T>
absl::Status append_image(std::string& summary, const std::string& tag, const ImageSize& size, std::span<const T> image,
                          std::span<const uint8_t> bad_color) {
  std::vector<uint8_t> bytes;
  const uint8_t* samples = nullptr;
  if constexpr (std::is_same_v<T, uint8_t>) {
    samples = image.data();
  } else {
    bytes.resize(image.size());
    to_bytes(image, bad_color.first(static_cast<size_t>(size.channels)), std::span(bytes));
    samples = bytes.data();
  }
  MR_ASSIGN_OR_RETURN(const std::string file, encode_png(samples, size, 8, -1));
  std::string picture;
  append_varint_field(picture, kImageHeight, static_cast<uint64_t>(size.height));
  append_varint_field(picture, kImageWidth, static_cast<uint64_t>(size.width));
  append_varint_field(picture, kImageColorspace, static_cast<uint64_t>(size.channels));
  append_bytes_field(picture, kEncodedImage, file);
  append_value(summary, tag, kImage, picture);
  return absl::OkStatus();
}

// The tag of one of several values of a summary.
std::string numbered(std::string_view tag, std::string_view kind, int64_t i, int64_t most) {
  return most > 1 ? str_cat(tag, kind, "/", i) : str_cat(tag, kind);
}

}  // namespace

void append_scalar_value(std::string& summary, std::string_view tag, float value) {
  std::string number;
  append_float_field(number, kSimpleValue, value);
  append_value(summary, tag, number);
}

absl::StatusOr<float> scalar_to_show(const Tensor& value) {
  if (value.num_elements() != 1) return invalid_argument("value must be scalar, got shape ", value.shape());
  float number = 0;
  MR_RETURN_IF_ERROR(visit(value, RealTypes(), [&](auto numbers) {
    number = static_cast<float>(as_double(numbers[0]));
    return absl::OkStatus();
  }));
  return number;
}

absl::Status append_histogram_value(std::string& summary, std::string_view tag, const Tensor& values,
                                    std::string_view what) {
  Histogram histogram;
  const auto add = [&](auto numbers) {
    for (const auto v : numbers) {
      const double value = as_double(v);
      if (std::isnan(value)) return invalid_argument("Nan in summary histogram for: ", what);
      if (std::isinf(value)) return invalid_argument("Infinity in summary histogram for: ", what);
      histogram.add(value);
    }
    return absl::OkStatus();
  };
  MR_RETURN_IF_ERROR(values.dtype() == DataType::kBool ? visit(values, Types<bool>(), add)
                                                       : visit(values, RealTypes(), add));
  append_value(summary, tag, kHistogram, histogram.serialized());
  return absl::OkStatus();
}

absl::Status append_image_values(std::string& summary, std::string_view tag, const Tensor& images, int64_t most,
                                 std::span<const uint8_t> bad_color) {
  const TensorShape& shape = images.shape();
  MR_RETURN_IF_ERROR(check_images(shape, bad_color.size()));
  const ImageSize size{shape.dim(1), shape.dim(2), shape.dim(3)};
  const auto samples = static_cast<size_t>(size.height * size.width * size.channels);
  return visit(images, Types<uint8_t, Half, float, double>(), [&]<class T>(std::span<const T> all) {
    for (int64_t i = 0; i < std::min(shape.dim(0), most); ++i) {
      MR_RETURN_IF_ERROR(append_image(summary, numbered(tag, "/image", i, most), size,
                                      all.subspan(static_cast<size_t>(i) * samples, samples), bad_color));
    }
    return absl::OkStatus();
  });
}

absl::Status append_audio_values(std::string& summary, std::string_view tag, const Tensor& sounds, int64_t most,
                                 float sample_rate) {
  const TensorShape& shape = sounds.shape();
  if (shape.rank() != 2 && shape.rank() != 3) return invalid_argument("Tensor must be 3-D or 2-D, got: ", shape);
  if (!(sample_rate > 0)) return invalid_argument("sample_rate must be > 0");
  if (sounds.dtype() != DataType::kFloat) return invalid_argument("Sounds must be floats");
  WavFormat format{.channels = shape.rank() == 2 ? 1 : shape.dim(2), .frames = shape.dim(1)};
  // The rate of the file is a whole number, and one that fits.
  const double rate = std::nearbyint(static_cast<double>(sample_rate));
  if (rate > static_cast<double>(std::numeric_limits<uint32_t>::max()))
    return invalid_argument("sample_rate must be in (0, 2^32), got: ", sample_rate);
  format.sample_rate = std::max<int64_t>(1, static_cast<int64_t>(rate));
  const float* samples = sounds.unchecked<float>().data();
  for (int64_t i = 0; i < std::min(shape.dim(0), most); ++i) {
    MR_ASSIGN_OR_RETURN(const std::string file, encode_wav(samples + i * format.frames * format.channels, format));
    std::string audio;
    append_float_field(audio, kSampleRate, sample_rate);
    append_varint_field(audio, kChannels, static_cast<uint64_t>(format.channels));
    if (format.frames > 0) append_varint_field(audio, kFrames, static_cast<uint64_t>(format.frames));
    append_bytes_field(audio, kEncodedAudio, file);
    append_bytes_field(audio, kContentType, "audio/wav");
    append_value(summary, numbered(tag, "/audio", i, most), kAudio, audio);
  }
  return absl::OkStatus();
}

absl::Status append_tensor_value(std::string& summary, const TensorValue& value, const Tensor& tensor) {
  std::string text, bytes;
  MR_RETURN_IF_ERROR(append_tensor(bytes, tensor));
  if (!value.tag.empty()) append_bytes_field(text, kTag, value.tag);
  if (!value.node_name.empty()) append_bytes_field(text, kNodeName, value.node_name);
  append_bytes_field(text, kTensor, bytes);
  if (value.metadata) append_bytes_field(text, kMetadata, *value.metadata);
  append_bytes_field(summary, kSummaryValue, text);
  return absl::OkStatus();
}

}  // namespace millrace
