#include "checkpoint/checkpoint_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/bundle_writer.h"
#include "checkpoint/checkpoint_testing.h"
#include "io/faulty_file_system.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCheckpoints;

TEST(CheckpointState, ReadsTensorFlowsFiles) {
  const auto read = [](const char* name) {
    return *parse_checkpoint_state(*read_file(kCheckpoints + "state_files/" + name));
  };
  EXPECT_EQ(read("absolute.pbtxt"),
            (CheckpointState{.model_checkpoint_path = "/data/run1/model.ckpt-10",
                             .all_model_checkpoint_paths = {"/data/run1/model.ckpt-0", "/data/run1/model.ckpt-10"},
                             .all_model_checkpoint_timestamps = {1700000000.5, 1700000060.25},
                             .last_preserved_timestamp = 1699999999.0}));
  EXPECT_THAT(read("mixed.pbtxt").all_model_checkpoint_paths, ElementsAre("model.ckpt-0", "/data/other/model.ckpt-10"));
  const std::string relative = *read_file(kCheckpoints + "state_files/relative.pbtxt");
  EXPECT_EQ(checkpoint_state_text(*parse_checkpoint_state(relative)), relative);
}

TEST(CheckpointState, RoundTripsAwkwardPaths) {
  CheckpointState state;
  state.model_checkpoint_path = "a \"quoted\" path\n\\with \xc3\xa9\x01";
  state.all_model_checkpoint_paths = {"", state.model_checkpoint_path};
  state.all_model_checkpoint_timestamps = {1e-300, 1700000000.123456};
  EXPECT_EQ(*parse_checkpoint_state(checkpoint_state_text(state)), state);
}

TEST(CheckpointState, BadTextIsAnErrorWithItsPlace) {
  for (const char* text :
       {"nonsense", "model_checkpoint_path: 7", "model_checkpoint_path: \"a", "x: 1", "{{{{", "\xff\xfe"}) {
    const auto state = parse_checkpoint_state(text);
    EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(state.status().message()), HasSubstr("1:")) << text;
  }
}

