#pragma once
// Event files for TensorBoard.
//
//   tf::summary::FileWriter writer("runs/a", {.graph = tf::get_default_graph()});
//   writer.add_summary(session.run(merged), step);

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "millrace/framework.h"

namespace tensorflow {
class Event;  // <millrace/protos.h>
class MetaGraphDef;
class SessionLog;
class Summary;
}  // namespace tensorflow

#pragma GCC visibility push(default)

namespace millrace {
class RunMetadata;
}

namespace millrace::summary {

struct FileWriterOptions {
  std::optional<Graph> graph = {};  // written at once
  double flush_secs = 120;          // what is older than this is written by the next event
  std::string filename_suffix = {};
};

// A handle: copies write to the same file. Thread-safe. Errors of writing are thrown by the call that meets them.
class FileWriter {
 public:
  FileWriter() = default;  // none
  explicit FileWriter(const std::string& logdir, const FileWriterOptions& options = {});
  explicit operator bool() const { return impl_ != nullptr; }

  void add_summary(const Tensor& serialized_summary,
                   std::optional<int64_t> global_step = {});  // a string tensor: one Summary each
  void add_summary(const tensorflow::Summary& summary, std::optional<int64_t> global_step = {});
  void add_scalar(const std::string& tag, float value, std::optional<int64_t> global_step = {});
  void add_event(const tensorflow::Event& event);
  void add_graph(const Graph& graph, std::optional<int64_t> global_step = {});
  void add_meta_graph(const tensorflow::MetaGraphDef& meta_graph, std::optional<int64_t> global_step = {});
  void add_session_log(const tensorflow::SessionLog& session_log, std::optional<int64_t> global_step = {});
  // What a traced run did when. InvalidArgumentError (TF1's ValueError) for a tag that this writer has written before.
  void add_run_metadata(const RunMetadata& run_metadata, const std::string& tag,
                        std::optional<int64_t> global_step = {});
  void flush();
  void close();
  void reopen();
  std::string get_logdir() const;
  std::string path() const;  // of the event file

 private:
  struct Impl;
  void add(tensorflow::Event* event, std::optional<int64_t> global_step);
  std::shared_ptr<Impl> impl_;
};

// One writer per directory for a whole process; the graph goes into the file when it is made.
class FileWriterCache {
 public:
  static FileWriter get(const std::string& logdir);
  static void clear();
};

}  // namespace millrace::summary

#pragma GCC visibility pop
