#include "tensor/shape.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/errors.h"

namespace millrace {

void Dims::copy_to_heap(const int64_t* from, int size) {
  heap_ = std::copy_n(from, size, new int64_t[static_cast<size_t>(size)]) - size;
  size_ = size;
}

TensorShape ShapeFactory::shape(Dims dims, int64_t num_elements) { return {std::move(dims), num_elements}; }

PartialTensorShape ShapeFactory::partial(Dims dims) {
  PartialTensorShape result;
  result.known_ = true;
  result.dims_ = std::move(dims);
  return result;
}

absl::StatusOr<TensorShape> make_shape(std::span<const int64_t> dims) {
  if (dims.size() > Dims::kMaxRank) {
    return invalid_argument("shape has ", dims.size(), " dimensions, at most ", Dims::kMaxRank, " are possible");
  }
  int64_t count = 1;
  bool overflow = false, empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return invalid_argument("shape [", absl::StrJoin(dims, ","), "]: Dimension ", dim, " must be >= 0");
    empty |= dim == 0;
    overflow |= __builtin_mul_overflow(count, std::max<int64_t>(dim, 1), &count);
  }
  // A zero anywhere makes the count zero, but the product of any of the other dimensions must still be a number.
  if (overflow)
    return invalid_argument("shape [", absl::StrJoin(dims, ","), "] is too large (more than 2**63 - 1 entries)");
  return ShapeFactory::shape(Dims(dims), empty ? 0 : count);
}

absl::StatusOr<TensorShape> make_shape(std::initializer_list<int64_t> dims) {
  return make_shape(std::span<const int64_t>(dims.begin(), dims.size()));
}

absl::StatusOr<PartialTensorShape> make_partial_shape(std::span<const int64_t> dims) {
  if (dims.size() > Dims::kMaxRank) {
    return invalid_argument("shape has ", dims.size(), " dimensions, at most ", Dims::kMaxRank, " are possible");
  }
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < -1) return invalid_argument("shape [", absl::StrJoin(dims, ","), "]: Dimension ", dim, " must be >= -1");
    if (dim > 0 && __builtin_mul_overflow(count, dim, &count)) {
      return invalid_argument("shape [", absl::StrJoin(dims, ","), "] is too large (more than 2**63 - 1 entries)");
    }
  }
  return ShapeFactory::partial(Dims(dims));
}

absl::StatusOr<PartialTensorShape> make_partial_shape(std::initializer_list<int64_t> dims) {
  return make_partial_shape(std::span<const int64_t>(dims.begin(), dims.size()));
}

PartialTensorShape unknown_shape_of_rank(int rank) {
  return ShapeFactory::partial(
      Dims(std::vector<int64_t>(static_cast<size_t>(std::clamp(rank, 0, Dims::kMaxRank)), -1)));
}

absl::StatusOr<TensorShape> as_tensor_shape(const PartialTensorShape& shape) {
  if (!shape.is_fully_defined()) return invalid_argument("shape ", shape.to_string(), " is not fully defined");
  return make_shape(shape.dims());
}

absl::StatusOr<PartialTensorShape> merge(const PartialTensorShape& a, const PartialTensorShape& b) {
  if (!a.has_rank()) return b;
  if (!b.has_rank()) return a;
  if (a.rank() != b.rank()) {
    return invalid_argument("Shapes must be equal rank, but are ", a.rank(), " and ", b.rank());
  }
  Dims dims(a.dims());
  for (int i = 0; i < a.rank(); ++i) {
    if (a.dim(i) == -1) {
      dims[i] = b.dim(i);
    } else if (b.dim(i) != -1 && a.dim(i) != b.dim(i)) {
      return invalid_argument("Dimension ", i, " in both shapes must be equal, but are ", a.dim(i), " and ", b.dim(i),
                              ". Shapes are ", a.to_string(), " and ", b.to_string(), ".");
    }
  }
  return make_partial_shape(dims.span());
}

absl::StatusOr<PartialTensorShape> concatenate(const PartialTensorShape& a, const PartialTensorShape& b) {
  if (!a.has_rank() || !b.has_rank()) return PartialTensorShape();
  std::vector<int64_t> dims(a.dims().begin(), a.dims().end());
  dims.insert(dims.end(), b.dims().begin(), b.dims().end());
  return make_partial_shape(dims);
}

