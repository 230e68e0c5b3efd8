#include "data/files.h"

#include <algorithm>

#include "io/file_system.h"
#include "io/record_reader.h"

namespace millrace {
namespace {

constexpr size_t kDefaultBuffer = 256 << 10;
constexpr size_t kMaxBuffer = 256 << 20;  // a graph may ask for any number
constexpr uint64_t kMaxLine = uint64_t{1} << 30;

size_t buffer_size(const FileOptions& options) {
  return options.buffer_bytes <= 0 ? kDefaultBuffer
                                   : static_cast<size_t>(std::min<int64_t>(options.buffer_bytes, kMaxBuffer));
}

// Walks the files; the subclass opens one, at its start or at a saved offset.
class FilesDataset : public Dataset, public std::enable_shared_from_this<FilesDataset> {
 public:
  explicit FilesDataset(FileOptions options)
      : Dataset({{DataType::kString}, {PartialTensorShape::scalar()}}), options_(std::move(options)) {}
  absl::StatusOr<IteratorPtr> iterate() const override { return std::make_unique<Iterator>(shared_from_this()); }
  virtual absl::StatusOr<std::unique_ptr<FileReader>> open(const std::string& path,
                                                           std::optional<uint64_t> offset) const = 0;

 protected:
  const FileOptions& options() const { return options_; }

 private:
  class Iterator final : public DatasetIterator {
   public:
    explicit Iterator(std::shared_ptr<const FilesDataset> dataset) : dataset_(std::move(dataset)) {}

    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      const FileOptions& options = dataset_->options_;
      while (file_ < options.files.size()) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        absl::StatusOr<bool> more = read(*element);
        if (more.ok() && *more) return absl::OkStatus();
        // Behind an error comes the next file, so that ignore_errors gets on.
        reader_.reset();
        ++file_;
        MR_RETURN_IF_ERROR(more.status());
      }
      element->clear();
      *end = true;
      return absl::OkStatus();
    }
    absl::Status save(StateWriter writer) override {
      writer.put("file", static_cast<int64_t>(file_));
      writer.put("offset", reader_ ? static_cast<int64_t>(reader_->offset()) : -1);
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext&, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t file,
                          reader.get_bounded("file", static_cast<int64_t>(dataset_->options_.files.size())));
      MR_ASSIGN_OR_RETURN(const int64_t offset, reader.get("offset"));
      file_ = static_cast<size_t>(file);
      if (offset < 0 || file_ == dataset_->options_.files.size()) return absl::OkStatus();
      MR_ASSIGN_OR_RETURN(reader_, dataset_->open(dataset_->options_.files[file_], static_cast<uint64_t>(offset)));
      return absl::OkStatus();
    }

   private:
    absl::StatusOr<bool> read(Element& element) {
      const FileOptions& options = dataset_->options_;
      if (!reader_) {
        std::optional<uint64_t> start;
        if (!options.byte_offsets.empty())
          start = static_cast<uint64_t>(std::max<int64_t>(0, options.byte_offsets[file_]));
        MR_ASSIGN_OR_RETURN(reader_, dataset_->open(options.files[file_], start));
      }
      MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(DataType::kString, TensorShape()));
      MR_ASSIGN_OR_RETURN(const bool more, reader_->read(t.unchecked_mutable<std::string>()[0]));
      if (more) element.assign(1, std::move(t));
      return more;
    }
    std::shared_ptr<const FilesDataset> dataset_;
    size_t file_ = 0;
    std::unique_ptr<FileReader> reader_;  // of files[file_]; null before its first record
  };
  FileOptions options_;
};

class TFRecordDataset final : public FilesDataset {
 public:
  using FilesDataset::FilesDataset;
  std::string_view name() const override { return "TFRecord"; }
  absl::StatusOr<std::unique_ptr<FileReader>> open(const std::string& path,
                                                   std::optional<uint64_t> offset) const override {
    RecordReaderOptions reader_options;
    // As in TensorFlow, an unknown name shows as a file that is no record file: the ops do not check it.
    if (const auto compression = compression_from_name(options().compression); compression.ok())
      reader_options.compression = *compression;
    reader_options.buffer_bytes = buffer_size(options());
    auto reader = std::make_unique<Reader>();
    MR_ASSIGN_OR_RETURN(reader->records, RecordReader::open(path, reader_options));
    if (offset) MR_RETURN_IF_ERROR(reader->records->seek_forward(*offset));
    return reader;
  }

