#pragma once
// The file `checkpoint` of a directory: which checkpoints it holds and which is the latest (CheckpointState in text
// form). Always replaced as a whole, after the checkpoint it names is on disk.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace millrace {

inline constexpr const char* kCheckpointStateFile = "checkpoint";

struct CheckpointState {
  std::string model_checkpoint_path = {};
  std::vector<std::string> all_model_checkpoint_paths = {};  // oldest first
  std::vector<double> all_model_checkpoint_timestamps = {};
  double last_preserved_timestamp = 0;

  friend bool operator==(const CheckpointState&, const CheckpointState&) = default;
};

// DataLoss, with line and column, for text that is no CheckpointState.
absl::StatusOr<CheckpointState> parse_checkpoint_state(std::string_view text);
std::string checkpoint_state_text(const CheckpointState& state);

// The directory's state with absolute paths as they are and others under the directory; nothing if there is no state
// file. An error if the file cannot be read or parsed (DataLoss), or names no checkpoint (InvalidArgument).
absl::StatusOr<std::optional<CheckpointState>> get_checkpoint_state(
    const std::string& directory, const std::string& latest_filename = kCheckpointStateFile);

struct UpdateCheckpointState {
  std::string latest_filename = kCheckpointStateFile;
  bool save_relative_paths = false;
};
// Writes the state file durably. Paths that are not absolute are taken as relative to the working directory, as in TF1,
// and stand in the file as relative to `directory` (if that is not absolute itself). The newest path is appended to the
// list where it is missing. FailedPrecondition if the state file would take the checkpoint's name; InvalidArgument if
// the timestamps are not as many as the paths.
absl::Status update_checkpoint_state(const std::string& directory, CheckpointState state,
                                     const UpdateCheckpointState& options = {});

// The newest checkpoint of the directory that has files; nothing if there is none. Problems are logged, as in TF1.
std::optional<std::string> latest_checkpoint(const std::string& directory,
                                             const std::string& latest_filename = kCheckpointStateFile);
// All checkpoints that the state lists and that have files, newest first: the order to try them in when some are
// damaged.
std::vector<std::string> checkpoints_newest_first(const std::string& directory,
                                                  const std::string& latest_filename = kCheckpointStateFile);

}  // namespace millrace
