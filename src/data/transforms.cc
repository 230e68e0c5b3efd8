#include "data/transforms.h"

#include <mutex>

#include "absl/container/flat_hash_set.h"
#include "base/log.h"

namespace millrace {
namespace {

// A dataset of one input whose iterator is It(dataset, input iterator).
template <class It> class UnaryDataset : public Dataset, public std::enable_shared_from_this<UnaryDataset<It>> {
 public:
  UnaryDataset(std::string_view name, DatasetPtr input, typename It::Options options)
      : Dataset(input->spec(), {input.get()}), name_(name), input_(std::move(input)), options_(std::move(options)) {}
  std::string_view name() const override { return name_; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<It>(this->shared_from_this(), std::move(input));
  }
  int64_t cardinality() const override { return It::cardinality(input_->cardinality(), options_); }
  const DatasetPtr& input() const { return input_; }
  const typename It::Options& options() const { return options_; }

 private:
  std::string_view name_;
  DatasetPtr input_;
  typename It::Options options_;
};

class TakeIterator final : public UnaryIterator {
 public:
  using Options = int64_t;
  using Parent = std::shared_ptr<const UnaryDataset<TakeIterator>>;
  TakeIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), count_(parent->options()) {}
  static int64_t cardinality(int64_t n, int64_t count) {
    if (count < 0 || n == Dataset::kUnknownCardinality) return count == 0 ? 0 : n;
    return n == Dataset::kInfiniteCardinality ? count : std::min(n, count);
  }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    if (input_ && (count_ < 0 || taken_ < count_)) {
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      if (!*end) {
        ++taken_;
        return absl::OkStatus();
      }
    }
    *end = true;
    input_.reset();
    return absl::OkStatus();
  }
  bool is_ready() const override { return !input_ || input_->is_ready(); }
  absl::Status save(StateWriter writer) override {
    writer.put("taken", taken_);
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(taken_, reader.get_bounded("taken", INT64_MAX));
    return restore_input(ctx, reader);
  }

 private:
  int64_t count_, taken_ = 0;
};

class SkipIterator final : public UnaryIterator {
 public:
  using Options = int64_t;
  using Parent = std::shared_ptr<const UnaryDataset<SkipIterator>>;
  SkipIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), count_(parent->options()) {}
  static int64_t cardinality(int64_t n, int64_t count) {
    if (count < 0) return 0;
    return n < 0 ? n : std::max<int64_t>(0, n - count);
  }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    if (count_ < 0) input_.reset();
    while (input_ && skipped_ < count_) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      if (*end) input_.reset();
      ++skipped_;
    }
    if (input_) {
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      if (!*end) return absl::OkStatus();
    }
    *end = true;
    input_.reset();
    return absl::OkStatus();
  }
  bool is_ready() const override {
    return !input_ || input_->never_waits() || (skipped_ >= count_ && input_->is_ready());
  }
  absl::Status save(StateWriter writer) override {
    writer.put("skipped", skipped_);
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(skipped_, reader.get_bounded("skipped", INT64_MAX));
    return restore_input(ctx, reader);
  }

 private:
  int64_t count_, skipped_ = 0;
};

class ShardIterator final : public UnaryIterator {
 public:
  struct Options {
    int64_t num_shards, index;
  };
  using Parent = std::shared_ptr<const UnaryDataset<ShardIterator>>;
  ShardIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), options_(parent->options()) {}
  static int64_t cardinality(int64_t n, const Options& o) {
    return n < 0 ? n : n / o.num_shards + (o.index < n % o.num_shards ? 1 : 0);
  }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    while (input_) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      if (*end) {
        input_.reset();
        break;
      }
      if (next_++ % options_.num_shards == options_.index) return absl::OkStatus();
    }
    *end = true;
    return absl::OkStatus();
  }
  absl::Status save(StateWriter writer) override {
    writer.put("next", next_);
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(next_, reader.get_bounded("next", INT64_MAX));
    return restore_input(ctx, reader);
  }

 private:
  Options options_;
  int64_t next_ = 0;
};

