#include <filesystem>

#include "gtest/gtest.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

std::string folder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string path = testing::TempDir() + "/" + info->test_suite_name() + "." + info->name();
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}
Tensor strings(std::vector<std::string> values) { return Tensor(values); }

absl::Status save(const std::string& prefix, std::vector<std::string> names, std::vector<std::string> specs,
                  std::vector<Tensor> tensors) {
  OpTest t(all_ops(), "SaveV2");
  t.input(Tensor(prefix)).input(strings(std::move(names))).input(strings(std::move(specs))).inputs(std::move(tensors));
  return t.run();
}

struct Restored {
  absl::Status status;
  std::vector<Tensor> values;
};
Restored restore(const std::string& prefix, std::vector<std::string> names, std::vector<std::string> specs,
                 std::vector<DataType> dtypes) {
  OpTest t(all_ops(), "RestoreV2");
  t.attr("dtypes", dtypes).input(Tensor(prefix)).input(strings(std::move(names))).input(strings(std::move(specs)));
  Restored r{t.run(), {}};
  for (int i = 0; r.status.ok() && i < t.num_outputs(); ++i) r.values.push_back(t.output(i));
  return r;
}
bool mentions(const absl::Status& s, const std::string& text) {
  return std::string(s.message()).find(text) != std::string::npos;
}

