#include "data/batch.h"

#include <algorithm>
#include <deque>

#include "base/checked.h"
#include "data/rows.h"
#include "data/sources.h"

namespace millrace {
namespace {

// Reads up to `limit` elements; *end says that the input has ended.
absl::Status collect(IterationContext& ctx, DatasetIterator& input, int64_t limit, std::vector<Element>* elements,
                     bool* end) {
  elements->clear();
  elements->reserve(static_cast<size_t>(std::min<int64_t>(limit, 1024)));
  while (static_cast<int64_t>(elements->size()) < limit) {
    Element element;
    MR_RETURN_IF_ERROR(input.get_next(ctx, &element, end));
    if (*end) break;
    elements->push_back(std::move(element));
    if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
  }
  return absl::OkStatus();
}

// Collects batches and lets a subclass join them.
class BatchIteratorBase : public UnaryIterator {
 public:
  BatchIteratorBase(IteratorPtr input, int64_t batch_size, bool drop_remainder)
      : UnaryIterator(std::move(input)), batch_size_(batch_size), drop_remainder_(drop_remainder) {}
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) final {
    if (input_) {
      std::vector<Element> elements;
      MR_RETURN_IF_ERROR(collect(ctx, *input_, batch_size_, &elements, end));
      if (*end) input_.reset();
      *end = false;
      if (!elements.empty() && (static_cast<int64_t>(elements.size()) == batch_size_ || !drop_remainder_)) {
        MR_ASSIGN_OR_RETURN(*element, join(elements));
        return absl::OkStatus();
      }
    }
    *end = true;
    return absl::OkStatus();
  }
  absl::Status save(StateWriter writer) override { return save_input(writer); }
  absl::Status restore(IterationContext& ctx, StateReader reader) override { return restore_input(ctx, reader); }

 protected:
  virtual absl::StatusOr<Element> join(std::vector<Element>& elements) const = 0;

 private:
  const int64_t batch_size_;
  const bool drop_remainder_;
};

int64_t batched_cardinality(int64_t n, int64_t batch_size, bool drop_remainder) {
  if (n < 0) return n;
  return n / batch_size + (n % batch_size != 0 && !drop_remainder ? 1 : 0);
}

class BatchDataset final : public Dataset {
 public:
  BatchDataset(DatasetPtr input, int64_t batch_size, bool drop_remainder, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        batch_size_(batch_size),
        drop_remainder_(drop_remainder) {}
  std::string_view name() const override { return "Batch"; }
  int64_t cardinality() const override {
    return batched_cardinality(input_->cardinality(), batch_size_, drop_remainder_);
  }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(std::move(input), batch_size_, drop_remainder_);
  }

