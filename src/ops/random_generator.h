#pragma once
// The state of a stateful random op: one generator per node and session.

#include <mutex>
#include <random>

#include "kernels/philox.h"
#include "op/kernel.h"

namespace millrace {

// The generator of a stateful op. Each run takes its part of the stream.
class GuardedPhilox {
 public:
  absl::Status init(KernelInit& init) {
    MR_ASSIGN_OR_RETURN(const int64_t seed, init.attr<int64_t>("seed"));
    MR_ASSIGN_OR_RETURN(const int64_t seed2, init.attr<int64_t>("seed2"));
    if (seed != 0 || seed2 != 0) {
      generator_ = Philox(static_cast<uint64_t>(seed), static_cast<uint64_t>(seed2));
    } else {  // both zero ask for numbers that nobody can foretell
      std::random_device device;
      const auto draw = [&] { return (uint64_t{device()} << 32) | device(); };
      const uint64_t a = draw(), b = draw();
      generator_ = Philox(a, b);
    }
    return absl::OkStatus();
  }
  // The generator as it stands; the next call finds it `results` results further.
  Philox reserve(uint64_t results) {
    std::lock_guard lock(mutex_);
    const Philox now = generator_;
    generator_.skip(results);
    return now;
  }

 private:
  std::mutex mutex_;
  Philox generator_;
};

}  // namespace millrace
