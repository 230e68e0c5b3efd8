#include "millrace/train/input.h"

#include "api/op_builder.h"
#include "base/strings.h"
#include "millrace/array_ops.h"
#include "millrace/control_flow.h"
#include "millrace/math_ops.h"
#include "millrace/random_ops.h"
#include "millrace/summary.h"
#include "millrace/train/queue_runner.h"
#include "tensor/shape.h"

namespace millrace::train {
namespace {

std::string_view name_or(std::string_view name, std::string_view default_name) {
  return name.empty() ? default_name : name;
}

PartialTensorShape row_shape(const PartialTensorShape& shape) {
  if (!shape.has_rank() || shape.rank() == 0) return {};
  return PartialTensorShape(shape.dims().subspan(1));
}

std::vector<std::string> local_collection() { return {GraphKeys::LOCAL_VARIABLES}; }

void summarize_fullness(const std::string& name, const Output& elements, int64_t of) {
  summary::scalar(name, cast(elements, float32) * (1.0 / static_cast<double>(of)));
}

}  // namespace

// --- producers

Variable match_filenames_once(const Input& pattern, const NameOptions& o) {
  const SourceScope source(pattern);
  const name_scope scope(name_or(o.name, "matching_filenames"));
  return Variable(
      create_output("MatchingFiles", {pattern}),
      {.trainable = false, .collections = local_collection(), .validate_shape = false, .name = scope.name()});
}

Output limit_epochs(const Output& tensor, std::optional<int64_t> num_epochs, const NameOptions& o) {
  if (!num_epochs) return tensor;
  if (*num_epochs <= 0) raise(invalid_argument("num_epochs must be > 0 not ", *num_epochs, "."));
  const name_scope scope(name_or(o.name, "limit_epochs"));
  const Variable epochs(constant(Tensor(int64_t{0})),
                        {.trainable = false, .collections = local_collection(), .name = "epochs"});
  const Output counter =
      epochs.is_resource() ? create_output("ResourceCountUpTo", {epochs.ref()}, {{"limit", *num_epochs}, {"T", int64}})
                           : create_output("CountUpTo", {epochs.ref()}, {{"limit", *num_epochs}});
  const control_dependencies after({counter});
  return identity(tensor, {.name = scope.name()});
}

QueueBase input_producer(const Input& input_tensor, const InputProducerOptions& o) {
  const SourceScope source(input_tensor);
  const name_scope scope(name_or(o.name, "input_producer"));
  Output rows = convert_to_tensor(input_tensor, DataType::kInvalid, "input_tensor");
  const PartialTensorShape shape =
      value_or_raise(merge(row_shape(rows.shape()), o.element_shape.value_or(PartialTensorShape())));
  if (!shape.is_fully_defined())
    raise(
        invalid_argument("Either `input_tensor` must have a fully defined shape or `element_shape` must be specified; "
                         "`input_tensor` '",
                         rows.name(), "' has shape ", rows.shape().to_string(), "."));
  if (o.shuffle) rows = random_shuffle(rows, {.seed = o.seed});
  rows = limit_epochs(rows, o.num_epochs);
  const FIFOQueue queue(
      o.capacity, {base_dtype(rows.dtype())},
      {.shapes = {shape}, .shared_name = o.shared_name, .name = std::string(name_or(o.name, "FIFOQueueV2"))});
  const Operation enqueue = queue.enqueue_many({rows});
  add_queue_runner(QueueRunner(queue, {enqueue}, {.cancel_op = o.cancel_op}));
  if (!o.summary_name.empty()) summarize_fullness(o.summary_name, queue.size(), o.capacity);
  return queue;
}

namespace {

std::string fullness_name(int64_t capacity) { return str_cat("fraction_of_", capacity, "_full"); }

// Fails the step where there is nothing to produce.
Output checked_not_empty(const Output& strings) {
  const std::string message = "string_input_producer requires a non-null input tensor";
  const Output some = greater(size(strings), 0);
  Operation check;
  {
    const name_scope scope("Assert");
    constant(Tensor(message));
    const std::vector<Output> data = {convert_to_tensor(Tensor(message), string, "Assert/data_0")};
    check = create_op("Assert", {some, data}, {{"T", std::vector<DataType>{string}}}, "Assert");
  }
  const control_dependencies after({check});
  return identity(strings);
}

}  // namespace

QueueBase string_input_producer(const Input& string_tensor, const StringInputProducerOptions& o) {
  const SourceScope source(string_tensor);
  if (string_tensor.is_literal() && string_tensor.literal().num_elements() == 0)
    raise(invalid_argument("string_input_producer requires a non-null input tensor"));
  const name_scope scope(name_or(o.name, "input_producer"));
  const Output strings = checked_not_empty(convert_to_tensor(string_tensor, string));
  return input_producer(strings, {.element_shape = PartialTensorShape::scalar(),
                                  .num_epochs = o.num_epochs,
                                  .shuffle = o.shuffle,
                                  .seed = o.seed,
                                  .capacity = o.capacity,
                                  .shared_name = o.shared_name,
                                  .summary_name = fullness_name(o.capacity),
                                  .name = scope.name(),
                                  .cancel_op = o.cancel_op});
}

QueueBase range_input_producer(const Input& limit, const RangeInputProducerOptions& o) {
  const SourceScope source(limit);
  const name_scope scope(name_or(o.name, "input_producer"));
  return input_producer(range(limit), {.element_shape = PartialTensorShape::scalar(),
                                       .num_epochs = o.num_epochs,
                                       .shuffle = o.shuffle,
                                       .seed = o.seed,
                                       .capacity = o.capacity,
                                       .shared_name = o.shared_name,
                                       .summary_name = fullness_name(o.capacity),
                                       .name = scope.name()});
}

std::vector<Output> slice_input_producer(const std::vector<Output>& tensor_list, const RangeInputProducerOptions& o) {
  if (tensor_list.empty()) raise(invalid_argument("Expected at least one tensor in slice_input_producer()."));
  const SourceScope source{Input(tensor_list[0])};
  const name_scope scope(name_or(o.name, "input_producer"));
  RangeInputProducerOptions numbers = o;
  numbers.name.clear();
  const QueueBase queue = range_input_producer(index(shape(tensor_list[0]), {0}), numbers);
  const Output row = queue.dequeue()[0];
  std::vector<Output> rows;
  for (const Output& tensor : tensor_list) rows.push_back(gather(tensor, row));
  return rows;
}

// --- batches

namespace {

using Lists = std::vector<std::vector<Output>>;

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

std::vector<Output> make_batches(const Lists& lists, const Batching& b) {
  if (b.capacity <= 0) raise(invalid_argument("capacity must be > 0, got ", b.capacity, "."));
  if (lists.empty()) raise(invalid_argument("Expected at least one set of tensors"));
  for (const std::vector<Output>& list : lists) {
    if (list.empty()) raise(invalid_argument("Expected at least one tensor in ", b.kind, "()."));
    if (list.size() != lists[0].size())
      raise(invalid_argument("Expected as many tensors in each list of ", b.kind, "(), got ", lists[0].size(), " and ",
                             list.size(), "."));
  }
  const SourceScope source(b.batch_size);
  const name_scope scope(name_or(b.name, b.kind));
  const Output keep = checked_keep_input(b.keep_input, b.enqueue_many);
  const QueueBase queue =
      make_queue(b, common_types(lists), b.shapes ? *b.shapes : example_shapes(lists, b.enqueue_many));
  run_enqueues(queue, lists, b, keep);
  if (b.min_after_dequeue) {
    const int64_t least = *b.min_after_dequeue, room = b.capacity - least;
    summarize_fullness(str_cat("fraction_over_", least, "_of_", room, "_full"), maximum(0, queue.size() - least), room);
  } else {
    summarize_fullness(fullness_name(b.capacity), queue.size(), b.capacity);
  }
  return b.allow_smaller_final_batch ? queue.dequeue_up_to(b.batch_size, {.name = scope.name()})
                                     : queue.dequeue_many(b.batch_size, {.name = scope.name()});
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

}  // namespace

std::vector<Output> batch(const std::vector<Output>& tensors, const Input& batch_size, const BatchOptions& o) {
  return maybe_batch(tensors, true, batch_size, o);
}

std::vector<Output> maybe_batch(const std::vector<Output>& tensors, const Input& keep_input, const Input& batch_size,
                                const BatchOptions& o) {
  return make_batches({tensors}, batching("batch", batch_size, keep_input, o.capacity, o));
}

std::vector<Output> batch_join(const Lists& tensors_list, const Input& batch_size, const BatchJoinOptions& o) {
  return maybe_batch_join(tensors_list, true, batch_size, o);
}

std::vector<Output> maybe_batch_join(const Lists& tensors_list, const Input& keep_input, const Input& batch_size,
                                     const BatchJoinOptions& o) {
  return make_batches(tensors_list, batching("batch_join", batch_size, keep_input, o.capacity, o));
}

std::vector<Output> shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                  int64_t min_after_dequeue, const ShuffleBatchOptions& o) {
  return maybe_shuffle_batch(tensors, batch_size, capacity, min_after_dequeue, true, o);
}

std::vector<Output> maybe_shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                        int64_t min_after_dequeue, const Input& keep_input,
                                        const ShuffleBatchOptions& o) {
  return make_batches({tensors}, shuffling("shuffle_batch", batch_size, capacity, min_after_dequeue, keep_input, o));
}

std::vector<Output> shuffle_batch_join(const Lists& tensors_list, const Input& batch_size, int64_t capacity,
                                       int64_t min_after_dequeue, const ShuffleBatchJoinOptions& o) {
  return maybe_shuffle_batch_join(tensors_list, batch_size, capacity, min_after_dequeue, true, o);
}

std::vector<Output> maybe_shuffle_batch_join(const Lists& tensors_list, const Input& batch_size, int64_t capacity,
                                             int64_t min_after_dequeue, const Input& keep_input,
                                             const ShuffleBatchJoinOptions& o) {
  return make_batches(tensors_list,
                      shuffling("shuffle_batch_join", batch_size, capacity, min_after_dequeue, keep_input, o));
}

}  // namespace millrace::train