class RepeatIterator final : public UnaryIterator {
 public:
  using Options = int64_t;
  using Parent = std::shared_ptr<const UnaryDataset<RepeatIterator>>;
  RepeatIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), parent_(std::move(parent)) {}
  static int64_t cardinality(int64_t n, int64_t count) {
    if (count == 0 || n == 0) return 0;
    if (n == Dataset::kUnknownCardinality) return n;
    if (count < 0 || n < 0) return Dataset::kInfiniteCardinality;
    return n > INT64_MAX / count ? Dataset::kInfiniteCardinality : n * count;
  }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    const int64_t count = parent_->options();
    while (count < 0 || epoch_ < count) {
      if (!input_) {
        MR_ASSIGN_OR_RETURN(input_, parent_->input()->iterate());
      }
      const bool first = first_in_epoch_;
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      first_in_epoch_ = false;
      if (!*end) return absl::OkStatus();
      *end = false;
      input_.reset();
      ++epoch_;
      first_in_epoch_ = true;
      if (first && count < 0) break;  // an empty input has no endless repetition
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
    }
    *end = true;
    return absl::OkStatus();
  }
  bool never_waits() const override { return input_ != nullptr && input_->never_waits(); }
  bool is_ready() const override { return never_waits(); }
  absl::Status save(StateWriter writer) override {
    writer.put("epoch", epoch_);
    writer.put("first_in_epoch", first_in_epoch_);
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(epoch_, reader.get_bounded("epoch", INT64_MAX));
    MR_ASSIGN_OR_RETURN(const int64_t first, reader.get_bounded("first_in_epoch", 1));
    first_in_epoch_ = first != 0;
    return restore_input(ctx, reader);
  }

 private:
  Parent parent_;
  int64_t epoch_ = 0;
  bool first_in_epoch_ = true;
};

// What one complete pass saw. Filled once, then read by all.
class CacheIterator final : public UnaryIterator {
 public:
  struct Cache {
    std::mutex mutex;
    std::shared_ptr<const std::vector<Element>> elements;  // null until a pass has ended
  };
  using Options = std::shared_ptr<Cache>;
  using Parent = std::shared_ptr<const UnaryDataset<CacheIterator>>;
  CacheIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), cache_(parent->options()) {
    std::lock_guard lock(cache_->mutex);
    cached_ = cache_->elements;
  }
  static int64_t cardinality(int64_t n, const Options&) { return n; }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    if (cached_) {
      *end = next_ == cached_->size();
      if (!*end) *element = (*cached_)[next_++];
      return absl::OkStatus();
    }
    MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
    if (!*end) {
      seen_.push_back(*element);
      return absl::OkStatus();
    }
    std::lock_guard lock(cache_->mutex);
    if (!cache_->elements) cache_->elements = std::make_shared<const std::vector<Element>>(std::move(seen_));
    cached_ = cache_->elements;
    next_ = cached_->size();
    return absl::OkStatus();
  }
  bool never_waits() const override { return cached_ != nullptr || input_->never_waits(); }
  absl::Status save(StateWriter writer) override {
    const std::vector<Element>& all = cached_ ? *cached_ : seen_;
    writer.put("complete", cached_ != nullptr);
    writer.put("next", static_cast<int64_t>(next_));
    writer.put("elements", static_cast<int64_t>(all.size()));
    for (size_t i = 0; i < all.size(); ++i) writer.put(str_cat("element[", i, "]"), all[i]);
    return cached_ ? absl::OkStatus() : save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(const int64_t complete, reader.get_bounded("complete", 1));
    MR_ASSIGN_OR_RETURN(const int64_t count, reader.get_bounded("elements", INT64_MAX));
    MR_ASSIGN_OR_RETURN(const int64_t next, reader.get_bounded("next", count));
    std::vector<Element> all;
    for (int64_t i = 0; i < count; ++i) {
      MR_ASSIGN_OR_RETURN(Element element, reader.get_element(str_cat("element[", i, "]")));
      all.push_back(std::move(element));
    }
    next_ = static_cast<size_t>(next);
    if (!complete) {
      seen_ = std::move(all);
      return restore_input(ctx, reader);
    }
    cached_ = std::make_shared<const std::vector<Element>>(std::move(all));
    std::lock_guard lock(cache_->mutex);
    cache_->elements = cached_;
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<Cache> cache_;
  std::shared_ptr<const std::vector<Element>> cached_;  // null while this iterator fills seen_
  std::vector<Element> seen_;
  size_t next_ = 0;
};

