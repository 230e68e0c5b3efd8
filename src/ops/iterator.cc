// Iterators: a session's position in a dataset.

#include <atomic>
#include <mutex>

#include "base/log.h"
#include "data/iterator_resource.h"
#include "op/shape_context.h"
#include "ops/dataset_kernel.h"
#include "ops/handle_text.h"

namespace millrace {
namespace {

constexpr std::string_view kIteratorType = "Iterator";

ResourceHandle make_handle(const NodeInfo& node, std::string container, std::string name, const ElementSpec& spec) {
  ResourceHandle handle;
  handle.device = node.device;
  handle.container = std::move(container);
  handle.name = std::move(name);
  handle.type_name = kIteratorType;
  handle.dtypes = spec.types;
  handle.shapes = spec.shapes;
  return handle;
}

// Where a node's resource lives: container and shared_name, or the defaults.
absl::Status resource_name(const NodeInfo& node, std::string* container, std::string* name) {
  MR_ASSIGN_OR_RETURN(*container, get_attr<std::string>(node, "container"));
  MR_ASSIGN_OR_RETURN(*name, get_attr<std::string>(node, "shared_name"));
  if (container->empty()) *container = ResourceManager::kDefaultContainer;
  if (name->empty()) *name = node.name;
  return absl::OkStatus();
}

absl::StatusOr<ResourceHandle> find_or_make_iterator(KernelContext& ctx, std::shared_ptr<IteratorResource>* iterator) {
  std::string container, name;
  MR_RETURN_IF_ERROR(resource_name(ctx.node(), &container, &name));
  MR_ASSIGN_OR_RETURN(const ElementSpec spec, element_spec(ctx.node()));
  MR_ASSIGN_OR_RETURN(*iterator, ctx.resources().lookup_or_create<IteratorResource>(
                                     container, name, [&]() -> absl::StatusOr<std::shared_ptr<IteratorResource>> {
                                       return std::make_shared<IteratorResource>(spec);
                                     }));
  MR_RETURN_IF_ERROR(check_compatible(spec, (*iterator)->spec()));
  return make_handle(ctx.node(), std::move(container), std::move(name), spec);
}

class IteratorHandle final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    std::shared_ptr<IteratorResource> iterator;
    MR_ASSIGN_OR_RETURN(ResourceHandle handle, find_or_make_iterator(ctx, &iterator));
    return ctx.set_scalar(0, std::move(handle));
  }
  bool is_cheap() const override { return true; }
};

// Calls its dataset function once per session; what that says, an error too, holds for all steps.
class OneShotIterator final : public AsyncKernel {
 public:
  void compute_async(KernelContext& ctx, Done done) override {
    {
      std::unique_lock lock(mutex_);
      if (state_ == State::kRunning) {
        waiting_.push_back({&ctx, std::move(done)});
        return;
      }
      if (state_ == State::kDone) {
        lock.unlock();
        finish(ctx, done);
        return;
      }
      state_ = State::kRunning;
    }
    start(ctx, std::move(done));
  }

 private:
  enum class State { kNew, kRunning, kDone };

  void start(KernelContext& ctx, Done done) {
    const auto function = [&]() -> absl::StatusOr<std::shared_ptr<CallableFunction>> {
      MR_ASSIGN_OR_RETURN(const FunctionRef factory, get_attr<FunctionRef>(ctx.node(), "dataset_factory"));
      return ctx.services().functions()->instantiate(factory);
    }();
    if (!function.ok()) {
      complete(ctx, function.status(), done);
      return;
    }
    const std::shared_ptr<CallableFunction> factory = *function;
    factory->run({}, ctx.cancellation(),
                 [this, &ctx, factory, done = std::move(done)](absl::Status status, std::vector<Tensor> result) {
                   if (status.ok()) status = initialize(ctx, result);
                   complete(ctx, std::move(status), done);
                 });
  }

