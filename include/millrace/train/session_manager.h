#pragma once
// How a session becomes ready to use: initialized, restored from a checkpoint, or waited for while another process does
// one of these.
//
//   tf::train::SessionManager manager({.local_init_op = local_init, .ready_op = tf::report_uninitialized_variables()});
//   tf::Session session = manager.prepare_session("", {.init_op = init, .saver = saver, .checkpoint_dir = "run"});
//
// Thread-safe.

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "millrace/session.h"
#include "millrace/train/saver.h"

namespace millrace::train {

#pragma GCC visibility push(default)

struct SessionManagerOptions {
  Operation local_init_op = {};  // run after each creation; absent: nothing is
  // A vector of strings that is empty once the model is ready, else names what is not. Absent: always ready.
  Output ready_op = {};
  Output ready_for_local_init_op = {};  // the same before local_init_op, which must be given then
  std::optional<Graph> graph = {};      // the default graph
  double recovery_wait_secs = 30;       // between two looks at a checkpoint directory or a model
  RunOptions local_init_run_options = {};
  FeedDict local_init_feed_dict = {};
};

struct RecoverSessionOptions {
  Saver saver = Saver(nullptr);
  std::string checkpoint_dir = {};  // the newest checkpoint in it that is intact
  std::string checkpoint_filename_with_path = {};
  bool wait_for_checkpoint = false;
  double max_wait_secs = 7200;  // for a checkpoint, where asked to
  ConfigProto config = {};
};

struct PrepareSessionOptions {
  Operation init_op = {};
  Saver saver = Saver(nullptr);
  std::string checkpoint_dir = {};
  std::string checkpoint_filename_with_path = {};
  bool wait_for_checkpoint = false;
  double max_wait_secs = 7200;
  ConfigProto config = {};
  FeedDict init_feed_dict = {};
  std::function<void(Session&)> init_fn = {};  // after init_op
};

struct WaitForSessionOptions {
  ConfigProto config = {};
  double max_wait_secs = std::numeric_limits<double>::infinity();
};

class SessionManager {
 public:
  // InvalidArgumentError (TF1's ValueError) for a ready_for_local_init_op without local_init_op.
  explicit SessionManager(const SessionManagerOptions& options = {});

  // Restores the newest checkpoint, or runs init_op and init_fn where there is none; then local_init_op. A damaged
  // checkpoint is passed over for the one before, with a warning. FailedPreconditionError (TF1's RuntimeError), naming
  // the variables, if the model is not ready afterwards.
  Session prepare_session(const std::string& master, const PrepareSessionOptions& options = {}) const;
  // The same without initialization; false if the model could not be restored, or was not ready afterwards.
  std::pair<Session, bool> recover_session(const std::string& master, const RecoverSessionOptions& options = {}) const;
  // Makes sessions, one every recovery_wait_secs, until the model is ready in one. DeadlineExceededError once another
  // wait would pass max_wait_secs.
  Session wait_for_session(const std::string& master, const WaitForSessionOptions& options = {}) const;

 private:
  std::pair<Session, bool> restore_checkpoint(const std::string& master, const RecoverSessionOptions& options) const;
  // What is missing; nothing if all is there.
  std::optional<std::string> try_run_local_init_op(const Session& session) const;
  std::optional<std::string> model_not_ready(const Session& session) const;

  SessionManagerOptions options_;
};

#pragma GCC visibility pop

}  // namespace millrace::train
