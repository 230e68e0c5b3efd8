#pragma once
// Special functions of real numbers in double precision, beyond those of <cmath>. Outside its domain each gives NaN.

namespace millrace::special {

double erfinv(double x);                       // inverse of erf, on [-1, 1]
double ndtri(double p);                        // quantile of the normal distribution, on [0, 1]
double lgamma(double x);                       // log |Gamma(x)|, without the C library's global sign
double digamma(double x);                      // derivative of log Gamma
double zeta(double x, double q);               // Hurwitz: the sum of (k + q)^-x over k >= 0
double polygamma(double n, double x);          // nth derivative of digamma
double igamma(double a, double x);             // regularized lower incomplete gamma function
double igammac(double a, double x);            // 1 - igamma
double igamma_grad_a(double a, double x);      // d igamma / d a
double gamma_sample_grad(double a, double x);  // d x / d a of a gamma variate x: -(d igamma / d a) / density
double betainc(double a, double b, double x);  // regularized incomplete beta function

// Modified Bessel functions; the `e` forms are scaled by e^-|x| (i) and e^x (k).
double bessel_i0(double x);
double bessel_i0e(double x);
double bessel_i1(double x);
double bessel_i1e(double x);
double bessel_k0(double x);
double bessel_k0e(double x);
double bessel_k1(double x);
double bessel_k1e(double x);
double bessel_j0(double x);
double bessel_j1(double x);
double bessel_y0(double x);
double bessel_y1(double x);

double dawsn(double x);        // e^(-x^2) times the integral of e^(t^2) from 0 to x
double expint(double x);       // exponential integral Ei
double fresnel_cos(double x);  // integral of cos(pi t^2 / 2) from 0 to x
double fresnel_sin(double x);
double spence(double x);  // dilogarithm of 1 - x

}  // namespace millrace::special