  absl::Status initialize(KernelContext& ctx, const std::vector<Tensor>& result) {
    if (result.size() != 1)
      return invalid_argument("The `dataset_factory` function must return a single scalar of dtype DT_VARIANT.");
    MR_ASSIGN_OR_RETURN(DatasetPtr dataset, dataset_from_tensor(result[0]));
    std::shared_ptr<IteratorResource> iterator;
    MR_ASSIGN_OR_RETURN(handle_, find_or_make_iterator(ctx, &iterator));
    return iterator->set_dataset(std::move(dataset));
  }

  void complete(KernelContext& ctx, absl::Status status, const Done& done) {
    std::vector<Waiting> waiting;
    {
      std::lock_guard lock(mutex_);
      // A cancelled step says nothing of the function: the next one tries again.
      state_ = absl::IsCancelled(status) ? State::kNew : State::kDone;
      status_ = std::move(status);
      waiting.swap(waiting_);
    }
    // This kernel may be gone once the last `done` has been called, so nothing of it is touched behind that.
    for (const Waiting& w : waiting) finish(*w.ctx, w.done);
    finish(ctx, done);
  }

  void finish(KernelContext& ctx, const Done& done) {
    absl::Status status = status_.ok() ? ctx.set_scalar(0, handle_) : status_;
    done(std::move(status));
  }

  struct Waiting {
    KernelContext* ctx;
    Done done;
  };
  std::mutex mutex_;
  State state_ = State::kNew;
  std::vector<Waiting> waiting_;
  absl::Status status_;    // once kDone
  ResourceHandle handle_;  // once kDone
};

class AnonymousIterator final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    static std::atomic<int64_t> count{0};
    MR_ASSIGN_OR_RETURN(const ElementSpec spec, element_spec(ctx.node()));
    const std::string name = str_cat("AnonymousIterator", count.fetch_add(1));
    const std::string container(ResourceManager::kDefaultContainer);
    MR_RETURN_IF_ERROR(ctx.resources().create(container, name, std::make_shared<IteratorResource>(spec)));
    if (ctx.num_outputs() > 1) MR_RETURN_IF_ERROR(ctx.set_scalar(1, Variant()));
    return ctx.set_scalar(0, make_handle(ctx.node(), container, name, spec));
  }
};

class DeleteIterator final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    return ctx.resources().remove(handle.container, handle.name);
  }
};

class MakeIterator final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(DatasetPtr dataset, dataset_input(ctx, 0));
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<IteratorResource> iterator, ctx.resource<IteratorResource>(1));
    return iterator->set_dataset(std::move(dataset));
  }
};

// Asks the iterator, and hands what comes to `emit`.
class GetNextKernel : public AsyncKernel {
 public:
  void compute_async(KernelContext& ctx, Done done) final {
    absl::StatusOr<std::shared_ptr<IteratorResource>> found = ctx.resource<IteratorResource>(0);
    if (!found.ok()) {
      done(found.status());
      return;
    }
    IteratorResource* iterator = found->get();
    // The callback keeps the iterator alive, should the session forget it meanwhile.
    iterator->get_next(ctx.cancellation(), [this, &ctx, done = std::move(done), keep = *std::move(found)](
                                               absl::Status status, Element element, bool end) {
      if (status.ok()) status = emit(ctx, std::move(element), end);
      done(std::move(status));
    });
  }

 private:
  virtual absl::Status emit(KernelContext& ctx, Element element, bool end) = 0;
};

absl::Status set_components(KernelContext& ctx, Element element) {
  if (static_cast<int>(element.size()) != ctx.num_outputs())
    return invalid_argument(ctx.node().op, ": the element has ", element.size(), " components, not ", ctx.num_outputs(),
                            ".");
  for (int i = 0; i < ctx.num_outputs(); ++i)
    MR_RETURN_IF_ERROR(ctx.set_output(i, std::move(element[static_cast<size_t>(i)])));
  return absl::OkStatus();
}

