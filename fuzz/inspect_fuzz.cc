// Files that people hand to the command: the first byte chooses how the rest is read: as a graph, meta graph or
// SavedModel (binary or text), as records of events, as feeds, as records of any kind. Records get their right
// checksums, which a fuzzer does not find.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/byte_reader.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "cli/golden.h"
#include "cli/graph_file.h"
#include "cli/inspection.h"
#include "cli/model.h"
#include "io/faulty_file_system.h"
#include "tensor/allocator.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace millrace {
namespace {

std::string record(std::string_view payload) {
  std::string length, out;
  append_fixed64(length, payload.size());
  out = length;
  append_fixed32(out, crc32c::mask(crc32c::value(length)));
  out += payload;
  append_fixed32(out, crc32c::mask(crc32c::value(payload)));
  return out;
}

// Each record is a length in two bytes and its contents.
std::string records_of(std::string_view bytes) {
  ByteReader reader(bytes);
  std::string file;
  while (reader.remaining() > 2) {
    const size_t low = *reader.read_byte("length"), high = *reader.read_byte("length");
    file += record(*reader.read_bytes(std::min(low + 256 * high, reader.remaining()), "record"));
  }
  return file;
}

void read_meta_graph(const std::string& bytes) {
  const absl::StatusOr<GraphFile> file = parse_graph_file(bytes, "fuzz");
  if (!file.ok() || file->model->meta_graphs().empty()) return;
  const auto model = Model::create(serving_meta_graph(*file), "fuzz");
  if (!model.ok()) return;
  for (const char* key : {"variables", "trainable_variables", "init_op", "bench_train_op"}) (*model)->collection(key);
}

void read_feeds(const std::string& bytes) {
  const absl::StatusOr<GoldenRecord> read = GoldenRecord::parse(bytes);
  if (!read.ok()) return;
  for (const char* name : {"expected", "feed_values", "x"}) read->tensors(name).status().IgnoreError();
  read->texts("fetches");
  read->number("rtol");
}

void run(uint8_t kind, std::string_view bytes) {
  set_process_memory_limit(int64_t{64} << 20);
  FaultyFileSystem disk("fuzz");
  const auto store = [&](const std::string& path, std::string_view contents) {
    if (!write_file(path, contents).ok()) __builtin_trap();
    return path;
  };
  switch (kind % 6) {
    case 0: read_meta_graph(std::string(bytes)); break;
    case 1: inspect_graph(store("fuzz://graph", bytes)); break;
    case 2: inspect_events(store("fuzz://events.out.tfevents.1", records_of(bytes))); break;
    case 3: inspect_records(store("fuzz://r", records_of(bytes)), Compression::kNone); break;
    case 4: read_feeds(std::string(bytes)); break;
    default: inspect_checkpoint_state(store("fuzz://checkpoint", bytes)); break;
  }
}

}  // namespace
}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) millrace::run(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
