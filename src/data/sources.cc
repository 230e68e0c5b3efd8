#include "data/sources.h"

#include <algorithm>

#include "base/checked.h"
#include "data/rows.h"
#include "data/seeds.h"

namespace millrace {
namespace {

constexpr std::string_view kNext = "next";

class RangeDataset final : public Dataset {
 public:
  RangeDataset(int64_t start, int64_t step, int64_t count, ElementSpec spec)
      : Dataset(std::move(spec)), start_(start), step_(step), count_(count), dtype_(this->spec().types[0]) {}
  std::string_view name() const override { return "Range"; }
  int64_t cardinality() const override { return count_; }
  absl::StatusOr<IteratorPtr> iterate() const override { return std::make_unique<Iterator>(*this); }

 private:
  class Iterator final : public DatasetIterator {
   public:
    explicit Iterator(const RangeDataset& d) : start_(d.start_), step_(d.step_), count_(d.count_), dtype_(d.dtype_) {}
    absl::Status get_next(IterationContext&, Element* element, bool* end) override {
      if (next_ == count_) {
        *end = true;
        return absl::OkStatus();
      }
      // Unsigned: the product alone may exceed int64 where the sum does not.
      const auto value = static_cast<int64_t>(static_cast<uint64_t>(start_) +
                                              static_cast<uint64_t>(next_) * static_cast<uint64_t>(step_));
      MR_ASSIGN_OR_RETURN(Tensor t, integer_as(dtype_, value));
      ++next_;
      element->assign(1, std::move(t));
      return absl::OkStatus();
    }
    bool never_waits() const override { return true; }
    absl::Status save(StateWriter writer) override {
      writer.put(kNext, next_);
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext&, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(next_, reader.get_bounded(kNext, count_));
      return absl::OkStatus();
    }

   private:
    const int64_t start_, step_, count_;
    const DataType dtype_;
    int64_t next_ = 0;
  };
  int64_t start_, step_, count_;
  DataType dtype_;
};

// A number of elements known from the start, each made on demand by the dataset.
class IndexedDataset : public Dataset, public std::enable_shared_from_this<IndexedDataset> {
 public:
  IndexedDataset(int64_t count, ElementSpec spec) : Dataset(std::move(spec)), count_(count) {}
  int64_t cardinality() const override { return count_; }
  absl::StatusOr<IteratorPtr> iterate() const override { return std::make_unique<Iterator>(shared_from_this()); }
  virtual absl::StatusOr<Element> element(int64_t i) const = 0;

 private:
  class Iterator final : public DatasetIterator {
   public:
    explicit Iterator(std::shared_ptr<const IndexedDataset> dataset) : dataset_(std::move(dataset)) {}
    absl::Status get_next(IterationContext&, Element* element, bool* end) override {
      if (next_ == dataset_->count_) {
        *end = true;
        return absl::OkStatus();
      }
      MR_ASSIGN_OR_RETURN(*element, dataset_->element(next_));
      ++next_;
      return absl::OkStatus();
    }
    bool never_waits() const override { return true; }
    absl::Status save(StateWriter writer) override {
      writer.put(kNext, next_);
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext&, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(next_, reader.get_bounded(kNext, dataset_->count_));
      return absl::OkStatus();
    }

   private:
    std::shared_ptr<const IndexedDataset> dataset_;
    int64_t next_ = 0;
  };
  int64_t count_;
};

class ElementsDataset final : public IndexedDataset {
 public:
  ElementsDataset(std::string_view name, std::vector<Element> elements, ElementSpec spec)
      : IndexedDataset(static_cast<int64_t>(elements.size()), std::move(spec)),
        name_(name),
        elements_(std::move(elements)) {}
  std::string_view name() const override { return name_; }
  absl::StatusOr<Element> element(int64_t i) const override { return elements_[static_cast<size_t>(i)]; }

 private:
  std::string_view name_;
  std::vector<Element> elements_;
};

class TensorSliceDataset final : public IndexedDataset {
 public:
  TensorSliceDataset(Element components, ElementSpec spec)
      : IndexedDataset(components[0].dim(0), std::move(spec)), components_(std::move(components)) {}
  std::string_view name() const override { return "TensorSlice"; }
  absl::StatusOr<Element> element(int64_t i) const override {
    Element element;
    element.reserve(components_.size());
    for (const Tensor& component : components_) {
      MR_ASSIGN_OR_RETURN(Tensor row, copy_row(component, i));
      element.push_back(std::move(row));
    }
    return element;
  }

