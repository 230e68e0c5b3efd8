#pragma once
// Checkpoints of TensorFlow's first format (SaverDef.V1): one file, or one per shard, each a table (table.h) of
// SavedTensorSlices messages. The entry "" says which tensors there are and in which slices; under slice_key stands
// each slice's values. Tensors that are not partitioned have one slice, the whole.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/table.h"

namespace millrace {

// Reads the file, or the shards that match the pattern, whole into memory; what a hostile file claims is checked
// against the bytes that are there.
class SliceFileReader final : public CheckpointReader {
 public:
  static absl::StatusOr<std::unique_ptr<SliceFileReader>> open(const std::string& pattern);

  std::string_view format() const override { return "V1"; }
  std::vector<std::string> keys() const override;
  bool contains(std::string_view key) const override { return tensors_.contains(key); }
  absl::StatusOr<SavedTensor> info(std::string_view key) const override;
  int num_files() const override { return static_cast<int>(tables_.size()); }
  absl::StatusOr<uint64_t> stored_bytes(std::string_view key) const override;
  absl::StatusOr<Tensor> read(std::string_view key) const override;
  absl::StatusOr<Tensor> read_slice(std::string_view key, const TensorSlice& slice) const override;
  absl::StatusOr<std::vector<std::string>> read_variants(std::string_view key) const override;
  absl::Status verify() const override;

 private:
  struct Stored {
    SavedTensor saved;
    std::vector<std::string_view> values;  // the serialized SavedTensorSlices of each slice
  };
  using CheckpointReader::CheckpointReader;
  absl::Status add_file(const std::string& path);
  absl::Status add_tensor(const std::string& path, const Table& table, const std::string& name, SavedTensor saved);
  absl::StatusOr<const Stored*> find(std::string_view key) const;
  absl::StatusOr<Tensor> decode(std::string_view key, const SavedTensor& saved, const TensorSlice& where,
                                std::string_view value) const;

  std::vector<std::unique_ptr<Table>> tables_;
  std::set<std::string> slice_keys_;  // of all files: none may stand in two
  std::map<std::string, Stored, std::less<>> tensors_;
};

// Writes one file of the first format, byte for byte as TensorFlow does. Nothing shows at the path before finish().
// Not thread-safe.
class SliceFileWriter {
 public:
  explicit SliceFileWriter(std::string path) : path_(std::move(path)) {}

  // InvalidArgument for a slice that was there before, and for slices of one name that disagree; Unimplemented for the
  // dtypes that this format does not have.
  absl::Status add(const std::string& name, const TensorShape& full_shape, const TensorSlice& slice,
                   const Tensor& tensor);
  absl::Status finish();

 private:
  std::string path_;
  std::map<std::string, SavedTensor> tensors_;
  std::vector<std::string> names_;              // of tensors_, in the order of their first slices
  std::map<std::string, std::string> entries_;  // by slice_key
};

}  // namespace millrace
