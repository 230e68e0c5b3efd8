#include "checkpoint/bundle_reader.h"

#include <algorithm>
#include <cstring>

#include "base/byte_reader.h"
#include "base/checked.h"
#include "base/crc32c.h"
#include "checkpoint/ordered_code.h"
#include "checkpoint/slice_copy.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

constexpr size_t kChunk = 1 << 20;  // checksummed while it is in the cache
constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 31;

std::string_view printable(std::string_view key) { return is_slice_key(key) ? "a slice" : key; }

}  // namespace

absl::StatusOr<std::unique_ptr<BundleReader>> BundleReader::open(const std::string& prefix) {
  std::unique_ptr<BundleReader> reader(new BundleReader(prefix));
  MR_ASSIGN_OR_RETURN(reader->files_, file_system_for(prefix));
  const std::string path = bundle_index_path(prefix);
  auto contents = read_file(path, kMaxIndexBytes);
  if (absl::IsNotFound(contents.status())) {
    return not_found("Unsuccessful TensorSliceReader constructor: Failed to find any matching files for ", prefix);
  }
  MR_RETURN_IF_ERROR(contents.status());
  MR_ASSIGN_OR_RETURN(reader->table_, Table::parse(*std::move(contents), path));
  const Table::Entry* header = reader->table_->find("");
  if (!header) return data_loss(path, ": no header entry: not a checkpoint");
  MR_ASSIGN_OR_RETURN(reader->num_shards_, decode_bundle_header(header->value, path));
  return reader;
}

std::span<const Table::Entry> BundleReader::table_entries() const {
  return std::span(table_->entries()).subspan(1);  // the header's key "" sorts first
}

std::vector<std::string> BundleReader::keys() const {
  std::vector<std::string> keys;
  for (const Table::Entry& entry : table_entries()) {
    if (!is_slice_key(entry.key)) keys.push_back(entry.key);
  }
  return keys;
}

bool BundleReader::contains(std::string_view key) const { return !key.empty() && table_->find(key) != nullptr; }

absl::StatusOr<BundleEntry> BundleReader::entry(std::string_view key) const {
  const Table::Entry* found = key.empty() ? nullptr : table_->find(key);
  if (!found) return not_found("Key ", printable(key), " not found in checkpoint");
  auto entry = decode_bundle_entry(key, found->value, num_shards_);
  if (!entry.ok()) return annotate(entry.status(), bundle_index_path(prefix()));
  return entry;
}

absl::StatusOr<uint64_t> BundleReader::stored_bytes(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const BundleEntry found, entry(key));
  auto bytes = static_cast<uint64_t>(found.size);
  for (const TensorSlice& slice : found.slices) {
    MR_ASSIGN_OR_RETURN(const BundleEntry part, stored_entry(slice_key(key, slice)));
    bytes += static_cast<uint64_t>(part.size);
  }
  return bytes;
}

absl::StatusOr<BundleEntry> BundleReader::stored_entry(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(BundleEntry stored, entry(key));
  if (!stored.slices.empty()) return data_loss(prefix(), ": a slice of ", printable(key), " has slices itself");
  return stored;
}

absl::StatusOr<const RandomAccessFile*> BundleReader::data_file(int shard) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (data_files_.empty()) data_files_.resize(static_cast<size_t>(num_shards_));
  auto& file = data_files_[static_cast<size_t>(shard)];
  if (!file) {
    MR_ASSIGN_OR_RETURN(file, files_->open(bundle_data_path(prefix(), shard, num_shards_)));
  }
  return file.get();
}

// The file that holds the entry's bytes, which are known to be there and to be as many as its shape needs.
absl::StatusOr<const RandomAccessFile*> BundleReader::check_bytes(std::string_view key,
                                                                  const BundleEntry& entry) const {
  const int64_t elements = entry.shape.num_elements();
  const CheckedInt bytes = CheckedInt(elements) * dtype_size(entry.dtype);
  switch (entry.dtype) {
    case DataType::kResource:
    case DataType::kVariant:
      return unimplemented(prefix(), ": ", printable(key), ": tensors of dtype ", dtype_name(entry.dtype),
                           " cannot be restored");
    case DataType::kString:  // a length each and a checksum, at the least
      if (elements > entry.size - 4) return data_loss(prefix(), ": ", printable(key), ": too few bytes for its shape");
      break;
    default:
      if (!bytes.valid() || bytes.value() != entry.size) {
        return data_loss(prefix(), ": ", printable(key), ": ", entry.size, " bytes stored for a tensor of shape ",
                         entry.shape, " and dtype ", dtype_name(entry.dtype));
      }
  }
  return check_range(key, entry);
}

// The file that holds the entry's bytes, which are known to be there.
absl::StatusOr<const RandomAccessFile*> BundleReader::check_range(std::string_view key,
                                                                  const BundleEntry& entry) const {
  MR_ASSIGN_OR_RETURN(const RandomAccessFile* file, data_file(entry.shard));
  MR_ASSIGN_OR_RETURN(const uint64_t file_size, file->size());
  if (static_cast<uint64_t>(entry.offset + entry.size) > file_size) {
    return out_of_range(file->name(), ": Read less bytes than requested: ", printable(key), " ends at byte ",
                        entry.offset + entry.size, ", the file at ", file_size);
  }
  return file;
}

