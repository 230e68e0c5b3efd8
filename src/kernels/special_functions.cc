#include "kernels/special_functions.h"

#include <math.h>  // lgamma_r, j0, j1, y0, y1: POSIX, outside std

#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

namespace millrace::special {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kPi = std::numbers::pi;

template <int n> double polynomial(const double (&c)[n], double x) {  // c[0] + c[1] x + ...
  double value = 0;
  for (int i = n - 1; i >= 0; --i) value = value * x + c[i];
  return value;
}

}  // namespace

// M. J. Wichura, Algorithm AS 241: The percentage points of the normal distribution (1988), routine PPND16.
double ndtri(double p) {
  if (!(p >= 0 && p <= 1)) return kNan;
  if (p == 0) return -kInf;
  if (p == 1) return kInf;
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    static constexpr double a[] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                   1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                   3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static constexpr double b[] = {1.0,
                                   4.2313330701600911252e+1,
                                   6.8718700749205790830e+2,
                                   5.3941960214247511077e+3,
                                   2.1213794301586595867e+4,
                                   3.9307895800092710610e+4,
                                   2.8729085735721942674e+4,
                                   5.2264952788528545610e+3};
    const double r = 0.180625 - q * q;
    return q * polynomial(a, r) / polynomial(b, r);
  }
  double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  double value;
  if (r <= 5) {
    static constexpr double c[] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                   3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                   2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static constexpr double d[] = {1.0,
                                   2.05319162663775882187e0,
                                   1.67638483018380384940e0,
                                   6.89767334985100004550e-1,
                                   1.48103976427480074590e-1,
                                   1.51986665636164571966e-2,
                                   5.47593808499534494600e-4,
                                   1.05075007164441684324e-9};
    r -= 1.6;
    value = polynomial(c, r) / polynomial(d, r);
  } else {
    static constexpr double e[] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                   2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                   2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static constexpr double f[] = {1.0,
                                   5.99832206555887937690e-1,
                                   1.36929880922735805310e-1,
                                   1.48753612908506148525e-2,
                                   7.86869131145613259100e-4,
                                   1.84631831751005468180e-5,
                                   1.42151175831644588870e-7,
                                   2.04426310338993978564e-15};
    r -= 5;
    value = polynomial(e, r) / polynomial(f, r);
  }
  return q < 0 ? -value : value;
}

double erfinv(double x) {
  if (!(x >= -1 && x <= 1)) return kNan;
  if (x == 1 || x == -1) return x * kInf;
  if (x == 0) return x;
  double y = ndtri((x + 1) / 2) / std::numbers::sqrt2;
  // The halved argument loses digits near 0, and 1 - |x| near the ends: two Newton steps bring them back.
  for (int i = 0; i < 2 && std::isfinite(y); ++i) {
    const double slope = 2 / std::sqrt(kPi) * std::exp(-y * y);
    if (slope == 0) break;
    const double error =
        std::abs(x) > 0.5 ? std::copysign(1 - std::abs(x) - std::erfc(std::abs(y)), x) : std::erf(y) - x;
    y -= error / slope;
  }
  return y;
}

double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}

double digamma(double x) {
  if (x == 0 || (x < 0 && x == std::floor(x))) return kNan;
  if (x == -kInf || x != x) return kNan;
  double value = 0;
  if (x < 0) {  // reflection; x - floor(x) keeps the tangent's argument small
    const double fraction = x - std::floor(x);
    value = -kPi / std::tan(kPi * fraction);
    x = 1 - x;
  }
  while (x < 10) value -= 1 / x++;
  if (x > 1e17) return value + std::log(x);
  const double z = 1 / (x * x);
  static constexpr double c[] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760, 1.0 / 12};
  return value + std::log(x) - 0.5 / x - z * polynomial(c, z);
}

// Euler-Maclaurin summation.
double zeta(double x, double q) {
  if (x == 1) return kInf;
  if (!(x > 1) || q != q) return kNan;
  if (q <= 0) {
    if (q == std::floor(q)) return kInf;
    if (x != std::floor(x)) return kNan;  // a negative number to a fractional power
  }
  double sum = std::pow(q, -x);
  double a = q, term = 0;
  for (int i = 0; i < 9 || a <= 9; ++i) {
    if (a > 1e8) break;
    a += 1;
    term = std::pow(a, -x);
    sum += term;
    if (std::abs(term / sum) < kEpsilon / 2) return sum;
  }
  sum += term * a / (x - 1) - term / 2;
  // B_2k / (2k)! as reciprocals.
  static constexpr double b[] = {12.0,
                                 -720.0,
                                 30240.0,
                                 -1209600.0,
                                 47900160.0,
                                 -1.8924375803183791606e9,
                                 7.47242496e10,
                                 -2.950130727918164224e12,
                                 1.1646782814350067249e14,
                                 -4.5979787224074726105e15,
                                 1.8152105401943546773e17,
                                 -7.1661652561756670113e18};
  double factor = 1, k = 0;
  for (const double denominator : b) {
    factor *= x + k;
    term /= a;
    const double t = factor * term / denominator;
    sum += t;
    if (std::abs(t / sum) < kEpsilon / 2) break;
    k += 1;
    factor *= x + k;
    term /= a;
    k += 1;
  }
  return sum;
}

