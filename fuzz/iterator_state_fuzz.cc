// Saved positions of input pipelines, damaged: the first byte chooses the pipeline, the second how far it goes before
// it is saved; then each pair says which value of the state becomes what. Restoring must refuse it or go on. The input
// is read as a state from a checkpoint, too.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/byte_reader.h"
#include "data/background.h"
#include "data/batch.h"
#include "data/shuffle.h"
#include "data/sources.h"
#include "data/state_wire.h"
#include "data/transforms.h"
#include "tensor/allocator.h"
#include "tensor/tensor.h"

namespace millrace {
namespace {

const ElementSpec& numbers() {
  static const ElementSpec spec{{int64}, {PartialTensorShape::scalar()}};
  return spec;
}

DatasetPtr range(int64_t n) { return *range_dataset(0, n, 1, numbers()); }

DatasetPtr pipeline(int choice) {
  switch (choice) {
    case 0: return range(9);
    case 1: return take_dataset(skip_dataset(range(9), 2), 5);
    case 2: return repeat_dataset(range(4), 3);
    case 3: return *batch_dataset(range(9), 2, false, {{int64}, {{-1}}});
    case 4: return *concatenate_dataset(range(3), range(4), numbers());
    case 5:
      return *zip_dataset({range(5), range(6)},
                          {{int64, int64}, {PartialTensorShape::scalar(), PartialTensorShape::scalar()}});
    case 6: return *shard_dataset(range(20), 3, 1);
    case 7: return *unique_dataset(repeat_dataset(range(3), 2));
    case 8: return *window_dataset(range(9), 3, 2, 1, false, {{variant}, {PartialTensorShape::scalar()}});
    case 9: return cache_dataset(range(5));
    case 10: return *directed_interleave_dataset(repeat_dataset(range(2), 4), {range(5), range(6)}, numbers(), false);
    case 11: return random_dataset(3, 4, numbers());
    case 12: return unbatch_dataset(*batch_dataset(range(9), 3, true, {{int64}, {{3}}}), numbers());
    default: return *tensor_slice_dataset({Tensor({3, 2}, std::vector<float>(6))}, {{float32}, {{2}}});
  }
}

int64_t damaged_number(uint8_t how, int64_t value) {
  switch (how % 8) {
    case 0: return value + 1;
    case 1: return value - 1;
    case 2: return -1;
    case 3: return INT64_MAX;
    case 4: return INT64_MIN;
    case 5: return int64_t{1} << 40;
    case 6: return 0;
    default: return how;
  }
}

void damage(ByteReader& bytes, IteratorState& state) {
  while (bytes.remaining() >= 2) {
    const uint8_t which = *bytes.read_byte("which"), how = *bytes.read_byte("how");
    const size_t count = state.numbers.size() + state.tensors.size();
    if (count == 0) return;
    if (const size_t at = which % count; at < state.numbers.size()) {
      const auto it = std::next(state.numbers.begin(), static_cast<std::ptrdiff_t>(at));
      if (how % 11 == 10) state.numbers.erase(it);
      else it->second = damaged_number(how, it->second);
    } else {
      const auto it = std::next(state.tensors.begin(), static_cast<std::ptrdiff_t>(at - state.numbers.size()));
      if (how % 5 == 0) state.tensors.erase(it);
      else
        it->second = how % 5 == 1   ? Tensor()
                     : how % 5 == 2 ? Tensor("text")
                     : how % 5 == 3 ? Tensor(1.5f)
                                    : Tensor(int64_t{-3});
    }
  }
}

void run(std::string_view input) {
  set_process_memory_limit(int64_t{64} << 20);
  decode_iterator_state(input).IgnoreError();
  ByteReader bytes(input);
  const DatasetPtr dataset = pipeline(bytes.read_byte("pipeline").value_or(0) % 14);
  CancellationScope scope;
  IterationContext context{&scope};
  Element element;
  const auto advance = [&](DatasetIterator& iterator, int steps) {
    bool end = false;
    for (int i = 0; i < steps && !end; ++i) {
      end = false;
      if (!iterator.get_next(context, &element, &end).ok()) return;
    }
  };
  const IteratorPtr before = *dataset->iterate();
  advance(*before, bytes.read_byte("steps").value_or(0) % 12);
  IteratorState state;
  if (!before->save(StateWriter(&state)).ok()) return;
  damage(bytes, state);
  if (const auto encoded = encode_iterator_state(state); encoded.ok()) state = decode_iterator_state(*encoded).value();
  const IteratorPtr after = *dataset->iterate();
  if (after->restore(context, StateReader(&state)).ok()) advance(*after, 30);
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
