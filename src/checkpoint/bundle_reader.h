#pragma once
// Reads tensor bundles, TensorFlow's and ours, and survives damaged and hostile ones: what an entry claims is checked
// against the files before memory is taken, and every tensor against its checksum.
//
//   MR_ASSIGN_OR_RETURN(auto reader, BundleReader::open("run/model.ckpt-100"));
//   MR_ASSIGN_OR_RETURN(Tensor kernel, reader->read("dense/kernel"));
//
// Errors: NotFound for a missing file or tensor, DataLoss for damage, OutOfRange for a data file that ends early,
// Unimplemented for checkpoints of the first format. Thread-safe.

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

class BundleReader {
 public:
  static absl::StatusOr<std::unique_ptr<BundleReader>> open(const std::string& prefix);

  const std::string& prefix() const { return prefix_; }
  int num_shards() const { return num_shards_; }
  // Names of the tensors, sorted; a partitioned one counts once.
  std::vector<std::string> keys() const;
  bool contains(std::string_view key) const;
  // Dtype, full shape and slices of a tensor; NotFound "Key X not found in checkpoint".
  absl::StatusOr<BundleEntry> entry(std::string_view key) const;

  // A tensor, put together from its slices where it is partitioned.
  absl::StatusOr<Tensor> read(std::string_view key) const;
  // The elements of a variant tensor, each a serialized VariantTensorDataProto; read() gives none of these.
  absl::StatusOr<std::vector<std::string>> read_variants(std::string_view key) const;
  // Part of a tensor. The slice must fit its shape.
  absl::StatusOr<Tensor> read_slice(std::string_view key, const TensorSlice& slice) const;
  // Reads every byte and compares the checksums.
  absl::Status verify() const;

  // All entries behind the header, those of slices too: for merging and tools.
  std::span<const Table::Entry> table_entries() const;

 private:
  BundleReader() = default;
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
  std::string prefix_;
  std::unique_ptr<Table> table_;
  int num_shards_ = 1;
  mutable std::mutex mutex_;                                           // guards data_files_
  mutable std::vector<std::unique_ptr<RandomAccessFile>> data_files_;  // opened when needed
};

// True if there is a checkpoint under the prefix, of either format.
bool checkpoint_exists(const std::string& prefix);
// OK if every tensor of the checkpoint can be read and has its checksum.
absl::Status verify_checkpoint(const std::string& prefix);
// Removes the checkpoint's files, and its .meta. Files that are not there are no error.
absl::Status remove_checkpoint(const std::string& prefix);

}  // namespace millrace
