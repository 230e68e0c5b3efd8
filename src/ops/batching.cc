// Ops that put what several steps ask for into one batch, and take results apart again. How batches come about stands
// in data/request_batcher.h. All of these wait without a thread, and end with their step.

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <set>

#include "base/attempts.h"
#include "base/checked.h"
#include "base/deadline.h"
#include "data/request_batcher.h"
#include "data/rows.h"
#include "op/gradient_context.h"
#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// TensorFlow keeps these attributes in 32 bits.
absl::Status check_int32(const NodeInfo& node, std::string_view name, int64_t value) {
  if (value >= std::numeric_limits<int32_t>::min() && value <= std::numeric_limits<int32_t>::max())
    return absl::OkStatus();
  return invalid_argument(node.op, ": Attr ", name, " has value ", value, " out of range for an int32");
}

absl::StatusOr<int64_t> int32_attr(const KernelInit& init, std::string_view name) {
  MR_ASSIGN_OR_RETURN(const int64_t value, init.attr<int64_t>(name));
  MR_RETURN_IF_ERROR(check_int32(init.node(), name, value));
  return value;
}

absl::Status check_allowed(const NodeInfo& node, const BatcherOptions& options) {
  const std::vector<int64_t>& allowed = options.allowed_rows;
  for (const int64_t rows : allowed) MR_RETURN_IF_ERROR(check_int32(node, "allowed_batch_sizes", rows));
  if (std::ranges::adjacent_find(allowed, std::greater_equal<int64_t>()) != allowed.end())
    return invalid_argument("allowed_batch_sizes entries must be monotonically increasing");
  if (!options.splits && !allowed.empty() && allowed.back() != options.max_request_rows)
    return invalid_argument("final entry in allowed_batch_sizes must equal max_batch_size",
                            node.op == "BatchFunction" ? " when enable_large_batch_splitting is False" : "");
  return absl::OkStatus();
}

// The attributes that Batch and BatchFunction have in common.
absl::StatusOr<BatcherOptions> batcher_options(const KernelInit& init, bool splits) {
  BatcherOptions options;
  options.splits = splits;
  MR_ASSIGN_OR_RETURN(options.max_running, int32_attr(init, "num_batch_threads"));
  MR_ASSIGN_OR_RETURN(options.max_request_rows, int32_attr(init, "max_batch_size"));
  MR_ASSIGN_OR_RETURN(options.timeout_micros, int32_attr(init, "batch_timeout_micros"));
  MR_ASSIGN_OR_RETURN(options.max_enqueued_batches, int32_attr(init, "max_enqueued_batches"));
  MR_ASSIGN_OR_RETURN(options.allowed_rows, init.attr<std::vector<int64_t>>("allowed_batch_sizes"));
  MR_RETURN_IF_ERROR(check_allowed(init.node(), options));
  options.max_batch_rows =
      splits && !options.allowed_rows.empty() ? options.allowed_rows.back() : options.max_request_rows;
  return options;
}

