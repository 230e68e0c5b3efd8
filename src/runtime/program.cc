#include "runtime/program.h"

#include "runtime/passes/passes.h"
#include "runtime/placer.h"
#include "runtime/schedule.h"
#include "runtime/step.h"

namespace millrace {

Program::Program(Runtime& runtime) : runtime_(runtime) {}
Program::~Program() { delete spare_.load(); }

std::unique_ptr<Step> Program::take_step() {
  if (Step* spare = spare_.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<Step>(spare);
  {
    std::lock_guard lock(steps_mutex_);
    if (!steps_.empty()) {
      std::unique_ptr<Step> step = std::move(steps_.back());
      steps_.pop_back();
      return step;
    }
  }
  return std::make_unique<Step>(*this);
}

void Program::give_back(std::unique_ptr<Step> step) {
  Step* none = nullptr;
  if (spare_.compare_exchange_strong(none, step.get(), std::memory_order_release)) {
    (void)step.release();
    return;
  }
  constexpr size_t kKept = 16;
  std::lock_guard lock(steps_mutex_);
  if (steps_.size() < kKept) steps_.push_back(std::move(step));
}

absl::Status Program::check_feeds(std::span<const Tensor> feeds) const {
  if (feeds.size() != feeds_.size()) {
    return invalid_argument("Expects ", feeds_.size(), " arguments, but ", feeds.size(), " is provided");
  }
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (feeds[i].dtype() != feeds_[i].dtype) [[unlikely]] {
      return invalid_argument("Expects arg[", i, "] to be ", dtype_name(feeds_[i].dtype), " but ",
                              dtype_name(feeds[i].dtype()), " is provided ('", feeds_[i].name, "')");
    }
  }
  return absl::OkStatus();
}

namespace {

absl::Status no_value(size_t fetch, const std::string& source) {
  return invalid_argument("Retval[", fetch, "] does not have value: '", source, "' is in a branch that was not taken");
}

}  // namespace

absl::Status Program::run(std::span<Tensor> feeds, bool take_feeds, const RunContext& context,
                          std::vector<Tensor>* fetched) {
  MR_RETURN_IF_ERROR(check_feeds(feeds));
  fetched->clear();
  fetched->resize(fetches_.size());
  for (size_t i = 0; i < fetches_.size(); ++i) {
    if (fetches_[i].feed >= 0) (*fetched)[i] = feeds[static_cast<size_t>(fetches_[i].feed)];
    if (fetches_[i].constant >= 0) (*fetched)[i] = constants_[static_cast<size_t>(fetches_[i].constant)];
  }
  std::unique_ptr<Step> step = take_step();
  absl::Status status;
  if (flat_) {
    if (++call_depth() > kMaxCallDepth) {
      --call_depth();
      return resource_exhausted("functions call each other more than ", kMaxCallDepth, " deep");
    }
    step->begin(context.cancellation);
    for (size_t f = 0; f < feeds.size(); ++f) {
      const std::vector<Edge>& edges = feeds_[f].edges;
      for (size_t e = 0; e < edges.size(); ++e) {
        Tensor& slot = step->slots[edges[e].slot].tensor;
        if (take_feeds && e + 1 == edges.size()) slot = std::move(feeds[f]);
        else slot = feeds[f];
      }
    }
    status = walk(*step, context);
    --call_depth();
    for (size_t i = 0; status.ok() && i < fetches_.size(); ++i) {
      if (fetches_[i].feed < 0 && fetches_[i].constant < 0)
        (*fetched)[i] = std::move(step->slots[fetches_[i].slot].tensor);
    }
  } else {
    const auto schedule = std::make_shared<Schedule>(shared_from_this(), std::move(step), context);
    status = schedule->run(feeds, take_feeds);
    for (size_t i = 0; status.ok() && i < fetches_.size(); ++i) {
      if (fetches_[i].feed >= 0 || fetches_[i].constant >= 0) continue;
      (*fetched)[i] = schedule->take_fetch(fetches_[i].slot);
      if (!(*fetched)[i].has_value()) status = no_value(i, fetches_[i].source);
    }
    step = schedule->release_step();
  }
  step->end(!status.ok());
  give_back(std::move(step));
  return status;
}

void Program::run_async(std::vector<Tensor> feeds, const RunContext& context, Done done) {
  if (flat_) {
    std::vector<Tensor> fetched;
    absl::Status status = run(feeds, /*take_feeds=*/true, context, &fetched);
    done(std::move(status), std::move(fetched));
    return;
  }
  if (absl::Status status = check_feeds(feeds); !status.ok()) {
    done(std::move(status), {});
    return;
  }
  struct Run {
    std::vector<Tensor> feeds, fetched;
    Done done;
  };
  auto run = std::make_shared<Run>();
  run->feeds = std::move(feeds);
  run->done = std::move(done);
  run->fetched.resize(fetches_.size());
  for (size_t i = 0; i < fetches_.size(); ++i) {
    if (fetches_[i].feed >= 0) run->fetched[i] = run->feeds[static_cast<size_t>(fetches_[i].feed)];
    if (fetches_[i].constant >= 0) run->fetched[i] = constants_[static_cast<size_t>(fetches_[i].constant)];
  }
  const auto self = shared_from_this();
  const auto schedule = std::make_shared<Schedule>(self, take_step(), context);
  schedule->run_async(run->feeds, [self, run, raw = schedule.get()](absl::Status status) {
    for (size_t i = 0; status.ok() && i < self->fetches_.size(); ++i) {
      if (self->fetches_[i].feed >= 0 || self->fetches_[i].constant >= 0) continue;
      run->fetched[i] = raw->take_fetch(self->fetches_[i].slot);
      if (!run->fetched[i].has_value()) status = no_value(i, self->fetches_[i].source);
    }
    std::unique_ptr<Step> step = raw->release_step();
    step->end(!status.ok());
    self->give_back(std::move(step));
    run->done(std::move(status), std::move(run->fetched));
  });
}

std::shared_ptr<Schedule> Program::new_schedule(const RunContext& context) {
  return std::make_shared<Schedule>(shared_from_this(), take_step(), context);
}

void Program::give_back_step(Schedule& schedule, bool failed) {
  std::unique_ptr<Step> step = schedule.release_step();
  step->end(failed);
  give_back(std::move(step));
}

std::vector<NodeDef> Program::node_defs() const {
  const auto value_name = [&](const ValueRef& v) {
    const PlanNode& from = plan_.at(v.node);
    const std::string name = from.is_feed() ? str_cat("_arg_", from.name, "_0_", from.feed) : from.name;
    return v.index == 0 ? name : str_cat(name, ":", v.index);
  };
  std::vector<NodeDef> defs;
  for (const PlanNode& node : plan_.nodes) {
    if (node.removed) continue;
    NodeDef def;
    if (node.is_feed()) {
      def.name = str_cat("_arg_", node.name, "_0_", node.feed);
      def.op = "_Arg";
      def.attrs = {{"T", node.feed_type}, {"index", int64_t{node.feed}}};
    } else {
      def.name = node.name;
      def.op = node.op;
      def.device = node.info().device;
      def.attrs = node.info().attrs;
    }
    for (const ValueRef& input : node.inputs) def.inputs.push_back(value_name(input));
    for (const int control : node.control_inputs) def.inputs.push_back(str_cat("^", value_name({control, 0})));
    defs.push_back(std::move(def));
  }
  return defs;
}

absl::StatusOr<std::shared_ptr<Program>> compile(const GraphImpl& graph, const Signature& signature, NodeStates& states,
                                                 Runtime& runtime) {
  absl::StatusOr<Plan> plan = absl::InternalError("unset");
  {
    std::lock_guard lock(graph.mutex());
    plan = make_plan(graph, signature, states);
  }
  MR_RETURN_IF_ERROR(plan.status());
  plan->partial = signature.partial;
  MR_RETURN_IF_ERROR(place(*plan, runtime));
  MR_RETURN_IF_ERROR(run_passes(*plan, runtime));
  return Program::lay_out(*std::move(plan), runtime);
}

}  // namespace millrace