class IgnoreErrorsIterator final : public UnaryIterator {
 public:
  using Options = bool;  // whether to log
  using Parent = std::shared_ptr<const UnaryDataset<IgnoreErrorsIterator>>;
  IgnoreErrorsIterator(Parent parent, IteratorPtr input) : UnaryIterator(std::move(input)), log_(parent->options()) {}
  static int64_t cardinality(int64_t, bool) { return Dataset::kUnknownCardinality; }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    if (!input_) {
      *end = true;
      return absl::OkStatus();
    }
    absl::Status status = input_->get_next(ctx, element, end);
    while (!status.ok()) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      if (log_) log_warning("Error raised with error message ", to_std(status.message()));
      *end = false;
      // An error that comes again at once, as a broken file's does, is the end: nothing behind it can be reached.
      absl::Status again = input_->get_next(ctx, element, end);
      repeats_ = again == status ? repeats_ + 1 : 0;
      if (repeats_ > kMaxRepeats) return again;
      status = std::move(again);
    }
    repeats_ = 0;
    if (*end) input_.reset();
    return absl::OkStatus();
  }
  absl::Status save(StateWriter writer) override { return save_input(writer); }
  absl::Status restore(IterationContext& ctx, StateReader reader) override { return restore_input(ctx, reader); }

 private:
  static constexpr int64_t kMaxRepeats = 1'000'000;
  bool log_;
  int64_t repeats_ = 0;
};

class AssertCardinalityIterator final : public UnaryIterator {
 public:
  using Options = int64_t;
  using Parent = std::shared_ptr<const UnaryDataset<AssertCardinalityIterator>>;
  AssertCardinalityIterator(Parent parent, IteratorPtr input)
      : UnaryIterator(std::move(input)), expected_(parent->options()) {}
  static int64_t cardinality(int64_t, int64_t expected) { return expected; }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
    if (!*end) ++seen_;
    if (expected_ >= 0 && !*end && seen_ > expected_)
      return failed_precondition("Input dataset was expected to contain ", expected_,
                                 " elements but contained at least ", seen_, " elements.");
    if (*end && seen_ != expected_)
      return failed_precondition("Input dataset was expected to contain ",
                                 expected_ < 0 ? "an infinite number of" : str_cat(expected_),
                                 " elements but contained only ", seen_, " elements.");
    return absl::OkStatus();
  }
  absl::Status save(StateWriter writer) override {
    writer.put("seen", seen_);
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(seen_, reader.get_bounded("seen", INT64_MAX));
    return restore_input(ctx, reader);
  }

 private:
  int64_t expected_, seen_ = 0;
};

class UniqueIterator final : public UnaryIterator {
 public:
  using Options = bool;  // unused
  using Parent = std::shared_ptr<const UnaryDataset<UniqueIterator>>;
  UniqueIterator(Parent, IteratorPtr input) : UnaryIterator(std::move(input)) {}
  static int64_t cardinality(int64_t, bool) { return Dataset::kUnknownCardinality; }
  absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
    while (true) {
      if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
      MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
      if (*end || seen_.insert(bytes_of((*element)[0])).second) return absl::OkStatus();
    }
  }
  absl::Status save(StateWriter writer) override {
    writer.put("seen", static_cast<int64_t>(seen_.size()));
    int64_t i = 0;
    for (const std::string& s : seen_) writer.put(str_cat("seen[", i++, "]"), Tensor(s));
    return save_input(writer);
  }
  absl::Status restore(IterationContext& ctx, StateReader reader) override {
    MR_ASSIGN_OR_RETURN(const int64_t count, reader.get_bounded("seen", INT64_MAX));
    for (int64_t i = 0; i < count; ++i) {
      MR_ASSIGN_OR_RETURN(const Tensor t, reader.get_tensor(str_cat("seen[", i, "]")));
      if (t.dtype() == DataType::kString && t.num_elements() == 1) seen_.insert(t.unchecked<std::string>()[0]);
    }
    return restore_input(ctx, reader);
  }

 private:
  // Shape and contents.
  static std::string bytes_of(const Tensor& t) {
    std::string key = t.shape().to_string();
    if (t.dtype() == DataType::kString) {
      for (const std::string& s : t.unchecked<std::string>()) str_append(&key, s.size(), ":", s);
    } else {
      key.append(static_cast<const char*>(t.raw_data()), t.byte_size());
    }
    return key;
  }
  absl::flat_hash_set<std::string> seen_;
};

