// Queues: enqueues that wait for room and dequeues that wait for elements, holding no thread. What they do stands in
// data/queue.h. The ops without V2 are those of TensorFlow before 1.0, with handles by reference; they share the
// kernels.

#include "data/queue.h"

#include <limits>

#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// --- making queues

absl::StatusOr<QueueOptions> queue_options(KernelInit& init, const char* kind) {
  QueueOptions options;
  options.kind = kind;
  MR_ASSIGN_OR_RETURN(options.capacity, init.attr<int64_t>("capacity"));
  if (options.capacity < 0) options.capacity = std::numeric_limits<int32_t>::max();
  MR_ASSIGN_OR_RETURN(options.types, init.attr<std::vector<DataType>>("component_types"));
  MR_ASSIGN_OR_RETURN(options.shapes, init.attr<std::vector<PartialTensorShape>>("shapes"));
  if (!options.shapes.empty() && options.shapes.size() != options.types.size()) {
    return invalid_argument(init.node().op, ": Different number of component types (", options.types.size(),
                            ") vs. shapes (", options.shapes.size(), ").");
  }
  return options;
}

absl::Status all_defined(const NodeInfo& node, const QueueOptions& options) {
  for (const PartialTensorShape& shape : options.shapes) {
    if (!shape.is_fully_defined())
      return invalid_argument(node.op, ": shapes must be fully defined, got ", shape,
                              "; a PaddingFIFOQueue takes unknown dimensions");
  }
  return absl::OkStatus();
}

// The queue that a node makes once per session; one that other nodes share by name must be of the same kind.
class QueueKernel : public Kernel {
 public:
  absl::Status init(KernelInit& init) final {
    MR_RETURN_IF_ERROR(configure(init, &options_));
    MR_ASSIGN_OR_RETURN(name_, resource_name(init));
    options_.name = name_.name;
    return absl::OkStatus();
  }

  absl::Status compute(KernelContext& ctx) final {
    MR_ASSIGN_OR_RETURN(const auto queue, ctx.resources().lookup_or_create<Queue>(name_.container, name_.name, [&] {
      return absl::StatusOr<std::shared_ptr<Queue>>(std::make_shared<Queue>(options_, order()));
    }));
    MR_RETURN_IF_ERROR(check_same(queue->options()));
    return set_handle(ctx, 0, name_, "Queue", options_.types, options_.shapes);
  }
  bool is_cheap() const override { return true; }

 private:
  virtual absl::Status configure(KernelInit& init, QueueOptions* options) = 0;
  virtual std::unique_ptr<QueueOrder> order() const = 0;

  absl::Status check_same(const QueueOptions& found) const {
    const std::string shared = str_cat("Shared queue '", options_.name, "' ");
    if (found.kind != options_.kind)
      return invalid_argument(shared, "is a ", found.kind, " but requested was a ", options_.kind, ".");
    if (found.capacity != options_.capacity)
      return invalid_argument(shared, "has capacity ", found.capacity, " but requested capacity was ",
                              options_.capacity, ".");
    if (found.min_after_dequeue != options_.min_after_dequeue)
      return invalid_argument(shared, "has min_after_dequeue ", found.min_after_dequeue,
                              " but requested min_after_dequeue was ", options_.min_after_dequeue, ".");
    if (found.types != options_.types) return invalid_argument(shared, "has other component types than requested.");
    if (found.shapes != options_.shapes) return invalid_argument(shared, "has other component shapes than requested.");
    return absl::OkStatus();
  }

  QueueOptions options_;
  ResourceName name_;
};

class FifoQueue final : public QueueKernel {
  absl::Status configure(KernelInit& init, QueueOptions* options) override {
    MR_ASSIGN_OR_RETURN(*options, queue_options(init, "FIFOQueue"));
    return all_defined(init.node(), *options);
  }
  std::unique_ptr<QueueOrder> order() const override { return fifo_order(); }
};

class PaddingFifoQueue final : public QueueKernel {
  absl::Status configure(KernelInit& init, QueueOptions* options) override {
    MR_ASSIGN_OR_RETURN(*options, queue_options(init, "PaddingFIFOQueue"));
    options->pads = true;
    if (options->shapes.empty()) return invalid_argument(init.node().op, ": shapes must be given, one per component");
    for (const PartialTensorShape& shape : options->shapes) {
      if (!shape.has_rank()) return invalid_argument(init.node().op, ": shapes must have known ranks, got ", shape);
    }
    return absl::OkStatus();
  }
  std::unique_ptr<QueueOrder> order() const override { return fifo_order(); }
};