 private:
  struct Iterator final : public BatchIteratorBase {
    using BatchIteratorBase::BatchIteratorBase;
    absl::StatusOr<Element> join(std::vector<Element>& elements) const override { return stack_rows(elements); }
  };
  DatasetPtr input_;
  int64_t batch_size_;
  bool drop_remainder_;
};

// Fills a tensor with a scalar of its dtype.
absl::Status fill(Tensor& tensor, const Tensor& value) {
  switch (tensor.dtype()) {
    case DataType::kString: {
      const auto out = tensor.unchecked_mutable<std::string>();
      std::fill(out.begin(), out.end(), value.unchecked<std::string>()[0]);
      return absl::OkStatus();
    }
    case DataType::kVariant: {
      const auto out = tensor.unchecked_mutable<Variant>();
      std::fill(out.begin(), out.end(), value.unchecked<Variant>()[0]);
      return absl::OkStatus();
    }
    default: break;
  }
  if (!is_pod(tensor.dtype()))
    return unimplemented("padded_batch of dtype ", dtype_name(tensor.dtype()), " is not supported.");
  const size_t size = dtype_size(tensor.dtype());
  const char* one = static_cast<const char*>(value.raw_data());
  char* out = static_cast<char*>(tensor.raw_mutable_data());
  for (int64_t i = 0; i < tensor.num_elements(); ++i, out += size) std::copy(one, one + size, out);
  return absl::OkStatus();
}

// Copies a box into the corner of row `row` of `to`, which is at least as large in each dimension.
void copy_box(Tensor& from, Tensor& to, int64_t row) {
  const int rank = from.rank();
  const int64_t row_size = to.num_elements() / to.dim(0);
  if (from.num_elements() == 0) return;
  const int64_t line = rank == 0 ? 1 : from.dim(rank - 1);
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  for (int64_t at = 0; at < from.num_elements(); at += line) {
    int64_t offset = 0;
    for (int d = 0; d < rank; ++d) offset = offset * to.dim(d + 1) + index[static_cast<size_t>(d)];
    copy_elements(from, at, to, row * row_size + offset, line);
    for (int d = rank - 2; d >= 0; --d) {
      if (++index[static_cast<size_t>(d)] < from.dim(d)) break;
      index[static_cast<size_t>(d)] = 0;
    }
  }
}

class PaddedBatchDataset final : public Dataset {
 public:
  PaddedBatchDataset(DatasetPtr input, int64_t batch_size, Padding padding, bool drop_remainder, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        batch_size_(batch_size),
        padding_(std::make_shared<const Padding>(std::move(padding))),
        drop_remainder_(drop_remainder) {}
  std::string_view name() const override { return "PaddedBatch"; }
  int64_t cardinality() const override {
    return batched_cardinality(input_->cardinality(), batch_size_, drop_remainder_);
  }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(std::move(input), batch_size_, drop_remainder_, padding_);
  }

 private:
  struct Iterator final : public BatchIteratorBase {
    Iterator(IteratorPtr input, int64_t batch_size, bool drop_remainder, std::shared_ptr<const Padding> padding)
        : BatchIteratorBase(std::move(input), batch_size, drop_remainder), padding_(std::move(padding)) {}

    absl::StatusOr<Element> join(std::vector<Element>& elements) const override {
      Element batch;
      for (size_t c = 0; c < padding_->shapes.size(); ++c) {
        MR_ASSIGN_OR_RETURN(Tensor joined, join_component(elements, c));
        batch.push_back(std::move(joined));
      }
      return batch;
    }

    absl::StatusOr<Tensor> join_component(std::vector<Element>& elements, size_t c) const {
      const PartialTensorShape& wanted = padding_->shapes[c];
      std::vector<int64_t> dims(wanted.dims().begin(), wanted.dims().end());
      for (const Element& element : elements) {
        if (c >= element.size() || element[c].dtype() != padding_->values[c].dtype())
          return invalid_argument("padded_batch: component ", c, " has a dtype other than its padding value's.");
        const TensorShape& shape = element[c].shape();
        if (shape.rank() != wanted.rank())
          return invalid_argument("All elements in a batch must have the same rank as the padded shape for component",
                                  c, ": expected rank ", wanted.rank(), " but got element with rank ", shape.rank());
        for (int d = 0; d < shape.rank(); ++d) {
          if (wanted.dim(d) >= 0 && shape.dim(d) > wanted.dim(d))
            return data_loss("Attempted to pad to a smaller size than the input element.");
          if (wanted.dim(d) < 0) dims[static_cast<size_t>(d)] = std::max(dims[static_cast<size_t>(d)], shape.dim(d));
        }
      }
      dims.insert(dims.begin(), static_cast<int64_t>(elements.size()));
      MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape(dims));
      MR_ASSIGN_OR_RETURN(Tensor joined, make_tensor(padding_->values[c].dtype(), shape));
      if (joined.num_elements() == 0) return joined;
      MR_RETURN_IF_ERROR(fill(joined, padding_->values[c]));
      for (size_t i = 0; i < elements.size(); ++i) copy_box(elements[i][c], joined, static_cast<int64_t>(i));
      return joined;
    }

    std::shared_ptr<const Padding> padding_;
  };
  DatasetPtr input_;
  int64_t batch_size_;
  std::shared_ptr<const Padding> padding_;
  bool drop_remainder_;
};

