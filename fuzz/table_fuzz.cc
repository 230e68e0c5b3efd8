// Index tables. The first byte chooses: the rest is the whole file, or the contents of one block (plain or snappy)
// around which a table with right checksums is built, since a fuzzer does not find checksums.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/coding.h"
#include "base/crc32c.h"
#include "checkpoint/table.h"

namespace {

std::string with_trailer(std::string block, char type) {
  block += type;
  millrace::append_fixed32(block, millrace::crc32c::mask(millrace::crc32c::value(block)));
  return block;
}

std::string handle(uint64_t offset, uint64_t size) {
  std::string out;
  millrace::append_varint64(out, offset);
  millrace::append_varint64(out, size);
  return out;
}

std::string table_of_block(const std::string& contents, char type) {
  std::string file = with_trailer(contents, type);
  const std::string target = handle(0, contents.size());
  std::string index("\0\1", 2);  // key "z" with the handle as its value
  millrace::append_varint64(index, target.size());
  index += "z" + target;
  millrace::append_fixed32(index, 0);
  millrace::append_fixed32(index, 1);
  std::string footer = handle(0, 0) + handle(file.size(), index.size());
  footer.resize(40);
  millrace::append_fixed64(footer, 0xdb4775248b80fb57u);
  return file + with_trailer(index, 0) + footer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 != 0) rest = table_of_block(rest, data[0] % 3 == 2);
  const auto table = millrace::Table::parse(rest, "fuzz");
  if (!table.ok()) return 0;
  const std::string* last = nullptr;
  for (const auto& entry : (*table)->entries()) {
    if (last && !(*last < entry.key)) __builtin_trap();  // find relies on the order
    if ((*table)->find(entry.key) != &entry) __builtin_trap();
    last = &entry.key;
  }
  return 0;
}
