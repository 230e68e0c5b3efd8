#include "data/map.h"

#include <algorithm>
#include <map>

#include "data/background.h"
#include "data/sources.h"

namespace millrace {
namespace {

absl::Status check_output(const ElementSpec& spec, const CapturedFunction& function, std::string_view what) {
  if (function.output_types() == spec.types) return absl::OkStatus();
  return invalid_argument(what, ": the function's results have other dtypes than output_types says.");
}

class MapDataset final : public Dataset, public std::enable_shared_from_this<MapDataset> {
 public:
  MapDataset(DatasetPtr input, FunctionPtr function, MapOptions options, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        function_(std::move(function)),
        options_(options) {}
  std::string_view name() const override { return options_.num_parallel_calls == 0 ? "Map" : "ParallelMap"; }
  int64_t cardinality() const override {
    return options_.preserve_cardinality ? input_->cardinality() : kUnknownCardinality;
  }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    if (options_.num_parallel_calls != 0) return parallel_map_iterator(std::move(input), function_, options_);
    return std::make_unique<Iterator>(std::move(input), function_, options_);
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(IteratorPtr input, FunctionPtr function, MapOptions options)
        : UnaryIterator(std::move(input)), function_(std::move(function)), options_(options) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      Element args;
      MR_RETURN_IF_ERROR(input_->get_next(ctx, &args, end));
      if (*end) return absl::OkStatus();
      MR_ASSIGN_OR_RETURN(*element, call_map_function(*function_, options_, std::move(args), ctx.cancellation, end));
      return absl::OkStatus();
    }
    bool never_waits() const override { return false; }
    absl::Status save(StateWriter writer) override {
      function_->note_state(writer);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override { return restore_input(ctx, reader); }

   private:
    FunctionPtr function_;
    MapOptions options_;
  };
  DatasetPtr input_;
  FunctionPtr function_;
  MapOptions options_;
};

// Both filter (passes over elements) and take_while (ends at the first one).
class FilterDataset final : public Dataset {
 public:
  FilterDataset(DatasetPtr input, FunctionPtr predicate, bool ends)
      : Dataset(input->spec(), {input.get()}),
        input_(std::move(input)),
        predicate_(std::move(predicate)),
        ends_(ends) {}
  std::string_view name() const override { return ends_ ? "TakeWhile" : "Filter"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(std::move(input), predicate_, ends_);
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(IteratorPtr input, FunctionPtr predicate, bool ends)
        : UnaryIterator(std::move(input)), predicate_(std::move(predicate)), ends_(ends) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (input_) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        MR_RETURN_IF_ERROR(input_->get_next(ctx, element, end));
        if (*end) break;
        absl::StatusOr<bool> keep = predicate_->run_predicate(*element, ctx.cancellation);
        if (!keep.ok() && absl::IsOutOfRange(keep.status())) break;
        MR_RETURN_IF_ERROR(keep.status());
        if (*keep) return absl::OkStatus();
        if (ends_) break;
      }
      input_.reset();
      element->clear();
      *end = true;
      return absl::OkStatus();
    }
    bool never_waits() const override { return false; }
    absl::Status save(StateWriter writer) override {
      predicate_->note_state(writer);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override { return restore_input(ctx, reader); }

   private:
    FunctionPtr predicate_;
    bool ends_;
  };
  DatasetPtr input_;
  FunctionPtr predicate_;
  bool ends_;
};

// One open dataset of flat_map or interleave, with the element that it was made of.
struct Slot {
  Element args;
  IteratorPtr iterator;