TEST(CheckpointState, RelativePathsAreUnderTheDirectory) {
  FaultyFileSystem disk;
  ASSERT_TRUE(disk.make_directory("faulty://run").ok());
  EXPECT_FALSE(get_checkpoint_state("faulty://run")->has_value());
  ASSERT_TRUE(write_file("faulty://run/checkpoint", *read_file(kCheckpoints + "state_files/mixed.pbtxt")).ok());
  const CheckpointState state = **get_checkpoint_state("faulty://run");
  EXPECT_EQ(state.model_checkpoint_path, "/data/other/model.ckpt-10");
  EXPECT_THAT(state.all_model_checkpoint_paths, ElementsAre("faulty://run/model.ckpt-0", "/data/other/model.ckpt-10"));
  ASSERT_TRUE(write_file("faulty://run/checkpoint", "").ok());
  EXPECT_EQ(get_checkpoint_state("faulty://run").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CheckpointState, UpdateFollowsTF1sRulesForPaths) {
  struct Case {
    std::string name, directory, path;
    bool save_relative;
    std::string stored;
  };
  const std::string temp = ::testing::TempDir() + "millrace_state";
  const Case cases[] = {
      {"absolute stays", temp, temp + "/m-1", false, temp + "/m-1"},
      {"absolute made relative", temp, temp + "/m-1", true, "m-1"},
      {"absolute made relative upwards", temp, ::testing::TempDir() + "other/m-1", true, "../other/m-1"},
      {"relative to an absolute directory", temp, "m-1", true, "m-1"},
  };
  ASSERT_TRUE(posix_file_system().make_directories(temp).ok());
  for (const Case& c : cases) {
    const absl::Status updated = update_checkpoint_state(
        c.directory, {.model_checkpoint_path = c.path, .all_model_checkpoint_paths = {"/older"}},
        {.save_relative_paths = c.save_relative});
    ASSERT_TRUE(updated.ok()) << c.name << updated;
    const auto state = parse_checkpoint_state(*read_file(temp + "/checkpoint"));
    EXPECT_EQ(state->model_checkpoint_path, c.stored) << c.name;
    EXPECT_EQ(state->all_model_checkpoint_paths.size(), 2u) << "the newest is appended";
    EXPECT_EQ(state->all_model_checkpoint_paths.back(), c.stored) << c.name;
  }
  EXPECT_TRUE(posix_file_system().remove_tree(temp).ok());
}

TEST(CheckpointState, UpdateInARelativeDirectoryStoresNamesBesideTheFile) {
  const std::string directory = "millrace_state_test_directory";  // under the working directory
  ASSERT_TRUE(posix_file_system().make_directories(directory).ok());
  ASSERT_TRUE(update_checkpoint_state(directory, {.model_checkpoint_path = directory + "/m-2",
                                                  .all_model_checkpoint_paths = {directory + "/m-1"}})
                  .ok());
  const auto state = parse_checkpoint_state(*read_file(directory + "/checkpoint"));
  EXPECT_THAT(state->all_model_checkpoint_paths, ElementsAre("m-1", "m-2"));
  EXPECT_EQ((*get_checkpoint_state(directory))->model_checkpoint_path, directory + "/m-2");
  EXPECT_TRUE(posix_file_system().remove_tree(directory).ok());
}

TEST(CheckpointState, UpdateRefusesMistakes) {
  FaultyFileSystem disk;
  EXPECT_EQ(update_checkpoint_state("faulty://", {.model_checkpoint_path = "faulty://checkpoint"}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(update_checkpoint_state("faulty://",
                                    {.model_checkpoint_path = "faulty://m", .all_model_checkpoint_timestamps = {1, 2}})
                .code(),
            absl::StatusCode::kInvalidArgument);
}

void save(const std::string& prefix) {
  auto writer = *BundleWriter::create(prefix);
  ASSERT_TRUE(writer->add("a", Tensor(1.0f)).ok());
  ASSERT_TRUE(writer->finish().ok());
}

TEST(LatestCheckpoint, NamesTheNewestThatIsThere) {
  FaultyFileSystem disk;
  EXPECT_EQ(latest_checkpoint("faulty://run"), std::nullopt);
  save("faulty://run/m-1");
  save("faulty://run/m-2");
  const std::string one = "faulty://run/m-1", two = "faulty://run/m-2";
  ASSERT_TRUE(
      update_checkpoint_state("faulty://run", {.model_checkpoint_path = two, .all_model_checkpoint_paths = {one, two}})
          .ok());
  EXPECT_EQ(latest_checkpoint("faulty://run"), two);
  EXPECT_THAT(checkpoints_newest_first("faulty://run"), ElementsAre(two, one));
  ASSERT_TRUE(disk.remove_file(two + ".index").ok());
  EXPECT_EQ(latest_checkpoint("faulty://run"), std::nullopt);
  EXPECT_THAT(checkpoints_newest_first("faulty://run"), ElementsAre(one));
  ASSERT_TRUE(write_file("faulty://run/checkpoint", "damaged {").ok());
  EXPECT_EQ(latest_checkpoint("faulty://run"), std::nullopt);
  EXPECT_THAT(checkpoints_newest_first("faulty://run"), IsEmpty());
}

TEST(LatestCheckpoint, ReadsTensorFlowsDirectories) {
  EXPECT_EQ(latest_checkpoint(kCheckpoints + "training_state"), kCheckpoints + "training_state/model.ckpt-30");
  EXPECT_EQ(latest_checkpoint(kCheckpoints + "v1_format"), kCheckpoints + "v1_format/model.ckpt-5");
}

TEST(CheckpointState, KilledAnywhereTheStateIsOldOrNew) {
  bool done = false;
  for (int64_t kill = 0; !done; ++kill) {
    FaultyFileSystem disk;
    ASSERT_TRUE(disk.make_directory("faulty://run").ok());
    ASSERT_TRUE(update_checkpoint_state("faulty://run", {.model_checkpoint_path = "faulty://run/m-1"}).ok());
    disk.fail_from(kill);
    done = update_checkpoint_state("faulty://run", {.model_checkpoint_path = "faulty://run/m-2"}).ok();
    disk.crash(true);
    const auto state = get_checkpoint_state("faulty://run");
    ASSERT_TRUE(state.ok()) << kill << state.status();
    EXPECT_EQ((*state)->model_checkpoint_path, done ? "faulty://run/m-2" : (*state)->model_checkpoint_path);
  }
}

}  // namespace
}  // namespace millrace