double polygamma(double n, double x) {
  if (n != std::floor(n) || n < 0) return kNan;
  if (n == 0) return digamma(x);
  const double sign = std::fmod(n, 2) == 0 ? -1 : 1;
  return sign * std::exp(lgamma(n + 1)) * zeta(n + 1, x);
}

namespace {

// A number with its derivative by the parameter a.
struct Dual {
  double v = 0, d = 0;
};
Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
Dual operator/(Dual a, Dual b) { return {a.v / b.v, (a.d - a.v / b.v * b.d) / b.v}; }

// x^a e^-x / Gamma(a).
Dual gamma_density(double a, double x) {
  const double v = std::exp(a * std::log(x) - x - lgamma(a));
  return {v, v * (std::log(x) - digamma(a))};
}

// The lower function over the density by its power series, for x < a + 1.
Dual igamma_series(double a, double x) {
  const Dual da{a, 1};
  Dual term = Dual{1, 0} / da, sum = term;
  Dual n = da;
  for (int i = 0; i < 5000; ++i) {
    n = n + Dual{1, 0};
    term = term * (Dual{x, 0} / n);
    sum = sum + term;
    if (std::abs(term.v) <= kEpsilon / 4 * std::abs(sum.v) && std::abs(term.d) <= kEpsilon / 4 * std::abs(sum.d)) break;
  }
  return sum;
}

// The upper function over the density by its continued fraction (modified Lentz), for x >= a + 1.
Dual igammac_fraction(double a, double x) {
  const Dual da{a, 1}, one{1, 0};
  Dual b = Dual{x, 0} + one - da;
  Dual c = Dual{1e300, 0}, d = one / b, h = d;
  for (int i = 1; i < 5000; ++i) {
    const Dual di{static_cast<double>(i), 0};
    const Dual an = Dual{0, 0} - di * (di - da);
    b = b + Dual{2, 0};
    d = an * d + b;
    if (std::abs(d.v) < 1e-300) d.v = 1e-300;
    c = b + an / c;
    if (std::abs(c.v) < 1e-300) c.v = 1e-300;
    d = one / d;
    const Dual delta = d * c;
    h = h * delta;
    if (std::abs(delta.v - 1) <= kEpsilon && std::abs(delta.d) <= kEpsilon) break;
  }
  return h;
}

Dual lower_igamma(double a, double x) { return gamma_density(a, x) * igamma_series(a, x); }
Dual upper_igamma(double a, double x) { return gamma_density(a, x) * igammac_fraction(a, x); }

}  // namespace

double igamma(double a, double x) {
  if (!(a > 0) || !(x >= 0)) return kNan;
  if (x == 0) return 0;
  if (x == kInf) return a == kInf ? kNan : 1;
  if (a == kInf) return 0;
  return x < a + 1 ? lower_igamma(a, x).v : 1 - upper_igamma(a, x).v;
}
double igammac(double a, double x) {
  if (!(a > 0) || !(x >= 0)) return kNan;
  if (x == 0) return 1;
  if (x == kInf) return a == kInf ? kNan : 0;
  if (a == kInf) return 1;
  return x < a + 1 ? 1 - lower_igamma(a, x).v : upper_igamma(a, x).v;
}
double igamma_grad_a(double a, double x) {
  if (!(a > 0) || !(x >= 0)) return kNan;
  if (x == 0 || x == kInf || a == kInf) return 0;
  return x < a + 1 ? lower_igamma(a, x).d : -upper_igamma(a, x).d;
}
// By implicit differentiation of igamma(a, x(a)) = constant; the density is left out of both parts, as it may underflow
// where their ratio does not.
double gamma_sample_grad(double a, double x) {
  if (x == 0) return 0;
  if (!(a > 0) || !(x > 0)) return kNan;
  if (x == kInf || a == kInf) return 0;
  const double log_slope = std::log(x) - digamma(a);
  if (x < a + 1) {
    const Dual lower = igamma_series(a, x);
    return -x * (lower.d + log_slope * lower.v);
  }
  const Dual upper = igammac_fraction(a, x);
  return x * (upper.d + log_slope * upper.v);
}

