// Barriers: tuples that are put together component by component, and leave once they are complete, those that were
// begun first before others. Complete tuples wait in a priority queue (data/queue.h), whose takes hold no thread.

#include <limits>
#include <map>
#include <mutex>

#include "data/queue.h"
#include "data/rows.h"
#include "op/shape_context.h"
#include "ops/lookup_table_ops.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// Thread-safe.
class Barrier final : public Resource {
 public:
  Barrier(std::string name, std::vector<DataType> types, std::vector<PartialTensorShape> shapes)
      : name_(std::move(name)),
        types_(std::move(types)),
        shapes_(std::move(shapes)),
        ready_(ready_options(), priority_order()) {}
  std::string description() const override { return "Barrier"; }
  const std::vector<DataType>& types() const { return types_; }
  const std::vector<PartialTensorShape>& shapes() const { return shapes_; }
  const std::string& name() const { return name_; }

  absl::Status insert(const Tensor& keys, const Tensor& values, int64_t component) {
    MR_RETURN_IF_ERROR(check_values(keys, values, component));
    std::vector<Element> complete;
    bool drained = false;
    {
      const std::lock_guard lock(mutex_);
      const auto names = keys.unchecked<std::string>();
      if (closed_) MR_RETURN_IF_ERROR(check_closed(names));
      bool new_keys = false;
      for (size_t i = 0; i < names.size(); ++i)
        MR_RETURN_IF_ERROR(put(names[i], values, static_cast<int64_t>(i), component, &complete, &new_keys));
      if (new_keys) ++next_index_;
      drained = closed_ && incomplete_.empty();
    }
    for (Element& element : complete) ready_.enqueue(std::move(element), &scope_, [](absl::Status, Element) {});
    if (drained) close_ready();
    return absl::OkStatus();
  }

  void take(int64_t n, bool allow_small_batch, CancellationScope* scope, Queue::Done done) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        const int64_t available = ready_.size();
        if (allow_small_batch) n = std::min(n, available);
        const int64_t total = available + static_cast<int64_t>(incomplete_.size());
        if (total < std::max<int64_t>(n, 1))
          return done(out_of_range("Barrier '", name_, "' is closed and has insufficient elements (requested ", n,
                                   ", total size ", total, ")"),
                      {});
        n = std::max<int64_t>(n, allow_small_batch ? 1 : 0);
      }
    }
    ready_.dequeue_many(n, allow_small_batch, scope, std::move(done));
  }

  absl::Status close(bool cancel_pending) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ && (cancel_pending_ || !cancel_pending)) return cancelled("Barrier '", name_, "' is already closed.");
      closed_ = true;
      cancel_pending_ = cancel_pending;
      if (cancel_pending) incomplete_.clear();
      if (!incomplete_.empty()) return absl::OkStatus();
    }
    close_ready();
    return absl::OkStatus();
  }

  int64_t ready_size() const { return ready_.size(); }
  int64_t incomplete_size() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(incomplete_.size());
  }

 private:
  struct Tuple {
    int64_t index = 0;
    std::vector<Tensor> components;  // no value where it has not come yet
    size_t missing = 0;
  };

  // Of complete tuples: index, key, components.
  QueueOptions ready_options() const {
    QueueOptions options;
    options.kind = "PriorityQueue";
    options.name = name_;
    options.capacity = std::numeric_limits<int64_t>::max();
    options.types = {DataType::kInt64, DataType::kString};
    options.types.insert(options.types.end(), types_.begin(), types_.end());
    if (!shapes_.empty()) {
      options.shapes = {PartialTensorShape::scalar(), PartialTensorShape::scalar()};
      options.shapes.insert(options.shapes.end(), shapes_.begin(), shapes_.end());
    }
    return options;
  }
  void close_ready() {
    ready_.close(true, &scope_, [](absl::Status, Element) {});
  }

  absl::Status check_values(const Tensor& keys, const Tensor& values, int64_t component) const {
    if (keys.rank() != 1) return invalid_argument("keys must be a vector, got shape ", keys.shape());
    if (values.rank() < 1 || values.dim(0) != keys.dim(0))
      return invalid_argument("Expected values to have ", keys.dim(0), " rows, one per key, got shape ",
                              values.shape());
    const TensorShape row = remove_dim(values.shape(), 0);
    if (row.num_elements() == 0 && values.dim(0) > 0)
      return invalid_argument("Tensors with no elements are not supported ", name_, ": received shape ",
                              values.shape());
    if (shapes_.empty() || shapes_[static_cast<size_t>(component)].is_compatible_with(row)) return absl::OkStatus();
    return invalid_argument("Shape mismatch in tuple component ", component, ". Expected ",
                            shapes_[static_cast<size_t>(component)], ", got ", row);
  }

  absl::Status check_closed(std::span<const std::string> keys) const {
    int64_t brand_new = 0;
    for (const std::string& key : keys) brand_new += incomplete_.contains(key) ? 0 : 1;
    if (!cancel_pending_ && (brand_new == 0 || !incomplete_.empty())) return absl::OkStatus();
    return cancelled("Barrier ", name_, " is closed.  Pending enqueues cancelled: ", cancel_pending_ ? 1 : 0,
                     ".  Number of new insertions: ", brand_new, ".  Number of incomplete keys: ", incomplete_.size(),
                     ".");
  }

  absl::Status put(const std::string& key, const Tensor& values, int64_t row, int64_t component,
                   std::vector<Element>* complete, bool* new_keys) {
    auto found = incomplete_.find(key);
    if (found == incomplete_.end()) {
      if (closed_)
        return cancelled("Barrier ", name_, " is closed, but attempted to insert a brand new key: ", key,
                         ".  Pending enqueues cancelled: ", cancel_pending_ ? 1 : 0, ".  Insertion index: ", row,
                         ".  Number of incomplete keys: ", incomplete_.size(), ".");
      found = incomplete_.emplace(key, Tuple{next_index_, std::vector<Tensor>(types_.size()), types_.size()}).first;
      *new_keys = true;
    }
    Tuple& tuple = found->second;
    Tensor& place = tuple.components[static_cast<size_t>(component)];
    if (place.has_value())
      return invalid_argument("Key ", key, " already has a value for component ", component, " in barrier ", name_);
    MR_ASSIGN_OR_RETURN(place, copy_row(values, row));
    if (--tuple.missing > 0) return absl::OkStatus();
    Element element;
    MR_ASSIGN_OR_RETURN(Tensor index, make_scalar<int64_t>(tuple.index));
    MR_ASSIGN_OR_RETURN(Tensor name, make_scalar<std::string>(key));
    element.push_back(std::move(index));
    element.push_back(std::move(name));
    for (Tensor& t : tuple.components) element.push_back(std::move(t));
    complete->push_back(std::move(element));
    incomplete_.erase(found);
    return absl::OkStatus();
  }

  const std::string name_;
  const std::vector<DataType> types_;
  const std::vector<PartialTensorShape> shapes_;  // one per component, or none
  mutable std::mutex mutex_;                      // guards what follows; ready_ guards itself
  bool closed_ = false, cancel_pending_ = false;
  int64_t next_index_ = std::numeric_limits<int64_t>::min();
  std::map<std::string, Tuple> incomplete_;
  CancellationScope scope_;  // of what waits for nothing: enqueues, as there is always room, and closing
  Queue ready_;
};