class ConcatenateDataset final : public Dataset, public std::enable_shared_from_this<ConcatenateDataset> {
 public:
  ConcatenateDataset(DatasetPtr first, DatasetPtr second, ElementSpec spec)
      : Dataset(std::move(spec), {first.get(), second.get()}), parts_{std::move(first), std::move(second)} {}
  std::string_view name() const override { return "Concatenate"; }
  int64_t cardinality() const override {
    const int64_t a = parts_[0]->cardinality(), b = parts_[1]->cardinality();
    if (a == kInfiniteCardinality || b == kInfiniteCardinality) return kInfiniteCardinality;
    return a < 0 || b < 0 ? kUnknownCardinality : a + b;
  }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr first, parts_[0]->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(first));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const ConcatenateDataset> parent, IteratorPtr first)
        : UnaryIterator(std::move(first)), parent_(std::move(parent)) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (input_) {
        MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
        if (!*end) return absl::OkStatus();
        input_.reset();
        if (++part_ == 2) break;
        *end = false;
        MR_ASSIGN_OR_RETURN(input_, parent_->parts_[1]->iterate());
      }
      *end = true;
      return absl::OkStatus();
    }
    bool never_waits() const override { return false; }
    bool is_ready() const override { return input_ == nullptr || (part_ == 1 && input_->is_ready()); }
    absl::Status save(StateWriter writer) override {
      writer.put("part", part_);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(part_, reader.get_bounded("part", 2));
      if (part_ == 1) {
        MR_ASSIGN_OR_RETURN(input_, parent_->parts_[1]->iterate());
      }
      return restore_input(ctx, reader);
    }

   private:
    std::shared_ptr<const ConcatenateDataset> parent_;
    int64_t part_ = 0;
  };
  DatasetPtr parts_[2];
};

class ZipDataset final : public Dataset {
 public:
  ZipDataset(DatasetList inputs, ElementSpec spec) : Dataset(std::move(spec), inputs), inputs_(std::move(inputs)) {}
  std::string_view name() const override { return "Zip"; }
  int64_t cardinality() const override {
    int64_t least = kInfiniteCardinality;
    for (const DatasetPtr& input : inputs_) {
      const int64_t n = input->cardinality();
      if (n == kUnknownCardinality) return kUnknownCardinality;
      if (n != kInfiniteCardinality && (least == kInfiniteCardinality || n < least)) least = n;
    }
    return least;
  }
  absl::StatusOr<IteratorPtr> iterate() const override {
    auto it = std::make_unique<Iterator>();
    for (const DatasetPtr& input : inputs_) {
      MR_ASSIGN_OR_RETURN(IteratorPtr part, input->iterate());
      it->inputs.push_back(std::move(part));
    }
    return it;
  }

