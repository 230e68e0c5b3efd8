#pragma once
// The process's compute threads. libgomp starts a team of workers for every thread that opens a parallel region and
// keeps it, so sessions and threads that run steps side by side would multiply the machine's processors. Here the first
// kOwnTeams threads that have wide work keep teams of their own; all others share one more, whose leading thread is the
// process's. One region runs at a time: whatever callers do, the process has at most
//
//   (kOwnTeams + 1) * (intra-op threads - 1) + 1
//
// threads besides its callers, and no two teams spin against each other. Work in the team waits for nothing else, so
// that waiting for the team ends.

#include <type_traits>

namespace millrace {

inline constexpr int kOwnTeams = 2;

namespace team_internal {
using Work = void (*)(void* context);
void run(Work work, void* context);
}  // namespace team_internal

// Runs `work`, which opens parallel regions by itself and whose result may depend on how many threads they have
// (oneDNN), where there is a team of intra_op_threads() threads: on the caller, or on another thread while the caller
// waits.
template <class F> void run_in_team(F&& work) {
  auto call = [](void* context) { (*static_cast<std::remove_reference_t<F>*>(context))(); };
  team_internal::run(call, const_cast<void*>(static_cast<const void*>(&work)));
}

// For work that may as well be done by the caller alone: holds the team where the caller has one and it is free now.
class TeamIfFree {
 public:
  TeamIfFree();
  ~TeamIfFree();
  TeamIfFree(const TeamIfFree&) = delete;
  TeamIfFree& operator=(const TeamIfFree&) = delete;
  explicit operator bool() const { return may_open_; }

 private:
  bool may_open_ = false, entered_ = false;
};

}  // namespace millrace
