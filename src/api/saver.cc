#include "millrace/train/saver.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>

#include "absl/strings/str_format.h"
#include "api/meta_graph.h"
#include "api/op_builder.h"
#include "api/saver_builder.h"
#include "base/log.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_state.h"
#include "graph/graph_def.h"
#include "io/durable_file.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saver.pb.h"

namespace millrace::train {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::vector<Saveable> all_saveables() {
  std::vector<Saveable> all;
  std::set<std::string> names;  // a variable may stand in the collection twice
  for (const Variable& v : global_variables())
    if (names.insert(v.op().name()).second) all.emplace_back(v);
  for (const SaveableObject& object : saveable_objects()) all.emplace_back(object);
  return all;
}

const Node* node_of(const Saveable& saveable) {
  if (const auto* variable = std::get_if<Variable>(&saveable)) return variable->op().node();
  return std::get<SaveableObject>(saveable).op().node();
}

void check_is_there(const Saveable& saveable) {
  const auto* variable = std::get_if<Variable>(&saveable);
  if (variable != nullptr && !*variable) raise(invalid_argument("Saver: a variable to save is absent"));
}

std::string own_name(const Saveable& saveable) {
  check_is_there(saveable);
  if (const auto* variable = std::get_if<Variable>(&saveable)) return variable->op().name();
  return std::get<SaveableObject>(saveable).name();
}

std::map<std::string, Saveable> saveables_by_name(const SaverOptions& o) {
  if (o.var_list && o.var_map) raise(invalid_argument("Saver: both var_list and var_map say what to save"));
  std::map<std::string, Saveable> by_name;
  if (o.var_map) {
    by_name = o.var_map->items();
  } else {
    for (const Saveable& saveable : o.var_list ? o.var_list->items() : all_saveables()) {
      if (!by_name.emplace(own_name(saveable), saveable).second)
        raise(invalid_argument("At least two variables have the same name: ", own_name(saveable)));
    }
  }
  std::set<const Node*> saved;
  for (const auto& [name, saveable] : by_name) {
    check_is_there(saveable);
    const Node* node = node_of(saveable);
    if (node != nullptr && !saved.insert(node).second)
      raise(invalid_argument("The same saveable will be restored with two names: ", name));
  }
  return by_name;
}

}  // namespace

// --- SaveableObject

struct SaveableImpl final : public CollectionObject {
  std::string name() const override { return own_name; }

  Output op;
  std::vector<SaveSpec> specs;
  std::string own_name;
  SaveableObject::Restore restore;
};

SaveableObject::SaveableObject(const Output& op, std::vector<SaveSpec> specs, std::string name, Restore restore)
    : impl_(std::make_shared<SaveableImpl>()) {
  if (specs.empty()) raise(invalid_argument("SaveableObject '", name, "': nothing to save, specs is empty"));
  impl_->op = op;
  impl_->specs = std::move(specs);
  impl_->own_name = std::move(name);
  impl_->restore = std::move(restore);
}

const Output& SaveableObject::op() const { return impl_->op; }
const std::vector<SaveSpec>& SaveableObject::specs() const { return impl_->specs; }
const std::string& SaveableObject::name() const { return impl_->own_name; }
Operation SaveableObject::restore(const std::vector<Output>& restored_tensors) const {
  return impl_->restore(restored_tensors);
}
SaveableObject::operator CollectionItem() const { return std::shared_ptr<CollectionObject>(impl_); }

std::vector<SaveableObject> saveable_objects() {
  std::vector<SaveableObject> objects;
  for (const auto& item : get_collection<std::shared_ptr<CollectionObject>>(GraphKeys::SAVEABLE_OBJECTS))
    if (auto object = std::dynamic_pointer_cast<SaveableImpl>(item)) objects.emplace_back(std::move(object));
  return objects;
}

// --- Saver

class SaverImpl final : public CollectionObject {
 public:
  struct Kept {
    std::string path;
    double time;
  };

  std::string to_proto() const override { return def().SerializeAsString(); }

