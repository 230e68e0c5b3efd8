#pragma once
// Saves and restores variables in TensorFlow's checkpoint format (V2), and whole graphs as MetaGraphDefs.
//
//   tf::train::Saver saver;                                         // all variables; last, so that it sees them
//   std::string path = saver.save(session, "run/model.ckpt", {.global_step = 100});   // "run/model.ckpt-100"
//   saver.restore(session, *tf::train::latest_checkpoint("run"));
//
// A checkpoint appears whole or not at all: its files take their names once all bytes are on disk, and the state file
// `checkpoint` names it only then.

#include <concepts>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "millrace/session.h"
#include "millrace/variables.h"

namespace tensorflow {
class MetaGraphDef;  // <millrace/protos.h>
class SaverDef;
}  // namespace tensorflow

namespace millrace::train {

class SaverImpl;
struct SaveableImpl;

#pragma GCC visibility push(default)

// One tensor of a checkpoint.
struct SaveSpec {
  Output tensor = {};           // what to save
  std::string slice_spec = {};  // "" unless it is part of a larger one
  std::string name = {};        // in the checkpoint
};

// What a saver saves besides variables, such as the position of an iterator (millrace/data_experimental.h): tensors,
// and an operation that takes them back. In the collection SAVEABLE_OBJECTS it is saved by all savers that are not told
// what to save. A handle: copies are the same object.
class SaveableObject {
 public:
  // Makes the operation, in the saver's scope, from the restored tensors, one per spec.
  using Restore = std::function<Operation(const std::vector<Output>&)>;
  // `op` is what it is about. InvalidArgumentError without specs.
  SaveableObject(const Output& op, std::vector<SaveSpec> specs, std::string name, Restore restore);
  explicit SaveableObject(std::shared_ptr<SaveableImpl> impl) : impl_(std::move(impl)) {}
  const Output& op() const;
  const std::vector<SaveSpec>& specs() const;
  const std::string& name() const;
  Operation restore(const std::vector<Output>& restored_tensors) const;
  operator CollectionItem() const;  // NOLINT: for GraphKeys::SAVEABLE_OBJECTS

 private:
  std::shared_ptr<SaveableImpl> impl_;
};
std::vector<SaveableObject> saveable_objects();  // those of the collection

// What a saver may be told to save: variables, other objects, or lists that hold both.
//   tf::train::Saver({.var_list = {{w, tf::data::experimental::make_saveable_from_iterator(iterator)}}});
using Saveable = std::variant<Variable, SaveableObject>;
template <class T>
concept IsSaveable = std::convertible_to<const T&, Saveable>;
class VarList {
 public:
  VarList(std::initializer_list<Saveable> items) : items_(items) {}
  template <IsSaveable T> VarList(const std::vector<T>& items) : items_(items.begin(), items.end()) {}  // NOLINT
  const std::vector<Saveable>& items() const { return items_; }

 private:
  std::vector<Saveable> items_;
};
// The same under names of the caller's. Other objects have their tensors' names.
class VarMap {
 public:
  VarMap(std::initializer_list<std::pair<const std::string, Saveable>> items) : items_(items) {}
  template <IsSaveable T>
  VarMap(const std::map<std::string, T>& items) : items_(items.begin(), items.end()) {}  // NOLINT
  const std::map<std::string, Saveable>& items() const { return items_; }

 private:
  std::map<std::string, Saveable> items_;
};

// SaverDef.CheckpointFormatVersion. The first format is for readers from before TensorFlow 0.12.
enum class SaverVersion { kV1 = 1, kV2 = 2 };

struct SaverOptions {
  std::optional<VarList> var_list = {};            // all global variables, and the objects of SAVEABLE_OBJECTS
  std::optional<VarMap> var_map = {};              // under these names instead of their own
  bool reshape = false;                            // restore into variables of another shape, as many elements
  bool sharded = false;                            // one file per device
  int max_to_keep = 5;                             // 0: all, and the state file names the newest only
  double keep_checkpoint_every_n_hours = 10000.0;  // one kept for good in that time
  std::string name = {};                           // "save"
  bool restore_sequentially = false;  // changes nothing, as in TF1: one RestoreV2 reads all, one after another
  SaverVersion write_version = SaverVersion::kV2;
  bool defer_build = false;          // build() makes the operations, once all variables are there
  bool pad_step_number = false;      // model.ckpt-00000100
  bool save_relative_paths = false;  // in the state file
  bool allow_empty = false;          // no variables: save and restore do nothing
  std::string filename = "model";    // where save_op writes if nothing is fed
};

struct SaveOptions {
  std::optional<int64_t> global_step = {};  // appended to the path: PREFIX-100
  std::string latest_filename = "checkpoint";
  std::string meta_graph_suffix = "meta";
  bool write_meta_graph = true;
  bool write_state = true;
  bool strip_default_attrs = false;
};

// A handle: copies are the same saver.
class Saver {
 public:
  // InvalidArgumentError (TF1's ValueError) if there is nothing to save, two things have one name or one has two.
  explicit Saver(const SaverOptions& options = {});
  // A saver whose operations are in the default graph already, as after import_meta_graph.
  explicit Saver(const tensorflow::SaverDef& def);
  explicit Saver(std::shared_ptr<SaverImpl> impl) : impl_(std::move(impl)) {}
  explicit Saver(std::nullptr_t) {}  // no saver
  explicit operator bool() const { return impl_ != nullptr; }

