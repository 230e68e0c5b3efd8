// Strings of bytes to numbers and back: raw memory, zlib, base64.

#include <algorithm>
#include <cstring>

#include "io/compression.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// Bytes of one number in memory order; complex numbers are two.
size_t swap_unit(DataType dtype) { return is_complex(dtype) ? dtype_size(dtype) / 2 : dtype_size(dtype); }

void reverse_bytes(char* data, size_t bytes, size_t unit) {
  if (unit <= 1) return;
  for (size_t i = 0; i + unit <= bytes; i += unit) std::reverse(data + i, data + i + unit);
}

// A bool of any other byte than 0 and 1 would be undefined behaviour to read.
void make_bools(char* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) data[i] = data[i] != 0;
}

class DecodeRaw final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "out_type"));
    MR_ASSIGN_OR_RETURN(const bool little_endian, get_attr<bool>(ctx.node(), "little_endian"));
    const size_t size = in.empty() ? 0 : in[0].size(), unit = dtype_size(dtype);
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i].size() != size)
        return invalid_argument("DecodeRaw requires input strings to all be the same size, but element ", i,
                                " has size ", size, " != ", in[i].size());
    }
    if (size % unit != 0)
      return invalid_argument("Input to DecodeRaw has length ", size, " that is not a multiple of ", unit,
                              ", the size of ", dtype_name(dtype));
    MR_ASSIGN_OR_RETURN(const TensorShape shape,
                        insert_dim(ctx.shape(0), ctx.shape(0).rank(), static_cast<int64_t>(size / unit)));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    char* data = static_cast<char*>(out->raw_mutable_data());
    for (size_t i = 0; i < in.size() && size > 0; ++i) std::memcpy(data + i * size, in[i].data(), size);
    if (!little_endian) reverse_bytes(data, out->byte_size(), swap_unit(dtype));
    if (dtype == DataType::kBool) make_bools(data, out->byte_size());
    return absl::OkStatus();
  }
};

class DecodePaddedRaw final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const int64_t fixed_length, ctx.int_scalar(1));
    MR_ASSIGN_OR_RETURN(const DataType dtype, get_attr<DataType>(ctx.node(), "out_type"));
    MR_ASSIGN_OR_RETURN(const bool little_endian, get_attr<bool>(ctx.node(), "little_endian"));
    const auto unit = static_cast<int64_t>(dtype_size(dtype));
    if (fixed_length <= 0) return invalid_argument("`fixed_length` (", fixed_length, ") must be greater than zero.");
    if (fixed_length % unit != 0)
      return invalid_argument("`fixed_length` (", fixed_length, ") must be a multiple of the size of `out_type` (",
                              unit, ")");
    MR_ASSIGN_OR_RETURN(const TensorShape shape, insert_dim(ctx.shape(0), ctx.shape(0).rank(), fixed_length / unit));
    MR_ASSIGN_OR_RETURN(Tensor * out, ctx.allocate_output(0, shape));
    char* data = static_cast<char*>(out->raw_mutable_data());
    if (out->byte_size() > 0) std::memset(data, 0, out->byte_size());
    const auto width = static_cast<size_t>(fixed_length);
    for (size_t i = 0; i < in.size(); ++i) std::memcpy(data + i * width, in[i].data(), std::min(width, in[i].size()));
    if (!little_endian) reverse_bytes(data, out->byte_size(), swap_unit(dtype));
    return absl::OkStatus();
  }
};

class MemoryStream final : public InputStream {
 public:
  explicit MemoryStream(std::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<size_t> read(std::span<char> out) override {
    const size_t n = std::min(out.size(), bytes_.size());
    std::memcpy(out.data(), bytes_.data(), n);
    bytes_.remove_prefix(n);
    return n;
  }
  std::optional<uint64_t> remaining() const override { return bytes_.size(); }
  const std::string& name() const override { return name_; }

 private:
  std::string_view bytes_;
  std::string name_ = "DecodeCompressed";
};

class DecodeCompressed final : public Kernel {
  static constexpr size_t kMaxBytes = size_t{1} << 30;  // a few bytes may inflate to any number

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::string name, get_attr<std::string>(ctx.node(), "compression_type"));
    const absl::StatusOr<Compression> compression = compression_from_name(name);
    if (!compression.ok()) return invalid_argument("Only ZLIB, GZIP or NONE are supported compressions");
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) {
      if (*compression == Compression::kNone) {
        out[i] = in[i];
        continue;
      }
      const auto stream = make_inflating_stream(std::make_unique<MemoryStream>(in[i]), *compression);
      MR_RETURN_IF_ERROR(read_all(*stream, out[i]));
    }
    return absl::OkStatus();
  }

  static absl::Status read_all(InputStream& stream, std::string& out) {
    out.clear();
    char buffer[16 << 10];
    while (true) {
      MR_ASSIGN_OR_RETURN(const size_t n, stream.read(buffer));
      if (n == 0) return absl::OkStatus();
      if (out.size() + n > kMaxBytes)
        return resource_exhausted("DecodeCompressed: a string inflates to more than ", kMaxBytes, " bytes.");
      out.append(buffer, n);
    }
  }
};

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