class UnbatchDataset final : public Dataset {
 public:
  UnbatchDataset(DatasetPtr input, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}), input_(std::move(input)) {}
  std::string_view name() const override { return "Unbatch"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(std::move(input));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    using UnaryIterator::UnaryIterator;
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (next_ == size_) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        if (!input_) {
          *end = true;
          return absl::OkStatus();
        }
        next_ = size_ = 0;
        MR_RETURN_IF_ERROR(input_->get_next(ctx, &batch_, end));
        if (*end) {
          input_.reset();
          *end = false;
          continue;
        }
        MR_RETURN_IF_ERROR(check_batch());
        size_ = batch_.empty() ? 0 : batch_[0].dim(0);
      }
      element->clear();
      for (const Tensor& component : batch_) {
        MR_ASSIGN_OR_RETURN(Tensor row, copy_row(component, next_));
        element->push_back(std::move(row));
      }
      ++next_;
      return absl::OkStatus();
    }
    absl::Status save(StateWriter writer) override {
      writer.put("next", next_);
      writer.put("size", size_);
      if (next_ < size_) writer.put("batch", batch_);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(size_, reader.get_bounded("size", INT64_MAX));
      MR_ASSIGN_OR_RETURN(next_, reader.get_bounded("next", size_));
      if (next_ < size_) {
        MR_ASSIGN_OR_RETURN(batch_, reader.get_element("batch"));
        MR_RETURN_IF_ERROR(check_batch());
        if (batch_.empty() || batch_[0].dim(0) != size_)
          return invalid_argument("The saved state of an unbatch is damaged.");
      }
      return restore_input(ctx, reader);
    }

   private:
    absl::Status check_batch() const {
      for (size_t c = 0; c < batch_.size(); ++c) {
        if (batch_[c].rank() == 0)
          return invalid_argument("Input element must have a non-scalar value in each component.");
        if (batch_[c].dim(0) != batch_[0].dim(0))
          return invalid_argument(
              "Input element must have the same batch size in each component. Component 0 had size ", batch_[0].dim(0),
              " but component ", c, " had size, ", batch_[c].dim(0), ".");
      }
      return absl::OkStatus();
    }
    Element batch_;
    int64_t next_ = 0, size_ = 0;
  };
  DatasetPtr input_;
};

class WindowDataset final : public Dataset, public std::enable_shared_from_this<WindowDataset> {
 public:
  struct Options {
    int64_t size, shift, stride;
    bool drop_remainder;
  };
  WindowDataset(DatasetPtr input, Options options, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}), input_(std::move(input)), options_(options) {}
  std::string_view name() const override { return "Window"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(input));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const WindowDataset> parent, IteratorPtr input)
        : UnaryIterator(std::move(input)), parent_(std::move(parent)) {}

    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      const Options& o = parent_->options_;
      const CheckedInt exact = CheckedInt(o.size - 1) * o.stride + 1;
      const auto target = static_cast<size_t>(exact.value_or(INT64_MAX));
      while (input_ && buffer_.size() < target) {
        MR_RETURN_IF_ERROR(pull(ctx, /*keep=*/true));
      }
      if (buffer_.empty() || (o.drop_remainder && buffer_.size() < target)) {
        *end = true;
        return absl::OkStatus();
      }
      std::vector<Element> window;
      for (size_t i = 0; i < std::min(buffer_.size(), target);
           i += static_cast<size_t>(std::min<int64_t>(o.stride, INT32_MAX)))
        window.push_back(buffer_[i]);
      if (o.shift >= static_cast<int64_t>(buffer_.size())) {
        for (auto i = static_cast<int64_t>(buffer_.size()); input_ && i < o.shift; ++i)
          MR_RETURN_IF_ERROR(pull(ctx, /*keep=*/false));
        buffer_.clear();
      } else {
        buffer_.erase(buffer_.begin(), buffer_.begin() + o.shift);
      }
      return emit(window, element);
    }
    absl::Status save(StateWriter writer) override {
      writer.put("buffer", static_cast<int64_t>(buffer_.size()));
      for (size_t i = 0; i < buffer_.size(); ++i) writer.put(str_cat("buffer[", i, "]"), buffer_[i]);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t size, reader.get_bounded("buffer", INT64_MAX));
      for (int64_t i = 0; i < size; ++i) {
        MR_ASSIGN_OR_RETURN(Element element, reader.get_element(str_cat("buffer[", i, "]")));
        buffer_.push_back(std::move(element));
      }
      return restore_input(ctx, reader);
    }

   private:
    absl::Status pull(IterationContext& ctx, bool keep) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      Element element;
      bool end = false;
      MR_RETURN_IF_ERROR(input_->get_next(ctx, &element, &end));
      if (end) input_.reset();
      else if (keep) buffer_.push_back(std::move(element));
      return absl::OkStatus();
    }
    absl::Status emit(const std::vector<Element>& window, Element* element) {
      const ElementSpec& in = parent_->input_->spec();
      element->clear();
      for (size_t c = 0; c < in.types.size(); ++c) {
        std::vector<Element> component;
        for (const Element& e : window) component.push_back({e.at(c)});
        MR_ASSIGN_OR_RETURN(Tensor dataset,
                            dataset_to_tensor(elements_dataset(std::move(component), {{in.types[c]}, {in.shapes[c]}})));
        element->push_back(std::move(dataset));
      }
      return absl::OkStatus();
    }
    std::shared_ptr<const WindowDataset> parent_;
    std::deque<Element> buffer_;
  };
  DatasetPtr input_;
  Options options_;
};

