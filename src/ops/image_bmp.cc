// BMP: uncompressed rows of 8, 24 or 32 bits a pixel, and the recognition of formats by their first bytes.

#include "base/checked.h"
#include "ops/image_formats.h"

namespace millrace {

ImageFormat image_format(std::string_view file) {
  if (file.starts_with("\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (file.starts_with("\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (file.starts_with("GIF8")) return ImageFormat::kGif;
  if (file.starts_with("BM")) return ImageFormat::kBmp;
  return ImageFormat::kUnknown;
}

namespace {

uint32_t little_endian(std::string_view file, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(file[at + i]);
  return value;
}

// Blue, green and red change places; alpha stays.
void copy_row(const char* from, int64_t width, int64_t channels, uint8_t* to) {
  for (int64_t x = 0; x < width; ++x, from += channels, to += channels) {
    for (int64_t c = 0; c < channels; ++c) to[channels >= 3 && c < 3 ? 2 - c : c] = static_cast<uint8_t>(from[c]);
  }
}

}  // namespace

absl::Status decode_bmp(std::string_view file, int channels, const MakeImage& make_image) {
  constexpr size_t kHeader = 32;
  if (file.size() < kHeader)
    return invalid_argument(
        "Incomplete bmp content, requires at least 32 bytes to find the header size, width, height,"
        " and bpp, got ",
        file.size(), " bytes");
  const int64_t start = little_endian(file, 10, 4);
  const int64_t width = static_cast<int32_t>(little_endian(file, 18, 4));
  const int64_t signed_height = static_cast<int32_t>(little_endian(file, 22, 4));  // negative: rows from the top down
  const int64_t height = signed_height < 0 ? -signed_height : signed_height;
  const int64_t bits = little_endian(file, 28, 2);
  const int64_t stored = bits / 8;
  if (channels != 0 && channels != stored)
    return invalid_argument("channels attribute ", channels, " does not match bits per pixel from file ", stored);
  if (bits % 8 != 0 || (stored != 1 && stored != 3 && stored != 4))
    return invalid_argument("Number of channels inherent in the image must be 1, 3 or 4, was ", stored, " (", bits,
                            " bits per pixel)");
  if (width <= 0 || height == 0) return invalid_argument("BMP: a width of ", width, " and height of ", height);
  const CheckedInt row_bytes = (CheckedInt(width) * stored + 3).value() / 4 * 4;
  const CheckedInt needed = row_bytes * (height - 1) + CheckedInt(width) * stored + start;
  if (width * height > kMostPixels || !needed.valid_and_at_most(static_cast<int64_t>(file.size())))
    return invalid_argument("Incomplete bmp content, requires at least ", needed.value(), " bytes, got ", file.size(),
                            " bytes");
  MR_ASSIGN_OR_RETURN(void* const image, make_image({height, width, stored}));
  for (int64_t y = 0; y < height; ++y) {
    const int64_t row = signed_height < 0 ? y : height - 1 - y;
    copy_row(file.data() + start + row * row_bytes.value(), width, stored,
             static_cast<uint8_t*>(image) + y * width * stored);
  }
  return absl::OkStatus();
}

}  // namespace millrace