class EncodeBase64 final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const bool pad, get_attr<bool>(ctx.node(), "pad"));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) out[i] = encode(in[i], pad);
    return absl::OkStatus();
  }
  static std::string encode(std::string_view in, bool pad) {
    std::string out;
    for (size_t i = 0; i < in.size(); i += 3) {
      const size_t n = std::min<size_t>(3, in.size() - i);
      uint32_t bits = 0;
      for (size_t b = 0; b < 3; ++b) bits = bits << 8 | (b < n ? static_cast<uint8_t>(in[i + b]) : 0);
      for (size_t c = 0; c < 4; ++c) {
        if (c <= n) out += kAlphabet[bits >> (18 - 6 * c) & 63];
        else if (pad) out += '=';
      }
    }
    return out;
  }
};

class DecodeBase64 final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto in, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<std::string>(0, ctx.shape(0)));
    for (size_t i = 0; i < in.size(); ++i) {
      MR_ASSIGN_OR_RETURN(out[i], decode(in[i]));
    }
    return absl::OkStatus();
  }
  static absl::StatusOr<std::string> decode(std::string_view in) {
    if (in.size() % 4 == 0) {
      for (int pad = 0; pad < 2 && !in.empty() && in.back() == '='; ++pad) in.remove_suffix(1);
    }
    if (in.size() % 4 == 1) return invalid_argument("Base64 string length cannot be 1 modulo 4.");
    std::string out;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : in) {
      const size_t value = kAlphabet.find(c);
      if (value == std::string_view::npos) return invalid_argument("Invalid character found in base64.");
      bits = bits << 6 | static_cast<uint32_t>(value);
      if ((count += 6) >= 8) {
        count -= 8;
        out += static_cast<char>(bits >> count & 255);
      }
    }
    return out;
  }
};

absl::Status decode_raw_shape(ShapeContext& c) {
  return c.set_output(0, concatenate(c.input(0), PartialTensorShape({-1})));
}

absl::Status decode_padded_raw_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const DataType dtype, c.attr<DataType>("out_type"));
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> length, c.int_scalar(1));
  const auto unit = static_cast<int64_t>(dtype_size(dtype));
  const int64_t width = length && *length > 0 && unit > 0 ? *length / unit : -1;
  return c.set_output(0, concatenate(c.input(0), PartialTensorShape({width})));
}

}  // namespace

void register_decode(Registry& registry) {
  registry.op("DecodeRaw")
      .input("bytes: string")
      .output("output: out_type")
      .attr(
          "out_type: {half, float, double, int32, uint16, uint8, int16, int8, int64, complex64, complex128, bool, "
          "bfloat16}")
      .attr("little_endian: bool = true")
      .shape(decode_raw_shape)
      .cpu<DecodeRaw>()
      .not_differentiable()
      .doc("The bytes of strings as numbers.");
  registry.op("DecodePaddedRaw")
      .input("input_bytes: string")
      .input("fixed_length: int32")
      .output("output: out_type")
      .attr("out_type: {half, float, double, int32, uint16, uint8, int16, int8, int64, bfloat16}")
      .attr("little_endian: bool = true")
      .shape(decode_padded_raw_shape)
      .cpu<DecodePaddedRaw>()
      .not_differentiable()
      .doc("The bytes of strings as numbers, cut or filled up with zeros to one length.");
  registry.op("DecodeCompressed")
      .input("bytes: string")
      .output("output: string")
      .attr("compression_type: string = ''")
      .shape(unchanged_shape)
      .cpu<DecodeCompressed>()
      .not_differentiable()
      .doc("Strings inflated.");
  registry.op("DecodeBase64")
      .input("input: string")
      .output("output: string")
      .shape(unchanged_shape)
      .cpu<DecodeBase64>()
      .not_differentiable()
      .doc("Strings from web-safe base64.");
  registry.op("EncodeBase64")
      .input("input: string")
      .output("output: string")
      .attr("pad: bool = false")
      .shape(unchanged_shape)
      .cpu<EncodeBase64>()
      .not_differentiable()
      .doc("Strings as web-safe base64.");
}

}  // namespace millrace
