#include "io/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/faulty_file_system.h"
#include "io/record_reader.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace {
namespace {

std::vector<tensorflow::Event> read_events(const std::string& path) {
  auto reader = *RecordReader::open(path);
  std::vector<tensorflow::Event> events;
  std::string record;
  while (*reader->read(record)) {
    tensorflow::Event event;
    EXPECT_TRUE(event.ParseFromString(record));
    events.push_back(std::move(event));
  }
  return events;
}

TEST(EventFile, BeginsWithItsVersionAndHoldsTheEvents) {
  FaultyFileSystem disk;
  auto writer = *EventFileWriter::create("faulty://logs/run1/events", ".suffix");
  EXPECT_THAT(writer->path(), ::testing::MatchesRegex("faulty://logs/run1/events.out.tfevents.[0-9]+\\..*\\.suffix"));
  EXPECT_EQ(read_events(writer->path()).size(), 1u) << "readable at once";
  tensorflow::Event event;
  event.set_step(7);
  event.set_wall_time(1.5);
  ASSERT_TRUE(writer->write(event.SerializeAsString()).ok());
  ASSERT_TRUE(writer->flush().ok());
  const auto events = read_events(writer->path());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
  EXPECT_EQ(events[1].SerializeAsString(), event.SerializeAsString());
  ASSERT_TRUE(writer->close().ok());
  EXPECT_EQ(writer->write("x").code(), absl::StatusCode::kFailedPrecondition);
}

TEST(EventFile, VersionEventIsTheSerializedMessage) {
  tensorflow::Event event;
  event.set_wall_time(1234.5);
  event.set_file_version("brain.Event:2");
  EXPECT_EQ(version_event(1234.5), event.SerializeAsString());
}

TEST(EventFile, BeginsAnewWhenTheFileIsRemoved) {
  FaultyFileSystem disk;
  auto writer = *EventFileWriter::create("faulty://events");
  const std::string first = writer->path();
  ASSERT_TRUE(disk.remove_file(first).ok());
  ASSERT_TRUE(writer->write("").ok());
  ASSERT_TRUE(writer->flush().ok());
  ASSERT_TRUE(writer->write("").ok());
  ASSERT_TRUE(writer->flush().ok());
  EXPECT_EQ(read_events(writer->path()).size(), 2u);
}

TEST(EventFile, AnUnwritableFolderIsAnError) {
  FaultyFileSystem disk;
  disk.fail_from(0, absl::PermissionDeniedError("Permission denied"));
  EXPECT_EQ(EventFileWriter::create("faulty://logs/events").status().code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace millrace
