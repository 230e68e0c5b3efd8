#pragma once
// Numpy broadcasting over memory: dimensions are collapsed to the fewest, the innermost one runs as a flat loop, and an
// operand that stands still there is spread into a small block first, so that one loop per operation serves every case.

#include <cstdint>
#include <span>

#include "kernels/elementwise.h"

namespace millrace {

// Up to three operands against one output, dimensions of size 1 dropped and adjacent ones joined where each operand
// allows. More than 64 remaining dimensions cannot be: each is at least 2, and the output's element count fits 63 bits.
class Broadcast {
 public:
  static constexpr int kMaxOperands = 3;
  static constexpr int kMaxRank = 64;
  // Shapes must broadcast to `out`, which must have elements.
  Broadcast(std::span<const std::span<const int64_t>> operands, std::span<const int64_t> out);

  int rank() const { return rank_; }                  // >= 1
  int64_t inner() const { return dims_[rank_ - 1]; }  // elements of the innermost dimension
  int64_t rows() const { return rows_; }              // of all others
  bool inner_varies(int operand) const { return strides_[operand][rank_ - 1] != 0; }

  // Calls fn(row, offsets) for rows [begin, end): offsets[k] is operand k's first element of that row.
  template <class F> void for_rows(int64_t begin, int64_t end, F&& fn) const {
    int64_t index[kMaxRank];
    int64_t offsets[kMaxOperands] = {0, 0, 0};
    int64_t rest = begin;
    for (int d = rank_ - 2; d >= 0; --d) {
      index[d] = rest % dims_[d];
      rest /= dims_[d];
      for (int k = 0; k < operands_; ++k) offsets[k] += index[d] * strides_[k][d];
    }
    for (int64_t row = begin; row < end; ++row) {
      fn(row, static_cast<const int64_t*>(offsets));
      for (int d = rank_ - 2; d >= 0; --d) {
        for (int k = 0; k < operands_; ++k) offsets[k] += strides_[k][d];
        if (++index[d] < dims_[d]) break;
        for (int k = 0; k < operands_; ++k) offsets[k] -= strides_[k][d] * dims_[d];
        index[d] = 0;
      }
    }
  }

 private:
  int operands_;
  int rank_ = 0;
  int64_t rows_ = 1;
  int64_t dims_[kMaxRank];
  int64_t strides_[kMaxOperands][kMaxRank];  // in elements; 0 where the operand is broadcast
};

// A binary operation as kernels hold it.
struct BinaryOperation {
  BinaryLoop loop = nullptr;
  Storage in = Storage::kNative;
  Storage out = Storage::kNative;
  int in_size = 4;  // bytes per element
  int out_size = 4;
  double cost_ns = 0.5;  // per element
};

// out = op(x, y) over n elements, where an operand may be a single element that stands for all.
void binary_flat(const BinaryOperation& op, const void* x, bool x_single, const void* y, bool y_single, void* out,
                 int64_t n);
// The general case; `out` must have elements.
void binary_broadcast(const BinaryOperation& op, const void* x, std::span<const int64_t> x_dims, const void* y,
                      std::span<const int64_t> y_dims, void* out, std::span<const int64_t> out_dims);

}  // namespace millrace
