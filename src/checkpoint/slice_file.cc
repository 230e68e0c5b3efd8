#include "checkpoint/slice_file.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "checkpoint/ordered_code.h"
#include "checkpoint/slice_copy.h"
#include "io/durable_file.h"
#include "tensor/tensor_proto.h"
#include "tensorflow/core/framework/tensor_shape.pb.h"
#include "tensorflow/core/util/saved_tensor_slice.pb.h"

namespace millrace {
namespace {

namespace pb = tensorflow;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 34;
constexpr size_t kMaxValueBytes = std::numeric_limits<int32_t>::max();  // of one message
constexpr int kProducer = 1, kMinConsumer = 0;                          // TensorFlow's version of this format

TensorSlice from_proto(const pb::TensorSliceProto& proto) {
  std::vector<TensorSlice::Extent> extents;
  for (const auto& extent : proto.extent()) {
    extents.push_back({extent.start(), extent.has_length() ? extent.length() : TensorSlice::kFull});
  }
  return TensorSlice(std::move(extents));
}

void to_proto(const TensorSlice& slice, pb::TensorSliceProto* proto) {
  for (const TensorSlice::Extent& extent : slice.extents()) {
    pb::TensorSliceProto::Extent* out = proto->add_extent();
    if (extent.is_full()) continue;
    if (extent.start != 0) out->set_start(extent.start);
    out->set_length(extent.length);
  }
}

absl::StatusOr<SavedTensor> from_proto(const std::string& path, const pb::SavedSliceMeta& meta) {
  SavedTensor saved;
  saved.dtype = static_cast<DataType>(meta.type());
  std::vector<int64_t> dims;
  for (const auto& dim : meta.shape().dim()) dims.push_back(dim.size());
  absl::StatusOr<TensorShape> shape = make_shape(dims);
  if (!shape.ok() || !is_valid_dtype(saved.dtype) || is_ref(saved.dtype) || meta.slice_size() == 0)
    return data_loss(path, ": no possible tensor: ", meta.name());
  saved.shape = *std::move(shape);
  for (const pb::TensorSliceProto& slice : meta.slice()) {
    saved.slices.push_back(from_proto(slice));
    if (!saved.slices.back().resolved(saved.shape).ok())
      return data_loss(path, ": slice ", saved.slices.back(), " does not fit ", meta.name(), " of shape ", saved.shape);
  }
  return saved;
}

// What TensorFlow's readers of this format take.
bool is_in_format(DataType dtype) {
  switch (dtype) {
    case DataType::kBfloat16:
    case DataType::kQint16:
    case DataType::kQuint16:
    case DataType::kResource:
    case DataType::kUint32:
    case DataType::kUint64:
    case DataType::kVariant: return false;
    default: return true;
  }
}

// No slices where there is one, the whole.
SavedTensor without_whole(SavedTensor saved) {
  if (saved.slices.size() == 1 && saved.slices[0].covers(saved.shape)) saved.slices.clear();
  return saved;
}

}  // namespace

// ---- reading

absl::StatusOr<std::unique_ptr<SliceFileReader>> SliceFileReader::open(const std::string& pattern) {
  MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(pattern));
  MR_ASSIGN_OR_RETURN(std::vector<std::string> paths, files->glob(pattern));
  std::erase_if(paths, [&](const std::string& path) { return files->is_directory(path); });
  if (paths.empty()) {
    return not_found("Unsuccessful TensorSliceReader constructor: Failed to find any matching files for ", pattern);
  }
  std::unique_ptr<SliceFileReader> reader(new SliceFileReader(pattern));
  for (const std::string& path : paths) MR_RETURN_IF_ERROR(reader->add_file(path));
  return reader;
}

absl::Status SliceFileReader::add_file(const std::string& path) {
  MR_ASSIGN_OR_RETURN(std::string contents, read_file(path, kMaxFileBytes));
  MR_ASSIGN_OR_RETURN(std::unique_ptr<Table> table, Table::parse(std::move(contents), path));
  const Table::Entry* header = table->find("");
  pb::SavedTensorSlices message;
  if (header == nullptr || header->value.size() > kMaxValueBytes ||
      !message.ParseFromArray(header->value.data(), static_cast<int>(header->value.size())) || !message.has_meta()) {
    return data_loss(path, ": no list of tensors: not a checkpoint",
                     path.ends_with(".index") ? "; give the path without .index" : "");
  }
  if (message.meta().versions().min_consumer() > kProducer) {
    return invalid_argument(path, ": a checkpoint for readers of version ", message.meta().versions().min_consumer(),
                            " or newer");
  }
  for (const pb::SavedSliceMeta& meta : message.meta().tensor()) {
    MR_ASSIGN_OR_RETURN(SavedTensor saved, from_proto(path, meta));
    MR_RETURN_IF_ERROR(add_tensor(path, *table, meta.name(), std::move(saved)));
  }
  tables_.push_back(std::move(table));
  return absl::OkStatus();
}