 private:
  Element components_;
};

class SparseTensorSliceDataset final : public IndexedDataset {
 public:
  // begin[i] .. begin[i + 1]: the entries of row i.
  SparseTensorSliceDataset(Tensor indices, Tensor values, Tensor row_shape, std::vector<int64_t> begin,
                           ElementSpec spec)
      : IndexedDataset(static_cast<int64_t>(begin.size()) - 1, std::move(spec)),
        indices_(std::move(indices)),
        values_(std::move(values)),
        row_shape_(std::move(row_shape)),
        begin_(std::move(begin)) {}
  std::string_view name() const override { return "SparseTensorSlice"; }
  absl::StatusOr<Element> element(int64_t i) const override {
    const int64_t begin = begin_[static_cast<size_t>(i)], count = begin_[static_cast<size_t>(i) + 1] - begin;
    const int64_t rank = row_shape_.num_elements();
    MR_ASSIGN_OR_RETURN(const TensorShape indices_shape, make_shape({count, rank}));
    MR_ASSIGN_OR_RETURN(const TensorShape values_shape, make_shape({count}));
    MR_ASSIGN_OR_RETURN(Tensor indices, make_tensor(DataType::kInt64, indices_shape));
    MR_ASSIGN_OR_RETURN(Tensor values, make_tensor(values_.dtype(), values_shape));
    const std::span<const int64_t> from = indices_.unchecked<int64_t>();
    const std::span<int64_t> to = indices.unchecked_mutable<int64_t>();
    for (int64_t r = 0; r < count; ++r)
      for (int64_t d = 0; d < rank; ++d)
        to[static_cast<size_t>(r * rank + d)] = from[static_cast<size_t>((begin + r) * (rank + 1) + d + 1)];
    Tensor shared = values_;
    copy_elements(shared, begin, values, 0, count);
    return Element{std::move(indices), std::move(values), row_shape_};
  }

 private:
  Tensor indices_, values_, row_shape_;
  std::vector<int64_t> begin_;
};

class RandomDataset final : public Dataset {
 public:
  RandomDataset(int64_t seed, int64_t seed2, ElementSpec spec) : Dataset(std::move(spec)), seed_(seed), seed2_(seed2) {}
  std::string_view name() const override { return "Random"; }
  int64_t cardinality() const override { return kInfiniteCardinality; }
  absl::StatusOr<IteratorPtr> iterate() const override { return std::make_unique<Iterator>(seed_, seed2_); }

 private:
  class Iterator final : public DatasetIterator {
   public:
    Iterator(int64_t seed, int64_t seed2) : stream_(seed, seed2) {}
    absl::Status get_next(IterationContext&, Element* element, bool* end) override {
      MR_ASSIGN_OR_RETURN(Tensor t, make_scalar<int64_t>(stream_.next()));
      element->assign(1, std::move(t));
      return absl::OkStatus();
    }
    bool never_waits() const override { return true; }
    absl::Status save(StateWriter writer) override {
      stream_.save(writer);
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext&, StateReader reader) override { return stream_.restore(reader); }

