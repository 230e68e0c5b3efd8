// Every loop against <cmath> in double, at every instruction set that the machine has, at many lengths and on odd
// values.

#include "kernels/vector_loops.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace millrace {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Unary = void (*)(const void*, void*, int64_t);
using Binary = void (*)(const void*, const void*, void*, int64_t);

template <class F> void for_each_target(F&& f) {
  for (int64_t rest = hwy::SupportedTargets(); rest != 0; rest &= rest - 1) {
    hwy::SetSupportedTargetsForTest(rest & -rest);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    f(hwy::TargetName(rest & -rest));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::vector<float> inputs() {
  std::vector<float> x = {0,
                          -0.0f,
                          1,
                          -1,
                          0.5f,
                          kInf,
                          -kInf,
                          kNan,
                          std::numeric_limits<float>::max(),
                          std::numeric_limits<float>::lowest(),
                          1e-3f,
                          -1e-5f,
                          88.7f,
                          89.0f,
                          104,
                          105,
                          -87.3f,
                          -104,
                          -105,
                          18.5f,
                          -19,
                          1e30f,
                          3e-38f};
  for (int i = -600; i < 600; ++i) x.push_back(static_cast<float>(i) * 0.037f);
  return x;
}

void expect_close(float got, double want, const char* what, const std::string& where) {
  const auto expected = static_cast<float>(want);
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(got)) << what << where << " gives " << got;
  } else if (std::isinf(expected)) {
    EXPECT_EQ(got, expected) << what << where;
  } else {
    EXPECT_NEAR(got, want, std::max(5e-7 * std::abs(want), 2e-38)) << what << where;
  }
}

TEST(VectorLoops, unary_functions_are_those_of_cmath) {
  struct Case {
    const char* name;
    Unary loop;
    double (*exact)(double);
  };
  const Case cases[] = {
      {"abs", vector_loops::abs, [](double v) { return std::abs(v); }},
      {"neg", vector_loops::neg, [](double v) { return -v; }},
      {"reciprocal", vector_loops::reciprocal, [](double v) { return 1 / v; }},
      {"square", vector_loops::square, [](double v) { return v * v; }},
      {"sqrt", vector_loops::sqrt, [](double v) { return std::sqrt(v); }},
      {"rsqrt", vector_loops::rsqrt, [](double v) { return 1 / std::sqrt(v); }},
      {"exp", vector_loops::exp, [](double v) { return std::exp(v); }},
      {"log", vector_loops::log, [](double v) { return std::log(v); }},
      {"tanh", vector_loops::tanh, [](double v) { return std::tanh(v); }},
      {"sigmoid", vector_loops::sigmoid, [](double v) { return 1 / (1 + std::exp(-v)); }},
  };
  for_each_target([&](const char* target) {
    const std::vector<float> x = inputs();
    for (const Case& c : cases) {
      std::vector<float> y(x.size());
      c.loop(x.data(), y.data(), static_cast<int64_t>(x.size()));
      for (size_t i = 0; i < x.size(); ++i)
        expect_close(y[i], c.exact(static_cast<double>(x[i])), c.name, "(" + std::to_string(x[i]) + ") on " + target);
      // The same bits whatever the position: vectors and the rest run the same code.
      for (size_t length = 0; length < 40; ++length) {
        std::vector<float> part(x.end() - static_cast<int64_t>(length), x.end());
        c.loop(part.data(), part.data(), static_cast<int64_t>(length));
        for (size_t i = 0; i < length; ++i)
          EXPECT_EQ(part[i], y[x.size() - length + i]) << c.name << " of length " << length << " on " << target;
      }
    }
  });
}

TEST(VectorLoops, binary_functions_are_those_of_cmath) {
  struct Case {
    const char* name;
    Binary loop;
    double (*exact)(double, double);
  };
  const Case cases[] = {
      {"add", vector_loops::add, [](double v, double w) { return v + w; }},
      {"sub", vector_loops::sub, [](double v, double w) { return v - w; }},
      {"mul", vector_loops::mul, [](double v, double w) { return v * w; }},
      {"div", vector_loops::div, [](double v, double w) { return v / w; }},
      {"div_no_nan", vector_loops::div_no_nan, [](double v, double w) { return w == 0 ? 0 : v / w; }},
      {"maximum", vector_loops::maximum, [](double v, double w) { return v > w || v != v ? v : w; }},
      {"minimum", vector_loops::minimum, [](double v, double w) { return v < w || v != v ? v : w; }},
      {"squared_difference", vector_loops::squared_difference, [](double v, double w) { return (v - w) * (v - w); }},
  };
  const std::vector<float> some = {0, 1, -2, 3.5f, kInf, -kInf, kNan, 7, -0.25f, 100};
  std::vector<float> x, y;
  for (const float a : some) {
    for (const float b : some) {
      x.push_back(a);
      y.push_back(b);
    }
  }
  for_each_target([&](const char* target) {
    for (const Case& c : cases) {
      std::vector<float> z(x.size());
      c.loop(x.data(), y.data(), z.data(), static_cast<int64_t>(x.size()));
      for (size_t i = 0; i < x.size(); ++i) {
        const std::string where = "(" + std::to_string(x[i]) + ", " + std::to_string(y[i]) + ") on " + target;
        expect_close(z[i], c.exact(static_cast<double>(x[i]), static_cast<double>(y[i])), c.name, where);
      }
    }
  });
}

}  // namespace
}  // namespace millrace
