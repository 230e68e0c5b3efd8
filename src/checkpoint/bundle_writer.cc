#include "checkpoint/bundle_writer.h"

#include "base/coding.h"
#include "base/crc32c.h"
#include "checkpoint/ordered_code.h"
#include "checkpoint/table.h"

namespace millrace {
namespace {

constexpr size_t kChunk = 1 << 20;  // checksummed and written while it is in the cache

}  // namespace

absl::StatusOr<std::unique_ptr<BundleWriter>> BundleWriter::create(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(prefix));
  if (const std::string directory(directory_of(prefix)); !directory.empty() && !files->is_directory(directory)) {
    const absl::Status made = files->make_directory(directory);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  }
  MR_ASSIGN_OR_RETURN(DurableFile data, DurableFile::create(bundle_data_path(prefix, 0, 1)));
  return std::unique_ptr<BundleWriter>(new BundleWriter(prefix, std::move(data)));
}

absl::Status BundleWriter::check_key(const std::string& key) const {
  if (key.empty()) return invalid_argument(prefix_, ": a tensor needs a name to be saved");
  if (!entries_.contains(key)) return absl::OkStatus();
  return invalid_argument("Adding duplicate key: ", is_slice_key(key) ? std::string("a slice") : key);
}

// Of each element its length as a varint, its bytes, and a checksum of all so far (lengths as fixed-width numbers).
absl::Status BundleWriter::add_variants(const std::string& key, const TensorShape& shape,
                                        std::span<const std::string> elements) {
  MR_RETURN_IF_ERROR(check_key(key));
  BundleEntry entry;
  entry.dtype = DataType::kVariant;
  entry.shape = shape;
  entry.offset = static_cast<int64_t>(data_.position());
  uint32_t crc = 0;
  for (const std::string& element : elements) {
    const uint64_t size = element.size();
    std::string length;
    append_varint64(length, size);
    crc = crc32c::extend(crc, &size, sizeof(size));
    crc = crc32c::extend(crc, element.data(), element.size());
    const uint32_t so_far = crc32c::mask(crc);
    std::string checksum;
    append_fixed32(checksum, so_far);
    crc = crc32c::extend(crc, checksum.data(), checksum.size());
    MR_RETURN_IF_ERROR(data_.append(length));
    MR_RETURN_IF_ERROR(data_.append(element));
    MR_RETURN_IF_ERROR(data_.append(checksum));
  }
  entry.crc32c = crc32c::mask(crc);
  entry.size = static_cast<int64_t>(data_.position()) - entry.offset;
  entries_.emplace(key, std::move(entry));
  return absl::OkStatus();
}

absl::Status BundleWriter::add(const std::string& key, const Tensor& tensor) {
  MR_RETURN_IF_ERROR(check_key(key));
  if (!tensor.has_value()) return invalid_argument(prefix_, ": ", key, " has no value to save");
  const DataType dtype = tensor.dtype();
  if (dtype == DataType::kResource || dtype == DataType::kVariant) {
    return unimplemented(prefix_, ": ", key, ": tensors of dtype ", dtype_name(dtype), " cannot be saved");
  }
  BundleEntry entry;
  entry.dtype = dtype;
  entry.shape = tensor.shape();
  entry.offset = static_cast<int64_t>(data_.position());
  MR_RETURN_IF_ERROR(dtype == DataType::kString ? write_strings(tensor, entry) : write_plain(tensor, entry));
  entry.size = static_cast<int64_t>(data_.position()) - entry.offset;
  entries_.emplace(key, std::move(entry));
  return absl::OkStatus();
}

absl::Status BundleWriter::write_plain(const Tensor& tensor, BundleEntry& entry) {
  std::string_view bytes(static_cast<const char*>(tensor.raw_data()), tensor.byte_size());
  uint32_t crc = 0;
  while (!bytes.empty()) {
    const std::string_view chunk = bytes.substr(0, kChunk);
    crc = crc32c::extend(crc, chunk.data(), chunk.size());
    MR_RETURN_IF_ERROR(data_.append(chunk));
    bytes.remove_prefix(chunk.size());
  }
  entry.crc32c = crc32c::mask(crc);
  return absl::OkStatus();
}

// All lengths as varints, a checksum of the lengths (as fixed-width numbers), then all bytes.
absl::Status BundleWriter::write_strings(const Tensor& tensor, BundleEntry& entry) {
  const auto strings = tensor.unchecked<std::string>();
  uint32_t crc = 0;
  std::string lengths;
  for (const std::string& s : strings) {
    append_varint64(lengths, s.size());
    const uint64_t size = s.size();
    crc = crc32c::extend(crc, &size, size <= UINT32_MAX ? 4 : 8);
  }
  const uint32_t lengths_crc = crc32c::mask(crc);
  append_fixed32(lengths, lengths_crc);
  crc = crc32c::extend(crc, &lengths_crc, sizeof(lengths_crc));
  MR_RETURN_IF_ERROR(data_.append(lengths));
  for (const std::string& s : strings) {
    crc = crc32c::extend(crc, s.data(), s.size());
    MR_RETURN_IF_ERROR(data_.append(s));
  }
  entry.crc32c = crc32c::mask(crc);
  return absl::OkStatus();
}

absl::Status BundleWriter::add_slice(const std::string& key, const TensorShape& full_shape, const TensorSlice& slice,
                                     const Tensor& tensor) {
  MR_ASSIGN_OR_RETURN(const TensorSlice resolved, slice.resolved(full_shape));
  if (!(resolved.shape() == tensor.shape())) {
    return invalid_argument("Slice in shape_and_slice specification does not match the shape of the tensor to  save: ",
                            slice, " of ", full_shape, ", tensor: ", tensor.shape());
  }
  if (slice.covers(full_shape)) return add(key, tensor);
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    const BundleEntry& full = found->second;
    if (full.slices.empty()) return invalid_argument("Adding duplicate key: ", key);
    if (full.dtype != tensor.dtype() || !(full.shape == full_shape)) {
      return invalid_argument(prefix_, ": slices of ", key, " disagree: ", dtype_name(full.dtype), full.shape, " and ",
                              dtype_name(tensor.dtype()), full_shape);
    }
  }
  MR_RETURN_IF_ERROR(add(slice_key(key, slice), tensor));
  BundleEntry& full = entries_[key];
  full.dtype = tensor.dtype();
  full.shape = full_shape;
  full.slices.push_back(slice);
  return absl::OkStatus();
}

absl::Status BundleWriter::finish() {
  MR_RETURN_IF_ERROR(data_.finish());
  MR_ASSIGN_OR_RETURN(DurableFile index, DurableFile::create(bundle_index_path(prefix_)));
  TableWriter table(index.file());
  MR_RETURN_IF_ERROR(table.add("", encode_bundle_header(1)));
  for (const auto& [key, entry] : entries_) MR_RETURN_IF_ERROR(table.add(key, encode_bundle_entry(entry)));
  MR_RETURN_IF_ERROR(table.finish());
  MR_RETURN_IF_ERROR(index.finish());
  MR_RETURN_IF_ERROR(data_.publish());
  return index.commit();
}

}  // namespace millrace
