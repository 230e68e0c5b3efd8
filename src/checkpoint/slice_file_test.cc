#include "checkpoint/slice_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/bundle_writer.h"
#include "checkpoint/checkpoint_testing.h"
#include "checkpoint/ordered_code.h"
#include "io/faulty_file_system.h"
#include "tensorflow/core/util/saved_tensor_slice.pb.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

const std::string kGolden = MILLRACE_SOURCE_DIR "/tests/golden/checkpoints/";
const std::string kData = testing::kCheckpoints;

std::string text(const absl::Status& status) { return std::string(status.message()); }

Tensor floats(const std::vector<float>& values, const std::vector<int64_t>& dims) {
  return Tensor(TensorShape(dims), values);
}

TensorSlice whole(const Tensor& tensor) { return TensorSlice(tensor.rank()); }

struct Case {
  std::string folder, prefix;
  int files;
};
const Case kCases[] = {{kGolden + "first_format", "model.ckpt-7", 1},
                       {kGolden + "first_format_partitioned", "model.ckpt-3", 1},
                       {kData + "v1_format", "model.ckpt-5", 1},
                       {kGolden + "first_format_sharded",
                        "model.ckpt-50-????"
                        "?-of-00002",
                        2}};

TEST(SliceFileReader, reads_TensorFlows_files) {
  for (const Case& c : kCases) {
    const std::string prefix = c.folder + "/" + c.prefix;
    EXPECT_TRUE(checkpoint_exists(prefix));
    const auto expected = testing::expected_tensors(c.folder + "/expected.tfrecord");
    const auto reader = open_checkpoint(prefix);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->format(), "V1");
    EXPECT_EQ((*reader)->num_files(), c.files);
    EXPECT_EQ((*reader)->keys().size(), expected.size());
    for (const auto& [name, wanted] : expected) {
      const auto tensor = (*reader)->read(name);
      ASSERT_TRUE(tensor.ok()) << name << ": " << tensor.status();
      EXPECT_TRUE(bitwise_equal(*tensor, wanted.tensor)) << c.folder << "/" << name;
    }
    EXPECT_EQ((*reader)->verify(), absl::OkStatus());
  }
}

