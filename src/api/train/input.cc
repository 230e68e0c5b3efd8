#include "millrace/train/input.h"

#include "api/op_builder.h"
#include "api/train/input_support.h"
#include "millrace/array_ops.h"
#include "millrace/random_ops.h"
#include "millrace/train/queue_runner.h"
#include "tensor/shape.h"

namespace millrace::train {
namespace {

std::vector<std::string> local_collection() { return {GraphKeys::LOCAL_VARIABLES}; }

}  // namespace

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

}  // namespace millrace::train
