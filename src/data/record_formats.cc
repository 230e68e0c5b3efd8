// What readers know of files: one format, and one kind of open work unit, per kind of reader.

#include <algorithm>
#include <optional>

#include "data/files.h"
#include "data/reader.h"
#include "io/file_system.h"
#include "io/record_reader.h"

namespace millrace {
namespace {

using Result = WorkUnit::Result;

class TextLines final : public RecordFormat {
 public:
  explicit TextLines(int64_t skip) : skip_(skip) {}
  std::string_view name() const override { return "TextLineReader"; }
  absl::StatusOr<std::unique_ptr<WorkUnit>> open(const std::string& work) const override {
    auto unit = std::make_unique<Unit>();
    unit->work = work;
    MR_ASSIGN_OR_RETURN(unit->file, open_text_lines(work));
    std::string line;
    for (; unit->line < skip_; ++unit->line) {
      MR_ASSIGN_OR_RETURN(const bool more, unit->file->read(line));
      if (!more) break;  // what follows is the end, which is no error
    }
    return unit;
  }

 private:
  struct Unit final : public WorkUnit {
    absl::StatusOr<Result> read(std::string* key, std::string* value) override {
      MR_ASSIGN_OR_RETURN(const bool more, file->read(*value));
      if (!more) return Result::kEnd;
      *key = str_cat(work, ":", ++line);
      return Result::kRecord;
    }
    std::string work;
    std::unique_ptr<FileReader> file;
    int64_t line = 0;  // read so far
  };
  int64_t skip_;
};

// Each work unit is one record, whose key is the unit itself.
class WholeUnits final : public RecordFormat {
 public:
  using Value = absl::StatusOr<std::string> (*)(const std::string& work);
  WholeUnits(std::string_view name, Value value) : name_(name), value_(value) {}
  std::string_view name() const override { return name_; }
  bool keeps_state() const override { return true; }
  absl::StatusOr<std::unique_ptr<WorkUnit>> open(const std::string& work) const override {
    return std::make_unique<Unit>(work, value_);
  }

 private:
  // A file that cannot be read stays under way, as in TensorFlow.
  struct Unit final : public WorkUnit {
    Unit(std::string w, Value v) : work(std::move(w)), value_of(v) {}
    absl::StatusOr<Result> read(std::string* key, std::string* value) override {
      MR_ASSIGN_OR_RETURN(*value, value_of(work));
      *key = work;
      return Result::kLastRecord;
    }
    std::string work;
    Value value_of;
  };
  std::string_view name_;
  Value value_;
};

class TFRecords final : public RecordFormat {
 public:
  explicit TFRecords(std::string compression) : compression_(std::move(compression)) {}
  std::string_view name() const override { return "TFRecordReader"; }
  absl::StatusOr<std::unique_ptr<WorkUnit>> open(const std::string& work) const override {
    MR_ASSIGN_OR_RETURN(const Compression compression, compression_from_name(compression_));
    auto unit = std::make_unique<Unit>();
    unit->work = work;
    MR_ASSIGN_OR_RETURN(unit->records, RecordReader::open(work, {.compression = compression}));
    return unit;
  }

 private:
  struct Unit final : public WorkUnit {
    absl::StatusOr<Result> read(std::string* key, std::string* value) override {
      const uint64_t start = records->offset();
      MR_ASSIGN_OR_RETURN(const bool more, records->read(*value));
      if (!more) return Result::kEnd;
      *key = str_cat(work, ":", start);
      return Result::kRecord;
    }
    std::string work;
    std::unique_ptr<RecordReader> records;
  };
  std::string compression_;
};

class FixedLengthRecords final : public RecordFormat {
 public:
  explicit FixedLengthRecords(FixedLengthFormat format) : format_(std::move(format)) {
    if (format_.hop_bytes == 0) format_.hop_bytes = format_.record_bytes;
  }
  std::string_view name() const override { return "FixedLengthRecordReader"; }
  absl::StatusOr<std::unique_ptr<WorkUnit>> open(const std::string& work) const override {
    MR_ASSIGN_OR_RETURN(const Compression compression, compression_from_name(format_.encoding));
    auto unit = std::make_unique<Unit>();
    unit->work = work;
    unit->format = format_;
    MR_ASSIGN_OR_RETURN(unit->stream, open_stream(work, compression));
    const auto header = static_cast<uint64_t>(format_.header_bytes);
    MR_ASSIGN_OR_RETURN(const uint64_t skipped, skip_bytes(*unit->stream, header));
    if (skipped < header)
      return out_of_range("reached end of file: ", work, " has no more than ", skipped, " bytes, and a header of ",
                          header, " was expected");
    return unit;
  }

 private:
  // `ahead` begins at the last record, and then at the next one: records may overlap. What is no whole record with a
  // footer behind it is left.
  struct Unit final : public WorkUnit {
    absl::StatusOr<Result> read(std::string* key, std::string* value) override {
      if (record > 0 && !hopped) {
        const auto hop = static_cast<uint64_t>(format.hop_bytes);
        const uint64_t at_hand = std::min<uint64_t>(hop, ahead.size());
        ahead.erase(0, static_cast<size_t>(at_hand));
        MR_ASSIGN_OR_RETURN(const uint64_t skipped, skip_bytes(*stream, hop - at_hand));
        if (skipped < hop - at_hand) return Result::kEnd;
      }
      hopped = true;
      const auto wanted = static_cast<uint64_t>(format.record_bytes) + static_cast<uint64_t>(format.footer_bytes);
      MR_RETURN_IF_ERROR(fetch_ahead(*stream, wanted, &ahead));
      if (ahead.size() < wanted) return Result::kEnd;
      value->assign(ahead, 0, static_cast<size_t>(format.record_bytes));
      *key = str_cat(work, ":", record++);
      hopped = false;
      return Result::kRecord;
    }
    std::string work;
    FixedLengthFormat format;
    std::unique_ptr<InputStream> stream;
    std::string ahead;
    int64_t record = 0;   // the next one's number
    bool hopped = false;  // `ahead` stands at it already, as after an error
  };
  FixedLengthFormat format_;
};

}  // namespace

std::unique_ptr<RecordFormat> text_line_format(int64_t skip_header_lines) {
  return std::make_unique<TextLines>(skip_header_lines);
}
std::unique_ptr<RecordFormat> whole_file_format() {
  return std::make_unique<WholeUnits>("WholeFileReader", [](const std::string& work) { return read_file(work); });
}
std::unique_ptr<RecordFormat> tf_record_format(std::string compression) {
  return std::make_unique<TFRecords>(std::move(compression));
}
std::unique_ptr<RecordFormat> identity_format() {
  return std::make_unique<WholeUnits>("IdentityReader",
                                      [](const std::string& work) -> absl::StatusOr<std::string> { return work; });
}
std::unique_ptr<RecordFormat> fixed_length_format(FixedLengthFormat format) {
  return std::make_unique<FixedLengthRecords>(std::move(format));
}

}  // namespace millrace
