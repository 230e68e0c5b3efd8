#pragma once
// Writes a tensor bundle, byte for byte as TensorFlow does for the same tensors in the same order. Nothing shows under
// the prefix before finish() has brought everything to the disk; the index appears last.
//
//   MR_ASSIGN_OR_RETURN(auto writer, BundleWriter::create("run/model.ckpt-100"));
//   MR_RETURN_IF_ERROR(writer->add("dense/kernel", kernel));
//   MR_RETURN_IF_ERROR(writer->finish());
//
// Several processes write bundles of their own and merge_bundles joins them. Not thread-safe.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/bundle.h"
#include "io/durable_file.h"
#include "millrace/tensor.h"

namespace millrace {

class BundleWriter {
 public:
  // Makes the prefix's own directory if it is missing, as TensorFlow does, but not those above it.
  static absl::StatusOr<std::unique_ptr<BundleWriter>> create(const std::string& prefix);

  // InvalidArgument for a key that was there before, an empty one, and tensors without a value; Unimplemented for
  // resource and variant tensors. Large tensors go to the file without a copy.
  absl::Status add(const std::string& key, const Tensor& tensor);
  // A variant tensor: each element as a serialized VariantTensorDataProto.
  absl::Status add_variants(const std::string& key, const TensorShape& shape, std::span<const std::string> elements);
  // One slice of a partitioned tensor of the given full shape.
  absl::Status add_slice(const std::string& key, const TensorShape& full_shape, const TensorSlice& slice,
                         const Tensor& tensor);
  absl::Status finish();

 private:
  BundleWriter(std::string prefix, DurableFile data) : prefix_(std::move(prefix)), data_(std::move(data)) {}
  absl::Status write_plain(const Tensor& tensor, BundleEntry& entry);
  absl::Status write_strings(const Tensor& tensor, BundleEntry& entry);
  absl::Status check_key(const std::string& key) const;

  std::string prefix_;
  DurableFile data_;
  std::map<std::string, BundleEntry> entries_;
};

// Joins the bundles into one, as the op MergeV2Checkpoints: renames their data files, writes one index, removes theirs.
// With `delete_old_directories`, directories that this leaves empty go too. InvalidArgument for tensors that two of
// them hold, or slices of different tensors under one name.
absl::Status merge_bundles(std::span<const std::string> prefixes, const std::string& merged_prefix,
                           bool delete_old_directories = false);

}  // namespace millrace
