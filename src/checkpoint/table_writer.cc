#include <leveldb/env.h>
#include <leveldb/options.h>
#include <leveldb/table_builder.h>

#include "checkpoint/table.h"

namespace millrace {
namespace {

leveldb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }

// Our file under LevelDB's interface; keeps our status, which LevelDB's would lose.
class FileAdaptor final : public leveldb::WritableFile {
 public:
  explicit FileAdaptor(millrace::WritableFile* file) : file_(file) {}
  leveldb::Status Append(const leveldb::Slice& data) override {
    if (status_.ok()) status_ = file_->append({data.data(), data.size()});
    return status_.ok() ? leveldb::Status::OK() : leveldb::Status::IOError("append");
  }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  const absl::Status& status() const { return status_; }

 private:
  millrace::WritableFile* file_;
  absl::Status status_;
};

leveldb::Options table_options() {
  leveldb::Options options;
  options.block_size = 262144;
  options.compression = leveldb::kNoCompression;
  return options;
}

}  // namespace

struct TableWriter::Impl {
  explicit Impl(WritableFile* target) : file(target), builder(table_options(), &file) {}
  FileAdaptor file;
  leveldb::TableBuilder builder;
  bool finished = false;
};

TableWriter::TableWriter(WritableFile* file) : impl_(std::make_unique<Impl>(file)) {}

TableWriter::~TableWriter() {
  if (!impl_->finished) impl_->builder.Abandon();
}

absl::Status TableWriter::add(std::string_view key, std::string_view value) {
  impl_->builder.Add(slice(key), slice(value));
  return impl_->file.status();
}

absl::Status TableWriter::finish() {
  impl_->finished = true;
  const leveldb::Status done = impl_->builder.Finish();
  MR_RETURN_IF_ERROR(impl_->file.status());
  return done.ok() ? absl::OkStatus() : internal_error("table: ", done.ToString());
}

}  // namespace millrace
