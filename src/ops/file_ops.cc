// Whole files as ops.

#include <algorithm>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "op/kernel.h"
#include "op/shape_context.h"

namespace millrace {
namespace {

absl::Status scalar_inputs(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) MR_RETURN_IF_ERROR(c.with_rank(i, 0).status());
  return c.num_outputs() > 0 ? c.set_output(0, PartialTensorShape::scalar()) : absl::OkStatus();
}

class ReadFile final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string path, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(std::string contents, read_file(path));
    return ctx.set_scalar<std::string>(0, std::move(contents));
  }
};

class WriteFile final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::string path, ctx.scalar<std::string>(0));
    MR_ASSIGN_OR_RETURN(const std::string contents, ctx.scalar<std::string>(1));
    MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(path));
    if (const std::string folder(directory_of(path)); !folder.empty())
      MR_RETURN_IF_ERROR(files->make_directories(folder));
    return write_file(path, contents);
  }
};

absl::Status matching_shape(ShapeContext& c) {
  MR_RETURN_IF_ERROR(c.with_rank_at_most(0, 1).status());
  return c.set_output(0, unknown_shape_of_rank(1));
}

class MatchingFiles final : public Kernel {
 public:
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const std::span<const std::string> patterns, ctx.flat<std::string>(0));
    if (ctx.shape(0).rank() > 1)
      return invalid_argument("Input patterns tensor must be scalar or vector, but had shape: ", ctx.shape(0));
    std::vector<std::string> all;
    for (const std::string& pattern : patterns) {
      MR_ASSIGN_OR_RETURN(FileSystem * files, file_system_for(pattern));
      MR_ASSIGN_OR_RETURN(const std::vector<std::string> found, files->glob(pattern));
      all.insert(all.end(), found.begin(), found.end());
    }
    std::sort(all.begin(), all.end());
    MR_ASSIGN_OR_RETURN(Tensor out, make_vector<std::string>(all));
    return ctx.set_output(0, std::move(out));
  }
};

}  // namespace

void register_file_ops(Registry& registry) {
  registry.op("ReadFile")
      .input("filename: string")
      .output("contents: string")
      .shape(scalar_inputs)
      .cpu<ReadFile>()
      .not_differentiable()
      .doc("The contents of a file.");
  registry.op("WriteFile")
      .input("filename: string")
      .input("contents: string")
      .stateful()
      .shape(scalar_inputs)
      .cpu<WriteFile>()
      .not_differentiable()
      .doc("Writes a file, making missing directories.");
  registry.op("MatchingFiles")
      .input("pattern: string")
      .output("filenames: string")
      .shape(matching_shape)
      .cpu<MatchingFiles>()
      .not_differentiable()
      .doc("The files that match one or more glob patterns, sorted.");
}

}  // namespace millrace
