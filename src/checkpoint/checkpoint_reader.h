#pragma once
// Reading a checkpoint of either format. open_checkpoint looks at the files and says which it is:
//
//   MR_ASSIGN_OR_RETURN(auto reader, open_checkpoint("run/model.ckpt-100"));
//   MR_ASSIGN_OR_RETURN(Tensor kernel, reader->read("dense/kernel"));
//
// Errors: NotFound for a missing file or tensor, DataLoss for damage, OutOfRange for a file that ends early.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/tensor_slice.h"
#include "millrace/tensor.h"
#include "millrace/types.h"

namespace millrace {

// What a checkpoint says of a tensor.
struct SavedTensor {
  DataType dtype = DataType::kInvalid;
  TensorShape shape = {};
  std::vector<TensorSlice> slices = {};  // of a partitioned tensor; empty where it is stored whole
};

// Thread-safe.
class CheckpointReader {
 public:
  virtual ~CheckpointReader() = default;

  const std::string& prefix() const { return prefix_; }
  // "V1" or "V2", as in SaverDef.CheckpointFormatVersion.
  virtual std::string_view format() const = 0;
  // Names of the tensors, sorted; a partitioned one counts once.
  virtual std::vector<std::string> keys() const = 0;
  virtual bool contains(std::string_view key) const = 0;
  // NotFound if there is no tensor of that name, as of all below.
  virtual absl::StatusOr<SavedTensor> info(std::string_view key) const = 0;

  // Files with values, and the bytes of them that are one tensor's.
  virtual int num_files() const = 0;
  virtual absl::StatusOr<uint64_t> stored_bytes(std::string_view key) const = 0;

  // A tensor, put together from its slices where it is partitioned.
  virtual absl::StatusOr<Tensor> read(std::string_view key) const = 0;
  // Part of a tensor. The slice must fit its shape.
  virtual absl::StatusOr<Tensor> read_slice(std::string_view key, const TensorSlice& slice) const = 0;
  // The elements of a variant tensor, each a serialized VariantTensorDataProto; read() gives none of these.
  virtual absl::StatusOr<std::vector<std::string>> read_variants(std::string_view key) const = 0;
  // OK if every tensor can be read and has its checksum.
  virtual absl::Status verify() const = 0;

 protected:
  explicit CheckpointReader(std::string prefix) : prefix_(std::move(prefix)) {}

 private:
  std::string prefix_;
};

// `prefix` as the Saver returned it: of format V2 a prefix of file names, of V1 a file or a pattern of its shards'
// names. NotFound where there is neither.
absl::StatusOr<std::unique_ptr<CheckpointReader>> open_checkpoint(const std::string& prefix);

// True if there is a checkpoint under the prefix, of either format.
bool checkpoint_exists(const std::string& prefix);
// When it was written, in nanoseconds since 1970; NotFound if there is none.
absl::StatusOr<int64_t> checkpoint_time(const std::string& prefix);
// OK if every tensor of the checkpoint can be read and has its checksum.
absl::Status verify_checkpoint(const std::string& prefix);
// Removes the checkpoint's files, and its meta graph. Files that are not there are no error.
absl::Status remove_checkpoint(const std::string& prefix);
// PREFIX.meta; of a checkpoint in shards (of format V1) the name without their numbers.
std::string meta_graph_path(std::string_view prefix, std::string_view suffix = "meta");

}  // namespace millrace
