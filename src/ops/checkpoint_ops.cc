// Checkpoints as ops: SaveV2, RestoreV2, MergeV2Checkpoints, the names of shards, and those of the first format: Save,
// SaveSlices, Restore, RestoreSlice.

#include <string>
#include <vector>

#include "base/wire.h"
#include "checkpoint/bundle_writer.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/slice_file.h"
#include "checkpoint/tensor_slice.h"
#include "data/state_wire.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// A string given as a scalar, or as the only element of whatever shape.
absl::StatusOr<std::string> single_string(KernelContext& ctx, int i, const char* name) {
  MR_ASSIGN_OR_RETURN(const std::span<const std::string> values, ctx.flat<std::string>(i));
  if (values.size() != 1) {
    return invalid_argument("Input ", i, " (", name, ") must be a scalar; got a tensor of shape ", ctx.shape(i));
  }
  return values[0];
}

struct Wanted {
  std::string prefix;
  std::span<const std::string> names, specs;
};
absl::StatusOr<Wanted> read_request(KernelContext& ctx, size_t tensors, const char* tensors_are) {
  Wanted w;
  MR_ASSIGN_OR_RETURN(w.prefix, single_string(ctx, 0, "prefix"));
  MR_ASSIGN_OR_RETURN(w.names, ctx.vector<std::string>(1));
  MR_ASSIGN_OR_RETURN(w.specs, ctx.vector<std::string>(2));
  if (w.names.size() != w.specs.size()) {
    return invalid_argument("tensor_names and shape_and_slices have different number of elements: ", w.names.size(),
                            " vs. ", w.specs.size());
  }
  if (w.names.size() != tensors)
    return invalid_argument("Got ", w.names.size(), " tensor names, but ", tensors, " ", tensors_are, ".");
  return w;
}

absl::Status check_vectors(ShapeContext& c, int count) {
  for (const int i : {1, 2}) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape s, c.with_rank(i, 1));
    if (s.has_rank() && s.dim(0) >= 0 && s.dim(0) != count) {
      return invalid_argument(i == 1 ? "tensor_names" : "shape_and_slices", " has ", s.dim(0), " elements, not ",
                              count);
    }
  }
  return absl::OkStatus();
}

// --- Variants: states of iterators, as VariantTensorDataProtos with our own encoding inside

constexpr std::string_view kIteratorState = "millrace::IteratorState";
constexpr uint32_t kTypeName = 1, kMetadata = 2;

absl::Status save_variants(const std::string& name, const Tensor& tensor, BundleWriter& writer) {
  std::vector<std::string> elements;
  for (const Variant& variant : tensor.unchecked<Variant>()) {
    const auto* state = variant.get<IteratorState>();
    if (state == nullptr) return unimplemented(name, ": variants other than states of iterators cannot be saved");
    MR_ASSIGN_OR_RETURN(const std::string bytes, encode_iterator_state(*state));
    std::string& element = elements.emplace_back();
    append_bytes_field(element, kTypeName, kIteratorState);
    append_bytes_field(element, kMetadata, bytes);
  }
  return writer.add_variants(name, tensor.shape(), elements);
}

absl::StatusOr<Variant> parse_variant(const std::string& name, std::string_view bytes) {
  std::string_view type, metadata;
  WireReader r(bytes);
  while (r.next()) {
    if (r.is(kTypeName, WireType::kBytes)) type = r.bytes();
    else if (r.is(kMetadata, WireType::kBytes)) metadata = r.bytes();
    else r.skip();
  }
  if (!r.ok()) return data_loss(name, ": not a variant");
  if (type != kIteratorState) return unimplemented(name, ": variants of type '", type, "' cannot be restored");
  absl::StatusOr<IteratorState> state = decode_iterator_state(metadata);
  if (!state.ok()) return annotate(state.status(), name);
  return Variant::make<IteratorState>(*std::move(state));
}

absl::StatusOr<Tensor> restore_variants(const CheckpointReader& reader, const std::string& name,
                                        const TensorShape& shape) {
  MR_ASSIGN_OR_RETURN(const std::vector<std::string> elements, reader.read_variants(name));
  MR_ASSIGN_OR_RETURN(Tensor tensor, make_tensor(DataType::kVariant, shape));
  const std::span<Variant> variants = tensor.unchecked_mutable<Variant>();
  for (size_t i = 0; i < elements.size(); ++i) {
    MR_ASSIGN_OR_RETURN(variants[i], parse_variant(name, elements[i]));
  }
  return tensor;
}