absl::Status SliceFileReader::add_tensor(const std::string& path, const Table& table, const std::string& name,
                                         SavedTensor saved) {
  auto [found, added] = tensors_.try_emplace(name);
  Stored& stored = found->second;
  if (added) {
    stored.saved.dtype = saved.dtype;
    stored.saved.shape = saved.shape;
  } else if (stored.saved.dtype != saved.dtype || !(stored.saved.shape == saved.shape)) {
    return data_loss(path, ": shards disagree about ", name);
  }
  for (TensorSlice& slice : saved.slices) {
    const std::string key = slice_key(name, slice);
    if (!slice_keys_.insert(key).second) return data_loss(path, ": slice ", slice, " of ", name, " is there twice");
    const Table::Entry* entry = table.find(key);
    if (entry == nullptr) return data_loss(path, ": slice ", slice, " of ", name, " is missing");
    stored.saved.slices.push_back(std::move(slice));
    stored.values.push_back(entry->value);
  }
  return absl::OkStatus();
}

std::vector<std::string> SliceFileReader::keys() const {
  std::vector<std::string> keys;
  for (const auto& [name, stored] : tensors_) keys.push_back(name);
  return keys;
}

absl::StatusOr<const SliceFileReader::Stored*> SliceFileReader::find(std::string_view key) const {
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) return not_found("Tensor name \"", key, "\" not found in checkpoint files ", prefix());
  return &found->second;
}

absl::StatusOr<SavedTensor> SliceFileReader::info(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const Stored* stored, find(key));
  return without_whole(stored->saved);
}

absl::StatusOr<uint64_t> SliceFileReader::stored_bytes(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const Stored* stored, find(key));
  uint64_t bytes = 0;
  for (const std::string_view value : stored->values) bytes += value.size();
  return bytes;
}

// The values of one slice. A message without as many as the slice has elements is damaged.
absl::StatusOr<Tensor> SliceFileReader::decode(std::string_view key, const SavedTensor& saved, const TensorSlice& where,
                                               std::string_view value) const {
  pb::SavedTensorSlices message;
  if (value.size() > kMaxValueBytes || !message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return data_loss(prefix(), ": ", key, ": not the values of a slice");
  }
  pb::TensorProto* values = message.mutable_data()->mutable_data();
  const TensorShape shape = where.shape();
  if (values->tensor_content().empty() && count_values(*values, saved.dtype) != shape.num_elements()) {
    return data_loss(prefix(), ": ", key, ": ", count_values(*values, saved.dtype), " values for a slice of shape ",
                     shape);
  }
  values->set_dtype(static_cast<pb::DataType>(saved.dtype));
  millrace::to_proto(PartialTensorShape(shape), values->mutable_tensor_shape());
  absl::StatusOr<Tensor> tensor = millrace::from_proto(*values);
  if (!tensor.ok()) return data_loss(prefix(), ": ", key, ": ", tensor.status().message());
  return tensor;
}

absl::StatusOr<Tensor> SliceFileReader::read(std::string_view key) const {
  MR_ASSIGN_OR_RETURN(const Stored* stored, find(key));
  return read_slice(key, TensorSlice(stored->saved.shape.rank()));
}

absl::StatusOr<Tensor> SliceFileReader::read_slice(std::string_view key, const TensorSlice& slice) const {
  MR_ASSIGN_OR_RETURN(const Stored* stored, find(key));
  const SavedTensor& saved = stored->saved;
  MR_ASSIGN_OR_RETURN(const TensorSlice wanted, slice.resolved(saved.shape));
  const auto too_few = [&] {
    return invalid_argument("Does not have sufficient slices for partitioned tensor ", key,
                            " to restore in slice_spec: ", wanted);
  };
  struct Part {
    TensorSlice where, shared;  // of the full tensor
    Tensor values;
  };
  std::vector<Part> parts;
  CheckedInt available = 0;
  for (size_t i = 0; i < saved.slices.size(); ++i) {
    MR_ASSIGN_OR_RETURN(TensorSlice where, saved.slices[i].resolved(saved.shape));
    if (where == wanted) return decode(key, saved, where, stored->values[i]);
    TensorSlice shared;
    if (!intersect(where, wanted, &shared)) continue;
    MR_ASSIGN_OR_RETURN(Tensor values, decode(key, saved, where, stored->values[i]));
    available += shared.shape().num_elements();
    parts.push_back({std::move(where), std::move(shared), std::move(values)});
  }
  // Before memory is taken for what no values back.
  const TensorShape shape = wanted.shape();
  if (available.valid() && available.value() < shape.num_elements()) return too_few();
  MR_ASSIGN_OR_RETURN(Tensor result, make_zeroed_tensor(saved.dtype, shape));
  SliceFiller filler(&result, wanted);
  for (const Part& part : parts) filler.copy(part.values, part.where, part.shared);
  if (!filler.complete()) return too_few();
  return result;
}

