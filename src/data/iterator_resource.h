#pragma once
// A session's iterator: what IteratorV2 and OneShotIterator handles lead to. Its dataset may be replaced
// (MakeIterator).

#include <functional>
#include <memory>

#include "data/dataset.h"
#include "op/resource.h"

namespace millrace {

// Thread-safe. Requests are served one after another, in their order.
class IteratorResource final : public Resource {
 public:
  using Done = std::function<void(absl::Status, Element, bool end)>;

  explicit IteratorResource(ElementSpec spec);
  ~IteratorResource() override;
  std::string description() const override { return "Iterator"; }
  const ElementSpec& spec() const;

  // Starts anew on this dataset. InvalidArgument where its elements are not those of the iterator.
  absl::Status set_dataset(DatasetPtr dataset);

  // Calls `done` once: on the calling thread where the next element is at hand, else on the iterator's own thread, so
  // that no other thread waits for a pipeline. A call whose scope is cancelled ends with the scope's status.
  // FailedPrecondition before the first set_dataset. The scope must live until `done` has been called.
  void get_next(CancellationScope* cancellation, Done done);

  absl::Status save(IteratorState* state);
  // Before the first set_dataset the state is kept for it: supervised sessions restore a checkpoint before they run
  // initializers.
  absl::Status restore(const IteratorState& state, CancellationScope* cancellation);

 private:
  struct Core;  // shared with the thread, which may be the one to drop the last reference to the resource
  std::shared_ptr<Core> core_;
};

}  // namespace millrace
