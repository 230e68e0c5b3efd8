#pragma once
// Input pipelines of queues: producers put names, numbers or rows into a queue, epoch after epoch, and the batch
// functions collect examples from other steps' threads. Each adds a QueueRunner and a summary of how full its queue is
// to the graph's collections.
//
//   tf::QueueBase files = tf::train::string_input_producer({"a.csv", "b.csv"}, {.num_epochs = 3});
//   tf::Output line = tf::TextLineReader().read(files).value;
//   std::vector<tf::Output> batch = tf::train::shuffle_batch({line}, 32, 1000, 500, {.num_threads = 2});
//
// Counters of epochs are local variables: run local_variables_initializer() too (a MonitoredSession does). tf::data
// (millrace/data.h) is the newer way.

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "millrace/parsing_ops.h"
#include "millrace/queues.h"
#include "millrace/variables.h"

namespace millrace::train {

#pragma GCC visibility push(default)

// A local variable that holds the names of the files that match a pattern, or a vector of them, once initialized.
Variable match_filenames_once(const Input& pattern, const NameOptions& options = {});

// The tensor, for num_epochs runs; then OutOfRangeError. Without a number the tensor itself. InvalidArgumentError
// (TF1's ValueError) for a number that is not positive.
Output limit_epochs(const Output& tensor, std::optional<int64_t> num_epochs = {}, const NameOptions& options = {});

struct InputProducerOptions {
  std::optional<PartialTensorShape> element_shape = {};  // of a row, where the tensor's is not known
  std::optional<int64_t> num_epochs = {};                // without end
  bool shuffle = true;                                   // the rows, anew in each epoch
  std::optional<int64_t> seed = {};
  int64_t capacity = 32;
  std::string shared_name = {};
  std::string summary_name = {};  // none
  std::string name = {};
  Operation cancel_op = {};  // absent: made
};
// A queue of the tensor's rows. InvalidArgumentError (TF1's ValueError) where the shape of a row is not known.
QueueBase input_producer(const Input& input_tensor, const InputProducerOptions& options = {});

struct StringInputProducerOptions {
  std::optional<int64_t> num_epochs = {};
  bool shuffle = true;
  std::optional<int64_t> seed = {};
  int64_t capacity = 32;
  std::string shared_name = {};
  std::string name = {};
  Operation cancel_op = {};
};
// A queue of strings, mostly names of files. InvalidArgumentError where there are none, if only when it runs.
QueueBase string_input_producer(const Input& string_tensor, const StringInputProducerOptions& options = {});

struct RangeInputProducerOptions {
  std::optional<int64_t> num_epochs = {};
  bool shuffle = true;
  std::optional<int64_t> seed = {};
  int64_t capacity = 32;
  std::string shared_name = {};
  std::string name = {};
};
// A queue of the int32 numbers from 0 up to `limit`.
QueueBase range_input_producer(const Input& limit, const RangeInputProducerOptions& options = {});
// One row of each tensor at a time, all of the same number; the tensors have equally many.
std::vector<Output> slice_input_producer(const std::vector<Output>& tensor_list,
                                         const RangeInputProducerOptions& options = {});

// --- batches. A list of tensors is one example; with enqueue_many each of its rows is one.

struct BatchOptions {
  int64_t num_threads = 1;
  int64_t capacity = 32;
  bool enqueue_many = false;
  std::optional<std::vector<PartialTensorShape>> shapes = {};  // of the examples' tensors, where theirs are not known
  bool dynamic_pad = false;                // dimensions may differ: padded with zeros to the batch's largest
  bool allow_smaller_final_batch = false;  // then the first dimension is not known
  std::string shared_name = {};
  std::string name = {};
};
struct BatchJoinOptions {
  int64_t capacity = 32;
  bool enqueue_many = false;
  std::optional<std::vector<PartialTensorShape>> shapes = {};
  bool dynamic_pad = false;
  bool allow_smaller_final_batch = false;
  std::string shared_name = {};
  std::string name = {};
};
struct ShuffleBatchOptions {
  int64_t num_threads = 1;
  std::optional<int64_t> seed = {};
  bool enqueue_many = false;
  std::optional<std::vector<PartialTensorShape>> shapes = {};
  bool allow_smaller_final_batch = false;
  std::string shared_name = {};
  std::string name = {};
};
struct ShuffleBatchJoinOptions {
  std::optional<int64_t> seed = {};
  bool enqueue_many = false;
  std::optional<std::vector<PartialTensorShape>> shapes = {};
  bool allow_smaller_final_batch = false;
  std::string shared_name = {};
  std::string name = {};
};

// batch_size examples, each tensor stacked. InvalidArgumentError (TF1's ValueError) where a rank is not known.
std::vector<Output> batch(const std::vector<Output>& tensors, const Input& batch_size,
                          const BatchOptions& options = {});
// The same from several lists, one thread for each.
std::vector<Output> batch_join(const std::vector<std::vector<Output>>& tensors_list, const Input& batch_size,
                               const BatchJoinOptions& options = {});
// Examples in random order, of at least min_after_dequeue that wait. InvalidArgumentError unless capacity is larger.
std::vector<Output> shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                  int64_t min_after_dequeue, const ShuffleBatchOptions& options = {});
std::vector<Output> shuffle_batch_join(const std::vector<std::vector<Output>>& tensors_list, const Input& batch_size,
                                       int64_t capacity, int64_t min_after_dequeue,
                                       const ShuffleBatchJoinOptions& options = {});

