#include "io/durable_file.h"

#include <gtest/gtest.h>

#include "io/faulty_file_system.h"

namespace millrace {
namespace {

TEST(DurableFile, ShowsNothingBeforeCommit) {
  FaultyFileSystem disk;
  {
    auto file = DurableFile::create("faulty://f");
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->append("contents").ok());
    EXPECT_FALSE(disk.exists("faulty://f"));
    EXPECT_TRUE(file->commit().ok());
    EXPECT_EQ(*read_file("faulty://f"), "contents");
  }
  EXPECT_EQ(disk.list("faulty://")->size(), 1u);
}

TEST(DurableFile, RemovesItsTemporaryFileWhenAbandoned) {
  FaultyFileSystem disk;
  {
    auto file = DurableFile::create("faulty://f");
    ASSERT_TRUE(file->append("contents").ok());
    EXPECT_EQ(disk.list("faulty://")->size(), 1u);
  }
  EXPECT_TRUE(disk.list("faulty://")->empty());
}

// Whatever operation the writer is killed at, a power cut afterwards leaves the old contents or the new, nothing
// between.
TEST(DurableFile, KilledAnywhereLeavesOldOrNew) {
  bool done = false;
  for (int64_t kill = 0; !done; ++kill) {
    ASSERT_LT(kill, 100);
    for (const bool torn : {false, true}) {
      FaultyFileSystem disk;
      ASSERT_TRUE(write_file_durably("faulty://f", "old contents").ok());
      disk.fail_from(kill);
      done = write_file_durably("faulty://f", "new").ok();
      disk.crash(torn);
      const std::string left = *read_file("faulty://f");
      EXPECT_TRUE(left == "old contents" || left == "new") << "killed at " << kill << ": " << left;
      if (done) EXPECT_EQ(left, "new");
    }
  }
}

TEST(DurableFile, AFullDiskLeavesTheOldFile) {
  FaultyFileSystem disk;
  ASSERT_TRUE(write_file_durably("faulty://f", "old").ok());
  disk.set_capacity(6);
  EXPECT_EQ(write_file_durably("faulty://f", "new contents").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*read_file("faulty://f"), "old");
  EXPECT_EQ(disk.list("faulty://")->size(), 1u);
}

}  // namespace
}  // namespace millrace
