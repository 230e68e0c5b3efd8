#include "checkpoint/bundle.h"

#include <cstdio>

#include "checkpoint/ordered_code.h"
#include "tensor/shape.h"
#include "tensorflow/core/protobuf/tensor_bundle.pb.h"

namespace millrace {
namespace {

constexpr int kBundleVersion = 1;
constexpr int kMaxShards = 1 << 20;

std::string numbered(std::string_view prefix, const char* format, int shard, int num_shards) {
  char suffix[64];
  std::snprintf(suffix, sizeof(suffix), format, shard, num_shards);
  return str_cat(prefix, suffix);
}

absl::StatusOr<TensorShape> decode_shape(const tensorflow::TensorShapeProto& proto) {
  if (proto.unknown_rank()) return invalid_argument("unknown rank");
  std::vector<int64_t> dims;
  for (const auto& dim : proto.dim()) {
    if (dims.size() > Dims::kMaxRank) break;  // make_shape refuses it
    dims.push_back(dim.size());
  }
  return make_shape(dims);
}

absl::StatusOr<TensorSlice> decode_slice(const tensorflow::TensorSliceProto& proto, const TensorShape& shape) {
  if (proto.extent_size() > Dims::kMaxRank) return invalid_argument("rank too large");
  std::vector<TensorSlice::Extent> extents;
  for (const auto& extent : proto.extent()) {
    const bool has_length = extent.has_length();
    if (has_length && extent.length() < 0) return invalid_argument("negative length");
    extents.push_back({extent.start(), has_length ? extent.length() : TensorSlice::kFull});
  }
  TensorSlice slice(std::move(extents));
  MR_RETURN_IF_ERROR(slice.resolved(shape).status());
  return slice;
}

}  // namespace

std::string bundle_index_path(std::string_view prefix) { return str_cat(prefix, ".index"); }

std::string bundle_data_path(std::string_view prefix, int shard, int num_shards) {
  return numbered(prefix, ".data-%05d-of-%05d", shard, num_shards);
}

std::string sharded_filename(std::string_view prefix, int shard, int num_shards) {
  return numbered(prefix, "-%05d-of-%05d", shard, num_shards);
}

absl::Status remove_bundle_data(FileSystem& files, const std::string& prefix) {
  // Names are compared, not globbed: a prefix may hold wildcard characters.
  const std::string directory(directory_of(prefix));
  const std::string start = str_cat(file_name_of(prefix), ".data-");
  MR_ASSIGN_OR_RETURN(const auto names, files.list(directory.empty() ? "." : directory));
  absl::Status result;
  for (const std::string& name : names) {
    if (name.starts_with(start)) result.Update(files.remove_file(join_path(directory, name)));
  }
  return result;
}

std::string encode_bundle_entry(const BundleEntry& entry) {
  tensorflow::BundleEntryProto proto;
  proto.set_dtype(static_cast<tensorflow::DataType>(entry.dtype));
  auto* shape = proto.mutable_shape();
  for (const int64_t dim : entry.shape.dims()) shape->add_dim()->set_size(dim);
  proto.set_shard_id(entry.shard);
  proto.set_offset(entry.offset);
  proto.set_size(entry.size);
  proto.set_crc32c(entry.crc32c);
  for (const TensorSlice& slice : entry.slices) {
    auto* slice_proto = proto.add_slices();
    for (const TensorSlice::Extent& extent : slice.extents()) {
      auto* extent_proto = slice_proto->add_extent();
      if (extent.is_full()) continue;
      extent_proto->set_start(extent.start);
      extent_proto->set_length(extent.length);
    }
  }
  return proto.SerializeAsString();
}

absl::StatusOr<BundleEntry> decode_bundle_entry(std::string_view key, std::string_view value, int num_shards) {
  const auto bad = [&](std::string_view why) {
    return data_loss("Bad entry of ", is_slice_key(key) ? std::string_view("a slice") : key, ": ", why);
  };
  tensorflow::BundleEntryProto proto;
  if (value.size() > INT32_MAX || !proto.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return bad("not a BundleEntryProto");
  }
  BundleEntry entry;
  entry.dtype = static_cast<DataType>(proto.dtype());
  if (!is_valid_dtype(entry.dtype)) return bad(str_cat("unknown dtype ", static_cast<int>(proto.dtype())));
  auto shape = decode_shape(proto.shape());
  if (!shape.ok()) return bad(to_std(shape.status().message()));
  entry.shape = *std::move(shape);
  if (proto.shard_id() < 0 || proto.shard_id() >= num_shards) return bad(str_cat("shard ", proto.shard_id()));
  if (proto.offset() < 0 || proto.size() < 0 || proto.offset() > INT64_MAX - proto.size()) return bad("offset or size");
  entry.shard = proto.shard_id();
  entry.offset = proto.offset();
  entry.size = proto.size();
  entry.crc32c = proto.crc32c();
  entry.slices.reserve(static_cast<size_t>(proto.slices_size()));
  for (const auto& slice_proto : proto.slices()) {
    auto slice = decode_slice(slice_proto, entry.shape);
    if (!slice.ok()) return bad(to_std(slice.status().message()));
    entry.slices.push_back(*std::move(slice));
  }
  return entry;
}

std::string encode_bundle_header(int num_shards) {
  tensorflow::BundleHeaderProto header;
  header.set_num_shards(num_shards);
  header.set_endianness(tensorflow::BundleHeaderProto::LITTLE);
  header.mutable_version()->set_producer(kBundleVersion);
  return header.SerializeAsString();
}

absl::StatusOr<int> decode_bundle_header(std::string_view value, const std::string& source) {
  tensorflow::BundleHeaderProto header;
  if (value.size() > INT32_MAX || !header.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return data_loss(source, ": corrupted header entry");
  }
  if (header.endianness() != tensorflow::BundleHeaderProto::LITTLE) {
    return unimplemented(source, ": the checkpoint is from a machine of other byte order");
  }
  const auto& version = header.version();
  if (version.min_consumer() > kBundleVersion) {
    return invalid_argument(source, ": checkpoint version ", version.producer(), " needs a reader of version ",
                            version.min_consumer(), ", this one is ", kBundleVersion);
  }
  for (const int bad : version.bad_consumers()) {
    if (bad == kBundleVersion) return invalid_argument(source, ": the checkpoint's version excludes readers like this");
  }
  if (header.num_shards() < 1 || header.num_shards() > kMaxShards) {
    return data_loss(source, ": impossible number of shards ", header.num_shards());
  }
  return header.num_shards();
}

}  // namespace millrace
