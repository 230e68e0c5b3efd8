#pragma once
// Gradient rules of linear_algebra.cc and spectral.cc, as formulas over ops.

#include "op/gradient_context.h"

namespace millrace {

absl::Status matrix_inverse_gradient(GradientContext& g);
absl::Status matrix_solve_gradient(GradientContext& g);
absl::Status matrix_triangular_solve_gradient(GradientContext& g);
absl::Status matrix_solve_ls_gradient(GradientContext& g);  // fast only, static shapes only
absl::Status cholesky_rule(GradientContext& g);
absl::Status qr_gradient(GradientContext& g);  // static shapes only
absl::Status determinant_gradient(GradientContext& g);
absl::Status log_determinant_gradient(GradientContext& g);
absl::Status self_adjoint_eigen_gradient(GradientContext& g);
absl::Status svd_gradient(GradientContext& g);  // static shapes only
absl::Status matrix_square_root_gradient(GradientContext& g);

}  // namespace millrace
