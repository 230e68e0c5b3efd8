// Batch functions: examples from several threads' steps, collected by a queue.

#include <algorithm>
#include <concepts>

#include "api/op_builder.h"
#include "api/train/input_support.h"
#include "api/train/sparse_handles.h"
#include "base/strings.h"
#include "millrace/array_ops.h"
#include "millrace/control_flow.h"
#include "millrace/math_ops.h"
#include "millrace/train/queue_runner.h"
#include "tensor/shape.h"

namespace millrace::train {
namespace {

using Lists = std::vector<std::vector<Output>>;
using ExampleLists = std::vector<ExampleList>;

// What the eight functions have in common.
struct Batching {
  const char* kind;  // "batch", the name without one
  Input batch_size;
  Input keep_input;
  int64_t num_threads = 0;  // of the only list; 0: one thread for each list
  int64_t capacity = 0;
  std::optional<int64_t> min_after_dequeue = {};  // shuffles
  std::optional<int64_t> seed = {};
  bool enqueue_many = false, dynamic_pad = false, allow_smaller_final_batch = false;
  std::optional<std::vector<PartialTensorShape>> shapes;
  std::string shared_name, name;
};

Output checked_keep_input(const Input& keep_input, bool enqueue_many) {
  const Output keep = convert_to_tensor(keep_input);
  const PartialTensorShape shape = keep.shape();
  if (base_dtype(keep.dtype()) != bool_)
    raise(invalid_argument("`keep_input` must be bool, got ", dtype_name(keep.dtype())));
  if (!shape.has_rank()) raise(invalid_argument("`keep_input` dimensions must be known at graph construction."));
  if (!enqueue_many && shape.rank() == 1)
    raise(invalid_argument("`keep_input` cannot be a vector when `enqueue_many=False`."));
  if (shape.rank() > 1) raise(invalid_argument("`keep_input` must be 0 or 1 dimensions."));
  return keep;
}

std::vector<DataType> common_types(const Lists& lists) {
  const auto types_of = [](const std::vector<Output>& list) {
    std::vector<DataType> types;
    for (const Output& tensor : list) types.push_back(base_dtype(tensor.dtype()));
    return types;
  };
  const std::vector<DataType> types = types_of(lists[0]);
  for (const std::vector<Output>& list : lists) {
    if (types_of(list) != types)
      raise(invalid_argument("Expected types to be consistent: the lists hold tensors of different types."));
  }
  return types;
}

std::vector<PartialTensorShape> example_shapes(const Lists& lists, bool enqueue_many) {
  std::vector<PartialTensorShape> shapes;
  for (size_t i = 0; i < lists[0].size(); ++i) {
    std::vector<PartialTensorShape> of_lists;
    for (const std::vector<Output>& list : lists) {
      const PartialTensorShape shape = list[i].shape();
      if (!shape.has_rank()) raise(invalid_argument("Cannot infer Tensor's rank: ", list[i].name()));
      if (enqueue_many && shape.rank() == 0)
        raise(invalid_argument("Shape [] must have rank at least 1: ", list[i].name()));
      of_lists.push_back(enqueue_many ? row_shape(shape) : shape);
      value_or_raise(merge(of_lists[0], of_lists.back()));
    }
    shapes.push_back(of_lists[0]);  // TensorFlow checks the others, and keeps the first
  }
  return shapes;
}

QueueBase make_queue(const Batching& b, const std::vector<DataType>& types,
                     const std::vector<PartialTensorShape>& shapes) {
  if (b.min_after_dequeue) {
    return RandomShuffleQueue(b.capacity, *b.min_after_dequeue, types,
                              {.shapes = shapes, .seed = b.seed, .shared_name = b.shared_name});
  }
  if (b.dynamic_pad) return PaddingFIFOQueue(b.capacity, types, shapes, {.shared_name = b.shared_name});
  return FIFOQueue(b.capacity, types, {.shapes = shapes, .shared_name = b.shared_name});
}

std::vector<Input> as_inputs(const std::vector<Output>& outputs) { return {outputs.begin(), outputs.end()}; }

Operation enqueue(const QueueBase& queue, std::vector<Output> tensors, bool many, const Output& keep) {
  const auto put = [&] { return many ? queue.enqueue_many(as_inputs(tensors)) : queue.enqueue(as_inputs(tensors)); };
  if (keep.shape().rank() == 1) {
    const Output chosen = cast(keep, int32);
    for (Output& tensor : tensors)
      tensor = create_op("DynamicPartition", {tensor, chosen}, {{"num_partitions", int64_t{2}}}).output(1);
  } else if (const std::optional<Tensor> known = get_static_value(keep)) {
    if (!known->scalar<bool>()) return no_op();
  } else {
    return cond(keep, put, [] { return no_op(); }).op();
  }
  return put();
}

void run_enqueues(const QueueBase& queue, const Lists& lists, const Batching& b, const Output& keep) {
  std::vector<Operation> operations;
  for (const std::vector<Output>& list : lists) operations.push_back(enqueue(queue, list, b.enqueue_many, keep));
  if (b.num_threads > 0) operations.resize(static_cast<size_t>(b.num_threads), operations[0]);
  add_queue_runner(QueueRunner(queue, operations));
}

bool is_there(const ExampleTensor& tensor) {
  const auto* sparse = std::get_if<SparseTensor>(&tensor);
  return sparse == nullptr ? static_cast<bool>(std::get<Output>(tensor))
                           : sparse->indices && sparse->values && sparse->dense_shape;
}

void check_lists(const ExampleLists& lists, const char* kind) {
  if (lists.empty()) raise(invalid_argument("Expected at least one set of tensors"));
  for (const ExampleList& list : lists) {
    if (list.empty()) raise(invalid_argument("Expected at least one tensor in ", kind, "()."));
    if (!std::ranges::all_of(list, is_there)) raise(invalid_argument(kind, "(): a tensor is absent"));
    if (list.size() != lists[0].size())
      raise(invalid_argument("Expected as many tensors in each list of ", kind, "(), got ", lists[0].size(), " and ",
                             list.size(), "."));
  }
}

void summarize(const QueueBase& queue, const Batching& b) {
  if (!b.min_after_dequeue) return summarize_fullness(fullness_name(b.capacity), queue.size(), b.capacity);
  const int64_t least = *b.min_after_dequeue, room = b.capacity - least;
  summarize_fullness(str_cat("fraction_over_", least, "_of_", room, "_full"), maximum(0, queue.size() - least), room);
}

ExampleList make_batches(const ExampleLists& examples, const Batching& b) {
  if (b.capacity <= 0) raise(invalid_argument("capacity must be > 0, got ", b.capacity, "."));
  check_lists(examples, b.kind);
  const SourceScope source(b.batch_size);
  const name_scope scope(name_or(b.name, b.kind));
  const Output keep = checked_keep_input(b.keep_input, b.enqueue_many);
  const auto [lists, infos] = store_sparse_tensors(examples, b.enqueue_many, keep);
  const QueueBase queue =
      make_queue(b, common_types(lists), b.shapes ? *b.shapes : example_shapes(lists, b.enqueue_many));
  run_enqueues(queue, lists, b, keep);
  summarize(queue, b);
  const std::vector<Output> dequeued = b.allow_smaller_final_batch
                                           ? queue.dequeue_up_to(b.batch_size, {.name = scope.name()})
                                           : queue.dequeue_many(b.batch_size, {.name = scope.name()});
  return restore_sparse_tensors(dequeued, infos);
}

// --- the three forms of examples, and back

ExampleList as_list(const std::vector<Output>& tensors) { return {tensors.begin(), tensors.end()}; }
ExampleList as_list(const ExampleList& tensors) { return tensors; }
ExampleList as_list(const ExampleDict& tensors) {
  ExampleList list;
  for (const auto& [key, tensor] : tensors) list.push_back(tensor);
  return list;
}

std::vector<Output> in_form_of(const std::vector<Output>&, const ExampleList& batched) {
  std::vector<Output> dense;
  for (const ExampleTensor& tensor : batched) dense.push_back(std::get<Output>(tensor));
  return dense;
}
ExampleList in_form_of(const ExampleList&, const ExampleList& batched) { return batched; }
ExampleDict in_form_of(const ExampleDict& original, const ExampleList& batched) {
  ExampleDict dict;
  auto next = batched.begin();
  for (const auto& [key, tensor] : original) dict[key] = *next++;
  return dict;
}

template <class Form> void check_same_keys(const std::vector<Form>& examples) {
  if constexpr (std::same_as<Form, ExampleDict>) {
    const auto same_key = [](const auto& a, const auto& b) { return a.first == b.first; };
    for (const ExampleDict& dict : examples)
      if (!std::ranges::equal(dict, examples[0], same_key))
        raise(invalid_argument("All dictionaries in tensors_list must have the same keys"));
  }
}

template <class Form> Form batch_of(const std::vector<Form>& examples, const Batching& b) {
  check_same_keys(examples);
  ExampleLists lists;
  for (const Form& example : examples) lists.push_back(as_list(example));
  const ExampleList batched = make_batches(lists, b);  // refuses an empty list
  return in_form_of(examples[0], batched);
}

int64_t checked_threads(int64_t num_threads) {
  if (num_threads <= 0) raise(invalid_argument("num_threads must be > 0, got ", num_threads, "."));
  if (num_threads > 1000) raise(invalid_argument("num_threads ", num_threads, " are too many"));
  return num_threads;
}

// Of any of the four kinds of options; what a kind lacks stays at its default.
template <class Options>
Batching batching(const char* kind, const Input& batch_size, const Input& keep_input, int64_t capacity,
                  const Options& o) {
  Batching b{.kind = kind,
             .batch_size = batch_size,
             .keep_input = keep_input,
             .capacity = capacity,
             .enqueue_many = o.enqueue_many,
             .allow_smaller_final_batch = o.allow_smaller_final_batch,
             .shapes = o.shapes,
             .shared_name = o.shared_name,
             .name = o.name};
  if constexpr (requires { o.num_threads; }) b.num_threads = checked_threads(o.num_threads);
  if constexpr (requires { o.dynamic_pad; }) b.dynamic_pad = o.dynamic_pad;
  if constexpr (requires { o.seed; }) b.seed = o.seed;
  return b;
}

template <class Options>
Batching shuffling(const char* kind, const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                   const Input& keep_input, const Options& o) {
  if (min_after_dequeue < 0) raise(invalid_argument("min_after_dequeue must be >= 0, got ", min_after_dequeue, "."));
  if (capacity <= min_after_dequeue)
    raise(invalid_argument("capacity ", capacity, " must be bigger than min_after_dequeue ", min_after_dequeue, "."));
  Batching b = batching(kind, batch_size, keep_input, capacity, o);
  b.min_after_dequeue = min_after_dequeue;
  return b;
}

template <class Form>
Form batch_one(const Form& tensors, const Input& keep_input, const Input& batch_size, const BatchOptions& o) {
  return batch_of(std::vector<Form>{tensors}, batching("batch", batch_size, keep_input, o.capacity, o));
}

template <class Form>
Form batch_several(const std::vector<Form>& tensors_list, const Input& keep_input, const Input& batch_size,
                   const BatchJoinOptions& o) {
  return batch_of(tensors_list, batching("batch_join", batch_size, keep_input, o.capacity, o));
}

template <class Form>
Form shuffle_one(const Form& tensors, const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                 const Input& keep_input, const ShuffleBatchOptions& o) {
  return batch_of(std::vector<Form>{tensors},
                  shuffling("shuffle_batch", batch_size, capacity, min_after_dequeue, keep_input, o));
}

template <class Form>
Form shuffle_several(const std::vector<Form>& tensors_list, const Input& batch_size, int64_t capacity,
                     int64_t min_after_dequeue, const Input& keep_input, const ShuffleBatchJoinOptions& o) {
  return batch_of(tensors_list,
                  shuffling("shuffle_batch_join", batch_size, capacity, min_after_dequeue, keep_input, o));
}

}  // namespace

// --- lists of dense tensors

std::vector<Output> batch(const std::vector<Output>& tensors, const Input& batch_size, const BatchOptions& o) {
  return batch_one(tensors, true, batch_size, o);
}

std::vector<Output> maybe_batch(const std::vector<Output>& tensors, const Input& keep_input, const Input& batch_size,
                                const BatchOptions& o) {
  return batch_one(tensors, keep_input, batch_size, o);
}

std::vector<Output> batch_join(const Lists& tensors_list, const Input& batch_size, const BatchJoinOptions& o) {
  return batch_several(tensors_list, true, batch_size, o);
}

std::vector<Output> maybe_batch_join(const Lists& tensors_list, const Input& keep_input, const Input& batch_size,
                                     const BatchJoinOptions& o) {
  return batch_several(tensors_list, keep_input, batch_size, o);
}

std::vector<Output> shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                  int64_t min_after_dequeue, const ShuffleBatchOptions& o) {
  return shuffle_one(tensors, batch_size, capacity, min_after_dequeue, true, o);
}

