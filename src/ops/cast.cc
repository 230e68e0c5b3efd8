// Conversions between element types: Cast by value, Bitcast by memory.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elementwise.h"
#include "kernels/parallel.h"
#include "op/kernel.h"
#include "op/shape_context.h"
#include "ops/math_gradients.h"

namespace millrace {

namespace {

// Floats to integers towards zero, defined for every value: what does not fit in the wide integer becomes its lowest
// number (x86's answer, TensorFlow's too), narrower types keep its low bits.
template <class Wide, class F> Wide to_wide(F x) {
  constexpr F limit = static_cast<F>(-static_cast<F>(std::numeric_limits<Wide>::min()));
  return x >= -limit && x < limit ? static_cast<Wide>(x) : std::numeric_limits<Wide>::min();
}

template <class D, class S> D convert(S x) {
  if constexpr (std::is_same_v<S, Complex64> || std::is_same_v<S, Complex128>) {
    if constexpr (std::is_same_v<D, Complex64> || std::is_same_v<D, Complex128>)
      return D(static_cast<typename D::value_type>(x.real()), static_cast<typename D::value_type>(x.imag()));
    else return convert<D>(x.real());
  } else if constexpr (std::is_same_v<D, Complex64> || std::is_same_v<D, Complex128>) {
    return D(static_cast<typename D::value_type>(x));
  } else if constexpr (std::is_same_v<D, bool>) {
    return x != S(0);
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<D>) {
    if constexpr (std::is_same_v<D, uint64_t>) {
      constexpr S half = static_cast<S>(9223372036854775808.0);
      if (x >= half && x < 2 * half) return static_cast<uint64_t>(to_wide<int64_t>(x - half)) + (uint64_t{1} << 63);
      return static_cast<uint64_t>(to_wide<int64_t>(x));
    } else if constexpr (std::is_same_v<D, int64_t> || std::is_same_v<D, uint32_t>) {
      return static_cast<D>(to_wide<int64_t>(x));
    } else {
      return static_cast<D>(to_wide<int32_t>(x));
    }
  } else {
    return static_cast<D>(x);
  }
}

template <class S, class D> void cast_loop(const void* x, void* out, int64_t n) {
  const S* a = static_cast<const S*>(x);
  D* o = static_cast<D*>(out);
  for (int64_t i = 0; i < n; ++i) o[i] = convert<D>(a[i]);
}

template <class S> UnaryLoop loop_from(DataType to) {
  switch (to) {
    case DataType::kFloat: return &cast_loop<S, float>;
    case DataType::kDouble: return &cast_loop<S, double>;
    case DataType::kBool: return &cast_loop<S, bool>;
    case DataType::kInt8: return &cast_loop<S, int8_t>;
    case DataType::kInt16: return &cast_loop<S, int16_t>;
    case DataType::kInt32: return &cast_loop<S, int32_t>;
    case DataType::kInt64: return &cast_loop<S, int64_t>;
    case DataType::kUint8: return &cast_loop<S, uint8_t>;
    case DataType::kUint16: return &cast_loop<S, uint16_t>;
    case DataType::kUint32: return &cast_loop<S, uint32_t>;
    case DataType::kUint64: return &cast_loop<S, uint64_t>;
    case DataType::kComplex64: return &cast_loop<S, Complex64>;
    case DataType::kComplex128: return &cast_loop<S, Complex128>;
    default: return nullptr;
  }
}

// Between types other than half and bfloat16, which go through float.
UnaryLoop find_loop(DataType from, DataType to) {
  switch (from) {
    case DataType::kFloat: return loop_from<float>(to);
    case DataType::kDouble: return loop_from<double>(to);
    case DataType::kBool: return loop_from<bool>(to);
    case DataType::kInt8: return loop_from<int8_t>(to);
    case DataType::kInt16: return loop_from<int16_t>(to);
    case DataType::kInt32: return loop_from<int32_t>(to);
    case DataType::kInt64: return loop_from<int64_t>(to);
    case DataType::kUint8: return loop_from<uint8_t>(to);
    case DataType::kUint16: return loop_from<uint16_t>(to);
    case DataType::kUint32: return loop_from<uint32_t>(to);
    case DataType::kUint64: return loop_from<uint64_t>(to);
    case DataType::kComplex64: return loop_from<Complex64>(to);
    case DataType::kComplex128: return loop_from<Complex128>(to);
    default: return nullptr;
  }
}

// Quantized numbers are converted as the integers that they are stored as.
DataType stored_as(DataType dtype) {
  switch (dtype) {
    case DataType::kQint8: return DataType::kInt8;
    case DataType::kQuint8: return DataType::kUint8;
    case DataType::kQint16: return DataType::kInt16;
    case DataType::kQuint16: return DataType::kUint16;
    case DataType::kQint32: return DataType::kInt32;
    default: return dtype;
  }
}

bool is_small(DataType dtype) { return dtype == DataType::kHalf || dtype == DataType::kBfloat16; }

int mantissa_bits(DataType dtype) {
  switch (dtype) {
    case DataType::kDouble: return 52;
    case DataType::kFloat: return 23;
    case DataType::kHalf: return 10;
    case DataType::kBfloat16: return 7;
    default: return 0;
  }
}
DataType part_type(DataType dtype) {
  if (dtype == DataType::kComplex64) return DataType::kFloat;
  if (dtype == DataType::kComplex128) return DataType::kDouble;
  return dtype;
}

// Truncate = true: the mantissa bits that the narrower type lacks are cleared before the conversion.
template <class U> void clear_low_bits(const void* x, void* out, int64_t n, int bits) {
  const U mask = ~((U{1} << bits) - 1);
  for (int64_t i = 0; i < n; ++i) static_cast<U*>(out)[i] = static_cast<const U*>(x)[i] & mask;
}

class Cast final : public Kernel {
 public:
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(from_, init.attr<DataType>("SrcT"));
    MR_ASSIGN_OR_RETURN(to_, init.attr<DataType>("DstT"));
    MR_ASSIGN_OR_RETURN(const bool truncate, init.attr<bool>("Truncate"));
    if (from_ == to_) return absl::OkStatus();
    first_ = find_loop(is_small(from_) ? DataType::kFloat : stored_as(from_),
                       is_small(to_) ? DataType::kFloat : stored_as(to_));
    if (first_ == nullptr)
      return unimplemented("Cast ", dtype_name(from_), " to ", dtype_name(to_), " is not supported");
    if (truncate) cleared_bits_ = std::max(0, mantissa_bits(part_type(from_)) - mantissa_bits(part_type(to_)));
    if (mantissa_bits(part_type(to_)) == 0 || is_small(from_)) cleared_bits_ = 0;
    from_size_ = static_cast<int64_t>(dtype_size(from_));
    to_size_ = static_cast<int64_t>(dtype_size(to_));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    if (x.dtype() != from_)
      return invalid_argument("'", ctx.node().name, "' (Cast): input must be ", dtype_name(from_), ", got ",
                              dtype_name(x.dtype()));
    if (from_ == to_) return ctx.set_output(0, x);
    MR_ASSIGN_OR_RETURN(Tensor* const out, ctx.allocate_output(0, x.shape()));
    const auto* a = static_cast<const char*>(x.raw_data());
    auto* o = static_cast<char*>(out->raw_mutable_data());
    const double cost = is_small(from_) || is_small(to_) ? 2 : 0.7;
    parallel_for(x.num_elements(), cost,
                 [&](int64_t begin, int64_t end) { run(a + begin * from_size_, o + begin * to_size_, end - begin); });
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }

