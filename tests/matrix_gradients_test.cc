// Gradients of linear algebra, Fourier transforms and Einsum against central differences.

#include <functional>
#include <string>
#include <vector>

#include "tests/gradient_checks.h"

namespace millrace {
namespace {

// Far from singular; not always square.
Tensor square(const TensorShape& shape, double diagonal) {
  Tensor t = grid(shape, -1, 1);
  const auto numbers = t.flat<double>();
  std::vector<double> values(numbers.begin(), numbers.end());
  const auto n = static_cast<size_t>(shape.dim(shape.rank() - 1)),
             rows = static_cast<size_t>(shape.dim(shape.rank() - 2));
  for (size_t i = 0; i < values.size(); ++i) {
    if (i / n % rows == i % n) values[i] += diagonal + 0.3 * static_cast<double>(i % n);
  }
  return Tensor(shape, values);
}

// x^H x + 1, so that what is differenced is positive definite whatever changes.
Output positive(TestGraph& g, const Output& x) {
  const Output one = g.op("MatrixDiag", {g.op("OnesLike", {g.op("MatrixDiagPart", {x})})});
  return g.op("AddV2", {g.op("BatchMatMulV2", {x, x}, {{"adj_x", true}}), one});
}

// Real numbers in both parts of a complex one, and back.
Output complex_of(TestGraph& g, const Output& x) {
  return g.op("Complex", {x, g.op("Sin", {x})}, {{"T", DataType::kDouble}, {"Tout", DataType::kComplex128}});
}
Output real_of(TestGraph& g, const Output& z) {
  const AttrMap attrs = {{"T", DataType::kComplex128}, {"Tout", DataType::kDouble}};
  return g.op("AddV2", {g.op("Real", {z}, attrs), g.op("Mul", {g.constant(Tensor(0.7)), g.op("Imag", {z}, attrs)})});
}
// Singular values are real, of whatever type.
Output real_only(TestGraph& g, const Output& x) {
  if (base_dtype(x.dtype()) == DataType::kDouble) return x;
  const Output real = g.op("Real", {x}, {{"T", DataType::kComplex128}, {"Tout", DataType::kDouble}});
  return g.op("Cast", {real}, {{"DstT", DataType::kComplex128}});
}

// A function of matrices in real and in complex numbers, of one matrix and of a batch, with and without static shapes.
using Build = std::function<Output(TestGraph&, const std::vector<Output>&)>;
struct Settings {
  bool dynamic = true;  // the rule does without static shapes
  double tolerance = 1e-5;
};
void check(const std::string& what, const std::vector<Tensor>& values, const Build& build, Settings settings = {}) {
  for (const bool complex : {false, true}) {
    for (const bool known : {true, false}) {
      if (!known && !settings.dynamic) continue;
      TestGraph g;
      std::vector<Output> xs, inputs;
      for (const Tensor& value : values) {
        xs.push_back(
            g.placeholder(DataType::kDouble, known ? PartialTensorShape(value.shape()) : PartialTensorShape()));
        inputs.push_back(complex ? complex_of(g, xs.back()) : xs.back());
      }
      const Output y = build(g, inputs);
      expect_gradient(g, xs, values, complex ? real_of(g, y) : y,
                      str_cat(what, complex ? " of complex" : " of real", known ? "" : ", shapes unknown"),
                      settings.tolerance);
    }
  }
}

TEST(MatrixGradients, of_solvers) {
  for (const TensorShape& shape : {TensorShape{3, 3}, TensorShape{2, 3, 3}}) {
    const Tensor a = square(shape, 3), b = grid(shape, -1, 1);
    for (const bool adjoint : {false, true}) {
      const AttrMap attrs = {{"adjoint", adjoint}};
      check("MatrixInverse", {a}, [&](TestGraph& g, const auto& x) { return g.op("MatrixInverse", {x[0]}, attrs); });
      check("MatrixSolve", {a, b}, [&](TestGraph& g, const auto& x) {
        return g.op("MatrixSolve", {x[0], x[1]}, attrs);
      });
      for (const bool lower : {false, true}) {
        check("MatrixTriangularSolve", {a, b}, [&](TestGraph& g, const auto& x) {
          return g.op("MatrixTriangularSolve", {x[0], x[1]}, {{"adjoint", adjoint}, {"lower", lower}});
        });
      }
    }
  }
  check("MatrixTriangularSolve, broadcast", {square({2, 1, 3, 3}, 3), grid({2, 3, 2}, -1, 1)},
        [](TestGraph& g, const auto& x) {
          return g.op("MatrixTriangularSolve", {x[0], x[1]});
        });
  for (const TensorShape& shape : {TensorShape{4, 2}, TensorShape{2, 4}}) {
    check("MatrixSolveLs", {grid(shape, -1, 1), grid({shape.dim(0), 2}, -1, 1)},
          [](TestGraph& g, const auto& x) {
            return g.op("MatrixSolveLs", {x[0], x[1], g.constant(Tensor(0.3))});
          },
          {.dynamic = false});
  }
}

TEST(MatrixGradients, of_decompositions) {
  for (const TensorShape& shape : {TensorShape{3, 3}, TensorShape{2, 3, 3}}) {
    const Tensor a = square(shape, 2);
    check("Cholesky", {a}, [](TestGraph& g, const auto& x) { return g.op("Cholesky", {positive(g, x[0])}); });
    check("MatrixDeterminant", {a}, [](TestGraph& g, const auto& x) { return g.op("MatrixDeterminant", {x[0]}); });
    check("LogMatrixDeterminant", {a},
          [](TestGraph& g, const auto& x) { return Output(g.node("LogMatrixDeterminant", {positive(g, x[0])}), 1); });
    check("MatrixSquareRoot", {a},
          [](TestGraph& g, const auto& x) { return g.op("MatrixSquareRoot", {positive(g, x[0])}); });
    for (const bool vectors : {false, true}) {
      check("SelfAdjointEigV2", {a}, [&](TestGraph& g, const auto& x) {
        return g.op("SelfAdjointEigV2", {positive(g, x[0])}, {{"compute_v", vectors}});
      });
    }
  }
}

TEST(MatrixGradients, of_cross_products_and_nth_elements) {
  TestGraph g;
  const Output a = g.placeholder(DataType::kDouble, {2, 3}, "a"), b = g.placeholder(DataType::kDouble, {2, 3}, "b");
  const Tensor x = grid({2, 3}, -1, 1), y = grid({2, 3}, -2, 3);
  expect_gradient(g, {a, b}, {x, y}, g.op("Cross", {a, g.op("Square", {b})}), "Cross");
  for (const bool reverse : {false, true})
    expect_gradient(g, {a}, {x}, g.op("NthElement", {a, Tensor(int32_t{1})}, {{"reverse", reverse}}), "NthElement");
}

TEST(MatrixGradients, of_qr) {
  for (const TensorShape& shape : {TensorShape{3, 3}, TensorShape{4, 2}, TensorShape{2, 2, 4}}) {
    for (const int output : {0, 1}) {
      check("Qr", {square(shape, 2)}, [&](TestGraph& g, const auto& x) { return Output(g.node("Qr", {x[0]}), output); },
            {.dynamic = false});
    }
  }
}

TEST(MatrixGradients, of_singular_values_and_what_they_put_together) {
  for (const TensorShape& shape : {TensorShape{3, 3}, TensorShape{4, 2}, TensorShape{2, 2, 3}}) {
    for (const bool vectors : {false, true}) {
      check("Svd", {square(shape, 2)},
            [&](TestGraph& g, const auto& x) {
              return real_only(g, g.op("Svd", {x[0]}, {{"compute_uv", vectors}}));
            },
            {.dynamic = false});
    }
    // Vectors are known but for a factor of size one each: u v^H is not.
    for (const bool full : {false, shape.rank() == 3}) {
      check("Svd's vectors", {square(shape, 2)},
            [&](TestGraph& g, const auto& x) {
              Node* svd = g.node("Svd", {x[0]}, {{"full_matrices", full}});
              const Output v = full ? g.op("StridedSlice",
                                           {Output(svd, 2), g.constant(Tensor(std::vector<int32_t>{0, 0})),
                                            g.constant(Tensor(std::vector<int32_t>{0, 2})),
                                            g.constant(Tensor(std::vector<int32_t>{1, 1}))},
                                           {{"ellipsis_mask", int64_t{1}}})
                                    : Output(svd, 2);
              return g.op("BatchMatMulV2", {Output(svd, 1), v}, {{"adj_y", true}});
            },
            {.dynamic = false, .tolerance = 1e-4});
    }
  }
}

TEST(MatrixGradients, of_eigenvectors_put_together) {
  check("SelfAdjointEigV2", {square({2, 3, 3}, 2)}, [](TestGraph& g, const auto& x) {
    Node* eigen = g.node("SelfAdjointEigV2", {positive(g, x[0])});
    const Output scaled = g.op(
        "Mul",
        {Output(eigen, 1), g.op("ExpandDims", {g.op("Log", {Output(eigen, 0)}), g.constant(Tensor(int32_t{-2}))})});
    return g.op("BatchMatMulV2", {scaled, Output(eigen, 1)}, {{"adj_y", true}});
  });
}

TEST(MatrixGradients, of_tridiagonal_systems) {
  for (const bool pivoting : {false, true}) {
    check("TridiagonalSolve", {square({2, 3, 3}, 3), grid({2, 3, 2}, -1, 1)}, [&](TestGraph& g, const auto& x) {
      // Diagonals far from zero in the middle row.
      const Output heavy = g.constant(Tensor({3, 1}, std::vector<double>{0, 4, 0}));
      const DataType dtype = DataType::kComplex128;
      const bool complex = base_dtype(x[0].dtype()) == dtype;
      const Output added = complex ? g.op("Cast", {heavy}, {{"DstT", dtype}}) : heavy;
      return g.op("TridiagonalSolve", {g.op("AddV2", {x[0], added}), x[1]}, {{"partial_pivoting", pivoting}});
    });
  }
  const Tensor diagonal = grid({2, 1, 3}, -1, 1);
  check("TridiagonalMatMul", {diagonal, diagonal, diagonal, grid({2, 3, 2}, -1, 1)}, [](TestGraph& g, const auto& x) {
    return g.op("TridiagonalMatMul", {x[0], x[1], x[2], x[3]});
  });
}

TEST(MatrixGradients, of_fourier_transforms) {
  for (const char* op : {"FFT", "IFFT", "FFT2D", "IFFT2D", "FFT3D", "IFFT3D"}) {
    TestGraph g;
    const Output x = g.placeholder(DataType::kDouble, {2, 2, 3, 5});
    expect_gradient(g, {x}, {grid({2, 2, 3, 5}, -1, 1)}, real_of(g, g.op(op, {complex_of(g, x)})), op);
  }
  const AttrMap types = {{"Treal", DataType::kDouble}, {"Tcomplex", DataType::kComplex128}};
  for (const std::vector<int32_t>& length : std::vector<std::vector<int32_t>>{{4}, {5}, {3, 4}, {2, 5}}) {
    for (const bool known : {true, false}) {
      const std::string suffix = length.size() == 2 ? "2D" : "";
      TestGraph g;
      const TensorShape shape = {2, 3, 5};  // longer than what is transformed
      const Output x = g.placeholder(DataType::kDouble, known ? PartialTensorShape(shape) : PartialTensorShape());
      const Output n = g.constant(Tensor(length));
      expect_gradient(g, {x}, {grid(shape, -1, 1)}, real_of(g, g.op("RFFT" + suffix, {x, n}, types)), "RFFT" + suffix);
      expect_gradient(g, {x}, {grid(shape, -1, 1)}, g.op("IRFFT" + suffix, {complex_of(g, x), n}, types),
                      "IRFFT" + suffix);
    }
  }
}

TEST(MatrixGradients, of_einsum) {
  struct Case {
    const char* equation;
    std::vector<TensorShape> shapes;
  };
  const std::vector<Case> cases = {{"ab->ba", {{2, 3}}},
                                   {"abc->b", {{2, 3, 2}}},
                                   {"aab->b", {{2, 2, 3}}},
                                   {"a->aa", {{3}}},
                                   {"...ab->...a", {{2, 3, 2}}},
                                   {"ab,bc->ac", {{2, 3}, {3, 2}}},
                                   {"abc,cd->da", {{2, 3, 2}, {2, 2}}},
                                   {"a,b->ba", {{2}, {3}}},
                                   {"aab,b->a", {{2, 2, 3}, {3}}},
                                   {"...ab,...bc->...ac", {{2, 1, 2, 3}, {3, 3, 2}}},
                                   {"ab...,b->a...", {{2, 3, 2}, {3}}},
                                   {"a...d,a...->a...", {{2, 1, 3, 2}, {2, 4, 1}}}};
  for (const Case& c : cases) {
    std::vector<Tensor> values;
    for (const TensorShape& shape : c.shapes) values.push_back(grid(shape, -1, 1));
    check(c.equation, values, [&](TestGraph& g, const std::vector<Output>& x) {
      return g.op("Einsum", {OpArg(x)}, {{"equation", std::string(c.equation)}});
    });
  }
}

}  // namespace
}  // namespace millrace
