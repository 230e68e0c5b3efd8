#pragma once
// zlib and gzip as streams: an InputStream that inflates another one, a WritableFile that deflates into another one.

#include <memory>
#include <string_view>

#include "io/file_system.h"

namespace millrace {

enum class Compression { kNone, kZlib, kGzip };

// "", "ZLIB" or "GZIP"; InvalidArgument otherwise.
absl::StatusOr<Compression> compression_from_name(std::string_view name);

// Inflates `source`. Gzip files may have several members one after another. Damaged or cut data is DataLoss.
std::unique_ptr<InputStream> make_inflating_stream(std::unique_ptr<InputStream> source, Compression compression);

struct DeflateOptions {
  int level = -1;        // zlib's -1 (default) to 9
  int memory_level = 9;  // 1 to 9
  int strategy = 0;      // Z_DEFAULT_STRATEGY
  size_t buffer = 256 << 10;
};
// Deflates into `target`, which close() closes too. flush() makes all data so far readable.
std::unique_ptr<WritableFile> make_deflating_file(std::unique_ptr<WritableFile> target, Compression compression,
                                                  DeflateOptions options = {});

}  // namespace millrace
