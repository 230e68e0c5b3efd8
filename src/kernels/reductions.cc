#include <cmath>
#include <limits>

#include "kernels/reduce.h"

namespace millrace {

namespace {

template <class T> constexpr bool is_small_float = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T> constexpr bool is_complex_type = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;

// What elements of T are added up in. Integers go to 64 unsigned bits, where overflow is defined and wraps as in T.
template <class T>
using Wide = std::conditional_t<is_small_float<T>, float, std::conditional_t<std::is_integral_v<T>, uint64_t, T>>;
template <class T> using Narrow = std::conditional_t<is_small_float<T>, float, T>;

template <class T> auto value(T x) {
  if constexpr (is_small_float<T>) return static_cast<float>(x);
  else return x;
}

// Each operation: accumulator, neutral element, join of two accumulators, element to accumulator, result.
template <class T> struct Sum {
  using Acc = Wide<T>;
  static Acc neutral() { return Acc(0); }
  static Acc lift(T x) { return static_cast<Acc>(value(x)); }
  static Acc join(Acc a, Acc b) { return a + b; }
  static T result(Acc a, int64_t) { return static_cast<T>(a); }
};
template <class T> struct Mean : Sum<T> {
  using Acc = Wide<T>;
  static T result(Acc a, int64_t count) {
    if constexpr (std::is_integral_v<T>) {
      if (count == 0) return T(0);
      if constexpr (std::is_signed_v<T>) return static_cast<T>(static_cast<int64_t>(a) / count);
      return static_cast<T>(a / static_cast<uint64_t>(count));
    } else if constexpr (is_complex_type<T>) {
      return a / static_cast<typename T::value_type>(count);
    } else {
      return static_cast<T>(a / static_cast<Acc>(count));
    }
  }
};
template <class T> struct Prod {
  using Acc = Wide<T>;
  static Acc neutral() { return Acc(1); }
  static Acc lift(T x) { return static_cast<Acc>(value(x)); }
  static Acc join(Acc a, Acc b) { return a * b; }
  static T result(Acc a, int64_t) { return static_cast<T>(a); }
};
// NaN wins over any number, as in TensorFlow.
template <class T> struct Max {
  using Acc = Narrow<T>;
  static Acc neutral() {
    if constexpr (std::is_integral_v<Acc>) return std::numeric_limits<Acc>::lowest();
    else return -std::numeric_limits<Acc>::infinity();
  }
  static Acc lift(T x) { return value(x); }
  static Acc join(Acc a, Acc b) { return (b > a) | (b != b) ? b : a; }
  static T result(Acc a, int64_t) { return static_cast<T>(a); }
};
template <class T> struct Min {
  using Acc = Narrow<T>;
  static Acc neutral() {
    if constexpr (std::is_integral_v<Acc>) return std::numeric_limits<Acc>::max();
    else return std::numeric_limits<Acc>::infinity();
  }
  static Acc lift(T x) { return value(x); }
  static Acc join(Acc a, Acc b) { return (b < a) | (b != b) ? b : a; }
  static T result(Acc a, int64_t) { return static_cast<T>(a); }
};
template <class T> struct EuclideanNorm : Sum<T> {
  using Acc = Wide<T>;
  static Acc lift(T x) {
    if constexpr (is_complex_type<T>) return Acc(std::norm(x));
    const auto v = static_cast<Acc>(value(x));
    return v * v;
  }
  static T result(Acc a, int64_t) {
    if constexpr (is_complex_type<T>) return T(std::sqrt(a.real()));
    else if constexpr (std::is_integral_v<T>) return static_cast<T>(std::sqrt(static_cast<double>(static_cast<T>(a))));
    else return static_cast<T>(std::sqrt(a));
  }
};
template <class T> struct HalfSumOfSquares : EuclideanNorm<T> {
  using Acc = Wide<T>;
  static T result(Acc a, int64_t) { return static_cast<T>(a / Acc(2)); }
};
struct All {
  using Acc = uint8_t;
  static Acc neutral() { return 1; }
  static Acc lift(bool x) { return x; }
  static Acc join(Acc a, Acc b) { return a & b; }
  static bool result(Acc a, int64_t) { return a != 0; }
};
struct Any : All {
  static Acc neutral() { return 0; }
  static Acc join(Acc a, Acc b) { return a | b; }
};

// The loops. Rows go through sixteen independent lanes: enough to hide latency, and close to pairwise summation in
// error.
template <class Op, class T> struct Loops {
  using Acc = typename Op::Acc;
  static constexpr int kLanes = 16;

  static void init(void* acc, int64_t n) {
    Acc* a = static_cast<Acc*>(acc);
    for (int64_t i = 0; i < n; ++i) a[i] = Op::neutral();
  }
  static void row(const void* x, int64_t n, void* acc) {
    const T* p = static_cast<const T*>(x);
    Acc total = *static_cast<Acc*>(acc);
    int64_t i = 0;
    while (n - i >= kLanes) {
      // Blocks of a thousand elements bound the rounding error of float sums.
      const int64_t end = n - i >= 1024 ? i + 1024 : i + (n - i) / kLanes * kLanes;
      Acc lanes[kLanes];
      for (int l = 0; l < kLanes; ++l) lanes[l] = Op::lift(p[i + l]);
      for (i += kLanes; i < end; i += kLanes)
        for (int l = 0; l < kLanes; ++l) lanes[l] = Op::join(lanes[l], Op::lift(p[i + l]));
      for (int half = kLanes / 2; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) lanes[l] = Op::join(lanes[l], lanes[l + half]);
      total = Op::join(total, lanes[0]);
    }
    for (; i < n; ++i) total = Op::join(total, Op::lift(p[i]));
    *static_cast<Acc*>(acc) = total;
  }
  static void rows(const void* x, int64_t count, int64_t n, void* out) {
    const T* p = static_cast<const T*>(x);
    T* o = static_cast<T*>(out);
    for (int64_t i = 0; i < count; ++i) {
      Acc total = Op::neutral();
      row(p + i * n, n, &total);
      o[i] = Op::result(total, n);
    }
  }
  static void columns(const void* x, int64_t n, void* acc) {
    const T* p = static_cast<const T*>(x);
    Acc* a = static_cast<Acc*>(acc);
    for (int64_t i = 0; i < n; ++i) a[i] = Op::join(a[i], Op::lift(p[i]));
  }
  static void combine(const void* other, int64_t n, void* acc) {
    const Acc* b = static_cast<const Acc*>(other);
    Acc* a = static_cast<Acc*>(acc);
    for (int64_t i = 0; i < n; ++i) a[i] = Op::join(a[i], b[i]);
  }
  static void finish(const void* acc, int64_t n, int64_t count, void* out) {
    const Acc* a = static_cast<const Acc*>(acc);
    T* o = static_cast<T*>(out);
    for (int64_t i = 0; i < n; ++i) o[i] = Op::result(a[i], count);
  }
  static constexpr Reduction table{
      sizeof(T), sizeof(Acc), sizeof(T), is_small_float<T> || is_complex_type<T> ? 1.5 : 0.15, init, row, rows,
      columns,   combine,     finish};
};

template <template <class> class Op> const Reduction* real_table(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat: return &Loops<Op<float>, float>::table;
    case DataType::kDouble: return &Loops<Op<double>, double>::table;
    case DataType::kHalf: return &Loops<Op<Half>, Half>::table;
    case DataType::kBfloat16: return &Loops<Op<BFloat16>, BFloat16>::table;
    case DataType::kInt8: return &Loops<Op<int8_t>, int8_t>::table;
    case DataType::kInt16: return &Loops<Op<int16_t>, int16_t>::table;
    case DataType::kInt32: return &Loops<Op<int32_t>, int32_t>::table;
    case DataType::kInt64: return &Loops<Op<int64_t>, int64_t>::table;
    case DataType::kUint8: return &Loops<Op<uint8_t>, uint8_t>::table;
    case DataType::kUint16: return &Loops<Op<uint16_t>, uint16_t>::table;
    case DataType::kUint32: return &Loops<Op<uint32_t>, uint32_t>::table;
    case DataType::kUint64: return &Loops<Op<uint64_t>, uint64_t>::table;
    default: return nullptr;
  }
}
template <template <class> class Op> const Reduction* number_table(DataType dtype) {
  if (dtype == DataType::kComplex64) return &Loops<Op<Complex64>, Complex64>::table;
  if (dtype == DataType::kComplex128) return &Loops<Op<Complex128>, Complex128>::table;
  return real_table<Op>(dtype);
}

}  // namespace

const Reduction* find_reduction(ReduceKind kind, DataType dtype) {
  switch (kind) {
    case ReduceKind::kSum: return number_table<Sum>(dtype);
    case ReduceKind::kMean: return number_table<Mean>(dtype);
    case ReduceKind::kProd: return number_table<Prod>(dtype);
    case ReduceKind::kMax: return real_table<Max>(dtype);
    case ReduceKind::kMin: return real_table<Min>(dtype);
    case ReduceKind::kEuclideanNorm: return number_table<EuclideanNorm>(dtype);
    case ReduceKind::kHalfSumOfSquares: return is_floating(dtype) ? real_table<HalfSumOfSquares>(dtype) : nullptr;
    case ReduceKind::kAll: return dtype == DataType::kBool ? &Loops<All, bool>::table : nullptr;
    case ReduceKind::kAny: return dtype == DataType::kBool ? &Loops<Any, bool>::table : nullptr;
  }
  return nullptr;
}

}  // namespace millrace