  absl::Status open(const CapturedFunction& function, int64_t prefetch, CancellationScope* cancellation) {
    MR_ASSIGN_OR_RETURN(const DatasetPtr dataset, function.run_dataset(args, cancellation));
    MR_ASSIGN_OR_RETURN(iterator, dataset->iterate());
    if (prefetch > 0) iterator = prefetch_iterator(std::move(iterator), prefetch);
    return absl::OkStatus();
  }
  void close() { *this = Slot(); }
  absl::Status save(StateWriter writer) {
    writer.put("open", iterator != nullptr);
    if (!iterator) return absl::OkStatus();
    writer.put("args", args);
    return iterator->save(writer.nested("iterator"));
  }
  absl::Status restore(IterationContext& ctx, StateReader reader, const CapturedFunction& function, int64_t prefetch) {
    MR_ASSIGN_OR_RETURN(const int64_t is_open, reader.get_bounded("open", 1));
    if (!is_open) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(args, reader.get_element("args"));
    MR_RETURN_IF_ERROR(open(function, prefetch, ctx.cancellation));
    return iterator->restore(ctx, reader.nested("iterator"));
  }
};

class InterleaveDataset final : public Dataset, public std::enable_shared_from_this<InterleaveDataset> {
 public:
  InterleaveDataset(std::string_view name, DatasetPtr input, FunctionPtr function, InterleaveOptions options,
                    ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        name_(name),
        input_(std::move(input)),
        function_(std::move(function)),
        options_(options) {}
  std::string_view name() const override { return name_; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(input));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const InterleaveDataset> parent, IteratorPtr input)
        : UnaryIterator(std::move(input)), parent_(std::move(parent)) {}

    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (input_ || num_open_ > 0) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        // Slots are made as they are first reached: a huge cycle_length costs nothing by itself.
        if (position_ == slots_.size()) {
          if (!input_) {
            next_slot();
            continue;
          }
          slots_.emplace_back();
        }
        Slot& slot = slots_[position_];
        if (slot.iterator) {
          bool slot_end = false;
          const absl::Status status = slot.iterator->get_next(ctx, element, &slot_end);
          if (!slot_end || !status.ok()) {
            if (++block_ == parent_->options_.block_length) next_slot();
            return status;
          }
          slot.close();
          --num_open_;
          next_slot();
        } else if (input_) {
          MR_RETURN_IF_ERROR(input_->get_next(ctx, &slot.args, end));
          if (*end) {
            *end = false;
            input_.reset();
            continue;
          }
          MR_RETURN_IF_ERROR(slot.open(*parent_->function_, prefetch(), ctx.cancellation));
          ++num_open_;
        } else {
          next_slot();
        }
      }
      *end = true;
      return absl::OkStatus();
    }
    bool never_waits() const override { return false; }
    // Flattened files: the open one may have its next element at hand.
    bool is_ready() const override {
      return position_ < slots_.size() && slots_[position_].iterator && slots_[position_].iterator->is_ready() &&
             parent_->options_.parallel;
    }

    absl::Status save(StateWriter writer) override {
      parent_->function_->note_state(writer);
      writer.put("position", static_cast<int64_t>(position_));
      writer.put("block", block_);
      writer.put("slots", static_cast<int64_t>(slots_.size()));
      for (size_t i = 0; i < slots_.size(); ++i) MR_RETURN_IF_ERROR(slots_[i].save(writer.nested("slot", i)));
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t slots, reader.get_bounded("slots", parent_->options_.cycle_length));
      MR_ASSIGN_OR_RETURN(const int64_t position, reader.get_bounded("position", slots));
      MR_ASSIGN_OR_RETURN(block_, reader.get_bounded("block", parent_->options_.block_length));
      position_ = static_cast<size_t>(position);
      for (int64_t i = 0; i < slots; ++i) {
        slots_.emplace_back();
        MR_RETURN_IF_ERROR(
            slots_.back().restore(ctx, reader.nested("slot", static_cast<size_t>(i)), *parent_->function_, prefetch()));
        num_open_ += slots_.back().iterator != nullptr;
      }
      return restore_input(ctx, reader);
    }

   private:
    int64_t prefetch() const {
      return parent_->options_.parallel ? std::clamp<int64_t>(parent_->options_.block_length, 2, 64) : 0;
    }
    void next_slot() {
      block_ = 0;
      ++position_;
      const auto cycle = static_cast<size_t>(parent_->options_.cycle_length);
      if (position_ >= cycle || (!input_ && position_ >= slots_.size())) position_ = 0;
    }
    std::shared_ptr<const InterleaveDataset> parent_;
    std::vector<Slot> slots_;
    size_t position_ = 0;
    int64_t block_ = 0, num_open_ = 0;
  };
  std::string_view name_;
  DatasetPtr input_;
  FunctionPtr function_;
  InterleaveOptions options_;
};