   private:
    RandomStream stream_;
  };
  int64_t seed_, seed2_;
};

}  // namespace

absl::StatusOr<DatasetPtr> range_dataset(int64_t start, int64_t stop, int64_t step, ElementSpec spec) {
  if (step == 0) return invalid_argument("step must be a non-zero integer.");
  if (spec.types.size() != 1) return invalid_argument("RangeDataset has one component, not ", spec.types.size(), ".");
  int64_t count = 0;
  if (step > 0 ? start < stop : start > stop) {
    const uint64_t distance = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                       : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
    const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
    count = static_cast<int64_t>(std::min((distance - 1) / stride + 1, static_cast<uint64_t>(INT64_MAX)));
  }
  return std::make_shared<RangeDataset>(start, step, count, std::move(spec));
}

absl::StatusOr<DatasetPtr> tensor_dataset(Element element, ElementSpec spec) {
  ElementSpec found;
  for (const Tensor& t : element) {
    found.types.push_back(t.dtype());
    found.shapes.emplace_back(t.shape());
  }
  MR_RETURN_IF_ERROR(check_compatible(spec, found));
  std::vector<Element> elements;
  elements.push_back(std::move(element));
  return std::make_shared<ElementsDataset>("Tensor", std::move(elements), std::move(found));
}

absl::StatusOr<DatasetPtr> tensor_slice_dataset(Element components, ElementSpec spec) {
  if (components.empty()) return invalid_argument("TensorSliceDataset needs at least one component.");
  ElementSpec found;
  for (const Tensor& t : components) {
    if (t.rank() == 0) return invalid_argument("All components must be at least 1-dimensional");
    if (t.dim(0) != components[0].dim(0))
      return invalid_argument("All components must have the same size in the 0th dimension");
    found.types.push_back(t.dtype());
    found.shapes.emplace_back(subshape(t.shape(), 1, t.rank()));
  }
  MR_RETURN_IF_ERROR(check_compatible(spec, found));
  return std::make_shared<TensorSliceDataset>(std::move(components), std::move(found));
}

absl::StatusOr<DatasetPtr> sparse_tensor_slice_dataset(const Tensor& indices, const Tensor& values,
                                                       const Tensor& dense_shape) {
  if (indices.rank() != 2) return invalid_argument("Input indices must be a matrix. Got: ", indices.shape());
  if (values.rank() != 1) return invalid_argument("Input values must be a vector. Got: ", values.shape());
  if (dense_shape.rank() != 1) return invalid_argument("Input shape must be a vector. Got: ", dense_shape.shape());
  if (values.dim(0) != indices.dim(0))
    return invalid_argument("Number of values must match first dimension of indices. Got ", values.dim(0),
                            " values, indices shape: ", indices.shape());
  const int64_t rank = dense_shape.dim(0);
  if (rank != indices.dim(1))
    return invalid_argument("Number of dimensions must match second dimension of indices. Got ", rank,
                            " dimensions, indices shape: ", indices.shape());
  if (rank < 1) return invalid_argument("The shape argument requires at least one element.");
  const std::span<const int64_t> sizes = dense_shape.unchecked<int64_t>(), index = indices.unchecked<int64_t>();
  MR_RETURN_IF_ERROR(make_shape(sizes).status());
  // One entry of `begin` per row: a shape that claims more rows than memory allows is refused.
  if (sizes[0] > (int64_t{1} << 26))
    return resource_exhausted("SparseTensorSliceDataset: ", sizes[0], " rows are too many.");
  std::vector<int64_t> begin(static_cast<size_t>(sizes[0]) + 1, 0);
  int64_t previous = -1;
  for (int64_t i = 0; i < indices.dim(0); ++i) {
    const int64_t row = index[static_cast<size_t>(i * rank)];
    if (row < previous || row >= sizes[0] || row < 0)
      return unimplemented(
          "The SparseTensor must be ordered in the batch dimension; handling arbitrarily ordered input is not "
          "currently supported.");
    for (int64_t d = 1; d < rank; ++d) {
      const int64_t at = index[static_cast<size_t>(i * rank + d)];
      if (at < 0 || at >= sizes[static_cast<size_t>(d)])
        return invalid_argument("Sparse index ", at, " at [", i, ",", d, "] is out of range [0, ",
                                sizes[static_cast<size_t>(d)], ").");
    }
    previous = row;
    ++begin[static_cast<size_t>(row) + 1];
  }
  for (size_t r = 1; r < begin.size(); ++r) begin[r] += begin[r - 1];
  MR_ASSIGN_OR_RETURN(Tensor row_shape, make_vector<int64_t>(sizes.subspan(1)));
  ElementSpec spec{{DataType::kInt64, values.dtype(), DataType::kInt64}, {}};
  for (const auto& dims :
       {std::vector<int64_t>{-1, rank - 1}, std::vector<int64_t>{-1}, std::vector<int64_t>{rank - 1}}) {
    MR_ASSIGN_OR_RETURN(PartialTensorShape shape, make_partial_shape(dims));
    spec.shapes.push_back(std::move(shape));
  }
  return std::make_shared<SparseTensorSliceDataset>(indices, values, std::move(row_shape), std::move(begin),
                                                    std::move(spec));
}

DatasetPtr elements_dataset(std::vector<Element> elements, ElementSpec spec) {
  return std::make_shared<ElementsDataset>("Window", std::move(elements), std::move(spec));
}

DatasetPtr random_dataset(int64_t seed, int64_t seed2, ElementSpec spec) {
  choose_seeds_if_unset(&seed, &seed2);
  return std::make_shared<RandomDataset>(seed, seed2, std::move(spec));
}

}  // namespace millrace
