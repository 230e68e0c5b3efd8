#include "kernels/reduce.h"

#include <algorithm>
#include <memory>
#include <new>

#include "kernels/parallel.h"

namespace millrace {

namespace {

constexpr int kMaxRank = 64;               // dimensions of size 1 dropped: each is at least 2
constexpr int64_t kPieceElements = 32768;  // of one partial result; also bounds the error of long float sums
constexpr int64_t kColumnBlock = 1024;
constexpr int64_t kNarrow = 128;

// Positions of a subset of dimensions, in row-major order.
struct Walk {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];  // outermost first
  int64_t size = 1;

  void push_front(int64_t dim, int64_t stride) {
    dims[rank] = dim;  // reversed; flipped by done()
    strides[rank] = stride;
    ++rank;
    size *= dim;
  }
  void done() {
    std::reverse(dims, dims + rank);
    std::reverse(strides, strides + rank);
  }
  template <class F> void for_range(int64_t begin, int64_t end, F&& fn) const {  // fn(position, element offset)
    int64_t index[kMaxRank];
    int64_t offset = 0, rest = begin;
    for (int d = rank - 1; d >= 0; --d) {
      index[d] = rest % dims[d];
      rest /= dims[d];
      offset += index[d] * strides[d];
    }
    for (int64_t i = begin; i < end; ++i) {
      fn(i, offset);
      for (int d = rank - 1; d >= 0; --d) {
        offset += strides[d];
        if (++index[d] < dims[d]) break;
        offset -= strides[d] * dims[d];
        index[d] = 0;
      }
    }
  }
};

struct Plan {
  Walk kept, reduced;  // all but the innermost dimension
  int64_t inner = 1;   // the innermost dimension
  bool inner_reduced = true;
};

Plan make_plan(std::span<const int64_t> dims, const bool* reduced) {
  Plan plan;
  bool have_inner = false;
  int64_t stride = 1, pending = 0;
  bool pending_reduced = false;
  int64_t pending_stride = 1;
  auto flush = [&] {
    if (pending == 0) return;
    if (!have_inner) {
      plan.inner = pending;
      plan.inner_reduced = pending_reduced;
      have_inner = true;
    } else {
      (pending_reduced ? plan.reduced : plan.kept).push_front(pending, pending_stride);
    }
  };
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] == 1) continue;
    if (pending != 0 && reduced[i] == pending_reduced) {
      pending *= dims[i];
    } else {
      flush();
      pending = dims[i];
      pending_reduced = reduced[i];
      pending_stride = stride;
    }
    stride *= dims[i];
  }
  flush();
  plan.kept.done();
  plan.reduced.done();
  return plan;
}

std::unique_ptr<char[]> scratch(int64_t bytes) {
  return std::unique_ptr<char[]>(new (std::nothrow) char[static_cast<size_t>(bytes)]);
}

// Joins `pieces` partial results of n accumulators each, pairwise as a tree, into the first.
void join_pieces(const Reduction& r, char* partial, int64_t pieces, int64_t n) {
  for (int64_t step = 1; step < pieces; step *= 2)
    for (int64_t i = 0; i + step < pieces; i += 2 * step)
      r.combine(partial + (i + step) * n * r.acc_size, n, partial + i * n * r.acc_size);
}

// The innermost dimension is reduced: each output is a sum of rows.
absl::Status reduce_rows(const Reduction& r, const char* x, const Plan& plan, int64_t count, char* out) {
  const int64_t outputs = plan.kept.size;
  const int64_t rows = plan.reduced.size;
  const bool split_inner = rows == 1;
  const int64_t rows_per_piece = std::max<int64_t>(1, kPieceElements / plan.inner);
  const int64_t pieces =
      split_inner ? (plan.inner + kPieceElements - 1) / kPieceElements : (rows + rows_per_piece - 1) / rows_per_piece;
  auto piece = [&](int64_t base, int64_t p, void* acc) {  // piece p of the output whose elements begin at base
    if (split_inner) {
      const int64_t begin = p * kPieceElements;
      r.row(x + (base + begin) * r.in_size, std::min(kPieceElements, plan.inner - begin), acc);
    } else {
      plan.reduced.for_range(p * rows_per_piece, std::min(rows, (p + 1) * rows_per_piece),
                             [&](int64_t, int64_t offset) { r.row(x + (base + offset) * r.in_size, plan.inner, acc); });
    }
  };
  const double cost = static_cast<double>(count) * r.cost_ns + 5;
  if (pieces == 1 && rows == 1 && plan.kept.rank <= 1) {  // adjacent rows
    parallel_for(outputs, cost, [&](int64_t begin, int64_t end) {
      r.rows(x + begin * plan.inner * r.in_size, end - begin, plan.inner, out + begin * r.out_size);
    });
    return absl::OkStatus();
  }
  if (pieces == 1) {
    parallel_for(outputs, cost, [&](int64_t begin, int64_t end) {
      plan.kept.for_range(begin, end, [&](int64_t i, int64_t base) {
        alignas(16) char acc[16];
        r.init(acc, 1);
        piece(base, 0, acc);
        r.finish(acc, 1, count, out + i * r.out_size);
      });
    });
    return absl::OkStatus();
  }
  const std::unique_ptr<char[]> partial = scratch(outputs * pieces * r.acc_size);
  if (!partial) return resource_exhausted("no memory for the partial results of a reduction");
  parallel_for(outputs * pieces, cost / static_cast<double>(pieces), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t base = 0;
      plan.kept.for_range(task / pieces, task / pieces + 1, [&](int64_t, int64_t offset) { base = offset; });
      char* acc = partial.get() + task * r.acc_size;
      r.init(acc, 1);
      piece(base, task % pieces, acc);
    }
  });
  for (int64_t i = 0; i < outputs; ++i) {
    char* first = partial.get() + i * pieces * r.acc_size;
    join_pieces(r, first, pieces, 1);
    r.finish(first, 1, count, out + i * r.out_size);
  }
  return absl::OkStatus();
}

