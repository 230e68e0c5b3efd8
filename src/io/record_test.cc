#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/coding.h"
#include "base/crc32c.h"
#include "io/faulty_file_system.h"
#include "io/record_reader.h"
#include "io/record_writer.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

const std::string kData = MILLRACE_SOURCE_DIR "/tests/data/records/";

std::vector<std::string> expected_records() {
  std::istringstream lines(*read_file(kData + "expected.hex"));
  std::vector<std::string> records;
  for (std::string line; std::getline(lines, line);) {
    std::string record;
    for (size_t i = 0; i + 1 < line.size(); i += 2)
      record += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
    records.push_back(std::move(record));
  }
  return records;
}

struct Read {
  std::vector<std::string> records;
  absl::Status status;
};
Read read_all(const std::string& path, RecordReaderOptions options = {}) {
  Read result;
  auto reader = RecordReader::open(path, options);
  if (!reader.ok()) return {{}, reader.status()};
  std::string record;
  while (true) {
    const auto more = (*reader)->read(record);
    if (!more.ok()) result.status = more.status();
    if (!more.ok() || !*more) break;
    result.records.push_back(record);
  }
  if (!result.status.ok()) EXPECT_EQ((*reader)->read(record).status(), result.status) << "errors are for good";
  return result;
}

TEST(RecordReader, ReadsTensorFlowsFiles) {
  const auto expected = expected_records();
  ASSERT_EQ(expected.size(), 25u);
  for (const auto& [file, compression] :
       std::vector<std::pair<std::string, Compression>>{{"data.tfrecord", Compression::kNone},
                                                        {"data_gzip.tfrecord", Compression::kGzip},
                                                        {"data_zlib.tfrecord", Compression::kZlib}}) {
    for (size_t buffer : {size_t{0}, size_t{16}, size_t{256 << 10}}) {
      const Read got = read_all(kData + file, {.compression = compression, .buffer_bytes = buffer});
      EXPECT_TRUE(got.status.ok()) << file << ": " << got.status;
      EXPECT_EQ(got.records, expected) << file;
    }
  }
}

TEST(RecordReader, DamagedFilesGiveTensorFlowsErrors) {
  struct Case {
    std::string file;
    Compression compression;
    size_t records_before;
    absl::StatusCode code;
    std::string message;
  };
  const Case cases[] = {
      {"data_bad_crc.tfrecord", Compression::kNone, 3, absl::StatusCode::kDataLoss, "corrupted record at "},
      {"data_truncated.tfrecord", Compression::kNone, 24, absl::StatusCode::kDataLoss, "truncated record at 6214"},
      {"empty.tfrecord", Compression::kNone, 0, absl::StatusCode::kOk, ""},
      {"nofile.tfrecord", Compression::kNone, 0, absl::StatusCode::kNotFound, "No such file or directory"},
      {"", Compression::kNone, 0, absl::StatusCode::kFailedPrecondition, "Is a directory"},
      {"data.tfrecord", Compression::kGzip, 0, absl::StatusCode::kDataLoss, "inflate() failed with error -3"},
      {"data_gzip.tfrecord", Compression::kZlib, 0, absl::StatusCode::kDataLoss, "incorrect header check"},
      {"data_gzip.tfrecord", Compression::kNone, 0, absl::StatusCode::kDataLoss,
       "corrupted record at 0 (Is this even a TFRecord file?)"},
  };
  for (const Case& c : cases) {
    const Read got = read_all(kData + c.file, {.compression = c.compression});
    EXPECT_EQ(got.records.size(), c.records_before) << c.file;
    EXPECT_EQ(got.status.code(), c.code) << c.file << got.status;
    EXPECT_THAT(std::string(got.status.message()), HasSubstr(c.message));
    if (!got.status.ok()) EXPECT_THAT(std::string(got.status.message()), HasSubstr(c.file));
  }
}

TEST(RecordReader, EveryCutIsNoticedExceptBetweenRecords) {
  FaultyFileSystem disk;
  const std::string whole = *read_file(kData + "data.tfrecord");
  std::set<uint64_t> boundaries;
  {
    auto reader = *RecordReader::open(kData + "data.tfrecord");
    std::string record;
    boundaries.insert(0);
    while (*reader->read(record)) boundaries.insert(reader->offset());
  }
  EXPECT_EQ(boundaries.size(), 26u);
  for (size_t size = 0; size < 1500; ++size) {
    ASSERT_TRUE(write_file("faulty://cut", whole.substr(0, size)).ok());
    const Read got = read_all("faulty://cut");
    EXPECT_EQ(got.status.ok(), boundaries.contains(size)) << size << got.status;
  }
}

