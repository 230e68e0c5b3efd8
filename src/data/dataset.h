#pragma once
// Input pipelines: immutable datasets, and iterators that walk them. The ops that make them stand in src/ops.
//
// A Dataset is shared and never changes (what is shared between its iterators, such as a cache, guards itself). It
// travels in a scalar variant tensor. A DatasetIterator belongs to one caller at a time; stages that run ahead
// (prefetch, parallel map) own threads and end them when they are destroyed.
//
//   MR_ASSIGN_OR_RETURN(std::unique_ptr<DatasetIterator> it, dataset->iterate());
//   Element element;
//   for (bool end = false;;) {
//     MR_RETURN_IF_ERROR(it->get_next(ctx, &element, &end));
//     if (end) break;
//     ...
//   }

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "data/state.h"
#include "tensor/tensor.h"

namespace millrace {

// One element: a tensor per component.
using Element = std::vector<Tensor>;

// Dtypes and shapes of the components.
struct ElementSpec {
  std::vector<DataType> types;
  std::vector<PartialTensorShape> shapes;
};

// InvalidArgument in TensorFlow's words where a dataset of `found` elements is used as one of `expected` elements.
absl::Status check_compatible(const ElementSpec& expected, const ElementSpec& found);

// What a call of get_next runs under. Waits end with the scope's status when it is cancelled.
struct IterationContext {
  CancellationScope* cancellation = nullptr;  // never null during a call
};

class DatasetIterator {
 public:
  virtual ~DatasetIterator() = default;
  // The next element, or *end = true and no element; `*end` is false on entry of every call. After an error the next
  // call goes on behind the element that failed.
  virtual absl::Status get_next(IterationContext& ctx, Element* element, bool* end) = 0;
  // True if get_next never waits, reads a file or calls a function, so that it may run on any thread.
  virtual bool never_waits() const { return false; }
  // True if that holds for the next call at least.
  virtual bool is_ready() const { return never_waits(); }
  // Position and buffered elements, such that a fresh iterator of an equal dataset goes on from here after restore().
  virtual absl::Status save(StateWriter writer) = 0;
  virtual absl::Status restore(IterationContext& ctx, StateReader reader) = 0;
};

using IteratorPtr = std::unique_ptr<DatasetIterator>;

class Dataset {
 public:
  static constexpr int64_t kUnknownCardinality = -2;
  static constexpr int64_t kInfiniteCardinality = -1;
  // Stages are nested calls: a deeper pipeline could overflow a thread's stack.
  static constexpr int kMaxDepth = 500;

  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const ElementSpec& spec() const { return spec_; }
  int depth() const { return depth_; }
  // TensorFlow's name of the stage, such as "Range".
  virtual std::string_view name() const = 0;
  // A fresh iterator. It keeps the dataset alive as far as it needs it.
  virtual absl::StatusOr<IteratorPtr> iterate() const = 0;
  // Number of elements, kInfiniteCardinality or kUnknownCardinality.
  virtual int64_t cardinality() const { return kUnknownCardinality; }

 protected:
  Dataset(ElementSpec spec, std::initializer_list<const Dataset*> inputs = {});
  Dataset(ElementSpec spec, const std::vector<std::shared_ptr<const Dataset>>& inputs);

 private:
  ElementSpec spec_;
  int depth_;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

// To and from a scalar variant tensor. InvalidArgument where the tensor holds no dataset, or one nested too deeply.
absl::StatusOr<Tensor> dataset_to_tensor(DatasetPtr dataset);
absl::StatusOr<DatasetPtr> dataset_from_tensor(const Tensor& tensor);

// An iterator with one input iterator.
class UnaryIterator : public DatasetIterator {
 public:
  explicit UnaryIterator(IteratorPtr input) : input_(std::move(input)) {}
  bool never_waits() const override { return input_ == nullptr || input_->never_waits(); }

 protected:
  absl::Status save_input(StateWriter& writer) const;  // an input that has ended is null
  absl::Status restore_input(IterationContext& ctx, StateReader& reader);
  IteratorPtr input_;
};

}  // namespace millrace
