#include "io/compression.h"

#include <zlib.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr size_t kInputBuffer = 64 << 10;

int window_bits(Compression compression) { return compression == Compression::kGzip ? MAX_WBITS + 16 : MAX_WBITS; }

Bytef* bytes(const char* data) { return reinterpret_cast<Bytef*>(const_cast<char*>(data)); }

class InflatingStream final : public InputStream {
 public:
  InflatingStream(std::unique_ptr<InputStream> source, Compression compression)
      : source_(std::move(source)), compression_(compression), buffer_(kInputBuffer, '\0') {
    ready_ = inflateInit2(&zlib_, window_bits(compression)) == Z_OK;
  }
  ~InflatingStream() override {
    if (ready_) inflateEnd(&zlib_);
  }
  InflatingStream(const InflatingStream&) = delete;
  InflatingStream& operator=(const InflatingStream&) = delete;

  absl::StatusOr<size_t> read(std::span<char> out) override {
    if (!error_.ok()) return error_;
    if (!ready_) return error_ = resource_exhausted(name(), ": no memory for zlib");
    auto got = inflate_some(out);
    if (!got.ok()) error_ = got.status();
    return got;
  }
  const std::string& name() const override { return source_->name(); }

 private:
  absl::StatusOr<size_t> inflate_some(std::span<char> out) {
    if (out.empty() || ended_) return size_t{0};
    zlib_.next_out = bytes(out.data());
    zlib_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
    const uInt wanted = zlib_.avail_out;
    while (zlib_.avail_out == wanted) {
      if (zlib_.avail_in == 0) {
        MR_RETURN_IF_ERROR(refill());
        if (zlib_.avail_in == 0) return at_end_of_source();
      }
      if (between_members_) {
        if (inflateReset(&zlib_) != Z_OK) return internal_error(name(), ": zlib cannot reset");
        between_members_ = false;
      }
      const int result = inflate(&zlib_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        if (compression_ == Compression::kGzip) {
          between_members_ = true;
        } else {
          ended_ = true;
          break;
        }
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return data_loss(name(), ": inflate() failed with error ", result, ": ", zlib_.msg ? zlib_.msg : "");
      }
    }
    return wanted - zlib_.avail_out;
  }

  absl::StatusOr<size_t> at_end_of_source() {
    // An empty file is an empty stream, as TensorFlow has it.
    if (!between_members_ && read_any_) {
      return data_loss(name(), ": truncated ", compression_ == Compression::kGzip ? "gzip" : "zlib", " data");
    }
    ended_ = true;
    return size_t{0};
  }

  absl::Status refill() {
    MR_ASSIGN_OR_RETURN(const size_t got, source_->read(buffer_));
    zlib_.next_in = bytes(buffer_.data());
    zlib_.avail_in = static_cast<uInt>(got);
    read_any_ |= got > 0;
    return absl::OkStatus();
  }

  std::unique_ptr<InputStream> source_;
  Compression compression_;
  std::string buffer_;
  z_stream zlib_{};
  bool ready_ = false;
  bool read_any_ = false;
  bool between_members_ = false;  // a gzip member has ended; another may follow
  bool ended_ = false;
  absl::Status error_;
};

class DeflatingFile final : public WritableFile {
 public:
  DeflatingFile(std::unique_ptr<WritableFile> target, Compression compression, const DeflateOptions& options)
      : target_(std::move(target)), buffer_(std::max<size_t>(options.buffer, 64), '\0') {
    ready_ = deflateInit2(&zlib_, options.level, Z_DEFLATED, window_bits(compression), options.memory_level,
                          options.strategy) == Z_OK;
    if (!ready_) error_ = invalid_argument(target_->name(), ": zlib refuses these compression options");
  }
  ~DeflatingFile() override {
    close().IgnoreError();
    if (ready_) deflateEnd(&zlib_);
  }
  DeflatingFile(const DeflatingFile&) = delete;
  DeflatingFile& operator=(const DeflatingFile&) = delete;

  absl::Status append(std::string_view data) override {
    position_ += data.size();
    while (!data.empty()) {
      const std::string_view part = data.substr(0, 1 << 30);
      MR_RETURN_IF_ERROR(deflate_all(part, Z_NO_FLUSH));
      data.remove_prefix(part.size());
    }
    return absl::OkStatus();
  }
  absl::Status flush() override {
    MR_RETURN_IF_ERROR(deflate_all({}, Z_PARTIAL_FLUSH));
    return target_->flush();
  }
  absl::Status sync() override {
    MR_RETURN_IF_ERROR(flush());
    return target_->sync();
  }
  absl::Status close() override {
    if (closed_) return error_;
    closed_ = true;
    if (error_.ok()) deflate_all({}, Z_FINISH).IgnoreError();  // kept in error_
    const absl::Status closed = target_->close();
    if (error_.ok()) error_ = closed;
    return error_;
  }
  uint64_t position() const override { return position_; }
  const std::string& name() const override { return target_->name(); }

 private:
  absl::Status deflate_all(std::string_view data, int flush) {
    if (!error_.ok()) return error_;
    zlib_.next_in = bytes(data.data());
    zlib_.avail_in = static_cast<uInt>(data.size());
    do {
      zlib_.next_out = bytes(buffer_.data());
      zlib_.avail_out = static_cast<uInt>(buffer_.size());
      deflate(&zlib_, flush);
      error_ = target_->append(std::string_view(buffer_.data(), buffer_.size() - zlib_.avail_out));
    } while (error_.ok() && zlib_.avail_out == 0);
    return error_;
  }

  std::unique_ptr<WritableFile> target_;
  std::string buffer_;
  z_stream zlib_{};
  bool ready_ = false;
  bool closed_ = false;
  uint64_t position_ = 0;  // before compression
  absl::Status error_;
};

}  // namespace

absl::StatusOr<Compression> compression_from_name(std::string_view name) {
  if (name.empty()) return Compression::kNone;
  if (name == "ZLIB") return Compression::kZlib;
  if (name == "GZIP") return Compression::kGzip;
  return invalid_argument("compression_type must be \"\", \"ZLIB\" or \"GZIP\", got \"", name, "\"");
}

std::unique_ptr<InputStream> make_inflating_stream(std::unique_ptr<InputStream> source, Compression compression) {
  if (compression == Compression::kNone) return source;
  return std::make_unique<InflatingStream>(std::move(source), compression);
}

std::unique_ptr<WritableFile> make_deflating_file(std::unique_ptr<WritableFile> target, Compression compression,
                                                  DeflateOptions options) {
  if (compression == Compression::kNone) return target;
  return std::make_unique<DeflatingFile>(std::move(target), compression, options);
}

}  // namespace millrace
