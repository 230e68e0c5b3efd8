// JPEG by way of libjpeg-turbo. Its errors leave through longjmp: between setjmp and the library's calls stand only
// plain values, so that no destructor is jumped over.

// jpeglib.h wants size_t and FILE: this order.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
// clang-format on

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ops/image_formats.h"

namespace millrace {
namespace {

// jpeg_error_mgr first: libjpeg hands back a pointer to it.
struct ErrorManager {
  jpeg_error_mgr base;
  jmp_buf jump;
  char text[JMSG_LENGTH_MAX] = "";
};

void on_error(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  (*info->err->format_message)(info, manager->text);
  std::longjmp(manager->jump, 1);
}
void on_message(j_common_ptr) {}

void set_error_manager(ErrorManager* manager) {
  jpeg_std_error(&manager->base);
  manager->base.error_exit = on_error;
  manager->base.output_message = on_message;
}

struct Source {
  jpeg_source_mgr base;
  bool ended = false;
};

constexpr JOCTET kEndOfImage[2] = {0xff, JPEG_EOI};

void do_nothing(j_decompress_ptr) {}

// A file that ends too early is closed with an end marker: what is missing becomes gray, and the caller is told.
boolean fill_input(j_decompress_ptr info) {
  auto* source = reinterpret_cast<Source*>(info->src);
  source->ended = true;
  source->base.next_input_byte = kEndOfImage;
  source->base.bytes_in_buffer = sizeof kEndOfImage;
  return TRUE;
}

void skip_input(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr* source = info->src;
  if (static_cast<size_t>(count) > source->bytes_in_buffer) {
    fill_input(info);
    return;
  }
  source->next_input_byte += count;
  source->bytes_in_buffer -= static_cast<size_t>(count);
}

// A small progressive file may ask for any number of passes over a large image.
void limit_scans(j_common_ptr info) {
  constexpr int kMostScans = 500;
  if (!info->is_decompressor || reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(manager->text, sizeof manager->text, "more than %d scans", kMostScans);
  std::longjmp(manager->jump, 1);
}

class JpegReader {
 public:
  explicit JpegReader(std::string_view file) {
    set_error_manager(&errors_);
    info_.err = &errors_.base;
    source_.base.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    source_.base.bytes_in_buffer = file.size();
    source_.base.init_source = do_nothing;
    source_.base.fill_input_buffer = fill_input;
    source_.base.skip_input_data = skip_input;
    source_.base.resync_to_restart = jpeg_resync_to_restart;
    source_.base.term_source = do_nothing;
    progress_.progress_monitor = limit_scans;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }  // does nothing where creation failed
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.src = &source_.base;
    info_.progress = &progress_;
    // Coefficients of a progressive image are kept whole; 6 bytes a pixel are the most a usual one needs.
    info_.mem->max_memory_to_use = 6L * kMostPixels;
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  // False with an empty error() where the number of channels cannot be had.
  bool choose_output(const JpegDecodeOptions& o) {
    if (setjmp(errors_.jump) != 0) return false;
    channels_ = o.channels != 0 ? o.channels : std::min(info_.num_components, 3);
    is_cmyk_ = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    if (channels_ == 1 && !is_cmyk_) info_.out_color_space = JCS_GRAYSCALE;
    else if (channels_ == 3) info_.out_color_space = is_cmyk_ ? JCS_CMYK : JCS_RGB;
    else return false;
    info_.do_fancy_upsampling = o.fancy_upscaling ? TRUE : FALSE;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(o.ratio);
    info_.dct_method = o.fast_dct ? JDCT_IFAST : JDCT_ISLOW;
    jpeg_calc_output_dimensions(&info_);
    return true;
  }
  bool start() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_start_decompress(&info_);
    return true;
  }
  // False with an empty error() where no more rows come.
  bool read_row(uint8_t* row) {
    if (setjmp(errors_.jump) != 0) return false;
    JSAMPROW rows[] = {row};
    return jpeg_read_scanlines(&info_, rows, 1) == 1;
  }
  bool finish() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_finish_decompress(&info_);
    return true;
  }

