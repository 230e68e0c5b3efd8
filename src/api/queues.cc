#include "millrace/queues.h"

#include <algorithm>

#include "api/op_builder.h"
#include "base/fingerprint.h"
#include "base/strings.h"
#include "millrace/array_ops.h"

namespace millrace {
namespace {

AttrMap queue_attrs(int64_t capacity, const std::vector<DataType>& dtypes,
                    const std::vector<PartialTensorShape>& shapes, const std::string& shared_name) {
  if (!shapes.empty() && shapes.size() != dtypes.size())
    raise(invalid_argument("Queue shapes must have the same length as dtypes, got ", shapes.size(), " and ",
                           dtypes.size(), "."));
  return {{"component_types", dtypes}, {"shapes", shapes}, {"capacity", capacity}, {"shared_name", shared_name}};
}

// This kind only: TensorFlow puts it on a CPU, whatever it is to wait for.
Output fifo_queue(int64_t capacity, const std::vector<DataType>& dtypes, const FIFOQueueOptions& o) {
  const control_dependencies none(nullptr);
  const device cpu("CPU");
  return create_output("FIFOQueueV2", {}, queue_attrs(capacity, dtypes, o.shapes, o.shared_name), o.name);
}

Output random_shuffle_queue(int64_t capacity, int64_t min_after_dequeue, const std::vector<DataType>& dtypes,
                            const RandomShuffleQueueOptions& o) {
  AttrMap attrs = queue_attrs(capacity, dtypes, o.shapes, o.shared_name);
  attrs["min_after_dequeue"] = min_after_dequeue;
  SeedPair seeds = get_seed(o.seed);
  // All that share the queue agree on its seed, wherever in their graphs it stands.
  if (!o.shared_name.empty() && !o.seed && seeds.seed)
    seeds.seed2 = md5_leading_word(str_cat(*seeds.seed, o.shared_name)) & 0x7fffffff;
  attrs["seed"] = seeds.seed.value_or(0);
  attrs["seed2"] = seeds.seed2.value_or(0);
  return create_output("RandomShuffleQueueV2", {}, std::move(attrs), o.name);
}

std::vector<DataType> with_priority(std::vector<DataType> types) {
  types.insert(types.begin(), int64);
  return types;
}

std::vector<PartialTensorShape> with_priority(std::vector<PartialTensorShape> shapes) {
  shapes.insert(shapes.begin(), PartialTensorShape::scalar());
  return shapes;
}

}  // namespace

QueueBase::QueueBase(const Output& queue_ref, std::vector<DataType> dtypes, std::vector<PartialTensorShape> shapes,
                     std::vector<std::string> names)
    : queue_ref_(queue_ref), dtypes_(std::move(dtypes)), shapes_(std::move(shapes)), names_(std::move(names)) {
  if (!names_.empty() && names_.size() != dtypes_.size())
    raise(invalid_argument("Queue names must have the same length as dtypes, got ", names_.size(), " and ",
                           dtypes_.size(), "."));
}

namespace {

PartialTensorShape common_shape(const PartialTensorShape& a, const PartialTensorShape& b) {
  if (!a.has_rank() || !b.has_rank() || a.rank() != b.rank()) return {};
  std::vector<int64_t> dims;
  for (int i = 0; i < a.rank(); ++i) dims.push_back(a.dim(i) == b.dim(i) ? a.dim(i) : -1);
  return PartialTensorShape(std::span<const int64_t>(dims));
}

}  // namespace

QueueBase QueueBase::from_list(const Input& index, const std::vector<QueueBase>& queues) {
  if (queues.empty()) raise(invalid_argument("A list of queues expected"));
  const SourceScope source(index);
  std::vector<PartialTensorShape> shapes = queues[0].shapes_;
  std::vector<Output> refs;
  for (const QueueBase& queue : queues) {
    if (queue.dtypes_ != queues[0].dtypes_)
      raise(invalid_argument("Queues do not have matching component dtypes: ", queues[0].name(), ", ", queue.name()));
    if (queue.names_ != queues[0].names_)
      raise(invalid_argument("Queues do not have matching component names: ", queues[0].name(), ", ", queue.name()));
    shapes.resize(std::min(shapes.size(), queue.shapes_.size()));
    for (size_t i = 0; i < shapes.size(); ++i) shapes[i] = common_shape(shapes[i], queue.shapes_[i]);
    refs.push_back(queue.queue_ref_);
  }
  return QueueBase(gather(stack(refs), index), queues[0].dtypes_, std::move(shapes), queues[0].names_);
}

std::vector<Input> QueueBase::in_order(const QueueElement& vals) const {
  if (names_.empty()) raise(invalid_argument("Queue ", name(), " must have names to enqueue a dictionary"));
  const auto found = [&](const std::string& name) { return vals.contains(name); };
  if (vals.size() != names_.size() || !std::ranges::all_of(names_, found)) {
    std::string wanted, given;
    for (const std::string& name : names_) wanted += (wanted.empty() ? "" : ", ") + name;
    for (const auto& [name, value] : vals) given += (given.empty() ? "" : ", ") + name;
    raise(invalid_argument("Keys in dictionary to enqueue do not match names of Queue.  Dictionary: (", given,
                           "), Queue: (", wanted, ")"));
  }
  std::vector<Input> ordered;
  for (const std::string& name : names_) ordered.push_back(vals.at(name));
  return ordered;
}

void QueueBase::check_no_names() const {
  if (!names_.empty()) raise(invalid_argument("You must enqueue a dictionary in a Queue with names: ", name()));
}

std::map<std::string, Output> QueueBase::by_name(const std::vector<Output>& dequeued) const {
  if (names_.empty()) raise(invalid_argument("The components of queue ", name(), " have no names"));
  if (dequeued.size() != names_.size())
    raise(invalid_argument("The queue ", name(), " has ", names_.size(), " components, got ", dequeued.size(), "."));
  std::map<std::string, Output> named;
  for (size_t i = 0; i < names_.size(); ++i) named.emplace(names_[i], dequeued[i]);
  return named;
}

// The last part of the queue's name with a suffix, unless a name is given.
std::string QueueBase::name_or(std::string_view name, const char* suffix) const {
  if (!name.empty()) return std::string(name);
  const std::string full = this->name();
  return full.substr(full.rfind('/') + 1) + suffix;
}

Operation QueueBase::enqueue(const char* op, const char* suffix, const std::vector<Input>& vals,
                             std::string_view name) const {
  if (vals.size() != dtypes_.size()) {
    raise(
        invalid_argument("The queue ", this->name(), " takes ", dtypes_.size(), " components, got ", vals.size(), "."));
  }
  const SourceScope source(vals[0]);
  const name_scope scope(name_or(name, suffix));
  std::vector<Output> components;
  for (size_t i = 0; i < vals.size(); ++i)
    components.push_back(convert_to_tensor(vals[i], dtypes_[i], str_cat("component_", i)));
  return create_op(op, {queue_ref_, components}, {{"Tcomponents", dtypes_}}, scope.name());
}

Operation QueueBase::enqueue_components(const std::vector<Input>& vals, const NameOptions& o) const {
  return enqueue("QueueEnqueueV2", "_enqueue", vals, o.name);
}

Operation QueueBase::enqueue_many_components(const std::vector<Input>& vals, const NameOptions& o) const {
  return enqueue("QueueEnqueueManyV2", "_EnqueueMany", vals, o.name);
}

Operation QueueBase::enqueue(const std::vector<Input>& vals, const NameOptions& o) const {
  check_no_names();
  return enqueue_components(vals, o);
}

Operation QueueBase::enqueue_many(const std::vector<Input>& vals, const NameOptions& o) const {
  check_no_names();
  return enqueue_many_components(vals, o);
}

std::vector<Output> QueueBase::dequeue(const NameOptions& o) const {
  return outputs_of(
      create_op("QueueDequeueV2", {queue_ref_}, {{"component_types", dtypes_}}, name_or(o.name, "_Dequeue")));
}

std::vector<Output> QueueBase::dequeue_batch(const char* op, const char* suffix, const Input& n,
                                             std::string_view name) const {
  return outputs_of(create_op(op, {queue_ref_, n}, {{"component_types", dtypes_}}, name_or(name, suffix)));
}

std::vector<Output> QueueBase::dequeue_many(const Input& n, const NameOptions& o) const {
  return dequeue_batch("QueueDequeueManyV2", "_DequeueMany", n, o.name);
}

std::vector<Output> QueueBase::dequeue_up_to(const Input& n, const NameOptions& o) const {
  return dequeue_batch("QueueDequeueUpToV2", "_DequeueUpTo", n, o.name);
}

Operation QueueBase::close(const CloseOptions& o) const {
  return create_op("QueueCloseV2", {queue_ref_}, {{"cancel_pending_enqueues", o.cancel_pending_enqueues}},
                   name_or(o.name, "_Close"));
}

Output QueueBase::is_closed(const NameOptions& o) const {
  return create_output("QueueIsClosedV2", {queue_ref_}, {}, name_or(o.name, "_Is_Closed"));
}

Output QueueBase::size(const NameOptions& o) const {
  return create_output("QueueSizeV2", {queue_ref_}, {}, name_or(o.name, "_Size"));
}

FIFOQueue::FIFOQueue(int64_t capacity, const std::vector<DataType>& dtypes, const FIFOQueueOptions& o)
    : QueueBase(fifo_queue(capacity, dtypes, o), dtypes, o.shapes, o.names) {}

RandomShuffleQueue::RandomShuffleQueue(int64_t capacity, int64_t min_after_dequeue, const std::vector<DataType>& dtypes,
                                       const RandomShuffleQueueOptions& o)
    : QueueBase(random_shuffle_queue(capacity, min_after_dequeue, dtypes, o), dtypes, o.shapes, o.names) {}

PaddingFIFOQueue::PaddingFIFOQueue(int64_t capacity, const std::vector<DataType>& dtypes,
                                   const std::vector<PartialTensorShape>& shapes, const PaddingFIFOQueueOptions& o)
    : QueueBase(create_output("PaddingFIFOQueueV2", {}, queue_attrs(capacity, dtypes, shapes, o.shared_name), o.name),
                dtypes, shapes, o.names) {}

PriorityQueue::PriorityQueue(int64_t capacity, const std::vector<DataType>& types,
                             const std::vector<PartialTensorShape>& shapes, const PriorityQueueOptions& o)
    : QueueBase(create_output("PriorityQueueV2", {}, queue_attrs(capacity, types, shapes, o.shared_name), o.name),
                with_priority(types), with_priority(shapes)) {}

}  // namespace millrace
