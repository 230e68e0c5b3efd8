#include <set>

#include "checkpoint/bundle_reader.h"
#include "checkpoint/bundle_writer.h"
#include "checkpoint/ordered_code.h"
#include "checkpoint/table.h"

namespace millrace {
namespace {

struct Merged {
  std::map<std::string, BundleEntry> entries;
  std::vector<std::string> data_files;  // in the order of their new shard numbers
};

absl::Status merge_slices(const std::string& key, const BundleEntry& entry, BundleEntry& into) {
  if (into.slices.empty() || into.dtype != entry.dtype || !(into.shape == entry.shape)) {
    return invalid_argument("Slices of ", key, " disagree: ", dtype_name(into.dtype), into.shape, " and ",
                            dtype_name(entry.dtype), entry.shape);
  }
  into.slices.insert(into.slices.end(), entry.slices.begin(), entry.slices.end());
  return absl::OkStatus();
}

absl::Status merge_one(const std::string& prefix, Merged& merged) {
  MR_ASSIGN_OR_RETURN(const auto reader, BundleReader::open(prefix));
  std::map<int, int> shards;  // old number to new
  for (const Table::Entry& item : reader->table_entries()) {
    MR_ASSIGN_OR_RETURN(BundleEntry entry, decode_bundle_entry(item.key, item.value, reader->num_shards()));
    const auto existing = merged.entries.find(item.key);
    if (!entry.slices.empty()) {
      if (existing != merged.entries.end()) {
        MR_RETURN_IF_ERROR(merge_slices(item.key, entry, existing->second));
        continue;
      }
    } else {
      if (existing != merged.entries.end()) {
        return invalid_argument("Duplicate tensor keyed by ", is_slice_key(item.key) ? "a slice" : item.key,
                                " encountered, when merging prefix: ", prefix);
      }
      const auto [shard, is_new] = shards.emplace(entry.shard, static_cast<int>(merged.data_files.size()));
      if (is_new) merged.data_files.push_back(bundle_data_path(prefix, entry.shard, reader->num_shards()));
      entry.shard = shard->second;
    }
    merged.entries.emplace(item.key, std::move(entry));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status merge_bundles(std::span<const std::string> prefixes, const std::string& merged_prefix,
                           bool delete_old_directories) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(merged_prefix));
  Merged merged;
  for (const std::string& prefix : prefixes) MR_RETURN_IF_ERROR(merge_one(prefix, merged));
  const std::string directory(directory_of(merged_prefix));
  if (!directory.empty() && !files->is_directory(directory)) {
    const absl::Status made = files->make_directory(directory);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  }

  // The new index reaches the disk before the first data file leaves its old name, and gets its own name last.
  const int num_shards = static_cast<int>(merged.data_files.size());
  MR_ASSIGN_OR_RETURN(DurableFile index, DurableFile::create(bundle_index_path(merged_prefix)));
  TableWriter table(index.file());
  MR_RETURN_IF_ERROR(table.add("", encode_bundle_header(std::max(num_shards, 1))));
  for (const auto& [key, entry] : merged.entries) MR_RETURN_IF_ERROR(table.add(key, encode_bundle_entry(entry)));
  MR_RETURN_IF_ERROR(table.finish());
  MR_RETURN_IF_ERROR(index.finish());
  for (int shard = 0; shard < num_shards; ++shard) {
    MR_RETURN_IF_ERROR(files->rename(merged.data_files[shard], bundle_data_path(merged_prefix, shard, num_shards)));
  }
  MR_RETURN_IF_ERROR(index.commit());

  // What is left of the parts: their indexes, and data files without tensors. Failures here lose nothing.
  std::set<std::string> old_directories;
  for (const std::string& prefix : prefixes) {
    if (prefix == merged_prefix) continue;
    files->remove_file(bundle_index_path(prefix)).IgnoreError();
    remove_bundle_data(*files, prefix).IgnoreError();
    old_directories.emplace(directory_of(prefix));
  }
  if (delete_old_directories) {
    for (const std::string& old : old_directories) {
      if (old != directory) files->remove_directory(old).IgnoreError();
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace
