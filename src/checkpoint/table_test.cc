#include "checkpoint/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <leveldb/env.h>
#include <leveldb/options.h>
#include <leveldb/table_builder.h>

#include <map>
#include <random>

#include "base/coding.h"
#include "base/crc32c.h"
#include "io/faulty_file_system.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

// A table in memory by LevelDB itself, for block sizes and compression that our writer does not use.
class StringFile final : public leveldb::WritableFile {
 public:
  leveldb::Status Append(const leveldb::Slice& data) override {
    contents.append(data.data(), data.size());
    return leveldb::Status::OK();
  }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
  std::string contents;
};

std::string make_table(const std::map<std::string, std::string>& entries, size_t block_size,
                       leveldb::CompressionType compression) {
  StringFile file;
  leveldb::Options options;
  options.block_size = block_size;
  options.compression = compression;
  leveldb::TableBuilder builder(options, &file);
  for (const auto& [key, value] : entries) builder.Add(key, value);
  EXPECT_TRUE(builder.Finish().ok());
  return file.contents;
}

std::map<std::string, std::string> sample(int count) {
  std::mt19937 random(5);
  std::map<std::string, std::string> entries;
  for (int i = 0; i < count; ++i) {
    entries["scope/layer_" + std::to_string(random() % 100000) + "/kernel"] = std::string(random() % 60, 'v');
  }
  return entries;
}

TEST(Table, ReadsWhatLevelDbWrites) {
  for (int count : {0, 1, 15, 16, 17, 3000}) {
    for (size_t block_size : {64, 4096, 262144}) {
      for (auto compression : {leveldb::kNoCompression, leveldb::kSnappyCompression}) {
        const auto entries = sample(count);
        const auto table = Table::parse(make_table(entries, block_size, compression), "t");
        ASSERT_TRUE(table.ok()) << count << " " << block_size << table.status();
        std::map<std::string, std::string> got;
        for (const auto& entry : (*table)->entries()) got[entry.key] = entry.value;
        EXPECT_EQ(got, entries);
        for (const auto& [key, value] : entries) EXPECT_EQ((*table)->find(key)->value, value);
        EXPECT_EQ((*table)->find("nothing"), nullptr);
        EXPECT_EQ((*table)->find("zzz"), nullptr);
      }
    }
  }
}

TEST(Table, WriterWritesThroughOurFiles) {
  FaultyFileSystem disk;
  const auto entries = sample(100);
  {
    auto file = *disk.create("faulty://t");
    TableWriter writer(file.get());
    for (const auto& [key, value] : entries) ASSERT_TRUE(writer.add(key, value).ok());
    ASSERT_TRUE(writer.finish().ok());
    ASSERT_TRUE(file->close().ok());
  }
  EXPECT_EQ(*read_file("faulty://t"), make_table(entries, 262144, leveldb::kNoCompression));
  disk.set_capacity(disk.stat("faulty://t")->size + 100);
  auto file = *disk.create("faulty://full");
  TableWriter writer(file.get());
  for (const auto& [key, value] : entries) writer.add(key, value).IgnoreError();
  EXPECT_EQ(writer.finish().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Table, RefusesWhatIsNoTable) {
  const std::string good = make_table(sample(50), 256, leveldb::kNoCompression);
  struct Case {
    std::string name, contents, message;
  };
  const Case cases[] = {
      {"empty", "", "file is too short to be an sstable"},
      {"short", good.substr(0, 47), "file is too short to be an sstable"},
      {"cut", good.substr(0, good.size() - 1), "not an sstable (bad magic number)"},
      {"text", std::string(100, 'x'), "not an sstable (bad magic number)"},
      {"front cut", good.substr(10), ""},
  };
  for (const Case& c : cases) {
    const auto table = Table::parse(c.contents, "model.index");
    EXPECT_EQ(table.status().code(), absl::StatusCode::kDataLoss) << c.name;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr("model.index: " + c.message)) << c.name;
  }
}

// Flips and cuts at every byte end in an error or in the same entries (padding of the footer), never in other entries.
TEST(Table, EveryDamagedByteIsNoticed) {
  const auto entries = sample(40);
  for (auto compression : {leveldb::kNoCompression, leveldb::kSnappyCompression}) {
    const std::string good = make_table(entries, 256, compression);
    for (size_t at = 0; at < good.size(); ++at) {
      for (const char mask : {'\x01', '\x80', '\xff'}) {
        std::string damaged = good;
        damaged[at] ^= mask;
        const auto table = Table::parse(damaged, "t");
        if (table.ok()) EXPECT_EQ((*table)->entries().size(), entries.size()) << at;
      }
      EXPECT_FALSE(Table::parse(good.substr(0, at), "t").ok());
    }
  }
}

