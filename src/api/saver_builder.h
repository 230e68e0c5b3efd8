#pragma once
// The operations of a saver in the graph: names and order are TF1's.

#include <map>
#include <string>
#include <vector>

#include "millrace/train/saver.h"

namespace millrace::train {

struct SaverOps {
  Output filename;  // what to feed: the prefix
  Output save;      // its value is the checkpoint's name, once saved: the prefix, or a pattern of shards' names
  Operation restore;
};
// In the default graph, in a scope of its own; in the order of the names.
SaverOps build_saver_ops(const std::map<std::string, Saveable>& saveables, const SaverOptions& options);

}  // namespace millrace::train
