#include "supervision/record.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "io/record_reader.h"
#include "millrace/millrace.h"
#include "runtime/session.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace fs = std::filesystem;

namespace millrace::records {
namespace {

std::vector<std::string> lines;  // the record of the scenario that runs
std::set<std::string> files;
const std::thread::id main_thread = std::this_thread::get_id();

std::set<std::string> present() {
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(".")) {
    const std::string name = entry.path().lexically_relative(".").string();
    if (entry.is_regular_file() && name.find("tfevents") == std::string::npos) found.insert(name);
  }
  return found;
}

}  // namespace

void note(const std::string& line) {
  if (std::this_thread::get_id() != main_thread) return;
  const std::set<std::string> now = present();
  for (const std::string& name : now)
    if (!files.contains(name)) lines.push_back("file " + name);
  for (const std::string& name : files)
    if (!now.contains(name)) lines.push_back("gone " + name);
  files = now;
  lines.push_back(line);
}

// As Python prints a list of strings.
std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return "[" + text + "]";
}
namespace {

std::string sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return list(names);
}
}  // namespace

std::string truth(bool value) { return value ? "True" : "False"; }
std::string number(float value) {
  std::ostringstream text;
  text << value;
  return text.str();
}
std::string class_of(const std::exception& error) {
  if (dynamic_cast<const train::NanLossDuringTrainingError*>(&error) != nullptr) return "NanLossDuringTrainingError";
  const auto* op_error = dynamic_cast<const errors::OpError*>(&error);
  if (op_error == nullptr) return "another exception";
  switch (op_error->code()) {
    case errors::Code::kInvalidArgument: return "InvalidArgumentError";
    case errors::Code::kNotFound: return "NotFoundError";
    case errors::Code::kFailedPrecondition: return "FailedPreconditionError";
    case errors::Code::kDataLoss: return "DataLossError";
    case errors::Code::kUnavailable: return "UnavailableError";
    default: return "another error: " + std::string(error.what());
  }
}

namespace {

// Each fetch once: TensorFlow joins those that several ask for before it runs. There too what is of another graph is
// refused.
void note_run(const GraphImpl& graph, const RunRequest& request) {
  std::vector<std::string> fetched, run, fed;
  for (const Output& output : request.fetches) {
    if (&output.node()->graph() != &graph) return;
    if (std::ranges::find(fetched, output.name()) == fetched.end()) fetched.push_back(output.name());
  }
  for (Node* node : request.targets) run.push_back(Operation(node).name());
  for (const auto& [output, value] : request.feeds) fed.push_back(output.name());
  note("run fetch=" + sorted(fetched) + " target=" + sorted(run) + " feed=" + sorted(fed));
}

// A line without what may differ from run to run, or from TensorFlow's: docs/compatibility.md. Empty: none.
std::string comparable(const std::string& line) {
  static const std::regex seconds(R"(\d+\.\d+ sec\))"), rate(R"(global_step/sec: [\d.e+-]+)"), reads(R"((\w)/read:0')"),
      loss(R"(^log loss = ([\d.]+)(.*)$)");
  std::string text = std::regex_replace(line, seconds, "T sec)");
  text = std::regex_replace(text, rate, "global_step/sec: R");
  if (text.starts_with("run ") || text.starts_with("hook ")) text = std::regex_replace(text, reads, "$1:0'");
  // Hooks read the step beside the update: whether they see the old one, and look again, is a matter of luck.
  if (text == "run fetch=['global_step:0'] target=[] feed=[]") return {};
  std::smatch parts;
  if (std::regex_match(text, parts, loss)) {
    std::ostringstream rounded;
    rounded << "log loss = " << std::setprecision(4) << std::stod(parts[1]) << parts[2];
    return rounded.str();
  }
  return text;
}

std::string event_kind(const tensorflow::Event& event) {
  switch (event.what_case()) {
    case tensorflow::Event::kSummary: {
      std::string tags;
      for (const auto& value : event.summary().value()) tags += (tags.empty() ? "" : ",") + value.tag();
      return "summary:" + tags;
    }
    case tensorflow::Event::kSessionLog: return "session_log:" + std::to_string(event.session_log().status());
    case tensorflow::Event::kGraphDef: return "graph_def";
    case tensorflow::Event::kMetaGraphDef: return "meta_graph_def";
    case tensorflow::Event::kFileVersion: return "file_version";
    case tensorflow::Event::kTaggedRunMetadata: return "tagged_run_metadata";
    default: return "another";
  }
}

void add_events() {
  std::set<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator("."))
    if (entry.path().filename().string().find("tfevents") != std::string::npos) paths.insert(entry.path());
  for (const std::string& path : paths) {
    const auto reader = RecordReader::open(path).value();
    const std::string folder = fs::path(path).parent_path().lexically_relative(".");
    std::string bytes;
    while (reader->read(bytes).value()) {
      tensorflow::Event event;
      event.ParseFromString(bytes);
      lines.push_back("event " + folder + " " + event_kind(event) + " " + std::to_string(event.step()));
    }
  }
}

}  // namespace

std::vector<std::string> record(const std::function<void()>& scenario) {
  set_log_sink([](LogLevel, std::string_view line) {
    // A warning that depends on how fast the threads are.
    if (line.find("has not been increased") == std::string_view::npos) note("log " + std::string(line));
  });
  lines.clear();
  files.clear();
  const fs::path back = fs::current_path();
  std::string folder = (fs::temp_directory_path() / "supervision_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  fs::current_path(folder);
  try {
    const auto as_default = Graph().as_default();
    scenario();
  } catch (const std::exception& error) {
    note("left by " + class_of(error));
  }
  note("end");
  summary::FileWriterCache::clear();
  add_events();
  fs::current_path(back);
  fs::remove_all(folder);
  std::vector<std::string> kept;
  for (const std::string& line : lines)
    if (const std::string text = comparable(line); !text.empty()) kept.push_back(text);
  set_log_sink({});
  return kept;
}

}  // namespace millrace::records

// Every run of a session comes through here: the linker puts these in the place of SessionCore::run (CMakeLists.txt).
#define MR_SESSION_RUN(prefix) \
  prefix##_ZN8millrace11SessionCore3runERKNS_10RunRequestEPSt6vectorINS_6TensorESaIS5_EEPNS_9RunReportE
extern "C" absl::Status MR_SESSION_RUN(__real_)(millrace::SessionCore*, const millrace::RunRequest&,
                                                std::vector<millrace::Tensor>*, millrace::RunReport*);
extern "C" absl::Status MR_SESSION_RUN(__wrap_)(millrace::SessionCore* core, const millrace::RunRequest& request,
                                                std::vector<millrace::Tensor>* fetched, millrace::RunReport* report) {
  millrace::records::note_run(*core->graph(), request);
  return MR_SESSION_RUN(__real_)(core, request, fetched, report);
}