// Adjacent narrow rows [begin, end) are taken many at a time as one wide row, whose parts join at last: loops stay long
// and rounding errors small. Returns the first row left over.
int64_t add_narrow_rows(const Reduction& r, const char* x, int64_t columns, int64_t begin, int64_t end, char* acc) {
  const int64_t rows_at_once = kNarrow / columns;
  const int64_t wide = rows_at_once * columns;
  if (end - begin < rows_at_once) return begin;
  alignas(64) char local[kNarrow * 16];
  r.init(local, wide);
  for (; end - begin >= rows_at_once; begin += rows_at_once) r.columns(x + begin * columns * r.in_size, wide, local);
  for (int64_t i = 0; i < rows_at_once; ++i) r.combine(local + i * columns * r.acc_size, columns, acc);
  return begin;
}

// The innermost dimension is kept: rows are added to a row of accumulators, by blocks of columns.
absl::Status reduce_columns(const Reduction& r, const char* x, const Plan& plan, int64_t count, char* out) {
  const int64_t outers = plan.kept.size;
  const int64_t rows = plan.reduced.size;
  const int64_t blocks = (plan.inner + kColumnBlock - 1) / kColumnBlock;
  const int64_t rows_per_piece = std::max<int64_t>(64, kPieceElements / std::min(plan.inner, kColumnBlock));
  const int64_t pieces = (rows + rows_per_piece - 1) / rows_per_piece;
  std::unique_ptr<char[]> partial;
  if (pieces > 1) {
    partial = scratch(outers * pieces * plan.inner * r.acc_size);
    if (!partial) return resource_exhausted("no memory for the partial results of a reduction");
  }
  const bool narrow = plan.inner <= kNarrow / 2 && plan.reduced.rank == 1 && plan.reduced.strides[0] == plan.inner;
  const int64_t tasks = outers * blocks * pieces;
  const double cost =
      static_cast<double>(outers * plan.inner) * static_cast<double>(rows) * r.cost_ns / static_cast<double>(tasks) + 5;
  parallel_for(tasks, cost, [&](int64_t begin, int64_t end) {
    alignas(64) char local[kColumnBlock * 16];
    for (int64_t task = begin; task < end; ++task) {
      const int64_t p = task % pieces, block = task / pieces % blocks, outer = task / pieces / blocks;
      const int64_t column = block * kColumnBlock, n = std::min(kColumnBlock, plan.inner - column);
      int64_t base = 0;
      plan.kept.for_range(outer, outer + 1, [&](int64_t, int64_t offset) { base = offset; });
      char* acc = pieces > 1 ? partial.get() + ((outer * plan.inner + column) * pieces + p * n) * r.acc_size : local;
      r.init(acc, n);
      int64_t row = p * rows_per_piece;
      const int64_t end_row = std::min(rows, row + rows_per_piece);
      if (narrow) row = add_narrow_rows(r, x + base * r.in_size, plan.inner, row, end_row, acc);
      plan.reduced.for_range(
          row, end_row, [&](int64_t, int64_t offset) { r.columns(x + (base + column + offset) * r.in_size, n, acc); });
      if (pieces == 1) r.finish(acc, n, count, out + (outer * plan.inner + column) * r.out_size);
    }
  });
  if (pieces == 1) return absl::OkStatus();
  for (int64_t outer = 0; outer < outers; ++outer) {
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t column = block * kColumnBlock, n = std::min(kColumnBlock, plan.inner - column);
      char* first = partial.get() + (outer * plan.inner + column) * pieces * r.acc_size;
      join_pieces(r, first, pieces, n);
      r.finish(first, n, count, out + (outer * plan.inner + column) * r.out_size);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status reduce(const Reduction& r, const void* x, std::span<const int64_t> dims, const bool* reduced, void* out) {
  int64_t count = 1, outputs = 1;
  for (size_t i = 0; i < dims.size(); ++i) (reduced[i] ? count : outputs) *= dims[i];
  if (outputs == 0) return absl::OkStatus();
  if (count == 0) {
    alignas(16) char acc[16];
    r.init(acc, 1);
    for (int64_t i = 0; i < outputs; ++i) r.finish(acc, 1, 0, static_cast<char*>(out) + i * r.out_size);
    return absl::OkStatus();
  }
  const Plan plan = make_plan(dims, reduced);
  if (plan.inner_reduced) return reduce_rows(r, static_cast<const char*>(x), plan, count, static_cast<char*>(out));
  return reduce_columns(r, static_cast<const char*>(x), plan, count, static_cast<char*>(out));
}

}  // namespace millrace