TEST(RecordReader, EveryFlippedByteIsNoticed) {
  FaultyFileSystem disk;
  const std::string whole = *read_file(kData + "data.tfrecord");
  for (size_t at = 0; at < 600; ++at) {
    std::string damaged = whole;
    damaged[at] ^= 0x40;
    ASSERT_TRUE(write_file("faulty://flip", damaged).ok());
    EXPECT_EQ(read_all("faulty://flip").status.code(), absl::StatusCode::kDataLoss) << at;
  }
}

std::string header_for(uint64_t length) {
  std::string header;
  append_fixed64(header, length);
  append_fixed32(header, crc32c::mask(crc32c::value(header)));
  return header;
}

TEST(RecordReader, AClaimedLengthCostsNoMemory) {
  FaultyFileSystem disk;
  for (uint64_t length : {uint64_t{1} << 20, uint64_t{1} << 40, ~uint64_t{0}, ~uint64_t{0} - 15}) {
    ASSERT_TRUE(write_file("faulty://huge", header_for(length) + "abc").ok());
    const Read got = read_all("faulty://huge");
    EXPECT_EQ(got.status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(got.status.message()), HasSubstr("truncated record at 0"));
    auto file = make_deflating_file(*disk.create("faulty://huge.gz"), Compression::kGzip);
    ASSERT_TRUE(file->append(header_for(length) + "abc").ok());
    ASSERT_TRUE(file->close().ok());
    EXPECT_FALSE(read_all("faulty://huge.gz", {.compression = Compression::kGzip}).status.ok());
  }
}

TEST(RecordWriter, RoundTripsAndMatchesTensorFlowsBytes) {
  FaultyFileSystem disk;
  const auto expected = expected_records();
  for (const auto& [file, compression] :
       std::vector<std::pair<std::string, Compression>>{{"data.tfrecord", Compression::kNone},
                                                        {"data_gzip.tfrecord", Compression::kGzip},
                                                        {"data_zlib.tfrecord", Compression::kZlib}}) {
    auto writer = *RecordWriter::create("faulty://out", {.compression = compression});
    for (const std::string& record : expected) ASSERT_TRUE(writer->write(record).ok());
    ASSERT_TRUE(writer->close().ok());
    EXPECT_EQ(read_all("faulty://out", {.compression = compression}).records, expected) << file;
    if (compression == Compression::kNone) EXPECT_EQ(*read_file("faulty://out"), *read_file(kData + file));
  }
}

TEST(RecordReader, LargeRecordsAndShortReads) {
  FaultyFileSystem disk;
  std::string large(5'000'000, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 1000);
  {
    auto writer = *RecordWriter::create("faulty://large");
    ASSERT_TRUE(writer->write(large).ok());
    ASSERT_TRUE(writer->write("after").ok());
    ASSERT_TRUE(writer->close().ok());
  }
  disk.set_max_read(70'000);
  const Read got = read_all("faulty://large");
  ASSERT_TRUE(got.status.ok()) << got.status;
  ASSERT_EQ(got.records.size(), 2u);
  EXPECT_TRUE(got.records[0] == large);
  EXPECT_EQ(got.records[1], "after");
}

TEST(RecordReader, SkipsAndSeeks) {
  const auto expected = expected_records();
  for (const auto& [file, compression] : std::vector<std::pair<std::string, Compression>>{
           {"data.tfrecord", Compression::kNone}, {"data_gzip.tfrecord", Compression::kGzip}}) {
    auto reader = *RecordReader::open(kData + file, {.compression = compression});
    EXPECT_EQ(*reader->skip(5), 5);
    const uint64_t offset = reader->offset();
    std::string record;
    EXPECT_TRUE(*reader->read(record));
    EXPECT_EQ(record, expected[5]);
    EXPECT_EQ(*reader->skip(100), 19);
    auto again = *RecordReader::open(kData + file, {.compression = compression});
    ASSERT_TRUE(again->seek_forward(offset).ok());
    EXPECT_TRUE(*again->read(record));
    EXPECT_EQ(record, expected[5]);
    EXPECT_EQ(again->seek_forward(0).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(again->seek_forward(1 << 30).code(), absl::StatusCode::kOutOfRange);
  }
}

TEST(RecordReader, AReadErrorIsReported) {
  FaultyFileSystem disk;
  ASSERT_TRUE(write_file("faulty://f", *read_file(kData + "data.tfrecord")).ok());
  auto reader = *RecordReader::open("faulty://f", {.buffer_bytes = 1000});
  disk.fail_at(3);
  std::string record;
  absl::Status status;
  while (status.ok()) status = reader->read(record).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Input/output error"));
}

}  // namespace
}  // namespace millrace