std::vector<Output> maybe_shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                        int64_t min_after_dequeue, const Input& keep_input,
                                        const ShuffleBatchOptions& o) {
  return shuffle_one(tensors, batch_size, capacity, min_after_dequeue, keep_input, o);
}

std::vector<Output> shuffle_batch_join(const Lists& tensors_list, const Input& batch_size, int64_t capacity,
                                       int64_t min_after_dequeue, const ShuffleBatchJoinOptions& o) {
  return shuffle_several(tensors_list, batch_size, capacity, min_after_dequeue, true, o);
}

std::vector<Output> maybe_shuffle_batch_join(const Lists& tensors_list, const Input& batch_size, int64_t capacity,
                                             int64_t min_after_dequeue, const Input& keep_input,
                                             const ShuffleBatchJoinOptions& o) {
  return shuffle_several(tensors_list, batch_size, capacity, min_after_dequeue, keep_input, o);
}

// --- examples in their other forms

template <Example T>
T maybe_batch(const T& tensors, const Input& keep_input, const Input& batch_size, const BatchOptions& o) {
  return batch_one(tensors, keep_input, batch_size, o);
}

template <Example T>
T maybe_batch_join(const std::vector<T>& tensors_list, const Input& keep_input, const Input& batch_size,
                   const BatchJoinOptions& o) {
  return batch_several(tensors_list, keep_input, batch_size, o);
}

