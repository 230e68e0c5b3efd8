// The bounded reader under a program of reads: each step's first byte says what to read next.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/byte_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using millrace::ByteReader;
  std::vector<ByteReader> readers{ByteReader(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz")};
  for (int step = 0; step < 1000; ++step) {
    ByteReader& reader = readers.back();
    const size_t before = reader.remaining();
    const absl::StatusOr<uint8_t> choice = reader.read_byte("choice");
    if (!choice.ok()) return 0;
    bool ok = true;
    switch (*choice % 7) {
      case 0: ok = reader.read_bytes(*choice, "bytes").ok(); break;
      case 1: ok = reader.read_fixed32("fixed32").ok(); break;
      case 2: ok = reader.read_fixed64("fixed64").ok(); break;
      case 3: ok = reader.read_varint32("varint32").ok(); break;
      case 4: {
        const absl::StatusOr<uint64_t> length = reader.read_varint64("length");
        ok = length.ok() && reader.skip(*length, "skipped").ok();
        break;
      }
      case 5: {
        const absl::StatusOr<uint64_t> length = reader.read_varint64("length");
        if (!length.ok()) return 0;
        absl::StatusOr<ByteReader> nested = reader.read_nested(*length, "nested");
        if (!nested.ok()) return 0;
        readers.push_back(*nested);
        break;
      }
      default: ok = reader.skip(*choice, "few").ok(); break;
    }
    if (readers.back().remaining() > before && *choice % 7 != 5) __builtin_trap();  // a read never gives bytes back
    if (!ok) return 0;
  }
  return 0;
}
