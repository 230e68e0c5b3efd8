// Summary writers, and what they leave in event files.

#include <filesystem>

#include "gmock/gmock.h"
#include "io/record_reader.h"
#include "runtime/testing_graph.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SummaryWriters : public ::testing::Test {
 protected:
  SummaryWriters() : folder_(std::filesystem::path(::testing::TempDir()) / "summary_writers") {
    std::filesystem::remove_all(folder_);
  }
  ~SummaryWriters() override { std::filesystem::remove_all(folder_); }

  // Runs an op on the writer with these further inputs.
  absl::Status run(const std::string& op, const std::vector<Tensor>& inputs) {
    std::vector<OpArg> args = {writer_};
    for (const Tensor& input : inputs) args.emplace_back(graph_.constant(input));
    return run_all(*session_, {}, {}, {graph_.node(op, std::move(args))}).status();
  }
  absl::Status create() {
    return run("CreateSummaryFileWriter",
               {Tensor(folder_.string()), Tensor(int32_t{100}), Tensor(int32_t{1000000}), Tensor(".v2")});
  }

  std::vector<tensorflow::Event> events() const {
    std::vector<tensorflow::Event> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      EXPECT_THAT(entry.path().filename().string(), StartsWith("events.out.tfevents."));
      EXPECT_THAT(entry.path().filename().string(), EndsWith(".v2"));
      auto reader = RecordReader::open(entry.path().string());
      std::string record;
      while (reader.ok()) {
        const absl::StatusOr<bool> more = (*reader)->read(record);
        if (!more.ok() || !*more) break;
        EXPECT_TRUE(all.emplace_back().ParseFromString(record));
      }
    }
    return all;
  }

  const std::filesystem::path folder_;
  TestGraph graph_;
  const Output writer_ = graph_.op("SummaryWriter");
  const std::shared_ptr<SessionCore> session_ = graph_.session();
};

TEST_F(SummaryWriters, write_events_of_their_step) {
  ASSERT_TRUE(create().ok());
  ASSERT_TRUE(create().ok()) << "the second one finds the first";
  ASSERT_TRUE(run("WriteScalarSummary", {Tensor(int64_t{7}), Tensor("loss"), Tensor(1.5f)}).ok());
  ASSERT_TRUE(run("WriteHistogramSummary", {Tensor(int64_t{8}), Tensor("h"), Tensor(std::vector<float>{1, 2})}).ok());
  ASSERT_TRUE(
      run("WriteSummary", {Tensor(int64_t{9}), Tensor(std::vector<int64_t>{3, 4}), Tensor("t"), Tensor("")}).ok());
  EXPECT_EQ(events().size(), 1u) << "the others wait for more, or a flush";
  ASSERT_TRUE(run("FlushSummaryWriter", {}).ok());
  const std::vector<tensorflow::Event> all = events();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].file_version(), "brain.Event:2");
  EXPECT_EQ(all[1].step(), 7);
  EXPECT_GT(all[1].wall_time(), 1e9);
  EXPECT_EQ(all[1].summary().value(0).tag(), "loss");
  EXPECT_EQ(all[1].summary().value(0).simple_value(), 1.5f);
  EXPECT_EQ(all[2].summary().value(0).histo().num(), 2);
  EXPECT_EQ(all[3].summary().value(0).tensor().tensor_shape().dim(0).size(), 2);
  EXPECT_FALSE(all[3].summary().value(0).has_metadata());
}

TEST_F(SummaryWriters, write_images_and_sounds_as_the_summary_ops) {
  ASSERT_TRUE(create().ok());
  const Tensor image(TensorShape({1, 1, 1, 3}), std::vector<float>{0, 1, 2});
  ASSERT_TRUE(
      run("WriteImageSummary", {Tensor(int64_t{0}), Tensor("i"), image, Tensor(std::vector<uint8_t>{255, 0, 0})}).ok());
  ASSERT_TRUE(run("WriteAudioSummary", {Tensor(int64_t{0}), Tensor("a"),
                                        Tensor(TensorShape({1, 2}), std::vector<float>{0, 1}), Tensor(8000.0f)})
                  .ok());
  ASSERT_TRUE(run("CloseSummaryWriter", {}).ok());
  const std::vector<tensorflow::Event> all = events();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].summary().value(0).tag(), "i/image/0");
  EXPECT_THAT(all[1].summary().value(0).image().encoded_image_string(), HasSubstr("PNG"));
  EXPECT_EQ(all[2].summary().value(0).tag(), "a/audio/0");
  EXPECT_THAT(all[2].summary().value(0).audio().encoded_audio_string(), EndsWith(std::string("\0\0\xff\x7f", 4)));
}

TEST_F(SummaryWriters, write_messages_as_they_are) {
  ASSERT_TRUE(create().ok());
  tensorflow::Event event;
  event.set_wall_time(5);
  event.set_step(11);
  tensorflow::Summary summary;
  summary.add_value()->set_tag("a");
  const std::string one = summary.SerializeAsString();
  ASSERT_TRUE(run("ImportEvent", {Tensor(event.SerializeAsString())}).ok());
  ASSERT_TRUE(run("WriteRawProtoSummary", {Tensor(int64_t{2}), Tensor(std::vector<std::string>{one, one})}).ok());
  ASSERT_TRUE(run("WriteGraphSummary", {Tensor(int64_t{2}), Tensor("")}).ok());
  for (const char* op : {"WriteRawProtoSummary", "WriteGraphSummary"})
    EXPECT_EQ(run(op, {Tensor(int64_t{2}), Tensor("\n")}).code(), absl::StatusCode::kDataLoss) << op;
  EXPECT_EQ(run("ImportEvent", {Tensor("\n")}).code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(run("CloseSummaryWriter", {}).ok());
  const std::vector<tensorflow::Event> all = events();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[1].wall_time(), 5);
  EXPECT_EQ(all[1].step(), 11);
  EXPECT_EQ(all[2].summary().value_size(), 2);
  EXPECT_TRUE(all[3].has_graph_def());
}

TEST_F(SummaryWriters, are_not_found_before_and_after) {
  EXPECT_EQ(run("FlushSummaryWriter", {}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(run("CreateSummaryDbWriter", {Tensor(":memory:"), Tensor(""), Tensor(""), Tensor("")}).code(),
            absl::StatusCode::kUnimplemented);
  ASSERT_TRUE(create().ok());
  ASSERT_TRUE(run("CloseSummaryWriter", {}).ok());
  EXPECT_EQ(run("CloseSummaryWriter", {}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(run("WriteScalarSummary", {Tensor(int64_t{7}), Tensor("loss"), Tensor(1.5f)}).code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace millrace