class ScanDataset final : public Dataset, public std::enable_shared_from_this<ScanDataset> {
 public:
  ScanDataset(DatasetPtr input, Element state, FunctionPtr function, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        state_(std::move(state)),
        function_(std::move(function)) {}
  std::string_view name() const override { return "Scan"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(input));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const ScanDataset> parent, IteratorPtr input)
        : UnaryIterator(std::move(input)), parent_(std::move(parent)), state_(parent_->state_) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      Element next;
      MR_RETURN_IF_ERROR(input_->get_next(ctx, &next, end));
      if (*end) return absl::OkStatus();
      Element args = state_;
      args.insert(args.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
      absl::StatusOr<Element> result = parent_->function_->run(std::move(args), ctx.cancellation);
      if (!result.ok() && absl::IsOutOfRange(result.status())) {
        *end = true;
        return absl::OkStatus();
      }
      MR_RETURN_IF_ERROR(result.status());
      if (result->size() < state_.size())
        return invalid_argument("The scan function must return the state and an element.");
      for (size_t i = 0; i < state_.size(); ++i) {
        if ((*result)[i].dtype() != state_[i].dtype())
          return invalid_argument("Got wrong type for scan_func return value ", i, " (expected ",
                                  dtype_name(state_[i].dtype()), ", got ", dtype_name((*result)[i].dtype()), ").");
      }
      const auto split = result->begin() + static_cast<std::ptrdiff_t>(state_.size());
      state_.assign(result->begin(), split);
      element->assign(split, result->end());
      return absl::OkStatus();
    }
    bool never_waits() const override { return false; }
    absl::Status save(StateWriter writer) override {
      parent_->function_->note_state(writer);
      writer.put("state", state_);
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(state_, reader.get_element("state"));
      return restore_input(ctx, reader);
    }

   private:
    std::shared_ptr<const ScanDataset> parent_;
    Element state_;
  };
  DatasetPtr input_;
  Element state_;
  FunctionPtr function_;
};

class GroupByWindowDataset final : public Dataset, public std::enable_shared_from_this<GroupByWindowDataset> {
 public:
  GroupByWindowDataset(DatasetPtr input, FunctionPtr key, FunctionPtr reduce, FunctionPtr window_size, ElementSpec spec)
      : Dataset(std::move(spec), {input.get()}),
        input_(std::move(input)),
        key_(std::move(key)),
        reduce_(std::move(reduce)),
        window_size_(std::move(window_size)) {}
  std::string_view name() const override { return "GroupByWindow"; }
  absl::StatusOr<IteratorPtr> iterate() const override {
    MR_ASSIGN_OR_RETURN(IteratorPtr input, input_->iterate());
    return std::make_unique<Iterator>(shared_from_this(), std::move(input));
  }