// --- SaveV2

absl::Status save_shape(ShapeContext& c) { return check_vectors(c, c.num_inputs() - 3); }

class SaveV2 final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    const auto count = static_cast<size_t>(ctx.num_inputs() - 3);
    MR_ASSIGN_OR_RETURN(const Wanted w, read_request(ctx, count, "tensors"));
    MR_ASSIGN_OR_RETURN(const std::unique_ptr<BundleWriter> writer, BundleWriter::create(w.prefix));
    for (size_t i = 0; i < count; ++i) {
      const Tensor& tensor = ctx.input(static_cast<int>(i) + 3);
      if (tensor.dtype() == DataType::kVariant) {
        MR_RETURN_IF_ERROR(save_variants(w.names[i], tensor, *writer));
        continue;
      }
      if (w.specs[i].empty()) {
        MR_RETURN_IF_ERROR(writer->add(w.names[i], tensor));
        continue;
      }
      MR_ASSIGN_OR_RETURN(const ShapeAndSlice spec, parse_shape_and_slice(w.specs[i]));
      if (!(spec.slice_shape == tensor.shape())) {
        return invalid_argument(
            "Slice in shape_and_slice specification does not match the shape of the tensor to  save: ", w.specs[i],
            ", tensor: ", tensor.shape());
      }
      MR_RETURN_IF_ERROR(writer->add_slice(w.names[i], spec.shape, spec.slice, tensor));
    }
    return writer->finish();
  }
};

// --- RestoreV2

absl::Status restore_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_vectors(c, c.num_outputs()));
  const Tensor* specs = c.value(2);
  if (specs == nullptr || specs->dtype() != DataType::kString) return absl::OkStatus();
  const auto texts = specs->unchecked<std::string>();
  for (size_t i = 0; i < texts.size() && static_cast<int>(i) < c.num_outputs(); ++i) {
    if (texts[i].empty()) continue;
    MR_ASSIGN_OR_RETURN(const ShapeAndSlice spec, parse_shape_and_slice(texts[i]));
    MR_RETURN_IF_ERROR(c.set_output(static_cast<int>(i), PartialTensorShape(spec.slice_shape)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> restore_one(const CheckpointReader& reader, const std::string& name,
                                   const std::string& spec_text, DataType dtype) {
  MR_ASSIGN_OR_RETURN(const SavedTensor entry, reader.info(name));
  if (entry.dtype != dtype) {
    return invalid_argument("tensor_name = ", name, "; expected dtype ", dtype_name(dtype),
                            " does not equal original dtype ", dtype_name(entry.dtype));
  }
  if (dtype == DataType::kVariant) return restore_variants(reader, name, entry.shape);
  if (spec_text.empty()) return reader.read(name);
  MR_ASSIGN_OR_RETURN(const ShapeAndSlice spec, parse_shape_and_slice(spec_text));
  if (!(spec.shape == entry.shape)) {
    return invalid_argument("tensor_name = ", name, "; shape in shape_and_slice spec ", spec.shape,
                            " does not match the shape stored in checkpoint: ", entry.shape);
  }
  return reader.read_slice(name, spec.slice);
}

class RestoreV2 final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtypes_, init.attr<std::vector<DataType>>("dtypes"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Wanted w, read_request(ctx, dtypes_.size(), "expected dtypes"));
    MR_ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointReader> reader, open_checkpoint(w.prefix));
    for (size_t i = 0; i < dtypes_.size(); ++i) {
      MR_ASSIGN_OR_RETURN(Tensor value, restore_one(*reader, w.names[i], w.specs[i], dtypes_[i]));
      MR_RETURN_IF_ERROR(ctx.set_output(static_cast<int>(i), std::move(value)));
    }
    return absl::OkStatus();
  }

 private:
  std::vector<DataType> dtypes_;
};

// --- MergeV2Checkpoints

absl::Status merge_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 1).status());
  return c.with_rank(1, 0).status();
}

