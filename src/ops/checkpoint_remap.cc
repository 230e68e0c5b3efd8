// Warm starts from another vocabulary: which new entry was which old one, and a matrix of a checkpoint whose rows and
// columns are put in the new order.

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "checkpoint/checkpoint_reader.h"
#include "io/file_system.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

// The first `limit` lines of a file (-1: all).
absl::StatusOr<std::vector<std::string>> read_vocabulary(const std::string& path, int64_t limit) {
  MR_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size() && (limit < 0 || static_cast<int64_t>(lines.size()) < limit);) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) return invalid_argument("Invalid content in ", path, ": empty line found at position ", end, ".");
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  if (limit >= 0 && static_cast<int64_t>(lines.size()) < limit)
    return invalid_argument("Invalid vocab_size in ", path, ": expected ", limit, " but got ", lines.size());
  return lines;
}

class GenerateVocabRemapping final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(offset_, init.attr<int64_t>("new_vocab_offset"));
    MR_ASSIGN_OR_RETURN(num_new_, init.attr<int64_t>("num_new_vocab"));
    MR_ASSIGN_OR_RETURN(old_size_, init.attr<int64_t>("old_vocab_size"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string new_file, filename(ctx, 0, "new_vocab_file"));
    MR_ASSIGN_OR_RETURN(const std::string old_file, filename(ctx, 1, "old_vocab_file"));
    int64_t needed = 0;
    if (__builtin_add_overflow(offset_, num_new_, &needed))
      return invalid_argument("new_vocab_offset ", offset_, " and num_new_vocab ", num_new_, " are too large");
    MR_ASSIGN_OR_RETURN(const std::vector<std::string> wanted, read_vocabulary(new_file, needed));
    MR_ASSIGN_OR_RETURN(const std::vector<std::string> old, read_vocabulary(old_file, old_size_));
    absl::flat_hash_map<std::string, int64_t> places;
    for (size_t i = 0; i < old.size(); ++i) {
      const auto [at, is_new] = places.try_emplace(old[i], static_cast<int64_t>(i));
      if (!is_new)
        return failed_precondition("HashTable has different value for same key. Key ", old[i], " has ", at->second,
                                   " and trying to add value ", i);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({num_new_}));
    MR_ASSIGN_OR_RETURN(const auto remapping, ctx.output<int64_t>(0, shape));
    int32_t present = 0;
    for (size_t i = 0; i < remapping.size(); ++i) {
      const auto found = places.find(wanted[static_cast<size_t>(offset_) + i]);
      remapping[i] = found == places.end() ? -1 : found->second;
      present += found == places.end() ? 0 : 1;
    }
    return ctx.set_scalar(1, present);
  }

  static absl::StatusOr<std::string> filename(const KernelContext& ctx, int i, const char* name) {
    if (ctx.shape(i).rank() != 0) return invalid_argument(name, " should be a single string, but got ", ctx.shape(i));
    MR_ASSIGN_OR_RETURN(const std::string path, ctx.scalar<std::string>(i));
    if (path.empty()) return invalid_argument(name, " cannot be empty.");
    return path;
  }

  int64_t offset_ = 0, num_new_ = 0, old_size_ = -1;
};

// --- LoadAndRemapMatrix

// Where each new row or column comes from in the old matrix, -1 for those that are new; an old one is used once.
absl::Status check_remapping(std::span<const int64_t> remapping, int64_t old_size, const char* what) {
  absl::flat_hash_map<int64_t, size_t> used;
  for (size_t i = 0; i < remapping.size(); ++i) {
    const int64_t old = remapping[i];
    if (old < 0) continue;
    if (old >= old_size)
      return invalid_argument(what, "_remapping[", i, "] is ", old, ", the checkpoint's tensor has only ", old_size);
    if (const auto [at, is_new] = used.try_emplace(old, i); !is_new)
      return unimplemented("Old ID ", old, " is mapped to both new ID ", at->second, " and ", i,
                           ", which is not currently supported.");
  }
  return absl::OkStatus();
}

