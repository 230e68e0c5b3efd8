#pragma once
// Arithmetic for gradient rules that are formulas over matrices: each function makes the node that TensorFlow's Python
// operator of that name makes. Matrices are the last two dimensions.

#include <span>
#include <vector>

#include "op/gradient_context.h"

namespace millrace {

class GradientAlgebra {
 public:
  explicit GradientAlgebra(GradientContext& g) : g_(g) {}

  Output add(const Output& a, const Output& b) { return g_.op("AddV2", {a, b}, {}, "add"); }
  Output sub(const Output& a, const Output& b) { return g_.op("Sub", {a, b}, {}, "sub"); }
  Output mul(const Output& a, const Output& b) { return g_.op("Mul", {a, b}, {}, "mul"); }
  Output neg(const Output& a) { return g_.op("Neg", {a}); }
  Output scaled(const Output& a, double factor);
  Output conj(const Output& a);  // a itself unless it is complex
  Output cast(const Output& a, DataType dtype);
  Output scalar(DataType dtype, double value);  // a constant

  enum class Adjoint { kNone, kA, kB };
  Output matmul(const Output& a, const Output& b, Adjoint adjoint = Adjoint::kNone);
  Output matmul(const Output& a, const Output& b, bool adjoint_a, bool adjoint_b);
  Output transposed(const Output& a);
  Output adjoint(const Output& a) { return conj(transposed(a)); }
  Output lower(const Output& a) { return band(a, -1, 0); }
  Output upper(const Output& a) { return band(a, 0, -1); }
  Output diag(const Output& a);  // matrices with these diagonals
  Output diag_part(const Output& a);
  Output with_diag(const Output& a, const Output& diagonal);
  Output identity_like(const Output& a);  // a square

  Output expand(const Output& a, int32_t axis);
  Output sum(const Output& a, int32_t axis);
  Output shape(const Output& a) { return g_.op("Shape", {a}); }
  // Of the last `ranges.size()` dimensions the elements [begin, end), where end = -1 is all that follows and begin may
  // count from the end; dimensions before are kept whole.
  struct Range {
    int32_t begin = 0, end = 0;
    bool to_end = true;
  };
  Output slice_last(const Output& a, const std::vector<Range>& ranges);
  // Zeros before and behind, in the last dimensions.
  Output pad_last(const Output& a, const std::vector<std::pair<int32_t, int32_t>>& widths);
  // Zeros behind, in every dimension, up to the shape of `like`.
  Output pad_to(const Output& a, const Output& like);
  // Sums the gradients of two inputs whose dimensions before the last two were broadcast against each other.
  void unbroadcast_batches(const Output& a, const Output& b, Output& da, Output& db);

 private:
  Output band(const Output& a, int64_t lower, int64_t upper);
  GradientContext& g_;
};

}  // namespace millrace
