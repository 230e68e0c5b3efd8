#include "data/rows.h"

#include <algorithm>

#include "kernels/elements.h"

namespace millrace {
namespace {

template <class T> void move_values(Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t count) {
  const std::span<T> in =
      from.unchecked_mutable<T>().subspan(static_cast<size_t>(from_begin), static_cast<size_t>(count));
  std::ranges::move(in, to.unchecked_mutable<T>().begin() + to_begin);
}

template <class T> absl::StatusOr<Tensor> number_as(int64_t value) { return make_scalar(static_cast<T>(value)); }

}  // namespace

void copy_elements(Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t count) {
  if (from.owns_buffer_alone()) {
    switch (from.dtype()) {
      case DataType::kString: return move_values<std::string>(from, from_begin, to, to_begin, count);
      case DataType::kVariant: return move_values<Variant>(from, from_begin, to, to_begin, count);
      case DataType::kResource: return move_values<ResourceHandle>(from, from_begin, to, to_begin, count);
      default: break;
    }
  }
  copy_values(from, from_begin, to, to_begin, count);
}

void copy_values(const Tensor& from, int64_t from_begin, Tensor& to, int64_t to_begin, int64_t count) {
  if (count == 0) return;
  with_storage(from.dtype(), [&]<class S>(std::type_identity<S>) {
    copy_run(static_cast<const S*>(from.raw_data()) + from_begin, static_cast<S*>(to.raw_mutable_data()) + to_begin,
             count);
    return absl::OkStatus();
  }).IgnoreError();  // there are no elements of other dtypes
}

absl::StatusOr<Tensor> copy_row(const Tensor& tensor, int64_t i) {
  const TensorShape shape = subshape(tensor.shape(), 1, tensor.rank());
  MR_ASSIGN_OR_RETURN(Tensor row, make_tensor(tensor.dtype(), shape));
  copy_values(tensor, i * shape.num_elements(), row, 0, shape.num_elements());
  return row;
}

absl::StatusOr<Tensor> copy_rows(const Tensor& tensor, int64_t begin, int64_t count) {
  MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(tensor.shape(), 0, count));
  MR_ASSIGN_OR_RETURN(Tensor rows, make_tensor(tensor.dtype(), shape));
  const int64_t row = tensor.dim(0) == 0 ? 0 : tensor.num_elements() / tensor.dim(0);
  copy_values(tensor, begin * row, rows, 0, count * row);
  return rows;
}

absl::StatusOr<Element> stack_rows(std::vector<Element>& elements) {
  const Element& first = elements[0];
  Element batch;
  batch.reserve(first.size());
  for (size_t c = 0; c < first.size(); ++c) {
    const TensorShape row_shape = first[c].shape();
    const DataType dtype = first[c].dtype();
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(row_shape, 0, static_cast<int64_t>(elements.size())));
    MR_ASSIGN_OR_RETURN(Tensor stacked, make_tensor(dtype, shape));
    for (size_t i = 0; i < elements.size(); ++i) {
      if (elements[i].size() != first.size() || elements[i][c].dtype() != dtype)
        return invalid_argument("Cannot batch elements of different types in component ", c, ".");
      if (elements[i][c].shape() != row_shape)
        return invalid_argument("Cannot batch tensors with different shapes in component ", c,
                                ". First element had shape ", row_shape, " and element ", i, " had shape ",
                                elements[i][c].shape(), ".");
      copy_elements(elements[i][c], 0, stacked, static_cast<int64_t>(i) * row_shape.num_elements(),
                    row_shape.num_elements());
    }
    batch.push_back(std::move(stacked));
  }
  return batch;
}

absl::StatusOr<Tensor> integer_as(DataType dtype, int64_t value) {
  switch (dtype) {
    case DataType::kInt64: return make_scalar(value);
    case DataType::kInt32: return number_as<int32_t>(value);
    case DataType::kInt16: return number_as<int16_t>(value);
    case DataType::kInt8: return number_as<int8_t>(value);
    case DataType::kUint64: return number_as<uint64_t>(value);
    case DataType::kUint32: return number_as<uint32_t>(value);
    case DataType::kUint16: return number_as<uint16_t>(value);
    case DataType::kUint8: return number_as<uint8_t>(value);
    case DataType::kFloat: return number_as<float>(value);
    case DataType::kDouble: return number_as<double>(value);
    case DataType::kHalf: return make_scalar(Half(static_cast<float>(value)));
    case DataType::kBfloat16: return make_scalar(BFloat16(static_cast<float>(value)));
    default: return unimplemented("A range of dtype ", dtype_name(dtype), " is not supported.");
  }
}

}  // namespace millrace
