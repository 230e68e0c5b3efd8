// Fingerprint: a hash of each row, in bytes.

#include "base/fingerprint.h"

#include <bit>
#include <vector>

#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

static_assert(std::endian::native == std::endian::little);  // rows are hashed as they lie in memory
constexpr int64_t kBytes = 8;

std::string_view bytes_of(const void* data, size_t size) { return {static_cast<const char*>(data), size}; }

class Fingerprint final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& data = ctx.input(0);
    if (ctx.shape(1).rank() != 0) return invalid_argument("`method` should be a scalar string: ", ctx.shape(1));
    MR_ASSIGN_OR_RETURN(const std::string method, ctx.scalar<std::string>(1));
    if (method != "farmhash64") return invalid_argument("Unsupported fingerprint method: ", method);
    if (data.rank() < 1) return invalid_argument("`data` should have at least one dimension: ", data.shape());
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({data.dim(0), kBytes}));
    MR_ASSIGN_OR_RETURN(const std::span<uint8_t> out, ctx.output<uint8_t>(0, shape));
    const size_t row = static_cast<size_t>(subshape(data.shape(), 1, data.rank()).num_elements());
    const bool strings = data.dtype() == DataType::kString;
    if (!strings && dtype_size(data.dtype()) == 0) return no_bytes(data.dtype());
    if (data.dtype() == DataType::kVariant || data.dtype() == DataType::kResource) return no_bytes(data.dtype());
    for (size_t i = 0; i < static_cast<size_t>(data.dim(0)); ++i) {
      const uint64_t hash = strings ? hash_of_strings(data, i * row, row) : hash_of_bytes(data, i, row);
      for (size_t b = 0; b < kBytes; ++b) out[i * kBytes + b] = static_cast<uint8_t>(hash >> (8 * b));
    }
    return absl::OkStatus();
  }

  static absl::Status no_bytes(DataType dtype) {
    return invalid_argument("Fingerprint: values of type ", dtype_name(dtype), " have no bytes to hash");
  }
  static uint64_t hash_of_bytes(const Tensor& data, size_t i, size_t row) {
    const size_t size = row * dtype_size(data.dtype());
    return fingerprint64(size == 0 ? std::string_view()
                                   : bytes_of(static_cast<const char*>(data.raw_data()) + i * size, size));
  }
  // Of a vector the strings' own hashes; of rows of strings the hash of these.
  static uint64_t hash_of_strings(const Tensor& data, size_t first, size_t count) {
    const auto all = data.unchecked<std::string>();
    if (data.rank() == 1) return fingerprint64(all[first]);
    std::vector<uint64_t> hashes;
    for (const std::string& s : all.subspan(first, count)) hashes.push_back(fingerprint64(s));
    return fingerprint64(bytes_of(hashes.data(), hashes.size() * sizeof(uint64_t)));
  }
};

absl::Status fingerprint_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape data, c.with_rank_at_least(0, 1));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  const Tensor* method = c.value(1);
  const bool known = method != nullptr && method->dtype() == DataType::kString && method->num_elements() == 1;
  if (known && method->unchecked<std::string>()[0] != "farmhash64")
    return invalid_argument("unsupported fingerprint method");
  return c.set_output(0, make_partial_shape({data.has_rank() ? data.dim(0) : -1, known ? kBytes : -1}));
}

}  // namespace

void register_fingerprint(Registry& registry) {
  registry.op("Fingerprint")
      .input("data: T")
      .input("method: string")
      .output("fingerprint: uint8")
      .attr("T: type")
      .shape(fingerprint_shape)
      .cpu<Fingerprint>()
      .not_differentiable()
      .doc("The 64-bit fingerprint of each row, as bytes from the lowest up.");
}

}  // namespace millrace
