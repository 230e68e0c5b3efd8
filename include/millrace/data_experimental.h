#pragma once
// What TF1 has as tf.data.experimental.

#include <string>

#include "millrace/data.h"
#include "millrace/train/saver.h"
#include "millrace/train/session_run_hook.h"

namespace millrace::data::experimental {

#pragma GCC visibility push(default)

// The iterator's position, buffers and random state included, for a Saver:
//
//   tf::add_to_collection(tf::GraphKeys::SAVEABLE_OBJECTS, tf::data::experimental::make_saveable_from_iterator(it));
//   tf::train::Saver saver;                          // or a MonitoredTrainingSession's
//
// Make it before the saver. A state restored before the iterator's first initialization takes effect with that.
// `external_state_policy` says what a save does where functions of the pipeline have state of their own, such as random
// ops: "fail" with FailedPreconditionError, "warn" or "ignore". InvalidArgumentError (TF1's ValueError) for another
// one.
train::SaveableObject make_saveable_from_iterator(const Iterator& iterator,
                                                  const std::string& external_state_policy = "fail");

// Has a supervised session save, with the model, where its input pipelines stand, so that a run that was interrupted
// goes on with the very next element: in its begin() it makes a saveable of each iterator of the graph. TF1's takes an
// estimator and keeps files of its own. The session's saver must not have been made before (Scaffold::saver).
class CheckpointInputPipelineHook : public train::SessionRunHook {
 public:
  struct Options {
    std::string external_state_policy = "fail";
  };
  CheckpointInputPipelineHook() : CheckpointInputPipelineHook(Options{}) {}
  explicit CheckpointInputPipelineHook(const Options& options);  // InvalidArgumentError for another policy
  // FailedPreconditionError where the graph has no iterators, or a saver already.
  void begin() override;

 private:
  Options options_;
};

#pragma GCC visibility pop

}  // namespace millrace::data::experimental
