// Numbers as text, text as numbers, and strings hashed into buckets.

#include <cinttypes>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "base/fingerprint.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

class AsString final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(const DataType dtype, init.attr<DataType>("T"));
    MR_ASSIGN_OR_RETURN(precision_, init.attr<int64_t>("precision"));
    MR_ASSIGN_OR_RETURN(const bool scientific, init.attr<bool>("scientific"));
    MR_ASSIGN_OR_RETURN(const bool shortest, init.attr<bool>("shortest"));
    MR_ASSIGN_OR_RETURN(width_, init.attr<int64_t>("width"));
    MR_ASSIGN_OR_RETURN(const std::string fill, init.attr<std::string>("fill"));
    const bool is_real = is_floating(dtype) || is_complex(dtype);
    if (scientific && shortest) return invalid_argument("Cannot select both scientific and shortest notation");
    if (fill.size() > 1) return invalid_argument("Fill string must be one or fewer characters");
    if (!is_real && (scientific || shortest))
      return invalid_argument("scientific and shortest format not supported for datatype ", dtype_name(dtype));
    if (!is_real && precision_ > -1)
      return invalid_argument("precision not supported for datatype ", dtype_name(dtype));
    // A width or precision from a graph makes memory: printf's own limit is far beyond any use.
    constexpr int64_t kMost = 100'000;
    if (width_ > kMost || precision_ > kMost)
      return invalid_argument("AsString: width and precision must be at most ", kMost);
    flags_ = fill;
    if (!flags_.empty() && std::string_view(" +-0#").find(flags_[0]) == std::string_view::npos)
      return invalid_argument("Fill argument not supported: \"", fill, "\"");
    conversion_ = scientific ? 'e' : shortest ? 'g' : 'f';
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    switch (ctx.input(0).dtype()) {
      case DataType::kFloat: return reals<float>(ctx, out);
      case DataType::kDouble: return reals<double>(ctx, out);
      case DataType::kHalf: return reals<Half>(ctx, out);
      case DataType::kBfloat16: return reals<BFloat16>(ctx, out);
      case DataType::kComplex64: return complexes<Complex64>(ctx, out);
      case DataType::kComplex128: return complexes<Complex128>(ctx, out);
      case DataType::kInt8: return integers<int8_t>(ctx, out);
      case DataType::kInt16: return integers<int16_t>(ctx, out);
      case DataType::kInt32: return integers<int32_t>(ctx, out);
      case DataType::kInt64: return integers<int64_t>(ctx, out);
      case DataType::kUint8: return integers<uint8_t>(ctx, out);
      case DataType::kUint16: return integers<uint16_t>(ctx, out);
      case DataType::kUint32: return integers<uint32_t>(ctx, out);
      case DataType::kUint64: return integers<uint64_t>(ctx, out);
      case DataType::kBool: return each<bool>(ctx, out, [&](bool v) { return text("s", v ? "true" : "false"); });
      case DataType::kString: return each<std::string>(ctx, out, [&](const std::string& v) { return padded(v); });
      default: return unimplemented("AsString of ", dtype_name(ctx.input(0).dtype()), " is not supported.");
    }
  }

  template <class T, class F> static absl::Status each(KernelContext& ctx, std::span<std::string> out, F f) {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<T>(0));
    for (size_t i = 0; i < in.size(); ++i) out[i] = f(in[i]);
    return absl::OkStatus();
  }
  template <class T> absl::Status reals(KernelContext& ctx, std::span<std::string> out) const {
    return each<T>(ctx, out, [&](T v) {
      if constexpr (std::is_same_v<T, double>) return real(v);
      else return real(static_cast<double>(static_cast<float>(v)));
    });
  }
  template <class T> absl::Status complexes(KernelContext& ctx, std::span<std::string> out) const {
    return each<T>(ctx, out, [&](T v) {
      return "(" + real(static_cast<double>(v.real())) + "," + real(static_cast<double>(v.imag())) + ")";
    });
  }
  template <class T> absl::Status integers(KernelContext& ctx, std::span<std::string> out) const {
    return each<T>(ctx, out, [&](T v) {
      if constexpr (std::is_signed_v<T>) return text(PRId64, static_cast<int64_t>(v));
      else return text(PRIu64, static_cast<uint64_t>(v));
    });
  }

  std::string real(double v) const { return text({&conversion_, 1}, v); }

  std::string padded(const std::string& v) const {
    if (static_cast<int64_t>(v.size()) >= width_) return v;
    const std::string space(static_cast<size_t>(width_) - v.size(), ' ');
    return flags_ == "-" ? v + space : space + v;
  }

  // printf with this node's flags, width and precision.
  template <class T> std::string text(std::string_view conversion, T v) const {
    std::string format = "%" + flags_;
    if (width_ > -1) format += std::to_string(width_);
    if (precision_ > -1) format += "." + std::to_string(precision_);
    format += conversion;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int size = std::snprintf(nullptr, 0, format.c_str(), v);
    std::string out(static_cast<size_t>(std::max(size, 0)) + 1, '\0');
    std::snprintf(out.data(), out.size(), format.c_str(), v);
#pragma GCC diagnostic pop
    out.pop_back();
    return out;
  }

  int64_t precision_ = -1, width_ = -1;
  std::string flags_;
  char conversion_ = 'f';
};

