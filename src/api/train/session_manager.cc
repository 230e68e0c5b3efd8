#include "millrace/train/session_manager.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/log.h"
#include "checkpoint/checkpoint_state.h"

namespace millrace::train {
namespace {

// What `op` says is missing; nothing if all is there. A run that meets an uninitialized variable says so too.
std::optional<std::string> missing(const Output& op, const Session& session, std::string_view what) {
  if (!op) return std::nullopt;
  try {
    const Tensor names = session.run(op);
    if (names.dtype() == int32 || names.num_elements() == 0) return std::nullopt;
    std::string text = "Variables not initialized: ";
    const auto all = names.flat<std::string>();
    for (size_t i = 0; i < all.size(); ++i) str_append(&text, i ? ", " : "", all[i]);
    return text;
  } catch (const errors::FailedPreconditionError& e) {
    if (!absl::StrContains(e.what(), "uninitialized")) {
      log_warning(what, " : error [", e.what(), "]");
      throw;
    }
    return e.what();
  }
}

// What is worth trying an older checkpoint for: this one is damaged, not wrong for the graph.
bool is_damage(const errors::OpError& e) {
  return e.code() == errors::Code::kDataLoss || e.code() == errors::Code::kOutOfRange;
}

void restore_newest_intact(Session& session, Saver saver, const std::string& checkpoint_dir,
                           const CheckpointState& state) {
  const std::vector<std::string> candidates = checkpoints_newest_first(checkpoint_dir);
  if (candidates.empty()) {
    saver.restore(session, state.model_checkpoint_path);  // says that it is missing
    return;
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    try {
      saver.restore(session, candidates[i]);
      break;
    } catch (const errors::OpError& e) {
      if (!is_damage(e) || i + 1 == candidates.size()) throw;
      log_warning("Checkpoint ", candidates[i], " is damaged (", e.what(), "); trying the one before it, ",
                  candidates[i + 1]);
    }
  }
  saver.recover_last_checkpoints(state.all_model_checkpoint_paths);
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(std::max(0.0, seconds))); }

// The state of the directory; waits for one if asked to. A state file that cannot be read is an error here: starting
// anew would write over the checkpoints it named.
std::optional<CheckpointState> wait_for_state(const RecoverSessionOptions& o, double recovery_wait_secs) {
  double waited = 0;
  while (true) {
    std::optional<CheckpointState> state = value_or_raise(millrace::get_checkpoint_state(o.checkpoint_dir));
    if (state && !state->model_checkpoint_path.empty()) return state;
    if (!o.wait_for_checkpoint || waited >= o.max_wait_secs) return std::nullopt;
    log_info("Waiting for checkpoint to be available.");
    sleep_for(recovery_wait_secs);
    waited += recovery_wait_secs;
  }
}

std::string name_or_none(const Operation& op) { return op ? op.name() : "None"; }
std::string text_or_none(const std::optional<std::string>& text) { return text.value_or("None"); }

}  // namespace

SessionManager::SessionManager(const SessionManagerOptions& options) : options_(options) {
  if (!options_.graph) options_.graph = get_default_graph();
  if (options_.ready_for_local_init_op && !options_.local_init_op) {
    raise(invalid_argument(
        "If you pass a ready_for_local_init_op you must also pass a local_init_op , ready_for_local_init_op [",
        options_.ready_for_local_init_op.name(), "]"));
  }
  if (!(options_.recovery_wait_secs > 0))
    raise(invalid_argument("SessionManager: recovery_wait_secs must be > 0, got ", options_.recovery_wait_secs));
}

std::pair<Session, bool> SessionManager::restore_checkpoint(const std::string& master,
                                                            const RecoverSessionOptions& o) const {
  Session session({.target = master, .graph = options_.graph, .config = o.config});
  if (!o.checkpoint_dir.empty() && !o.checkpoint_filename_with_path.empty())
    raise(invalid_argument("Can not provide both checkpoint_dir and checkpoint_filename_with_path."));
  if (!o.saver) return {session, false};
  if (!o.checkpoint_filename_with_path.empty()) {
    Saver(o.saver).restore(session, o.checkpoint_filename_with_path);
    return {session, true};
  }
  if (o.checkpoint_dir.empty()) return {session, false};
  const std::optional<CheckpointState> state = wait_for_state(o, options_.recovery_wait_secs);
  if (!state) return {session, false};
  restore_newest_intact(session, o.saver, o.checkpoint_dir, *state);
  return {session, true};
}

