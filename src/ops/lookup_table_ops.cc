// Tables of values by key: HashTable and its mutable kin, in both forms of handle. What they do stands in
// lookup_table.h.

#include "ops/lookup_table_ops.h"

#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {

std::string type_list(std::span<const DataType> types) {
  std::string text;
  for (const DataType type : types) str_append(&text, text.empty() ? "" : ", ", dtype_name(type));
  return text;
}

absl::Status check_table_types(const KernelContext& ctx, std::vector<DataType> wanted_inputs,
                               const std::vector<DataType>& wanted_outputs) {
  const NodeInfo& node = ctx.node();
  wanted_inputs.insert(wanted_inputs.begin(), node.input_types[0]);
  if (node.input_types == wanted_inputs && node.output_types == wanted_outputs) return absl::OkStatus();
  return invalid_argument("Signature mismatch, have: ", type_list(node.input_types), "->", type_list(node.output_types),
                          " expected: ", type_list(wanted_inputs), "->", type_list(wanted_outputs));
}

namespace {

// --- making tables

class TableKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init));
    MR_ASSIGN_OR_RETURN(key_, init.attr<DataType>("key_dtype"));
    MR_ASSIGN_OR_RETURN(value_, init.attr<DataType>("value_dtype"));
    return configure(init);
  }

  absl::Status compute(KernelContext& ctx) final {
    MR_ASSIGN_OR_RETURN(const auto table, ctx.resources().lookup_or_create<LookupTable>(name_.container, name_.name,
                                                                                        [&] { return make(ctx); }));
    if (table->type().key != key_ || table->type().value != value_)
      return invalid_argument("Conflicting key/value dtypes ", dtype_name(key_), "->", dtype_name(value_), " with ",
                              dtype_name(table->type().key), "-", dtype_name(table->type().value), " for table ",
                              name_.name);
    return set_handle(ctx, 0, name_, "LookupTable", {key_, value_},
                      {table->type().key_shape, table->type().value_shape});
  }

 protected:
  virtual absl::Status configure(KernelInit&) { return absl::OkStatus(); }
  virtual absl::StatusOr<std::shared_ptr<LookupTable>> make(KernelContext& ctx) const = 0;

  DataType key_ = DataType::kInvalid, value_ = DataType::kInvalid;

 private:
  ResourceName name_;
};

class HashTableKernel final : public TableKernel {
  absl::StatusOr<std::shared_ptr<LookupTable>> make(KernelContext&) const override {
    return make_hash_table(key_, value_);
  }
};

class MutableHashTableKernel final : public TableKernel {
  absl::StatusOr<std::shared_ptr<LookupTable>> make(KernelContext&) const override {
    return make_mutable_hash_table(key_, value_, TensorShape());
  }
};

absl::StatusOr<TensorShape> defined_value_shape(KernelInit& init) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, init.attr<PartialTensorShape>("value_shape"));
  if (!shape.has_rank()) return TensorShape();
  if (!shape.is_fully_defined()) return invalid_argument("Shape ", shape, " is not fully defined");
  return as_tensor_shape(shape);
}

class MutableHashTableOfTensorsKernel final : public TableKernel {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(value_shape_, defined_value_shape(init));
    if (value_shape_.rank() == 1) return absl::OkStatus();
    return invalid_argument("Default value must be a vector, got shape ", value_shape_);
  }
  absl::StatusOr<std::shared_ptr<LookupTable>> make(KernelContext&) const override {
    return make_mutable_hash_table(key_, value_, value_shape_);
  }
  TensorShape value_shape_;
};

class MutableDenseHashTableKernel final : public TableKernel {
  absl::Status configure(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(options_.value_shape, defined_value_shape(init));
    MR_ASSIGN_OR_RETURN(options_.initial_num_buckets, init.attr<int64_t>("initial_num_buckets"));
    MR_ASSIGN_OR_RETURN(options_.max_load_factor, init.attr<float>("max_load_factor"));
    options_.value = value_;
    return absl::OkStatus();
  }
  absl::StatusOr<std::shared_ptr<LookupTable>> make(KernelContext& ctx) const override {
    DenseTableOptions options = options_;
    options.empty_key = ctx.input(0);
    if (ctx.num_inputs() > 1) options.deleted_key = ctx.input(1);
    return make_dense_hash_table(options);
  }
  DenseTableOptions options_;
};

// --- using tables

absl::StatusOr<std::shared_ptr<LookupTable>> find_table(const KernelContext& ctx) {
  return find_resource<LookupTable>(ctx, 0);
}

class Find final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_table(ctx));
    const LookupTable::Type& type = table->type();
    MR_RETURN_IF_ERROR(check_table_types(ctx, {type.key, type.value}, {type.value}));
    MR_ASSIGN_OR_RETURN(Tensor values, table->find(ctx.input(1), ctx.input(2)));
    return ctx.set_output(0, std::move(values));
  }
};

