#include "io/event_file.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/coding.h"
#include "base/log.h"

namespace millrace {
namespace {

constexpr std::string_view kVersion = "brain.Event:2";

std::string host_name() {
  char buffer[256] = {};
  return gethostname(buffer, sizeof(buffer) - 1) == 0 ? buffer : "localhost";
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string version_event(double wall_time) {
  std::string event;
  event += '\x09';  // field 1, wall_time: double
  uint64_t bits;
  std::memcpy(&bits, &wall_time, sizeof(bits));
  append_fixed64(event, bits);
  event += '\x1a';  // field 3, file_version: string
  append_varint64(event, kVersion.size());
  event += kVersion;
  return event;
}

absl::StatusOr<std::unique_ptr<EventFileWriter>> EventFileWriter::create(const std::string& prefix,
                                                                         std::string_view suffix) {
  std::unique_ptr<EventFileWriter> writer(new EventFileWriter(prefix, suffix));
  MR_RETURN_IF_ERROR(writer->open());
  return writer;
}

absl::Status EventFileWriter::open() {
  const double now = seconds_now();
  char seconds[32];
  std::snprintf(seconds, sizeof(seconds), "%010lld", static_cast<long long>(now));
  path_ = str_cat(prefix_, ".out.tfevents.", seconds, ".", host_name(), suffix_);
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path_));
  if (const std::string directory(directory_of(path_)); !directory.empty()) {
    MR_RETURN_IF_ERROR(files->make_directories(directory));
  }
  // Two writers in one second share a name: neither may lose the other's events.
  MR_ASSIGN_OR_RETURN(auto file, files->open_to_append(path_));
  records_ = std::make_unique<RecordWriter>(std::move(file));
  MR_RETURN_IF_ERROR(records_->write(version_event(now)));
  return records_->flush();
}

absl::Status EventFileWriter::write(std::string_view serialized_event) {
  if (!records_) return failed_precondition(path_, ": the event file is closed");
  return records_->write(serialized_event);
}

absl::Status EventFileWriter::flush() {
  if (!records_) return absl::OkStatus();
  MR_RETURN_IF_ERROR(records_->flush());
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path_));
  if (files->exists(path_)) return absl::OkStatus();
  log_warning("The events file ", path_, " has disappeared; starting a new one.");
  records_.reset();
  return open();
}

absl::Status EventFileWriter::close() {
  if (!records_) return absl::OkStatus();
  const absl::Status closed = records_->close();
  records_.reset();
  return closed;
}

}  // namespace millrace
