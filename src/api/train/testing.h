#pragma once
// What the tests of supervision share: a directory and the log of one test, a hook that notes its calls, a small model.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "io/record_reader.h"
#include "millrace/millrace.h"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/util/event.pb.h"

namespace millrace::train {

// The calls of hooks and whatever else a test notes, in order.
inline std::vector<std::string>& trace() {
  static std::vector<std::string> lines;
  return lines;
}

// Notes each call with the global step.
class Tracer : public SessionRunHook {
 public:
  explicit Tracer(std::string name) : name_(std::move(name)) {}
  void begin() override {
    step_ = get_global_step();
    trace().push_back(name_ + ".begin" + (get_default_graph().finalized() ? " finalized" : ""));
  }
  void after_create_session(Session& session, Coordinator&) override { note("after_create_session", session); }
  std::optional<SessionRunArgs> before_run(SessionRunContext&) override {
    trace().push_back(name_ + ".before_run");
    return std::nullopt;
  }
  void after_run(SessionRunContext& context, const SessionRunValues&) override { note("after_run", context.session()); }
  void end(Session&) override { trace().push_back(name_ + ".end"); }

 private:
  void note(const std::string& call, Session& session) {
    trace().push_back(name_ + "." + call + " " + std::to_string(global_step(session, step_)));
  }
  std::string name_;
  Variable step_;
};

struct Model {
  Output loss;
  Operation train;
};

// (1.5 w - 1)^2 from w = 2, by gradient descent.
inline Model make_model() {
  const Variable step = get_or_create_global_step();
  const Variable w = get_variable("w", GetVariableOptions{.initializer = Tensor(2.0f)});
  const Output loss = square(w * 1.5 - 1.0, {.name = "loss"});
  summary::scalar("loss", loss);
  return {loss, GradientDescentOptimizer(0.1).minimize(loss, {.global_step = step})};
}

class SupervisionTest : public testing::Test {
 protected:
  void SetUp() override {
    trace().clear();
    directory_ =
        std::filesystem::temp_directory_path() / ("millrace_" + std::to_string(::getpid()) + "_" +
                                                  testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(directory_);
    set_log_sink([this](LogLevel, std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      log_.emplace_back(line);
    });
  }
  void TearDown() override {
    set_log_sink({});
    summary::FileWriterCache::clear();
    std::filesystem::remove_all(directory_);
  }
  std::string dir() const { return directory_.string(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      const std::string name = entry.path().filename();
      names.push_back(name.starts_with("events") ? "events" : name);
    }
    std::ranges::sort(names);
    return names;
  }
  // Log lines without the numbers and names that differ each time.
  std::vector<std::string> log() const {
    const std::lock_guard lock(log_mutex_);
    std::vector<std::string> lines;
    for (std::string line : log_) {
      if (const size_t at = line.find("global_step/sec: "); at != std::string::npos) line = "global_step/sec";
      if (const size_t at = line.find(" ("); at != std::string::npos && line.ends_with(" sec)"))
        line = line.substr(0, at) + " (T sec)";
      for (size_t at; (at = line.find(dir())) != std::string::npos;) line.replace(at, dir().size(), "ck");
      lines.push_back(line);
    }
    return lines;
  }

 private:
  std::filesystem::path directory_;
  mutable std::mutex log_mutex_;
  std::vector<std::string> log_;
};

// All events of a directory's event files.
inline std::vector<tensorflow::Event> events_in(const std::string& directory) {
  std::vector<tensorflow::Event> events;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename().string().find("tfevents") == std::string::npos) continue;
    const auto reader = RecordReader::open(entry.path()).value();
    std::string record;
    while (reader->read(record).value()) events.emplace_back().ParseFromString(record);
  }
  return events;
}

// The same, each as "kind step".
inline std::vector<std::string> event_names(const std::string& directory) {
  const auto kind = [](const tensorflow::Event& event) -> std::string {
    switch (event.what_case()) {
      case tensorflow::Event::kGraphDef: return "graph";
      case tensorflow::Event::kMetaGraphDef: return "meta_graph";
      case tensorflow::Event::kSummary: return "summary:" + event.summary().value(0).tag();
      case tensorflow::Event::kSessionLog: return "session_log:" + std::to_string(event.session_log().status());
      case tensorflow::Event::kFileVersion: return "version";
      default: return "other";
    }
  };
  std::vector<std::string> names;
  for (const tensorflow::Event& event : events_in(directory))
    names.push_back(kind(event) + " " + std::to_string(event.step()));
  return names;
}

// The message of the error of class E that `body` throws.
template <class E, class Body> std::string error_of(Body body) {
  try {
    body();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another error: ") + e.what();
  }
  return "no error";
}

}  // namespace millrace::train
