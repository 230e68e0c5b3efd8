#include "millrace/queues.h"

#include "api/op_builder.h"

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
  const SeedPair seeds = get_seed(o.seed);
  if (!o.shared_name.empty() && !o.seed && seeds.seed) {
    raise(unimplemented("RandomShuffleQueue '", o.shared_name,
                        "': a shared name with the graph's seed only; please give the queue a seed of its own"));
  }
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

QueueBase::QueueBase(const Output& queue_ref, std::vector<DataType> dtypes, std::vector<PartialTensorShape> shapes)
    : queue_ref_(queue_ref), dtypes_(std::move(dtypes)), shapes_(std::move(shapes)) {}

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

Operation QueueBase::enqueue(const std::vector<Input>& vals, const NameOptions& o) const {
  return enqueue("QueueEnqueueV2", "_enqueue", vals, o.name);
}

Operation QueueBase::enqueue_many(const std::vector<Input>& vals, const NameOptions& o) const {
  return enqueue("QueueEnqueueManyV2", "_EnqueueMany", vals, o.name);
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
    : QueueBase(fifo_queue(capacity, dtypes, o), dtypes, o.shapes) {}

RandomShuffleQueue::RandomShuffleQueue(int64_t capacity, int64_t min_after_dequeue, const std::vector<DataType>& dtypes,
                                       const RandomShuffleQueueOptions& o)
    : QueueBase(random_shuffle_queue(capacity, min_after_dequeue, dtypes, o), dtypes, o.shapes) {}

PaddingFIFOQueue::PaddingFIFOQueue(int64_t capacity, const std::vector<DataType>& dtypes,
                                   const std::vector<PartialTensorShape>& shapes, const PaddingFIFOQueueOptions& o)
    : QueueBase(create_output("PaddingFIFOQueueV2", {}, queue_attrs(capacity, dtypes, shapes, o.shared_name), o.name),
                dtypes, shapes) {}

PriorityQueue::PriorityQueue(int64_t capacity, const std::vector<DataType>& types,
                             const std::vector<PartialTensorShape>& shapes, const PriorityQueueOptions& o)
    : QueueBase(create_output("PriorityQueueV2", {}, queue_attrs(capacity, types, shapes, o.shared_name), o.name),
                with_priority(types), with_priority(shapes)) {}

}  // namespace millrace
