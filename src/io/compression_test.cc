#include "io/compression.h"

#include <gtest/gtest.h>

#include <random>

#include "io/faulty_file_system.h"

namespace millrace {
namespace {

std::string sample(size_t size) {
  std::mt19937 random(7);
  std::string data;
  while (data.size() < size) data += "record " + std::to_string(random() % 1000) + " ";
  data.resize(size);
  return data;
}

std::string deflated(const std::string& data, Compression compression) {
  {
    auto file = make_deflating_file(*(*file_system_for("faulty://z"))->create("faulty://z"), compression);
    EXPECT_TRUE(file->append(std::string_view(data).substr(0, data.size() / 2)).ok());
    EXPECT_TRUE(file->append(std::string_view(data).substr(data.size() / 2)).ok());
    EXPECT_EQ(file->position(), data.size());
    EXPECT_TRUE(file->close().ok());
  }
  return *read_file("faulty://z");
}

absl::StatusOr<std::string> inflated(const std::string& bytes, Compression compression, size_t step = 1000) {
  EXPECT_TRUE(write_file("faulty://z", bytes).ok());
  auto stream = make_inflating_stream(*(*file_system_for("faulty://z"))->open_stream("faulty://z"), compression);
  std::string result, part(step, '\0');
  while (true) {
    MR_ASSIGN_OR_RETURN(const size_t got, stream->read(part));
    if (got == 0) return result;
    result.append(part, 0, got);
  }
}

class CompressionTest : public ::testing::TestWithParam<Compression> {
 protected:
  FaultyFileSystem disk_;
};

TEST_P(CompressionTest, RoundTrips) {
  for (size_t size : {0, 1, 1000, 100'000, 1'000'000}) {
    const std::string data = sample(size);
    const std::string bytes = deflated(data, GetParam());
    if (size > 1000) EXPECT_LT(bytes.size(), size / 2);
    for (size_t step : {1, 999, 1 << 20}) {
      if (step == 1 && size > 1000) continue;
      EXPECT_EQ(*inflated(bytes, GetParam(), step), data) << size << " in steps of " << step;
    }
    disk_.set_max_read(13);
    EXPECT_EQ(*inflated(bytes, GetParam()), data);
    disk_.clear_faults();
  }
}

TEST_P(CompressionTest, EveryCutIsDataLoss) {
  const std::string bytes = deflated(sample(300), GetParam());
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_EQ(inflated(bytes.substr(0, size), GetParam()).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(*inflated("", GetParam()), "");
}

TEST_P(CompressionTest, FlippedBitsAreNoticed) {
  const std::string data = sample(300);
  const std::string bytes = deflated(data, GetParam());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 0x10;
    const auto result = inflated(damaged, GetParam());
    // A gzip header has bytes (time, system) that nothing checks.
    if (result.ok()) EXPECT_EQ(*result, data) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(, CompressionTest, ::testing::Values(Compression::kZlib, Compression::kGzip),
                         [](const auto& info) { return info.param == Compression::kGzip ? "Gzip" : "Zlib"; });

TEST(Compression, GzipMembersAreJoined) {
  FaultyFileSystem disk;
  const std::string a = deflated("first", Compression::kGzip), b = deflated("second", Compression::kGzip);
  EXPECT_EQ(*inflated(a + b, Compression::kGzip), "firstsecond");
  EXPECT_EQ(inflated(a + b.substr(0, 9), Compression::kGzip).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(inflated(a + "garbage", Compression::kGzip).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Compression, FlushedDataCanBeRead) {
  FaultyFileSystem disk;
  auto file = make_deflating_file(*disk.create("faulty://z"), Compression::kGzip);
  ASSERT_TRUE(file->append("so far").ok());
  ASSERT_TRUE(file->flush().ok());
  auto stream = make_inflating_stream(*disk.open_stream("faulty://z"), Compression::kGzip);
  std::string out(6, '\0');
  EXPECT_EQ(*read_full(*stream, out), 6u);
  EXPECT_EQ(out, "so far");
}

TEST(Compression, Names) {
  EXPECT_EQ(*compression_from_name(""), Compression::kNone);
  EXPECT_EQ(*compression_from_name("ZLIB"), Compression::kZlib);
  EXPECT_EQ(*compression_from_name("GZIP"), Compression::kGzip);
  EXPECT_EQ(compression_from_name("LZ4").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Compression, WriteErrorsReachClose) {
  FaultyFileSystem disk;
  auto file = make_deflating_file(*disk.create("faulty://z"), Compression::kGzip);
  disk.set_capacity(15);  // zlib writes its header of 10 bytes at once
  EXPECT_TRUE(file->append("buffered").ok());
  EXPECT_EQ(file->close().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace millrace
