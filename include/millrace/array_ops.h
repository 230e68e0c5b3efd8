#pragma once
// Shapes, slices and rearrangements of tensors, with TF1's names and defaults.

#include <optional>
#include <string>
#include <vector>

#include "millrace/framework.h"

namespace millrace {

#pragma GCC visibility push(default)

// --- making values

struct FillOptions {
  DataType dtype = float32;
  std::string_view name = {};
};
Output zeros(const IntList& shape, const FillOptions& options = {});
Output ones(const IntList& shape, const FillOptions& options = {});
struct LikeOptions {
  DataType dtype = DataType::kInvalid;  // the tensor's
  std::string_view name = {};
  bool optimize = true;  // a constant where the shape is known
};
Output zeros_like(const Input& tensor, const LikeOptions& options = {});
Output ones_like(const Input& tensor, const LikeOptions& options = {});
Output fill(const IntList& dims, const Input& value, const NameOptions& options = {});
struct OneHotOptions {
  Input on_value = {};   // 1
  Input off_value = {};  // 0
  int64_t axis = -1;
  DataType dtype = DataType::kInvalid;  // on_value's, else float32
  std::string_view name = {};
};
Output one_hot(const Input& indices, const Input& depth, const OneHotOptions& options = {});

// --- shapes

struct ShapeOptions {
  DataType out_type = int32;
  std::string_view name = {};
};
Output shape(const Input& input, const ShapeOptions& options = {});  // a constant where it is known
Output size(const Input& input, const ShapeOptions& options = {});
Output rank(const Input& input, const NameOptions& options = {});
Output reshape(const Input& tensor, const IntList& shape, const NameOptions& options = {});
Output expand_dims(const Input& input, const Input& axis, const NameOptions& options = {});
struct SqueezeOptions {
  std::vector<int64_t> axis = {};  // all dimensions of size 1
  std::string_view name = {};
};
Output squeeze(const Input& input, const SqueezeOptions& options = {});
Output ensure_shape(const Input& x, const PartialTensorShape& shape, const NameOptions& options = {});
Output broadcast_to(const Input& input, const IntList& shape, const NameOptions& options = {});
struct TransposeOptions {
  Input perm = {};  // the dimensions in reverse
  std::string_view name = {};
  bool conjugate = false;
};
Output transpose(const Input& a, const TransposeOptions& options = {});
Output transpose(const Input& a, const IntList& perm, const NameOptions& options = {});

// --- joining and splitting

Output concat(const std::vector<Output>& values, const Input& axis, const NameOptions& options = {});
struct StackOptions {
  int64_t axis = 0;
  std::string_view name = {};
};
Output stack(const std::vector<Output>& values, const StackOptions& options = {});
// The same along a new first dimension, of values whose shape is known while the graph is built.
Output parallel_stack(const std::vector<Output>& values, const NameOptions& options = {});
struct UnstackOptions {
  std::optional<int64_t> num = {};  // the dimension's size
  int64_t axis = 0;
  std::string_view name = {};
};
std::vector<Output> unstack(const Input& value, const UnstackOptions& options = {});
struct SplitOptions {
  Input axis = 0;
  std::string_view name = {};
};
std::vector<Output> split(const Input& value, int64_t num_or_size_splits, const SplitOptions& options = {});
std::vector<Output> split(const Input& value, const std::vector<int32_t>& size_splits,
                          const SplitOptions& options = {});

// --- picking

Output slice(const Input& input, const IntList& begin, const IntList& size, const NameOptions& options = {});
struct StridedSliceOptions {
  Input strides = {};  // ones
  int64_t begin_mask = 0;
  int64_t end_mask = 0;
  int64_t ellipsis_mask = 0;
  int64_t new_axis_mask = 0;
  int64_t shrink_axis_mask = 0;
  std::string_view name = {};
};
Output strided_slice(const Input& input, const IntList& begin, const IntList& end,
                     const StridedSliceOptions& options = {});

// Python's indexing: x[0, :, ..., newaxis] is index(x, {0, Slice(), ellipsis, newaxis}).
struct Slice {
  std::optional<int64_t> begin = {};
  std::optional<int64_t> end = {};
  std::optional<int64_t> step = {};
};
struct Ellipsis {};
struct NewAxis {};
inline constexpr Ellipsis ellipsis{};
inline constexpr NewAxis newaxis{};
class IndexItem {
 public:
  IndexItem(int at) : index(at) {}            // NOLINT: items convert
  IndexItem(int64_t at) : index(at) {}        // NOLINT
  IndexItem(Slice s) : slice(s) {}            // NOLINT
  IndexItem(Ellipsis) : is_ellipsis(true) {}  // NOLINT
  IndexItem(NewAxis) : is_newaxis(true) {}    // NOLINT
  std::optional<int64_t> index;
  Slice slice;
  bool is_ellipsis = false;
  bool is_newaxis = false;
};
Output index(const Input& x, const std::vector<IndexItem>& items, const NameOptions& options = {});

struct GatherOptions {
  Input axis = {};  // batch_dims, mostly 0
  int64_t batch_dims = 0;
  std::string_view name = {};
};
Output gather(const Input& params, const Input& indices, const GatherOptions& options = {});
Output gather_nd(const Input& params, const Input& indices, const NameOptions& options = {});
Output scatter_nd(const Input& indices, const Input& updates, const IntList& shape, const NameOptions& options = {});
// The coordinates of true elements, [n, rank] int64.
Output where(const Input& condition, const NameOptions& options = {});
// x where the condition holds, else y. A vector condition chooses rows (TF1's Select).
Output where(const Input& condition, const Input& x, const Input& y, const NameOptions& options = {});
Output where_v2(const Input& condition, const Input& x, const Input& y, const NameOptions& options = {});
struct BooleanMaskOptions {
  int64_t axis = 0;
  std::string_view name = {};
};
Output boolean_mask(const Input& tensor, const Input& mask, const BooleanMaskOptions& options = {});
struct Unique {
  Output y;
  Output idx;
};
Unique unique(const Input& x, DataType out_idx = int32, const NameOptions& options = {});

// --- arranging

Output tile(const Input& input, const IntList& multiples, const NameOptions& options = {});
struct PadOptions {
  std::string mode = "CONSTANT";  // or "REFLECT", "SYMMETRIC"
  Input constant_values = {};     // zeros
  std::string_view name = {};
};
Output pad(const Input& tensor, const Input& paddings, const PadOptions& options = {});
Output reverse(const Input& tensor, const IntList& axis, const NameOptions& options = {});
Output roll(const Input& input, const IntList& shift, const IntList& axis, const NameOptions& options = {});
Output invert_permutation(const Input& x, const NameOptions& options = {});
struct SequenceMaskOptions {
  Input maxlen = {};
  DataType dtype = DataType::kBool;
  std::string_view name = {};
};
Output sequence_mask(const Input& lengths, const SequenceMaskOptions& options = {});

Output stop_gradient(const Input& input, const NameOptions& options = {});
std::vector<Output> identity_n(const std::vector<Output>& inputs, const NameOptions& options = {});

// --- segments

Output segment_sum(const Input& data, const Input& segment_ids, const NameOptions& options = {});
Output unsorted_segment_sum(const Input& data, const Input& segment_ids, const Input& num_segments,
                            const NameOptions& options = {});

// --- checks while running

Output check_numerics(const Input& tensor, const std::string& message, const NameOptions& options = {});
struct PrintOptions {
  std::string message = {};
  int64_t first_n = -1;
  int64_t summarize = 3;
  std::string_view name = {};
};
// The input, and a line on stderr whenever it is computed.
Output Print(const Input& input, const std::vector<Output>& data, const PrintOptions& options = {});

#pragma GCC visibility pop

}  // namespace millrace
