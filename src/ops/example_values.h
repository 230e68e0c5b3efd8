#pragma once
// The values of features in serialized tf.train.Examples and SequenceExamples, read from their bytes.

#include <algorithm>
#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "base/wire.h"
#include "tensor/tensor.h"

namespace millrace {

// Field numbers of Feature's lists.
inline constexpr uint32_t kBytesList = 1, kFloatList = 2, kInt64List = 3;

inline DataType dtype_of_list(uint32_t field) {
  return field == kBytesList   ? DataType::kString
         : field == kFloatList ? DataType::kFloat
         : field == kInt64List ? DataType::kInt64
                               : DataType::kInvalid;
}

// A feature of an example: which list it holds, and that list's bytes. Repeated lists of one kind add up, which no
// writer does; the last one counts here.
struct FeatureValue {
  DataType dtype = DataType::kInvalid;  // kInvalid: the feature is empty
  std::string_view list;
};

inline bool read_feature(std::string_view bytes, FeatureValue* value) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.type() == WireType::kBytes && dtype_of_list(r.field()) != DataType::kInvalid) {
      value->dtype = dtype_of_list(r.field());
      value->list = r.bytes();
    } else {
      r.skip();
    }
  }
  return r.ok();
}

// Calls emit(value) for each value of a list, packed or not; false where the bytes are damaged or emit says so.
template <class Emit> bool for_each_float(std::string_view list, Emit emit) {
  WireReader r(list);
  while (r.next()) {
    if (r.is(1, WireType::kBytes)) {
      const std::string_view packed = r.bytes();
      if (packed.size() % 4 != 0) return false;
      for (size_t i = 0; i < packed.size(); i += 4)
        if (!emit(std::bit_cast<float>(load_fixed32(packed.data() + i)))) return false;
    } else if (r.is(1, WireType::kFixed32)) {
      if (!emit(std::bit_cast<float>(r.fixed32()))) return false;
    } else {
      r.skip();
    }
  }
  return r.ok();
}

template <class Emit> bool for_each_int64(std::string_view list, Emit emit) {
  WireReader r(list);
  while (r.next()) {
    if (r.is(1, WireType::kBytes)) {
      WireReader packed(r.bytes());
      while (!packed.at_end()) {
        const uint64_t value = packed.varint();
        if (!packed.ok() || !emit(static_cast<int64_t>(value))) return false;
      }
    } else if (r.is(1, WireType::kVarint)) {
      if (!emit(static_cast<int64_t>(r.varint()))) return false;
    } else {
      r.skip();
    }
  }
  return r.ok();
}

template <class Emit> bool for_each_string(std::string_view list, Emit emit) {
  WireReader r(list);
  while (r.next()) {
    if (r.is(1, WireType::kBytes)) {
      if (!emit(r.bytes())) return false;
    } else {
      r.skip();
    }
  }
  return r.ok();
}

// Values of one feature over the examples read so far.
struct Values {
  DataType dtype = DataType::kInvalid;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string> strings;

  size_t size() const {
    return dtype == DataType::kFloat ? floats.size() : dtype == DataType::kInt64 ? ints.size() : strings.size();
  }
  void truncate(size_t size) {
    if (dtype == DataType::kFloat) floats.resize(size);
    else if (dtype == DataType::kInt64) ints.resize(size);
    else strings.resize(size);
  }
  bool append(std::string_view list) {
    if (dtype == DataType::kFloat)
      return for_each_float(list, [&](float v) {
        floats.push_back(v);
        return true;
      });
    if (dtype == DataType::kInt64)
      return for_each_int64(list, [&](int64_t v) {
        ints.push_back(v);
        return true;
      });
    return for_each_string(list, [&](std::string_view v) {
      strings.emplace_back(v);
      return true;
    });
  }
  // Moves values [from, from + count) into the tensor at `to`.
  void move_to(size_t from, size_t count, Tensor& tensor, size_t to) {
    const auto copy = [&](auto& values, auto out) {
      std::move(values.begin() + static_cast<std::ptrdiff_t>(from),
                values.begin() + static_cast<std::ptrdiff_t>(from + count),
                out.begin() + static_cast<std::ptrdiff_t>(to));
    };
    if (dtype == DataType::kFloat) copy(floats, tensor.unchecked_mutable<float>());
    else if (dtype == DataType::kInt64) copy(ints, tensor.unchecked_mutable<int64_t>());
    else copy(strings, tensor.unchecked_mutable<std::string>());
  }
  absl::StatusOr<Tensor> take_all() {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({static_cast<int64_t>(size())}));
    MR_ASSIGN_OR_RETURN(Tensor t, make_tensor(dtype, shape));
    move_to(0, size(), t, 0);
    return t;
  }
};

// Writes exactly `count` values at `offset`; *found says how many there were.
template <class T>
bool fill_exactly(std::string_view list, Tensor& tensor, int64_t offset, int64_t count, int64_t* found) {
  T* out = static_cast<T*>(tensor.raw_mutable_data()) + offset;
  int64_t n = 0;
  const auto emit = [&](auto v) {
    if (n < count) out[n] = T(v);
    ++n;
    return true;
  };
  bool ok;
  if constexpr (std::is_same_v<T, float>) ok = for_each_float(list, emit);
  else if constexpr (std::is_same_v<T, int64_t>) ok = for_each_int64(list, emit);
  else ok = for_each_string(list, emit);
  *found = n;
  return ok;
}

inline bool fill_dense(const FeatureValue& value, Tensor& tensor, int64_t offset, int64_t count, int64_t* found) {
  switch (value.dtype) {
    case DataType::kFloat: return fill_exactly<float>(value.list, tensor, offset, count, found);
    case DataType::kInt64: return fill_exactly<int64_t>(value.list, tensor, offset, count, found);
    default: return fill_exactly<std::string>(value.list, tensor, offset, count, found);
  }
}

}  // namespace millrace