  const char* error() const { return errors_.text; }
  bool has_error() const { return errors_.text[0] != '\0'; }
  bool ended_early() const { return source_.ended; }
  ImageSize size() const { return {info_.output_height, info_.output_width, channels_}; }
  ImageSize stored_size() const { return {info_.image_height, info_.image_width, info_.num_components}; }
  bool is_cmyk() const { return is_cmyk_; }
  bool is_inverted() const { return info_.saw_Adobe_marker; }  // Adobe writes 255 for no ink
  // A run of empty blocks may be a few bits in these; else a block of 64 samples takes two bits at least.
  bool may_be_tiny() const { return info_.progressive_mode || info_.arith_code; }

 private:
  ErrorManager errors_;
  Source source_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
  int channels_ = 0;
  bool is_cmyk_ = false;
};

void cmyk_to_rgb(const uint8_t* from, bool inverted, int64_t width, uint8_t* to) {
  for (int64_t x = 0; x < width; ++x) {
    const int black = inverted ? from[4 * x + 3] : 255 - from[4 * x + 3];
    for (int64_t c = 0; c < 3; ++c) {
      const int ink = inverted ? from[4 * x + c] : 255 - from[4 * x + c];
      to[3 * x + c] = static_cast<uint8_t>(black * ink / 255);
    }
  }
}

absl::Status check_claimed_size(const JpegReader& reader, const JpegDecodeOptions& options, size_t file_bytes) {
  const ImageSize stored = reader.stored_size(), size = reader.size();
  if (size.width <= 0 || size.height <= 0 || stored.width * stored.height > kMostPixels)
    return invalid_argument("Invalid JPEG data: an image of ", size.height, " by ", size.width,
                            " pixels is not supported");
  constexpr int64_t kMostPixelsPerByte = 1024;
  if (!reader.may_be_tiny() && !options.try_recover_truncated &&
      stored.width * stored.height / kMostPixelsPerByte > static_cast<int64_t>(file_bytes))
    return invalid_argument("Invalid JPEG data, size ", file_bytes, ": too short for ", size.height, " by ", size.width,
                            " pixels");
  return absl::OkStatus();
}

// The rows that came; false where the library reports an error.
bool read_rows(JpegReader& reader, uint8_t* image, int64_t* rows) {
  const ImageSize size = reader.size();
  std::vector<uint8_t> cmyk(reader.is_cmyk() ? static_cast<size_t>(size.width) * 4 : 0);
  for (*rows = 0; *rows < size.height; ++*rows) {
    uint8_t* row = image + *rows * size.width * size.channels;
    if (!reader.read_row(cmyk.empty() ? row : cmyk.data())) return !reader.has_error();
    if (!cmyk.empty()) cmyk_to_rgb(cmyk.data(), reader.is_inverted(), size.width, row);
  }
  return reader.finish();
}

}  // namespace