  // Adds the operations of a saver made with defer_build to the default graph. FailedPreconditionError (TF1's
  // RuntimeError) from save and restore before that.
  void build() const;

  // Writes PREFIX.index, .data-*, .meta and the state file; returns PREFIX. What failed leaves earlier checkpoints
  // whole.
  std::string save(Session& session, const std::string& save_path, const SaveOptions& options = {});
  // NotFoundError for a missing checkpoint or a variable that it lacks, DataLossError for a damaged one,
  // InvalidArgumentError for another shape or dtype.
  void restore(Session& session, const std::string& save_path);

  // Oldest first. Restoring the list lets a new program go on deleting where the last one stopped.
  std::vector<std::string> last_checkpoints() const;
  void set_last_checkpoints_with_time(std::vector<std::pair<std::string, double>> checkpoints);
  void recover_last_checkpoints(const std::vector<std::string>& checkpoint_paths);

  tensorflow::SaverDef as_saver_def() const;
  // Writes, or only returns, the graph with its collections.
  tensorflow::MetaGraphDef export_meta_graph(const std::string& filename = {}, bool as_text = false) const;

  operator CollectionItem() const;  // NOLINT: for GraphKeys::SAVERS

  const std::shared_ptr<SaverImpl>& impl() const { return impl_; }

 private:
  std::shared_ptr<SaverImpl> impl_;
};

// The saver that a collection holds; none if the object is something else.
Saver saver_of(const std::shared_ptr<CollectionObject>& object);

// --- the state of a directory

// Nothing where there is no state file, or, with a warning, where it cannot be parsed.
struct CheckpointStateInfo {
  std::string model_checkpoint_path;
  std::vector<std::string> all_model_checkpoint_paths;  // oldest first
};
std::optional<CheckpointStateInfo> get_checkpoint_state(const std::string& checkpoint_dir,
                                                        const std::string& latest_filename = "checkpoint");
void update_checkpoint_state(const std::string& save_dir, const std::string& model_checkpoint_path,
                             const std::vector<std::string>& all_model_checkpoint_paths = {},
                             const std::string& latest_filename = "checkpoint");
// The newest checkpoint whose files are there; nothing if none.
std::optional<std::string> latest_checkpoint(const std::string& checkpoint_dir,
                                             const std::string& latest_filename = "checkpoint");
bool checkpoint_exists(const std::string& checkpoint_prefix);
// Names with shapes, sorted by name.
std::vector<std::pair<std::string, TensorShape>> list_variables(const std::string& checkpoint_dir_or_file);
Tensor load_variable(const std::string& checkpoint_dir_or_file, const std::string& name);

// --- graphs

struct ExportMetaGraphOptions {
  std::string filename = {};  // not written if empty
  bool as_text = false;
  bool clear_devices = false;
  bool strip_default_attrs = false;
};
tensorflow::MetaGraphDef export_meta_graph(const ExportMetaGraphOptions& options = {});

struct ImportMetaGraphOptions {
  bool clear_devices = false;
  std::string import_scope = {};
};
// Adds the graph of a .meta file (binary or text) and its collections to the default graph. The saver it names, or one
// over its variables; no saver if there are none.
Saver import_meta_graph(const std::string& filename, const ImportMetaGraphOptions& options = {});
Saver import_meta_graph(const tensorflow::MetaGraphDef& meta_graph, const ImportMetaGraphOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace::train
