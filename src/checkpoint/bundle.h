#pragma once
// What the parts of a tensor bundle (TensorFlow's checkpoint format V2) have in common: file names and index entries.
//
// A bundle PREFIX is a table PREFIX.index, whose entry "" is a header, and whose other entries say where in the files
// PREFIX.data-NNNNN-of-NNNNN the bytes of each tensor are; see docs/formats/checkpoint.md. What lives in
// src/checkpoint: reading and writing bundles and the `checkpoint` state file. When to save and what to keep is the
// Saver's (src/api).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "io/file_system.h"
#include "millrace/shape.h"
#include "millrace/types.h"

namespace millrace {

std::string bundle_index_path(std::string_view prefix);                            // PREFIX.index
std::string bundle_data_path(std::string_view prefix, int shard, int num_shards);  // PREFIX.data-00000-of-00001
std::string sharded_filename(std::string_view prefix, int shard, int num_shards);  // PREFIX-00000-of-00001

// Removes the data files of a prefix, however many shards there are.
absl::Status remove_bundle_data(FileSystem& files, const std::string& prefix);

// One entry of the index: the dtype and shape of a tensor, and its bytes; or, for a partitioned tensor, its slices,
// each of which has an entry of its own under slice_key.
struct BundleEntry : SavedTensor {
  int shard = 0;
  int64_t offset = 0;
  int64_t size = 0;
  uint32_t crc32c = 0;  // masked
};

// The serialized BundleEntryProto, byte for byte TensorFlow's.
std::string encode_bundle_entry(const BundleEntry& entry);
// DataLoss, naming `key`, for anything that is not a possible entry of a bundle with that many shards.
absl::StatusOr<BundleEntry> decode_bundle_entry(std::string_view key, std::string_view value, int num_shards);

std::string encode_bundle_header(int num_shards);
// The number of shards. DataLoss for bytes that are no header, Unimplemented for bundles of big-endian machines,
// InvalidArgument for versions we cannot read.
absl::StatusOr<int> decode_bundle_header(std::string_view value, const std::string& source);

}  // namespace millrace