absl::Status decode_jpeg(std::string_view file, const JpegDecodeOptions& options, const MakeImage& make_image) {
  JpegReader reader(file);
  const auto failed = [&] { return invalid_argument("Invalid JPEG data, size ", file.size(), ": ", reader.error()); };
  if (!reader.read_header()) return failed();
  if (!reader.choose_output(options)) {
    if (reader.has_error()) return failed();
    return invalid_argument("Invalid JPEG data: ", options.channels, " channels cannot be made of the file's ",
                            reader.stored_size().channels);
  }
  MR_RETURN_IF_ERROR(check_claimed_size(reader, options, file.size()));
  MR_ASSIGN_OR_RETURN(void* const image, make_image(reader.size()));
  const ImageSize size = reader.size();
  int64_t rows = 0;
  if (!reader.start() || !read_rows(reader, static_cast<uint8_t*>(image), &rows)) return failed();
  if (reader.ended_early() && !options.try_recover_truncated)
    return invalid_argument("Invalid JPEG data, size ", file.size(), ": the file ends too early");
  if (rows < size.height) {
    if (static_cast<float>(rows) / static_cast<float>(size.height) < options.acceptable_fraction)
      return invalid_argument("Invalid JPEG data, size ", file.size(), ": only ", rows, " of ", size.height,
                              " rows could be read");
    const int64_t row_bytes = size.width * size.channels;
    std::memset(static_cast<uint8_t*>(image) + rows * row_bytes, 0,
                static_cast<size_t>((size.height - rows) * row_bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageSize> jpeg_size(std::string_view file) {
  JpegReader reader(file);
  if (!reader.read_header()) return invalid_argument("Invalid JPEG data, size ", file.size(), ": ", reader.error());
  return reader.stored_size();
}

namespace {

class JpegWriter {
 public:
  JpegWriter() {
    set_error_manager(&errors_);
    info_.err = &errors_.base;
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&info_);
    std::free(out_);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  const char* error() const { return errors_.text; }
  std::string_view file() const { return {reinterpret_cast<const char*>(out_), out_size_}; }
  bool write(const uint8_t* samples, const ImageSize& size, const JpegEncodeOptions& o, const std::string& marker) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &out_, &out_size_);
    info_.image_width = static_cast<JDIMENSION>(size.width);
    info_.image_height = static_cast<JDIMENSION>(size.height);
    info_.input_components = static_cast<int>(size.channels);
    info_.in_color_space = size.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info_);
    choose(o);
    jpeg_start_compress(&info_, TRUE);
    if (!marker.empty())
      jpeg_write_marker(&info_, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(marker.data()),
                        static_cast<unsigned>(marker.size()));
    const int64_t row_bytes = size.width * size.channels;
    for (int64_t y = 0; y < size.height; ++y) {
      auto* row = const_cast<JSAMPROW>(samples + y * row_bytes);  // libjpeg does not write to it
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

 private:
  void choose(const JpegEncodeOptions& o) {
    info_.density_unit = o.density_in_centimeters ? 2 : 1;
    info_.X_density = static_cast<UINT16>(o.x_density);
    info_.Y_density = static_cast<UINT16>(o.y_density);
    jpeg_set_quality(&info_, o.quality, TRUE);
    if (o.progressive) jpeg_simple_progression(&info_);
    info_.optimize_coding = o.optimize_size ? TRUE : FALSE;
    if (o.chroma_downsampling) return;
    for (int i = 0; i < info_.num_components; ++i) {
      info_.comp_info[i].h_samp_factor = 1;
      info_.comp_info[i].v_samp_factor = 1;
    }
  }

  ErrorManager errors_;
  jpeg_compress_struct info_{};
  unsigned char* out_ = nullptr;
  unsigned long out_size_ = 0;
};

}  // namespace

absl::StatusOr<std::string> encode_jpeg(const uint8_t* samples, const ImageSize& size,
                                        const JpegEncodeOptions& options) {
  if (size.height <= 0 || size.width <= 0 || size.height > JPEG_MAX_DIMENSION || size.width > JPEG_MAX_DIMENSION)
    return invalid_argument("JPEG: an image of ", size.height, " by ", size.width, " pixels cannot be written");
  // An APP1 marker: its length field has 16 bits, and counts itself and the name space.
  std::string marker;
  if (!options.xmp_metadata.empty()) {
    constexpr std::string_view kNameSpace("http://ns.adobe.com/xap/1.0/\0", 29);
    marker.append(kNameSpace).append(options.xmp_metadata);
    if (marker.size() > 65533) return invalid_argument("JPEG: xmp_metadata is too long: ", options.xmp_metadata.size());
  }
  JpegWriter writer;
  if (!writer.write(samples, size, options, marker)) return invalid_argument("JPEG encoding failed: ", writer.error());
  return std::string(writer.file());
}

}  // namespace millrace