class MergeV2Checkpoints final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(delete_old_dirs_, init.attr<bool>("delete_old_dirs"));
    MR_ASSIGN_OR_RETURN(allow_missing_files_, init.attr<bool>("allow_missing_files"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const std::string> given, ctx.vector<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::string destination, single_string(ctx, 1, "destination_prefix"));
    std::vector<std::string> prefixes;
    for (const std::string& prefix : given) {
      if (checkpoint_exists(prefix)) {
        prefixes.push_back(prefix);
      } else if (!allow_missing_files_) {
        return invalid_argument("allow_missing_files was set to false and ", prefix, " did not exist.");
      }
    }
    if (prefixes.empty())
      return invalid_argument("MergeV2Checkpoints: there is no checkpoint to merge into ", destination);
    return merge_bundles(prefixes, destination, delete_old_dirs_);
  }

 private:
  bool delete_old_dirs_ = true, allow_missing_files_ = false;
};

// --- Names

absl::Status scalars_to_scalar(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return c.set_output(0, PartialTensorShape::scalar());
}

class ShardedFilename final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string base, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const int32_t shard, ctx.scalar<int32_t>(1));
    MR_ASSIGN_OR_RETURN(const int32_t count, ctx.scalar<int32_t>(2));
    return ctx.set_scalar<std::string>(0, sharded_filename(base, shard, count));
  }
};

class ShardedFilespec final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string base, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const int32_t count, ctx.scalar<int32_t>(1));
    std::string name = sharded_filename(base, 0, count);
    name.replace(base.size() + 1, 5, "?????");
    return ctx.set_scalar<std::string>(0, std::move(name));
  }
};

// --- The first format

// Save, and SaveSlices, which has specifications of slices before the tensors.
template <bool kSlices> class SaveFirstFormat final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    constexpr int kFirst = kSlices ? 3 : 2;
    MR_ASSIGN_OR_RETURN(const std::string path, single_string(ctx, 0, "filename"));
    MR_ASSIGN_OR_RETURN(const std::span<const std::string> names, ctx.vector<std::string>(1));
    std::span<const std::string> specs;
    if constexpr (kSlices) {
      MR_ASSIGN_OR_RETURN(specs, ctx.vector<std::string>(2));
    }
    const auto count = static_cast<size_t>(ctx.num_inputs() - kFirst);
    if (names.size() != count) return invalid_argument("Got ", names.size(), " tensor names but ", count, " tensors.");
    if (kSlices && specs.size() != count)
      return invalid_argument("Expected ", count, " elements for the slice specifications, but got ", specs.size());
    SliceFileWriter writer(path);
    for (size_t i = 0; i < count; ++i) {
      const Tensor& tensor = ctx.input(static_cast<int>(i) + kFirst);
      ShapeAndSlice spec{tensor.shape(), TensorSlice(tensor.rank()), tensor.shape()};
      if (kSlices && !specs[i].empty()) {
        MR_ASSIGN_OR_RETURN(spec, parse_shape_and_slice(specs[i]));
      }
      MR_RETURN_IF_ERROR(writer.add(names[i], spec.shape, spec.slice, tensor));
    }
    return writer.finish();
  }
};

template <bool kSlices> absl::Status save_first_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  for (int i = 1; i <= (kSlices ? 2 : 1); ++i) {
    MR_ASSIGN_OR_RETURN(const PartialTensorShape s, c.with_rank(i, 1));
    const int64_t count = c.num_inputs() - (kSlices ? 3 : 2);
    if (s.has_rank() && s.dim(0) >= 0 && s.dim(0) != count)
      return invalid_argument("Dimension must be ", count, " but is ", s.dim(0));
  }
  return absl::OkStatus();
}

absl::Status restore_first_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  const Tensor* spec_text = c.num_inputs() > 2 ? c.value(2) : nullptr;
  if (spec_text == nullptr || spec_text->dtype() != DataType::kString || spec_text->rank() != 0)
    return absl::OkStatus();
  const std::string& text = spec_text->unchecked<std::string>()[0];
  if (text.empty()) return absl::OkStatus();
  MR_ASSIGN_OR_RETURN(const ShapeAndSlice spec, parse_shape_and_slice(text));
  return c.set_output(0, PartialTensorShape(spec.slice_shape));
}