// Tables with right checksums and wrong contents, as somebody could make them on purpose.
std::string block_with_trailer(std::string block, char type = 0) {
  block += type;
  append_fixed32(block, crc32c::mask(crc32c::value(block)));
  return block;
}
std::string handle(uint64_t offset, uint64_t size) {
  std::string out;
  append_varint64(out, offset);
  append_varint64(out, size);
  return out;
}
std::string entry(uint64_t shared, std::string_view rest, std::string_view value) {
  std::string out;
  append_varint64(out, shared);
  append_varint64(out, rest.size());
  append_varint64(out, value.size());
  out += rest;
  out += value;
  return out;
}
std::string block_of(const std::string& entries, uint32_t restarts = 1) {
  std::string block = entries;
  append_fixed32(block, 0);
  append_fixed32(block, restarts);
  return block;
}
// A table of one data block (already with its trailer) listed `times` times.
std::string forged(const std::string& data, uint64_t claimed_offset, uint64_t claimed_size, int times = 1) {
  std::string file = data;
  std::string index_entries;
  for (int i = 0; i < times; ++i)
    index_entries += entry(0, str_cat("k", 1000 + i), handle(claimed_offset, claimed_size));
  const std::string index = block_with_trailer(block_of(index_entries));
  const uint64_t index_offset = file.size();
  file += index;
  std::string footer = handle(0, 0) + handle(index_offset, index.size() - 5);
  footer.resize(40);
  append_fixed64(footer, 0xdb4775248b80fb57u);
  return file + footer;
}

TEST(Table, SurvivesForgedTables) {
  const std::string good = block_with_trailer(block_of(entry(0, "a", "1") + entry(1, "b", "2")));
  EXPECT_EQ((*Table::parse(forged(good, 0, good.size() - 5), "t"))->find("ab")->value, "2");
  std::string many_shares;  // each entry a byte longer than the last: quadratic if keys were kept without a limit
  for (int i = 0; i < 50'000; ++i) many_shares += entry(static_cast<uint64_t>(i), "x", "");
  std::string snappy_bomb;
  append_varint64(snappy_bomb, uint64_t{4'000'000'000});
  struct Case {
    std::string name, contents, message;
  };
  const auto data = [](const std::string& block, char type = 0) {
    const std::string with_trailer = block_with_trailer(block, type);
    return forged(with_trailer, 0, block.size());
  };
  const Case cases[] = {
      {"block outside", forged(good, 1 << 30, 100), "truncated block read"},
      {"block size overflows", forged(good, 1, ~uint64_t{0}), "truncated block read"},
      {"block at the end", forged(good, good.size(), ~uint64_t{0} >> 1), "truncated block read"},
      {"same block twice", forged(good, 0, good.size() - 5, 2), "blocks overlap"},
      {"same block often", forged(block_with_trailer(block_of("")), 0, 8, 1000), "blocks overlap"},
      {"keys descend", data(block_of(entry(0, "b", "") + entry(0, "a", ""))), "keys out of order"},
      {"shares too much", data(block_of(entry(5, "b", ""))), "key shares more bytes than there are"},
      {"value cut", data(block_of(entry(0, "b", "") + std::string("\0\1\x7f", 3) + "b")), "truncated value"},
      {"key huge", data(block_of(std::string("\0\xff\xff\xff\xff\x0f\0", 7))), "truncated key"},
      {"varint endless", data(block_of(std::string(20, '\xff'))), "overlong"},
      {"restarts huge", data(block_of(entry(0, "b", ""), 0xffffffff)), "restarts"},
      {"block tiny", data("ab"), "shorter than its trailer"},
      {"type unknown", data(block_of(""), 7), "bad block type 7"},
      {"snappy bomb", data(snappy_bomb, 1), "corrupted compressed block"},
      {"snappy garbage", data("\x05garbage", 1), "corrupted compressed block"},
      {"keys quadratic", data(block_of(many_shares)), "keys take too much memory"},
  };
  for (const Case& c : cases) {
    const auto table = Table::parse(c.contents, "t");
    EXPECT_EQ(table.status().code(), absl::StatusCode::kDataLoss) << c.name << ": " << table.status();
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(c.message)) << c.name;
  }
}

}  // namespace
}  // namespace millrace