template <absl::Status (LookupTable::*kChange)(const Tensor&, const Tensor&)> class Change final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_table(ctx));
    MR_RETURN_IF_ERROR(check_table_types(ctx, {table->type().key, table->type().value}, {}));
    return ((*table).*kChange)(ctx.input(1), ctx.input(2));
  }
};

class Remove final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_table(ctx));
    MR_RETURN_IF_ERROR(check_table_types(ctx, {table->type().key}, {}));
    return table->remove(ctx.input(1));
  }
};

class Size final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_table(ctx));
    return ctx.set_scalar(0, table->size());
  }
};

class Export final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto table, find_table(ctx));
    MR_RETURN_IF_ERROR(check_table_types(ctx, {}, {table->type().key, table->type().value}));
    MR_ASSIGN_OR_RETURN(auto rows, table->export_values());
    MR_RETURN_IF_ERROR(ctx.set_output(0, std::move(rows.first)));
    return ctx.set_output(1, std::move(rows.second));
  }
};

// --- shapes

absl::Status set_table_handle(ShapeContext& c, PartialTensorShape key, PartialTensorShape value) {
  MR_ASSIGN_OR_RETURN(const DataType key_dtype, c.attr<DataType>("key_dtype"));
  MR_ASSIGN_OR_RETURN(const DataType value_dtype, c.attr<DataType>("value_dtype"));
  c.set_handle(0, {{key_dtype, std::move(key)}, {value_dtype, std::move(value)}});
  return named_handle_shape(c);
}

absl::Status table_shape(ShapeContext& c) {
  return set_table_handle(c, PartialTensorShape::scalar(), PartialTensorShape::scalar());
}

absl::Status tensors_table_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(PartialTensorShape value, c.attr<PartialTensorShape>("value_shape"));
  return set_table_handle(c, PartialTensorShape::scalar(), std::move(value));
}

absl::Status dense_table_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  MR_ASSIGN_OR_RETURN(PartialTensorShape value, c.attr<PartialTensorShape>("value_shape"));
  return set_table_handle(c, c.input(0), std::move(value));
}

absl::Status check_type(const char* what, DataType expected, DataType got) {
  if (expected == got) return absl::OkStatus();
  return invalid_argument("Trying to read ", what, " with wrong dtype. Expected ", dtype_name(expected), " got ",
                          dtype_name(got));
}

// The shape of the values of keys, as far as the handle tells; unknown where it tells nothing.
absl::StatusOr<PartialTensorShape> shape_of_values(ShapeContext& c, const PartialTensorShape& keys,
                                                   const char* key_attr, const char* value_attr) {
  const auto types = c.handle(0);
  if (types.size() != 2) return PartialTensorShape();
  MR_ASSIGN_OR_RETURN(const DataType key, c.attr<DataType>(key_attr));
  MR_ASSIGN_OR_RETURN(const DataType value, c.attr<DataType>(value_attr));
  MR_RETURN_IF_ERROR(check_type("value", types[0].dtype, key));
  MR_RETURN_IF_ERROR(check_type("value", types[1].dtype, value));
  const PartialTensorShape& key_shape = types[0].shape;
  if (!keys.has_rank() || !key_shape.has_rank()) return PartialTensorShape();
  const int outer = keys.rank() - key_shape.rank();
  if (outer < 0) return invalid_argument("Expected keys to have suffix ", key_shape, " but saw shape: ", keys);
  for (int d = 0; d < key_shape.rank(); ++d) {
    const int64_t a = keys.dim(outer + d), b = key_shape.dim(d);
    if (a >= 0 && b >= 0 && a != b)
      return invalid_argument("Expected keys to have suffix ", key_shape, " but saw shape: ", keys);
  }
  MR_ASSIGN_OR_RETURN(const PartialTensorShape prefix,
                      make_partial_shape(keys.dims().subspan(0, static_cast<size_t>(outer))));
  return concatenate(prefix, types[1].shape);
}

absl::Status find_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return c.set_output(0, shape_of_values(c, c.input(1), "Tin", "Tout"));
}

absl::Status change_shape(ShapeContext& c) { return check_handle_shape(c, 0); }

absl::Status size_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return scalar_shape(c);
}

absl::Status export_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  MR_RETURN_IF_ERROR(shape_of_values(c, unknown_shape_of_rank(1), "Tkeys", "Tvalues").status());
  return unknown_shapes(c);  // of a dense table: its buckets, not its entries
}

// --- kernels by types of key and value, those that TensorFlow has

using KeyValue = std::pair<DataType, DataType>;