template <class T> bool parse_number(const std::string& s, T* value) {
  if constexpr (std::is_same_v<T, float>) return absl::SimpleAtof(s, value);
  else if constexpr (std::is_same_v<T, double>) return absl::SimpleAtod(s, value);
  else return absl::SimpleAtoi(s, value);
}

template <class T> class StringToNumber final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<T>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) {
      if (!parse_number(in[i], &out[i]))
        return invalid_argument("StringToNumberOp could not correctly convert string: ", in[i]);
    }
    return absl::OkStatus();
  }
};

uint64_t legacy_hash(std::string_view s) { return hash64(s); }
uint64_t fast_hash(std::string_view s) { return fingerprint64(s); }

template <uint64_t (*hash)(std::string_view)> class StringToHashBucket final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const int64_t buckets, get_attr<int64_t>(ctx.node(), "num_buckets"));
    if (buckets <= 0) return invalid_argument("num_buckets must be positive.");
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) out[i] = static_cast<int64_t>(hash(in[i]) % static_cast<uint64_t>(buckets));
    return absl::OkStatus();
  }
};

class StringToHashBucketStrong final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const int64_t buckets, get_attr<int64_t>(ctx.node(), "num_buckets"));
    MR_ASSIGN_OR_RETURN(const auto key, get_attr<std::vector<int64_t>>(ctx.node(), "key"));
    if (key.size() != 2) return invalid_argument("Key must have 2 elements");
    if (buckets <= 0) return invalid_argument("num_buckets must be positive.");
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<int64_t>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) {
      const uint64_t h = sip_hash(static_cast<uint64_t>(key[0]), static_cast<uint64_t>(key[1]), in[i]);
      out[i] = static_cast<int64_t>(h % static_cast<uint64_t>(buckets));
    }
    return absl::OkStatus();
  }
};

}  // namespace

void register_string_numbers(Registry& registry) {
  registry.op("AsString")
      .input("input: T")
      .output("output: string")
      .attr(
          "T: {float, double, int32, uint8, int16, int8, int64, bfloat16, uint16, half, uint32, uint64, complex64, "
          "complex128, bool, variant, string}")
      .attr("precision: int = -1")
      .attr("scientific: bool = false")
      .attr("shortest: bool = false")
      .attr("width: int = -1")
      .attr("fill: string = ''")
      .shape(unchanged_shape)
      .cpu<AsString>()
      .not_differentiable()
      .doc("Numbers as text.");
  registry.op("StringToNumber")
      .input("string_tensor: string")
      .output("output: out_type")
      .attr("out_type: {float, double, int32, int64, uint32, uint64} = DT_FLOAT")
      .shape(unchanged_shape)
      .cpu<StringToNumber, float, double, int32_t, int64_t, uint32_t, uint64_t>("out_type")
      .not_differentiable()
      .doc("Text as numbers.");
  registry.op("StringToHashBucket")
      .input("string_tensor: string")
      .output("output: int64")
      .attr("num_buckets: int >= 1")
      .shape(unchanged_shape)
      .cpu<StringToHashBucket<legacy_hash>>()
      .not_differentiable()
      .doc("A bucket for each string, by a hash that is kept for old models.");
  registry.op("StringToHashBucketFast")
      .input("input: string")
      .output("output: int64")
      .attr("num_buckets: int >= 1")
      .shape(unchanged_shape)
      .cpu<StringToHashBucket<fast_hash>>()
      .not_differentiable()
      .doc("A bucket for each string, by its fingerprint.");
  registry.op("StringToHashBucketStrong")
      .input("input: string")
      .output("output: int64")
      .attr("num_buckets: int >= 1")
      .attr("key: list(int)")
      .shape(unchanged_shape)
      .cpu<StringToHashBucketStrong>()
      .not_differentiable()
      .doc("A bucket for each string, by a keyed hash.");
}

}  // namespace millrace
