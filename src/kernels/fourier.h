#pragma once
// Discrete Fourier transforms of lines of one length, in double precision: by Cooley and Tukey's division into the
// prime factors of the length, or, where one of these is large, by way of a convolution whose length is a power of two
// (Bluestein). O(n log n) for every n.

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/types.h"

namespace millrace {

// Holds the tables of one length; one line at a time.
class FourierTransform {
 public:
  explicit FourierTransform(int64_t length);

  // In place: sum of line[j] exp(-2 pi i j k / n). The inverse has the other sign and is divided by the length.
  // line.size() is the length.
  void run(std::span<Complex128> line, bool inverse);

 private:
  void forward(Complex128* line);
  void transform(size_t n, size_t factor, size_t stride, const Complex128* in, Complex128* out) const;
  void prepare_chirp();
  void bluestein(Complex128* line);

  size_t length_;
  std::vector<size_t> factors_;     // small ones, of the length or of the convolution's
  std::vector<Complex128> roots_;   // exp(-2 pi i k / n) of that length
  std::vector<Complex128> chirp_;   // exp(-i pi k^2 / n); empty unless a factor is large
  std::vector<Complex128> filter_;  // the transform of its conjugate, around zero
  std::vector<Complex128> work_, copy_;
};

}  // namespace millrace
