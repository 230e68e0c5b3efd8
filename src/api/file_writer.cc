#include "millrace/file_writer.h"

#include <chrono>
#include <map>
#include <mutex>
#include <set>

#include "api/meta_graph.h"
#include "base/errors.h"
#include "graph/graph_def.h"
#include "io/event_file.h"
#include "io/file_system.h"
#include "millrace/session.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace::summary {
namespace {

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

struct FileWriter::Impl {
  std::string logdir;
  FileWriterOptions options;
  std::mutex mutex;
  std::unique_ptr<EventFileWriter> file;  // null once closed
  std::string path;
  std::set<std::string> run_tags;  // of run metadata written
  std::chrono::steady_clock::time_point flushed = std::chrono::steady_clock::now();

  void open() {
    file = value_or_raise(EventFileWriter::create(join_path(logdir, "events"), options.filename_suffix));
    path = file->path();
  }

  ~Impl() {
    if (file) (void)file->close();  // what nobody waits for any more
  }
};

FileWriter::FileWriter(const std::string& logdir, const FileWriterOptions& options) : impl_(std::make_shared<Impl>()) {
  impl_->logdir = logdir;
  impl_->options = options;
  impl_->open();
  if (options.graph) {
    add_graph(*options.graph);
    tensorflow::MetaGraphDef meta;
    to_meta_graph(*options.graph, {}, &meta);
    add_meta_graph(meta);
  }
}

void FileWriter::add(tensorflow::Event* event, std::optional<int64_t> global_step) {
  event->set_wall_time(wall_time());
  if (global_step) event->set_step(*global_step);
  add_event(*event);
}

void FileWriter::add_event(const tensorflow::Event& event) {
  const std::string bytes = event.SerializeAsString();
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->file) raise(failed_precondition("FileWriter for ", impl_->logdir, " is closed; reopen it first"));
  raise_if_error(impl_->file->write(bytes));
  const auto now = std::chrono::steady_clock::now();
  if (std::chrono::duration<double>(now - impl_->flushed).count() < impl_->options.flush_secs) return;
  raise_if_error(impl_->file->flush());
  impl_->flushed = now;
}

void FileWriter::add_summary(const Tensor& serialized, std::optional<int64_t> global_step) {
  for (const std::string& bytes : serialized.flat<std::string>()) {
    tensorflow::Summary summary;
    if (!summary.ParseFromString(bytes))
      raise(invalid_argument("FileWriter::add_summary: the tensor holds bytes that are no Summary"));
    add_summary(summary, global_step);
  }
}

void FileWriter::add_summary(const tensorflow::Summary& summary, std::optional<int64_t> global_step) {
  tensorflow::Event event;
  *event.mutable_summary() = summary;
  add(&event, global_step);
}

void FileWriter::add_scalar(const std::string& tag, float value, std::optional<int64_t> global_step) {
  tensorflow::Summary summary;
  tensorflow::Summary::Value& v = *summary.add_value();
  v.set_tag(tag);
  v.set_simple_value(value);
  add_summary(summary, global_step);
}

void FileWriter::add_graph(const Graph& graph, std::optional<int64_t> global_step) {
  tensorflow::Event event;
  event.set_graph_def(graph.as_graph_def({.add_shapes = true}).SerializeAsString());
  add(&event, global_step);
}

void FileWriter::add_meta_graph(const tensorflow::MetaGraphDef& meta_graph, std::optional<int64_t> global_step) {
  tensorflow::Event event;
  event.set_meta_graph_def(meta_graph.SerializeAsString());
  add(&event, global_step);
}

void FileWriter::add_session_log(const tensorflow::SessionLog& session_log, std::optional<int64_t> global_step) {
  tensorflow::Event event;
  *event.mutable_session_log() = session_log;
  add(&event, global_step);
}

void FileWriter::add_run_metadata(const RunMetadata& run_metadata, const std::string& tag,
                                  std::optional<int64_t> global_step) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->run_tags.insert(tag).second)
      raise(invalid_argument("The provided tag was already used for this event type: ", tag));
  }
  tensorflow::Event event;
  event.mutable_tagged_run_metadata()->set_tag(tag);
  event.mutable_tagged_run_metadata()->set_run_metadata(run_metadata.serialized);
  add(&event, global_step);
}

void FileWriter::flush() {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->file) raise_if_error(impl_->file->flush());
  impl_->flushed = std::chrono::steady_clock::now();
}

void FileWriter::close() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->file) return;
  const std::unique_ptr<EventFileWriter> file = std::move(impl_->file);
  raise_if_error(file->close());
}

void FileWriter::reopen() {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->file) impl_->open();
}

std::string FileWriter::get_logdir() const { return impl_->logdir; }
std::string FileWriter::path() const { return impl_->path; }

namespace {

struct Cache {
  std::mutex mutex;
  std::map<std::string, FileWriter> writers;
};

Cache& cache() {
  static auto* c = new Cache;  // writers may be used while the process ends
  return *c;
}

}  // namespace

FileWriter FileWriterCache::get(const std::string& logdir) {
  const std::lock_guard lock(cache().mutex);
  auto [it, inserted] = cache().writers.try_emplace(logdir);
  if (inserted) {
    try {
      it->second = FileWriter(logdir, {.graph = get_default_graph()});
    } catch (...) {
      cache().writers.erase(it);
      throw;
    }
  }
  return it->second;
}

void FileWriterCache::clear() {
  std::map<std::string, FileWriter> writers;
  {
    const std::lock_guard lock(cache().mutex);
    writers.swap(cache().writers);
  }
  for (auto& [logdir, writer] : writers) writer.close();
}

}  // namespace millrace::summary