 private:
  void run(const char* x, char* out, int64_t n) const {
    if (!is_small(from_) && !is_small(to_) && cleared_bits_ == 0) return first_(x, out, n);
    alignas(64) char cleared[kConversionBlock * 16];
    float as_float[kConversionBlock], result[kConversionBlock];
    for (int64_t i = 0; i < n; i += kConversionBlock) {
      const int64_t m = std::min(kConversionBlock, n - i);
      const void* block = x + i * from_size_;
      if (from_ == DataType::kHalf) half_to_float(block, as_float, m);
      if (from_ == DataType::kBfloat16) bfloat16_to_float(block, as_float, m);
      if (is_small(from_)) block = as_float;
      if (cleared_bits_ > 0) {
        const bool wide = part_type(from_) == DataType::kDouble;
        const int64_t parts = m * from_size_ / (wide ? 8 : 4);
        if (wide) clear_low_bits<uint64_t>(block, cleared, parts, cleared_bits_);
        else clear_low_bits<uint32_t>(block, cleared, parts, cleared_bits_);
        block = cleared;
      }
      if (!is_small(to_)) {
        first_(block, out + i * to_size_, m);
        continue;
      }
      first_(block, result, m);
      if (to_ == DataType::kHalf) float_to_half(result, out + i * to_size_, m);
      else float_to_bfloat16(result, out + i * to_size_, m);
    }
  }
  DataType from_ = DataType::kInvalid, to_ = DataType::kInvalid;
  UnaryLoop first_ = nullptr;
  int cleared_bits_ = 0;
  int64_t from_size_ = 0, to_size_ = 0;
};

// The shape under elements of another size: a wider type takes the last dimension, a narrower one adds a dimension.
absl::StatusOr<PartialTensorShape> bitcast_to(const PartialTensorShape& in, DataType from, DataType to) {
  const auto a = static_cast<int64_t>(dtype_size(from)), b = static_cast<int64_t>(dtype_size(to));
  if (a == b || !in.has_rank()) return in;
  std::vector<int64_t> dims(in.dims().begin(), in.dims().end());
  if (a > b) {
    dims.push_back(a / b);
  } else {
    if (dims.empty() || (dims.back() >= 0 && dims.back() != b / a))
      return invalid_argument("Cannot bitcast from ", dtype_name(from), " to ", dtype_name(to), " due to shape. ",
                              dims.empty() ? int64_t{0} : dims.back(), " does not match ", b / a);
    dims.pop_back();
  }
  return make_partial_shape(dims);
}

class Bitcast final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    const DataType to = ctx.node().output_types.at(0);
    if (!x.has_value() || !is_pod(x.dtype()) || !is_pod(to))
      return invalid_argument("'", ctx.node().name, "' (Bitcast): plain types expected");
    MR_ASSIGN_OR_RETURN(const PartialTensorShape partial, bitcast_to(PartialTensorShape(x.shape()), x.dtype(), to));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, as_tensor_shape(partial));
    MR_ASSIGN_OR_RETURN(Tensor out, bitcast_tensor(x, to, shape));
    return ctx.set_output(0, std::move(out));
  }
  bool is_cheap() const override { return true; }
};