TEST(Checkpoint, restores_what_it_saved) {
  const std::string prefix = folder() + "/model";
  ASSERT_TRUE(save(prefix, {"a", "b"}, {"", ""}, {Tensor(std::vector<float>{1, 2}), strings({"x", "y"})}).ok());
  const Restored r =
      restore(prefix, {"b", "a", "a"}, {"", "", "2 1,1"}, {DataType::kString, DataType::kFloat, DataType::kFloat});
  ASSERT_TRUE(r.status.ok()) << r.status;
  EXPECT_EQ(r.values[0].to_vector<std::string>(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(r.values[1].to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(r.values[2].to_vector<float>(), (std::vector<float>{2}));
}

TEST(Checkpoint, refuses_what_does_not_fit) {
  const std::string prefix = folder() + "/model";
  ASSERT_TRUE(save(prefix, {"a"}, {""}, {Tensor(std::vector<float>{1, 2})}).ok());
  struct Case {
    std::string prefix, name, spec;
    DataType dtype;
    absl::StatusCode code;
    std::string message;
  };
  const Case cases[] = {
      {prefix, "zz", "", DataType::kFloat, absl::StatusCode::kNotFound, "Key zz not found in checkpoint"},
      {prefix, "a", "", DataType::kInt32, absl::StatusCode::kInvalidArgument,
       "expected dtype int32 does not equal original dtype float"},
      {prefix, "a", "3 1,1", DataType::kFloat, absl::StatusCode::kInvalidArgument,
       "does not match the shape stored in checkpoint: [2]"},
      {prefix, "a", "foo", DataType::kFloat, absl::StatusCode::kInvalidArgument, ""},
      {prefix + "x", "a", "", DataType::kFloat, absl::StatusCode::kNotFound, "Failed to find any matching files for"},
  };
  for (const Case& c : cases) {
    const absl::Status s = restore(c.prefix, {c.name}, {c.spec}, {c.dtype}).status;
    EXPECT_EQ(s.code(), c.code) << s;
    EXPECT_TRUE(mentions(s, c.message)) << s;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(save(prefix, {"a", "b"}, {""}, {Tensor(1.0f)})));
  EXPECT_TRUE(absl::IsInvalidArgument(save(prefix, {"a"}, {"4 0,3"}, {Tensor(std::vector<float>{1, 2})})));
}

TEST(Checkpoint, merges_shards_and_slices) {
  const std::string dir = folder();
  ASSERT_TRUE(save(dir + "/s0", {"p"}, {"4 0,2"}, {Tensor(std::vector<float>{1, 2})}).ok());
  ASSERT_TRUE(save(dir + "/s1", {"p", "q"}, {"4 2,2", ""}, {Tensor(std::vector<float>{3, 4}), Tensor(5.0f)}).ok());
  OpTest merge(all_ops(), "MergeV2Checkpoints");
  merge.input(strings({dir + "/s0", dir + "/s1"})).input(Tensor(dir + "/all"));
  ASSERT_TRUE(merge.run().ok()) << merge.run();
  const Restored r = restore(dir + "/all", {"p", "q"}, {"", ""}, {DataType::kFloat, DataType::kFloat});
  ASSERT_TRUE(r.status.ok()) << r.status;
  EXPECT_EQ(r.values[0].to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_FALSE(std::filesystem::exists(dir + "/s0.index"));
  OpTest missing(all_ops(), "MergeV2Checkpoints");
  missing.input(strings({dir + "/none"})).input(Tensor(dir + "/out"));
  EXPECT_TRUE(absl::IsInvalidArgument(missing.run()));
}

absl::Status save_slices(const std::string& path, std::vector<std::string> names, std::vector<std::string> specs,
                         std::vector<Tensor> tensors) {
  OpTest t(all_ops(), "SaveSlices");
  t.input(Tensor(path)).input(strings(std::move(names))).input(strings(std::move(specs))).inputs(std::move(tensors));
  return t.run();
}

// Restore, or RestoreSlice where there is a specification.
Restored restore_first(const std::string& pattern, const std::string& name, const std::string& spec = "",
                       DataType dtype = DataType::kFloat) {
  OpTest t(all_ops(), spec.empty() ? "Restore" : "RestoreSlice");
  t.attr("dt", dtype).input(Tensor(pattern)).input(Tensor(name));
  if (!spec.empty()) t.input(Tensor(spec));
  Restored r{t.run(), {}};
  if (r.status.ok()) r.values.push_back(t.output(0));
  return r;
}

TEST(FirstFormat, restores_what_it_saved) {
  const std::string path = folder() + "/model";
  const Tensor two(std::vector<float>{1, 2}), text = strings({"x"});
  ASSERT_EQ(save_slices(path, {"a", "b", "a"}, {"4 0,2", "", "4 2,2"}, {two, text, Tensor(std::vector<float>{3, 4})}),
            absl::OkStatus());
  EXPECT_EQ(restore_first(path, "a").values.at(0).to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(restore_first(path, "a", "4 1,2").values.at(0).to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(restore_first(path, "b", "", DataType::kString).values.at(0).to_vector<std::string>(),
            std::vector<std::string>{"x"});
  EXPECT_EQ(restore(path, {"a"}, {""}, {DataType::kFloat}).values.at(0).to_vector<float>(),  // RestoreV2 reads both
            (std::vector<float>{1, 2, 3, 4}));

  OpTest plain(all_ops(), "Save");
  plain.input(Tensor(path + "_plain")).input(strings({"a"})).input(two);
  ASSERT_EQ(plain.run(), absl::OkStatus());
  EXPECT_EQ(restore_first(path + "_plain", "a").values.at(0).to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST(FirstFormat, refuses_what_does_not_fit) {
  const std::string path = folder() + "/model";
  const Tensor two(std::vector<float>{1, 2});
  ASSERT_EQ(save_slices(path, {"a"}, {""}, {two}), absl::OkStatus());
  const absl::Status unknown = restore_first(path, "z").status;
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(mentions(unknown, "Tensor name \"z\" not found in checkpoint files " + path)) << unknown;
  EXPECT_EQ(restore_first(path + "x", "a").status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(restore_first(path, "a", "", DataType::kInt32).status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(restore_first(path, "a", "3 0,2").status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(mentions(save_slices(path, {"a"}, {"4 0,1"}, {two}), "does not match the shape of the tensor"));
  EXPECT_TRUE(mentions(save_slices(path, {"a", "b"}, {""}, {two}), "Dimension must be 1 but is 2"));
  EXPECT_TRUE(mentions(save_slices(path, {"a"}, {"", ""}, {two}), "Dimension must be 1 but is 2"));
  EXPECT_EQ(save_slices(folder() + "/none/model", {"a"}, {""}, {two}).code(), absl::StatusCode::kNotFound);
}

TEST(Checkpoint, names_shards) {
  OpTest t(all_ops(), "ShardedFilename");
  t.input(Tensor("foo")).input(Tensor(int32_t{3})).input(Tensor(int32_t{100}));
  ASSERT_TRUE(t.run().ok());
  EXPECT_EQ(t.output(0).scalar<std::string>(), "foo-00003-of-00100");
  OpTest spec(all_ops(), "ShardedFilespec");
  spec.input(Tensor("foo")).input(Tensor(int32_t{100}));
  ASSERT_TRUE(spec.run().ok());
  EXPECT_EQ(spec.output(0).scalar<std::string>(), "foo-" + std::string(5, '?') + "-of-00100");
}

TEST(Files, writes_reads_and_matches) {
  const std::string dir = folder();
  OpTest write(all_ops(), "WriteFile");
  write.input(Tensor(dir + "/d1/d2/f")).input(Tensor("abc"));
  ASSERT_TRUE(write.run().ok());
  OpTest read(all_ops(), "ReadFile");
  read.input(Tensor(dir + "/d1/d2/f"));
  ASSERT_TRUE(read.run().ok());
  EXPECT_EQ(read.output(0).scalar<std::string>(), "abc");
  OpTest match(all_ops(), "MatchingFiles");
  match.input(strings({dir + "/d1/d2/*", dir + "/none*"}));
  ASSERT_TRUE(match.run().ok());
  EXPECT_EQ(match.output(0).to_vector<std::string>(), std::vector<std::string>{dir + "/d1/d2/f"});
  read.clear_inputs().input(Tensor(dir + "/none"));
  EXPECT_TRUE(absl::IsNotFound(read.run()));
}

}  // namespace
}  // namespace millrace
