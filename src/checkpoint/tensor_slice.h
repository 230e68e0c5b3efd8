#pragma once
// A rectangular part of a tensor, as checkpoints of partitioned variables name them: per dimension a start and a
// length, or the whole dimension. As text "0,2:-" (rows 0 and 1, all columns); "-:-" is a whole matrix.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "millrace/shape.h"

namespace millrace {

class TensorSlice {
 public:
  static constexpr int64_t kFull = -1;  // the length that means the whole dimension
  struct Extent {
    int64_t start = 0;
    int64_t length = kFull;
    bool is_full() const { return length == kFull; }
    friend bool operator==(const Extent&, const Extent&) = default;
  };

  TensorSlice() = default;                                                 // of a scalar
  explicit TensorSlice(int rank) : extents_(static_cast<size_t>(rank)) {}  // the whole tensor
  explicit TensorSlice(std::vector<Extent> extents) : extents_(std::move(extents)) {}
  // InvalidArgument for anything but START,LENGTH or - joined by ':'.
  static absl::StatusOr<TensorSlice> parse(std::string_view text);

  int rank() const { return static_cast<int>(extents_.size()); }
  const std::vector<Extent>& extents() const { return extents_; }
  bool is_full() const;                         // every extent the whole dimension
  bool covers(const TensorShape& shape) const;  // is_full, or the extents say the same; the slice must fit the shape
  std::string to_string() const;

  // This slice of a tensor of that shape with explicit starts and lengths; InvalidArgument where it does not fit.
  absl::StatusOr<TensorSlice> resolved(const TensorShape& shape) const;
  // The lengths of a resolved slice.
  TensorShape shape() const;

  friend bool operator==(const TensorSlice&, const TensorSlice&) = default;

 private:
  std::vector<Extent> extents_;
};

// What two resolved slices of the same rank share; false if nothing.
bool intersect(const TensorSlice& a, const TensorSlice& b, TensorSlice* shared);

// "4 6 0,2:-": the full shape, then the slice, as SaveV2 and RestoreV2 take them.
struct ShapeAndSlice {
  TensorShape shape;
  TensorSlice slice;  // as written
  TensorShape slice_shape;
};
absl::StatusOr<ShapeAndSlice> parse_shape_and_slice(std::string_view text);

}  // namespace millrace