  tensorflow::SaverDef def() const {
    tensorflow::SaverDef d;
    if (is_empty) return d;
    d.set_filename_tensor_name(filename_tensor);
    d.set_save_tensor_name(save_tensor);
    d.set_restore_op_name(restore_op);
    d.set_max_to_keep(options.max_to_keep);
    d.set_sharded(options.sharded);
    d.set_keep_checkpoint_every_n_hours(static_cast<float>(options.keep_checkpoint_every_n_hours));
    d.set_version(options.write_version == SaverVersion::kV1 ? tensorflow::SaverDef::V1 : tensorflow::SaverDef::V2);
    return d;
  }

  // Adds the operations to the default graph.
  void build() {
    needs_build = false;
    const std::map<std::string, Saveable> saveables = saveables_by_name(options);
    if (saveables.empty()) {
      if (!options.allow_empty) raise(invalid_argument("No variables to save"));
      is_empty = true;
      return;
    }
    const SaverOps ops = build_saver_ops(saveables, options);
    filename_tensor = ops.filename.name();
    save_tensor = ops.save.name();
    restore_op = ops.restore.name();
  }

  // Appends the newest; gives what is now too old to stay. A saver that keeps all remembers none.
  std::vector<std::string> record(const std::string& path) {
    const std::lock_guard lock(mutex);
    std::vector<std::string> old;
    if (options.max_to_keep <= 0) return old;
    std::erase_if(kept, [&](const Kept& k) { return k.path == path; });
    kept.push_back({path, now_seconds()});
    while (kept.size() > static_cast<size_t>(options.max_to_keep)) {
      const Kept oldest = kept.front();
      kept.erase(kept.begin());
      if (oldest.time > next_preserved) {
        next_preserved += options.keep_checkpoint_every_n_hours * 3600;
        continue;  // this one stays for good
      }
      old.push_back(oldest.path);
    }
    return old;
  }

  CheckpointState state(const std::string& newest) const {
    const std::lock_guard lock(mutex);
    CheckpointState s;
    s.model_checkpoint_path = newest;
    for (const Kept& k : kept) {
      s.all_model_checkpoint_paths.push_back(k.path);
      s.all_model_checkpoint_timestamps.push_back(k.time);
    }
    s.last_preserved_timestamp = next_preserved - options.keep_checkpoint_every_n_hours * 3600;
    return s;
  }

  SaverOptions options;
  bool is_empty = false;     // no variables, and that is allowed
  bool needs_build = false;  // defer_build
  std::string filename_tensor, save_tensor, restore_op;
  mutable std::mutex mutex;
  std::vector<Kept> kept;  // oldest first
  double next_preserved = 0;
};

Saver::Saver(const SaverOptions& options) : impl_(std::make_shared<SaverImpl>()) {
  impl_->options = options;
  impl_->next_preserved = now_seconds() + options.keep_checkpoint_every_n_hours * 3600;
  impl_->needs_build = options.defer_build;
  if (!options.defer_build) {
    impl_->build();
  } else if (options.var_list || options.var_map) {
    raise(invalid_argument(
        "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or var_list=None."));
  }
}

void Saver::build() const {
  if (impl_->needs_build) impl_->build();
}

Saver::Saver(const tensorflow::SaverDef& def) : impl_(std::make_shared<SaverImpl>()) {
  if (def.version() == tensorflow::SaverDef::V1) impl_->options.write_version = SaverVersion::kV1;
  impl_->options.max_to_keep = def.max_to_keep();
  impl_->options.sharded = def.sharded();
  impl_->options.keep_checkpoint_every_n_hours = def.keep_checkpoint_every_n_hours();
  impl_->next_preserved = now_seconds() + impl_->options.keep_checkpoint_every_n_hours * 3600;
  impl_->filename_tensor = def.filename_tensor_name();
  impl_->save_tensor = def.save_tensor_name();
  impl_->restore_op = def.restore_op_name();
  impl_->is_empty = def.save_tensor_name().empty();
}