class IteratorGetNext final : public GetNextKernel {
  absl::Status emit(KernelContext& ctx, Element element, bool end) override {
    if (end) return out_of_range("End of sequence");
    return set_components(ctx, std::move(element));
  }
};

// What an optional holds: an element, or nothing.
struct OptionalElement {
  bool has_value = false;
  Element element;
};

class IteratorGetNextAsOptional final : public GetNextKernel {
  absl::Status emit(KernelContext& ctx, Element element, bool end) override {
    return ctx.set_scalar(0, Variant::make<OptionalElement>(OptionalElement{!end, std::move(element)}));
  }
};

absl::StatusOr<Variant> optional_input(KernelContext& ctx) {
  MR_ASSIGN_OR_RETURN(Variant v, ctx.scalar<Variant>(0));
  if (v.get<OptionalElement>() == nullptr) return invalid_argument(ctx.node().op, ": the input is no optional.");
  return v;
}

class OptionalFromValue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    return ctx.set_scalar(
        0, Variant::make<OptionalElement>(OptionalElement{true, tensor_inputs(ctx, 0, ctx.num_inputs())}));
  }
};

class OptionalNone final : public Kernel {
  absl::Status compute(KernelContext& ctx) override { return ctx.set_scalar(0, Variant::make<OptionalElement>()); }
};

class OptionalHasValue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Variant v, optional_input(ctx));
    return ctx.set_scalar(0, v.get<OptionalElement>()->has_value);
  }
};

class OptionalGetValue final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const Variant v, optional_input(ctx));
    const OptionalElement& optional = *v.get<OptionalElement>();
    if (!optional.has_value) return invalid_argument("The given optional does not have a value.");
    MR_ASSIGN_OR_RETURN(const ElementSpec spec, element_spec(ctx.node()));
    ElementSpec found;
    for (const Tensor& t : optional.element) {
      found.types.push_back(t.dtype());
      found.shapes.emplace_back(t.shape());
    }
    MR_RETURN_IF_ERROR(check_compatible(spec, found));
    return set_components(ctx, optional.element);
  }
};

class IteratorToStringHandle final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const ResourceHandle handle, ctx.handle(0));
    MR_RETURN_IF_ERROR(ctx.resource<IteratorResource>(0).status());
    return ctx.set_scalar(0, handle_to_text(handle));
  }
};

class IteratorFromStringHandle final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string text, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(ResourceHandle handle, handle_from_text(text));
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<IteratorResource> iterator,
                        ctx.resources().lookup<IteratorResource>(handle.container, handle.name));
    MR_ASSIGN_OR_RETURN(ElementSpec wanted, element_spec_or_any(ctx.node(), iterator->spec()));
    MR_RETURN_IF_ERROR(check_compatible(wanted, iterator->spec()));
    handle.dtypes = iterator->spec().types;
    handle.shapes = iterator->spec().shapes;
    return ctx.set_scalar(0, std::move(handle));
  }

  // Empty lists mean: any.
  static absl::StatusOr<ElementSpec> element_spec_or_any(const NodeInfo& node, const ElementSpec& any) {
    ElementSpec spec;
    MR_ASSIGN_OR_RETURN(spec.types, get_attr<std::vector<DataType>>(node, "output_types"));
    MR_ASSIGN_OR_RETURN(spec.shapes, get_attr<std::vector<PartialTensorShape>>(node, "output_shapes"));
    if (spec.types.empty()) spec.types = any.types;
    if (spec.shapes.empty()) spec.shapes = any.shapes;
    return spec;
  }
};