// Ids tell the steps of a batch apart, across all graphs of the process.
int64_t next_id() {
  static std::atomic<int64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

absl::Status set_outputs(KernelContext& ctx, Element values) {
  if (static_cast<int>(values.size()) != ctx.num_outputs())
    return internal_error("Wrong number of batched output tensors");
  for (size_t i = 0; i < values.size(); ++i)
    MR_RETURN_IF_ERROR(ctx.set_output(static_cast<int>(i), std::move(values[i])));
  return absl::OkStatus();
}

// What Batch and BatchFunction have in common: finding the batcher, and handing it the first `inputs` of the step.
template <class Batcher> class BatcherKernel : public AsyncKernel {
 protected:
  absl::Status configure(const KernelInit& init, BatcherOptions options) {
    options_ = std::move(options);
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, true));
    MR_ASSIGN_OR_RETURN(queue_, init.attr<std::string>("batching_queue"));
    return absl::OkStatus();
  }

  static absl::StatusOr<Element> batched_inputs(const KernelContext& ctx, int count) {
    Element inputs;
    for (int i = 0; i < count; ++i) {
      if (ctx.shape(i).rank() == 0)
        return invalid_argument("Batching input tensors must have at least one dimension, but input ", i, " has none");
      if (ctx.shape(i).dim(0) != ctx.shape(0).dim(0))
        return invalid_argument(
            "Batching input tensors supplied in a given op invocation must have equal 0th-dimension size, but their "
            "shapes are ",
            ctx.shape(0), " and ", ctx.shape(i));
      inputs.push_back(ctx.input(i));
    }
    return inputs;
  }

  void submit(KernelContext& ctx, Element inputs, RequestBatcher::Call call, AsyncKernel::Done done) {
    const auto batcher = ctx.resources().lookup_or_create<Batcher>(name_.container, name_.name,
                                                                   [&]() -> absl::StatusOr<std::shared_ptr<Batcher>> {
                                                                     MR_RETURN_IF_ERROR(check_options(options_));
                                                                     return std::make_shared<Batcher>(options_);
                                                                   });
    if (!batcher.ok()) return done(batcher.status());
    (*batcher)->submit(queue_,
                       {.id = next_id(),
                        .inputs = std::move(inputs),
                        .call = std::move(call),
                        .scope = ctx.cancellation(),
                        .schedule = [&ctx](std::function<void()> work) { ctx.services().schedule(std::move(work)); },
                        .done =
                            [&ctx, batcher = *batcher, done = std::move(done)](absl::Status status, Element results) {
                              if (status.ok()) status = set_outputs(ctx, std::move(results));
                              done(std::move(status));
                            }});
  }

 private:
  BatcherOptions options_;
  ResourceName name_;
  std::string queue_;
};

class Batch final : public BatcherKernel<GatheringBatcher> {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(BatcherOptions options, batcher_options(init, false));
    return configure(init, std::move(options));
  }
  void compute_async(KernelContext& ctx, Done done) override {
    absl::StatusOr<Element> inputs = batched_inputs(ctx, ctx.num_inputs());
    if (!inputs.ok()) return done(inputs.status());
    if ((*inputs)[0].dim(0) == 0) return done(nothing(ctx, *std::move(inputs)));
    submit(ctx, *std::move(inputs), {}, std::move(done));
  }

  // Of no rows, which need no batch. TensorFlow gives all outputs the shape [0], against what it infers.
  static absl::Status nothing(KernelContext& ctx, Element inputs) {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({0, 3}));
    MR_ASSIGN_OR_RETURN(Tensor index, make_tensor(DataType::kInt64, shape));
    MR_ASSIGN_OR_RETURN(Tensor id, make_scalar<int64_t>(next_id()));
    inputs.push_back(std::move(index));
    inputs.push_back(std::move(id));
    return set_outputs(ctx, std::move(inputs));
  }
};

// As many batches at once as TensorFlow's adaptive scheduler runs at most.
constexpr int64_t kMaxAdaptive = 64;

