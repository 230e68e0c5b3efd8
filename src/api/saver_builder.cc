#include "api/saver_builder.h"

#include "api/op_builder.h"
#include "api/variable_impl.h"
#include "base/errors.h"
#include "millrace/array_ops.h"

namespace millrace::train {
namespace {

struct Item {
  std::string name;
  Variable variable;  // or
  std::optional<SaveableObject> object = {};
};

// Of all saveables, names and the like: one per tensor.
Tensor strings(const std::vector<Item>& saveables, std::string SaveSpec::*member) {
  std::vector<std::string> values;
  for (const Item& s : saveables) {
    const std::vector<SaveSpec> specs = s.object ? s.object->specs() : std::vector{SaveSpec{.name = s.name}};
    for (const SaveSpec& spec : specs) values.push_back(spec.*member);
  }
  return Tensor(TensorShape({static_cast<int64_t>(values.size())}), values);
}

// What a save reads of the variable: the reference, or the read that came with a resource variable.
Output saved_tensor(const Variable& v) { return v.is_resource() ? v.impl()->snapshot : v.ref(); }

Output with_dependencies(const std::vector<Operation>& dependencies, const Output& output) {
  const name_scope scope("control_dependency");
  const colocate_with colocated(output);
  const control_dependencies after(dependencies);
  return identity(output, {.name = scope.name()});
}

Output add_save_ops(const Output& filename, const std::vector<Item>& saveables, const SaverOptions& o) {
  std::vector<Output> tensors;
  for (const Item& s : saveables) {
    if (!s.object) tensors.push_back(saved_tensor(s.variable));
    else
      for (const SaveSpec& spec : s.object->specs()) tensors.push_back(spec.tensor);
  }
  const bool first_format = o.write_version == SaverVersion::kV1;
  const Operation save =
      create_op(first_format ? "SaveSlices" : "SaveV2",
                {filename, strings(saveables, &SaveSpec::name), strings(saveables, &SaveSpec::slice_spec), tensors}, {},
                first_format ? "save" : "");
  return with_dependencies({save}, filename);
}

Operation assign_restored(const Item& s, Output restored, const SaverOptions& o) {
  const Variable& v = s.variable;
  if (o.reshape) {
    const PartialTensorShape shape = v.shape();
    Input dims;
    if (shape.is_fully_defined()) {
      std::vector<int32_t> sizes(shape.dims().begin(), shape.dims().end());
      dims = Tensor(TensorShape({static_cast<int64_t>(sizes.size())}), sizes);
    } else {
      dims = shape_tensor(v);
    }
    restored = reshape(restored, dims);
  }
  if (v.is_resource()) return create_op("AssignVariableOp", {v.ref(), identity(restored)});
  const colocate_with colocated(v.op());
  return create_op("Assign", {v.ref(), restored},
                   {{"validate_shape", !o.reshape && v.shape().is_fully_defined()}, {"use_locking", true}});
}

std::vector<Operation> add_assigns(const Output& filename, const std::vector<Item>& saveables, const SaverOptions& o) {
  std::vector<DataType> dtypes;
  for (const Item& s : saveables) {
    if (!s.object) dtypes.push_back(base_dtype(s.variable.dtype()));
    else
      for (const SaveSpec& spec : s.object->specs()) dtypes.push_back(base_dtype(spec.tensor.dtype()));
  }
  std::vector<Output> restored;
  {
    const device on_cpu("/device:CPU:0");
    restored = outputs_of(create_op(
        "RestoreV2", {filename, strings(saveables, &SaveSpec::name), strings(saveables, &SaveSpec::slice_spec)},
        {{"dtypes", dtypes}}));
  }
  std::vector<Operation> assigns;
  auto next = restored.begin();
  for (const Item& saveable : saveables) {
    const auto count = static_cast<std::ptrdiff_t>(saveable.object ? saveable.object->specs().size() : 1);
    assigns.push_back(saveable.object ? saveable.object->restore({next, next + count})
                                      : assign_restored(saveable, *next, o));
    next += count;
  }
  return assigns;
}

Operation all_of(const std::vector<Operation>& ops, std::string_view name) {
  const control_dependencies after(ops);
  return no_op({.name = name});
}

Output add_shard_name(const Output& base, const Output& num_shards) {
  const name_scope scope("ShardedFilename");
  const Output shard = constant(0, {.name = "shard"});
  return create_output("ShardedFilename", {base, shard, num_shards}, {}, scope.name());
}

// Of the first format, the shards are the checkpoint: its name is a pattern that matches theirs.
Output add_sharded_save_ops_v1(const Output& prefix, const std::vector<Item>& saveables, const SaverOptions& o) {
  const Output num_shards = constant(1, {.name = "num_shards"});
  const Output saved = add_save_ops(add_shard_name(prefix, num_shards), saveables, o);
  const control_dependencies after({saved.op()});
  return create_output("ShardedFilespec", {prefix, num_shards});
}

// Every shard goes to a temporary place first; merging them is what makes the checkpoint appear. One shard: all
// variables of this process are on its CPU.
Output add_sharded_save_ops(const Output& prefix, const std::vector<Item>& saveables, const SaverOptions& o) {
  if (o.write_version == SaverVersion::kV1) return add_sharded_save_ops_v1(prefix, saveables, o);
  Output temporary_prefix;
  {
    const device any_cpu("CPU");
    const Output is_s3 = create_output("StaticRegexFullMatch", {prefix}, {{"pattern", "^s3://.*"}});
    const Output in_place = constant(".part"), beside = constant("_temp/part");
    temporary_prefix = create_output("StringJoin", {std::vector<Output>{prefix, where(is_s3, in_place, beside)}});
  }
  const Output num_shards = constant(1, {.name = "num_shards"});
  const device cpu("/device:CPU:0");
  const Output shard_name = add_shard_name(temporary_prefix, num_shards);
  const Output saved = add_save_ops(shard_name, saveables, o);
  const control_dependencies after({saved.op()});
  Operation merged;
  {
    const name_scope scope("MergeV2Checkpoints");
    const Output prefixes =
        create_output("Pack", {std::vector<Output>{shard_name}}, {{"axis", 0}}, "checkpoint_prefixes");
    merged = create_op("MergeV2Checkpoints", {prefixes, prefix}, {{"delete_old_dirs", true}}, scope.name());
  }
  const control_dependencies then({merged});
  return identity(prefix);
}

}  // namespace

SaverOps build_saver_ops(const std::map<std::string, Saveable>& by_name, const SaverOptions& o) {
  std::vector<Item> saveables;
  for (const auto& [name, saveable] : by_name) {
    if (const auto* variable = std::get_if<Variable>(&saveable)) saveables.push_back({name, *variable});
    else saveables.push_back({name, {}, std::get<SaveableObject>(saveable)});
  }
  const name_scope scope(o.name.empty() ? "save" : o.name);
  SaverOps ops;
  {
    const name_scope filename_scope("filename");
    const Output input = constant(o.filename, {.name = "input"});
    ops.filename = create_output("PlaceholderWithDefault", {input}, {{"shape", PartialTensorShape::scalar()}},
                                 filename_scope.name());
  }
  ops.filename =
      create_output("PlaceholderWithDefault", {ops.filename}, {{"shape", PartialTensorShape::scalar()}}, "Const");
  if (!o.sharded) {
    ops.save = add_save_ops(ops.filename, saveables, o);
    ops.restore = all_of(add_assigns(ops.filename, saveables, o), "restore_all");
    return ops;
  }
  ops.save = add_sharded_save_ops(ops.filename, saveables, o);
  const Operation shard = all_of(add_assigns(ops.filename, saveables, o), "restore_shard");
  ops.restore = all_of({shard}, "restore_all");
  return ops;
}

}  // namespace millrace::train
