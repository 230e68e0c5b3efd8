#include "ops/strided_slice_spec.h"

#include <algorithm>

#include "tensor/shape.h"

namespace millrace {
namespace {

constexpr int kNewAxis = -1;
constexpr int kShrunk = -2;

bool bit(int64_t mask, size_t i) { return (mask >> i) & 1; }

// The spec as written, brought to one entry per input dimension.
struct Dense {
  std::vector<int64_t> begin, end, stride;
  std::vector<bool> begin_mask, end_mask, shrink;
  std::vector<int> gather;  // final dimensions: an input dimension, kNewAxis or kShrunk
};

absl::StatusOr<Dense> densify(int rank, const std::vector<int64_t>* begin, const std::vector<int64_t>* end,
                              const std::vector<int64_t>& strides, const StridedSliceMasks& masks) {
  const size_t n = strides.size();
  if (n > 32) return invalid_argument("strided slice specs of more than 32 entries are not supported, got ", n);
  // Entries after the ellipsis that add axes take no input dimension; without an ellipsis one stands at the end.
  size_t ellipsis = n;
  int new_axes_after = 0;
  for (size_t i = 0; i < n; ++i) {
    if (ellipsis < n && bit(masks.new_axis, i)) ++new_axes_after;
    if (bit(masks.ellipsis, i)) {
      if (ellipsis < n) return invalid_argument("Multiple ellipses in slice spec not allowed");
      ellipsis = i;
    }
  }
  Dense dense;
  const auto dims = static_cast<size_t>(rank);
  dense.begin.assign(dims, 0);
  dense.end.assign(dims, 0);
  dense.stride.assign(dims, 1);
  dense.begin_mask.assign(dims, true);
  dense.end_mask.assign(dims, true);
  dense.shrink.assign(dims, false);
  size_t full = 0;
  for (size_t i = 0; i <= n; ++i) {
    if (i == n && ellipsis < n) break;
    if (i == ellipsis) {
      const int64_t left =
          rank - (static_cast<int64_t>(n) - static_cast<int64_t>(i)) + (i < n ? 1 : 0) + new_axes_after;
      const auto next = static_cast<size_t>(std::clamp<int64_t>(left, static_cast<int64_t>(full), rank));
      for (; full < next; ++full) dense.gather.push_back(static_cast<int>(full));
      continue;
    }
    if (bit(masks.new_axis, i)) {
      dense.gather.push_back(kNewAxis);
      continue;
    }
    if (full == dims)
      return invalid_argument("Index out of range using input dim ", full, "; input has only ", rank, " dims");
    if (begin != nullptr) dense.begin[full] = (*begin)[i];
    if (end != nullptr) dense.end[full] = (*end)[i];
    dense.stride[full] = strides[i];
    dense.begin_mask[full] = bit(masks.begin, i);
    dense.end_mask[full] = bit(masks.end, i);
    dense.shrink[full] = bit(masks.shrink_axis, i);
    dense.gather.push_back(dense.shrink[full] ? kShrunk : static_cast<int>(full));
    ++full;
  }
  return dense;
}

// A bound as an index in [low, high]: negative ones count from the end, masked ones are the end where the walk starts
// or stops.
int64_t canonical(int64_t x, bool masked, bool is_begin, int64_t dim, int64_t stride) {
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? dim : dim - 1;
  if (masked) return (stride > 0) == is_begin ? low : high;
  return std::clamp(x < 0 ? dim + x : x, low, high);
}

int64_t steps(int64_t interval, int64_t stride) {
  if (interval == 0 || (interval < 0) != (stride < 0)) return 0;
  return interval / stride + (interval % stride != 0 ? 1 : 0);
}

}  // namespace

absl::StatusOr<StridedSliceSpec> strided_slice_spec(const PartialTensorShape& input, const std::vector<int64_t>* begin,
                                                    const std::vector<int64_t>* end,
                                                    const std::vector<int64_t>& strides,
                                                    const StridedSliceMasks& masks) {
  if ((begin != nullptr && begin->size() != strides.size()) || (end != nullptr && end->size() != strides.size())) {
    return invalid_argument("Expected begin, end, and strides to be 1D equal size tensors, but got sizes ",
                            begin ? begin->size() : 0, ", ", end ? end->size() : 0, ", and ", strides.size(),
                            " instead.");
  }
  if (!input.has_rank()) return StridedSliceSpec();
  MR_ASSIGN_OR_RETURN(const Dense dense, densify(input.rank(), begin, end, strides, masks));
  StridedSliceSpec spec;
  for (int i = 0; i < input.rank(); ++i) {
    const auto k = static_cast<size_t>(i);
    const int64_t dim = input.dim(i);
    const int64_t stride = dense.stride[k];
    if (stride == 0) return invalid_argument("strides[", i, "] must be non-zero");
    if (dense.shrink[k] && stride < 0) return invalid_argument("only stride 1 allowed on non-range indexing.");
    int64_t first = 0;
    int64_t size = -1;
    const bool all = dense.begin_mask[k] && dense.end_mask[k];
    const bool bounds_known = begin != nullptr && end != nullptr;
    if (dense.shrink[k]) {
      size = 1;
      if (dim >= 0 && begin != nullptr) {
        first = dense.begin[k] < 0 ? dim + dense.begin[k] : dense.begin[k];  // a begin mask has no say here
        if (first < 0 || first >= dim) {
          return invalid_argument("slice index ", dense.begin[k], " of dimension ", i, " out of bounds.");
        }
      }
    } else if (dim >= 0 && (bounds_known || all)) {
      first = canonical(dense.begin[k], dense.begin_mask[k], true, dim, stride);
      size = steps(canonical(dense.end[k], dense.end_mask[k], false, dim, stride) - first, stride);
    }
    spec.begin.push_back(first);
    spec.stride.push_back(stride);
    spec.size.push_back(size);
  }
  MR_ASSIGN_OR_RETURN(spec.processing_shape, make_partial_shape(spec.size));
  std::vector<int64_t> final_dims;
  for (const int d : dense.gather) {
    if (d == kShrunk) continue;
    final_dims.push_back(d == kNewAxis ? 1 : spec.size[static_cast<size_t>(d)]);
    spec.source.push_back(d);
  }
  MR_ASSIGN_OR_RETURN(spec.final_shape, make_partial_shape(final_dims));
  return spec;
}

}  // namespace millrace
