#include "base/errors.h"
#include "millrace/train/monitored_session.h"
#include "millrace/train/session_manager.h"

namespace millrace::train {
namespace {

SessionManager manager_of(const Scaffold& scaffold) {
  return SessionManager({.local_init_op = scaffold.local_init_op(),
                         .ready_op = scaffold.ready_op(),
                         .ready_for_local_init_op = scaffold.ready_for_local_init_op(),
                         .local_init_feed_dict = scaffold.local_init_feed_dict()});
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
  return manager_of(scaffold).prepare_session(options_.master,
                                              {.init_op = scaffold.init_op(),
                                               .saver = scaffold.saver(),
                                               .checkpoint_dir = options_.checkpoint_dir,
                                               .checkpoint_filename_with_path = options_.checkpoint_filename_with_path,
                                               .config = options_.config,
                                               .init_feed_dict = scaffold.init_feed_dict(),
                                               .init_fn = scaffold.init_fn()});
}

WorkerSessionCreator::WorkerSessionCreator(const WorkerSessionCreatorOptions& options) : options_(options) {
  if (!options_.scaffold) options_.scaffold = std::make_shared<Scaffold>();
}

Session WorkerSessionCreator::create_session() {
  options_.scaffold->finalize();
  return manager_of(*options_.scaffold)
      .wait_for_session(options_.master, {.config = options_.config, .max_wait_secs = options_.max_wait_secs});
}

}  // namespace millrace::train