class BatchFunction final : public BatcherKernel<CallingBatcher> {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(bool splits, init.attr<bool>("enable_large_batch_splitting"));
    MR_ASSIGN_OR_RETURN(const int64_t threads, int32_attr(init, "num_batch_threads"));
    bool is_adaptive = threads <= 0;
    if (!is_adaptive && init.has_attr("_enable_adaptive_scheduler")) {
      MR_ASSIGN_OR_RETURN(is_adaptive, init.attr<bool>("_enable_adaptive_scheduler"));
    }
    MR_ASSIGN_OR_RETURN(BatcherOptions options, batcher_options(init, splits || is_adaptive));
    if (is_adaptive) options.max_running = kMaxAdaptive;
    // The attributes of low priority are for requests that their RPC marks as sheddable, which none does here: as in
    // TensorFlow, they then change nothing.
    MR_ASSIGN_OR_RETURN(const std::string policy, init.attr<std::string>("batch_padding_policy"));
    if (policy != "PAD_UP" && !options.allowed_rows.empty())
      return unimplemented("BatchFunction: batch_padding_policy ", policy, " is not supported, only PAD_UP");
    MR_ASSIGN_OR_RETURN(ref_, init.attr<FunctionRef>("f"));
    MR_ASSIGN_OR_RETURN(const auto batched, init.attr<std::vector<DataType>>("Tin"));
    num_batched_ = static_cast<int>(batched.size());
    functions_ = init.functions();
    for (int i = 0; i < num_batched_; ++i) {
      if (batched[static_cast<size_t>(i)] == DataType::kResource)
        return invalid_argument("BatchFunction cannot take resource inputs but input ", i, " is a resource.");
    }
    return configure(init, std::move(options));
  }

  void compute_async(KernelContext& ctx, Done done) override {
    absl::StatusOr<std::shared_ptr<CallableFunction>> function = get(ctx.node());
    if (!function.ok()) return done(function.status());
    absl::StatusOr<Element> inputs = batched_inputs(ctx, num_batched_);
    if (!inputs.ok()) return done(inputs.status());
    if ((*inputs)[0].dim(0) == 0) return done(nothing(ctx));
    Element captured;
    for (int i = num_batched_; i < ctx.num_inputs(); ++i) captured.push_back(ctx.input(i));
    auto call = [function = *function, captured = std::move(captured)](Element batch, CancellationScope* scope,
                                                                       RequestBatcher::Done called) {
      batch.insert(batch.end(), captured.begin(), captured.end());
      function->run(std::move(batch), scope, std::move(called));
    };
    submit(ctx, *std::move(inputs), std::move(call), std::move(done));
  }

  static absl::Status nothing(KernelContext& ctx) {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, make_shape({0}));
    for (int i = 0; i < ctx.num_outputs(); ++i) MR_RETURN_IF_ERROR(ctx.allocate_output(i, shape).status());
    return absl::OkStatus();
  }

  // Looked up when it is first called: functions may call themselves.
  absl::StatusOr<std::shared_ptr<CallableFunction>> get(const NodeInfo& node) {
    const std::lock_guard lock(mutex_);
    if (function_) return function_;
    MR_ASSIGN_OR_RETURN(std::shared_ptr<CallableFunction> made, functions_->instantiate(ref_));
    if (made->input_types().size() != node.input_types.size())
      return invalid_argument("Function takes ", made->input_types().size(), " argument(s) but ",
                              node.input_types.size(), " argument(s) were passed");
    if (!std::ranges::equal(node.input_types, made->input_types(), {}, base_dtype) ||
        !std::ranges::equal(node.output_types, made->output_types(), {}, base_dtype))
      return invalid_argument("'", node.name, "': the arguments or results of function '", ref_.name,
                              "' are of other types than the inputs or outputs");
    return function_ = std::move(made);
  }

  FunctionRef ref_;
  FunctionRunner* functions_ = nullptr;
  int num_batched_ = 0;
  std::mutex mutex_;
  std::shared_ptr<CallableFunction> function_;
};

// --- taking batches apart

struct Rows {
  int64_t id = 0, count = 0;
};

// What a batch_index tensor of n rows says: ids with how many rows each has.
absl::StatusOr<std::vector<Rows>> read_index(const Tensor& index) {
  if (index.rank() != 2 || index.dim(1) != 3)
    return invalid_argument("Wrong shape for index tensor. Expected 1st dimension size to be 3 ; Got: ", index.shape());
  const auto values = index.unchecked<int64_t>();
  std::vector<Rows> rows;
  for (size_t i = 0; i + 2 < values.size(); i += 3) {
    const std::optional<int64_t> count = checked_sub(values[i + 2], values[i + 1]);
    if (!count || *count < 0)
      return invalid_argument("batch_index names a piece from ", values[i + 1], " to ", values[i + 2]);
    rows.push_back({values[i], *count});
  }
  return rows;
}

