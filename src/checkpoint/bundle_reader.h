#pragma once
// Reads tensor bundles, TensorFlow's and ours, and survives damaged and hostile ones: what an entry claims is checked
// against the files before memory is taken, and every tensor against its checksum.
//
//   MR_ASSIGN_OR_RETURN(auto reader, BundleReader::open("run/model.ckpt-100"));
//   MR_ASSIGN_OR_RETURN(Tensor kernel, reader->read("dense/kernel"));
//
// Errors: NotFound for a missing file or tensor, DataLoss for damage, OutOfRange for a data file that ends early.
// Thread-safe.

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/bundle.h"
#include "checkpoint/table.h"
#include "io/file_system.h"
#include "millrace/tensor.h"

namespace millrace {

class BundleReader final : public CheckpointReader {
 public:
  static absl::StatusOr<std::unique_ptr<BundleReader>> open(const std::string& prefix);

  std::string_view format() const override { return "V2"; }
  int num_shards() const { return num_shards_; }
  std::vector<std::string> keys() const override;
  bool contains(std::string_view key) const override;
  absl::StatusOr<SavedTensor> info(std::string_view key) const override { return entry(key); }
  absl::StatusOr<BundleEntry> entry(std::string_view key) const;
  int num_files() const override { return num_shards_; }
  absl::StatusOr<uint64_t> stored_bytes(std::string_view key) const override;

  absl::StatusOr<Tensor> read(std::string_view key) const override;
  absl::StatusOr<Tensor> read_slice(std::string_view key, const TensorSlice& slice) const override;
  absl::StatusOr<std::vector<std::string>> read_variants(std::string_view key) const override;
  // Reads every byte and compares the checksums.
  absl::Status verify() const override;

  // All entries behind the header, those of slices too: for merging and tools.
  std::span<const Table::Entry> table_entries() const;

 private:
  using CheckpointReader::CheckpointReader;
  absl::StatusOr<BundleEntry> stored_entry(std::string_view key) const;  // one that has bytes
  absl::StatusOr<const RandomAccessFile*> data_file(int shard) const;
  absl::StatusOr<const RandomAccessFile*> check_bytes(std::string_view key, const BundleEntry& entry) const;
  absl::StatusOr<const RandomAccessFile*> check_range(std::string_view key, const BundleEntry& entry) const;
  absl::StatusOr<Tensor> read_stored(std::string_view key, const BundleEntry& entry) const;
  absl::Status read_plain(const RandomAccessFile& file, std::string_view key, const BundleEntry& entry,
                          Tensor& tensor) const;
  absl::Status read_strings(const RandomAccessFile& file, std::string_view key, const BundleEntry& entry,
                            Tensor& tensor) const;
  absl::Status verify_stored(std::string_view key, const BundleEntry& entry) const;
  absl::StatusOr<Tensor> assemble(std::string_view key, const BundleEntry& full, const TensorSlice& wanted) const;

  FileSystem* files_ = nullptr;
  std::unique_ptr<Table> table_;
  int num_shards_ = 1;
  mutable std::mutex mutex_;                                           // guards data_files_
  mutable std::vector<std::unique_ptr<RandomAccessFile>> data_files_;  // opened when needed
};

}  // namespace millrace
