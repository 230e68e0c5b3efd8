#include <algorithm>
#include <cstdio>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/checkpoint_state.h"
#include "cli/inspection.h"

namespace millrace {
namespace {

Json dims_json(const TensorShape& shape) {
  Json dims = Json::array();
  for (const int64_t dim : shape.dims()) dims.push_back(dim);
  return dims;
}

struct Row {
  std::string name, dtype, shape, bytes;
};

std::string table(const std::vector<Row>& rows) {
  size_t name = 0, dtype = 0, shape = 0;
  for (const Row& row : rows) {
    name = std::max(name, row.name.size());
    dtype = std::max(dtype, row.dtype.size());
    shape = std::max(shape, row.shape.size());
  }
  std::string out;
  const auto padded = [&](const std::string& text, size_t width) {
    out += text + std::string(width + 2 - std::min(width, text.size()), ' ');
  };
  for (const Row& row : rows) {
    out += "  ";
    padded(row.name, std::min<size_t>(name, 60));
    padded(row.dtype, dtype);
    padded(row.shape, std::min<size_t>(shape, 20));
    out += row.bytes + "\n";
  }
  return out;
}

absl::Status describe(const CheckpointReader& reader, Inspection* result) {
  Json tensors = Json::array();
  std::vector<Row> rows;
  uint64_t total = 0;
  for (const std::string& key : reader.keys()) {
    MR_ASSIGN_OR_RETURN(const SavedTensor entry, reader.info(key));
    MR_ASSIGN_OR_RETURN(const uint64_t bytes, reader.stored_bytes(key));
    total += bytes;
    Json tensor = {
        {"name", key}, {"dtype", dtype_name(entry.dtype)}, {"shape", dims_json(entry.shape)}, {"bytes", bytes}};
    for (const TensorSlice& slice : entry.slices) tensor["slices"].push_back(slice.to_string());
    tensors.push_back(std::move(tensor));
    rows.push_back(
        {key, dtype_name(entry.dtype), entry.shape.to_string(),
         human_bytes(bytes) + (entry.slices.empty()
                                   ? ""
                                   : str_cat(" in ", count_of(static_cast<int64_t>(entry.slices.size()), "slice")))});
  }
  result->json["format"] = reader.format();
  result->json["shards"] = reader.num_files();
  result->json["tensors"] = std::move(tensors);
  result->json["total_bytes"] = total;
  str_append(&result->text, reader.prefix(), ": checkpoint", reader.format() == "V1" ? " of the first format, " : ", ",
             count_of(static_cast<int64_t>(rows.size()), "tensor"), ", ", human_bytes(total), " in ",
             count_of(reader.num_files(), "data file"), "\n", table(rows));
  return absl::OkStatus();
}

}  // namespace

Inspection inspect_checkpoint(const std::string& prefix, bool verify) {
  Inspection result;
  result.json = {{"file", prefix}, {"kind", "checkpoint"}};
  const absl::StatusOr<std::unique_ptr<CheckpointReader>> reader = open_checkpoint(prefix);
  result.status = reader.status();
  if (reader.ok()) result.status = describe(**reader, &result);
  if (result.status.ok() && verify) {
    result.status = (*reader)->verify();
    result.json["verified"] = result.status.ok();
    result.text += result.status.ok() ? "  all checksums are right\n" : "  DAMAGED\n";
  }
  return result;
}

Inspection inspect_checkpoint_state(const std::string& path) {
  Inspection result;
  result.json = {{"file", path}, {"kind", "checkpoint state"}};
  const absl::StatusOr<std::string> text = read_file(path, uint64_t{16} << 20);
  absl::StatusOr<CheckpointState> state =
      text.ok() ? parse_checkpoint_state(*text) : absl::StatusOr<CheckpointState>(text.status());
  if (!state.ok()) {
    result.status = text.ok() ? annotate(state.status(), path) : state.status();
    return result;
  }
  result.json["model_checkpoint_path"] = state->model_checkpoint_path;
  result.json["all_model_checkpoint_paths"] = state->all_model_checkpoint_paths;
  str_append(&result.text, path, ": latest checkpoint ", state->model_checkpoint_path, "\n");
  for (const std::string& each : state->all_model_checkpoint_paths) str_append(&result.text, "  ", each, "\n");
  return result;
}

}  // namespace millrace
