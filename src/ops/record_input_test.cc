// RecordInput draws by chance, so that no golden case can hold it: what it promises instead.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "io/record_writer.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

class RecordInputs : public ::testing::Test {
 protected:
  RecordInputs() : folder_(std::filesystem::path(::testing::TempDir()) / "record_input") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~RecordInputs() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& file, const std::vector<std::string>& records) const {
    auto writer = RecordWriter::create((folder_ / file).string());
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (const std::string& record : records) ASSERT_TRUE((*writer)->write(record).ok());
    ASSERT_TRUE((*writer)->close().ok());
  }
  const std::filesystem::path folder_;
};

TEST_F(RecordInputs, every_epoch_gives_each_record_once) {
  write("a.rec", {"1", "2", "3"});
  write("b.rec", {});
  write("c.rec", {"4", "5"});
  OpTest t(all_ops(), "RecordInput");
  t.attr("file_pattern", (folder_ / "*.rec").string())
      .attr("batch_size", int64_t{5})
      .attr("file_buffer_size", int64_t{2});
  std::set<std::vector<std::string>> orders;
  for (int epoch = 0; epoch < 20; ++epoch) {
    ASSERT_TRUE(t.run().ok());
    const auto records = t.output(0).to_vector<std::string>();
    EXPECT_THAT(records, UnorderedElementsAreArray({"1", "2", "3", "4", "5"}));
    orders.insert(records);
  }
  EXPECT_GT(orders.size(), 1u);
}

TEST_F(RecordInputs, refuses_what_gives_no_records) {
  OpTest none(all_ops(), "RecordInput");
  const absl::Status missing = none.attr("file_pattern", (folder_ / "x*").string()).run();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("Found no files at"));
  write("empty", {});
  OpTest empty(all_ops(), "RecordInput");
  EXPECT_EQ(empty.attr("file_pattern", (folder_ / "empty").string()).run().code(), absl::StatusCode::kInvalidArgument);
  OpTest ratio(all_ops(), "RecordInput");
  EXPECT_FALSE(ratio.attr("file_pattern", "x").attr("file_shuffle_shift_ratio", 2.0f).run().ok());
}

}  // namespace
}  // namespace millrace
