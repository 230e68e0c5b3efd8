#pragma once
// Sorted string tables, the format of a checkpoint's index (and of the first checkpoint format): sorted keys with
// values in blocks with checksums (docs/formats/checkpoint.md). LevelDB writes them; our own reader reads them,
// because LevelDB's trusts what it reads.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file_system.h"

namespace millrace {

// A whole table in memory. Every block is checked when the table is parsed, and what it costs in memory is bounded by
// the file's size: DataLoss for anything that is not a table. Immutable, so thread-safe.
class Table {
 public:
  struct Entry {
    std::string key;
    std::string_view value;
  };
  // `source` names the file in errors.
  static absl::StatusOr<std::unique_ptr<Table>> parse(std::string contents, const std::string& source);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }  // keys strictly ascending
  const Entry* find(std::string_view key) const;                  // null if there is none

 private:
  Table() = default;
  absl::Status parse_blocks(const std::string& source);

  std::string contents_;
  std::vector<std::unique_ptr<std::string>> uncompressed_;  // blocks that were compressed
  std::vector<Entry> entries_;                              // values point into the above
};

// Writes a table as TensorFlow writes the index of a checkpoint: blocks of 256 KiB, uncompressed. Keys must ascend.
class TableWriter {
 public:
  explicit TableWriter(WritableFile* file);
  ~TableWriter();
  absl::Status add(std::string_view key, std::string_view value);
  absl::Status finish();  // leaves the file open

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
