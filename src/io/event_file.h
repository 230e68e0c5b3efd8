#pragma once
// Event files, what TensorBoard reads: record files of serialized Event messages, named
// PREFIX.out.tfevents.<seconds>.<host><suffix>, whose first record gives the version "brain.Event:2". The messages come
// serialized: this layer knows no protocol buffers. Not thread-safe.
//
//   MR_ASSIGN_OR_RETURN(auto writer, EventFileWriter::create("logs/run1/events"));
//   MR_RETURN_IF_ERROR(writer->write(event.SerializeAsString()));
//   MR_RETURN_IF_ERROR(writer->flush());

#include <memory>
#include <string>
#include <string_view>

#include "io/record_writer.h"

namespace millrace {

class EventFileWriter {
 public:
  // Makes the file and writes the version record. `prefix` is a path; its directories are made where missing.
  static absl::StatusOr<std::unique_ptr<EventFileWriter>> create(const std::string& prefix,
                                                                 std::string_view suffix = "");

  absl::Status write(std::string_view serialized_event);
  // What was written so far can be read by others. If somebody removed the file meanwhile, a new one is begun.
  absl::Status flush();
  absl::Status close();
  const std::string& path() const { return path_; }

 private:
  EventFileWriter(std::string prefix, std::string_view suffix) : prefix_(std::move(prefix)), suffix_(suffix) {}
  absl::Status open();

  std::string prefix_, suffix_;
  std::string path_;
  std::unique_ptr<RecordWriter> records_;  // null once closed
};

// A serialized Event with wall_time and file_version only.
std::string version_event(double wall_time);

}  // namespace millrace
