#include "kernels/broadcast.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace millrace {

Broadcast::Broadcast(std::span<const std::span<const int64_t>> operands, std::span<const int64_t> out)
    : operands_(static_cast<int>(operands.size())) {
  const int out_rank = static_cast<int>(out.size());
  int64_t size[kMaxOperands] = {1, 1, 1};  // elements of the operand inside the dimension at hand
  // From the innermost dimension outwards, written from the end of the arrays and moved to the front at last.
  int at = kMaxRank;
  for (int d = out_rank - 1; d >= 0; --d) {
    const int64_t n = out[static_cast<size_t>(d)];
    if (n == 1) continue;
    int64_t stride[kMaxOperands];
    for (int k = 0; k < operands_; ++k) {
      const std::span<const int64_t> dims = operands[static_cast<size_t>(k)];
      const int own = d - (out_rank - static_cast<int>(dims.size()));
      const bool varies = own >= 0 && dims[static_cast<size_t>(own)] != 1;
      stride[k] = varies ? size[k] : 0;
      if (varies) size[k] *= n;
    }
    bool joins = at < kMaxRank;
    for (int k = 0; joins && k < operands_; ++k) joins = stride[k] == strides_[k][at] * dims_[at];
    if (joins) {
      dims_[at] *= n;
      continue;
    }
    --at;
    dims_[at] = n;
    for (int k = 0; k < operands_; ++k) strides_[k][at] = stride[k];
  }
  if (at == kMaxRank) {  // a single element
    --at;
    dims_[at] = 1;
    for (int k = 0; k < operands_; ++k) strides_[k][at] = 1;
  }
  rank_ = kMaxRank - at;
  for (int d = 0; d < rank_; ++d) {
    dims_[d] = dims_[at + d];
    for (int k = 0; k < operands_; ++k) strides_[k][d] = strides_[k][at + d];
    if (d + 1 < rank_) rows_ *= dims_[d];
  }
}

namespace {

constexpr int64_t kBlock = 512;

// n copies of one element of `size` bytes.
void spread(const void* element, int size, void* block, int64_t n) {
  switch (size) {
    case 1: std::memset(block, *static_cast<const unsigned char*>(element), static_cast<size_t>(n)); break;
    case 2: std::fill_n(static_cast<uint16_t*>(block), n, *static_cast<const uint16_t*>(element)); break;
    case 4: std::fill_n(static_cast<uint32_t*>(block), n, *static_cast<const uint32_t*>(element)); break;
    case 8: std::fill_n(static_cast<uint64_t*>(block), n, *static_cast<const uint64_t*>(element)); break;
    default:
      for (int64_t i = 0; i < n; ++i)
        std::memcpy(static_cast<char*>(block) + i * size, element, static_cast<size_t>(size));
  }
}

void flat_serial(const BinaryOperation& op, const char* x, bool x_single, const char* y, bool y_single, char* out,
                 int64_t n) {
  if (!x_single && !y_single) return run_binary(op.loop, op.in, op.out, x, y, out, n);
  alignas(64) char xs[kBlock * 16];
  alignas(64) char ys[kBlock * 16];
  const int64_t filled = std::min(n, kBlock);
  if (x_single) spread(x, op.in_size, xs, filled);
  if (y_single) spread(y, op.in_size, ys, filled);
  for (int64_t i = 0; i < n; i += kBlock) {
    run_binary(op.loop, op.in, op.out, x_single ? xs : x + i * op.in_size, y_single ? ys : y + i * op.in_size,
               out + i * op.out_size, std::min(kBlock, n - i));
  }
}

}  // namespace

void binary_flat(const BinaryOperation& op, const void* x, bool x_single, const void* y, bool y_single, void* out,
                 int64_t n) {
  const char* a = static_cast<const char*>(x);
  const char* b = static_cast<const char*>(y);
  char* o = static_cast<char*>(out);
  // A single element whose memory the output reuses must be read before it is overwritten.
  alignas(16) char x_copy[16], y_copy[16];
  if (x_single) a = static_cast<const char*>(std::memcpy(x_copy, x, static_cast<size_t>(op.in_size)));
  if (y_single) b = static_cast<const char*>(std::memcpy(y_copy, y, static_cast<size_t>(op.in_size)));
  parallel_for(n, op.cost_ns, [&](int64_t begin, int64_t end) {
    flat_serial(op, x_single ? a : a + begin * op.in_size, x_single, y_single ? b : b + begin * op.in_size, y_single,
                o + begin * op.out_size, end - begin);
  });
}

void binary_broadcast(const BinaryOperation& op, const void* x, std::span<const int64_t> x_dims, const void* y,
                      std::span<const int64_t> y_dims, void* out, std::span<const int64_t> out_dims) {
  const std::span<const int64_t> operands[] = {x_dims, y_dims};
  const Broadcast plan(operands, out_dims);
  const char* a = static_cast<const char*>(x);
  const char* b = static_cast<const char*>(y);
  char* o = static_cast<char*>(out);
  const int64_t inner = plan.inner();
  const bool x_single = !plan.inner_varies(0), y_single = !plan.inner_varies(1);
  if (plan.rows() == 1) return binary_flat(op, a, x_single, b, y_single, o, inner);
  parallel_for(plan.rows(), static_cast<double>(inner) * op.cost_ns + 5, [&](int64_t begin, int64_t end) {
    plan.for_rows(begin, end, [&](int64_t row, const int64_t* offsets) {
      flat_serial(op, a + offsets[0] * op.in_size, x_single, b + offsets[1] * op.in_size, y_single,
                  o + row * inner * op.out_size, inner);
    });
  });
}

}  // namespace millrace