 private:
  struct Reader final : public FileReader {
    absl::StatusOr<bool> read(std::string& record) override { return records->read(record); }
    uint64_t offset() const override { return records->offset(); }
    std::unique_ptr<RecordReader> records;
  };
};

// Lines end with "\n" or "\r\n"; the last one may have no end.
class TextLineDataset final : public FilesDataset {
 public:
  TextLineDataset(FileOptions options, TextRecordOptions record) : FilesDataset(std::move(options)), record_(record) {}
  std::string_view name() const override { return "TextLine"; }
  absl::StatusOr<std::unique_ptr<FileReader>> open(const std::string& path,
                                                   std::optional<uint64_t> offset) const override {
    MR_ASSIGN_OR_RETURN(const Compression compression, compression_from_name(options().compression));
    auto reader = std::make_unique<Reader>();
    MR_ASSIGN_OR_RETURN(reader->stream, open_stream(path, compression));
    reader->buffer.resize(buffer_size(options()));
    reader->quotes = record_.quotes;
    if (offset) {
      MR_ASSIGN_OR_RETURN(reader->consumed, skip_bytes(*reader->stream, *offset));
    }
    if (!offset && record_.header) {
      std::string header;
      MR_RETURN_IF_ERROR(reader->read(header).status());
    }
    return reader;
  }

 private:
  struct Reader final : public FileReader {
    absl::StatusOr<bool> read(std::string& line) override {
      line.clear();
      bool any = false, inside_quotes = false;
      while (true) {
        if (begin == end) {
          MR_ASSIGN_OR_RETURN(end, stream->read({buffer.data(), buffer.size()}));
          begin = 0;
          if (end == 0) return any;
        }
        any = true;
        const auto from = buffer.begin() + static_cast<std::ptrdiff_t>(begin),
                   to = buffer.begin() + static_cast<std::ptrdiff_t>(end);
        const auto newline = find_end(from, to, &inside_quotes);
        line.append(from, newline);
        const size_t used = static_cast<size_t>(newline - from) + (newline != to);
        begin += used;
        consumed += used;
        if (line.size() > kMaxLine)
          return resource_exhausted(stream->name(), ": a line has more than ", kMaxLine, " bytes.");
        if (newline == to) continue;
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return true;
      }
    }
    // The line's end; a doubled quote inside quotes ends and begins them again, which comes to the same.
    std::string::iterator find_end(std::string::iterator from, std::string::iterator to, bool* inside_quotes) const {
      if (!quotes) return std::find(from, to, '\n');
      for (; from != to; ++from) {
        if (*from == '"') *inside_quotes = !*inside_quotes;
        if (*from == '\n' && !*inside_quotes) break;
      }
      return from;
    }
    uint64_t offset() const override { return consumed; }
    std::unique_ptr<InputStream> stream;
    std::string buffer;
    size_t begin = 0, end = 0;  // what of buffer is still to be read
    uint64_t consumed = 0;
    bool quotes = false;
  };
  TextRecordOptions record_;
};

class FixedLengthRecordDataset final : public FilesDataset {
 public:
  FixedLengthRecordDataset(FileOptions options, FixedLengthOptions record)
      : FilesDataset(std::move(options)), record_(record) {}
  std::string_view name() const override { return "FixedLengthRecord"; }
  absl::StatusOr<std::unique_ptr<FileReader>> open(const std::string& path,
                                                   std::optional<uint64_t> offset) const override {
    MR_ASSIGN_OR_RETURN(const Compression compression, compression_from_name(options().compression));
    if (compression == Compression::kNone) MR_RETURN_IF_ERROR(check_size(path));
    auto reader = std::make_unique<Reader>();
    reader->record = record_;
    MR_ASSIGN_OR_RETURN(reader->stream, open_stream(path, compression));
    const uint64_t start = offset.value_or(static_cast<uint64_t>(record_.header_bytes));
    MR_ASSIGN_OR_RETURN(reader->consumed, skip_bytes(*reader->stream, start));
    return reader;
  }

