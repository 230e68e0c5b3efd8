#include "data/state_wire.h"

#include <cstring>
#include <limits>

#include "base/byte_reader.h"
#include "base/checked.h"
#include "base/coding.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

// varint version | varint count, (name, fixed64)... | varint count, (name, tensor)...
// name: varint length, bytes. tensor: varint dtype, varint rank, varint dims..., then the elements' bytes, or strings
// as names are.
constexpr uint64_t kVersion = 1;
constexpr std::string_view kSource = "the saved state of an iterator";

void append_text(std::string& out, std::string_view text) {
  append_varint64(out, text.size());
  out.append(text);
}

absl::StatusOr<std::string> read_text(ByteReader& in, std::string_view what) {
  MR_ASSIGN_OR_RETURN(const uint64_t size, in.read_varint64(what));
  MR_ASSIGN_OR_RETURN(const std::string_view bytes, in.read_bytes(size, what));
  return std::string(bytes);
}

// As many as the bytes that are left can hold, at one byte each.
absl::StatusOr<uint64_t> read_count(ByteReader& in, std::string_view what) {
  MR_ASSIGN_OR_RETURN(const uint64_t count, in.read_varint64(what));
  if (count > in.remaining()) return in.error(what);
  return count;
}

absl::Status append_value(std::string& out, const std::string& name, const Tensor& tensor) {
  const DataType dtype = tensor.dtype();
  if (!tensor.has_value() || dtype == DataType::kResource || dtype == DataType::kVariant)
    return unimplemented("The iterator's state '", name, "' is a tensor of dtype ", dtype_name(dtype),
                         ", which cannot be saved");
  append_varint64(out, static_cast<uint64_t>(dtype));
  append_varint64(out, static_cast<uint64_t>(tensor.rank()));
  for (const int64_t dim : tensor.shape().dims()) append_varint64(out, static_cast<uint64_t>(dim));
  if (dtype == DataType::kString) {
    for (const std::string& s : tensor.unchecked<std::string>()) append_text(out, s);
  } else {
    out.append(static_cast<const char*>(tensor.raw_data()), tensor.byte_size());
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorShape> read_shape(ByteReader& in) {
  MR_ASSIGN_OR_RETURN(const uint64_t rank, read_count(in, "rank"));
  std::vector<int64_t> dims;
  for (uint64_t d = 0; d < rank; ++d) {
    MR_ASSIGN_OR_RETURN(const uint64_t dim, in.read_varint64("dimension"));
    if (dim > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return in.error("dimension");
    dims.push_back(static_cast<int64_t>(dim));
  }
  auto shape = make_shape(dims);
  if (!shape.ok()) return in.error(to_std(shape.status().message()));
  return shape;
}

absl::StatusOr<Tensor> read_value(ByteReader& in) {
  MR_ASSIGN_OR_RETURN(const uint64_t number, in.read_varint64("dtype"));
  const auto dtype = static_cast<DataType>(number);
  if (number > 100 || !is_valid_dtype(dtype) || dtype == DataType::kResource || dtype == DataType::kVariant)
    return in.error("dtype");
  MR_ASSIGN_OR_RETURN(const TensorShape shape, read_shape(in));
  const bool strings = dtype == DataType::kString;
  const CheckedInt bytes = CheckedInt(shape.num_elements()) * (strings ? size_t{1} : dtype_size(dtype));
  if (!bytes.valid() || static_cast<uint64_t>(bytes.value()) > in.remaining()) return in.error("elements");
  MR_ASSIGN_OR_RETURN(Tensor tensor, make_tensor(dtype, shape));
  if (strings) {
    for (std::string& s : tensor.unchecked_mutable<std::string>()) {
      MR_ASSIGN_OR_RETURN(s, read_text(in, "string"));
    }
    return tensor;
  }
  MR_ASSIGN_OR_RETURN(const std::string_view content, in.read_bytes(static_cast<uint64_t>(bytes.value()), "elements"));
  if (!content.empty()) std::memcpy(tensor.raw_mutable_data(), content.data(), content.size());
  if (dtype == DataType::kBool) {  // anything but 0 and 1 would be undefined behaviour later
    auto* flags = static_cast<unsigned char*>(tensor.raw_mutable_data());
    for (size_t i = 0; i < content.size(); ++i) flags[i] = flags[i] != 0;
  }
  return tensor;
}

}  // namespace

absl::StatusOr<std::string> encode_iterator_state(const IteratorState& state) {
  std::string out;
  append_varint64(out, kVersion);
  append_varint64(out, state.numbers.size());
  for (const auto& [name, value] : state.numbers) {
    append_text(out, name);
    append_fixed64(out, static_cast<uint64_t>(value));
  }
  append_varint64(out, state.tensors.size());
  for (const auto& [name, tensor] : state.tensors) {
    append_text(out, name);
    MR_RETURN_IF_ERROR(append_value(out, name, tensor));
  }
  return out;
}

absl::StatusOr<IteratorState> decode_iterator_state(std::string_view bytes) {
  ByteReader in(bytes, kSource);
  IteratorState state;
  MR_ASSIGN_OR_RETURN(const uint64_t version, in.read_varint64("version"));
  if (version != kVersion) return in.error("version");
  MR_ASSIGN_OR_RETURN(const uint64_t numbers, read_count(in, "count of numbers"));
  for (uint64_t i = 0; i < numbers; ++i) {
    MR_ASSIGN_OR_RETURN(std::string name, read_text(in, "name"));
    MR_ASSIGN_OR_RETURN(const uint64_t value, in.read_fixed64("number"));
    state.numbers[std::move(name)] = static_cast<int64_t>(value);
  }
  MR_ASSIGN_OR_RETURN(const uint64_t tensors, read_count(in, "count of tensors"));
  for (uint64_t i = 0; i < tensors; ++i) {
    MR_ASSIGN_OR_RETURN(std::string name, read_text(in, "name"));
    MR_ASSIGN_OR_RETURN(state.tensors[std::move(name)], read_value(in));
  }
  if (!in.at_end()) return in.error("bytes behind the end");
  return state;
}

}  // namespace millrace
