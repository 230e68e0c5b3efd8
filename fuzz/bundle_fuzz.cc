// Checkpoints whose index has right checksums and any entries: a count, then key and value of each entry with their
// lengths in a byte; the rest is the data file. Where an entry's bytes exist, its checksum is made right, so that what
// follows is reached. The same entries are also a checkpoint of the first format.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "base/byte_reader.h"
#include "base/crc32c.h"
#include "checkpoint/bundle_reader.h"
#include "checkpoint/slice_file.h"
#include "io/faulty_file_system.h"

namespace millrace {
namespace {

std::map<std::string, std::string> read_entries(ByteReader& reader) {
  std::map<std::string, std::string> entries;
  const int count = reader.read_byte("count").value_or(0) % 32;
  for (int i = 0; i < count; ++i) {
    const auto key = reader.read_bytes(reader.read_byte("length").value_or(0), "key");
    const auto value = reader.read_bytes(reader.read_byte("length").value_or(0), "value");
    if (!key.ok() || !value.ok()) break;
    entries[std::string(*key)] = *value;
  }
  return entries;
}

std::string with_right_checksum(const std::string& key, const std::string& value, std::string_view data) {
  auto entry = decode_bundle_entry(key, value, 1);
  if (!entry.ok() || !entry->slices.empty() || static_cast<uint64_t>(entry->offset + entry->size) > data.size())
    return value;
  entry->crc32c = crc32c::mask(crc32c::value(data.substr(entry->offset, entry->size)));
  return encode_bundle_entry(*entry);
}

void read_all(const CheckpointReader& reader) {
  for (const std::string& key : reader.keys()) {
    reader.read(key).status().IgnoreError();
    reader.read_slice(key, TensorSlice({{1, 2}})).status().IgnoreError();
    reader.read_slice(key, TensorSlice({{0, 1}, {1, TensorSlice::kFull}})).status().IgnoreError();
  }
  reader.verify().IgnoreError();
}

void run(std::string_view input) {
  ByteReader reader(input);
  const auto entries = read_entries(reader);
  const std::string_view data = *reader.read_bytes(reader.remaining(), "data");
  FaultyFileSystem disk("fuzz");
  if (!write_file("fuzz://m.data-00000-of-00001", data).ok()) __builtin_trap();
  auto file = *disk.create("fuzz://m.index");
  TableWriter table(file.get());
  if (!entries.contains("")) table.add("", encode_bundle_header(1)).IgnoreError();
  for (const auto& [key, value] : entries) table.add(key, with_right_checksum(key, value, data)).IgnoreError();
  table.finish().IgnoreError();
  if (const auto bundle = BundleReader::open("fuzz://m"); bundle.ok()) read_all(**bundle);

  auto first_format = *disk.create("fuzz://first");
  TableWriter slices(first_format.get());
  for (const auto& [key, value] : entries) slices.add(key, value).IgnoreError();
  slices.finish().IgnoreError();
  if (const auto reader = SliceFileReader::open("fuzz://first"); reader.ok()) read_all(**reader);
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
