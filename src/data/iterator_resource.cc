#include "data/iterator_resource.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/thread_pool.h"

namespace millrace {

struct IteratorResource::Core {
  struct Request {
    CancellationScope* cancellation;
    Done done;
  };

  explicit Core(ElementSpec s) : spec(std::move(s)) {}

  static absl::Status not_initialized() {
    return failed_precondition(
        "GetNext() failed because the iterator has not been initialized. Ensure that you have run the initializer "
        "operation for this "
        "iterator before getting the next element.");
  }

  static absl::Status check_element(const ElementSpec& spec, const Element& element) {
    if (element.size() != spec.types.size())
      return invalid_argument("The iterator's element has ", element.size(), " components, not ", spec.types.size(),
                              ".");
    for (size_t i = 0; i < element.size(); ++i) {
      if (element[i].dtype() != spec.types[i])
        return invalid_argument("Data type mismatch at component ", i, ": expected ", dtype_name(spec.types[i]),
                                " but got ", dtype_name(element[i].dtype()), ".");
      if (!spec.shapes[i].is_compatible_with(element[i].shape()))
        return invalid_argument("Incompatible shapes at component ", i, ": expected ", spec.shapes[i], " but got ",
                                element[i].shape(), ".");
    }
    return absl::OkStatus();
  }

  static void run(const std::shared_ptr<Core>& core) {
    name_this_thread("iterator");
    std::unique_lock lock(core->mutex);
    while (true) {
      core->work.wait(lock, [&] { return core->stopping || (!core->requests.empty() && !core->busy); });
      if (core->stopping) break;
      Request request = std::move(core->requests.front());
      core->requests.pop_front();
      core->busy = true;
      std::shared_ptr<DatasetIterator> iterator = core->iterator;
      lock.unlock();
      Element element;
      bool end = false;
      absl::Status status = request.cancellation->status();
      if (status.ok() && !iterator) status = not_initialized();
      if (status.ok()) {
        IterationContext ctx{request.cancellation};
        status = iterator->get_next(ctx, &element, &end);
        if (status.ok() && !end) status = check_element(core->spec, element);
      }
      iterator.reset();
      lock.lock();
      core->busy = false;
      core->idle.notify_all();
      lock.unlock();
      request.done(std::move(status), std::move(element), end);
      request.done = nullptr;  // may drop the resource, and so set `stopping`
      lock.lock();
    }
    std::deque<Request> left = std::move(core->requests);
    lock.unlock();
    for (Request& request : left) request.done(cancelled("The iterator is gone."), {}, false);
  }

  const ElementSpec spec;
  std::mutex mutex;
  std::condition_variable work, idle;
  DatasetPtr dataset;                         // null before the first one is set
  std::optional<IteratorState> awaits;        // restored before that
  std::shared_ptr<DatasetIterator> iterator;  // of it
  std::deque<Request> requests;
  bool busy = false;  // someone uses the iterator
  bool stopping = false;
  std::thread thread;  // started when first needed
};

IteratorResource::IteratorResource(ElementSpec spec) : core_(std::make_shared<Core>(std::move(spec))) {}

IteratorResource::~IteratorResource() {
  {
    std::lock_guard lock(core_->mutex);
    core_->stopping = true;
    core_->work.notify_all();
  }
  if (!core_->thread.joinable()) return;
  if (core_->thread.get_id() == std::this_thread::get_id()) core_->thread.detach();  // it holds the core itself
  else core_->thread.join();
}

const ElementSpec& IteratorResource::spec() const { return core_->spec; }

absl::Status IteratorResource::set_dataset(DatasetPtr dataset) {
  MR_RETURN_IF_ERROR(check_compatible(core_->spec, dataset->spec()));
  MR_ASSIGN_OR_RETURN(std::shared_ptr<DatasetIterator> iterator, dataset->iterate());
  std::lock_guard lock(core_->mutex);
  if (core_->awaits) {
    CancellationScope scope;
    IterationContext ctx{&scope};
    MR_RETURN_IF_ERROR(iterator->restore(ctx, StateReader(&*core_->awaits)));
    core_->awaits.reset();
  }
  core_->dataset.swap(dataset);
  core_->iterator.swap(iterator);
  return absl::OkStatus();
}

void IteratorResource::get_next(CancellationScope* cancellation, Done done) {
  const std::shared_ptr<Core> core = core_;
  std::shared_ptr<DatasetIterator> iterator;
  {
    std::unique_lock lock(core->mutex);
    if (!core->iterator) {
      lock.unlock();
      done(Core::not_initialized(), {}, false);
      return;
    }
    if (core->busy || !core->requests.empty() || !core->iterator->is_ready()) {
      core->requests.push_back({cancellation, std::move(done)});
      if (!core->thread.joinable()) core->thread = std::thread([core] { Core::run(core); });
      core->work.notify_one();
      return;
    }
    core->busy = true;
    iterator = core->iterator;
  }
  Element element;
  bool end = false;
  IterationContext ctx{cancellation};
  absl::Status status = iterator->get_next(ctx, &element, &end);
  if (status.ok() && !end) status = Core::check_element(core->spec, element);
  iterator.reset();
  {
    std::lock_guard lock(core->mutex);
    core->busy = false;
    if (!core->requests.empty()) core->work.notify_one();
    core->idle.notify_all();
  }
  done(std::move(status), std::move(element), end);
}

absl::Status IteratorResource::save(IteratorState* state) {
  std::unique_lock lock(core_->mutex);
  core_->idle.wait(lock, [&] { return !core_->busy; });
  if (!core_->iterator)
    return failed_precondition(
        "SerializeIterator() failed because the iterator has not been initialized. Ensure that you have run the "
        "initializer operation for this iterator before saving it.");
  return core_->iterator->save(StateWriter(state));
}

absl::Status IteratorResource::restore(const IteratorState& state, CancellationScope* cancellation) {
  // Into a fresh iterator of the same dataset.
  std::unique_lock lock(core_->mutex);
  core_->idle.wait(lock, [&] { return !core_->busy; });
  if (!core_->iterator) {
    core_->awaits = state;
    return absl::OkStatus();
  }
  MR_ASSIGN_OR_RETURN(std::shared_ptr<DatasetIterator> fresh, core_->dataset->iterate());
  IterationContext ctx{cancellation};
  MR_RETURN_IF_ERROR(fresh->restore(ctx, StateReader(&state)));
  core_->iterator.swap(fresh);
  return absl::OkStatus();
}

}  // namespace millrace
