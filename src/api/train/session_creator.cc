// How a supervised session starts: initialized, or restored from the newest checkpoint that is intact.

#include "base/errors.h"
#include "base/log.h"
#include "checkpoint/checkpoint_state.h"
#include "millrace/train/monitored_session.h"

namespace millrace::train {
namespace {

// The names in a tensor of uninitialized variables; empty if all are ready.
std::string not_ready(Session& session, const Output& ready_op) {
  if (!ready_op) return {};
  const Tensor names = session.run(ready_op);
  if (names.num_elements() == 0) return {};
  std::string text = "Variables not initialized: ";
  const auto all = names.flat<std::string>();
  for (size_t i = 0; i < all.size(); ++i) str_append(&text, i ? ", " : "", all[i]);
  return text;
}

// What is worth trying an older checkpoint for: this one is damaged, not wrong for the graph.
bool is_damage(const errors::OpError& e) {
  return e.code() == errors::Code::kDataLoss || e.code() == errors::Code::kOutOfRange;
}

bool restore_newest_intact(Session& session, Saver saver, const std::string& checkpoint_dir) {
  // A state file that cannot be read is an error here: starting anew would write over the checkpoints it named.
  const std::optional<CheckpointState> state = value_or_raise(millrace::get_checkpoint_state(checkpoint_dir));
  if (!state || state->model_checkpoint_path.empty()) return false;
  const std::vector<std::string> candidates = checkpoints_newest_first(checkpoint_dir);
  if (candidates.empty()) {
    saver.restore(session, state->model_checkpoint_path);  // says that it is missing
    return true;
  }
  for (size_t i = 0; i < candidates.size(); ++i) {
    try {
      saver.restore(session, candidates[i]);
    } catch (const errors::OpError& e) {
      if (!is_damage(e) || i + 1 == candidates.size()) throw;
      log_warning("Checkpoint ", candidates[i], " is damaged (", e.what(), "); trying the one before it, ",
                  candidates[i + 1]);
      continue;
    }
    break;
  }
  saver.recover_last_checkpoints(state->all_model_checkpoint_paths);
  return true;
}

std::string name_or_none(const Operation& op) { return op ? op.name() : "None"; }

void run_local_init(Session& session, const Scaffold& scaffold) {
  const auto describe = [&] {
    return str_cat("Init op: ", name_or_none(scaffold.init_op()), ", init fn: ", scaffold.init_fn() ? "given" : "None",
                   ", local_init_op: ", name_or_none(scaffold.local_init_op()));
  };
  if (scaffold.local_init_op()) {
    if (const std::string missing = not_ready(session, scaffold.ready_for_local_init_op()); !missing.empty()) {
      raise(failed_precondition("Init operations did not make model ready for local_init. ", describe(),
                                ", error: ", missing));
    }
    log_info("Running local_init_op.");
    session.run(scaffold.local_init_op());
    log_info("Done running local_init_op.");
  }
  if (const std::string missing = not_ready(session, scaffold.ready_op()); !missing.empty()) {
    raise(failed_precondition("Init operations did not make model ready. ", describe(), ", error: ", missing));
  }
}

}  // namespace

ChiefSessionCreator::ChiefSessionCreator(const ChiefSessionCreatorOptions& options) : options_(options) {
  if (!options_.scaffold) options_.scaffold = std::make_shared<Scaffold>();
  if (!options_.checkpoint_dir.empty() && !options_.checkpoint_filename_with_path.empty()) {
    raise(invalid_argument("Can not provide both checkpoint_dir and checkpoint_filename_with_path."));
  }
}

Session ChiefSessionCreator::create_session() {
  Scaffold& scaffold = *options_.scaffold;
  scaffold.finalize();
  Session session({.target = options_.master, .graph = get_default_graph(), .config = options_.config});
  bool restored = false;
  if (!options_.checkpoint_filename_with_path.empty()) {
    Saver(scaffold.saver()).restore(session, options_.checkpoint_filename_with_path);
    restored = true;
  } else if (!options_.checkpoint_dir.empty() && scaffold.saver()) {
    restored = restore_newest_intact(session, scaffold.saver(), options_.checkpoint_dir);
  }
  if (!restored) {
    if (scaffold.init_op()) session.run(scaffold.init_op(), scaffold.init_feed_dict());
    if (scaffold.init_fn()) scaffold.init_fn()(session);
  }
  run_local_init(session, scaffold);
  return session;
}

}  // namespace millrace::train