 private:
  absl::Status check_size(const std::string& path) const {
    MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
    MR_ASSIGN_OR_RETURN(const FileStat stat, files->stat(path));
    const auto outside = static_cast<uint64_t>(record_.header_bytes) + static_cast<uint64_t>(record_.footer_bytes);
    if (stat.size < outside || (stat.size - outside) % static_cast<uint64_t>(record_.record_bytes) != 0)
      return invalid_argument("Excluding the header (", record_.header_bytes, " bytes) and footer (",
                              record_.footer_bytes, " bytes), input file \"", path, "\" has body length ",
                              static_cast<int64_t>(stat.size) - static_cast<int64_t>(outside),
                              " bytes, which is not an exact multiple of the record length (", record_.record_bytes,
                              " bytes).");
    return absl::OkStatus();
  }

  // Keeps a footer's worth of bytes back: only what is followed by that many is a record.
  struct Reader final : public FileReader {
    absl::StatusOr<bool> read(std::string& out) override {
      const auto wanted = static_cast<uint64_t>(record.record_bytes) + static_cast<uint64_t>(record.footer_bytes);
      MR_RETURN_IF_ERROR(fetch_ahead(*stream, wanted, &ahead));
      if (ahead.size() < wanted) {
        if (ahead.size() > static_cast<size_t>(record.footer_bytes))
          return data_loss(stream->name(), ": the file ends inside a record at ", consumed);
        return false;
      }
      out.assign(ahead, 0, static_cast<size_t>(record.record_bytes));
      ahead.erase(0, static_cast<size_t>(record.record_bytes));
      consumed += static_cast<uint64_t>(record.record_bytes);
      return true;
    }
    uint64_t offset() const override { return consumed; }
    std::unique_ptr<InputStream> stream;
    FixedLengthOptions record;
    std::string ahead;
    uint64_t consumed = 0;
  };
  FixedLengthOptions record_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<InputStream>> open_stream(const std::string& path, Compression compression) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
  MR_ASSIGN_OR_RETURN(std::unique_ptr<InputStream> stream, files->open_stream(path));
  if (compression == Compression::kNone) return stream;
  return make_inflating_stream(std::move(stream), compression);
}

absl::StatusOr<uint64_t> skip_bytes(InputStream& stream, uint64_t count) {
  std::string scratch(static_cast<size_t>(std::min<uint64_t>(count, kDefaultBuffer)), '\0');
  uint64_t done = 0;
  while (done < count) {
    MR_ASSIGN_OR_RETURN(
        const size_t n,
        stream.read({scratch.data(), static_cast<size_t>(std::min<uint64_t>(scratch.size(), count - done))}));
    if (n == 0) break;
    done += n;
  }
  return done;
}

absl::Status fetch_ahead(InputStream& stream, uint64_t wanted, std::string* ahead) {
  while (ahead->size() < wanted) {
    const size_t had = ahead->size();
    const auto piece = static_cast<size_t>(std::min<uint64_t>(wanted - had, kDefaultBuffer));
    ahead->resize(had + piece);
    const absl::StatusOr<size_t> n = stream.read({ahead->data() + had, piece});
    ahead->resize(had + (n.ok() ? *n : 0));
    MR_RETURN_IF_ERROR(n.status());
    if (*n == 0) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileReader>> open_text_lines(const std::string& path) {
  return TextLineDataset({}, {}).open(path, std::nullopt);
}

DatasetPtr tf_record_dataset(FileOptions options) { return std::make_shared<TFRecordDataset>(std::move(options)); }

DatasetPtr text_line_dataset(FileOptions options) { return text_record_dataset(std::move(options), {}); }

DatasetPtr text_record_dataset(FileOptions options, TextRecordOptions record) {
  return std::make_shared<TextLineDataset>(std::move(options), record);
}

absl::StatusOr<DatasetPtr> fixed_length_record_dataset(FileOptions options, FixedLengthOptions record) {
  if (record.header_bytes < 0) return invalid_argument("`header_bytes` must be >= 0");
  if (record.record_bytes <= 0) return invalid_argument("`record_bytes` must be > 0");
  if (record.footer_bytes < 0) return invalid_argument("`footer_bytes` must be >= 0");
  return std::make_shared<FixedLengthRecordDataset>(std::move(options), record);
}

}  // namespace millrace
