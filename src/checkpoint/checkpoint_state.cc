#include "checkpoint/checkpoint_state.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "checkpoint/bundle_reader.h"
#include "io/durable_file.h"
#include "tensorflow/python/training/checkpoint_state.pb.h"

namespace millrace {
namespace {

constexpr uint64_t kMaxStateBytes = 64 << 20;

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text.empty()) text = str_cat(line + 1, ":", column + 1, ": ", message);
  }
  std::string text;
};

std::string relative_to(const std::string& path, const std::string& directory) {
  namespace fs = std::filesystem;
  const fs::path base = fs::path(directory.empty() ? "." : directory).lexically_normal();
  const fs::path relative = fs::path(path).lexically_normal().lexically_relative(base);
  return relative.empty() ? path : relative.string();
}

// Calls change(path) for every path of the state.
template <class Change> void for_each_path(CheckpointState& state, Change change) {
  change(state.model_checkpoint_path);
  for (std::string& path : state.all_model_checkpoint_paths) change(path);
}

}  // namespace

absl::StatusOr<CheckpointState> parse_checkpoint_state(std::string_view text) {
  tensorflow::CheckpointState proto;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(10);
  if (!parser.ParseFromString(std::string(text), &proto)) {
    return data_loss("Could not parse the checkpoint state: ", error.text);
  }
  CheckpointState state;
  state.model_checkpoint_path = proto.model_checkpoint_path();
  state.all_model_checkpoint_paths.assign(proto.all_model_checkpoint_paths().begin(),
                                          proto.all_model_checkpoint_paths().end());
  state.all_model_checkpoint_timestamps.assign(proto.all_model_checkpoint_timestamps().begin(),
                                               proto.all_model_checkpoint_timestamps().end());
  state.last_preserved_timestamp = proto.last_preserved_timestamp();
  return state;
}

std::string checkpoint_state_text(const CheckpointState& state) {
  tensorflow::CheckpointState proto;
  proto.set_model_checkpoint_path(state.model_checkpoint_path);
  for (const std::string& path : state.all_model_checkpoint_paths) proto.add_all_model_checkpoint_paths(path);
  for (const double time : state.all_model_checkpoint_timestamps) proto.add_all_model_checkpoint_timestamps(time);
  proto.set_last_preserved_timestamp(state.last_preserved_timestamp);
  std::string text;
  google::protobuf::TextFormat::PrintToString(proto, &text);
  return text;
}

absl::StatusOr<std::optional<CheckpointState>> get_checkpoint_state(const std::string& directory,
                                                                    const std::string& latest_filename) {
  const std::string path = join_path(directory, latest_filename);
  const auto text = read_file(path, kMaxStateBytes);
  if (absl::IsNotFound(text.status())) return std::optional<CheckpointState>();
  MR_RETURN_IF_ERROR(text.status());
  auto state = parse_checkpoint_state(*text);
  if (!state.ok()) return annotate(state.status(), path);
  if (state->model_checkpoint_path.empty()) {
    return invalid_argument("Invalid checkpoint state loaded from ", path, ": it names no checkpoint");
  }
  for_each_path(*state, [&](std::string& p) {
    if (!is_absolute_path(p)) p = join_path(directory, p);
  });
  return std::optional<CheckpointState>(*std::move(state));
}

absl::Status update_checkpoint_state(const std::string& directory, CheckpointState state,
                                     const UpdateCheckpointState& options) {
  const std::string path = join_path(directory, options.latest_filename);
  if (path == state.model_checkpoint_path) {
    return failed_precondition("Save path '", state.model_checkpoint_path,
                               "' conflicts with path used for checkpoint state.  Please use a different save path.");
  }
  auto& all = state.all_model_checkpoint_paths;
  if (all.empty() || all.back() != state.model_checkpoint_path) {
    log_info(state.model_checkpoint_path, " is not in all_model_checkpoint_paths. Manually adding it.");
    all.push_back(state.model_checkpoint_path);
  }
  if (!state.all_model_checkpoint_timestamps.empty() && state.all_model_checkpoint_timestamps.size() != all.size()) {
    return invalid_argument("Checkpoint timestamps, if provided, must match checkpoint paths (got ", all.size(),
                            " paths and ", state.all_model_checkpoint_timestamps.size(), " timestamps)");
  }
  const bool directory_is_absolute = is_absolute_path(directory);
  for_each_path(state, [&](std::string& p) {
    const bool make_relative = is_absolute_path(p) ? options.save_relative_paths : !directory_is_absolute;
    if (make_relative) p = relative_to(p, directory);
  });
  return write_file_durably(path, checkpoint_state_text(state));
}

std::vector<std::string> checkpoints_newest_first(const std::string& directory, const std::string& latest_filename) {
  std::vector<std::string> found;
  const auto state = get_checkpoint_state(directory, latest_filename);
  if (!state.ok())
    log_warning(join_path(directory, latest_filename), ": Checkpoint ignored: ", state.status().ToString());
  if (!state.ok() || !*state) return found;
  const auto consider = [&](const std::string& path) {
    if (std::find(found.begin(), found.end(), path) == found.end() && checkpoint_exists(path)) found.push_back(path);
  };
  consider((*state)->model_checkpoint_path);
  const auto& all = (*state)->all_model_checkpoint_paths;
  std::for_each(all.rbegin(), all.rend(), consider);
  return found;
}

std::optional<std::string> latest_checkpoint(const std::string& directory, const std::string& latest_filename) {
  const auto state = get_checkpoint_state(directory, latest_filename);
  if (!state.ok())
    log_warning(join_path(directory, latest_filename), ": Checkpoint ignored: ", state.status().ToString());
  if (!state.ok() || !*state) return std::nullopt;
  const std::string& path = (*state)->model_checkpoint_path;
  if (checkpoint_exists(path)) return path;
  log_error("Couldn't match files for checkpoint ", path);
  return std::nullopt;
}

}  // namespace millrace