 private:
  class Iterator final : public UnaryIterator {
   public:
    Iterator(std::shared_ptr<const GroupByWindowDataset> parent, IteratorPtr input)
        : UnaryIterator(std::move(input)), parent_(std::move(parent)) {}
    absl::Status get_next(IterationContext& ctx, Element* element, bool* end) override {
      while (true) {
        if (ctx.cancellation->is_cancelled()) return ctx.cancellation->status();
        if (group_) {
          bool group_end = false;
          MR_RETURN_IF_ERROR(group_->get_next(ctx, element, &group_end));
          if (!group_end) return absl::OkStatus();
          group_.reset();
        }
        if (!input_) {  // what is left, in the order of keys
          if (groups_.empty()) {
            *end = true;
            return absl::OkStatus();
          }
          auto first = groups_.extract(groups_.begin());
          MR_RETURN_IF_ERROR(start(first.key(), std::move(first.mapped().elements), ctx));
          continue;
        }
        Element next;
        MR_RETURN_IF_ERROR(input_->get_next(ctx, &next, end));
        if (*end) {
          *end = false;
          input_.reset();
          continue;
        }
        MR_ASSIGN_OR_RETURN(const int64_t key, parent_->key_->run_integer(next, ctx.cancellation));
        MR_ASSIGN_OR_RETURN(Group * group, group_of(key, ctx));
        group->elements.push_back(std::move(next));
        if (static_cast<int64_t>(group->elements.size()) < group->window_size) continue;
        auto full = groups_.extract(key);
        MR_RETURN_IF_ERROR(start(key, std::move(full.mapped().elements), ctx));
      }
    }
    bool never_waits() const override { return false; }
    absl::Status save(StateWriter writer) override {
      for (const FunctionPtr& function : {parent_->key_, parent_->reduce_, parent_->window_size_})
        function->note_state(writer);
      writer.put("groups", static_cast<int64_t>(groups_.size()));
      size_t g = 0;
      for (const auto& [key, group] : groups_) {
        StateWriter part = writer.nested("group", g++);
        part.put("key", key);
        part.put("window_size", group.window_size);
        put_elements(part, group.elements);
      }
      writer.put("open", group_ != nullptr);
      if (group_) {
        StateWriter part = writer.nested("open");
        part.put("key", open_key_);
        put_elements(part, open_elements_);
        MR_RETURN_IF_ERROR(group_->save(writer.nested("iterator")));
      }
      return save_input(writer);
    }
    absl::Status restore(IterationContext& ctx, StateReader reader) override {
      MR_ASSIGN_OR_RETURN(const int64_t groups, reader.get_bounded("groups", INT32_MAX));
      for (int64_t g = 0; g < groups; ++g) {
        const StateReader part = reader.nested("group", static_cast<size_t>(g));
        MR_ASSIGN_OR_RETURN(const int64_t key, part.get("key"));
        Group& group = groups_[key];
        MR_ASSIGN_OR_RETURN(group.window_size, part.get_bounded("window_size", INT64_MAX));
        MR_ASSIGN_OR_RETURN(group.elements, get_elements(part));
      }
      MR_ASSIGN_OR_RETURN(const int64_t open, reader.get_bounded("open", 1));
      if (open) {
        const StateReader part = reader.nested("open");
        MR_ASSIGN_OR_RETURN(const int64_t key, part.get("key"));
        MR_ASSIGN_OR_RETURN(std::vector<Element> elements, get_elements(part));
        MR_RETURN_IF_ERROR(start(key, std::move(elements), ctx));
        MR_RETURN_IF_ERROR(group_->restore(ctx, reader.nested("iterator")));
      }
      return restore_input(ctx, reader);
    }

   private:
    struct Group {
      std::vector<Element> elements;
      int64_t window_size = 0;
    };
    static void put_elements(StateWriter& writer, const std::vector<Element>& elements) {
      writer.put("elements", static_cast<int64_t>(elements.size()));
      for (size_t i = 0; i < elements.size(); ++i) writer.put(str_cat("element[", i, "]"), elements[i]);
    }
    static absl::StatusOr<std::vector<Element>> get_elements(const StateReader& reader) {
      MR_ASSIGN_OR_RETURN(const int64_t size, reader.get_bounded("elements", INT32_MAX));
      std::vector<Element> elements;
      for (int64_t i = 0; i < size; ++i) {
        MR_ASSIGN_OR_RETURN(Element element, reader.get_element(str_cat("element[", i, "]")));
        elements.push_back(std::move(element));
      }
      return elements;
    }
    absl::StatusOr<Group*> group_of(int64_t key, IterationContext& ctx) {
      const auto it = groups_.find(key);
      if (it != groups_.end()) return &it->second;
      MR_ASSIGN_OR_RETURN(Tensor key_tensor, make_scalar(key));
      MR_ASSIGN_OR_RETURN(const int64_t size,
                          parent_->window_size_->run_integer({std::move(key_tensor)}, ctx.cancellation));
      if (size <= 0) return invalid_argument("Window size must be greater than zero, but got ", size, ".");
      Group& group = groups_[key];
      group.window_size = size;
      return &group;
    }
    // Makes the dataset of a full group the one that elements come from.
    absl::Status start(int64_t key, std::vector<Element> elements, IterationContext& ctx) {
      open_key_ = key;
      open_elements_ = elements;
      MR_ASSIGN_OR_RETURN(Tensor key_tensor, make_scalar(key));
      MR_ASSIGN_OR_RETURN(Tensor window,
                          dataset_to_tensor(elements_dataset(std::move(elements), parent_->input_->spec())));
      MR_ASSIGN_OR_RETURN(const DatasetPtr reduced,
                          parent_->reduce_->run_dataset({std::move(key_tensor), std::move(window)}, ctx.cancellation));
      MR_RETURN_IF_ERROR(check_compatible(parent_->spec(), reduced->spec()));
      MR_ASSIGN_OR_RETURN(group_, reduced->iterate());
      return absl::OkStatus();
    }
    std::shared_ptr<const GroupByWindowDataset> parent_;
    std::map<int64_t, Group> groups_;
    IteratorPtr group_;  // of the group that is being given out, made of open_key_ and open_elements_
    int64_t open_key_ = 0;
    std::vector<Element> open_elements_;
  };
  DatasetPtr input_;
  FunctionPtr key_, reduce_, window_size_;
};

}  // namespace

