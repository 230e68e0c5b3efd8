// Any bytes as an image file, by each decoder. Images of more than a few megapixels are refused here, so that a run is
// quick; whether the library's own limits hold is for the tests.

#include <cstdint>
#include <string_view>
#include <vector>

#include "ops/image_formats.h"

using namespace millrace;

namespace {

absl::Status small_images_only() { return resource_exhausted("too large for fuzzing"); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int choice = data[0];
  const int bits = choice & 1 ? 16 : 8, channels = choice >> 1 & 7;
  std::vector<uint16_t> pixels;  // as wide as the widest sample
  const MakeImage make = [&](const ImageSize& image) -> absl::StatusOr<void*> {
    if (image.height * image.width > 1 << 22) return small_images_only();
    pixels.assign(static_cast<size_t>(image.height * image.width * image.channels), 0);
    return pixels.data();
  };
  (void)image_format(file);
  if (channels <= 4) (void)decode_png(file, channels, bits, make);
  const JpegDecodeOptions jpeg{.channels = channels == 1 || channels == 3 ? channels : 0,
                               .ratio = 1 << (choice >> 4 & 3),
                               .fancy_upscaling = (choice & 64) != 0,
                               .try_recover_truncated = (choice & 128) != 0};
  (void)decode_jpeg(file, jpeg, make);
  (void)jpeg_size(file);
  if (channels <= 4 && channels != 2) (void)decode_bmp(file, channels, make);
  return 0;
}
