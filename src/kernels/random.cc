#include "kernels/random.h"

#include <algorithm>
#include <type_traits>

#include "kernels/parallel.h"

namespace millrace {
namespace {

template <class T>
inline constexpr size_t kGroup = sizeof(T) == 8 ? 2 : 4;  // outputs that one result of four numbers gives

// `group(result)` makes an array of kGroup<T> outputs.
template <class T, class Group> void fill_groups(const Philox& generator, std::span<T> out, int64_t cost, Group group) {
  constexpr size_t kSize = kGroup<T>;
  const auto groups = static_cast<int64_t>((out.size() + kSize - 1) / kSize);
  parallel_for(groups, cost, [&](int64_t begin, int64_t end) {
    Philox local = generator;
    local.skip(static_cast<uint64_t>(begin));
    for (int64_t g = begin; g < end; ++g) {
      const std::array<T, kSize> values = group(local());
      const size_t at = static_cast<size_t>(g) * kSize;
      std::copy_n(values.begin(), std::min(kSize, out.size() - at), out.begin() + static_cast<ptrdiff_t>(at));
    }
  });
}

template <class T> T uniform_one(uint32_t x) {
  if constexpr (std::is_same_v<T, float>) return uniform_float(x);
  else if constexpr (std::is_same_v<T, Half>)
    return Half(static_cast<float>(Half::from_bits(static_cast<uint16_t>((15u << 10) | (x & 0x3ffu)))) - 1.0f);
  else
    return BFloat16(static_cast<float>(BFloat16::from_bits(static_cast<uint16_t>((127u << 7) | (x & 0x7fu)))) - 1.0f);
}

template <class T> T narrow(float x) { return T(x); }

constexpr uint64_t join(uint32_t lo, uint32_t hi) { return uint64_t{lo} | (uint64_t{hi} << 32); }

}  // namespace

template <class T> void fill_uniform(const Philox& generator, std::span<T> out) {
  if constexpr (std::is_same_v<T, double>) {
    fill_groups(generator, out, 20, [](const Philox::Result& r) {
      return std::array<double, 2>{uniform_double(r[0], r[1]), uniform_double(r[2], r[3])};
    });
  } else {
    fill_groups(generator, out, 20, [](const Philox::Result& r) {
      return std::array<T, 4>{uniform_one<T>(r[0]), uniform_one<T>(r[1]), uniform_one<T>(r[2]), uniform_one<T>(r[3])};
    });
  }
}

template <class T> void fill_normal(const Philox& generator, std::span<T> out) {
  if constexpr (std::is_same_v<T, double>) {
    fill_groups(generator, out, 80, [](const Philox::Result& r) {
      const DoublePair p = box_muller(r[0], r[1], r[2], r[3]);
      return std::array<double, 2>{p.first, p.second};
    });
  } else {
    fill_groups(generator, out, 80, [](const Philox::Result& r) {
      const FloatPair p = box_muller(r[0], r[1]), q = box_muller(r[2], r[3]);
      return std::array<T, 4>{narrow<T>(p.first), narrow<T>(p.second), narrow<T>(q.first), narrow<T>(q.second)};
    });
  }
}

template <class T> void fill_truncated_normal(const Philox& generator, std::span<T> out) {
  constexpr size_t kSize = kGroup<T>;
  constexpr uint64_t kSkip = kSize * 256 / 4;  // each group owns a stretch long enough for its rejected draws
  const auto groups = static_cast<int64_t>((out.size() + kSize - 1) / kSize);
  parallel_for(groups, 100, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      Philox local = generator;
      local.skip(static_cast<uint64_t>(g) * kSkip);
      SinglePhilox single(&local);
      const size_t at = static_cast<size_t>(g) * kSize;
      const size_t wanted = std::min(kSize, out.size() - at);
      size_t have = 0;
      const auto offer = [&](auto x) {
        if (have < wanted && std::abs(x) < 2) out[at + have++] = static_cast<T>(x);
      };
      while (have < wanted) {
        const uint32_t x0 = single(), x1 = single();
        if constexpr (std::is_same_v<T, double>) {
          const uint32_t x2 = single(), x3 = single();
          const DoublePair p = box_muller(x0, x1, x2, x3);
          offer(p.first);
          offer(p.second);
        } else {
          const FloatPair p = box_muller(x0, x1);
          offer(p.first);
          offer(p.second);
        }
      }
    }
  });
}

template <class T> void fill_uniform_int(const Philox& generator, T low, T high, std::span<T> out) {
  using U = std::make_unsigned_t<T>;
  const U range = static_cast<U>(high) - static_cast<U>(low);
  const auto draw = [low, range](U bits) { return static_cast<T>(static_cast<U>(low) + bits % range); };
  if constexpr (sizeof(T) == 8) {
    fill_groups(generator, out, 40, [draw](const Philox::Result& r) {
      return std::array<T, 2>{draw(join(r[0], r[1])), draw(join(r[2], r[3]))};
    });
  } else {
    fill_groups(generator, out, 30, [draw](const Philox::Result& r) {
      return std::array<T, 4>{draw(r[0]), draw(r[1]), draw(r[2]), draw(r[3])};
    });
  }
}

template <class T> void fill_full_int(const Philox& generator, std::span<T> out) {
  if constexpr (sizeof(T) == 8) {
    fill_groups(generator, out, 20, [](const Philox::Result& r) {
      return std::array<T, 2>{static_cast<T>(join(r[0], r[1])), static_cast<T>(join(r[2], r[3]))};
    });
  } else {
    fill_groups(generator, out, 20, [](const Philox::Result& r) {
      return std::array<T, 4>{static_cast<T>(r[0]), static_cast<T>(r[1]), static_cast<T>(r[2]), static_cast<T>(r[3])};
    });
  }
}

#define MR_INSTANTIATE(T)                                     \
  template void fill_uniform<T>(const Philox&, std::span<T>); \
  template void fill_normal<T>(const Philox&, std::span<T>);  \
  template void fill_truncated_normal<T>(const Philox&, std::span<T>);
MR_INSTANTIATE(Half)
MR_INSTANTIATE(BFloat16)
MR_INSTANTIATE(float)
MR_INSTANTIATE(double)
#undef MR_INSTANTIATE
#define MR_INSTANTIATE(T)                                                        \
  template void fill_uniform_int<T>(const Philox&, T low, T high, std::span<T>); \
  template void fill_full_int<T>(const Philox&, std::span<T>);
MR_INSTANTIATE(int32_t)
MR_INSTANTIATE(int64_t)
MR_INSTANTIATE(uint32_t)
MR_INSTANTIATE(uint64_t)
#undef MR_INSTANTIATE

}  // namespace millrace
