#pragma once
// Summaries for TensorBoard: operations that give serialized Summary protos, collected in GraphKeys::SUMMARIES. Writing
// them to event files: millrace/file_writer.h.

#include <optional>
#include <string>
#include <vector>

#include "millrace/framework.h"

namespace millrace::summary {

#pragma GCC visibility push(default)

struct SummaryOptions {
  std::optional<std::vector<std::string>> collections = {};  // [GraphKeys::SUMMARIES]
  std::string family = {};                                   // a prefix that groups tags on the web page
};
// A number of any real type. The tag is the node's name.
Output scalar(const std::string& name, const Input& tensor, const SummaryOptions& options = {});
// The distribution of all elements.
Output histogram(const std::string& name, const Input& values, const SummaryOptions& options = {});
struct ImageOptions {
  int max_outputs = 3;  // images of the batch that are kept, from the first
  std::optional<std::vector<std::string>> collections = {};
  std::string family = {};
};
// Images [batch, height, width, channels] of 1, 3 or 4 channels: uint8, or floating numbers, each image scaled so that
// its largest becomes 255 (zero becomes 128 where some are negative). Tags are NAME/image/0, /1, ..., or NAME/image
// where max_outputs is 1.
Output image(const std::string& name, const Input& tensor, const ImageOptions& options = {});
struct AudioOptions {
  int max_outputs = 3;  // sounds of the batch that are kept, from the first
  std::optional<std::vector<std::string>> collections = {};
  std::string family = {};
};
// Sounds [batch, frames, channels] or [batch, frames] of floats in [-1, 1], at `sample_rate` (a scalar, in Hertz). Tags
// are NAME/audio/0, /1, ..., or NAME/audio where max_outputs is 1.
Output audio(const std::string& name, const Input& tensor, const Input& sample_rate, const AudioOptions& options = {});
// Strings, shown as Markdown.
Output text(const std::string& name, const Input& tensor, const SummaryOptions& options = {});

struct MergeOptions {
  std::vector<std::string> collections = {};
  std::string name = {};
};
Output merge(const std::vector<Output>& inputs, const MergeOptions& options = {});
// All collected summaries as one; absent if there are none.
Output merge_all(std::string_view key = GraphKeys::SUMMARIES, std::string_view scope = {}, std::string_view name = {});

#pragma GCC visibility pop

}  // namespace millrace::summary