// Pieces that came with other steps, and steps that wait for theirs. Both are given up after a time. Thread-safe.
class Unbatcher final : public Resource, public std::enable_shared_from_this<Unbatcher> {
 public:
  explicit Unbatcher(int64_t timeout_micros) : timeout_(std::max<int64_t>(0, timeout_micros)) {}
  std::string description() const override { return "Unbatcher"; }

  absl::Status bring(std::vector<std::pair<int64_t, Tensor>> pieces) {
    absl::Status status;
    attempts_.change([&] {
      drop_late_pieces();
      for (auto& [id, piece] : pieces) {
        if (!pieces_.try_emplace(id, Piece{std::move(piece), Clock::now() + timeout_}).second)
          status = already_exists("Multiple tensors returned for same batch key.");
      }
      expect_late_pieces();
    });
    return status;
  }

  // The piece of this id, once it is there.
  void take(int64_t id, CancellationScope* scope, std::function<void(absl::Status, Tensor)> done) {
    bool is_first = true;
    attempts_.change([&] { is_first = waiting_.insert(id).second; });
    if (!is_first) return done(already_exists("Multiple session runs with the same batch key."), {});
    const auto wait = std::make_shared<Wait>();
    wait->timer = call_after(timeout_, [weak = weak_from_this(), late = std::weak_ptr<Wait>(wait)] {
      const auto self = weak.lock();
      const auto w = late.lock();
      if (self && w) self->attempts_.change([&] { w->is_late = true; });
    });
    attempts_.start([this, id, wait] { return find(id, *wait); }, scope, "Unbatching was cancelled",
                    [this, id, wait, done = std::move(done)](absl::Status status) {
                      if (!wait->is_late) cancel_call(wait->timer);  // else this may be the timer's thread
                      attempts_.change([&] { waiting_.erase(id); });
                      done(std::move(status), std::move(wait->piece));
                    });
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Piece {
    Tensor tensor;
    Clock::time_point until;
  };
  struct Wait {
    Tensor piece;
    std::atomic<bool> is_late{false};
    DeadlineToken timer = 0;
  };

  Attempts::Outcome find(int64_t id, Wait& wait) {
    if (const auto found = pieces_.find(id); found != pieces_.end()) {
      wait.piece = std::move(found->second.tensor);
      pieces_.erase(found);
      return Attempts::ended();
    }
    if (!wait.is_late) return Attempts::waits();
    return Attempts::ended(deadline_exceeded("Batched data did not arrive within timeout window."));
  }

  void drop_late_pieces() {
    const auto now = Clock::now();
    std::erase_if(pieces_, [&](const auto& piece) { return piece.second.until <= now; });
  }

  // Looks for pieces that nobody came for, as long as there are any.
  void expect_late_pieces() {
    if (pieces_.empty() || is_expecting_) return;
    is_expecting_ = true;
    call_after(timeout_ + std::chrono::milliseconds(1), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->attempts_.change([&] {
        self->is_expecting_ = false;
        self->drop_late_pieces();
        self->expect_late_pieces();
      });
    });
  }

  const std::chrono::microseconds timeout_;
  Attempts attempts_;  // its lock guards what follows
  std::map<int64_t, Piece> pieces_;
  std::set<int64_t> waiting_;
  bool is_expecting_ = false;
};