absl::StatusOr<TensorShape> concatenate(const TensorShape& a, const TensorShape& b) {
  std::vector<int64_t> dims(a.dims().begin(), a.dims().end());
  dims.insert(dims.end(), b.dims().begin(), b.dims().end());
  return make_shape(dims);
}

absl::StatusOr<TensorShape> broadcast(const TensorShape& a, const TensorShape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a.dim(ia), db = ib < 0 ? 1 : b.dim(ib);
    if (da != db && da != 1 && db != 1) {
      return invalid_argument("Incompatible shapes: ", a.to_string(), " vs. ", b.to_string());
    }
    dims[static_cast<size_t>(i)] = da == 1 ? db : da;
  }
  return make_shape(dims);
}

absl::StatusOr<PartialTensorShape> broadcast(const PartialTensorShape& a, const PartialTensorShape& b) {
  if (!a.has_rank() || !b.has_rank()) return PartialTensorShape();
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a.dim(ia), db = ib < 0 ? 1 : b.dim(ib);
    int64_t& d = dims[static_cast<size_t>(i)];
    if (da == 1) {
      d = db;
    } else if (db == 1) {
      d = da;
    } else if (da == -1 || db == -1) {
      d = std::max(da, db);  // a dimension above 1 can only meet itself or 1
    } else if (da == db) {
      d = da;
    } else {
      return invalid_argument("Dimensions must be equal, but are ", da, " and ", db, " (shapes ", a.to_string(),
                              " and ", b.to_string(), ")");
    }
  }
  return make_partial_shape(dims);
}

absl::StatusOr<TensorShape> with_dim(const TensorShape& shape, int axis, int64_t size) {
  Dims dims(shape.dims());
  dims[axis] = size;
  return make_shape(dims.span());
}

absl::StatusOr<TensorShape> insert_dim(const TensorShape& shape, int axis, int64_t size) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.insert(dims.begin() + axis, size);
  return make_shape(dims);
}

TensorShape remove_dim(const TensorShape& shape, int axis) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.erase(dims.begin() + axis);
  return TensorShape(std::span<const int64_t>(dims));
}

TensorShape subshape(const TensorShape& shape, int begin, int end) {
  return TensorShape(shape.dims().subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
}

absl::StatusOr<int> canonical_axis(int64_t axis, int rank, std::string_view what) {
  if (axis < -rank || axis >= rank) {
    return invalid_argument(std::string(what), ": axis ", axis, " is out of bounds: must be in the range [", -rank,
                            ", ", rank, ")");
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

TensorShape::TensorShape(std::initializer_list<int64_t> dims) : TensorShape(std::span(dims.begin(), dims.size())) {}
TensorShape::TensorShape(std::span<const int64_t> dims) { *this = value_or_raise(make_shape(dims)); }

std::string TensorShape::to_string() const { return absl::StrCat("[", absl::StrJoin(dims(), ","), "]"); }

bool operator==(const TensorShape& a, const TensorShape& b) { return std::ranges::equal(a.dims(), b.dims()); }

PartialTensorShape::PartialTensorShape(std::initializer_list<int64_t> dims)
    : PartialTensorShape(std::span(dims.begin(), dims.size())) {}
PartialTensorShape::PartialTensorShape(std::span<const int64_t> dims) {
  *this = value_or_raise(make_partial_shape(dims));
}
PartialTensorShape::PartialTensorShape(const TensorShape& shape) : known_(true), dims_(shape.dims()) {}

bool PartialTensorShape::is_fully_defined() const {
  return known_ && std::ranges::none_of(dims(), [](int64_t d) { return d < 0; });
}

int64_t PartialTensorShape::num_elements() const {
  if (!is_fully_defined()) return -1;
  int64_t count = 1;
  for (const int64_t d : dims()) count *= d;  // make_partial_shape checked for overflow
  return count;
}

bool PartialTensorShape::is_compatible_with(const PartialTensorShape& other) const { return merge(*this, other).ok(); }

std::string PartialTensorShape::to_string() const {
  if (!known_) return "<unknown>";
  return absl::StrCat("[",
                      absl::StrJoin(dims(), ",",
                                    [](std::string* out, int64_t d) {
                                      absl::StrAppend(out, d < 0 ? std::string("?") : std::to_string(d));
                                    }),
                      "]");
}

bool operator==(const PartialTensorShape& a, const PartialTensorShape& b) {
  return a.known_ == b.known_ && std::ranges::equal(a.dims(), b.dims());
}

}  // namespace millrace