absl::StatusOr<Tensor> BundleReader::read_stored(std::string_view key, const BundleEntry& entry) const {
  MR_ASSIGN_OR_RETURN(const RandomAccessFile* file, check_bytes(key, entry));
  MR_ASSIGN_OR_RETURN(Tensor tensor, make_tensor(entry.dtype, entry.shape));
  MR_RETURN_IF_ERROR(entry.dtype == DataType::kString ? read_strings(*file, key, entry, tensor)
                                                      : read_plain(*file, key, entry, tensor));
  return tensor;
}

namespace {

absl::Status bad_checksum(const RandomAccessFile& file, std::string_view key, const BundleEntry& entry, uint32_t crc) {
  return data_loss("TensorBundle at ", file.name(), " shard ", entry.shard, " (", entry.size,
                   " bytes): Checksum does not match for ", printable(key), ": stored ", crc32c::unmask(entry.crc32c),
                   " vs. calculated on the restored bytes ", crc);
}

}  // namespace

absl::Status BundleReader::read_plain(const RandomAccessFile& file, std::string_view key, const BundleEntry& entry,
                                      Tensor& tensor) const {
  std::span<char> left(static_cast<char*>(tensor.raw_mutable_data()), static_cast<size_t>(entry.size));
  auto offset = static_cast<uint64_t>(entry.offset);
  uint32_t crc = 0;
  while (!left.empty()) {
    const std::span<char> chunk = left.first(std::min(left.size(), kChunk));
    MR_RETURN_IF_ERROR(read_exactly(file, offset, chunk));
    crc = crc32c::extend(crc, chunk.data(), chunk.size());
    offset += chunk.size();
    left = left.subspan(chunk.size());
  }
  if (crc32c::mask(crc) != entry.crc32c) return bad_checksum(file, key, entry, crc);
  if (entry.dtype == DataType::kBool) {
    // Anything but 0 and 1 would be undefined behaviour later.
    auto* bytes = static_cast<unsigned char*>(tensor.raw_mutable_data());
    for (int64_t i = 0; i < entry.size; ++i) bytes[i] = bytes[i] != 0;
  }
  return absl::OkStatus();
}

absl::Status BundleReader::read_strings(const RandomAccessFile& file, std::string_view key, const BundleEntry& entry,
                                        Tensor& tensor) const {
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  MR_RETURN_IF_ERROR(read_exactly(file, static_cast<uint64_t>(entry.offset), bytes));
  ByteReader reader(bytes, file.name());
  const std::span<std::string> strings = tensor.unchecked_mutable<std::string>();
  std::vector<uint64_t> lengths(strings.size());
  uint32_t crc = 0;
  for (uint64_t& length : lengths) {
    MR_ASSIGN_OR_RETURN(length, reader.read_varint64("string length"));
    crc = crc32c::extend(crc, &length, length <= UINT32_MAX ? 4 : 8);
  }
  MR_ASSIGN_OR_RETURN(const uint32_t lengths_crc, reader.read_fixed32("checksum of string lengths"));
  if (crc32c::mask(crc) != lengths_crc) {
    return data_loss(file.name(), ": the length checksum does not match for ", printable(key), ": stored ",
                     crc32c::unmask(lengths_crc), " vs. calculated ", crc);
  }
  crc = crc32c::extend(crc, &lengths_crc, sizeof(lengths_crc));
  for (size_t i = 0; i < strings.size(); ++i) {
    MR_ASSIGN_OR_RETURN(const std::string_view value, reader.read_bytes(lengths[i], "string"));
    crc = crc32c::extend(crc, value.data(), value.size());
    strings[i] = value;
  }
  if (!reader.at_end()) return reader.error("bytes left behind the strings");
  if (crc32c::mask(crc) != entry.crc32c) return bad_checksum(file, key, entry, crc);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> BundleReader::read_variants(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const BundleEntry entry, stored_entry(key));
  if (entry.dtype != DataType::kVariant)
    return invalid_argument(prefix(), ": ", printable(key), " is no variant tensor, but of dtype ",
                            dtype_name(entry.dtype));
  const int64_t elements = entry.shape.num_elements();
  if (elements > entry.size / 5)  // a length and a checksum each, at the least
    return data_loss(prefix(), ": ", printable(key), ": too few bytes for its shape");
  MR_ASSIGN_OR_RETURN(const RandomAccessFile* file, check_range(key, entry));
  std::string bytes(static_cast<size_t>(entry.size), '\0');
  MR_RETURN_IF_ERROR(read_exactly(*file, static_cast<uint64_t>(entry.offset), bytes));
  ByteReader reader(bytes, file->name());
  std::vector<std::string> values;
  uint32_t crc = 0;
  for (int64_t i = 0; i < elements; ++i) {
    MR_ASSIGN_OR_RETURN(const uint64_t size, reader.read_varint64("length of a variant"));
    MR_ASSIGN_OR_RETURN(const std::string_view value, reader.read_bytes(size, "variant"));
    crc = crc32c::extend(crc, &size, sizeof(size));
    crc = crc32c::extend(crc, value.data(), value.size());
    MR_ASSIGN_OR_RETURN(const uint32_t stored, reader.read_fixed32("checksum of a variant"));
    if (crc32c::mask(crc) != stored) return bad_checksum(*file, key, entry, crc);
    crc = crc32c::extend(crc, &stored, sizeof(stored));
    values.emplace_back(value);
  }
  if (!reader.at_end()) return reader.error("bytes left behind the variants");
  if (crc32c::mask(crc) != entry.crc32c) return bad_checksum(*file, key, entry, crc);
  return values;
}

