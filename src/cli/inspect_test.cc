#include "cli/inspect.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "io/event_file.h"
#include "io/file_system.h"
#include "io/record_writer.h"
#include "nlohmann/json.hpp"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kGolden = MILLRACE_SOURCE_DIR "/tests/golden/";

class Inspect : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "inspect_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  int inspect(const InspectOptions& options) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = inspect_command(options);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  nlohmann::json inspect_json(const std::string& file) {
    inspect({.files = {file}, .json = true});
    return nlohmann::json::parse(out_).at(0);
  }

  std::string folder_, out_, err_;
};

TEST_F(Inspect, lists_the_tensors_of_a_checkpoint_however_it_is_named) {
  std::string prefix;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden + "checkpoints/sharded")) {
    if (entry.path().extension() == ".index") prefix = std::filesystem::path(entry.path()).replace_extension().string();
  }
  ASSERT_FALSE(prefix.empty());
  for (const std::string& name : {prefix, prefix + ".index", prefix + ".data-00000-of-00002"}) {
    const nlohmann::json found = inspect_json(name);
    EXPECT_EQ(found["kind"], "checkpoint");
    EXPECT_EQ(found["shards"], 2);
    EXPECT_GT(found["tensors"].size(), 1u);
    EXPECT_TRUE(found["tensors"][0].contains("shape"));
  }
  EXPECT_EQ(inspect({.files = {kGolden + "checkpoints/sharded"}, .verify = true}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("latest checkpoint"), HasSubstr("all checksums are right")));
}

TEST_F(Inspect, lists_the_tensors_of_a_checkpoint_of_the_first_format) {
  const std::string folder = kGolden + "checkpoints/first_format_sharded";
  EXPECT_EQ(inspect({.files = {folder + "/model.ckpt-50-????"
                                        "?-of-00002"},
                     .verify = true}),
            0)
      << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("checkpoint of the first format, 4 tensors"), HasSubstr("in 2 data files"),
                          HasSubstr("all checksums are right")));
  EXPECT_EQ(inspect({.files = {folder}}), 0) << err_;  // each shard by itself
  EXPECT_THAT(out_, AllOf(HasSubstr("model.ckpt-50-00000-of-00002"), HasSubstr("model.ckpt-50-00001-of-00002")));
}

TEST_F(Inspect, finds_damage_in_checkpoints) {
  int seen = 0;
  for (const auto& damaged : std::filesystem::directory_iterator(kGolden + "checkpoints/damaged")) {
    if (!damaged.is_directory()) continue;
    ++seen;
    EXPECT_EQ(inspect({.files = {damaged.path().string()}, .verify = true}), 1) << damaged.path();
    EXPECT_NE(err_, "");
  }
  EXPECT_GT(seen, 3);
}

TEST_F(Inspect, shows_a_graph) {
  const nlohmann::json found = inspect_json(kGolden + "metagraph/perceptron_ref/model.meta");
  EXPECT_EQ(found["kind"], "MetaGraphDef");
  const nlohmann::json& graph = found["graphs"][0];
  EXPECT_GT(graph["ops"]["VariableV2"].get<int>(), 0);
  EXPECT_GT(graph["variables"].size(), 0u);
  EXPECT_TRUE(graph["collections"].contains("variables"));
  EXPECT_EQ(inspect({.files = {kGolden + "metagraph/perceptron_ref/model.meta"}}), 0);
  EXPECT_THAT(out_, HasSubstr("variables:"));
}

TEST_F(Inspect, sums_up_an_event_file) {
  auto writer = EventFileWriter::create(path("events"));
  ASSERT_TRUE(writer.ok());
  for (int step = 1; step <= 3; ++step) {
    tensorflow::Event event;
    event.set_step(step);
    auto* value = event.mutable_summary()->add_value();
    value->set_tag("loss");
    value->set_simple_value(1.0f / static_cast<float>(step));
    ASSERT_TRUE((*writer)->write(event.SerializeAsString()).ok());
  }
  tensorflow::Event graph;
  graph.set_graph_def("");
  ASSERT_TRUE((*writer)->write(graph.SerializeAsString()).ok());
  ASSERT_TRUE((*writer)->close().ok());
  const std::string file = (*writer)->path();
  const nlohmann::json found = inspect_json(file);
  EXPECT_EQ(found["kind"], "events");
  EXPECT_EQ(found["events"], 5);
  EXPECT_EQ(found["last_step"], 3);
  EXPECT_EQ(found["graph"], true);
  EXPECT_EQ(found["tags"][0]["tag"], "loss");
  EXPECT_EQ(found["tags"][0]["count"], 3);
  EXPECT_NEAR(found["tags"][0]["last_value"].get<double>(), 1.0 / 3, 1e-6);

  // Cut in the last record: what stands before it is shown, and where it breaks.
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 3);
  EXPECT_EQ(inspect({.files = {file}}), 1);
  EXPECT_THAT(out_, HasSubstr("loss"));
  EXPECT_THAT(err_, AllOf(HasSubstr("DATA_LOSS"), HasSubstr(file), HasSubstr("truncated record at ")));
}

TEST_F(Inspect, sums_up_record_files_compressed_or_not) {
  tensorflow::Example example;
  for (const int label : {1, 2})
    (*example.mutable_features()->mutable_feature())["label"].mutable_int64_list()->add_value(label);
  for (const Compression compression : {Compression::kNone, Compression::kGzip, Compression::kZlib}) {
    auto writer = RecordWriter::create(path("a.tfrecord"), {.compression = compression});
    ASSERT_TRUE(writer.ok());
    for (int i = 0; i < 4; ++i) ASSERT_TRUE((*writer)->write(example.SerializeAsString()).ok());
    ASSERT_TRUE((*writer)->close().ok());
    const nlohmann::json found = inspect_json(path("a.tfrecord"));
    EXPECT_EQ(found["kind"], "records");
    EXPECT_EQ(found["records"], 4);
    EXPECT_EQ(found["features"]["label"]["kind"], "int64");
    EXPECT_EQ(found["features"]["label"]["most_values"], 2);
  }
}

TEST_F(Inspect, says_what_cannot_be_read_and_goes_on) {
  ASSERT_TRUE(write_file(path("empty"), "").ok());
  ASSERT_TRUE(write_file(path("empty.tfrecord"), "").ok());
  ASSERT_TRUE(write_file(path("noise"), std::string(300, '\xf3')).ok());
  ASSERT_TRUE(write_file(path("text"), "dear diary\n").ok());
  ASSERT_TRUE(write_file(path("x.index"), std::string(5000, 'x')).ok());
  std::filesystem::create_directories(path("nothing"));
  const struct {
    const char* name;
    const char* message;
  } cases[] = {{"missing", "no such file"}, {"empty", "empty"},     {"noise", "noise"},
               {"text", "line 1"},          {"x.index", "x.index"}, {"nothing", "no checkpoint, no event file"}};
  for (const auto& [name, message] : cases) {
    EXPECT_EQ(inspect({.files = {path(name), path("empty.tfrecord")}}), 1) << name;
    EXPECT_THAT(err_, AllOf(HasSubstr(path(name)), HasSubstr(message)));
    EXPECT_THAT(out_, HasSubstr("0 records"));
  }
  inspect({.files = {path("missing")}, .json = true});
  EXPECT_THAT(nlohmann::json::parse(out_)[0]["error"].get<std::string>(), HasSubstr("no such file"));
}

}  // namespace
}  // namespace millrace
