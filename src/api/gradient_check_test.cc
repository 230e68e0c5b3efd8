// Every gradient against central differences, in double precision.

#include <random>

#include "api/op_builder.h"
#include "autodiff/checker.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "millrace/gradients.h"
#include "millrace/session.h"

namespace millrace {
namespace {

using Outputs = std::vector<Output>;

struct Case {
  std::string name;
  std::vector<TensorShape> shapes;
  std::function<Output(const Outputs& x)> build;
  double low = -2;
  double high = 2;
  bool in_float = false;  // computes in float whatever comes in: larger steps, less accuracy
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Output ints(std::vector<int32_t> values) { return constant(Tensor(values)); }
Output op(std::string_view type, const std::vector<OpArg>& args, AttrMap attrs = {}) {
  return create_output(type, args, std::move(attrs));
}

std::vector<Case> elementwise() {
  struct Unary {
    const char* op;
    double low = -2;
    double high = 2;
  };
  const Unary unaries[] = {{"Abs", .1},
                           {"Acos", -.9, .9},
                           {"Acosh", 1.1, 3},
                           {"Asin", -.9, .9},
                           {"Asinh"},
                           {"Atan"},
                           {"Atanh", -.9, .9},
                           {"Cos"},
                           {"Cosh"},
                           {"Elu"},
                           {"Erf"},
                           {"Erfc"},
                           {"Exp"},
                           {"Expm1"},
                           {"Identity"},
                           {"Inv", .5, 2},
                           {"Lgamma", .5, 3},
                           {"Log", .2, 3},
                           {"Log1p", -.5, 2},
                           {"Neg"},
                           {"Reciprocal", .5, 2},
                           {"Relu", .1},
                           {"Relu6", .1, 5},
                           {"Rsqrt", .3, 3},
                           {"Selu"},
                           {"Sigmoid"},
                           {"Sin"},
                           {"Sinh"},
                           {"Softplus"},
                           {"Softsign"},
                           {"Sqrt", .3, 3},
                           {"Square"},
                           {"Tan", -1, 1},
                           {"Tanh"},
                           {"Digamma", .5, 3},
                           {"LeakyRelu", .1},
                           {"Softmax"},
                           {"LogSoftmax"},
                           {"L2Loss"},
                           {"ZerosLike"}};
  std::vector<Case> cases;
  for (const Unary& u : unaries)
    cases.push_back(
        {u.op, {TensorShape({2, 3})}, [name = u.op](const Outputs& x) { return op(name, {x[0]}); }, u.low, u.high});
  struct Binary {
    const char* op;
    double low = .3;
    double high = 2;
  };
  const Binary binaries[] = {
      {"Add"},      {"AddV2"}, {"Atan2"},   {"Div"}, {"DivNoNan"}, {"Maximum"}, {"Minimum"},           {"Mul"},
      {"MulNoNan"}, {"Pow"},   {"RealDiv"}, {"Sub"}, {"Xdivy"},    {"Xlogy"},   {"SquaredDifference"}, {"Xlog1py"}};
  for (const Binary& b : binaries) {
    const auto build = [name = b.op](const Outputs& x) { return op(name, {x[0], x[1]}); };
    cases.push_back({b.op, {TensorShape({2, 3}), TensorShape({2, 3})}, build, b.low, b.high});
    cases.push_back(
        {std::string(b.op) + "_broadcast", {TensorShape({2, 1, 3}), TensorShape({4, 1})}, build, b.low, b.high});
  }
  return cases;
}

std::vector<Case> reductions() {
  std::vector<Case> cases;
  for (const char* name : {"Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"})
    for (const bool keep : {false, true}) {
      cases.push_back({std::string(name) + (keep ? "_keep" : "_axis"),
                       {TensorShape({2, 3, 2})},
                       [=](const Outputs& x) {
                         return op(name, {x[0], ints({1})}, {{"keep_dims", keep}});
                       },
                       .5,
                       2});
      cases.push_back({std::string(name) + (keep ? "_all_keep" : "_all"),
                       {TensorShape({2, 3})},
                       [=](const Outputs& x) {
                         return op(name, {x[0], ints({0, 1})}, {{"keep_dims", keep}});
                       },
                       .5,
                       2});
    }
  for (const char* name : {"Cumsum", "Cumprod"})
    for (const bool reverse : {false, true})
      for (const bool exclusive : {false, true})
        cases.push_back({std::string(name) + (reverse ? "_reverse" : "") + (exclusive ? "_exclusive" : ""),
                         {TensorShape({3, 2})},
                         [=](const Outputs& x) {
                           return op(name, {x[0], Input(0)}, {{"reverse", reverse}, {"exclusive", exclusive}});
                         },
                         .5,
                         2});
  return cases;
}

std::vector<Case> shapes_and_selection() {
  const TensorShape m({3, 4});
  return {
      {"Reshape",
       {m},
       [](const Outputs& x) {
         return op("Reshape", {x[0], ints({4, 3})});
       }},
      {"ExpandDims",
       {m},
       [](const Outputs& x) {
         return op("ExpandDims", {x[0], Input(1)});
       }},
      {"Squeeze", {TensorShape({3, 1, 2})}, [](const Outputs& x) { return op("Squeeze", {x[0]}); }},
      {"Transpose",
       {m},
       [](const Outputs& x) {
         return op("Transpose", {x[0], ints({1, 0})});
       }},
      {"ConcatV2",
       {m, TensorShape({3, 2})},
       [](const Outputs& x) {
         return op("ConcatV2", {x, Input(1)});
       }},
      {"Concat",
       {m, TensorShape({2, 4})},
       [](const Outputs& x) {
         return op("Concat", {Input(0), x});
       }},
      {"Pack",
       {m, m},
       [](const Outputs& x) {
         return op("Pack", {x}, {{"axis", int64_t{1}}});
       }},
      {"Unpack",
       {m},
       [](const Outputs& x) {
         return create_op("Unpack", {x[0]}, {{"num", int64_t{3}}}).output(1);
       }},
      {"Split",
       {m},
       [](const Outputs& x) {
         return create_op("Split", {Input(1), x[0]}, {{"num_split", int64_t{2}}}).output(1);
       }},
      {"SplitV",
       {m},
       [](const Outputs& x) {
         return create_op("SplitV", {x[0], ints({1, 3}), Input(1)}, {{"num_split", int64_t{2}}}).output(1);
       }},
      {"Slice",
       {m},
       [](const Outputs& x) {
         return op("Slice", {x[0], ints({1, 0}), ints({2, 3})});
       }},
      {"StridedSlice",
       {m},
       [](const Outputs& x) {
         return op("StridedSlice", {x[0], ints({2, 0}), ints({0, 4}), ints({-1, 2})});
       }},
      {"StridedSlice_shrink",
       {m},
       [](const Outputs& x) {
         return op("StridedSlice", {x[0], ints({1}), ints({2}), ints({1})}, {{"shrink_axis_mask", int64_t{1}}});
       }},
      {"Pad",
       {m},
       [](const Outputs& x) {
         return op("Pad", {x[0], constant(Tensor(TensorShape({2, 2}), std::vector<int32_t>{1, 0, 2, 1}))});
       }},
      {"MirrorPad",
       {m},
       [](const Outputs& x) {
         return op("MirrorPad", {x[0], constant(Tensor(TensorShape({2, 2}), std::vector<int32_t>{1, 0, 2, 1}))},
                   {{"mode", "REFLECT"}});
       }},
      {"Tile",
       {m},
       [](const Outputs& x) {
         return op("Tile", {x[0], ints({2, 1})});
       }},
      {"BroadcastTo",
       {TensorShape({3, 1})},
       [](const Outputs& x) {
         return op("BroadcastTo", {x[0], ints({2, 3, 4})});
       }},
      {"Fill",
       {TensorShape()},
       [](const Outputs& x) {
         return op("Fill", {ints({2, 2}), x[0]});
       }},
      {"GatherV2",
       {m},
       [](const Outputs& x) {
         return op("GatherV2", {x[0], ints({2, 0, 2}), Input(0)});
       }},
      {"GatherV2_axis1",
       {m},
       [](const Outputs& x) {
         return op("GatherV2", {x[0], ints({3, 0}), Input(1)});
       }},
      {"Gather",
       {m},
       [](const Outputs& x) {
         return op("Gather", {x[0], ints({2, 0, 2})});
       }},
      {"GatherNd",
       {m},
       [](const Outputs& x) {
         return op("GatherNd", {x[0], constant(Tensor(TensorShape({2, 2}), std::vector<int32_t>{0, 1, 2, 3}))});
       }},
      {"ReverseV2",
       {m},
       [](const Outputs& x) {
         return op("ReverseV2", {x[0], ints({1})});
       }},
      {"Roll",
       {m},
       [](const Outputs& x) {
         return op("Roll", {x[0], Input(1), Input(0)});
       }},
      {"Select",
       {m, m},
       [](const Outputs& x) {
         return op("Select", {op("Greater", {x[0], x[1]}), x[0], x[1]});
       }},
      {"SelectV2",
       {m, TensorShape({4})},
       [](const Outputs& x) {
         return op("SelectV2", {op("Greater", {x[0], x[1]}), x[0], x[1]});
       }},
      {"ClipByValue",
       {m},
       [](const Outputs& x) {
         return op("ClipByValue", {x[0], Input(-1.0), Input(1.0)});
       }},
      {"TopKV2",
       {m},
       [](const Outputs& x) {
         return create_op("TopKV2", {x[0], Input(2)}).output(0);
       }},
      {"IdentityN", {m, m}, [](const Outputs& x) { return create_op("IdentityN", {x}).output(1); }},
      {"AddN", {m, m}, [](const Outputs& x) { return op("AddN", {x}); }},
      {"Cast",
       {m},
       [](const Outputs& x) {
         return op("Cast", {op("Cast", {x[0]}, {{"DstT", float32}})}, {{"DstT", float64}});
       },
       -2,
       2,
       true},
      {"CheckNumerics",
       {m},
       [](const Outputs& x) {
         return op("CheckNumerics", {x[0]}, {{"message", "m"}});
       }},
      {"BiasAdd",
       {m, TensorShape({4})},
       [](const Outputs& x) {
         return op("BiasAdd", {x[0], x[1]});
       }},
  };
}

std::vector<Case> products_and_losses() {
  std::vector<Case> cases;
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const TensorShape a = ta ? TensorShape({3, 2}) : TensorShape({2, 3}),
                        b = tb ? TensorShape({4, 3}) : TensorShape({3, 4});
      const std::string suffix = std::string(ta ? "_ta" : "") + (tb ? "_tb" : "");
      cases.push_back({"MatMul" + suffix, {a, b}, [=](const Outputs& x) {
                         return op("MatMul", {x[0], x[1]}, {{"transpose_a", ta}, {"transpose_b", tb}});
                       }});
      const TensorShape ba({2, a.dim(0), a.dim(1)}), bb({2, b.dim(0), b.dim(1)});
      for (const char* name : {"BatchMatMul", "BatchMatMulV2"})
        cases.push_back({name + suffix, {ba, bb}, [=](const Outputs& x) {
                           return op(name, {x[0], x[1]}, {{"adj_x", ta}, {"adj_y", tb}});
                         }});
    }
  cases.push_back({"BatchMatMulV2_broadcast", {TensorShape({2, 2, 3}), TensorShape({3, 2})}, [](const Outputs& x) {
                     return op("BatchMatMulV2", {x[0], x[1]});
                   }});
  cases.push_back({"SparseSoftmaxCrossEntropy", {TensorShape({3, 4})}, [](const Outputs& x) {
                     return create_op("SparseSoftmaxCrossEntropyWithLogits", {x[0], ints({1, 0, 3})}).output(0);
                   }});
  cases.push_back({"SoftmaxCrossEntropy", {TensorShape({3, 4}), TensorShape({3, 4})}, [](const Outputs& x) {
                     return create_op("SoftmaxCrossEntropyWithLogits", {x[0], op("Softmax", {x[1]})}).output(0);
                   }});
  return cases;
}

// Second derivatives: gradients are ops with gradients.
std::vector<Case> second_order() {
  std::vector<Case> cases;
  for (const char* name :
       {"Tanh", "Sigmoid", "Exp", "Sin", "Softplus", "Elu", "Selu", "Square", "Softmax", "LogSoftmax", "Relu"})
    cases.push_back({std::string("second_") + name,
                     {TensorShape({2, 3})},
                     [name](const Outputs& x) {
                       const Output y = op("Square", {op(name, {x[0]})});
                       return gradients({y}, {x[0]})[0].dense();
                     },
                     .1,
                     1.5});
  cases.push_back({"second_MatMul", {TensorShape({2, 3}), TensorShape({3, 2})}, [](const Outputs& x) {
                     const Output y = op("Tanh", {op("MatMul", {x[0], x[1]})});
                     return gradients({y}, {x[0]})[0].dense();
                   }});
  return cases;
}

// All of these are linear in the images, so that large steps do no harm.
std::vector<Case> resized_images() {
  std::vector<Case> cases;
  for (const char* type : {"ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor"}) {
    for (const char* mapping : {"", "align_corners", "half_pixel_centers"}) {
      for (const std::vector<int32_t>& size : {std::vector<int32_t>{3, 7}, std::vector<int32_t>{6, 2}}) {
        AttrMap attrs;
        if (*mapping) attrs.emplace(mapping, true);
        cases.push_back({str_cat(type, *mapping ? "_" : "", mapping, "_", size[0], "x", size[1]),
                         {TensorShape({2, 4, 5, 2})},
                         [=](const Outputs& x) {
                           return op(type, {x[0], ints(size)}, attrs);
                         },
                         -2,
                         2,
                         true});
      }
    }
  }
  for (const char* method : {"bilinear", "nearest"}) {
    cases.push_back(
        {str_cat("CropAndResize_", method),
         {TensorShape({2, 4, 5, 2})},
         [=](const Outputs& x) {
           const Output boxes =
               constant(Tensor(TensorShape({2, 4}), std::vector<float>{0.1f, 0.2f, 0.9f, 0.7f, 1.1f, 0, 0.3f, 1.2f}));
           return op("CropAndResize", {x[0], boxes, ints({1, 0}), ints({3, 4})}, {{"method", std::string(method)}});
         },
         -2,
         2,
         true});
  }
  return cases;
}

std::vector<Case> images() {
  using Ints = std::vector<int64_t>;
  std::vector<Case> cases;
  struct Window {
    const char* name;
    AttrMap attrs;
    TensorShape image, filter;
  };
  const auto attrs = [](Ints strides, const char* padding, Ints dilations = {1, 1, 1, 1}, const char* format = "NHWC") {
    return AttrMap{{"strides", std::move(strides)},
                   {"padding", padding},
                   {"dilations", std::move(dilations)},
                   {"data_format", format}};
  };
  const Window windows[] = {
      {"same", attrs({1, 1, 1, 1}, "SAME"), {2, 4, 3, 2}, {3, 2, 2, 3}},
      {"strides", attrs({1, 2, 2, 1}, "VALID"), {1, 5, 6, 2}, {2, 3, 2, 2}},
      {"dilated", attrs({1, 1, 1, 1}, "SAME", {1, 2, 1, 1}), {1, 5, 4, 2}, {3, 2, 2, 2}},
      {"nchw", attrs({1, 1, 2, 1}, "SAME", {1, 1, 1, 1}, "NCHW"), {2, 3, 4, 3}, {2, 2, 3, 2}},
  };
  for (const Window& w : windows) {
    for (const char* type : {"Conv2D", "DepthwiseConv2dNative"}) {
      if (std::string_view(type) != "Conv2D" && std::string_view(w.name) == "nchw") continue;  // unequal strides
      cases.push_back({std::string(type) + "_" + w.name, {w.image, w.filter}, [w, type](const Outputs& x) {
                         return op(type, {x[0], x[1]}, w.attrs);
                       }});
    }
    cases.push_back({std::string("second_Conv2D_") + w.name, {w.image, w.filter}, [w](const Outputs& x) {
                       const Output y = op("Tanh", {op("Conv2D", {x[0], x[1]}, w.attrs)});
                       const std::vector<Gradient> g = gradients({y}, {x[0], x[1]});
                       return op("AddV2", {op("L2Loss", {g[0].dense()}), op("L2Loss", {g[1].dense()})});
                     }});
  }
  cases.push_back({"Conv2D_groups", {TensorShape({1, 3, 3, 4}), TensorShape({2, 2, 2, 6})}, [=](const Outputs& x) {
                     return op("Conv2D", {x[0], x[1]}, attrs({1, 1, 1, 1}, "SAME"));
                   }});
  cases.push_back({"Conv3D", {TensorShape({1, 3, 2, 4, 2}), TensorShape({2, 1, 2, 2, 3})}, [](const Outputs& x) {
                     return op("Conv3D", {x[0], x[1]}, {{"strides", Ints{1, 1, 1, 2, 1}}, {"padding", "SAME"}});
                   }});
  for (const char* type : {"MaxPool", "AvgPool", "MaxPoolWithArgmax"}) {
    for (const char* padding : {"SAME", "VALID"}) {
      const AttrMap pool = {{"ksize", Ints{1, 3, 2, 1}}, {"strides", Ints{1, 2, 1, 1}}, {"padding", padding}};
      cases.push_back({std::string(type) + "_" + padding, {TensorShape({2, 5, 4, 2})}, [=](const Outputs& x) {
                         return op(type, {x[0]}, pool);
                       }});
    }
  }
  cases.push_back({"second_AvgPool", {TensorShape({1, 4, 4, 1})}, [](const Outputs& x) {
                     const Output y =
                         op("Tanh",
                            {op("AvgPool", {x[0]},
                                {{"ksize", Ints{1, 2, 2, 1}}, {"strides", Ints{1, 1, 1, 1}}, {"padding", "VALID"}})});
                     return gradients({y}, {x[0]})[0].dense();
                   }});
  cases.push_back({"second_MaxPool", {TensorShape({1, 4, 4, 1})}, [](const Outputs& x) {
                     const Output y =
                         op("Tanh",
                            {op("MaxPool", {x[0]},
                                {{"ksize", Ints{1, 2, 2, 1}}, {"strides", Ints{1, 1, 1, 1}}, {"padding", "VALID"}})});
                     return gradients({y}, {x[0]})[0].dense();
                   }});
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& part : {elementwise(), reductions(), shapes_and_selection(), products_and_losses(), second_order(),
                           images(), resized_images()})
    cases.insert(cases.end(), part.begin(), part.end());
  return cases;
}

class GradientCheck : public testing::TestWithParam<Case> {};

TEST_P(GradientCheck, agrees_with_differences) {
  const Case& c = GetParam();
  const Graph graph;
  const auto as_default = graph.as_default();
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> uniform(c.low, c.high);
  Outputs xs;
  std::vector<Tensor> values;
  for (const TensorShape& shape : c.shapes) {
    std::vector<double> numbers(static_cast<size_t>(shape.num_elements()));
    for (double& n : numbers) n = uniform(random);
    xs.push_back(placeholder(float64, shape));
    values.emplace_back(shape, numbers);
  }
  Output y;
  try {
    y = c.build(xs);
  } catch (const errors::NotFoundError& error) {
    GTEST_SKIP() << error.what();
  }
  const Session session({.graph = graph});
  const Evaluate evaluate = [&](const auto& feeds, const auto& fetches) -> absl::StatusOr<std::vector<Tensor>> {
    FeedDict dict;
    for (const auto& [output, value] : feeds) dict.add(output, value);
    try {
      return session.run(std::vector<Fetch>(fetches.begin(), fetches.end()), dict);
    } catch (const errors::OpError& error) {
      return status_of(error);
    }
  };
  const absl::StatusOr<GradientError> error =
      check_gradients(graph.impl(), xs, values, y, evaluate, {.delta = c.in_float ? 1e-2 : 0});
  ASSERT_TRUE(error.ok()) << error.status();
  EXPECT_LT(error->relative, c.in_float ? 1e-2 : 1e-6) << error->description;
}

INSTANTIATE_TEST_SUITE_P(Ops, GradientCheck, testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace millrace
