// PNG by way of libpng. Its errors leave through longjmp: between setjmp and the library's calls stand only plain
// values, so that no destructor is jumped over.

#include <png.h>

#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "ops/image_formats.h"

namespace millrace {
namespace {

// What libpng's callbacks write; the text of the error that ended it.
struct Failure {
  char text[128] = "";
};

void on_error(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->text, sizeof failure->text, "%s", message);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

struct Source {
  std::string_view rest;
};

void read_bytes(png_structp png, png_bytep out, size_t n) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (source->rest.size() < n) png_error(png, "the file ends too early");
  std::memcpy(out, source->rest.data(), n);
  source->rest.remove_prefix(n);
}

class PngReader {
 public:
  explicit PngReader(std::string_view file)
      : source_{file}, png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, on_error, on_warning)) {
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngReader() {
    png_destroy_read_struct(png_ != nullptr ? &png_ : nullptr, info_ != nullptr ? &info_ : nullptr, nullptr);
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool made() const { return png_ != nullptr && info_ != nullptr; }
  // Up to the image data; sets the transformations that lead to `channels` and `bits`.
  bool read_header(int channels, int bits) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    // Text and profiles are of no use here, and may inflate to any size.
    png_set_chunk_malloc_max(png_, 8 << 20);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_set_read_fn(png_, &source_, read_bytes);
    png_read_info(png_, info_);
    choose_transformations(channels, bits);
    png_read_update_info(png_, info_);
    return true;
  }
  bool read_rows(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  const char* error() const { return failure_.text; }
  ImageSize size() const { return {png_get_image_height(png_, info_), png_get_image_width(png_, info_), channels_}; }
  size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  // Of the image as it is stored, before any transformation.
  int64_t stored_bits_per_pixel() const { return stored_bits_per_pixel_; }
  bool widen() const { return widen_; }

 private:
  void choose_transformations(int channels, int bits) {
    const int color = png_get_color_type(png_, info_), depth = png_get_bit_depth(png_, info_);
    const bool palette = color == PNG_COLOR_TYPE_PALETTE, has_alpha = (color & PNG_COLOR_MASK_ALPHA) != 0;
    const bool transparent = png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    const bool is_gray = (color & PNG_COLOR_MASK_COLOR) == 0;
    stored_bits_per_pixel_ = int64_t{depth} * png_get_channels(png_, info_);
    if (channels == 0) channels = palette ? (transparent ? 4 : 3) : png_get_channels(png_, info_);
    channels_ = channels;
    const bool want_alpha = channels % 2 == 0, want_gray = channels < 3;
    if (depth > 8 && bits == 8) png_set_strip_16(png_);
    widen_ = depth <= 8 && bits == 16;
    if (palette) png_set_palette_to_rgb(png_);
    if (is_gray && depth < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (want_alpha) {
      if (!has_alpha) {
        if (transparent) png_set_tRNS_to_alpha(png_);
        else png_set_add_alpha(png_, depth > 8 && bits == 16 ? 0xffff : 0xff, PNG_FILLER_AFTER);
      }
    } else if (has_alpha || transparent) {
      png_set_strip_alpha(png_);
    }
    if (want_gray && !is_gray) png_set_rgb_to_gray(png_, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
    if (!want_gray && is_gray) png_set_gray_to_rgb(png_);
    if (depth > 8 && bits == 16 && std::endian::native == std::endian::little) png_set_swap(png_);
    png_set_interlace_handling(png_);
  }

  Failure failure_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int channels_ = 0;
  int64_t stored_bits_per_pixel_ = 0;
  bool widen_ = false;
};

// Deflate makes at most 1032 bytes of one: a file that claims more is cut short, and is told so before room is made.
absl::Status check_claimed_size(const ImageSize& size, int64_t bits_per_pixel, size_t file_bytes) {
  constexpr int64_t kMostSide = int64_t{1} << 27, kMostRatio = 1032;
  if (size.width <= 0 || size.width >= kMostSide || size.height <= 0 || size.height >= kMostSide ||
      size.width * size.height > kMostPixels)
    return invalid_argument("PNG size too large for int: ", size.width, " by ", size.height);
  const int64_t bytes = (size.width * bits_per_pixel + 7) / 8 * size.height;
  if (bytes / kMostRatio > static_cast<int64_t>(file_bytes))
    return invalid_argument("Invalid PNG data, size ", file_bytes, ": too short for ", size.width, " by ", size.height,
                            " pixels");
  return absl::OkStatus();
}

// 8 bits in the first half of each row's room become 16 in all of it; backwards, as both lie in one place.
void widen_samples(void* samples, size_t count) {
  const auto* bytes = static_cast<const uint8_t*>(samples);
  auto* wide = static_cast<uint16_t*>(samples);
  for (size_t i = count; i-- > 0;) wide[i] = static_cast<uint16_t>(bytes[i] * 257);
}

}  // namespace

absl::Status decode_png(std::string_view file, int channels, int bits, const MakeImage& make_image) {
  PngReader reader(file);
  if (!reader.made()) return resource_exhausted("PNG: out of memory");
  const auto failed = [&] { return invalid_argument("Invalid PNG data, size ", file.size(), ": ", reader.error()); };
  if (!reader.read_header(channels, bits)) return failed();
  const ImageSize size = reader.size();
  MR_RETURN_IF_ERROR(check_claimed_size(size, reader.stored_bits_per_pixel(), file.size()));
  const size_t row_samples = static_cast<size_t>(size.width * size.channels);
  const size_t sample_bytes = bits == 16 && !reader.widen() ? 2 : 1;
  if (reader.row_bytes() != row_samples * sample_bytes)
    return internal_error("PNG: rows of ", reader.row_bytes(), " bytes where ", row_samples * sample_bytes,
                          " were expected");
  MR_ASSIGN_OR_RETURN(void* const image, make_image(size));
  std::vector<png_bytep> rows(static_cast<size_t>(size.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = static_cast<png_bytep>(image) + y * reader.row_bytes();
  if (!reader.read_rows(rows.data())) return failed();
  if (reader.widen()) widen_samples(image, row_samples * rows.size());
  return absl::OkStatus();
}

namespace {

void append_bytes(png_structp png, png_bytep data, size_t n) {
  auto* out = static_cast<std::string*>(png_get_io_ptr(png));
  bool full = false;
  try {  // an exception must not pass through C
    out->append(reinterpret_cast<const char*>(data), n);
  } catch (const std::exception&) {
    full = true;
  }
  if (full) png_error(png, "out of memory");
}
void flush_nothing(png_structp) {}

class PngWriter {
 public:
  PngWriter() : png_(png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure_, on_error, on_warning)) {
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngWriter() { png_destroy_write_struct(png_ != nullptr ? &png_ : nullptr, info_ != nullptr ? &info_ : nullptr); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  bool made() const { return png_ != nullptr && info_ != nullptr; }
  const char* error() const { return failure_.text; }
  bool write(const uint8_t* samples, const ImageSize& size, int bits, int compression, std::string* out) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    constexpr int kColors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                               PNG_COLOR_TYPE_RGB_ALPHA};
    png_set_write_fn(png_, out, append_bytes, flush_nothing);
    png_set_compression_level(png_, compression);
    png_set_compression_mem_level(png_, 9);  // zlib's most, as TensorFlow has it
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(size.width), static_cast<png_uint_32>(size.height), bits,
                 kColors[size.channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png_, info_);
    if (bits == 16 && std::endian::native == std::endian::little) png_set_swap(png_);
    const int64_t row_bytes = size.width * size.channels * bits / 8;
    for (int64_t y = 0; y < size.height; ++y) png_write_row(png_, samples + y * row_bytes);
    png_write_end(png_, nullptr);
    return true;
  }

 private:
  Failure failure_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

absl::StatusOr<std::string> encode_png(const void* samples, const ImageSize& size, int bits, int compression) {
  if (size.channels < 1 || size.channels > 4)
    return invalid_argument("image must have 1, 2, 3, or 4 channels, got ", size.channels);
  if (size.height <= 0 || size.width <= 0 || size.height > INT32_MAX || size.width > INT32_MAX)
    return invalid_argument("PNG: an image of ", size.height, " by ", size.width, " pixels cannot be written");
  PngWriter writer;
  std::string out;
  if (!writer.made()) return resource_exhausted("PNG: out of memory");
  if (!writer.write(static_cast<const uint8_t*>(samples), size, bits, compression, &out))
    return invalid_argument("PNG encoding failed: ", writer.error());
  return out;
}

}  // namespace millrace