class SerializeIterator final : public Kernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(policy_, init.attr<int64_t>("external_state_policy"));
    if (policy_ >= kWarn && policy_ <= kFail) return absl::OkStatus();
    return invalid_argument("SerializeIterator: external_state_policy must be 0, 1 or 2, got ", policy_);
  }
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<IteratorResource> iterator, ctx.resource<IteratorResource>(0));
    IteratorState state;
    MR_RETURN_IF_ERROR(iterator->save(&state));
    if (state.has_external_state && policy_ != kIgnore) {
      constexpr std::string_view kMessage =
          "SerializeIterator: a function of the input pipeline has stateful ops, such as random ones, whose state is "
          "not saved: what is restored will go on with other values.";
      if (policy_ == kFail) return failed_precondition(kMessage);
      log_warning(kMessage);
    }
    MR_ASSIGN_OR_RETURN(const TensorShape one, make_shape({1}));
    MR_ASSIGN_OR_RETURN(const std::span<Variant> out, ctx.output<Variant>(0, one));
    out[0] = Variant::make<IteratorState>(std::move(state));
    return absl::OkStatus();
  }

  enum Policy : int64_t { kWarn = 0, kIgnore = 1, kFail = 2 };
  int64_t policy_ = kWarn;
};

class DeserializeIterator final : public Kernel {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::shared_ptr<IteratorResource> iterator, ctx.resource<IteratorResource>(0));
    MR_ASSIGN_OR_RETURN(const auto states, ctx.flat<Variant>(1));
    const IteratorState* state = states.size() == 1 ? states[0].get<IteratorState>() : nullptr;
    if (state == nullptr) return invalid_argument("DeserializeIterator: the input is not the state of an iterator.");
    return iterator->restore(*state, ctx.cancellation());
  }
};

absl::Status iterator_handle_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const ElementSpec spec, element_spec(c.node()));
  std::vector<HandleType> types;
  for (size_t i = 0; i < spec.types.size(); ++i) types.push_back({spec.types[i], spec.shapes[i]});
  c.set_handle(0, std::move(types));
  return scalar_shape(c);
}

absl::Status make_iterator_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.with_rank(1, 0).status();
}

absl::Status iterator_scalar_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return scalar_shape(c);
}

absl::Status serialize_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  return c.set_output(0, unknown_shape_of_rank(1));
}

absl::Status deserialize_shape(ShapeContext& c) { return c.with_rank(0, 0).status(); }

absl::Status components_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank(0, 0).status());
  MR_ASSIGN_OR_RETURN(const auto shapes, c.attr<std::vector<PartialTensorShape>>("output_shapes"));
  if (static_cast<int>(shapes.size()) != c.num_outputs())
    return invalid_argument("`output_shapes` must be the same length as `output_types` (", shapes.size(), " vs. ",
                            c.num_outputs(), ")");
  for (int i = 0; i < c.num_outputs(); ++i) MR_RETURN_IF_ERROR(c.set_output(i, shapes[static_cast<size_t>(i)]));
  return absl::OkStatus();
}

}  // namespace