template <Example T>
T maybe_shuffle_batch(const T& tensors, const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                      const Input& keep_input, const ShuffleBatchOptions& o) {
  return shuffle_one(tensors, batch_size, capacity, min_after_dequeue, keep_input, o);
}

template <Example T>
T maybe_shuffle_batch_join(const std::vector<T>& tensors_list, const Input& batch_size, int64_t capacity,
                           int64_t min_after_dequeue, const Input& keep_input, const ShuffleBatchJoinOptions& o) {
  return shuffle_several(tensors_list, batch_size, capacity, min_after_dequeue, keep_input, o);
}

#define MR_BATCH_FUNCTIONS(T)                                                                                         \
  template T maybe_batch(const T&, const Input&, const Input&, const BatchOptions&);                                  \
  template T maybe_batch_join(const std::vector<T>&, const Input&, const Input&, const BatchJoinOptions&);            \
  template T maybe_shuffle_batch(const T&, const Input&, int64_t, int64_t, const Input&, const ShuffleBatchOptions&); \
  template T maybe_shuffle_batch_join(const std::vector<T>&, const Input&, int64_t, int64_t, const Input&,            \
                                      const ShuffleBatchJoinOptions&);
MR_BATCH_FUNCTIONS(ExampleList)
MR_BATCH_FUNCTIONS(ExampleDict)
#undef MR_BATCH_FUNCTIONS

}  // namespace millrace::train