class MakeBarrier final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init));
    MR_ASSIGN_OR_RETURN(types_, init.attr<std::vector<DataType>>("component_types"));
    MR_ASSIGN_OR_RETURN(shapes_, init.attr<std::vector<PartialTensorShape>>("shapes"));
    MR_ASSIGN_OR_RETURN(const int64_t capacity, init.attr<int64_t>("capacity"));
    if (!shapes_.empty() && shapes_.size() != types_.size())
      return invalid_argument("All of the component shapes must be specified");
    for (const PartialTensorShape& shape : shapes_) {
      if (shape.is_fully_defined() && shape.num_elements() == 0)
        return invalid_argument("Empty tensors are not supported, but received shape '", shape, "'");
    }
    if (capacity != -1)
      return invalid_argument(
          "Barrier only accepts capacity=-1.  Feed the inputs to your Barrier through a queue to enforce a limited "
          "capacity.");
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto barrier,
                        ctx.resources().lookup_or_create<Barrier>(
                            name_.container, name_.name, [&]() -> absl::StatusOr<std::shared_ptr<Barrier>> {
                              return std::make_shared<Barrier>(name_.name, types_, shapes_);
                            }));
    if (barrier->types() != types_)
      return invalid_argument("Shared barrier '", name_.name, "' has component types ", type_list(barrier->types()),
                              " but requested component types were ", type_list(types_));
    if (barrier->shapes() != shapes_)
      return invalid_argument("Shared barrier '", name_.name, "' has other component shapes than requested");
    return set_handle(ctx, 0, name_, "Barrier", types_, shapes_);
  }

  ResourceName name_;
  std::vector<DataType> types_;
  std::vector<PartialTensorShape> shapes_;
};

class InsertMany final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(component_, init.attr<int64_t>("component_index"));
    return absl::OkStatus();
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto barrier, find_resource<Barrier>(ctx, 0));
    const auto components = static_cast<int64_t>(barrier->types().size());
    if (component_ < 0 || component_ >= components)
      return invalid_argument("The component ID is out of range ", component_, " > num_components (= ", components,
                              ")");
    MR_RETURN_IF_ERROR(
        check_table_types(ctx, {DataType::kString, barrier->types()[static_cast<size_t>(component_)]}, {}));
    return barrier->insert(ctx.input(1), ctx.input(2), component_);
  }
  int64_t component_ = 0;
};