TEST(SliceFileReader, reads_parts_of_tensors) {
  const auto reader = open_checkpoint(kGolden + "first_format_partitioned/model.ckpt-3");
  ASSERT_TRUE(reader.ok());
  const auto info = (*reader)->info("rows");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->slices.size(), 4u);
  const Tensor rows = *(*reader)->read("rows");
  const auto part = (*reader)->read_slice("rows", TensorSlice({{2, 5}, {1, 1}}));  // of several slices
  ASSERT_TRUE(part.ok()) << part.status();
  ASSERT_EQ(part->shape(), TensorShape({5, 1}));
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(part->flat<float>()[static_cast<size_t>(i)], rows.flat<float>()[static_cast<size_t>(2 * (i + 2) + 1)]);
  EXPECT_EQ((*reader)->read_slice("rows", TensorSlice({{8, 5}, {0, 2}})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SliceFileWriter, writes_what_TensorFlow_writes) {
  FaultyFileSystem disk("slices");
  for (const Case& c : {kCases[0], kCases[1], kCases[2]}) {
    const std::string path = c.folder + "/" + c.prefix;
    const auto reader = SliceFileReader::open(path);
    ASSERT_TRUE(reader.ok());
    SliceFileWriter writer("slices://file");
    for (const std::string& name : (*reader)->keys()) {
      const SavedTensor saved = *(*reader)->info(name);
      auto slices = saved.slices;
      if (slices.empty()) slices.push_back(TensorSlice(saved.shape.rank()));
      for (const TensorSlice& slice : slices) {
        ASSERT_EQ(writer.add(name, saved.shape, slice, *(*reader)->read_slice(name, slice)), absl::OkStatus()) << name;
      }
    }
    ASSERT_EQ(writer.finish(), absl::OkStatus());
    EXPECT_EQ(*read_file("slices://file"), *read_file(path)) << c.folder;
  }
}

TEST(SliceFileWriter, refuses_what_does_not_fit) {
  SliceFileWriter writer("/nowhere/file");
  const Tensor two = floats({1, 2}, {2});
  EXPECT_EQ(writer.add("a", TensorShape({4}), TensorSlice({{0, 2}}), two), absl::OkStatus());
  EXPECT_THAT(text(writer.add("a", TensorShape({4}), TensorSlice({{0, 2}}), two)),
              HasSubstr("duplicate slice 0,2 of a"));
  EXPECT_THAT(text(writer.add("a", TensorShape({5}), TensorSlice({{2, 2}}), two)), HasSubstr("Mismatching shapes"));
  EXPECT_THAT(text(writer.add("a", TensorShape({4}), TensorSlice({{1, 3}}), two)),
              HasSubstr("does not match the shape"));
  EXPECT_THAT(text(writer.add("b", TensorShape({2}), TensorSlice(1), Tensor())), HasSubstr("has no value"));
  const Tensor wide = Tensor(TensorShape({1}), std::vector<uint64_t>{1});
  const absl::Status refused = writer.add("c", wide.shape(), whole(wide), wide);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(text(refused), HasSubstr("Saving data type uint64 not yet supported"));
  EXPECT_EQ(writer.finish().code(), absl::StatusCode::kNotFound);  // the folder is not there
}

// A file of one table with these entries.
std::string made_table(FaultyFileSystem& disk, const std::map<std::string, std::string>& entries) {
  auto file = *disk.create("slices://made");
  TableWriter table(file.get());
  for (const auto& [key, value] : entries) EXPECT_EQ(table.add(key, value), absl::OkStatus());
  EXPECT_EQ(table.finish(), absl::OkStatus());
  EXPECT_EQ(file->close(), absl::OkStatus());
  return "slices://made";
}

class HostileSliceFile : public ::testing::Test {
 protected:
  HostileSliceFile() {
    tensorflow::SavedSliceMeta* meta = header_.mutable_meta()->add_tensor();
    meta->set_name("t");
    meta->set_type(tensorflow::DT_FLOAT);
    meta->mutable_shape()->add_dim()->set_size(3);
    meta->add_slice()->add_extent();
    for (const float value : {1.f, 2.f, 3.f}) values_.mutable_data()->mutable_data()->add_float_val(value);
  }
  absl::Status opened() {
    return SliceFileReader::open(made_table(disk_, {{"", header_.SerializeAsString()},
                                                    {slice_key("t", TensorSlice(1)), values_.SerializeAsString()}}))
        .status();
  }
  tensorflow::SavedSliceMeta* tensor() { return header_.mutable_meta()->mutable_tensor(0); }

  FaultyFileSystem disk_{"slices"};
  tensorflow::SavedTensorSlices header_, values_;
};

TEST_F(HostileSliceFile, is_good_before_the_damage) { EXPECT_EQ(opened(), absl::OkStatus()); }

TEST_F(HostileSliceFile, must_hold_the_slices_it_lists) {
  *tensor()->add_slice() = tensor()->slice(0);
  EXPECT_THAT(text(opened()), HasSubstr("slice - of t is there twice"));
  tensor()->mutable_slice(1)->mutable_extent(0)->set_length(2);
  EXPECT_THAT(text(opened()), HasSubstr("slice 0,2 of t is missing"));
  tensor()->mutable_slice(1)->mutable_extent(0)->set_length(4);
  EXPECT_THAT(text(opened()), HasSubstr("slice 0,4 does not fit t of shape [3]"));
}

TEST_F(HostileSliceFile, must_describe_possible_tensors) {
  tensor()->set_type(static_cast<tensorflow::DataType>(77));
  EXPECT_EQ(opened().code(), absl::StatusCode::kDataLoss);
  tensor()->set_type(tensorflow::DT_FLOAT);
  tensor()->mutable_shape()->mutable_dim(0)->set_size(-3);
  EXPECT_THAT(text(opened()), HasSubstr("no possible tensor: t"));
}

TEST_F(HostileSliceFile, must_hold_as_many_values_as_the_shape_says) {
  tensor()->mutable_shape()->mutable_dim(0)->set_size(int64_t{1} << 40);  // would be 4 TiB
  ASSERT_EQ(opened(), absl::OkStatus());
  const auto reader = SliceFileReader::open("slices://made");
  EXPECT_THAT(text((*reader)->read("t").status()), HasSubstr("3 values for a slice of shape [1099511627776]"));
  EXPECT_EQ((*reader)->verify().code(), absl::StatusCode::kDataLoss);
}

TEST_F(HostileSliceFile, must_begin_with_the_list_of_tensors) {
  header_.clear_meta();
  EXPECT_THAT(text(opened()), HasSubstr("not a checkpoint"));
  EXPECT_EQ(write_file("slices://plain", "no table"), absl::OkStatus());
  EXPECT_EQ(SliceFileReader::open("slices://plain").status().code(), absl::StatusCode::kDataLoss);
  header_.mutable_meta()->mutable_versions()->set_min_consumer(2);
  EXPECT_THAT(text(opened()), HasSubstr("readers of version 2 or newer"));
}

TEST(Checkpoint, of_either_format_is_found_and_removed) {
  FaultyFileSystem disk("slices");
  const Tensor value = floats({1, 2}, {2});
  SliceFileWriter first("slices://first-00000-of-00001");
  ASSERT_EQ(first.add("v", value.shape(), whole(value), value), absl::OkStatus());
  ASSERT_EQ(first.finish(), absl::OkStatus());
  ASSERT_EQ(write_file("slices://first.meta", "graph"), absl::OkStatus());
  auto second = BundleWriter::create("slices://second");
  ASSERT_TRUE(second.ok());
  ASSERT_EQ((*second)->add("v", value), absl::OkStatus());
  ASSERT_EQ((*second)->finish(), absl::OkStatus());
  for (const auto& [prefix, format] : {std::pair{"slices://first-????"
                                                 "?-of-00001",
                                                 "V1"},
                                       {"slices://second", "V2"}}) {
    EXPECT_TRUE(checkpoint_exists(prefix));
    EXPECT_TRUE(checkpoint_time(prefix).ok());
    const auto reader = open_checkpoint(prefix);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->format(), format);
    EXPECT_TRUE(bitwise_equal(*(*reader)->read("v"), value));
    EXPECT_EQ(remove_checkpoint(prefix), absl::OkStatus());
    EXPECT_FALSE(checkpoint_exists(prefix));
    EXPECT_EQ(open_checkpoint(prefix).status().code(), absl::StatusCode::kNotFound);
  }
  EXPECT_FALSE(disk.exists("slices://first.meta"));
}

TEST(MetaGraphPath, has_no_shard_in_it) {
  EXPECT_EQ(meta_graph_path("run/model.ckpt-5"), "run/model.ckpt-5.meta");
  EXPECT_EQ(meta_graph_path("run/model.ckpt-5-????"
                            "?-of-00002"),
            "run/model.ckpt-5.meta");
  EXPECT_EQ(meta_graph_path("run/model-00001-of-00002", "m"), "run/model.m");
  EXPECT_EQ(meta_graph_path("one-of-2"), "one-of-2.meta");
  EXPECT_EQ(meta_graph_path("-of-2"), "-of-2.meta");
}

}  // namespace
}  // namespace millrace
