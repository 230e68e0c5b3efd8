#include "kernels/fourier.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/matrix_rows.h"

namespace millrace {
namespace {

constexpr size_t kLargestFactor = 31;  // a step of it takes quadratic time

// Empty if one is larger.
std::vector<size_t> small_factors(size_t n) {
  std::vector<size_t> factors;
  for (const size_t p : {4, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31}) {
    for (; n % p == 0; n /= p) factors.push_back(p);
  }
  if (n > 1) factors.clear();
  return factors;
}

// exp(-2 pi i k / n)
Complex128 root_of_one(size_t k, size_t n) {
  const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
  return {std::cos(angle), -std::sin(angle)};
}

std::vector<Complex128> roots_of_one(size_t n) {
  std::vector<Complex128> roots(n);
  for (size_t k = 0; k < n; ++k) roots[k] = root_of_one(k, n);
  return roots;
}

}  // namespace

FourierTransform::FourierTransform(int64_t length) : length_(static_cast<size_t>(length)) {
  if (length_ <= 1) return;
  factors_ = small_factors(length_);
  if (factors_.empty()) {
    prepare_chirp();
    return;
  }
  roots_ = roots_of_one(length_);
  copy_.resize(length_);
}

void FourierTransform::run(std::span<Complex128> line, bool inverse) {
  if (length_ <= 1) return;
  if (inverse) {
    for (Complex128& x : line) x = std::conj(x);
  }
  if (chirp_.empty()) forward(line.data());
  else bluestein(line.data());
  if (!inverse) return;
  const double scale = 1 / static_cast<double>(length_);
  for (Complex128& x : line) x = std::conj(x) * scale;
}

void FourierTransform::forward(Complex128* line) {
  std::copy(line, line + copy_.size(), copy_.begin());
  transform(copy_.size(), 0, 1, copy_.data(), line);
}

// out[k] of n elements of `in`, `stride` apart; factors_[factor..] multiply to n.
void FourierTransform::transform(size_t n, size_t factor, size_t stride, const Complex128* in, Complex128* out) const {
  if (n == 1) {
    *out = *in;
    return;
  }
  const size_t p = factors_[factor], m = n / p;
  for (size_t r = 0; r < p; ++r) transform(m, factor + 1, stride * p, in + r * stride, out + r * m);
  std::array<Complex128, kLargestFactor> part;
  for (size_t k = 0; k < m; ++k) {
    for (size_t r = 0; r < p; ++r) part[r] = multiplied(out[r * m + k], roots_[r * k * stride]);
    if (p == 2) {
      out[k] = part[0] + part[1];
      out[k + m] = part[0] - part[1];
    } else if (p == 4) {
      const Complex128 a = part[0] + part[2], b = part[0] - part[2], c = part[1] + part[3], d = part[1] - part[3];
      const Complex128 turned(d.imag(), -d.real());  // -i d
      out[k] = a + c;
      out[k + m] = b + turned;
      out[k + 2 * m] = a - c;
      out[k + 3 * m] = b - turned;
    } else {
      for (size_t q = 0; q < p; ++q) {
        Complex128 sum = part[0];
        for (size_t r = 1; r < p; ++r) sum += multiplied(part[r], roots_[r * q % p * m * stride]);
        out[k + q * m] = sum;
      }
    }
  }
}

void FourierTransform::prepare_chirp() {
  const size_t n = length_;
  size_t size = 1;
  while (size < 2 * n - 1) size *= 2;
  factors_ = small_factors(size);
  roots_ = roots_of_one(size);
  copy_.resize(size);
  work_.resize(size);
  chirp_.resize(n);
  for (size_t k = 0, square = 0; k < n; ++k) {  // k^2 modulo 2n, so that the angle is exact
    chirp_[k] = root_of_one(square, 2 * n);
    square = (square + 2 * k + 1) % (2 * n);
  }
  filter_.assign(size, Complex128());
  filter_[0] = std::conj(chirp_[0]);
  for (size_t k = 1; k < n; ++k) filter_[k] = filter_[size - k] = std::conj(chirp_[k]);
  forward(filter_.data());
}

void FourierTransform::bluestein(Complex128* line) {
  std::fill(work_.begin(), work_.end(), Complex128());
  for (size_t k = 0; k < length_; ++k) work_[k] = multiplied(line[k], chirp_[k]);
  forward(work_.data());
  for (size_t k = 0; k < work_.size(); ++k) work_[k] = std::conj(multiplied(work_[k], filter_[k]));
  forward(work_.data());  // the inverse transform, of the conjugate
  const double scale = 1 / static_cast<double>(work_.size());
  for (size_t k = 0; k < length_; ++k) line[k] = multiplied(std::conj(work_[k]) * scale, chirp_[k]);
}

}  // namespace millrace