 private:
  struct Iterator final : public DatasetIterator {
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      element->clear();
      *end = ended;
      // All inputs advance before an error or an end is told, so that they stay in step.
      absl::Status status;
      for (IteratorPtr& input : inputs) {
        if (ended) break;
        Element part;
        bool part_end = false;
        status.Update(input->get_next(ctx, &part, &part_end));
        if (part_end) *end = true;
        if (!*end)
          element->insert(element->end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
      }
      MR_RETURN_IF_ERROR(status);
      if (*end) {
        element->clear();
        ended = true;
        inputs.clear();
      }
      return absl::OkStatus();
    }
    bool never_waits() const override {
      for (const IteratorPtr& input : inputs)
        if (!input->never_waits()) return false;
      return true;
    }
    bool is_ready() const override {
      for (const IteratorPtr& input : inputs)
        if (!input->is_ready()) return false;
      return true;
    }
    absl::Status save(StateWriter writer) override {
      writer.put("ended", ended);
      for (size_t i = 0; i < inputs.size(); ++i) MR_RETURN_IF_ERROR(inputs[i]->save(writer.nested("input", i)));
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t e, reader.get_bounded("ended", 1));
      ended = e != 0;
      if (ended) inputs.clear();
      for (size_t i = 0; i < inputs.size(); ++i) MR_RETURN_IF_ERROR(inputs[i]->restore(ctx, reader.nested("input", i)));
      return absl::OkStatus();
    }
    std::vector<IteratorPtr> inputs;
    bool ended = false;
  };
  DatasetList inputs_;
};

class DirectedInterleaveDataset final : public Dataset {
 public:
  DirectedInterleaveDataset(DatasetPtr selector, DatasetList inputs, ElementSpec spec, bool stop_on_empty)
      : Dataset(std::move(spec), with(inputs, selector)),
        selector_(std::move(selector)),
        inputs_(std::move(inputs)),
        stop_(stop_on_empty) {}
  std::string_view name() const override { return "DirectedInterleave"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    auto it = std::make_unique<Iterator>();
    MR_ASSIGN_OR_RETURN(it->selector, selector_->iterate());
    for (const DatasetPtr& input : inputs_) {
      MR_ASSIGN_OR_RETURN(IteratorPtr part, input->iterate());
      it->inputs.push_back(std::move(part));
    }
    it->open = it->inputs.size();
    it->stop_on_empty = stop_;
    return it;
  }

 private:
  static DatasetList with(DatasetList list, const DatasetPtr& one) {
    list.push_back(one);
    return list;
  }
  struct Iterator final : public DatasetIterator {
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (selector) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        Element choice;
        MR_RETURN_IF_ERROR(selector->get_next(ctx, &choice, end));
        if (*end) break;
        if (choice.size() != 1 || choice[0].dtype() != DataType::kInt64 || choice[0].num_elements() != 1)
          return invalid_argument("The selector dataset must give scalars of int64.");
        const int64_t i = choice[0].unchecked<int64_t>()[0];
        if (i < 0 || i >= static_cast<int64_t>(inputs.size()))
          return invalid_argument("Selector index out of range: ", i, " >= ", inputs.size());
        IteratorPtr& input = inputs[static_cast<size_t>(i)];
        if (!input) continue;
        bool part_end = false;
        MR_RETURN_IF_ERROR(input->get_next(ctx, element, &part_end));
        if (!part_end) return absl::OkStatus();
        input.reset();
        if (stop_on_empty || --open == 0) break;
      }
      selector.reset();
      inputs.clear();
      *end = true;
      return absl::OkStatus();
    }
    absl::Status save(StateWriter writer) override {
      writer.put("ended", selector == nullptr);
      if (!selector) return absl::OkStatus();
      MR_RETURN_IF_ERROR(selector->save(writer.nested("selector")));
      for (size_t i = 0; i < inputs.size(); ++i) {
        writer.nested("input", i).put("open", inputs[i] != nullptr);
        if (inputs[i]) MR_RETURN_IF_ERROR(inputs[i]->save(writer.nested("input", i)));
      }
      return absl::OkStatus();
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t ended, reader.get_bounded("ended", 1));
      if (ended) {
        selector.reset();
        inputs.clear();
        return absl::OkStatus();
      }
      MR_RETURN_IF_ERROR(selector->restore(ctx, reader.nested("selector")));
      for (size_t i = 0; i < inputs.size(); ++i) {
        const StateReader part = reader.nested("input", i);
        MR_ASSIGN_OR_RETURN(const int64_t is_open, part.get_bounded("open", 1));
        if (is_open) {
          MR_RETURN_IF_ERROR(inputs[i]->restore(ctx, part));
        } else {
          inputs[i].reset();
          --open;
        }
      }
      return absl::OkStatus();
    }
    IteratorPtr selector;  // null after the end
    std::vector<IteratorPtr> inputs;
    size_t open = 0;
    bool stop_on_empty = false;
  };
  DatasetPtr selector_;
  DatasetList inputs_;
  bool stop_;
};

}  // namespace