// Restore and RestoreSlice. A preferred shard is a hint where to look first; all are looked at here.
class RestoreFirstFormat final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(dtype_, init.attr<DataType>("dt"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string pattern, single_string(ctx, 0, "file_pattern"));
    MR_ASSIGN_OR_RETURN(const std::string name, single_string(ctx, 1, "tensor_name"));
    std::string spec;
    if (ctx.num_inputs() > 2) {
      MR_ASSIGN_OR_RETURN(spec, single_string(ctx, 2, "shape_and_slice"));
    }
    MR_ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointReader> reader, open_checkpoint(pattern));
    MR_ASSIGN_OR_RETURN(Tensor value, restore_one(*reader, name, spec, dtype_));
    return ctx.set_output(0, std::move(value));
  }

 private:
  DataType dtype_ = DataType::kInvalid;
};

}  // namespace

void register_checkpoint_ops(Registry& registry) {
  registry.op("SaveV2")
      .input("prefix: string")
      .input("tensor_names: string")
      .input("shape_and_slices: string")
      .input("tensors: dtypes")
      .attr("dtypes: list(type) >= 1")
      .stateful()
      .shape(save_shape)
      .cpu<SaveV2>()
      .not_differentiable()
      .doc("Writes tensors, or slices of partitioned ones, to the checkpoint `prefix`.");
  registry.op("RestoreV2")
      .input("prefix: string")
      .input("tensor_names: string")
      .input("shape_and_slices: string")
      .output("tensors: dtypes")
      .attr("dtypes: list(type) >= 1")
      .stateful()
      .shape(restore_shape)
      .cpu<RestoreV2>()
      .not_differentiable()
      .doc("Reads tensors, or slices of them, from the checkpoint `prefix`.");
  registry.op("MergeV2Checkpoints")
      .input("checkpoint_prefixes: string")
      .input("destination_prefix: string")
      .attr("delete_old_dirs: bool = true")
      .attr("allow_missing_files: bool = false")
      .stateful()
      .shape(merge_shape)
      .cpu<MergeV2Checkpoints>()
      .not_differentiable()
      .doc("Joins checkpoints of several shards into one.");
  registry.op("ShardedFilename")
      .input("basename: string")
      .input("shard: int32")
      .input("num_shards: int32")
      .output("filename: string")
      .shape(scalars_to_scalar)
      .cpu<ShardedFilename>()
      .not_differentiable()
      .doc("basename-00003-of-00100.");
  registry.op("ShardedFilespec")
      .input("basename: string")
      .input("num_shards: int32")
      .output("filename: string")
      .shape(scalars_to_scalar)
      .cpu<ShardedFilespec>()
      .not_differentiable()
      .doc("A pattern that matches all shards of basename.");
  registry.op("Save")
      .input("filename: string")
      .input("tensor_names: string")
      .input("data: T")
      .attr("T: list(type) >= 1")
      .stateful()
      .shape(save_first_shape<false>)
      .cpu<SaveFirstFormat<false>>()
      .not_differentiable()
      .doc("Writes tensors to a checkpoint of the first format.");
  registry.op("SaveSlices")
      .input("filename: string")
      .input("tensor_names: string")
      .input("shapes_and_slices: string")
      .input("data: T")
      .attr("T: list(type) >= 1")
      .stateful()
      .shape(save_first_shape<true>)
      .cpu<SaveFirstFormat<true>>()
      .not_differentiable()
      .doc("Writes tensors, or slices of partitioned ones, to a checkpoint of the first format.");
  registry.op("Restore")
      .input("file_pattern: string")
      .input("tensor_name: string")
      .output("tensor: dt")
      .attr("dt: type")
      .attr("preferred_shard: int = -1")
      .stateful()
      .shape(restore_first_shape)
      .cpu<RestoreFirstFormat>()
      .not_differentiable()
      .doc("Reads a tensor from a checkpoint of either format.");
  registry.op("RestoreSlice")
      .input("file_pattern: string")
      .input("tensor_name: string")
      .input("shape_and_slice: string")
      .output("tensor: dt")
      .attr("dt: type")
      .attr("preferred_shard: int = -1")
      .stateful()
      .shape(restore_first_shape)
      .cpu<RestoreFirstFormat>()
      .not_differentiable()
      .doc("Reads a slice of a tensor from a checkpoint of either format.");
}

}  // namespace millrace