std::string Saver::save(Session& session, const std::string& save_path, const SaveOptions& o) {
  if (impl_->needs_build) raise(failed_precondition("`build()` should be called before save if defer_build==True"));
  if (save_path.empty()) raise(invalid_argument("Saver::save: save_path must not be empty"));
  if (o.latest_filename.find('/') != std::string::npos) {
    raise(invalid_argument("Saver::save: latest_filename must not contain a path: ", o.latest_filename));
  }
  std::string prefix = save_path;
  if (o.global_step) {
    prefix = impl_->options.pad_step_number ? absl::StrFormat("%s-%08d", save_path, *o.global_step)
                                            : str_cat(save_path, "-", *o.global_step);
  } else if (save_path == o.latest_filename || std::string(file_name_of(save_path)) == o.latest_filename) {
    raise(invalid_argument("'latest_filename' collides with 'save_path': '", o.latest_filename, "' and '", save_path,
                           "'"));
  }
  if (impl_->is_empty) return {};
  const Graph graph = session.graph();
  std::string saved;
  try {
    saved = session
                .run(graph.get_tensor_by_name(impl_->save_tensor),
                     {{graph.get_tensor_by_name(impl_->filename_tensor), Tensor(prefix)}})
                .scalar<std::string>();
  } catch (const errors::NotFoundError& e) {
    const std::string parent(directory_of(save_path));
    FileSystem* files = value_or_raise(file_system_for(save_path));
    if (!parent.empty() && !files->is_directory(parent)) {
      raise(invalid_argument("Parent directory of ", save_path, " doesn't exist, can't save."));
    }
    throw;
  }
  if (o.write_meta_graph) {
    tensorflow::MetaGraphDef meta;
    to_meta_graph(graph, {.strip_default_attrs = o.strip_default_attrs}, &meta);
    *meta.mutable_saver_def() = impl_->def();
    raise_if_error(write_file_durably(meta_graph_path(prefix, o.meta_graph_suffix), deterministic_bytes(meta)));
  }
  if (o.write_state) {
    const std::vector<std::string> old = impl_->record(saved);
    raise_if_error(update_checkpoint_state(
        std::string(directory_of(save_path)), impl_->state(saved),
        {.latest_filename = o.latest_filename, .save_relative_paths = impl_->options.save_relative_paths}));
    for (const std::string& path : old) {
      if (const absl::Status s = remove_checkpoint(path); !s.ok())
        log_warning("cannot delete the old checkpoint ", path, ": ", to_std(s.message()));
    }
  }
  return saved;
}

void Saver::restore(Session& session, const std::string& save_path) {
  if (impl_->needs_build) raise(failed_precondition("`build()` should be called before restore if defer_build==True"));
  if (impl_->is_empty) return;
  if (save_path.empty()) raise(invalid_argument("Can't load save_path when it is empty."));
  if (!millrace::checkpoint_exists(save_path))
    raise(invalid_argument("The passed save_path is not a valid checkpoint: ", save_path));
  log_info("Restoring parameters from ", save_path);
  const Graph graph = session.graph();
  session.run(graph.get_operation_by_name(impl_->restore_op),
              {{graph.get_tensor_by_name(impl_->filename_tensor), Tensor(save_path)}});
}

std::vector<std::string> Saver::last_checkpoints() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> paths;
  for (const SaverImpl::Kept& k : impl_->kept) paths.push_back(k.path);
  return paths;
}

void Saver::set_last_checkpoints_with_time(std::vector<std::pair<std::string, double>> checkpoints) {
  const std::lock_guard lock(impl_->mutex);
  impl_->kept.clear();
  for (auto& [path, time] : checkpoints) impl_->kept.push_back({std::move(path), time});
}

void Saver::recover_last_checkpoints(const std::vector<std::string>& checkpoint_paths) {
  std::vector<std::pair<std::string, double>> found;
  for (const std::string& path : checkpoint_paths) {
    if (!millrace::checkpoint_exists(path)) continue;
    const absl::StatusOr<int64_t> time = checkpoint_time(path);
    found.emplace_back(path, time.ok() ? static_cast<double>(*time) * 1e-9 : now_seconds());
  }
  set_last_checkpoints_with_time(std::move(found));
}

tensorflow::SaverDef Saver::as_saver_def() const { return impl_->def(); }

tensorflow::MetaGraphDef Saver::export_meta_graph(const std::string& filename, bool as_text) const {
  tensorflow::MetaGraphDef meta;
  to_meta_graph(get_default_graph(), {}, &meta);
  *meta.mutable_saver_def() = impl_->def();
  if (!filename.empty())
    raise_if_error(write_file_durably(filename, as_text ? text_proto(meta) : deterministic_bytes(meta)));
  return meta;
}

Saver::operator CollectionItem() const { return std::static_pointer_cast<CollectionObject>(impl_); }

Saver saver_of(const std::shared_ptr<CollectionObject>& object) {
  return Saver(std::dynamic_pointer_cast<SaverImpl>(object));
}