class RandomShuffleQueue final : public QueueKernel {
  absl::Status configure(KernelInit& init, QueueOptions* options) override {
    MR_ASSIGN_OR_RETURN(*options, queue_options(init, "RandomShuffleQueue"));
    MR_ASSIGN_OR_RETURN(options->min_after_dequeue, init.attr<int64_t>("min_after_dequeue"));
    MR_ASSIGN_OR_RETURN(seed_, init.attr<int64_t>("seed"));
    MR_ASSIGN_OR_RETURN(seed2_, init.attr<int64_t>("seed2"));
    if (options->min_after_dequeue < 0)
      return invalid_argument(init.node().op, ": min_after_dequeue ", options->min_after_dequeue, " must be >= 0");
    if (options->min_after_dequeue >= options->capacity)
      return invalid_argument(init.node().op, ": min_after_dequeue ", options->min_after_dequeue,
                              " must be < capacity ", options->capacity);
    return all_defined(init.node(), *options);
  }
  std::unique_ptr<QueueOrder> order() const override { return shuffled_order(seed_, seed2_); }
  int64_t seed_ = 0, seed2_ = 0;
};

class PriorityQueue final : public QueueKernel {
  absl::Status configure(KernelInit& init, QueueOptions* options) override {
    MR_ASSIGN_OR_RETURN(*options, queue_options(init, "PriorityQueue"));
    if (options->shapes.empty() && !options->types.empty())
      return invalid_argument(init.node().op, ": shapes must be given, one per component");
    options->types.insert(options->types.begin(), DataType::kInt64);
    options->shapes.insert(options->shapes.begin(), PartialTensorShape::scalar());
    options->takes_all_at_once = true;
    return all_defined(init.node(), *options);
  }
  std::unique_ptr<QueueOrder> order() const override { return priority_order(); }
};

// --- using queues

// What is done to a queue: found, checked against the node's component types, waited for.
class QueueAccess : public AsyncKernel {
 public:
  absl::Status init(KernelInit& init) final {
    if (!init.has_attr("timeout_ms")) return absl::OkStatus();
    MR_ASSIGN_OR_RETURN(const int64_t timeout, init.attr<int64_t>("timeout_ms"));
    if (timeout == -1) return absl::OkStatus();
    return invalid_argument(init.node().op, ": Timeout not supported yet.");
  }

  void compute_async(KernelContext& ctx, Done done) final {
    absl::StatusOr<std::shared_ptr<Queue>> found = find_resource<Queue>(ctx, 0);
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<Queue> queue = *std::move(found);
    // The callback keeps the queue alive, should the session forget it meanwhile.
    access(*queue, ctx, [&ctx, queue, done = std::move(done)](absl::Status status, Element element) {
      for (size_t i = 0; status.ok() && i < element.size(); ++i)
        status = ctx.set_output(static_cast<int>(i), std::move(element[i]));
      done(std::move(status));
    });
  }

 protected:
  virtual void access(Queue& queue, KernelContext& ctx, Queue::Done done) = 0;

  static Element components(const KernelContext& ctx) {
    Element element;
    for (int i = 1; i < ctx.num_inputs(); ++i) element.push_back(ctx.input(i));
    return element;
  }

  // Outputs are declared by the node, elements by the queue.
  static absl::Status check_outputs(const Queue& queue, const KernelContext& ctx) {
    if (queue.options().types == ctx.node().output_types) return absl::OkStatus();
    return invalid_argument(ctx.node().op, ": component_types [", type_names(ctx.node().output_types),
                            "] are not those of the queue '", queue.options().name, "', [",
                            type_names(queue.options().types), "]");
  }

 private:
  static std::string type_names(const std::vector<DataType>& types) {
    std::string names;
    for (const DataType type : types) str_append(&names, names.empty() ? "" : ", ", dtype_name(type));
    return names;
  }
};

class Enqueue final : public QueueAccess {
  void access(Queue& queue, KernelContext& ctx, Queue::Done done) override {
    queue.enqueue(components(ctx), ctx.cancellation(), std::move(done));
  }
};

class EnqueueMany final : public QueueAccess {
  void access(Queue& queue, KernelContext& ctx, Queue::Done done) override {
    queue.enqueue_many(components(ctx), ctx.cancellation(), std::move(done));
  }
};

