#pragma once
// The operations of a saver in the graph: names and order are TF1's.

#include <map>
#include <string>
#include <vector>

#include "millrace/train/saver.h"

namespace millrace::train {

struct SaverOps {
  Output filename;  // what to feed: the prefix
  Output save;      // its value is the prefix, once saved
  Operation restore;
};
// In the default graph, in a scope of its own.
SaverOps build_saver_ops(const std::map<std::string, Variable>& variables, const std::vector<SaveableObject>& objects,
                         const SaverOptions& options);

}  // namespace millrace::train
