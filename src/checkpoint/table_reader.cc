#include <snappy.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "checkpoint/table.h"

namespace millrace {
namespace {

constexpr uint64_t kMagic = 0xdb4775248b80fb57u;
constexpr size_t kFooterBytes = 48;       // two block handles, padding, magic
constexpr size_t kBlockTrailerBytes = 5;  // compression type, masked crc
constexpr char kUncompressed = 0;
constexpr char kSnappy = 1;

// Keys share prefixes, so a small file can spell keys of any total size; this bounds what they may cost.
constexpr size_t kMaxKeyBytes = 1 << 20;
constexpr uint64_t kMaxKeysTotal = uint64_t{64} << 20;
constexpr uint64_t kKeysPerFileByte = 64;
constexpr uint64_t kMaxSnappyRatio = 64;  // its densest copies are 64 bytes from two or three

struct Handle {
  uint64_t offset = 0, size = 0;
};

absl::StatusOr<Handle> read_handle(ByteReader& reader) {
  Handle handle;
  MR_ASSIGN_OR_RETURN(handle.offset, reader.read_varint64("block offset"));
  MR_ASSIGN_OR_RETURN(handle.size, reader.read_varint64("block size"));
  return handle;
}

class BlockReader {
 public:
  BlockReader(std::string_view contents, const std::string& source,
              std::vector<std::unique_ptr<std::string>>* uncompressed)
      : contents_(contents), source_(source), uncompressed_(uncompressed) {}

  // The block's bytes without its trailer, uncompressed.
  absl::StatusOr<std::string_view> read(const Handle& handle) {
    const uint64_t room = contents_.size() - kFooterBytes;
    if (handle.offset > room || handle.size > room - handle.offset ||
        kBlockTrailerBytes > room - handle.offset - handle.size) {
      return data_loss(source_, ": truncated block read: ", handle.size, " bytes at offset ", handle.offset,
                       " of a file of ", contents_.size());
    }
    // Blocks do not overlap; without this, an index could have the same bytes read any number of times.
    read_ += handle.size + kBlockTrailerBytes;
    if (read_ > room) return data_loss(source_, ": blocks overlap");
    const std::string_view block = contents_.substr(handle.offset, handle.size);
    const char* trailer = contents_.data() + handle.offset + handle.size;
    // The checksum covers the type too.
    if (crc32c::mask(crc32c::value(block.data(), block.size() + 1)) != load_fixed32(trailer + 1)) {
      return data_loss(source_, ": block checksum mismatch at offset ", handle.offset);
    }
    if (*trailer == kUncompressed) return block;
    if (*trailer != kSnappy) return data_loss(source_, ": bad block type ", static_cast<int>(*trailer));
    return uncompress(block);
  }

 private:
  absl::StatusOr<std::string_view> uncompress(std::string_view block) {
    size_t size = 0;
    auto result = std::make_unique<std::string>();
    if (!snappy::GetUncompressedLength(block.data(), block.size(), &size) || size > block.size() * kMaxSnappyRatio) {
      return data_loss(source_, ": corrupted compressed block contents");
    }
    result->resize(size);
    if (!snappy::RawUncompress(block.data(), block.size(), result->data())) {
      return data_loss(source_, ": corrupted compressed block contents");
    }
    uncompressed_->push_back(std::move(result));
    return *uncompressed_->back();
  }

  std::string_view contents_;
  const std::string& source_;
  std::vector<std::unique_ptr<std::string>>* uncompressed_;
  uint64_t read_ = 0;
};

// Calls visit(key, value) for the entries of a block in their order.
template <class Visit> absl::Status for_each_entry(std::string_view block, const std::string& source, Visit visit) {
  // At the end: the offsets of the entries with whole keys, and their number. Read front to back, only their size
  // matters.
  if (block.size() < 4) return data_loss(source, ": bad block: shorter than its trailer");
  const uint64_t restarts = load_fixed32(block.data() + block.size() - 4);
  if ((restarts + 1) * 4 > block.size()) return data_loss(source, ": bad block: ", restarts, " restarts");
  ByteReader reader(block.substr(0, block.size() - (restarts + 1) * 4), source);
  std::string key;
  while (!reader.at_end()) {
    MR_ASSIGN_OR_RETURN(const uint32_t shared, reader.read_varint32("shared key length"));
    MR_ASSIGN_OR_RETURN(const uint32_t rest, reader.read_varint32("key length"));
    MR_ASSIGN_OR_RETURN(const uint32_t value_size, reader.read_varint32("value length"));
    if (shared > key.size()) return reader.error("key shares more bytes than there are");
    MR_ASSIGN_OR_RETURN(const std::string_view suffix, reader.read_bytes(rest, "key"));
    MR_ASSIGN_OR_RETURN(const std::string_view value, reader.read_bytes(value_size, "value"));
    if (shared + suffix.size() > kMaxKeyBytes) return reader.error("key too long");
    key.resize(shared);
    key.append(suffix);
    MR_RETURN_IF_ERROR(visit(key, value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Table>> Table::parse(std::string contents, const std::string& source) {
  std::unique_ptr<Table> table(new Table);
  table->contents_ = std::move(contents);
  MR_RETURN_IF_ERROR(table->parse_blocks(source));
  return table;
}

absl::Status Table::parse_blocks(const std::string& source) {
  const std::string_view contents = contents_;
  if (contents.size() < kFooterBytes) return data_loss(source, ": file is too short to be an sstable");
  if (load_fixed64(contents.data() + contents.size() - 8) != kMagic) {
    return data_loss(source, ": not an sstable (bad magic number)");
  }
  ByteReader footer(contents.substr(contents.size() - kFooterBytes), source);
  MR_RETURN_IF_ERROR(read_handle(footer).status());  // of the metaindex, which is not used
  MR_ASSIGN_OR_RETURN(const Handle index_handle, read_handle(footer));

  BlockReader blocks(contents, source, &uncompressed_);
  uint64_t key_bytes_left = std::max<uint64_t>(kMaxKeysTotal, contents.size() * kKeysPerFileByte);
  const auto add = [&](const std::string& key, std::string_view value) -> absl::Status {
    if (!entries_.empty() && key <= entries_.back().key) return data_loss(source, ": keys out of order");
    const uint64_t cost = key.size() + sizeof(Entry);
    if (cost > key_bytes_left) return data_loss(source, ": keys take too much memory");
    key_bytes_left -= cost;
    entries_.push_back({key, value});
    return absl::OkStatus();
  };
  MR_ASSIGN_OR_RETURN(const std::string_view index, blocks.read(index_handle));
  return for_each_entry(index, source, [&](const std::string&, std::string_view value) -> absl::Status {
    ByteReader reader(value, source);
    MR_ASSIGN_OR_RETURN(const Handle handle, read_handle(reader));
    MR_ASSIGN_OR_RETURN(const std::string_view block, blocks.read(handle));
    return for_each_entry(block, source, add);
  });
}

const Table::Entry* Table::find(std::string_view key) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), key,
                                   [](const Entry& entry, std::string_view wanted) { return entry.key < wanted; });
  return at != entries_.end() && at->key == key ? &*at : nullptr;
}

}  // namespace millrace