class Unbatch final : public AsyncKernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, true));
    MR_ASSIGN_OR_RETURN(timeout_micros_, int32_attr(init, "timeout_micros"));
    return absl::OkStatus();
  }
  void compute_async(KernelContext& ctx, Done done) override {
    const auto found = ctx.resources().lookup_or_create<Unbatcher>(
        name_.container, name_.name,
        [&]() -> absl::StatusOr<std::shared_ptr<Unbatcher>> { return std::make_shared<Unbatcher>(timeout_micros_); });
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<Unbatcher> unbatcher = *found;
    if (ctx.shape(2).rank() != 0) return done(invalid_argument("Input id should be scalar; Got: ", ctx.shape(2), "."));
    const absl::StatusOr<int64_t> id = ctx.int_scalar(2);
    if (!id.ok()) return done(id.status());
    auto pieces = take_apart(ctx);
    if (!pieces.ok()) return done(pieces.status());
    if (absl::Status status = unbatcher->bring(*std::move(pieces)); !status.ok()) return done(std::move(status));
    unbatcher->take(*id, ctx.cancellation(),
                    [&ctx, unbatcher, done = std::move(done)](absl::Status status, Tensor piece) {
                      // The timer's thread is not to be held up by what the step does next.
                      if (absl::IsDeadlineExceeded(status))
                        return ctx.services().schedule([done, status] { done(status); });
                      if (status.ok()) status = ctx.set_output(0, std::move(piece));
                      done(std::move(status));
                    });
  }

  static absl::StatusOr<std::vector<std::pair<int64_t, Tensor>>> take_apart(const KernelContext& ctx) {
    const Tensor& data = ctx.input(0);
    if (data.rank() == 0) return invalid_argument("batched_tensor must have at least one dimension, got a scalar");
    MR_ASSIGN_OR_RETURN(const std::vector<Rows> index, read_index(ctx.input(1)));
    if (static_cast<int64_t>(index.size()) > data.dim(0))
      return invalid_argument("Wrong shape for index tensor. Expected 0th dimension size to be no greater than ",
                              data.dim(0), "; Got: ", index.size(), ".");
    std::vector<std::pair<int64_t, Tensor>> pieces;
    int64_t begin = 0;
    for (const Rows& rows : index) {
      if (rows.count > data.dim(0) - begin)
        return invalid_argument("batch_index names more rows than the ", data.dim(0), " of batched_tensor");
      MR_ASSIGN_OR_RETURN(Tensor piece, copy_rows(data, begin, rows.count));
      pieces.emplace_back(rows.id, std::move(piece));
      begin += rows.count;
    }
    return pieces;
  }

  ResourceName name_;
  int64_t timeout_micros_ = 0;
};

// Gradients of the pieces, and steps that wait for all those of their batch. Thread-safe.
class GradientGatherer final : public Resource {
 public:
  std::string description() const override { return "Gatherer of gradients"; }

  absl::Status bring(int64_t id, const Tensor& gradient) {
    bool is_first = true;
    attempts_.change([&] { is_first = gradients_.try_emplace(id, gradient).second; });
    return is_first ? absl::OkStatus() : invalid_argument("Two runs with the same batch key.");
  }
  // For the step with this id, whose own gradient goes with it where the step fails.
  void gather(int64_t id, const std::vector<Rows>& index, CancellationScope* scope,
              std::function<void(absl::Status, std::vector<Tensor>)> done) {
    const auto gathered = std::make_shared<std::vector<Tensor>>();
    attempts_.start(
        [this, index, gathered] {
          for (const Rows& rows : index) {
            if (!gradients_.contains(rows.id)) return Attempts::waits();
          }
          for (const Rows& rows : index) {
            const auto found = gradients_.find(rows.id);
            if (found == gradients_.end())
              return Attempts::ended(invalid_argument("Missing tensor wanted by more than one batch."));
            gathered->push_back(std::move(found->second));
            gradients_.erase(found);
          }
          return Attempts::ended();
        },
        scope, "Unbatching of gradients was cancelled",
        [this, id, gathered, done = std::move(done)](absl::Status status) {
          if (!status.ok()) attempts_.change([&] { gradients_.erase(id); });
          done(std::move(status), std::move(*gathered));
        });
  }

 private:
  Attempts attempts_;  // its lock guards what follows
  std::map<int64_t, Tensor> gradients_;
};