absl::Status bitcast_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const DataType to, c.attr<DataType>("type"));
  return c.set_output(0, bitcast_to(c.input(0), c.input_type(0), to));
}

absl::Status cast_shape(ShapeContext& c) {
  // A shape stays one under a cast between integers.
  if (const auto& value = c.input_partial_value(0)) c.set_partial_value(0, *value);
  return unchanged_shape(c);
}

absl::Status cast_gradient(GradientContext& g) {
  auto differentiable = [](DataType t) { return is_floating(t) || is_complex(t); };
  const DataType from = g.dtype(g.x(0)), to = g.dtype(g.y(0));
  if (differentiable(from) && differentiable(to)) g.set_dx(0, gradients::cast(g, g.dy(0), from));
  return absl::OkStatus();
}

}  // namespace

void register_cast(Registry& r) {
  r.op("Cast")
      .input("x: SrcT")
      .output("y: DstT")
      .attr("SrcT: type")
      .attr("DstT: type")
      .attr("Truncate: bool = false")
      .shape(cast_shape)
      .gradient(cast_gradient)
      .cpu<Cast>()
      .doc("x as another type.");
  constexpr std::string_view kTypes =
      "{bfloat16, half, float, double, int64, int32, uint8, uint16, uint32, uint64, int8, int16, complex64, "
      "complex128, qint8, quint8, qint16, quint16, qint32}";
  r.op("Bitcast")
      .input("input: T")
      .output("output: type")
      .attr("T: " + std::string(kTypes))
      .attr("type: " + std::string(kTypes))
      .shape(bitcast_shape)
      .cpu<Bitcast>()
      .doc("The same memory under another type.");
}

}  // namespace millrace