DatasetPtr take_dataset(DatasetPtr input, int64_t count) {
  return std::make_shared<UnaryDataset<TakeIterator>>("Take", std::move(input), count);
}
DatasetPtr skip_dataset(DatasetPtr input, int64_t count) {
  return std::make_shared<UnaryDataset<SkipIterator>>("Skip", std::move(input), count);
}
DatasetPtr repeat_dataset(DatasetPtr input, int64_t count) {
  return std::make_shared<UnaryDataset<RepeatIterator>>("Repeat", std::move(input), count);
}

absl::StatusOr<DatasetPtr> shard_dataset(DatasetPtr input, int64_t num_shards, int64_t index) {
  if (num_shards <= 0)
    return invalid_argument("Number of shards must be greater than zero (currently num_shards = ", num_shards, ").");
  if (index < 0 || index >= num_shards)
    return invalid_argument("Index must be between 0 and ", num_shards - 1, " (currently index = ", index, ").");
  return std::make_shared<UnaryDataset<ShardIterator>>("Shard", std::move(input),
                                                       ShardIterator::Options{num_shards, index});
}

absl::StatusOr<DatasetPtr> concatenate_dataset(DatasetPtr first, DatasetPtr second, ElementSpec spec) {
  if (first->spec().types != second->spec().types)
    return invalid_argument("input dataset and dataset to concatenate have different output_types");
  return std::make_shared<ConcatenateDataset>(std::move(first), std::move(second), std::move(spec));
}

absl::StatusOr<DatasetPtr> zip_dataset(DatasetList inputs, ElementSpec spec) {
  ElementSpec found;
  for (const DatasetPtr& input : inputs) {
    const ElementSpec& part = input->spec();
    found.types.insert(found.types.end(), part.types.begin(), part.types.end());
    found.shapes.insert(found.shapes.end(), part.shapes.begin(), part.shapes.end());
  }
  MR_RETURN_IF_ERROR(check_compatible(spec, found));
  return std::make_shared<ZipDataset>(std::move(inputs), std::move(found));
}

DatasetPtr cache_dataset(DatasetPtr input) {
  return std::make_shared<UnaryDataset<CacheIterator>>("Cache", std::move(input),
                                                       std::make_shared<CacheIterator::Cache>());
}

DatasetPtr ignore_errors_dataset(DatasetPtr input, bool log_warning) {
  return std::make_shared<UnaryDataset<IgnoreErrorsIterator>>("IgnoreErrors", std::move(input), log_warning);
}

DatasetPtr assert_cardinality_dataset(DatasetPtr input, int64_t cardinality) {
  return std::make_shared<UnaryDataset<AssertCardinalityIterator>>("AssertCardinality", std::move(input), cardinality);
}

absl::StatusOr<DatasetPtr> unique_dataset(DatasetPtr input) {
  if (input->spec().types.size() != 1)
    return invalid_argument("`tf.data.Dataset.unique()` requires a single-component dataset.");
  const DataType dtype = input->spec().types[0];
  if (dtype != DataType::kInt32 && dtype != DataType::kInt64 && dtype != DataType::kString)
    return invalid_argument("unique needs elements of int32, int64 or string, not ", dtype_name(dtype), ".");
  return std::make_shared<UnaryDataset<UniqueIterator>>("Unique", std::move(input), false);
}

absl::StatusOr<DatasetPtr> directed_interleave_dataset(DatasetPtr selector, DatasetList inputs, ElementSpec spec,
                                                       bool stop_on_empty) {
  for (const DatasetPtr& input : inputs) {
    if (input->spec().types != spec.types)
      return invalid_argument("DirectedInterleaveDataset: all data inputs must have the declared output types.");
  }
  return std::make_shared<DirectedInterleaveDataset>(std::move(selector), std::move(inputs), std::move(spec),
                                                     stop_on_empty);
}

}  // namespace millrace
