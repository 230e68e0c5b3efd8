#pragma once
// Hooks: code that a supervised session calls at fixed places around each run.
//
//   class Tally : public tf::train::SessionRunHook {
//     void after_run(tf::train::SessionRunContext&, const tf::train::SessionRunValues&) override { ++runs; }
//   };
//
// Calls come in TF1's order: begin; the graph is finalized; after_create_session (again after each recovery); around
// each run before_run and after_run; end, only if the loop ended without an error. An exception from a hook ends the
// session.

#include <concepts>
#include <memory>
#include <optional>
#include <vector>

#include "millrace/session.h"

namespace millrace::train {

#pragma GCC visibility push(default)

class Coordinator;

// What to run: what the caller asked for, or what a hook adds.
struct SessionRunArgs {
  std::vector<Fetch> fetches = {};
  FeedDict feed_dict = {};
  std::optional<RunOptions> options = {};
};

struct SessionRunValues {
  std::vector<Tensor> results;  // of the fetches this hook asked for, in its order; without value for operations
  const RunOptions& options;
  const RunMetadata& run_metadata;
};

class SessionRunContext {
 public:
  SessionRunContext(const SessionRunArgs& original_args, Session session)
      : original_args_(original_args), session_(std::move(session)) {}
  const SessionRunArgs& original_args() const { return original_args_; }
  Session& session() { return session_; }  // not supervised: for further runs from a hook
  bool stop_requested() const { return stop_requested_; }
  void request_stop() { stop_requested_ = true; }

 private:
  const SessionRunArgs& original_args_;
  Session session_;
  bool stop_requested_ = false;
};

class SessionRunHook {
 public:
  virtual ~SessionRunHook() = default;
  // Once, while the graph may still change.
  virtual void begin() {}
  // The graph is final; variables are initialized or restored.
  virtual void after_create_session(Session& session, Coordinator& coord) {}
  // What to run besides; nothing: no addition.
  virtual std::optional<SessionRunArgs> before_run(SessionRunContext& context) { return std::nullopt; }
  virtual void after_run(SessionRunContext& context, const SessionRunValues& values) {}
  virtual void end(Session& session) {}
};

// A handle to a hook, so that lists of hooks read well: {StopAtStepHook({.last_step = 100}), my_hook}.
class Hook {
 public:
  template <std::derived_from<SessionRunHook> T>
  Hook(T hook) : hook_(std::make_shared<T>(std::move(hook))) {}                                             // NOLINT
  template <std::derived_from<SessionRunHook> T> Hook(std::shared_ptr<T> hook) : hook_(std::move(hook)) {}  // NOLINT
  SessionRunHook* operator->() const { return hook_.get(); }
  SessionRunHook& operator*() const { return *hook_; }
  const std::shared_ptr<SessionRunHook>& get() const { return hook_; }

 private:
  std::shared_ptr<SessionRunHook> hook_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
