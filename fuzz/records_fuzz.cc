// Record files, plain and compressed: the first byte chooses, the rest is the file.

#include <cstddef>
#include <cstdint>

#include "fuzz/memory_stream.h"
#include "io/record_reader.h"

namespace millrace {
namespace {

void read_all(std::string data, Compression compression, size_t step) {
  std::unique_ptr<InputStream> stream = std::make_unique<MemoryStream>(std::move(data), step);
  RecordReader reader(std::move(stream), {.compression = compression, .buffer_bytes = 64, .max_record_bytes = 1 << 20});
  std::string record;
  for (int count = 0; count < 10000; ++count) {
    const absl::StatusOr<bool> more = reader.read(record);
    if (!more.ok() || !*more) return;
  }
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using millrace::Compression;
  if (size == 0) return 0;
  constexpr Compression kinds[] = {Compression::kNone, Compression::kZlib, Compression::kGzip};
  millrace::read_all(std::string(reinterpret_cast<const char*>(data) + 1, size - 1), kinds[data[0] % 3],
                     1 + data[0] / 3);
  return 0;
}