class Dequeue final : public QueueAccess {
  void access(Queue& queue, KernelContext& ctx, Queue::Done done) override {
    if (absl::Status status = check_outputs(queue, ctx); !status.ok()) return done(std::move(status), {});
    queue.dequeue(ctx.cancellation(), std::move(done));
  }
};

template <bool kUpTo> class DequeueBatch final : public QueueAccess {
  void access(Queue& queue, KernelContext& ctx, Queue::Done done) override {
    absl::Status status = check_outputs(queue, ctx);
    const absl::StatusOr<int64_t> n = ctx.int_scalar(1);
    if (status.ok()) status = n.status();
    if (status.ok() && *n < 0)
      status = invalid_argument(kUpTo ? "DequeueUpToOp" : "DequeueManyOp", " requested ", *n, " < 0 elements");
    if (!status.ok()) return done(std::move(status), {});
    queue.dequeue_many(*n, kUpTo, ctx.cancellation(), std::move(done));
  }
};

class Close final : public QueueAccess {
  void access(Queue& queue, KernelContext& ctx, Queue::Done done) override {
    const absl::StatusOr<bool> cancel = get_attr<bool>(ctx.node(), "cancel_pending_enqueues");
    if (!cancel.ok()) return done(cancel.status(), {});
    queue.close(*cancel, ctx.cancellation(), std::move(done));
  }
};

class Size final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto queue, find_resource<Queue>(ctx, 0));
    return ctx.set_scalar(0, static_cast<int32_t>(queue->size()));
  }
};

class IsClosed final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto queue, find_resource<Queue>(ctx, 0));
    return ctx.set_scalar(0, queue->is_closed());
  }
};

// --- shapes

absl::Status handle_shape_of(ShapeContext& c, std::vector<HandleType> types) {
  MR_ASSIGN_OR_RETURN(const auto dtypes, c.attr<std::vector<DataType>>("component_types"));
  MR_ASSIGN_OR_RETURN(const auto shapes, c.attr<std::vector<PartialTensorShape>>("shapes"));
  for (size_t i = 0; i < dtypes.size(); ++i)
    types.push_back({dtypes[i], i < shapes.size() ? shapes[i] : PartialTensorShape()});
  c.set_handle(0, std::move(types));
  return scalar_shape(c);
}

absl::Status queue_handle_shape(ShapeContext& c) { return handle_shape_of(c, {}); }

absl::Status priority_handle_shape(ShapeContext& c) {
  return handle_shape_of(c, {{DataType::kInt64, PartialTensorShape::scalar()}});
}

absl::Status enqueue_shape(ShapeContext& c) { return c.with_rank(0, 0).status(); }

absl::Status dequeue_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  const auto types = c.handle(0);
  if (static_cast<int>(types.size()) != c.num_outputs()) return unknown_shapes(c);
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, types[static_cast<size_t>(i)].shape));
  return absl::OkStatus();
}

absl::Status batch_shape(ShapeContext& c, int64_t rows) {
  const auto types = c.handle(0);
  if (static_cast<int>(types.size()) != c.num_outputs()) return unknown_shapes(c);
  for (int i = 0; i < c.num_outputs(); ++i) {
    const PartialTensorShape& row = types[static_cast<size_t>(i)].shape;
    if (!row.has_rank()) {
      MR_RETURN_IF_ERROR(c.set_output(i, PartialTensorShape()));
      continue;
    }
    std::vector<int64_t> dims = {rows};
    for (int d = 0; d < row.rank(); ++d) dims.push_back(row.dim(d));
    MR_RETURN_IF_ERROR(c.set_output(i, make_partial_shape(dims)));
  }
  return absl::OkStatus();
}

absl::Status dequeue_up_to_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  return batch_shape(c, -1);
}

absl::Status dequeue_many_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_RETURN_IF_ERROR(c.with_rank(1, 0).status());
  MR_ASSIGN_OR_RETURN(const std::optional<int64_t> n, c.int_scalar(1));
  if (n && *n < 0) return invalid_argument("Input 'n' must be >= 0, but is ", *n);
  return batch_shape(c, n.value_or(-1));
}

absl::Status queue_scalar_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return scalar_shape(c);
}

// --- definitions: each op twice, with handles as resources and by reference. Only resources tell what is in a queue.

struct Generation {
  const char* suffix;
  const char *output, *input;
  bool v2;
};
constexpr Generation kOld{"", "handle: Ref(string)", "handle: Ref(string)", false};
constexpr Generation kNew{"V2", "handle: resource", "handle: resource", true};

