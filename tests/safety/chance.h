#pragma once
// A small generator of choices. The same seed gives the same choices on every platform, so a case is told by its
// number.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace millrace {

class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed) {}

  uint64_t bits() {  // splitmix64 (Steele, Lea, Flood)
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return n <= 0 ? 0 : static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }  // both included
  bool percent(int p) { return below(100) < p; }
  template <class T> const T& pick(std::span<const T> choices) {
    return choices[static_cast<size_t>(below(static_cast<int64_t>(choices.size())))];
  }
  template <class T> const T& pick(const std::vector<T>& choices) { return pick(std::span<const T>(choices)); }
  template <class T> T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int64_t>(choices.size()))];
  }

 private:
  uint64_t state_;
};

}  // namespace millrace