absl::StatusOr<Tensor> BundleReader::read(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const BundleEntry found, entry(key));
  if (found.slices.empty()) return read_stored(key, found);
  MR_ASSIGN_OR_RETURN(const TensorSlice whole, TensorSlice(found.shape.rank()).resolved(found.shape));
  return assemble(key, found, whole);
}

absl::StatusOr<Tensor> BundleReader::read_slice(std::string_view key, const TensorSlice& slice) const {
  MR_ASSIGN_OR_RETURN(const BundleEntry found, entry(key));
  MR_ASSIGN_OR_RETURN(const TensorSlice wanted, slice.resolved(found.shape));
  if (found.slices.empty() && slice.covers(found.shape)) return read_stored(key, found);
  return assemble(key, found, wanted);
}

// Fills `wanted` from the stored parts that meet it: the tensor itself, or its slices.
absl::StatusOr<Tensor> BundleReader::assemble(std::string_view key, const BundleEntry& full,
                                              const TensorSlice& wanted) const {
  struct Part {
    std::string key;
    BundleEntry entry;
    TensorSlice where;   // of the full tensor
    TensorSlice shared;  // what of it is wanted
  };
  std::vector<Part> parts;
  CheckedInt available = 0;
  const auto consider = [&](std::string part_key, BundleEntry entry, const TensorSlice& where) -> absl::Status {
    Part part{std::move(part_key), std::move(entry), where, {}};
    if (!intersect(where, wanted, &part.shared)) return absl::OkStatus();
    MR_RETURN_IF_ERROR(check_bytes(part.key, part.entry).status());
    available += part.shared.shape().num_elements();
    parts.push_back(std::move(part));
    return absl::OkStatus();
  };
  if (full.slices.empty()) {
    MR_ASSIGN_OR_RETURN(const TensorSlice whole, TensorSlice(full.shape.rank()).resolved(full.shape));
    MR_RETURN_IF_ERROR(consider(std::string(key), full, whole));
  }
  for (const TensorSlice& slice : full.slices) {
    MR_ASSIGN_OR_RETURN(const TensorSlice where, slice.resolved(full.shape));
    std::string part_key = slice_key(key, slice);
    MR_ASSIGN_OR_RETURN(BundleEntry entry, stored_entry(part_key));
    if (entry.dtype != full.dtype || !(entry.shape == where.shape())) {
      return data_loss(prefix(), ": slice ", slice, " of ", key, " has dtype ", dtype_name(entry.dtype), " and shape ",
                       entry.shape);
    }
    MR_RETURN_IF_ERROR(consider(std::move(part_key), std::move(entry), where));
  }

  const TensorShape shape = wanted.shape();
  const auto too_few = [&] {
    return invalid_argument("Does not have sufficient slices for partitioned tensor ", key,
                            " to restore in slice_spec: ", wanted);
  };
  // Before memory is taken for what no bytes back.
  if (available.valid() && available.value() < shape.num_elements()) return too_few();
  MR_ASSIGN_OR_RETURN(Tensor result, make_zeroed_tensor(full.dtype, shape));
  SliceFiller filler(&result, wanted);
  for (const Part& part : parts) {
    MR_ASSIGN_OR_RETURN(const Tensor stored, read_stored(part.key, part.entry));
    filler.copy(stored, part.where, part.shared);
  }
  if (!filler.complete()) return too_few();
  return result;
}

absl::Status BundleReader::verify_stored(std::string_view key, const BundleEntry& entry) const {
  return entry.dtype == DataType::kVariant ? read_variants(key).status() : read_stored(key, entry).status();
}

absl::Status BundleReader::verify() const {
  for (const Table::Entry& item : table_entries()) {
    MR_ASSIGN_OR_RETURN(const BundleEntry found, entry(item.key));
    if (found.slices.empty()) {
      MR_RETURN_IF_ERROR(verify_stored(item.key, found));
      continue;
    }
    for (const TensorSlice& slice : found.slices) MR_RETURN_IF_ERROR(stored_entry(slice_key(item.key, slice)).status());
  }
  return absl::OkStatus();
}

}  // namespace millrace