void register_making(Registry& registry, const Generation& g) {
  const auto queue = [&](const char* name, const char* types, const char* shapes) {
    return registry.op(str_cat(name, g.suffix))
        .output(g.output)
        .attr(types)
        .attr(shapes)
        .attr("capacity: int = -1")
        .stateful()
        .shape(g.v2 ? queue_handle_shape : named_handle_shape)
        .not_differentiable();
  };
  const auto finish = [](OpBuilder op) { return op.attr("container: string = ''").attr("shared_name: string = ''"); };
  constexpr const char *kTypes = "component_types: list(type) >= 1", *kShapes = "shapes: list(shape) >= 0 = []";
  finish(queue("FIFOQueue", kTypes, kShapes))
      .cpu<FifoQueue>()
      .doc("A queue whose elements leave in the order they came.");
  finish(queue("PaddingFIFOQueue", kTypes, kShapes))
      .cpu<PaddingFifoQueue>()
      .doc("A FIFO queue that pads the elements of a batch to one shape.");
  finish(queue("RandomShuffleQueue", kTypes, kShapes)
             .attr("min_after_dequeue: int = 0")
             .attr("seed: int = 0")
             .attr("seed2: int = 0"))
      .cpu<RandomShuffleQueue>()
      .doc("A queue whose elements leave in random order.");
  finish(queue("PriorityQueue", "component_types: list(type) >= 0 = []", "shapes: list(shape) >= 0"))
      .shape(g.v2 ? priority_handle_shape : named_handle_shape)
      .cpu<PriorityQueue>()
      .doc("A queue whose elements leave by their first component, the smallest first.");
}

void register_using(Registry& registry, const Generation& g) {
  const auto op = [&](const char* name, ShapeFunction v2_shape, ShapeFunction ref_shape) {
    OpBuilder builder = registry.op(str_cat(name, g.suffix)).input(g.input);
    if (g.v2) builder.stateful();
    return builder.shape(g.v2 ? v2_shape : ref_shape).not_differentiable();
  };
  const auto enqueue = [&](const char* name) {
    return op(name, enqueue_shape, unknown_shapes)
        .input("components: Tcomponents")
        .attr("Tcomponents: list(type) >= 1")
        .attr("timeout_ms: int = -1");
  };
  enqueue("QueueEnqueue").cpu<Enqueue>().doc("Adds an element, when there is room.");
  enqueue("QueueEnqueueMany").cpu<EnqueueMany>().doc("Adds each row as an element, as there is room.");

  const auto dequeue = [](OpBuilder builder) {
    return builder.output("components: component_types")
        .attr("component_types: list(type) >= 1")
        .attr("timeout_ms: int = -1");
  };
  dequeue(op("QueueDequeue", dequeue_shape, unknown_shapes)).cpu<Dequeue>().doc("Takes an element, when there is one.");
  dequeue(op("QueueDequeueMany", dequeue_many_shape, unknown_shapes).input("n: int32"))
      .cpu<DequeueBatch<false>>()
      .doc("Takes n elements as one batch, when there are so many.");
  dequeue(op("QueueDequeueUpTo", dequeue_up_to_shape, unknown_shapes).input("n: int32"))
      .cpu<DequeueBatch<true>>()
      .doc("Takes n elements as one batch, or what a closed queue still holds.");

  op("QueueClose", enqueue_shape, handles_and_scalars)
      .attr("cancel_pending_enqueues: bool = false")
      .cpu<Close>()
      .doc("Ends enqueueing; what a queue holds can still be dequeued.");
  op("QueueSize", queue_scalar_shape, handles_and_scalars)
      .output("size: int32")
      .cpu<Size>()
      .doc("How many elements a queue holds.");
  op("QueueIsClosed", queue_scalar_shape, handles_and_scalars)
      .output("is_closed: bool")
      .cpu<IsClosed>()
      .doc("Whether a queue was closed.");
}

// A queue's handle in the old form, for readers of that form.
class FakeQueue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceName queue, handle_name(ctx, 0));
    return set_handle(ctx, 0, queue, "Queue");
  }
};

absl::Status fake_queue_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return named_handle_shape(c);
}

}  // namespace

void register_queue(Registry& registry) {
  for (const Generation& generation : {kOld, kNew}) {
    register_making(registry, generation);
    register_using(registry, generation);
  }
  registry.op("FakeQueue")
      .input("resource: resource")
      .output("handle: Ref(string)")
      .stateful()
      .shape(fake_queue_shape)
      .cpu<FakeQueue>()
      .not_differentiable()
      .doc("The handle of a queue, by reference.");
}

}  // namespace millrace
