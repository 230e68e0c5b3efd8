#pragma once
// Batches of matrices as the linear algebra ops see them: shapes checked, each matrix in double precision.

#include <algorithm>
#include <span>
#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {

// What the numeric work is done in.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>, Complex128, double>;

// One matrix at a time of an input; a copy unless T is wide already.
template <class T> class WideInput {
 public:
  const Wide<T>* load(std::span<const T> all, int64_t at, int64_t size) {
    const std::span<const T> one = all.subspan(static_cast<size_t>(at), static_cast<size_t>(size));
    if constexpr (std::is_same_v<T, Wide<T>>) {
      return one.data();
    } else {
      copy_.resize(one.size());
      std::ranges::transform(one, copy_.begin(), [](const T& x) {
        if constexpr (std::is_same_v<T, Half>) return static_cast<double>(static_cast<float>(x));
        else return Wide<T>(x);
      });
      return copy_.data();
    }
  }

 private:
  std::vector<Wide<T>> copy_;
};

// One matrix at a time of an output; store() writes what was put where prepare() said.
template <class T> class WideOutput {
 public:
  Wide<T>* prepare(std::span<T> all, int64_t at, int64_t size) {
    one_ = all.subspan(static_cast<size_t>(at), static_cast<size_t>(size));
    if constexpr (std::is_same_v<T, Wide<T>>) {
      return one_.data();
    } else {
      copy_.resize(one_.size());
      return copy_.data();
    }
  }
  void store() {
    if constexpr (!std::is_same_v<T, Wide<T>>) {
      std::ranges::transform(copy_, one_.begin(), [](const Wide<T>& x) {
        if constexpr (std::is_same_v<T, Half>) return Half(static_cast<float>(x));
        else return static_cast<T>(x);
      });
    }
  }

 private:
  std::span<T> one_;
  std::vector<Wide<T>> copy_;
};

// The matrices of a tensor, and what stands before their two dimensions.
struct Matrices {
  TensorShape outer;
  int64_t rows = 0, columns = 0;
  int64_t size = 0, count = 0;  // elements of one; how many
};

inline absl::StatusOr<Matrices> matrices_of(const TensorShape& shape) {
  const int rank = shape.rank();
  if (rank < 2) return invalid_argument("Input tensor must have rank >= 2, got shape ", shape);
  Matrices m{subshape(shape, 0, rank - 2), shape.dim(rank - 2), shape.dim(rank - 1)};
  m.count = m.outer.num_elements();
  m.size = m.count == 0 ? 0 : m.rows * m.columns;  // of no matrix the sizes may be absurd
  return m;
}

inline absl::StatusOr<Matrices> square_matrices(const TensorShape& shape) {
  MR_ASSIGN_OR_RETURN(Matrices m, matrices_of(shape));
  if (m.rows != m.columns) return invalid_argument("Input matrix must be square, got shape ", shape);
  return m;
}

inline absl::StatusOr<TensorShape> batch_of(const TensorShape& outer, std::initializer_list<int64_t> dims) {
  MR_ASSIGN_OR_RETURN(const TensorShape inner, make_shape(dims));
  return concatenate(outer, inner);
}

// What is known of a batch of matrices, square ones where asked (-1: unknown).
struct KnownMatrices {
  PartialTensorShape outer;
  int64_t rows = -1, columns = -1;
  int64_t smaller() const { return rows >= 0 && columns >= 0 ? std::min(rows, columns) : -1; }
};

inline absl::StatusOr<KnownMatrices> known_matrices(ShapeContext& c, int i, bool square) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.with_rank_at_least(i, 2));
  KnownMatrices m;
  if (!shape.has_rank()) return m;
  MR_ASSIGN_OR_RETURN(m.outer, make_partial_shape(shape.dims().first(static_cast<size_t>(shape.rank() - 2))));
  m.rows = shape.dim(shape.rank() - 2);
  m.columns = shape.dim(shape.rank() - 1);
  if (!square) return m;
  if (m.rows >= 0 && m.columns >= 0 && m.rows != m.columns)
    return invalid_argument("Dimensions must be equal, but are ", m.rows, " and ", m.columns);
  m.rows = m.columns = std::max(m.rows, m.columns);
  return m;
}

inline absl::StatusOr<PartialTensorShape> joined(const PartialTensorShape& outer, std::initializer_list<int64_t> dims) {
  if (!outer.has_rank()) return outer;
  MR_ASSIGN_OR_RETURN(const PartialTensorShape inner, make_partial_shape(dims));
  return concatenate(outer, inner);
}

}  // namespace millrace