class UnbatchGrad final : public AsyncKernel {
  absl::Status init(KernelInit& init) override {
    MR_ASSIGN_OR_RETURN(name_, resource_name(init, true));
    return absl::OkStatus();
  }
  void compute_async(KernelContext& ctx, Done done) override {
    const auto found = ctx.resources().lookup_or_create<GradientGatherer>(
        name_.container, name_.name,
        []() -> absl::StatusOr<std::shared_ptr<GradientGatherer>> { return std::make_shared<GradientGatherer>(); });
    if (!found.ok()) return done(found.status());
    const std::shared_ptr<GradientGatherer> gatherer = *found;
    const absl::StatusOr<std::vector<Rows>> index = check(ctx);
    if (!index.ok()) return done(index.status());
    const absl::StatusOr<int64_t> id = ctx.int_scalar(3);
    if (!id.ok()) return done(id.status());
    if (absl::Status status = gatherer->bring(*id, ctx.input(2)); !status.ok()) return done(std::move(status));
    if (ctx.input(0).num_elements() == 0) return done(nothing(ctx));
    gatherer->gather(*id, *index, ctx.cancellation(),
                     [&ctx, gatherer, done = std::move(done)](absl::Status status, const std::vector<Tensor>& all) {
                       if (!status.ok()) return done(std::move(status));
                       absl::StatusOr<Tensor> batch = concat_rows(all);
                       done(batch.ok() ? ctx.set_output(0, *std::move(batch)) : batch.status());
                     });
  }

  static absl::StatusOr<std::vector<Rows>> check(const KernelContext& ctx) {
    if (ctx.shape(3).rank() != 0) return invalid_argument("Expected `id` to be scalar. Received shape ", ctx.shape(3));
    if (ctx.shape(2).rank() == 0) return invalid_argument("grad must have at least one dimension, got a scalar");
    if (ctx.input(0).num_elements() == 0) return std::vector<Rows>();
    if (ctx.input(1).num_elements() == 0) return invalid_argument("batch_index is empty while the tensor isn't.");
    return read_index(ctx.input(1));
  }
  static absl::Status nothing(KernelContext& ctx) {
    MR_ASSIGN_OR_RETURN(const TensorShape shape, with_dim(ctx.shape(2), 0, 0));
    return ctx.allocate_output(0, shape).status();
  }

  ResourceName name_;
};

// --- shapes and gradients

// Any number of rows like those of input i.
absl::StatusOr<PartialTensorShape> rows_like(ShapeContext& c, int i) {
  MR_ASSIGN_OR_RETURN(const PartialTensorShape shape, c.with_rank_at_least(i, 1));
  if (!shape.has_rank()) return shape;
  std::vector<int64_t> dims = {-1};
  for (int d = 1; d < shape.rank(); ++d) dims.push_back(shape.dim(d));
  return make_partial_shape(dims);
}

absl::Status batch_shape(ShapeContext& c) {
  const int n = c.num_outputs() - 2;
  for (int i = 0; i < n; ++i) MR_RETURN_IF_ERROR(c.set_output(i, rows_like(c, i)));
  MR_RETURN_IF_ERROR(c.set_output(n, make_partial_shape({-1, 3})));
  return c.set_output(n + 1, PartialTensorShape::scalar());
}

absl::Status unbatch_shape(ShapeContext& c) { return c.set_output(0, rows_like(c, 0)); }

absl::Status unbatch_grad_shape(ShapeContext& c) {
  const PartialTensorShape& grad = c.input(2);
  if (!grad.has_rank()) return unknown_shapes(c);
  return c.set_output(0, make_partial_shape(std::vector<int64_t>(static_cast<size_t>(grad.rank()), -1)));
}

