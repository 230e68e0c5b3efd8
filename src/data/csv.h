#pragma once
// Records of comma-separated values: split into fields, fields turned into numbers.

#include "data/files.h"

namespace millrace {

struct CsvFormat {
  char delimiter = ',';
  bool use_quotes = true;        // fields may stand in double quotes, with "" for one inside
  std::string na_value;          // stands for a missing field, as does an empty one
  std::vector<int64_t> columns;  // that are wanted, increasing; none: all
};

// InvalidArgument for quotes in wrong places.
absl::Status split_csv_record(const std::string& record, const CsvFormat& format, std::vector<std::string>* fields);

// Writes element `index` of `out` (float, double, int32, int64 or string) from the field, or from the default where the
// field is missing; a default without elements makes the field required. `where` ends messages: "field 3 in record 7".
absl::Status convert_csv_field(std::string& field, const CsvFormat& format, const Tensor& default_value,
                               size_t field_number, size_t record_number, Tensor& out, int64_t index);

// The records of files, an element each with a scalar per column.
DatasetPtr csv_dataset(FileOptions files, bool header, CsvFormat format, std::vector<Tensor> defaults,
                       ElementSpec spec);

}  // namespace millrace
