#pragma once
// Parts of a graph that only one step at a time may run.
//
//   tf::CriticalSection section;
//   Output next = section.execute([&] { return counter.assign_add(1); });

#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/control_flow.h"

namespace millrace {

#pragma GCC visibility push(default)

struct CriticalSectionOptions {
  std::string_view name = {};         // "CriticalSection"
  std::string_view shared_name = {};  // sections of one name are one section; the name of its scope otherwise
  std::source_location where = std::source_location::current();
};

struct ExecuteOptions {
  // Whether no other section may read or write the resources that this execution touches.
  bool exclusive_resource_access = true;
  std::string_view name = {};  // "critical_section_execute"
  std::source_location where = std::source_location::current();
};

// tf.CriticalSection: holds a mutex of the session, or of the server.
class CriticalSection {
 public:
  explicit CriticalSection(const CriticalSectionOptions& options = {});
  // The name of the node that makes the mutex.
  std::string name() const { return handle_.op().name(); }

  // What `fn` returns, a tensor or a list of them. What it builds runs under the lock, once all that it reads from
  // outside is there; the results are available when the lock is free again. Whoever runs one of them runs all.
  // Errors: InvalidArgument where `fn` returns nothing or operations, locks this section itself, or touches a resource
  // that another section has, and one of the two wants it for itself.
  template <class F>
  requires(!internal::ReturnsList<F>) Output execute(const F& fn, const ExecuteOptions& options = {})
  const {
    return run([&] { return BranchResult(fn()); }, options)[0];
  }
  template <internal::ReturnsList F>
  std::vector<Output> execute(const F& fn, const ExecuteOptions& options = {}) const {
    return run([&] { return BranchResult(fn()); }, options);
  }

 private:
  std::vector<Output> run(const std::function<BranchResult()>& fn, const ExecuteOptions& options) const;
  Output handle_;
};

#pragma GCC visibility pop

}  // namespace millrace
