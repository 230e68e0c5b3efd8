#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/crc32c.h"
#include "checkpoint/bundle_reader.h"
#include "checkpoint/bundle_writer.h"
#include "checkpoint/checkpoint_testing.h"
#include "checkpoint/ordered_code.h"
#include "io/faulty_file_system.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using testing::expected_tensors;
using ::testing::HasSubstr;
using testing::kCheckpoints;

std::string text(const absl::Status& status) { return std::string(status.message()); }

struct Checkpoint {
  std::string folder, prefix;
};
const Checkpoint kGood[] = {
    {"all_dtypes_resource", "model.ckpt"}, {"sharded", "model.ckpt-100"},       {"partitioned", "model.ckpt-1"},
    {"object_based", "obj.ckpt-1"},        {"training_state", "model.ckpt-30"},
};

TEST(BundleReader, RestoresTensorFlowsCheckpoints) {
  for (const Checkpoint& c : kGood) {
    const auto expected = expected_tensors(kCheckpoints + c.folder + "/expected.tfrecord");
    auto reader = BundleReader::open(kCheckpoints + c.folder + "/" + c.prefix);
    ASSERT_TRUE(reader.ok()) << c.folder << reader.status();
    size_t seen = 0;
    for (const std::string& key : (*reader)->keys()) {
      const auto tensor = (*reader)->read(key);
      ASSERT_TRUE(tensor.ok()) << c.folder << "/" << key << ": " << tensor.status();
      const auto found = expected.find(key);
      if (found == expected.end()) continue;  // the object graph
      ++seen;
      EXPECT_EQ(tensor->dtype(), found->second.dtype) << key;
      EXPECT_EQ(std::vector<int64_t>(tensor->shape().dims().begin(), tensor->shape().dims().end()), found->second.shape)
          << key;
      if (found->second.tensor.has_value()) {
        EXPECT_TRUE(bitwise_equal(*tensor, found->second.tensor)) << c.folder << "/" << key;
      }
    }
    EXPECT_EQ(seen, expected.size()) << c.folder;
    EXPECT_GT(seen, 0u);
    EXPECT_TRUE((*reader)->verify().ok());
  }
}

// Writes what the bundle holds in the order of its data file; the result must be TensorFlow's, byte for byte.
void rewrite(const std::string& prefix, const std::string& to) {
  auto reader = BundleReader::open(prefix);
  ASSERT_TRUE(reader.ok()) << reader.status();
  struct Stored {
    int64_t offset;
    int slice_of;  // -1: none; else index into `partitioned`
    size_t slice;
    std::string key;
  };
  std::vector<std::pair<std::string, BundleEntry>> partitioned;
  std::vector<Stored> stored;
  for (const std::string& key : (*reader)->keys()) {
    BundleEntry entry = *(*reader)->entry(key);
    if (entry.slices.empty()) {
      stored.push_back({entry.offset, -1, 0, key});
      continue;
    }
    for (size_t i = 0; i < entry.slices.size(); ++i) {
      const int64_t offset = (*reader)->entry(slice_key(key, entry.slices[i]))->offset;
      stored.push_back({offset, static_cast<int>(partitioned.size()), i, key});
    }
    partitioned.emplace_back(key, std::move(entry));
  }
  std::stable_sort(stored.begin(), stored.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  auto writer = BundleWriter::create(to);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const Stored& s : stored) {
    if (s.slice_of < 0) {
      ASSERT_TRUE((*writer)->add(s.key, *(*reader)->read(s.key)).ok());
    } else {
      const BundleEntry& full = partitioned[s.slice_of].second;
      ASSERT_TRUE(
          (*writer)
              ->add_slice(s.key, full.shape, full.slices[s.slice], *(*reader)->read_slice(s.key, full.slices[s.slice]))
              .ok());
    }
  }
  ASSERT_TRUE((*writer)->finish().ok());
}