class DenseToSparseBatchDataset final : public Dataset {
 public:
  DenseToSparseBatchDataset(DatasetPtr input, int64_t batch_size, PartialTensorShape row_shape, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        batch_size_(batch_size),
        row_shape_(std::move(row_shape)) {}
  std::string_view name() const override { return "DenseToSparseBatch"; }
  int64_t cardinality() const override { return batched_cardinality(input_->cardinality(), batch_size_, false); }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(std::move(input), batch_size_, row_shape_);
  }

 private:
  struct Iterator final : public BatchIteratorBase {
    Iterator(IteratorPtr input, int64_t batch_size, PartialTensorShape row_shape)
        : BatchIteratorBase(std::move(input), batch_size, false), row_shape_(std::move(row_shape)) {}
    absl::StatusOr<Element> join(std::vector<Element>& elements) const override {
      const int rank = row_shape_.rank();
      std::vector<int64_t> dense(row_shape_.dims().begin(), row_shape_.dims().end());
      CheckedInt total = 0;
      for (const Element& element : elements) {
        if (element.empty() || element[0].rank() != rank || element[0].dtype() != elements[0][0].dtype())
          return invalid_argument("Input element had shape incompatible with the row shape (", row_shape_.to_string(),
                                  ").");
        for (int d = 0; d < rank; ++d) {
          const int64_t size = element[0].dim(d);
          if (row_shape_.dim(d) >= 0 && size > row_shape_.dim(d))
            return data_loss("Input element had shape (", element[0].shape(),
                             ") that is incompatible with the row shape (", row_shape_.to_string(), ").");
          dense[static_cast<size_t>(d)] = std::max(dense[static_cast<size_t>(d)], size);
        }
        total += element[0].num_elements();
      }
      if (!total.valid()) return resource_exhausted("The sparse batch has too many values.");
      MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({total.value(), rank + 1}));
      MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({total.value()}));
      MR_ASSIGN_OR_RETURN(Tensor indices, make_tensor(DataType::kInt64, indices_shape));
      MR_ASSIGN_OR_RETURN(Tensor values, make_tensor(elements[0][0].dtype(), values_shape));
      int64_t* index = static_cast<int64_t*>(indices.raw_mutable_data());
      int64_t at = 0;
      for (size_t i = 0; i < elements.size(); ++i) {
        Tensor& t = elements[i][0];
        copy_elements(t, 0, values, at, t.num_elements());
        at += t.num_elements();
        std::vector<int64_t> position(static_cast<size_t>(rank), 0);
        for (int64_t e = 0; e < t.num_elements(); ++e) {
          *index++ = static_cast<int64_t>(i);
          index = std::copy(position.begin(), position.end(), index);
          for (int d = rank - 1; d >= 0; --d) {
            if (++position[static_cast<size_t>(d)] < t.dim(d)) break;
            position[static_cast<size_t>(d)] = 0;
          }
        }
      }
      dense.insert(dense.begin(), static_cast<int64_t>(elements.size()));
      MR_ASSIGN_OR_RETURN(Tensor dense_shape, make_vector<int64_t>(dense));
      MR_ASSIGN_OR_RETURN(const TensorShape three, make_shape({3}));
      MR_ASSIGN_OR_RETURN(Tensor packed, make_tensor(DataType::kVariant, three));
      const std::span<Variant> parts = packed.unchecked_mutable<Variant>();
      parts[0] = Variant::make<Tensor>(std::move(indices));
      parts[1] = Variant::make<Tensor>(std::move(values));
      parts[2] = Variant::make<Tensor>(std::move(dense_shape));
      return Element{std::move(packed)};
    }
    PartialTensorShape row_shape_;
  };
  DatasetPtr input_;
  int64_t batch_size_;
  PartialTensorShape row_shape_;
};

}  // namespace