// --- the state of a directory

std::optional<CheckpointStateInfo> get_checkpoint_state(const std::string& checkpoint_dir,
                                                        const std::string& latest_filename) {
  const auto state = millrace::get_checkpoint_state(checkpoint_dir, latest_filename);
  if (state.status().code() == absl::StatusCode::kDataLoss) {
    log_warning(to_std(state.status().message()), "; Checkpoint ignored");
    return std::nullopt;
  }
  raise_if_error(state.status());
  if (!*state) return std::nullopt;
  return CheckpointStateInfo{(*state)->model_checkpoint_path, (*state)->all_model_checkpoint_paths};
}

void update_checkpoint_state(const std::string& save_dir, const std::string& model_checkpoint_path,
                             const std::vector<std::string>& all_model_checkpoint_paths,
                             const std::string& latest_filename) {
  CheckpointState state;
  state.model_checkpoint_path = model_checkpoint_path;
  state.all_model_checkpoint_paths = all_model_checkpoint_paths;
  raise_if_error(millrace::update_checkpoint_state(save_dir, std::move(state), {.latest_filename = latest_filename}));
}

std::optional<std::string> latest_checkpoint(const std::string& checkpoint_dir, const std::string& latest_filename) {
  return millrace::latest_checkpoint(checkpoint_dir, latest_filename);
}

bool checkpoint_exists(const std::string& checkpoint_prefix) { return millrace::checkpoint_exists(checkpoint_prefix); }

namespace {

std::unique_ptr<CheckpointReader> open_newest(const std::string& dir_or_file) {
  FileSystem* files = value_or_raise(file_system_for(dir_or_file));
  std::string prefix = dir_or_file;
  if (files->is_directory(dir_or_file)) {
    const std::optional<std::string> latest = millrace::latest_checkpoint(dir_or_file);
    if (!latest)
      raise(invalid_argument("Couldn't find 'checkpoint' file or checkpoints in given directory ", dir_or_file));
    prefix = *latest;
  }
  return value_or_raise(open_checkpoint(prefix));
}

}  // namespace

std::vector<std::pair<std::string, TensorShape>> list_variables(const std::string& checkpoint_dir_or_file) {
  const std::unique_ptr<CheckpointReader> reader = open_newest(checkpoint_dir_or_file);
  std::vector<std::pair<std::string, TensorShape>> result;
  for (const std::string& key : reader->keys()) result.emplace_back(key, value_or_raise(reader->info(key)).shape);
  return result;
}

Tensor load_variable(const std::string& checkpoint_dir_or_file, const std::string& name) {
  const std::string key = name.ends_with(":0") ? name.substr(0, name.size() - 2) : name;
  return value_or_raise(open_newest(checkpoint_dir_or_file)->read(key));
}

// --- graphs

tensorflow::MetaGraphDef export_meta_graph(const ExportMetaGraphOptions& o) {
  tensorflow::MetaGraphDef meta;
  to_meta_graph(get_default_graph(), {.clear_devices = o.clear_devices, .strip_default_attrs = o.strip_default_attrs},
                &meta);
  if (!o.filename.empty())
    raise_if_error(write_file_durably(o.filename, o.as_text ? text_proto(meta) : deterministic_bytes(meta)));
  return meta;
}

Saver import_meta_graph(const std::string& filename, const ImportMetaGraphOptions& o) {
  tensorflow::MetaGraphDef meta;
  raise_if_error(parse_proto(value_or_raise(read_file(filename)), &meta, filename));
  return import_meta_graph(meta, o);
}

Saver import_meta_graph(const tensorflow::MetaGraphDef& meta, const ImportMetaGraphOptions& o) {
  from_meta_graph(meta, o.clear_devices, o.import_scope);
  if (meta.has_saver_def()) {
    tensorflow::SaverDef def = meta.saver_def();
    if (!o.import_scope.empty()) {
      const std::string prefix = o.import_scope + "/";
      def.set_filename_tensor_name(prefix + def.filename_tensor_name());
      def.set_save_tensor_name(prefix + def.save_tensor_name());
      def.set_restore_op_name(prefix + def.restore_op_name());
    }
    return Saver(def);
  }
  return global_variables(o.import_scope).empty() ? Saver(nullptr) : Saver();
}

}  // namespace millrace::train