std::optional<std::string> SessionManager::try_run_local_init_op(const Session& session) const {
  if (!options_.local_init_op) return std::nullopt;
  if (auto why = missing(options_.ready_for_local_init_op, session, "Model not ready for local init")) return why;
  log_info("Running local_init_op.");
  session.run(options_.local_init_op, options_.local_init_feed_dict, options_.local_init_run_options);
  log_info("Done running local_init_op.");
  return std::nullopt;
}

std::optional<std::string> SessionManager::model_not_ready(const Session& session) const {
  return missing(options_.ready_op, session, "Model not ready");
}

Session SessionManager::prepare_session(const std::string& master, const PrepareSessionOptions& o) const {
  auto [session, restored] =
      restore_checkpoint(master, {.saver = o.saver,
                                  .checkpoint_dir = o.checkpoint_dir,
                                  .checkpoint_filename_with_path = o.checkpoint_filename_with_path,
                                  .wait_for_checkpoint = o.wait_for_checkpoint,
                                  .max_wait_secs = o.max_wait_secs,
                                  .config = o.config});
  if (!restored) {
    if (!o.init_op && !o.init_fn && !options_.local_init_op)
      raise(failed_precondition("Model is not initialized and no init_op or init_fn or local_init_op was given"));
    if (o.init_op) session.run(o.init_op, o.init_feed_dict);
    if (o.init_fn) o.init_fn(session);
  }
  const std::string tried =
      str_cat("  Init op: ", name_or_none(o.init_op), ", init fn: ", o.init_fn ? "given" : "None");
  if (const auto why = try_run_local_init_op(session)) {
    raise(failed_precondition("Init operations did not make model ready for local_init.", tried, ", error: ", *why));
  }
  if (const auto why = model_not_ready(session)) {
    raise(failed_precondition("Init operations did not make model ready.", tried,
                              ", local_init_op: ", name_or_none(options_.local_init_op), ", error: ", *why));
  }
  return session;
}

std::pair<Session, bool> SessionManager::recover_session(const std::string& master,
                                                         const RecoverSessionOptions& o) const {
  auto [session, restored] = restore_checkpoint(master, o);
  const auto not_ready_for_local_init = try_run_local_init_op(session);
  if (!restored) return {session, false};
  const std::string& from = o.checkpoint_dir.empty() ? o.checkpoint_filename_with_path : o.checkpoint_dir;
  if (not_ready_for_local_init) {
    log_info("Restoring model from ", from, " did not make model ready for local init: ", *not_ready_for_local_init);
    return {session, false};
  }
  if (const auto why = model_not_ready(session)) {
    log_info("Restoring model from ", from, " did not make model ready: ", *why);
    return {session, false};
  }
  log_info("Restored model from ", from);
  return {session, true};
}

Session SessionManager::wait_for_session(const std::string& master, const WaitForSessionOptions& o) const {
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    const Session session({.target = master, .graph = options_.graph, .config = o.config});
    const std::optional<std::string> not_ready_for_local_init = try_run_local_init_op(session);
    std::optional<std::string> not_ready;
    if (!not_ready_for_local_init) {
      not_ready = model_not_ready(session);
      if (!not_ready) return session;
    }
    session.close();
    const double waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (std::max(0.0, o.max_wait_secs - waited) < options_.recovery_wait_secs) {
      raise(absl::DeadlineExceededError(str_cat("Session was not ready after waiting ",
                                                static_cast<int64_t>(std::max(0.0, o.max_wait_secs)), " secs.")));
    }
    log_info("Waiting for model to be ready.  Ready_for_local_init_op:  ", text_or_none(not_ready_for_local_init),
             ", ready: ", text_or_none(not_ready));
    sleep_for(options_.recovery_wait_secs);
  }
}

}  // namespace millrace::train