namespace {

double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < kTiny) d = kTiny;
  d = 1 / d;
  double h = d;
  for (int m = 1; m < 10000; ++m) {
    auto step = [&](double an) {
      d = 1 + an * d;
      if (std::abs(d) < kTiny) d = kTiny;
      c = 1 + an / c;
      if (std::abs(c) < kTiny) c = kTiny;
      d = 1 / d;
      h *= d * c;
      return d * c;
    };
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    if (std::abs(step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))) - 1) <= kEpsilon) break;
  }
  return h;
}

}  // namespace

double betainc(double a, double b, double x) {
  if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1)) return kNan;
  if (x == 0 || x == 1) return x;
  const double front = std::exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

namespace {

// e^-x I_n(x) for x >= 0, n 0 or 1: the power series, whose terms are all positive, then the asymptotic one.
double scaled_i(int n, double x) {
  if (x != x) return x;
  if (x == kInf) return 0;
  if (x < 30) {
    const double quarter = x * x / 4;
    double term = n == 0 ? 1 : x / 2, sum = term;
    for (int k = 1; k < 500; ++k) {
      term *= quarter / (static_cast<double>(k) * (k + n));
      sum += term;
      if (term < sum * kEpsilon / 8) break;
    }
    return sum * std::exp(-x);
  }
  const double mu = 4.0 * n * n;
  double term = 1, sum = 1;
  for (int k = 1; k < 60; ++k) {
    const double odd = 2 * k - 1;
    const double next = -term * (mu - odd * odd) / (k * 8 * x);
    if (std::abs(next) > std::abs(term)) break;
    term = next;
    sum += term;
    if (std::abs(term) < kEpsilon / 8) break;
  }
  return sum / std::sqrt(2 * kPi * x);
}

// e^x K_n(x) for x > 0: Temme-like integral forms are not needed, as the trapezoidal rule on
// K_n(x) = integral of e^(-x cosh t) cosh(n t) over t >= 0 converges geometrically.
double scaled_k(int n, double x) {
  if (x != x || x < 0) return kNan;
  if (x == 0) return kInf;
  if (x == kInf) return 0;
  if (x < 2) {
    // Power series with the logarithm.
    const double quarter = x * x / 4, log_half = std::log(x / 2);
    if (n == 0) {
      double term = 1, harmonic = 0, sum = -(log_half + std::numbers::egamma);
      for (int k = 1; k < 100; ++k) {
        term *= quarter / (static_cast<double>(k) * k);
        harmonic += 1.0 / k;
        const double add = term * (harmonic - log_half - std::numbers::egamma);
        sum += add;
        if (std::abs(add) < kEpsilon / 8 * std::abs(sum)) break;
      }
      return sum * std::exp(x);
    }
    double term = x / 2, sum = 1 / x, psi = -2 * std::numbers::egamma + 1;  // psi(k + 1) + psi(k + 2)
    for (int k = 0; k < 100; ++k) {
      const double add = term * (log_half - psi / 2);
      sum += add;
      if (k > 2 && std::abs(add) < kEpsilon / 8 * std::abs(sum)) break;
      psi += 1.0 / (k + 1) + 1.0 / (k + 2);
      term *= quarter / ((k + 1.0) * (k + 2.0));
    }
    return sum * std::exp(x);
  }
  // The substitution keeps the step fit to the integrand's width, which shrinks like 1 / sqrt(x).
  const double step = 0.1 / std::sqrt(std::max(1.0, x / 8));
  double sum = 0.5;
  for (int i = 1; i < 2000; ++i) {
    const double t = i * step;
    const double half = std::sinh(t / 2);
    const double term = std::exp(-2 * x * half * half) * (n == 0 ? 1 : std::cosh(t));
    sum += term;
    if (term < kEpsilon / 16 * sum) break;
  }
  return sum * step;
}

}  // namespace

double bessel_i0e(double x) { return scaled_i(0, std::abs(x)); }
double bessel_i1e(double x) { return std::copysign(scaled_i(1, std::abs(x)), x); }
double bessel_i0(double x) { return std::abs(x) > 1e4 ? kInf + x * 0 : std::exp(std::abs(x)) * bessel_i0e(x); }
double bessel_i1(double x) {
  return std::abs(x) > 1e4 ? std::copysign(kInf, x) : std::exp(std::abs(x)) * bessel_i1e(x);
}
double bessel_k0e(double x) { return scaled_k(0, x); }
double bessel_k1e(double x) { return scaled_k(1, x); }
double bessel_k0(double x) { return scaled_k(0, x) * (x > 0 ? std::exp(-x) : 1); }
double bessel_k1(double x) { return scaled_k(1, x) * (x > 0 ? std::exp(-x) : 1); }
double bessel_j0(double x) { return ::j0(x); }
double bessel_j1(double x) { return ::j1(x); }
double bessel_y0(double x) { return x < 0 ? kNan : ::y0(x); }
double bessel_y1(double x) { return x < 0 ? kNan : ::y1(x); }