absl::Status batch_gradient(GradientContext& g) {
  const int n = g.num_inputs();
  const absl::StatusOr<int64_t> timeout = g.attr<int64_t>("grad_timeout_micros");
  if (!timeout.ok()) return timeout.status();
  for (int i = 0; i < n; ++i) {
    g.set_dx(i,
             g.op("Unbatch", {g.dy(i), g.y(n), g.y(n + 1)},
                  {{"timeout_micros", *timeout}, {"shared_name", str_cat("batch_gradient_", g.node().name, "_", i)}}));
  }
  return absl::OkStatus();
}

absl::Status unbatch_gradient(GradientContext& g) {
  g.set_dx(0, g.op("UnbatchGrad", {g.x(0), g.x(1), g.dy(0), g.x(2)},
                   {{"shared_name", str_cat("unbatch_gradient_", g.node().name)}}));
  return absl::OkStatus();
}

void register_batch_function(Registry& registry) {
  registry.op("BatchFunction")
      .input("in_tensors: Tin")
      .input("captured_tensors: Tcaptured")
      .output("out_tensors: Tout")
      .attr("f: func")
      .attr("num_batch_threads: int")
      .attr("max_batch_size: int")
      .attr("batch_timeout_micros: int")
      .attr("max_enqueued_batches: int = 10")
      .attr("allowed_batch_sizes: list(int) = []")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("batching_queue: string = ''")
      .attr("low_priority_max_batch_size: int = 0")
      .attr("low_priority_batch_timeout_micros: int = 0")
      .attr("low_priority_allowed_batch_sizes: list(int) = []")
      .attr("low_priority_max_enqueued_batches: int = 0")
      .attr(
          "mixed_priority_policy: {'low_priority_padding_with_max_batch_size', "
          "'low_priority_padding_with_next_allowed_batch_size', 'priority_isolation', 'priority_merge'} = "
          "'low_priority_padding_with_max_batch_size'")
      .attr("batch_padding_policy: {'PAD_UP', 'BATCH_DOWN', 'MINIMIZE_TPU_COST_PER_REQUEST'} = 'PAD_UP'")
      .attr("Tin: list(type) >= 1")
      .attr("Tcaptured: list(type) >= 0")
      .attr("Tout: list(type) >= 1")
      .attr("enable_large_batch_splitting: bool = false")
      .shape(unknown_shapes)
      .cpu<BatchFunction>()
      .doc("Calls a function once for the inputs of several steps, as one batch.");
}

}  // namespace

void register_batching(Registry& registry) {
  registry.op("Batch")
      .input("in_tensors: T")
      .output("batched_tensors: T")
      .output("batch_index: int64")
      .output("id: int64")
      .attr("num_batch_threads: int")
      .attr("max_batch_size: int")
      .attr("max_enqueued_batches: int = 10")
      .attr("batch_timeout_micros: int")
      .attr("allowed_batch_sizes: list(int) = []")
      .attr("grad_timeout_micros: int")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("batching_queue: string = ''")
      .attr("T: list(type) >= 1")
      .shape(batch_shape)
      .cpu<Batch>()
      .gradient(batch_gradient)
      .doc("Gathers the inputs of several steps in one of them.");
  registry.op("Unbatch")
      .input("batched_tensor: T")
      .input("batch_index: int64")
      .input("id: int64")
      .output("unbatched_tensor: T")
      .attr("timeout_micros: int")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("T: type")
      .shape(unbatch_shape)
      .cpu<Unbatch>()
      .gradient(unbatch_gradient)
      .doc("Gives every step of a batch its own rows back.");
  registry.op("UnbatchGrad")
      .input("original_input: T")
      .input("batch_index: int64")
      .input("grad: T")
      .input("id: int64")
      .output("batched_grad: T")
      .attr("container: string = ''")
      .attr("shared_name: string = ''")
      .attr("T: type")
      .shape(unbatch_grad_shape)
      .cpu<UnbatchGrad>()
      .doc("Gathers the gradients of all steps of a batch.");
  register_batch_function(registry);
}

}  // namespace millrace