std::vector<KeyValue> pairs_of(const char* kind) {
  using enum DataType;
  std::vector<KeyValue> pairs;
  for (const DataType v : {kDouble, kFloat, kInt32}) pairs.emplace_back(kInt32, v);
  for (const DataType v : {kDouble, kFloat, kInt32, kInt64}) pairs.emplace_back(kInt64, v);
  for (const DataType v : {kBool, kDouble, kFloat, kInt32, kInt64}) pairs.emplace_back(kString, v);
  const std::string_view name(kind);
  if (name == "HashTable") pairs.insert(pairs.end(), {{kInt32, kString}, {kInt64, kString}, {kString, kString}});
  if (name == "MutableHashTable") pairs.insert(pairs.end(), {{kInt64, kString}, {kInt64, kVariant}});
  if (name == "MutableHashTableOfTensors") pairs.emplace_back(kInt64, kString);
  if (name == "MutableDenseHashTable")
    pairs.insert(pairs.end(), {{kInt64, kBool}, {kInt64, kVariant}, {kString, kResource}});
  return pairs;
}

template <class K> void add_table_kernels(OpBuilder builder, const char* kind) {
  for (const auto& [key, value] : pairs_of(kind))
    builder.kernel(
        {"CPU", {{"key_dtype", key}, {"value_dtype", value}}, [] { return std::unique_ptr<Kernel>(new K); }});
}

// The attributes that all makers of tables have, before those of their own.
OpBuilder table_op(Registry& registry, const char* kind, bool v2) {
  return registry.op(v2 ? str_cat(kind, "V2") : std::string(kind))
      .output(v2 ? "table_handle: resource" : "table_handle: Ref(string)")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("use_node_name_sharing: bool = false")
      .attr("key_dtype: type")
      .attr("value_dtype: type")
      .stateful()
      .not_differentiable();
}

void register_makers(Registry& registry, bool v2) {
  add_table_kernels<HashTableKernel>(
      table_op(registry, "HashTable", v2).shape(table_shape).doc("A table that is filled once, when initialized."),
      "HashTable");
  add_table_kernels<MutableHashTableKernel>(
      table_op(registry, "MutableHashTable", v2).shape(table_shape).doc("A table of one value per key."),
      "MutableHashTable");
  add_table_kernels<MutableHashTableOfTensorsKernel>(table_op(registry, "MutableHashTableOfTensors", v2)
                                                         .attr("value_shape: shape = []")
                                                         .shape(tensors_table_shape)
                                                         .doc("A table of a vector of values per key."),
                                                     "MutableHashTableOfTensors");
  OpBuilder dense = table_op(registry, "MutableDenseHashTable", v2).input("empty_key: key_dtype");
  if (v2) dense.input("deleted_key: key_dtype");
  dense.attr("value_shape: shape = []")
      .attr("initial_num_buckets: int = 131072")
      .attr("max_load_factor: float = 0.8")
      .shape(dense_table_shape)
      .doc("A table with open addressing; two keys are set apart for what is not there.");
  add_table_kernels<MutableDenseHashTableKernel>(dense, "MutableDenseHashTable");
}

void register_accesses(Registry& registry, bool v2) {
  const auto access = [&](const char* name) {
    OpBuilder builder = registry.op(v2 ? str_cat(name, "V2") : std::string(name))
                            .input(v2 ? "table_handle: resource" : "table_handle: Ref(string)")
                            .not_differentiable();
    return v2 ? builder.stateful() : builder;
  };
  access("LookupTableFind")
      .input("keys: Tin")
      .input("default_value: Tout")
      .output("values: Tout")
      .attr("Tin: type")
      .attr("Tout: type")
      .shape(find_shape)
      .cpu<Find>()
      .doc("The values of keys, or the default.");
  const auto change = [&](const char* name) {
    return access(name)
        .input("keys: Tin")
        .input("values: Tout")
        .attr("Tin: type")
        .attr("Tout: type")
        .shape(change_shape);
  };
  change("LookupTableInsert").cpu<Change<&LookupTable::insert>>().doc("Sets the values of keys.");
  change("LookupTableImport").cpu<Change<&LookupTable::import_values>>().doc("Replaces all that a table holds.");
  access("LookupTableSize").output("size: int64").shape(size_shape).cpu<Size>().doc("How many keys a table holds.");
  access("LookupTableExport")
      .output("keys: Tkeys")
      .output("values: Tvalues")
      .attr("Tkeys: type")
      .attr("Tvalues: type")
      .shape(export_shape)
      .cpu<Export>()
      .doc("All keys and values; of a dense table, its buckets.");
  if (v2)
    access("LookupTableRemove")
        .input("keys: Tin")
        .attr("Tin: type")
        .shape(change_shape)
        .cpu<Remove>()
        .doc("Removes keys; those that are not there are passed over.");
}

}  // namespace

void register_lookup_table_ops(Registry& registry) {
  for (const bool v2 : {false, true}) {
    register_makers(registry, v2);
    register_accesses(registry, v2);
  }
}

}  // namespace millrace