absl::StatusOr<DatasetPtr> batch_dataset(DatasetPtr input, int64_t batch_size, bool drop_remainder, ElementSpec spec) {
  if (batch_size <= 0) return invalid_argument("Batch size must be greater than zero.");
  return std::make_shared<BatchDataset>(std::move(input), batch_size, drop_remainder, std::move(spec));
}

absl::StatusOr<DatasetPtr> padded_batch_dataset(DatasetPtr input, int64_t batch_size, Padding padding,
                                                bool drop_remainder, ElementSpec spec) {
  if (batch_size <= 0) return invalid_argument("Batch size must be greater than zero.");
  const ElementSpec& in = input->spec();
  if (padding.shapes.size() != in.types.size() || padding.values.size() != in.types.size())
    return invalid_argument("Number of padded shapes (", padding.shapes.size(),
                            ") must match the number of components in the input dataset's elements (", in.types.size(),
                            ")");
  for (size_t c = 0; c < in.types.size(); ++c) {
    if (padding.values[c].rank() != 0)
      return invalid_argument("All padding values must be scalars; but component ", c, " is not.");
    if (padding.values[c].dtype() != in.types[c])
      return invalid_argument("Mismatched type between padding value ", c, " and input dataset's component ", c, ": ",
                              dtype_name(padding.values[c].dtype()), " vs. ", dtype_name(in.types[c]));
  }
  return std::make_shared<PaddedBatchDataset>(std::move(input), batch_size, std::move(padding), drop_remainder,
                                              std::move(spec));
}

DatasetPtr unbatch_dataset(DatasetPtr input, ElementSpec spec) {
  return std::make_shared<UnbatchDataset>(std::move(input), std::move(spec));
}

absl::StatusOr<DatasetPtr> window_dataset(DatasetPtr input, int64_t size, int64_t shift, int64_t stride,
                                          bool drop_remainder, ElementSpec spec) {
  if (size <= 0) return invalid_argument("Window size must be greater than zero.");
  if (shift <= 0) return invalid_argument("Window shift must be greater than zero.");
  if (stride <= 0) return invalid_argument("Window stride must be greater than zero.");
  return std::make_shared<WindowDataset>(std::move(input), WindowDataset::Options{size, shift, stride, drop_remainder},
                                         std::move(spec));
}

absl::StatusOr<DatasetPtr> dense_to_sparse_batch_dataset(DatasetPtr input, int64_t batch_size,
                                                         PartialTensorShape row_shape, ElementSpec spec) {
  if (batch_size <= 0) return invalid_argument("Batch size must be greater than zero.");
  if (!row_shape.has_rank()) return invalid_argument("row_shape must be a vector.");
  if (input->spec().types.size() != 1)
    return invalid_argument("DenseToSparseBatchDataset only supports inputs with a single component.");
  return std::make_shared<DenseToSparseBatchDataset>(std::move(input), batch_size, std::move(row_shape),
                                                     std::move(spec));
}

}  // namespace millrace