// G. B. Rybicki, Dawson's integral and the sampling theorem (1989); the error at this step is below rounding.
double dawsn(double x) {
  if (x != x) return x;
  const double ax = std::abs(x);
  if (ax < 0.2) {  // the series, exact near 0
    double term = x, sum = x;
    for (int k = 1; k < 30; ++k) {
      term *= -2 * x * x / (2 * k + 1);
      sum += term;
    }
    return sum;
  }
  if (ax > 1e8) return 0.5 / x;
  constexpr double h = 0.2;
  const double n0 = 2 * std::floor(0.5 * ax / h + 0.5);  // the even integer nearest to x / h
  const double rest = ax - n0 * h;
  double sum = 0;
  for (int i = 33; i >= -33; i -= 2) sum += std::exp(-(rest - i * h) * (rest - i * h)) / (n0 + i);
  return std::copysign(sum / std::sqrt(kPi), x);
}

double expint(double x) {
  if (x != x) return x;
  if (x == 0) return -kInf;
  if (x == kInf) return kInf;
  if (x == -kInf) return -0.0;
  if (x > 710) return std::exp(x - std::log(x));
  return std::expint(x);
}

namespace {

struct Fresnel {
  double cos, sin;
};

Fresnel fresnel(double x) {
  const double ax = std::abs(x);
  if (x != x) return {x, x};
  if (ax > 1e8) return {std::copysign(0.5, x), std::copysign(0.5, x)};
  double c = 0, s = 0;
  if (ax < 1.8) {  // power series in the square
    const double fact = kPi / 2 * ax * ax;
    double term = ax;
    for (int k = 0; k < 60; ++k) {
      const double part = term / (2 * k + 1);
      switch (k % 4) {
        case 0: c += part; break;
        case 1: s += part; break;
        case 2: c -= part; break;
        default: s -= part;
      }
      term *= fact / (k + 1);
    }
  } else {
    // Continued fraction of the complex error function.
    using C = std::complex<double>;
    const double pix2 = kPi * ax * ax;
    C b(1, -pix2), cc(1e300, 0), d = 1.0 / b, h = d;
    double n = -1;
    for (int k = 2; k < 300; ++k) {
      n += 2;
      const double a = -n * (n + 1);
      b += 4.0;
      d = 1.0 / (a * d + b);
      cc = b + a / cc;
      const C delta = cc * d;
      h *= delta;
      if (std::abs(delta.real() - 1) + std::abs(delta.imag()) < kEpsilon) break;
    }
    h *= C(ax, -ax);
    const C cs = C(0.5, 0.5) * (1.0 - C(std::cos(0.5 * pix2), std::sin(0.5 * pix2)) * h);
    c = cs.real();
    s = cs.imag();
  }
  return {std::copysign(c, x), std::copysign(s, x)};
}

// Li2 on [-1, 1/2], by the series in u = -log(1 - z) with Bernoulli numbers.
double dilogarithm(double z) {
  const double u = -std::log1p(-z), u2 = u * u;
  static constexpr double c[] = {1.0 / 36,
                                 -1.0 / 3600,
                                 1.0 / 211680,
                                 -1.0 / 10886400,
                                 1.0 / 526901760,
                                 -4.0647616451442255e-11,
                                 8.9216910204564525e-13,
                                 -1.9939295860721076e-14,
                                 4.5189800296199182e-16};
  return u - u2 / 4 + u * u2 * polynomial(c, u2);
}

}  // namespace

double fresnel_cos(double x) { return fresnel(x).cos; }
double fresnel_sin(double x) { return fresnel(x).sin; }

double spence(double x) {
  if (x != x || x < 0 || x == kInf) return kNan;  // at infinity, too, in TensorFlow
  constexpr double kSixth = kPi * kPi / 6;
  if (x == 0) return kSixth;
  const double z = 1 - x;
  if (x < 0.5) return kSixth - std::log(x) * std::log1p(-x) - dilogarithm(x);
  if (x <= 2) return dilogarithm(z);
  const double log_x = std::log(x);
  return -spence(1 / x) - log_x * log_x / 2;
}

}  // namespace millrace::special