class LoadAndRemapMatrix final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(rows_, init.attr<int64_t>("num_rows"));
    MR_ASSIGN_OR_RETURN(columns_, init.attr<int64_t>("num_cols"));
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto rows, remapping(ctx, 2, "row_remapping"));
    MR_ASSIGN_OR_RETURN(auto columns, remapping(ctx, 3, "col_remapping"));
    if (static_cast<int64_t>(rows.size()) != rows_)
      return invalid_argument("Size of row_remapping is ", rows.size(), " instead of being equal to num_rows=", rows_);
    if (!columns.empty() && static_cast<int64_t>(columns.size()) != columns_)
      return invalid_argument("Provided col_remapping, but its size is ", columns.size(),
                              " instead of being equal to num_cols=", columns_);
    MR_ASSIGN_OR_RETURN(const Tensor old, load(ctx));
    if (columns.empty() && old.dim(1) != columns_)
      return invalid_argument("Number of columns in the checkpoint is ", old.dim(1), ", num_cols is ", columns_,
                              "; they must be equal without a col_remapping");
    MR_RETURN_IF_ERROR(check_remapping(rows, old.dim(0), "row"));
    MR_RETURN_IF_ERROR(check_remapping(columns, old.dim(1), "col"));
    return fill(ctx, rows, columns, old);
  }

  static absl::StatusOr<std::span<const int64_t>> remapping(const KernelContext& ctx, int i, const char* name) {
    if (ctx.shape(i).rank() != 1)
      return invalid_argument("The ", name, " tensor must be a vector, got shape ", ctx.shape(i));
    return ctx.vector<int64_t>(i);
  }

  static absl::StatusOr<Tensor> load(const KernelContext& ctx) {
    if (ctx.shape(0).num_elements() != 1)
      return invalid_argument("The `ckpt_path` tensor must have exactly one element");
    if (ctx.shape(1).num_elements() != 1)
      return invalid_argument("The `old_tensor_name` tensor must have exactly one element");
    MR_ASSIGN_OR_RETURN(const auto path, ctx.flat<std::string>(0));
    MR_ASSIGN_OR_RETURN(const auto name, ctx.flat<std::string>(1));
    MR_ASSIGN_OR_RETURN(const auto reader, open_checkpoint(path[0]));
    MR_ASSIGN_OR_RETURN(const SavedTensor entry, reader->info(name[0]));
    if (entry.dtype != DataType::kFloat)
      return invalid_argument("The tensor ", name[0], " has type ", dtype_name(entry.dtype), ", not float");
    if (entry.shape.rank() != 2)
      return invalid_argument("The tensor ", name[0], " must be a matrix, has shape ", entry.shape);
    return reader->read(name[0]);
  }

  absl::Status fill(KernelContext& ctx, std::span<const int64_t> rows, std::span<const int64_t> columns,
                    const Tensor& old) const {
    MR_ASSIGN_OR_RETURN(const auto initial, ctx.flat<float>(4));
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({rows_, columns_}));
    MR_ASSIGN_OR_RETURN(const auto out, ctx.output<float>(0, shape));
    const auto from = old.unchecked<float>();
    size_t used = 0, at = 0;
    for (const int64_t row : rows) {
      for (int64_t c = 0; c < columns_; ++c, ++at) {
        const int64_t column = columns.empty() ? c : columns[static_cast<size_t>(c)];
        if (row >= 0 && column >= 0) {
          out[at] = from[static_cast<size_t>(row * old.dim(1) + column)];
        } else if (used < initial.size()) {
          out[at] = initial[used++];
        } else {
          return invalid_argument("initializing_values contained ", initial.size(),
                                  " elements, but more missing values were needed");
        }
      }
    }
    if (used == initial.size()) return absl::OkStatus();
    return invalid_argument("initializing_values contained ", initial.size(), " elements, but only ", used,
                            " elements were used to fill in missing values.");
  }

  int64_t rows_ = 0, columns_ = 0;
};

// --- shapes

absl::Status remapping_shape(ShapeContext& c) {
  for (int i = 0; i < 2; ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  MR_ASSIGN_OR_RETURN(const int64_t n, c.attr<int64_t>("num_new_vocab"));
  MR_RETURN_IF_ERROR(c.set_output(0, make_partial_shape({n})));
  return c.set_output(1, PartialTensorShape::scalar());
}

absl::Status matrix_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(2, 1).status());
  MR_RETURN_IF_ERROR(c.with_rank(3, 1).status());
  MR_ASSIGN_OR_RETURN(const int64_t rows, c.attr<int64_t>("num_rows"));
  MR_ASSIGN_OR_RETURN(const int64_t columns, c.attr<int64_t>("num_cols"));
  return c.set_output(0, make_partial_shape({rows, columns}));
}

}  // namespace

void register_checkpoint_remap(Registry& registry) {
  registry.op("GenerateVocabRemapping")
      .input("new_vocab_file: string")
      .input("old_vocab_file: string")
      .output("remapping: int64")
      .output("num_present: int32")
      .attr("new_vocab_offset: int >= 0")
      .attr("num_new_vocab: int >= 0")
      .attr("old_vocab_size: int >= -1 = -1")
      .shape(remapping_shape)
      .cpu<GenerateVocabRemapping>()
      .not_differentiable()
      .doc("Where the lines of a new vocabulary stand in an old one; -1 for those that do not.");
  registry.op("LoadAndRemapMatrix")
      .input("ckpt_path: string")
      .input("old_tensor_name: string")
      .input("row_remapping: int64")
      .input("col_remapping: int64")
      .input("initializing_values: float")
      .output("output_matrix: float")
      .attr("num_rows: int >= 0")
      .attr("num_cols: int >= 1")
      .attr("max_rows_in_memory: int = -1")  // a matter of memory only; here the matrix is read once
      .stateful()
      .shape(matrix_shape)
      .cpu<LoadAndRemapMatrix>()
      .not_differentiable()
      .doc("A matrix of a checkpoint with rows and columns in another order, new ones filled with given values.");
}

}  // namespace millrace