absl::StatusOr<DatasetPtr> map_dataset(DatasetPtr input, FunctionPtr function, MapOptions options, ElementSpec spec) {
  if (options.num_parallel_calls < -1) return invalid_argument("num_parallel_calls must be greater than zero.");
  MR_RETURN_IF_ERROR(check_output(spec, *function, "MapDataset"));
  return std::make_shared<MapDataset>(std::move(input), std::move(function), options, std::move(spec));
}
DatasetPtr filter_dataset(DatasetPtr input, FunctionPtr predicate) {
  return std::make_shared<FilterDataset>(std::move(input), std::move(predicate), false);
}
DatasetPtr take_while_dataset(DatasetPtr input, FunctionPtr predicate) {
  return std::make_shared<FilterDataset>(std::move(input), std::move(predicate), true);
}
DatasetPtr flat_map_dataset(DatasetPtr input, FunctionPtr function, ElementSpec spec) {
  return std::make_shared<InterleaveDataset>("FlatMap", std::move(input), std::move(function),
                                             InterleaveOptions{1, INT64_MAX, false}, std::move(spec));
}

absl::StatusOr<DatasetPtr> interleave_dataset(DatasetPtr input, FunctionPtr function, InterleaveOptions options,
                                              ElementSpec spec) {
  if (options.cycle_length == -1) options.cycle_length = default_parallelism();
  if (options.cycle_length <= 0) return invalid_argument("cycle_length must be greater than zero.");
  if (options.block_length <= 0) return invalid_argument("block_length must be greater than zero.");
  return std::make_shared<InterleaveDataset>(options.parallel ? "ParallelInterleave" : "Interleave", std::move(input),
                                             std::move(function), options, std::move(spec));
}
DatasetPtr scan_dataset(DatasetPtr input, Element state, FunctionPtr function, ElementSpec spec) {
  return std::make_shared<ScanDataset>(std::move(input), std::move(state), std::move(function), std::move(spec));
}
DatasetPtr group_by_window_dataset(DatasetPtr input, FunctionPtr key, FunctionPtr reduce, FunctionPtr window_size,
                                   ElementSpec spec) {
  return std::make_shared<GroupByWindowDataset>(std::move(input), std::move(key), std::move(reduce),
                                                std::move(window_size), std::move(spec));
}

absl::StatusOr<Element> reduce_dataset(const Dataset& input, Element state, const CapturedFunction& function,
                                       CancellationScope* cancellation) {
  MR_ASSIGN_OR_RETURN(const IteratorPtr iterator, input.iterate());
  IterationContext ctx{cancellation};
  while (true) {
    if (cancellation->is_cancelled()) return cancellation->status();
    Element args;
    bool end = false;
    MR_RETURN_IF_ERROR(iterator->get_next(ctx, &args, &end));
    if (end) return state;
    args.insert(args.begin(), state.begin(), state.end());
    MR_ASSIGN_OR_RETURN(Element result, function.run(std::move(args), cancellation));
    if (result.size() != state.size())
      return invalid_argument("The reduce function must return as many values as the state has.");
    for (size_t i = 0; i < state.size(); ++i) {
      if (result[i].dtype() != state[i].dtype())
        return invalid_argument("The reduce function changes the dtype of state ", i, ".");
    }
    state = std::move(result);
  }
}

}  // namespace millrace