TEST(BundleWriter, WritesTensorFlowsBytes) {
  for (const Checkpoint& c : {Checkpoint{"all_dtypes_resource", "model.ckpt"},
                              Checkpoint{"partitioned", "model.ckpt-1"}, Checkpoint{"object_based", "obj.ckpt-1"},
                              Checkpoint{"training_state", "model.ckpt-30"}, Checkpoint{"slices", "slices"}}) {
    FaultyFileSystem disk;
    const std::string original = kCheckpoints + c.folder + "/" + c.prefix;
    rewrite(original, "faulty://copy");
    EXPECT_TRUE(*read_file("faulty://copy.index") == *read_file(original + ".index")) << c.folder;
    EXPECT_TRUE(*read_file("faulty://copy.data-00000-of-00001") == *read_file(original + ".data-00000-of-00001"))
        << c.folder;
    EXPECT_THAT(*disk.list("faulty://"), ElementsAre("copy.data-00000-of-00001", "copy.index"));
  }
}

TEST(BundleWriter, SlicesInTwoDimensionsAreTensorFlowsBytes) {
  FaultyFileSystem disk;
  auto writer = *BundleWriter::create("faulty://v");
  int i = 0;
  for (const char* spec : {"0,150:0,20", "0,150:20,20", "150,150:0,20", "150,150:20,20"}) {
    const Tensor part({150, 20}, std::vector<float>(3000, static_cast<float>(i++)));
    ASSERT_TRUE(writer->add_slice("v", {300, 40}, *TensorSlice::parse(spec), part).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_TRUE(*read_file("faulty://v.index") == *read_file(kCheckpoints + "slices/slices2.index"));
  const Tensor v = *(*BundleReader::open("faulty://v"))->read("v");
  EXPECT_EQ(v.unchecked<float>()[0], 0.0f);
  EXPECT_EQ(v.unchecked<float>()[39], 1.0f);
  EXPECT_EQ(v.unchecked<float>()[299 * 40], 2.0f);
  EXPECT_EQ(v.unchecked<float>()[299 * 40 + 39], 3.0f);
}

// TensorFlow's index of these 10,000 tensors has several blocks; only its length and checksum are kept here.
TEST(BundleWriter, AnIndexOfManyBlocksIsTensorFlowsBytes) {
  FaultyFileSystem disk;
  auto writer = *BundleWriter::create("faulty://many");
  for (int k = 0; k < 10'000; ++k) {
    char name[64];
    std::snprintf(name, sizeof(name), "scope_%05d/some_variable_%d", k * 7919 % 10'000, k % 13);
    ASSERT_TRUE(writer->add(name, Tensor(k * 0.5f)).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
  const std::string index = *read_file("faulty://many.index");
  EXPECT_EQ(index.size(), 358'164u);
  EXPECT_EQ(crc32c::value(index), 0xc7a5f058u);
  EXPECT_EQ(crc32c::value(*read_file("faulty://many.data-00000-of-00001")), 0x744b1af9u);
  auto reader = *BundleReader::open("faulty://many");
  EXPECT_EQ(reader->keys().size(), 10'000u);
  EXPECT_EQ(reader->read("scope_07919/some_variable_1")->unchecked<float>()[0], 0.5f);
}

TEST(BundleReader, DamagedCheckpointsGiveTensorFlowsErrors) {
  struct Case {
    std::string folder;
    absl::StatusCode code;
    std::string message;
  };
  const Case cases[] = {
      {"data_bit_flip", absl::StatusCode::kDataLoss, "Checksum does not match"},
      {"data_truncated", absl::StatusCode::kOutOfRange, "Read less bytes than requested"},
      {"data_missing", absl::StatusCode::kNotFound, "No such file or directory"},
      {"index_bit_flip", absl::StatusCode::kDataLoss, "model.ckpt-100.index"},
      {"index_truncated", absl::StatusCode::kDataLoss, "not an sstable (bad magic number)"},
      {"index_bad_magic", absl::StatusCode::kDataLoss, "not an sstable (bad magic number)"},
      {"index_missing", absl::StatusCode::kNotFound, "Failed to find any matching files for"},
      {"index_empty", absl::StatusCode::kDataLoss, "file is too short to be an sstable"},
  };
  for (const Case& c : cases) {
    const std::string prefix = kCheckpoints + "damaged/" + c.folder + "/model.ckpt-100";
    absl::Status first;
    auto reader = BundleReader::open(prefix);
    first.Update(reader.status());
    if (reader.ok()) {
      for (const char* key : {"a", "b", "c/d", "e"}) first.Update((*reader)->read(key).status());
    }
    EXPECT_EQ(first.code(), c.code) << c.folder << ": " << first;
    EXPECT_THAT(text(first), HasSubstr(c.message)) << c.folder;
    EXPECT_FALSE(verify_checkpoint(prefix).ok()) << c.folder;
  }
  auto reader = *BundleReader::open(kCheckpoints + "sharded/model.ckpt-100");
  EXPECT_EQ(reader->read("nope").status(), absl::NotFoundError("Key nope not found in checkpoint"));
  EXPECT_EQ(reader->read("").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(reader->contains(""));
  EXPECT_TRUE(reader->contains("a"));
}

TEST(BundleReader, ReadsPartsOfTensors) {
  auto sharded = *BundleReader::open(kCheckpoints + "sharded/model.ckpt-100");
  const Tensor a = *sharded->read("a");
  ASSERT_EQ(a.shape(), (TensorShape{4, 3}));
  const Tensor rows = *sharded->read_slice("a", *TensorSlice::parse("1,2:-"));
  ASSERT_EQ(rows.shape(), (TensorShape{2, 3}));
  EXPECT_TRUE(
      std::equal(rows.unchecked<float>().begin(), rows.unchecked<float>().end(), a.unchecked<float>().begin() + 3));
  const Tensor column = *sharded->read_slice("a", *TensorSlice::parse("-:2,1"));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(column.unchecked<float>()[i], a.unchecked<float>()[3 * i + 2]);
  EXPECT_EQ(sharded->read_slice("a", *TensorSlice::parse("3,2:-")).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(sharded->read_slice("a", *TensorSlice::parse("-")).status().code(), absl::StatusCode::kInvalidArgument);

  auto partitioned = *BundleReader::open(kCheckpoints + "partitioned/model.ckpt-1");
  const Tensor w = *partitioned->read("p/w");  // [10,4], split by rows
  ASSERT_EQ(w.shape(), (TensorShape{10, 4}));
  ASSERT_GT(partitioned->entry("p/w")->slices.size(), 1u);
  const Tensor across = *partitioned->read_slice("p/w", *TensorSlice::parse("2,7:1,2"));
  for (int r = 0; r < 7; ++r) {
    for (int c = 0; c < 2; ++c)
      EXPECT_EQ(across.unchecked<float>()[2 * r + c], w.unchecked<float>()[4 * (r + 2) + c + 1]);
  }
}

TEST(BundleWriter, RefusesWhatCannotBeSaved) {
  FaultyFileSystem disk;
  auto writer = *BundleWriter::create("faulty://m");
  ASSERT_TRUE(writer->add("a", Tensor(1.0f)).ok());
  ASSERT_TRUE(writer->add_slice("p", {4}, *TensorSlice::parse("0,2"), Tensor(std::vector<float>{1, 2})).ok());
  const Tensor two(std::vector<float>{1, 2});
  const auto slice = [](const char* spec) { return *TensorSlice::parse(spec); };
  EXPECT_EQ(writer->add("a", Tensor(2.0f)), absl::InvalidArgumentError("Adding duplicate key: a"));
  using Code = absl::StatusCode;
  const std::pair<absl::Status, Code> cases[] = {
      {writer->add("", Tensor(1.0f)), Code::kInvalidArgument},
      {writer->add("x", Tensor()), Code::kInvalidArgument},
      {writer->add("r", *make_tensor(DataType::kResource, {})), Code::kUnimplemented},
      {writer->add("v", *make_tensor(DataType::kVariant, {})), Code::kUnimplemented},
      {writer->add("p", two), Code::kInvalidArgument},
      {writer->add_slice("a", {4}, slice("0,2"), two), Code::kInvalidArgument},
      {writer->add_slice("p", {4}, slice("0,2"), two), Code::kInvalidArgument},
      {writer->add_slice("p", {5}, slice("2,2"), two), Code::kInvalidArgument},
      {writer->add_slice("p", {4}, slice("2,2"), Tensor(std::vector<double>{1, 2})), Code::kInvalidArgument},
      {writer->add_slice("p", {4}, slice("3,2"), two), Code::kInvalidArgument},
      {writer->add_slice("p", {4}, slice("2,1"), two), Code::kInvalidArgument},
  };
  for (const auto& [status, code] : cases) EXPECT_EQ(status.code(), code) << status;
  ASSERT_TRUE(writer->finish().ok());
  auto reader = *BundleReader::open("faulty://m");
  EXPECT_THAT(reader->keys(), ElementsAre("a", "p"));
  const auto half = reader->read("p");
  EXPECT_EQ(half.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(text(half.status()), HasSubstr("Does not have sufficient slices for partitioned tensor p"));
  EXPECT_TRUE(reader->read_slice("p", slice("1,1")).ok());
}

TEST(BundleWriter, AFullSliceIsAPlainTensor) {
  FaultyFileSystem disk;
  auto writer = *BundleWriter::create("faulty://m");
  ASSERT_TRUE(writer->add_slice("p", {2}, *TensorSlice::parse("0,2"), Tensor(std::vector<float>{1, 2})).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_TRUE((*BundleReader::open("faulty://m"))->entry("p")->slices.empty());
}

TEST(BundleWriter, LargeAndOddTensorsRoundTrip) {
  FaultyFileSystem disk;
  std::vector<float> large(3'000'001);
  std::iota(large.begin(), large.end(), 0.0f);
  const Tensor strings({2, 2}, std::vector<std::string>{"", std::string(70'000, 'x'), std::string("a\0b", 3), "\xff"});
  {
    auto writer = *BundleWriter::create("faulty://m");
    ASSERT_TRUE(writer->add("large", Tensor(large)).ok());
    ASSERT_TRUE(writer->add("strings", strings).ok());
    ASSERT_TRUE(writer->add("empty", *make_tensor(DataType::kFloat, {0, 7})).ok());
    ASSERT_TRUE(writer->add("no strings", *make_tensor(DataType::kString, {0})).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  disk.set_max_read(100'000);
  auto reader = *BundleReader::open("faulty://m");
  EXPECT_TRUE(bitwise_equal(*reader->read("large"), Tensor(large)));
  EXPECT_TRUE(bitwise_equal(*reader->read("strings"), strings));
  EXPECT_EQ(reader->read("empty")->shape(), (TensorShape{0, 7}));
  EXPECT_EQ(reader->read("no strings")->num_elements(), 0);
  const Tensor column = *reader->read_slice("strings", *TensorSlice::parse("-:1,1"));
  EXPECT_EQ(column.unchecked<std::string>()[0].size(), 70'000u);
  EXPECT_EQ(column.unchecked<std::string>()[1], "\xff");
}

absl::Status save(const std::string& prefix, float value) {
  MR_ASSIGN_OR_RETURN(auto writer, BundleWriter::create(prefix));
  MR_RETURN_IF_ERROR(writer->add("a", Tensor(std::vector<float>(1000, value))));
  MR_RETURN_IF_ERROR(writer->add("s", Tensor("text")));
  return writer->finish();
}

TEST(BundleWriter, KilledAnywhereTheCheckpointIsWholeOrAbsent) {
  bool done = false;
  for (int64_t kill = 0; !done; ++kill) {
    ASSERT_LT(kill, 200);
    for (const bool torn : {false, true}) {
      FaultyFileSystem disk;
      ASSERT_TRUE(save("faulty://run/m-1", 1).ok());
      disk.fail_from(kill);
      done = save("faulty://run/m-2", 2).ok();
      disk.crash(torn);
      EXPECT_TRUE(verify_checkpoint("faulty://run/m-1").ok()) << "killed at " << kill;
      const bool there = checkpoint_exists("faulty://run/m-2");
      if (there) EXPECT_TRUE(verify_checkpoint("faulty://run/m-2").ok()) << "killed at " << kill;
      if (done) EXPECT_TRUE(there);
    }
  }
}

TEST(BundleWriter, AFullDiskLeavesOnlyOlderCheckpoints) {
  for (uint64_t room = 0; room < 4500; room += 250) {
    FaultyFileSystem disk;
    ASSERT_TRUE(save("faulty://run/m-1", 1).ok());
    uint64_t used = 0;
    const auto names = disk.list("faulty://run");
    for (const std::string& name : *names) used += disk.stat("faulty://run/" + name)->size;
    disk.set_capacity(used + room);
    const absl::Status saved = save("faulty://run/m-2", 2);
    if (saved.ok()) break;
    EXPECT_EQ(saved.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_FALSE(checkpoint_exists("faulty://run/m-2"));
    EXPECT_THAT(*disk.list("faulty://run"), ElementsAre("m-1.data-00000-of-00001", "m-1.index"));
    EXPECT_TRUE(verify_checkpoint("faulty://run/m-1").ok());
  }
}

TEST(BundleWriter, MissingFoldersAreMadeOneDeep) {
  FaultyFileSystem disk;
  EXPECT_TRUE(save("faulty://new/m", 1).ok());
  EXPECT_TRUE(save("faulty://new/m", 2).ok()) << "overwrites";
  EXPECT_EQ(BundleWriter::create("/proc/none/m").status().code(), absl::StatusCode::kNotFound);
}

TEST(MergeBundles, JoinsShardsAndSlices) {
  FaultyFileSystem disk;
  const auto slice = [](const char* spec) { return *TensorSlice::parse(spec); };
  for (int part = 0; part < 2; ++part) {
    auto writer = *BundleWriter::create(str_cat("faulty://run/m_temp/part-", part));
    ASSERT_TRUE(writer->add(str_cat("only", part), Tensor(part + 0.5f)).ok());
    const Tensor rows({2, 2}, std::vector<float>(4, static_cast<float>(part)));
    ASSERT_TRUE(writer->add_slice("p", {4, 2}, slice(part ? "2,2:-" : "0,2:-"), rows).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  ASSERT_TRUE((*BundleWriter::create("faulty://run/m_temp/part-2"))->finish().ok()) << "a part without tensors";
  const std::vector<std::string> parts = {"faulty://run/m_temp/part-0", "faulty://run/m_temp/part-1",
                                          "faulty://run/m_temp/part-2"};
  const absl::Status merged = merge_bundles(parts, "faulty://run/m", true);
  ASSERT_TRUE(merged.ok()) << merged;
  EXPECT_THAT(*disk.list("faulty://run"), ElementsAre("m.data-00000-of-00002", "m.data-00001-of-00002", "m.index"));
  disk.crash();
  auto reader = *BundleReader::open("faulty://run/m");
  EXPECT_THAT(reader->keys(), ElementsAre("only0", "only1", "p"));
  EXPECT_EQ(reader->read("only1")->unchecked<float>()[0], 1.5f);
  EXPECT_TRUE(bitwise_equal(*reader->read("p"), Tensor({4, 2}, std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1})));
}

TEST(MergeBundles, RefusesTensorsThatTwoHold) {
  FaultyFileSystem disk;
  ASSERT_TRUE(save("faulty://a", 1).ok());
  ASSERT_TRUE(save("faulty://b", 1).ok());
  const std::vector<std::string> parts = {"faulty://a", "faulty://b"};
  const absl::Status merged = merge_bundles(parts, "faulty://m");
  EXPECT_EQ(merged,
            absl::InvalidArgumentError("Duplicate tensor keyed by a encountered, when merging prefix: faulty://b"));
  EXPECT_TRUE(verify_checkpoint("faulty://a").ok()) << "the parts stay";
  EXPECT_FALSE(checkpoint_exists("faulty://m"));
}

TEST(RemoveCheckpoint, RemovesItsFilesOnly) {
  FaultyFileSystem disk;
  ASSERT_TRUE(save("faulty://run/m-1", 1).ok());
  ASSERT_TRUE(save("faulty://run/m-10", 1).ok());
  ASSERT_TRUE(write_file("faulty://run/m-1.meta", "graph").ok());
  EXPECT_TRUE(remove_checkpoint("faulty://run/m-1").ok());
  EXPECT_THAT(*disk.list("faulty://run"), ElementsAre("m-10.data-00000-of-00001", "m-10.index"));
  EXPECT_TRUE(remove_checkpoint("faulty://run/m-1").ok());
}

// Entries with right checksums that claim what is not there.
TEST(BundleReader, SurvivesForgedEntries) {
  struct Case {
    std::string name;
    BundleEntry entry;
    absl::StatusCode code;
  };
  const TensorShape huge = {1 << 30, 1 << 20};
  using Code = absl::StatusCode;
  const Case cases[] = {
      {"size without bytes", {{DataType::kFloat, huge}, 0, 0, int64_t{4} << 50}, Code::kOutOfRange},
      {"shape without size", {{DataType::kFloat, huge}, 0, 0, 8}, Code::kDataLoss},
      {"size overflows", {{DataType::kDouble, {int64_t{1} << 61}}, 0, 0, 0}, Code::kDataLoss},
      {"string shape without bytes", {{DataType::kString, huge}, 0, 0, 8}, Code::kDataLoss},
      {"strings smaller than a checksum", {{DataType::kString, {0}}, 0, 0, 3}, Code::kDataLoss},
      {"offset behind the end", {{DataType::kFloat, {1}}, 0, 1 << 20, 4}, Code::kOutOfRange},
      {"offset overflows", {{DataType::kFloat, {1}}, 0, INT64_MAX, 4}, Code::kDataLoss},
      {"negative size", {{DataType::kFloat, {0}}, 0, 8, -1}, Code::kDataLoss},
      {"shard", {{DataType::kFloat, {1}}, 7, 0, 4}, Code::kDataLoss},
      {"dtype", {{static_cast<DataType>(99), {1}}, 0, 0, 4}, Code::kDataLoss},
      {"reference dtype", {{static_cast<DataType>(101), {1}}, 0, 0, 4}, Code::kDataLoss},
      {"resource", {{DataType::kResource, {1}}, 0, 0, 4}, Code::kUnimplemented},
      {"checksum", {{DataType::kFloat, {2}}, 0, 0, 8}, Code::kDataLoss},
      {"slices missing", {{DataType::kFloat, {4}, {TensorSlice({{0, 2}})}}, 0, 0, 0}, Code::kNotFound},
      {"slice outside", {{DataType::kFloat, {4}, {TensorSlice({{3, 2}})}}, 0, 0, 0}, Code::kDataLoss},
  };
  for (const Case& c : cases) {
    FaultyFileSystem disk;
    ASSERT_TRUE(write_file("faulty://m.data-00000-of-00001", "12345678").ok());
    auto file = *disk.create("faulty://m.index");
    TableWriter table(file.get());
    ASSERT_TRUE(table.add("", encode_bundle_header(1)).ok());
    ASSERT_TRUE(table.add("x", encode_bundle_entry(c.entry)).ok());
    ASSERT_TRUE(table.finish().ok());
    auto reader = BundleReader::open("faulty://m");
    ASSERT_TRUE(reader.ok()) << reader.status();
    const absl::Status status = (*reader)->read("x").status();
    EXPECT_EQ(status.code(), c.code) << c.name << ": " << status;
    EXPECT_FALSE((*reader)->verify().ok()) << c.name;
  }
}

TEST(BundleReader, SurvivesForgedHeaders) {
  const std::pair<std::string, absl::StatusCode> cases[] = {
      {std::string("\x08\x00", 2), absl::StatusCode::kDataLoss},                         // no shards
      {std::string("\x08\xff\xff\xff\xff\x07", 6), absl::StatusCode::kDataLoss},         // two billion
      {std::string("\x08\x01\x10\x01", 4), absl::StatusCode::kUnimplemented},            // big-endian
      {std::string("\x08\x01\x1a\x02\x10\x09", 6), absl::StatusCode::kInvalidArgument},  // for later readers only
      {"\xff\xff", absl::StatusCode::kDataLoss},
  };
  for (const auto& [header, code] : cases) {
    FaultyFileSystem disk;
    auto file = *disk.create("faulty://m.index");
    TableWriter table(file.get());
    ASSERT_TRUE(table.add("", header).ok());
    ASSERT_TRUE(table.finish().ok());
    EXPECT_EQ(BundleReader::open("faulty://m").status().code(), code);
  }
}

}  // namespace
}  // namespace millrace
