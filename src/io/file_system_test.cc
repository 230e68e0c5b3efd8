#include "io/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/faulty_file_system.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string message(const absl::Status& status) { return std::string(status.message()); }

// Everything that holds for any file system runs against each.
class AnyFileSystem : public ::testing::TestWithParam<bool> {
 protected:
  AnyFileSystem() {
    if (GetParam()) {
      memory_ = std::make_unique<FaultyFileSystem>();
      files_ = memory_.get();
      root_ = "faulty://root";
    } else {
      files_ = &posix_file_system();
      root_ = ::testing::TempDir() + "millrace_files_" + std::to_string(getpid());
      std::filesystem::remove_all(root_);
    }
    EXPECT_TRUE(files_->make_directories(root_).ok());
  }
  ~AnyFileSystem() override {
    if (!GetParam()) std::filesystem::remove_all(root_);
  }
  std::string path(std::string_view name) { return join_path(root_, name); }

  std::unique_ptr<FaultyFileSystem> memory_;
  FileSystem* files_;
  std::string root_;
};

TEST_P(AnyFileSystem, WritesAppendsAndReads) {
  const std::string big(200'000, 'x');
  {
    auto file = *files_->create(path("f"));
    EXPECT_TRUE(file->append("abc").ok());
    EXPECT_TRUE(file->append(big).ok());
    EXPECT_TRUE(file->append("def").ok());
    EXPECT_EQ(file->position(), big.size() + 6);
    EXPECT_TRUE(file->sync().ok());
    EXPECT_TRUE(file->close().ok());
  }
  {
    auto file = *files_->open_to_append(path("f"));
    EXPECT_EQ(file->position(), big.size() + 6);
    EXPECT_TRUE(file->append("!").ok());
    EXPECT_TRUE(file->close().ok());
  }
  EXPECT_EQ(*read_file(path("f")), "abc" + big + "def!");
  auto file = *files_->open(path("f"));
  EXPECT_EQ(*file->size(), big.size() + 7);
  std::string tail(4, '\0');
  EXPECT_TRUE(read_exactly(*file, big.size() + 3, tail).ok());
  EXPECT_EQ(tail, "def!");
  EXPECT_EQ(read_exactly(*file, big.size() + 4, tail).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(*file->read_at(1u << 30, tail), 0u);
  EXPECT_EQ(files_->stat(path("f"))->size, big.size() + 7);
  ASSERT_TRUE(write_file(path("f"), "new").ok());
  EXPECT_EQ(*read_file(path("f")), "new");
}

TEST_P(AnyFileSystem, ListsRenamesAndRemoves) {
  ASSERT_TRUE(files_->make_directories(path("a/b/c")).ok());
  EXPECT_TRUE(files_->make_directories(path("a/b/c")).ok());
  ASSERT_TRUE(write_file(path("a/two"), "2").ok());
  ASSERT_TRUE(write_file(path("a/one"), "1").ok());
  EXPECT_THAT(*files_->list(path("a")), ElementsAre("b", "one", "two"));
  EXPECT_TRUE(files_->is_directory(path("a")));
  EXPECT_FALSE(files_->is_directory(path("a/one")));
  ASSERT_TRUE(files_->rename(path("a/one"), path("a/two")).ok());
  EXPECT_EQ(*read_file(path("a/two")), "1");
  EXPECT_FALSE(files_->exists(path("a/one")));
  EXPECT_EQ(files_->remove_directory(path("a")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(files_->remove_file(path("a/two")).ok());
  EXPECT_TRUE(files_->sync_directory(path("a")).ok());
  EXPECT_TRUE(files_->remove_tree(path("a")).ok());
  EXPECT_FALSE(files_->exists(path("a")));
}

TEST_P(AnyFileSystem, ErrorsHaveTensorFlowsClassAndNameTheFile) {
  ASSERT_TRUE(write_file(path("file"), "").ok());
  ASSERT_TRUE(files_->make_directory(path("dir")).ok());
  using Code = absl::StatusCode;
  struct Case {
    std::string name;
    absl::Status status;
    Code code;
  };
  const Case cases[] = {
      {"open missing", files_->open(path("no")).status(), Code::kNotFound},
      {"stream missing", files_->open_stream(path("no")).status(), Code::kNotFound},
      {"stat missing", files_->stat(path("no")).status(), Code::kNotFound},
      {"remove missing", files_->remove_file(path("no")), Code::kNotFound},
      {"rename missing", files_->rename(path("no"), path("x")), Code::kNotFound},
      {"list missing", files_->list(path("no")).status(), Code::kNotFound},
      {"tree missing", files_->remove_tree(path("no")), Code::kNotFound},
      {"create without directory", files_->create(path("no/x")).status(), Code::kNotFound},
      {"read directory", files_->open_stream(path("dir")).status(), Code::kFailedPrecondition},
      {"create over directory", files_->create(path("dir")).status(), Code::kFailedPrecondition},
      {"remove directory as file", files_->remove_file(path("dir")), Code::kFailedPrecondition},
      {"make again", files_->make_directory(path("dir")), Code::kAlreadyExists},
      {"make under file", files_->make_directories(path("file/x")), Code::kFailedPrecondition},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(c.status.code(), c.code) << c.name << ": " << c.status;
    EXPECT_THAT(message(c.status), HasSubstr(root_)) << c.name;
  }
}

TEST_P(AnyFileSystem, GlobMatchesAsTensorFlow) {
  for (const char* dir : {"d1", "d2", "e"}) ASSERT_TRUE(files_->make_directory(path(dir)).ok());
  for (const char* file :
       {"d1/a.rec", "d1/b.rec", "d2/a.rec", "d2/.hidden.rec", "e/a.txt", "x-00001", "x-00002", "x["}) {
    ASSERT_TRUE(write_file(path(file), "").ok());
  }
  const auto glob = [&](const char* pattern) {
    std::vector<std::string> found = *files_->glob(path(pattern));
    for (std::string& name : found) name = name.substr(root_.size() + 1);
    return found;
  };
  EXPECT_THAT(glob("d1/*.rec"), ElementsAre("d1/a.rec", "d1/b.rec"));
  EXPECT_THAT(glob("d?/a.rec"), ElementsAre("d1/a.rec", "d2/a.rec"));
  EXPECT_THAT(glob("*/*.rec"), ElementsAre("d1/a.rec", "d1/b.rec", "d2/.hidden.rec", "d2/a.rec"));
  EXPECT_THAT(glob("x-0000[2-9]"), ElementsAre("x-00002"));
  EXPECT_THAT(glob("x-0000?"), ElementsAre("x-00001", "x-00002"));
  EXPECT_THAT(glob("e/a.txt"), ElementsAre("e/a.txt"));
  EXPECT_THAT(glob("e/none"), IsEmpty());
  EXPECT_THAT(glob("none*/x"), IsEmpty());
  EXPECT_THAT(glob("x-00001/*"), IsEmpty());
  EXPECT_THAT(glob("*/none"), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(, AnyFileSystem, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Memory" : "Posix"; });

TEST(PosixFileSystem, ReadsFilesWithoutSize) { EXPECT_THAT(*read_file("/proc/self/status"), HasSubstr("Name:")); }

TEST(PosixFileSystem, AFullDiskIsResourceExhausted) {
  auto file = posix_file_system().create("/dev/full");
  if (!file.ok()) GTEST_SKIP() << "no /dev/full here";
  absl::Status status = (*file)->append(std::string(100'000, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ((*file)->append("more"), status) << "errors are for good";
  EXPECT_EQ((*file)->close(), status);
}

TEST(PosixFileSystem, SmallWritesTellOfAFullDiskAtClose) {
  auto file = posix_file_system().create("/dev/full");
  if (!file.ok()) GTEST_SKIP() << "no /dev/full here";
  EXPECT_TRUE((*file)->append("x").ok());
  EXPECT_EQ((*file)->close().code(), absl::StatusCode::kResourceExhausted);
}

TEST(PosixFileSystem, RemoveTreeDoesNotFollowLinks) {
  const std::string root = ::testing::TempDir() + "millrace_links_" + std::to_string(getpid());
  ASSERT_TRUE(posix_file_system().make_directories(root + "/keep").ok());
  ASSERT_TRUE(posix_file_system().make_directories(root + "/tree").ok());
  ASSERT_TRUE(write_file(root + "/keep/file", "x").ok());
  std::filesystem::create_directory_symlink(root + "/keep", root + "/tree/link");
  EXPECT_TRUE(posix_file_system().remove_tree(root + "/tree").ok());
  EXPECT_EQ(*read_file(root + "/keep/file"), "x");
  EXPECT_TRUE(posix_file_system().remove_tree(root).ok());
}

TEST(FileSystem, SchemesAreLookedUp) {
  EXPECT_EQ(*file_system_for("/a/b"), &posix_file_system());
  EXPECT_EQ(*file_system_for("file:///a/b"), &posix_file_system());
  const auto unknown = file_system_for("s3://bucket/x");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(message(unknown.status()), "File system scheme 's3' not implemented (file: 's3://bucket/x')");
}

TEST(FileSystem, PathsJoinAndSplit) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "/b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("a", ""), "a");
  EXPECT_EQ(directory_of("/a/b"), "/a");
  EXPECT_EQ(directory_of("/a"), "/");
  EXPECT_EQ(directory_of("a"), "");
  EXPECT_EQ(directory_of("s://a"), "s://");
  EXPECT_EQ(directory_of("s://a/b"), "s://a");
  EXPECT_EQ(file_name_of("/a/b.c"), "b.c");
  EXPECT_EQ(file_name_of("b.c"), "b.c");
  EXPECT_TRUE(is_absolute_path("/a"));
  EXPECT_TRUE(is_absolute_path("s3://a"));
  EXPECT_FALSE(is_absolute_path("a/b"));
}

TEST(FileSystem, ReadFileHoldsItsLimit) {
  FaultyFileSystem disk;
  ASSERT_TRUE(write_file("faulty://f", std::string(1000, 'x')).ok());
  EXPECT_TRUE(read_file("faulty://f", 1000).ok());
  EXPECT_EQ(read_file("faulty://f", 999).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FaultyFileSystem, GivesShortReads) {
  FaultyFileSystem disk;
  ASSERT_TRUE(write_file("faulty://f", "0123456789").ok());
  disk.set_max_read(3);
  auto file = *disk.open("faulty://f");
  std::string out(10, '\0');
  EXPECT_EQ(*file->read_at(0, out), 3u);
  EXPECT_TRUE(read_exactly(*file, 0, out).ok());
  EXPECT_EQ(out, "0123456789");
  EXPECT_EQ(*read_file("faulty://f"), "0123456789");
}

TEST(FaultyFileSystem, RunsFull) {
  FaultyFileSystem disk;
  disk.set_capacity(5);
  const absl::Status status = write_file("faulty://f", "0123456789");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*disk.mutable_contents("faulty://f"), "01234");
}

TEST(FaultyFileSystem, FailsTheNthOperation) {
  FaultyFileSystem disk;
  disk.fail_at(1);
  EXPECT_EQ(write_file("faulty://f", "0123456789").code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(*read_file("faulty://f"), "01234") << "a torn write";
  disk.fail_from(0);
  EXPECT_FALSE(read_file("faulty://f").ok());
  EXPECT_FALSE(disk.exists("faulty://f"));
  disk.clear_faults();
  EXPECT_TRUE(disk.exists("faulty://f"));
}

TEST(FaultyFileSystem, ACrashLosesWhatWasNotSynced) {
  FaultyFileSystem disk;
  auto file = *disk.create("faulty://a");
  ASSERT_TRUE(file->append("synced").ok());
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->append("lost").ok());
  ASSERT_TRUE(disk.sync_directory("faulty://").ok());
  ASSERT_TRUE(write_file("faulty://b", "no name on disk").ok());
  ASSERT_TRUE(disk.rename("faulty://a", "faulty://c").ok());
  disk.crash();
  EXPECT_EQ(*read_file("faulty://a"), "synced");
  EXPECT_FALSE(disk.exists("faulty://b"));
  EXPECT_FALSE(disk.exists("faulty://c"));
  EXPECT_FALSE(file->append("x").ok()) << "open files are dead";
}

}  // namespace
}  // namespace millrace