absl::StatusOr<std::vector<std::string>> SliceFileReader::read_variants(std::string_view key) const {
  return unimplemented(prefix(), ": ", key, ": checkpoints of the first format hold no variants");
}

absl::Status SliceFileReader::verify() const {
  for (const auto& [name, stored] : tensors_) {
    for (size_t i = 0; i < stored.values.size(); ++i) {
      MR_ASSIGN_OR_RETURN(const TensorSlice where, stored.saved.slices[i].resolved(stored.saved.shape));
      MR_RETURN_IF_ERROR(decode(name, stored.saved, where, stored.values[i]).status());
    }
  }
  return absl::OkStatus();
}

// ---- writing

absl::Status SliceFileWriter::add(const std::string& name, const TensorShape& full_shape, const TensorSlice& slice,
                                  const Tensor& tensor) {
  const DataType dtype = tensor.dtype();
  if (!tensor.has_value()) return invalid_argument(path_, ": ", name, " has no value to save");
  if (!is_in_format(dtype))
    return unimplemented(path_, ": ", name, ": Saving data type ", dtype_name(dtype), " not yet supported");
  MR_ASSIGN_OR_RETURN(const TensorSlice resolved, slice.resolved(full_shape));
  if (!(resolved.shape() == tensor.shape())) {
    return invalid_argument("Slice in shape_and_slice specification does not match the shape of the tensor to  save: ",
                            slice, " of ", full_shape, ", tensor: ", tensor.shape());
  }
  SavedTensor& saved = tensors_[name];
  if (saved.slices.empty()) {
    names_.push_back(name);
    saved.dtype = dtype;
    saved.shape = full_shape;
  } else if (saved.dtype != dtype || !(saved.shape == full_shape)) {
    return invalid_argument("Mismatching shapes: existing tensor = ", saved.shape, ", trying to add name ", name,
                            ", shape = ", full_shape);
  }
  pb::SavedTensorSlices message;
  pb::SavedSlice* data = message.mutable_data();
  data->set_name(name);
  to_proto(slice, data->mutable_slice());
  MR_RETURN_IF_ERROR(append_values(tensor, data->mutable_data()));
  if (message.ByteSizeLong() > kMaxValueBytes)
    return invalid_argument(path_, ": tensor ", name,
                            " is too large for a checkpoint of the first format: ", tensor.byte_size(), " bytes");
  if (!entries_.try_emplace(slice_key(name, slice), message.SerializeAsString()).second)
    return invalid_argument("Adding duplicate slice ", slice, " of ", name);
  saved.slices.push_back(slice);
  return absl::OkStatus();
}

absl::Status SliceFileWriter::finish() {
  pb::SavedTensorSlices message;
  for (const std::string& name : names_) {
    const SavedTensor& saved = tensors_[name];
    pb::SavedSliceMeta* meta = message.mutable_meta()->add_tensor();
    meta->set_name(name);
    millrace::to_proto(PartialTensorShape(saved.shape), meta->mutable_shape());
    meta->set_type(static_cast<pb::DataType>(saved.dtype));
    for (const TensorSlice& slice : saved.slices) to_proto(slice, meta->add_slice());
  }
  message.mutable_meta()->mutable_versions()->set_producer(kProducer);
  message.mutable_meta()->mutable_versions()->set_min_consumer(kMinConsumer);
  MR_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path_));
  TableWriter table(file.file());
  MR_RETURN_IF_ERROR(table.add("", message.SerializeAsString()));
  for (const auto& [key, value] : entries_) MR_RETURN_IF_ERROR(table.add(key, value));
  MR_RETURN_IF_ERROR(table.finish());
  return file.commit();
}

}  // namespace millrace
