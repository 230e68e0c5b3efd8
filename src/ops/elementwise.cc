#include "ops/elementwise.h"

#include "kernels/parallel.h"

namespace millrace {

namespace {

Storage storage_of(DataType dtype) {
  if (dtype == DataType::kHalf) return Storage::kHalf;
  if (dtype == DataType::kBfloat16) return Storage::kBfloat16;
  return Storage::kNative;
}

absl::Status wrong_type(const KernelContext& ctx, int i, DataType wanted) {
  const Tensor& t = ctx.input(i);
  if (!t.has_value())
    return failed_precondition("'", ctx.node().name, "' (", ctx.node().op, "): input ", i, " has no value");
  return invalid_argument("'", ctx.node().name, "' (", ctx.node().op, "): input ", i, " must be ", dtype_name(wanted),
                          ", got ", dtype_name(t.dtype()));
}

class UnaryKernel final : public Kernel {
 public:
  explicit UnaryKernel(const UnaryOperation& op)
      : op_(op),
        in_(storage_of(op.in)),
        out_(storage_of(op.out)),
        in_size_(static_cast<int64_t>(dtype_size(op.in))),
        out_size_(static_cast<int64_t>(dtype_size(op.out))) {
    if (in_ != Storage::kNative) op_.cost_ns += 2;
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    if (x.dtype() != op_.in) [[unlikely]]
      return wrong_type(ctx, 0, op_.in);
    absl::StatusOr<Tensor*> out =
        op_.in == op_.out ? ctx.forward_or_allocate_output({0}, 0, x.shape()) : ctx.allocate_output(0, x.shape());
    if (!out.ok()) return std::move(out).status();
    const char* from = static_cast<const char*>(x.raw_data());
    char* to = static_cast<char*>((*out)->raw_mutable_data());
    parallel_for(x.num_elements(), op_.cost_ns, [&](int64_t begin, int64_t end) {
      run_unary(op_.loop, in_, out_, from + begin * in_size_, to + begin * out_size_, end - begin);
    });
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }

 private:
  UnaryOperation op_;
  Storage in_, out_;
  int64_t in_size_, out_size_;
};

class BinaryKernel final : public Kernel {
 public:
  explicit BinaryKernel(const BinaryKernelSpec& spec) : spec_(spec) {
    op_.loop = spec.loop;
    op_.in = storage_of(spec.in);
    op_.out = storage_of(spec.out);
    op_.in_size = static_cast<int>(dtype_size(spec.in));
    op_.out_size = static_cast<int>(dtype_size(spec.out));
    op_.cost_ns = spec.cost_ns + (op_.in == Storage::kNative ? 0 : 2);
  }
  absl::Status compute(KernelContext& ctx) override {
    const Tensor& x = ctx.input(0);
    const Tensor& y = ctx.input(1);
    if (x.dtype() != spec_.in) [[unlikely]]
      return wrong_type(ctx, 0, spec_.in);
    if (y.dtype() != spec_.in) [[unlikely]]
      return wrong_type(ctx, 1, spec_.in);
    const int64_t nx = x.num_elements(), ny = y.num_elements();
    if (spec_.check != nullptr && nx > 0) MR_RETURN_IF_ERROR(spec_.check(y));
    const bool same = x.shape() == y.shape();
    if (same || (ny == 1 && y.rank() <= x.rank()) || (nx == 1 && x.rank() <= y.rank())) {
      const TensorShape& shape = same || ny == 1 ? (ny == 1 && y.rank() > x.rank() ? y.shape() : x.shape()) : y.shape();
      MR_ASSIGN_OR_RETURN(Tensor* const out, output(ctx, shape));
      binary_flat(op_, x.raw_data(), !same && nx == 1, y.raw_data(), !same && ny == 1, out->raw_mutable_data(),
                  out->num_elements());
      return absl::OkStatus();
    }
    absl::StatusOr<TensorShape> shape = broadcast(x.shape(), y.shape());
    if (!shape.ok()) return std::move(shape).status();
    MR_ASSIGN_OR_RETURN(Tensor* const out, output(ctx, *shape));
    if (out->num_elements() > 0)
      binary_broadcast(op_, x.raw_data(), x.shape().dims(), y.raw_data(), y.shape().dims(), out->raw_mutable_data(),
                       shape->dims());
    return absl::OkStatus();
  }
  bool is_cheap() const override { return true; }

 private:
  absl::StatusOr<Tensor*> output(KernelContext& ctx, const TensorShape& shape) const {
    if (spec_.in != spec_.out) return ctx.allocate_output(0, shape);
    return ctx.forward_or_allocate_output({0, 1}, 0, shape);
  }
  BinaryKernelSpec spec_;
  BinaryOperation op_;
};

template <class T> bool all_of(const Tensor& t, bool (*good)(T)) {
  for (const T v : t.unchecked<T>())
    if (!good(v)) return false;
  return true;
}

template <class T> bool not_zero(T v) { return v != 0; }
template <class T> bool not_negative(T v) { return v >= 0; }

}  // namespace

std::unique_ptr<Kernel> make_unary_kernel(const UnaryOperation& op) { return std::make_unique<UnaryKernel>(op); }
std::unique_ptr<Kernel> make_binary_kernel(const BinaryKernelSpec& spec) {
  return std::make_unique<BinaryKernel>(spec);
}

absl::Status check_no_zero(const Tensor& y) {
  bool ok = true;
  switch (y.dtype()) {
    case DataType::kInt8: ok = all_of<int8_t>(y, not_zero); break;
    case DataType::kInt16: ok = all_of<int16_t>(y, not_zero); break;
    case DataType::kInt32: ok = all_of<int32_t>(y, not_zero); break;
    case DataType::kInt64: ok = all_of<int64_t>(y, not_zero); break;
    case DataType::kUint8: ok = all_of<uint8_t>(y, not_zero); break;
    case DataType::kUint16: ok = all_of<uint16_t>(y, not_zero); break;
    case DataType::kUint32: ok = all_of<uint32_t>(y, not_zero); break;
    case DataType::kUint64: ok = all_of<uint64_t>(y, not_zero); break;
    default: break;
  }
  return ok ? absl::OkStatus() : invalid_argument("Integer division by zero");
}

absl::Status check_not_negative(const Tensor& y) {
  bool ok = true;
  switch (y.dtype()) {
    case DataType::kInt8: ok = all_of<int8_t>(y, not_negative); break;
    case DataType::kInt16: ok = all_of<int16_t>(y, not_negative); break;
    case DataType::kInt32: ok = all_of<int32_t>(y, not_negative); break;
    case DataType::kInt64: ok = all_of<int64_t>(y, not_negative); break;
    default: break;
  }
  return ok ? absl::OkStatus() : invalid_argument("Integers to negative integer powers are not allowed");
}

}  // namespace millrace
