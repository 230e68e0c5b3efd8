// Saving and restoring, beside writing and reading as many bytes with nothing around them.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "checkpoint/bundle_reader.h"
#include "checkpoint/bundle_writer.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

constexpr int64_t kTensors = 16, kElements = 1 << 20;  // 64 MiB
constexpr int64_t kBytes = kTensors * kElements * 4;

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / "millrace_checkpoint_bench") {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::vector<Tensor> tensors() {
  std::vector<Tensor> all;
  for (int64_t t = 0; t < kTensors; ++t) {
    std::vector<float> values(kElements);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1009) * 0.25f;
    all.emplace_back(values);
  }
  return all;
}

absl::Status save_all(const std::string& prefix, const std::vector<Tensor>& all) {
  MR_ASSIGN_OR_RETURN(const auto writer, BundleWriter::create(prefix));
  for (size_t i = 0; i < all.size(); ++i) MR_RETURN_IF_ERROR(writer->add(str_cat("variable_", i), all[i]));
  return writer->finish();
}

absl::Status restore_all(const std::string& prefix) {
  MR_ASSIGN_OR_RETURN(const auto reader, BundleReader::open(prefix));
  for (const std::string& key : reader->keys()) MR_RETURN_IF_ERROR(reader->read(key).status());
  return absl::OkStatus();
}

void finish(benchmark::State& state, const absl::Status& status) {
  if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
  state.SetBytesProcessed(state.iterations() * kBytes);
}

void save(benchmark::State& state) {
  const Folder folder;
  const std::vector<Tensor> all = tensors();
  absl::Status status;
  for (auto _ : state) status.Update(save_all(folder.file("model.ckpt"), all));
  finish(state, status);
}
BENCHMARK(save)->Unit(benchmark::kMillisecond)->UseRealTime();

void plain_write(benchmark::State& state) {
  const Folder folder;
  const std::vector<char> bytes(kBytes, 'x');
  bool ok = true;
  for (auto _ : state) {
    std::FILE* file = std::fopen(folder.file("plain").c_str(), "wb");
    ok = ok && file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    ok = file != nullptr && std::fclose(file) == 0 && ok;
  }
  finish(state, ok ? absl::OkStatus() : internal_error("plain write failed"));
}
BENCHMARK(plain_write)->Unit(benchmark::kMillisecond)->UseRealTime();

void restore(benchmark::State& state) {
  const Folder folder;
  absl::Status status = save_all(folder.file("model.ckpt"), tensors());
  for (auto _ : state) status.Update(restore_all(folder.file("model.ckpt")));
  finish(state, status);
}
BENCHMARK(restore)->Unit(benchmark::kMillisecond)->UseRealTime();

void plain_read(benchmark::State& state) {
  const Folder folder;
  absl::Status status = save_all(folder.file("model.ckpt"), tensors());
  bool ok = status.ok();
  for (auto _ : state) {
    const auto bytes = std::make_unique_for_overwrite<char[]>(kBytes);
    std::FILE* file = std::fopen(folder.file("model.ckpt.data-00000-of-00001").c_str(), "rb");
    ok = ok && file != nullptr && std::fread(bytes.get(), 1, kBytes, file) == static_cast<size_t>(kBytes);
    if (file != nullptr) std::fclose(file);
    benchmark::DoNotOptimize(bytes.get());
  }
  finish(state, ok ? absl::OkStatus() : internal_error("plain read failed"));
}
BENCHMARK(plain_read)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace millrace
