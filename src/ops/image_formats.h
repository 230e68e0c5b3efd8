#pragma once
// Image files as bytes in memory: PNG (libpng), JPEG (libjpeg-turbo), BMP. Nothing here trusts a file: the size that
// a header claims is checked against limits, and against the number of bytes there are, before room is made for it;
// the libraries' errors come back as InvalidArgument.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace millrace {

// No image of more pixels is read or written, as in TensorFlow.
inline constexpr int64_t kMostPixels = (int64_t{1} << 29) - 1;

struct ImageSize {
  int64_t height = 0, width = 0, channels = 0;
};

// Gives room for height * width * channels samples (of the size asked of the decoder), row by row.
using MakeImage = std::function<absl::StatusOr<void*>(const ImageSize&)>;

// channels: 0 for what the file has, or 1 to 4: gray, gray and alpha, RGB, RGBA. bits: 8, or 16 (native byte order).
absl::Status decode_png(std::string_view file, int channels, int bits, const MakeImage& make_image);
// compression: zlib's level 0 to 9, or -1 for its default.
absl::StatusOr<std::string> encode_png(const void* samples, const ImageSize& size, int bits, int compression);

struct JpegDecodeOptions {
  int channels = 0;  // 0 for what the file has, 1 or 3
  int ratio = 1;     // 1, 2, 4 or 8: the image is made smaller while it is decoded
  bool fancy_upscaling = true;
  bool try_recover_truncated = false;
  float acceptable_fraction = 1;  // of rows that a truncated file must give
  bool fast_dct = true;           // TensorFlow's default; up to 5 off
};
absl::Status decode_jpeg(std::string_view file, const JpegDecodeOptions& options, const MakeImage& make_image);
absl::StatusOr<ImageSize> jpeg_size(std::string_view file);

struct JpegEncodeOptions {
  int quality = 95;
  bool progressive = false;
  bool optimize_size = false;
  bool chroma_downsampling = true;
  bool density_in_centimeters = false;
  int x_density = 300, y_density = 300;
  std::string xmp_metadata = {};
};
// One or three channels of 8 bits.
absl::StatusOr<std::string> encode_jpeg(const uint8_t* samples, const ImageSize& size,
                                        const JpegEncodeOptions& options);

// channels: 0 for what the file has, 1, 3 or 4, which must be what it has.
absl::Status decode_bmp(std::string_view file, int channels, const MakeImage& make_image);

enum class ImageFormat { kUnknown, kPng, kJpeg, kGif, kBmp };
ImageFormat image_format(std::string_view file);

}  // namespace millrace
