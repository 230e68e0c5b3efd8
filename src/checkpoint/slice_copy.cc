#include "checkpoint/slice_copy.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

// Row-major distance between neighbours in each dimension of a slice's own tensor.
std::vector<int64_t> strides_of(const TensorSlice& slice) {
  std::vector<int64_t> strides(static_cast<size_t>(slice.rank()), 1);
  for (int i = slice.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * slice.extents()[i + 1].length;
  return strides;
}

}  // namespace

SliceFiller::SliceFiller(Tensor* target, const TensorSlice& wanted)
    : target_(target),
      wanted_(wanted),
      filled_(static_cast<size_t>(target->num_elements()), false),
      missing_(target->num_elements()) {}

void SliceFiller::copy(const Tensor& source, const TensorSlice& where, const TensorSlice& shared) {
  const int rank = shared.rank();
  const auto& extents = shared.extents();
  const std::vector<int64_t> source_strides = strides_of(where), target_strides = strides_of(wanted_);
  const int64_t run = rank == 0 ? 1 : extents[rank - 1].length;  // elements in a row
  const size_t element = dtype_size(target_->dtype());
  const bool strings = target_->dtype() == DataType::kString;

  std::vector<int64_t> index(static_cast<size_t>(rank), 0);  // within `shared`; the last stays 0
  while (true) {
    int64_t from = 0, to = 0;
    for (int i = 0; i < rank; ++i) {
      from += (extents[i].start + index[i] - where.extents()[i].start) * source_strides[i];
      to += (extents[i].start + index[i] - wanted_.extents()[i].start) * target_strides[i];
    }
    if (strings) {
      std::copy_n(source.unchecked<std::string>().data() + from, run,
                  target_->unchecked_mutable<std::string>().data() + to);
    } else {
      std::memcpy(static_cast<char*>(target_->raw_mutable_data()) + to * element,
                  static_cast<const char*>(source.raw_data()) + from * element, run * element);
    }
    for (int64_t i = to; i < to + run; ++i) {
      missing_ -= !filled_[static_cast<size_t>(i)];
      filled_[static_cast<size_t>(i)] = true;
    }
    int dim = rank - 2;
    while (dim >= 0 && ++index[dim] == extents[dim].length) index[dim--] = 0;
    if (dim < 0) return;
  }
}

}  // namespace millrace