void register_iterator(Registry& registry) {
  registry.op("Iterator")
      .output("handle: resource")
      .attr("shared_name: string")
      .attr("container: string")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<IteratorHandle>()
      .not_differentiable()
      .doc("A session's iterator.");
  registry.op("IteratorV2")
      .output("handle: resource")
      .attr("shared_name: string")
      .attr("container: string")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<IteratorHandle>()
      .not_differentiable()
      .doc("A session's iterator.");
  registry.op("OneShotIterator")
      .output("handle: resource")
      .attr("dataset_factory: func")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<OneShotIterator>()
      .not_differentiable()
      .doc("An iterator over the dataset that a function makes, initialized by itself.");
  registry.op("AnonymousIterator")
      .output("handle: resource")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<AnonymousIterator>()
      .not_differentiable()
      .doc("An iterator without a name.");
  registry.op("AnonymousIteratorV2")
      .output("handle: resource")
      .output("deleter: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<AnonymousIterator>()
      .not_differentiable()
      .doc("An iterator without a name, and what deletes it.");
  registry.op("AnonymousIteratorV3")
      .output("handle: resource")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_handle_shape)
      .cpu<AnonymousIterator>()
      .not_differentiable()
      .doc("An iterator without a name.");
  registry.op("DeleteIterator")
      .input("handle: resource")
      .input("deleter: variant")
      .stateful()
      .shape(no_outputs)
      .cpu<DeleteIterator>()
      .not_differentiable()
      .doc("Forgets an iterator.");
  registry.op("MakeIterator")
      .input("dataset: variant")
      .input("iterator: resource")
      .stateful()
      .shape(make_iterator_shape)
      .cpu<MakeIterator>()
      .not_differentiable()
      .doc("Starts the iterator on the dataset.");
  registry.op("IteratorGetNext")
      .input("iterator: resource")
      .output("components: output_types")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(components_shape)
      .cpu<IteratorGetNext>()
      .not_differentiable()
      .doc("The next element.");
  registry.op("IteratorGetNextSync")
      .input("iterator: resource")
      .output("components: output_types")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(components_shape)
      .cpu<IteratorGetNext>()
      .not_differentiable()
      .doc("The next element.");
  registry.op("IteratorGetNextAsOptional")
      .input("iterator: resource")
      .output("optional: variant")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .stateful()
      .shape(iterator_scalar_shape)
      .cpu<IteratorGetNextAsOptional>()
      .not_differentiable()
      .doc("The next element, or none at the end.");
  registry.op("IteratorToStringHandle")
      .input("resource_handle: resource")
      .output("string_handle: string")
      .stateful()
      .shape(iterator_scalar_shape)
      .cpu<IteratorToStringHandle>()
      .not_differentiable()
      .doc("A text that names the iterator.");
  registry.op("IteratorFromStringHandle")
      .input("string_handle: string")
      .output("resource_handle: resource")
      .attr("output_types: list(type) >= 0 = []")
      .attr("output_shapes: list(shape) >= 0 = []")
      .stateful()
      .shape(iterator_scalar_shape)
      .cpu<IteratorFromStringHandle>()
      .not_differentiable()
      .doc("The iterator that the text names.");
  registry.op("IteratorFromStringHandleV2")
      .input("string_handle: string")
      .output("resource_handle: resource")
      .attr("output_types: list(type) >= 0 = []")
      .attr("output_shapes: list(shape) >= 0 = []")
      .stateful()
      .shape(iterator_scalar_shape)
      .cpu<IteratorFromStringHandle>()
      .not_differentiable()
      .doc("The iterator that the text names.");
  registry.op("SerializeIterator")
      .input("resource_handle: resource")
      .output("serialized: variant")
      .attr("external_state_policy: int = 0")
      .stateful()
      .shape(serialize_shape)
      .cpu<SerializeIterator>()
      .not_differentiable()
      .doc("The iterator's state.");
  registry.op("DeserializeIterator")
      .input("resource_handle: resource")
      .input("serialized: variant")
      .stateful()
      .shape(deserialize_shape)
      .cpu<DeserializeIterator>()
      .not_differentiable()
      .doc("Brings the iterator back to a state.");
  registry.op("OptionalFromValue")
      .input("components: Toutput_types")
      .output("optional: variant")
      .attr("Toutput_types: list(type) >= 1")
      .shape(scalar_shape)
      .cpu<OptionalFromValue>()
      .not_differentiable()
      .doc("An optional that has a value.");
  registry.op("OptionalNone")
      .output("optional: variant")
      .shape(scalar_shape)
      .cpu<OptionalNone>()
      .not_differentiable()
      .doc("An optional without a value.");
  registry.op("OptionalHasValue")
      .input("optional: variant")
      .output("has_value: bool")
      .shape(iterator_scalar_shape)
      .cpu<OptionalHasValue>()
      .not_differentiable()
      .doc("Whether the optional has a value.");
  registry.op("OptionalGetValue")
      .input("optional: variant")
      .output("components: output_types")
      .attr("output_types: list(type) >= 1")
      .attr("output_shapes: list(shape) >= 1")
      .shape(components_shape)
      .cpu<OptionalGetValue>()
      .not_differentiable()
      .doc("The optional's value.");
}

}  // namespace millrace
