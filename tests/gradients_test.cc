// Every gradient rule of the maths families against central differences, in double, through graph, driver and session.

#include <vector>

#include "tests/gradient_checks.h"

namespace millrace {
namespace {

struct UnaryCase {
  const char* op;
  double from, to;
};

TEST(Gradients, of_unary_functions) {
  const std::vector<UnaryCase> cases = {
      {"Abs", 0.3, 2},     {"Neg", -1, 1},       {"Reciprocal", 0.5, 2}, {"Inv", 0.5, 2},       {"Square", -2, 2},
      {"Sqrt", 0.5, 4},    {"Rsqrt", 0.5, 4},    {"Exp", -2, 2},         {"Expm1", -2, 2},      {"Log", 0.3, 4},
      {"Log1p", -0.5, 3},  {"Sin", -3, 3},       {"Cos", -3, 3},         {"Tan", -1, 1},        {"Asin", -.8, .8},
      {"Acos", -.8, .8},   {"Atan", -2, 2},      {"Sinh", -2, 2},        {"Cosh", -2, 2},       {"Tanh", -2, 2},
      {"Asinh", -2, 2},    {"Acosh", 1.5, 4},    {"Atanh", -.8, .8},     {"Sigmoid", -3, 3},    {"Erf", -2, 2},
      {"Erfc", -2, 2},     {"Erfinv", -.8, .8},  {"Ndtri", .1, .9},      {"Lgamma", .5, 4},     {"Digamma", .5, 4},
      {"Dawsn", -2, 2},    {"Expint", .5, 3},    {"FresnelCos", -2, 2},  {"FresnelSin", -2, 2}, {"Spence", 1.2, 3},
      {"BesselI0", .3, 3}, {"BesselI0e", .3, 3}, {"BesselI1", .3, 3},    {"BesselI1e", .3, 3},  {"BesselJ0", .3, 3},
      {"BesselJ1", .3, 3}, {"BesselK0", .3, 3},  {"BesselK0e", .3, 3},   {"BesselK1", .3, 3},   {"BesselK1e", .3, 3},
      {"BesselY0", .3, 3}, {"BesselY1", .3, 3}};
  for (const UnaryCase& c : cases) {
    TestGraph g;
    const Output x = g.placeholder(DataType::kDouble, {2, 3});
    expect_gradients_twice(g, {x}, {grid({2, 3}, c.from, c.to)}, g.op(c.op, {x}), c.op);
  }
}

struct BinaryCase {
  const char* op;
  double x_from, x_to, y_from, y_to;
};

TEST(Gradients, of_binary_functions_with_broadcasting) {
  const std::vector<BinaryCase> cases = {
      {"Add", -1, 1, -1, 1},         {"AddV2", -1, 1, -1, 1},       {"Sub", -1, 1, -1, 1},
      {"Mul", -1, 1, -1, 1},         {"MulNoNan", -1, 1, .5, 2},    {"Div", -1, 1, .5, 2},
      {"RealDiv", -1, 1, .5, 2},     {"DivNoNan", -1, 1, .5, 2},    {"Pow", .5, 2, -2, 2},
      {"Maximum", -1, 1, -1.1, 1.2}, {"Minimum", -1, 1, -1.1, 1.2}, {"SquaredDifference", -1, 1, -1.1, 1.2},
      {"Atan2", -1, 1, .5, 2},       {"Xdivy", .2, 1, .5, 2},       {"Xlogy", .2, 1, .5, 2},
      {"Xlog1py", .2, 1, .5, 2},     {"FloorMod", .1, .9, 1, 2}};
  const std::vector<std::pair<TensorShape, TensorShape>> shapes = {
      {{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{2, 1}, {1, 3}}, {{}, {4}}, {{2, 2}, {}}};
  for (const BinaryCase& c : cases) {
    for (const auto& [xs, ys] : shapes) {
      for (const bool known : {true, false}) {  // static shapes take another way through the rules
        TestGraph g;
        const Output x = g.placeholder(DataType::kDouble, known ? PartialTensorShape(xs) : PartialTensorShape(), "x");
        const Output y = g.placeholder(DataType::kDouble, known ? PartialTensorShape(ys) : PartialTensorShape(), "y");
        const std::string what = std::string(c.op) + " of " + xs.to_string() + " and " + ys.to_string();
        expect_gradients_twice(g, {x, y}, {grid(xs, c.x_from, c.x_to), grid(ys, c.y_from, c.y_to)}, g.op(c.op, {x, y}),
                               what);
      }
    }
  }
}

TEST(Gradients, of_reductions) {
  for (const char* op : {"Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"}) {
    for (const std::vector<int32_t>& axes : {std::vector<int32_t>{0}, {-1}, {0, 2}, {0, 1, 2}, {}}) {
      for (const bool keep : {true, false}) {
        for (const bool known : {true, false}) {
          TestGraph g;
          const TensorShape shape = {2, 3, 2};
          const Output x =
              g.placeholder(DataType::kDouble, known ? PartialTensorShape(shape) : PartialTensorShape({-1, 3, -1}));
          const Tensor axis_values({static_cast<int64_t>(axes.size())}, axes);
          const Output y = g.op(op, {x, g.constant(axis_values, "axes")}, {{"keep_dims", keep}});
          expect_gradient(g, {x}, {grid(shape, 0.5, 2)}, y, std::string(op) + " over " + axis_values.to_string());
        }
      }
    }
  }
  TestGraph g;
  const Output x = g.placeholder(DataType::kDouble, {2, 3});
  expect_gradients_twice(g, {x}, {grid({2, 3}, -1, 1)}, g.op("L2Loss", {x}), "L2Loss");
}

TEST(Gradients, of_running_reductions) {
  for (const char* op : {"Cumsum", "Cumprod", "CumulativeLogsumexp"}) {
    for (const bool exclusive : {false, true}) {
      for (const bool reverse : {false, true}) {
        if (exclusive && std::string(op) == "CumulativeLogsumexp") continue;  // begins with -inf
        TestGraph g;
        const Output x = g.placeholder(DataType::kDouble, {3, 4});
        const Output y = g.op(op, {x, Tensor(int32_t{1})}, {{"exclusive", exclusive}, {"reverse", reverse}});
        expect_gradient(g, {x}, {grid({3, 4}, 0.5, 2)}, y, op);
      }
    }
  }
}

TEST(Gradients, of_choices) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kDouble, {2, 3}, "x");
  const Output y = g.placeholder(DataType::kDouble, {3}, "y");
  const Output condition = g.constant(Tensor({2, 1}, std::vector<bool>{true, false}));
  expect_gradient(g, {x, y}, {grid({2, 3}, -1, 1), grid({3}, -1, 1)}, g.op("SelectV2", {condition, x, y}), "SelectV2");
  const Output rows = g.constant(Tensor({2}, std::vector<bool>{true, false}));
  expect_gradient(g, {x}, {grid({2, 3}, -1, 1)}, g.op("Select", {rows, x, g.op("Square", {x})}), "Select");
  const Output low = g.placeholder(DataType::kDouble, {}, "low"), high = g.placeholder(DataType::kDouble, {}, "high");
  expect_gradient(g, {x, low, high}, {grid({2, 3}, -2, 2), Tensor(-0.61), Tensor(0.73)},
                  g.op("ClipByValue", {x, low, high}), "ClipByValue");
  const Output top = g.op("TopKV2", {x, Tensor(int32_t{2})});
  expect_gradient(g, {x}, {grid({2, 3}, -2, 2)}, top, "TopKV2");
  expect_gradient(g, {x, y}, {grid({2, 3}, -1, 1), grid({3}, -1, 1)},
                  g.op("AddN", {std::vector<Output>{x, g.op("AddV2", {x, y})}}), "AddN");
}

TEST(Gradients, of_special_functions_of_two_arguments) {
  TestGraph g;
  const Output a = g.placeholder(DataType::kDouble, {2, 1}, "a");
  const Output x = g.placeholder(DataType::kDouble, {3}, "x");
  const std::vector<Tensor> values = {grid({2, 1}, 0.8, 3), grid({3}, 0.5, 3)};
  expect_gradient(g, {a, x}, values, g.op("Igamma", {a, x}), "Igamma");
  expect_gradient(g, {a, x}, values, g.op("Igammac", {a, x}), "Igammac");
  expect_gradient(g, {x}, {values[1]}, g.op("Zeta", {g.constant(Tensor(2.5)), x}), "Zeta");
  expect_gradient(g, {x}, {values[1]}, g.op("Polygamma", {g.constant(Tensor(1.0)), x}), "Polygamma");
  const Output p = g.placeholder(DataType::kDouble, {3}, "p");
  expect_gradient(g, {p}, {grid({3}, 0.2, 0.8)}, g.op("Betainc", {g.constant(Tensor(2.0)), g.constant(Tensor(3.0)), p}),
                  "Betainc");
}

TEST(Gradients, of_complex_functions) {
  // A real function of real parts, through complex numbers and back.
  for (const char* op : {"Exp", "Log", "Square", "Sqrt", "Tanh", "Sigmoid", "Reciprocal", "Sin", "Conj"}) {
    TestGraph g;
    const Output re = g.placeholder(DataType::kDouble, {3}, "re");
    const Output im = g.placeholder(DataType::kDouble, {3}, "im");
    const AttrMap wide = {{"Tout", DataType::kComplex128}}, narrow = {{"Tout", DataType::kDouble}};
    const Output z = g.op(op, {g.op("Complex", {re, im}, wide)});
    const Output product = g.op("Mul", {z, g.op("Complex", {im, re}, wide)});
    const std::vector<Tensor> values = {grid({3}, 0.3, 1.2), grid({3}, -0.9, -0.2)};
    expect_gradient(g, {re, im}, values, g.op("Real", {product}, narrow), std::string("Real ") + op);
    expect_gradient(g, {re, im}, values, g.op("Imag", {product}, narrow), std::string("Imag ") + op);
    expect_gradient(g, {re, im}, values, g.op("ComplexAbs", {product}, narrow), std::string("ComplexAbs ") + op);
    expect_gradient(g, {re, im}, values, g.op("Angle", {product}, narrow), std::string("Angle ") + op);
  }
}

TEST(Gradients, of_a_list_of_tensors_that_is_used_twice) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kDouble, {3, 2});
  const Output shape = g.constant(Tensor(std::vector<int32_t>{2}));
  const AttrMap of_doubles = {{"element_dtype", DataType::kDouble}};
  const Output list = g.op("TensorListFromTensor", {x, shape}, of_doubles);
  const Output whole = g.op("TensorListStack", {list, shape}, of_doubles);
  const Output one = g.op("TensorListGetItem", {list, g.constant(Tensor(int32_t{1})), shape}, of_doubles);
  expect_gradient(g, {x}, {grid({3, 2}, -1, 1)}, g.op("Mul", {whole, g.op("Square", {one})}), "a list used twice");
}

TEST(Gradients, of_a_batch_and_back) {
  TestGraph g;
  const Output x = g.placeholder(DataType::kDouble, {2, 3});
  Node* batch = g.node("Batch", {std::vector<Output>{x}},
                       {{"num_batch_threads", 1},
                        {"max_batch_size", 2},
                        {"batch_timeout_micros", 0},
                        {"grad_timeout_micros", 10'000'000}});
  const Output squares = g.op("Square", {Output(batch, 0)});
  const Output y = g.op("Unbatch", {squares, Output(batch, 1), Output(batch, 2)}, {{"timeout_micros", 10'000'000}});
  expect_gradient(g, {x}, {grid({2, 3}, -1, 1)}, y, "a batch and back");
}

}  // namespace
}  // namespace millrace