class TakeMany final : public AsyncKernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(allow_small_batch_, init.attr<bool>("allow_small_batch"));
    MR_ASSIGN_OR_RETURN(const int64_t timeout, init.attr<int64_t>("timeout_ms"));
    // TensorFlow's kernel does not look at wait_for_incomplete either: takes always wait for tuples to be completed.
    return timeout == -1 ? absl::OkStatus() : invalid_argument("Timeout not supported yet.");
  }
  void compute_async(KernelContext& ctx, Done done) override {
    const auto found = find_resource<Barrier>(ctx, 0);
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<Barrier> barrier = *found;
    std::vector<DataType> outputs = {DataType::kInt64, DataType::kString};
    outputs.insert(outputs.end(), barrier->types().begin(), barrier->types().end());
    if (absl::Status status = check_table_types(ctx, {DataType::kInt32}, outputs); !status.ok())
      return done(std::move(status));
    const absl::StatusOr<int64_t> n = ctx.int_scalar(1);
    if (!n.ok()) return done(n.status());
    if (*n < 0) return done(invalid_argument("num_elements must be non-negative, got ", *n));
    barrier->take(*n, allow_small_batch_, ctx.cancellation(),
                  [&ctx, barrier, done = std::move(done)](absl::Status status, Element element) {
                    for (size_t i = 0; status.ok() && i < element.size(); ++i)
                      status = ctx.set_output(static_cast<int>(i), std::move(element[i]));
                    done(std::move(status));
                  });
  }
  bool allow_small_batch_ = false;
};

class CloseBarrier final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto barrier, find_resource<Barrier>(ctx, 0));
    MR_ASSIGN_OR_RETURN(const bool cancel, get_attr<bool>(ctx.node(), "cancel_pending_enqueues"));
    return barrier->close(cancel);
  }
};

template <int64_t (Barrier::*kSize)() const> class Size final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto barrier, find_resource<Barrier>(ctx, 0));
    return ctx.set_scalar(0, static_cast<int32_t>(((*barrier).*kSize)()));
  }
};

absl::Status insert_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape keys, c.with_rank(1, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape values, c.with_rank_at_least(2, 1));
  MR_ASSIGN_OR_RETURN(const PartialTensorShape rows, make_partial_shape({values.has_rank() ? values.dim(0) : -1}));
  return merge(keys, rows).status();
}

absl::Status take_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return unknown_shapes(c);
}

absl::Status handle_only_shape(ShapeContext& c) { return check_handle_shape(c, 0); }

absl::Status size_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(check_handle_shape(c, 0));
  return scalar_shape(c);
}

}  // namespace

void register_barrier(Registry& registry) {
  registry.op("Barrier")
      .output("handle: Ref(string)")
      .attr("component_types: list(type) >= 1")
      .attr("shapes: list(shape) >= 0 = []")
      .attr("capacity: int = -1")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .stateful()
      .shape(named_handle_shape)
      .cpu<MakeBarrier>()
      .not_differentiable()
      .doc("Where tuples are put together by key, component by component.");
  const auto access = [&](const char* name) {
    return registry.op(name).input("handle: Ref(string)").not_differentiable();
  };
  access("BarrierInsertMany")
      .input("keys: string")
      .input("values: T")
      .attr("T: type")
      .attr("component_index: int")
      .shape(insert_shape)
      .cpu<InsertMany>()
      .doc("Sets one component of the tuples of some keys.");
  access("BarrierTakeMany")
      .input("num_elements: int32")
      .output("indices: int64")
      .output("keys: string")
      .output("values: component_types")
      .attr("component_types: list(type) >= 1")
      .attr("allow_small_batch: bool = false")
      .attr("wait_for_incomplete: bool = false")
      .attr("timeout_ms: int = -1")
      .shape(take_shape)
      .cpu<TakeMany>()
      .doc("Takes complete tuples as a batch, once there are enough.");
  access("BarrierClose")
      .attr("cancel_pending_enqueues: bool = false")
      .shape(handle_only_shape)
      .cpu<CloseBarrier>()
      .doc("No new keys from now on.");
  access("BarrierReadySize")
      .output("size: int32")
      .shape(size_shape)
      .cpu<Size<&Barrier::ready_size>>()
      .doc("How many tuples are complete.");
  access("BarrierIncompleteSize")
      .output("size: int32")
      .shape(size_shape)
      .cpu<Size<&Barrier::incomplete_size>>()
      .doc("How many tuples miss a component.");
}

}  // namespace millrace