// The same for the examples that are to be kept: keep_input is a boolean scalar, or with enqueue_many a vector with one
// boolean per row.
std::vector<Output> maybe_batch(const std::vector<Output>& tensors, const Input& keep_input, const Input& batch_size,
                                const BatchOptions& options = {});
std::vector<Output> maybe_batch_join(const std::vector<std::vector<Output>>& tensors_list, const Input& keep_input,
                                     const Input& batch_size, const BatchJoinOptions& options = {});
std::vector<Output> maybe_shuffle_batch(const std::vector<Output>& tensors, const Input& batch_size, int64_t capacity,
                                        int64_t min_after_dequeue, const Input& keep_input,
                                        const ShuffleBatchOptions& options = {});
std::vector<Output> maybe_shuffle_batch_join(const std::vector<std::vector<Output>>& tensors_list,
                                             const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                                             const Input& keep_input, const ShuffleBatchJoinOptions& options = {});

// --- examples with sparse tensors, or by name
//
//   tf::train::ExampleDict example = {{"label", parsed["label"]}, {"words", parsed.sparse("words")}};
//   tf::train::ExampleDict batch = tf::train::shuffle_batch(example, 32, 1000, 500);
//   tf::SparseTensor words = std::get<tf::SparseTensor>(batch.at("words"));
//
// A batch of sparse tensors is one of a rank higher, [batch_size, largest sizes...]; with enqueue_many the rows of one
// are the examples. The tensors wait in a map of the session, their handles in the queue. Names are in sorted order in
// the graph. Errors: InvalidArgumentError where lists differ in names, dtypes, ranks or in what is sparse, and where
// sparse tensors are never to be kept.

using ExampleTensor = std::variant<Output, SparseTensor>;
using ExampleList = std::vector<ExampleTensor>;
using ExampleDict = std::map<std::string, ExampleTensor>;
template <class T>
concept Example = std::same_as<T, ExampleList> || std::same_as<T, ExampleDict>;

template <Example T>
T maybe_batch(const T& tensors, const Input& keep_input, const Input& batch_size, const BatchOptions& options = {});
template <Example T>
T maybe_batch_join(const std::vector<T>& tensors_list, const Input& keep_input, const Input& batch_size,
                   const BatchJoinOptions& options = {});
template <Example T>
T maybe_shuffle_batch(const T& tensors, const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                      const Input& keep_input, const ShuffleBatchOptions& options = {});
template <Example T>
T maybe_shuffle_batch_join(const std::vector<T>& tensors_list, const Input& batch_size, int64_t capacity,
                           int64_t min_after_dequeue, const Input& keep_input,
                           const ShuffleBatchJoinOptions& options = {});

template <Example T> T batch(const T& tensors, const Input& batch_size, const BatchOptions& options = {}) {
  return maybe_batch(tensors, true, batch_size, options);
}
template <Example T>
T batch_join(const std::vector<T>& tensors_list, const Input& batch_size, const BatchJoinOptions& options = {}) {
  return maybe_batch_join(tensors_list, true, batch_size, options);
}
template <Example T>
T shuffle_batch(const T& tensors, const Input& batch_size, int64_t capacity, int64_t min_after_dequeue,
                const ShuffleBatchOptions& options = {}) {
  return maybe_shuffle_batch(tensors, batch_size, capacity, min_after_dequeue, true, options);
}
template <Example T>
T shuffle_batch_join(const std::vector<T>& tensors_list, const Input& batch_size, int64_t capacity,
                     int64_t min_after_dequeue, const ShuffleBatchJoinOptions& options = {}) {
  return maybe_shuffle_batch_join(tensors_list, batch_size, capacity, min_after_dequeue, true, options);
}

#pragma GCC visibility pop

}  // namespace millrace::train
