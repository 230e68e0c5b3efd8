#include "data/shuffle.h"

#include <algorithm>

namespace millrace {
namespace {

class ShuffleDataset final : public Dataset, public std::enable_shared_from_this<ShuffleDataset> {
 public:
  ShuffleDataset(DatasetPtr input, int64_t buffer_size, std::shared_ptr<SeedGenerator> seeds)
      : Dataset(input->spec(), {input.get()}),
        input_(std::move(input)),
        buffer_size_(buffer_size),
        seeds_(std::move(seeds)) {}
  std::string_view name() const override { return "Shuffle"; }
  int64_t cardinality() const override { return input_->cardinality(); }
  absl::StatusOr<IteratorPtr> iterate() const override;

 private:
  class Iterator;
  DatasetPtr input_;
  int64_t buffer_size_;
  std::shared_ptr<SeedGenerator> seeds_;
};

class ShuffleDataset::Iterator final : public UnaryIterator {
 public:
  Iterator(std::shared_ptr<const ShuffleDataset> dataset, IteratorPtr input, std::pair<int64_t, int64_t> seeds)
      : UnaryIterator(std::move(input)), dataset_(std::move(dataset)), random_(seeds.first, seeds.second) {}

  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    MR_RETURN_IF_ERROR(fill(ctx));
    if (begin_ == end_) {
      *end = true;
      return absl::OkStatus();
    }
    // A random element goes out; the oldest one takes its place.
    Element& chosen = slot(begin_ + random_.next() % (end_ - begin_));
    *element = std::move(chosen);
    std::swap(chosen, slot(begin_));
    ++begin_;
    return absl::OkStatus();
  }

  absl::Status save(StateWriter writer) override {
    random_.save(writer.nested("random"));
    dataset_->seeds_->save(writer.nested("generator"));
    writer.put("elements", end_ - begin_);
    for (int64_t i = begin_; i < end_; ++i) writer.put(str_cat("element[", i - begin_, "]"), slot(i));
    return save_input(writer);
  }

  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_RETURN_IF_ERROR(random_.restore(reader.nested("random")));
    MR_RETURN_IF_ERROR(dataset_->seeds_->restore(reader.nested("generator")));
    MR_ASSIGN_OR_RETURN(const int64_t count, reader.get_bounded("elements", dataset_->buffer_size_));
    for (int64_t i = 0; i < count; ++i) {
      MR_ASSIGN_OR_RETURN(Element element, reader.get_element(str_cat("element[", i, "]")));
      add(std::move(element));
    }
    return restore_input(ctx, reader);
  }

 private:
  Element& slot(int64_t number) { return buffer_[static_cast<size_t>(number % dataset_->buffer_size_)]; }

  // The buffer grows with the elements: a huge buffer_size costs nothing by itself.
  void add(Element element) {
    if (end_ < dataset_->buffer_size_) buffer_.emplace_back();
    slot(end_++) = std::move(element);
  }

  absl::Status fill(IterationContext& ctx) {
    while (input_ && end_ - begin_ < dataset_->buffer_size_) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      Element element;
      bool end = false;
      MR_RETURN_IF_ERROR(input_->get_next(ctx, &element, &end));
      if (end) input_.reset();
      else add(std::move(element));
    }
    return absl::OkStatus();
  }

  std::shared_ptr<const ShuffleDataset> dataset_;
  RandomStream random_;
  std::vector<Element> buffer_;
  int64_t begin_ = 0, end_ = 0;  // numbers of the elements in the buffer; number n lies in slot n % buffer_size
};

absl::StatusOr<IteratorPtr> ShuffleDataset::iterate() const {
  MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
  return std::make_unique<Iterator>(shared_from_this(), std::move(input), seeds_->next());
}

}  // namespace

absl::StatusOr<DatasetPtr> shuffle_dataset(DatasetPtr input, int64_t buffer_size,
                                           std::shared_ptr<SeedGenerator> seeds) {
  if (buffer_size == Dataset::kUnknownCardinality || buffer_size == Dataset::kInfiniteCardinality) {
    const int64_t all = input->cardinality();
    buffer_size = all > 0 ? all : INT64_MAX / 4;
  }
  if (buffer_size <= 0) return invalid_argument("buffer_size must be greater than zero or UNKNOWN_CARDINALITY");
  return std::make_shared<ShuffleDataset>(std::move(input), std::min(buffer_size, INT64_MAX / 4), std::move(seeds));
}

}  // namespace millrace
