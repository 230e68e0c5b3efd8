// Tables, and what fills them from files. What the ops do together is held against TensorFlow by tests/golden/ops.

#include "ops/lookup_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/file_system.h"
#include "op/testing.h"
#include "ops/all_ops.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor ints(std::vector<int64_t> values) { return Tensor(values); }
Tensor strings(std::vector<std::string> values) { return Tensor(values); }
std::string message(const absl::Status& status) { return std::string(status.message()); }

DenseTableOptions dense_options(int64_t buckets = 8) {
  DenseTableOptions options;
  options.empty_key = Tensor(int64_t{0});
  options.deleted_key = Tensor(int64_t{-1});
  options.value = DataType::kInt64;
  options.initial_num_buckets = buckets;
  options.max_load_factor = 0.8f;
  return options;
}

TEST(DenseHashTable, shows_buckets_where_tensorflow_has_them) {
  const auto table = *make_dense_hash_table(dense_options());
  ASSERT_TRUE(table->insert(ints({11, 12, 13}), ints({1, 2, 3})).ok());
  ASSERT_TRUE(table->remove(ints({12, 99})).ok());
  EXPECT_THAT(table->export_values()->first.to_vector<int64_t>(), ElementsAre(0, 0, 0, 11, -1, 13, 0, 0));
  ASSERT_TRUE(table->insert(ints({20, 21, 22, 23, 24, 25, 26}), ints({1, 2, 3, 4, 5, 6, 7})).ok());
  EXPECT_THAT(table->export_values()->first.to_vector<int64_t>(),
              ElementsAre(0, 0, 0, 0, 20, 21, 22, 23, 24, 25, 26, 11, 0, 13, 0, 0));
}

TEST(DenseHashTable, keeps_what_it_exported_apart_from_later_changes) {
  const auto table = *make_dense_hash_table(dense_options());
  ASSERT_TRUE(table->insert(ints({3}), ints({30})).ok());
  const auto before = *table->export_values();
  ASSERT_TRUE(table->insert(ints({3}), ints({31})).ok());
  EXPECT_THAT(before.second.to_vector<int64_t>(), ElementsAre(0, 0, 0, 30, 0, 0, 0, 0));
  EXPECT_THAT(table->find(ints({3}), Tensor(int64_t{-5}))->to_vector<int64_t>(), ElementsAre(31));
}

TEST(DenseHashTable, finds_room_though_removed_keys_fill_the_buckets) {
  const auto table = *make_dense_hash_table(dense_options(4));
  for (int64_t key = 1; key < 200; ++key) {
    ASSERT_TRUE(table->insert(ints({key}), ints({key})).ok());
    ASSERT_TRUE(table->remove(ints({key})).ok());
  }
  EXPECT_EQ(table->size(), 0);
  EXPECT_THAT(table->find(ints({7}), Tensor(int64_t{-5}))->to_vector<int64_t>(), ElementsAre(-5));
}

TEST(DenseHashTable, imports_any_number_of_rows) {
  for (const int64_t rows : {0, 1, 3, 8, 11}) {
    const auto table = *make_dense_hash_table(dense_options());
    Tensor keys(DataType::kInt64, {rows, 1}), values(DataType::kInt64, {rows, 1});
    for (int64_t i = 0; i < rows; ++i) {
      keys.unchecked_mutable<int64_t>()[static_cast<size_t>(i)] = i % 2 == 0 ? i + 8 : 0;
      values.unchecked_mutable<int64_t>()[static_cast<size_t>(i)] = i;
    }
    ASSERT_TRUE(table->import_values(keys, values).ok()) << rows;
    EXPECT_EQ(table->size(), (rows + 1) / 2);
    EXPECT_TRUE(table->find(ints({8, 12345}), Tensor(int64_t{-5})).ok());
  }
}

TEST(DenseHashTable, refuses_sizes_it_cannot_have) {
  EXPECT_THAT(message(make_dense_hash_table(dense_options(6)).status()),
              HasSubstr("at least 4 and a power of 2, got: 6"));
  EXPECT_FALSE(make_dense_hash_table(dense_options(int64_t{1} << 61)).ok());
  DenseTableOptions options = dense_options();
  options.max_load_factor = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message(make_dense_hash_table(options).status()), HasSubstr("must be between 0 and 1"));
}

TEST(MutableHashTable, moves_the_last_row_to_a_removed_one) {
  const auto table = make_mutable_hash_table(DataType::kString, DataType::kString, *make_shape({2}));
  ASSERT_TRUE(
      table->insert(strings({"a", "b", "c"}), Tensor({3, 2}, std::vector<std::string>{"1", "2", "3", "4", "5", "6"}))
          .ok());
  ASSERT_TRUE(table->remove(strings({"a", "zz"})).ok());
  const Tensor found = *table->find(strings({"c", "a", "b"}), strings({"x", "y"}));
  EXPECT_THAT(found.to_vector<std::string>(), ElementsAre("5", "6", "x", "y", "3", "4"));
  EXPECT_EQ(table->size(), 2);
}

// Runs InitializeTableFromTextFileV2 on a table of strings and numbers.
absl::Status initialize(const std::string& text, int64_t key_index, int64_t value_index, int64_t vocab_size,
                        std::shared_ptr<LookupTable> table) {
  const std::string path =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name() + ".txt";
  EXPECT_TRUE(write_file(path, text).ok());
  OpTest t(all_ops(), "InitializeTableFromTextFileV2");
  EXPECT_TRUE(t.resources().create<LookupTable>("localhost", "table", std::move(table)).ok());
  ResourceHandle handle;
  handle.container = "localhost";
  handle.name = "table";
  t.attr("key_index", key_index).attr("value_index", value_index).attr("vocab_size", vocab_size);
  t.input(*make_scalar(handle)).input(Tensor(path));
  return t.run();
}

TEST(InitializeTable, reads_columns_lines_and_line_numbers) {
  const auto columns = make_hash_table(DataType::kString, DataType::kInt64);
  ASSERT_TRUE(initialize("x\ta\t7\ny\tb\t-8\n", 1, 2, -1, columns).ok());
  EXPECT_THAT(columns->find(strings({"b", "a", "q"}), Tensor(int64_t{0}))->to_vector<int64_t>(), ElementsAre(-8, 7, 0));
  const auto numbers = make_hash_table(DataType::kString, DataType::kInt64);
  ASSERT_TRUE(initialize("one\r\ntwo", -2, -1, -1, numbers).ok());
  EXPECT_THAT(numbers->find(strings({"two", "one"}), Tensor(int64_t{9}))->to_vector<int64_t>(), ElementsAre(1, 0));
}

TEST(InitializeTable, says_what_is_wrong_with_a_file) {
  const auto table = [] { return make_hash_table(DataType::kString, DataType::kInt64); };
  EXPECT_THAT(message(initialize("a\tb\n", 0, 5, -1, table())), HasSubstr("expected at least 6 got 2"));
  EXPECT_THAT(message(initialize("a\tb\n", 0, 1, -1, table())), HasSubstr("Field b in line 0 is not a valid int64."));
  EXPECT_THAT(message(initialize("a\n\nb\n", -2, -1, -1, table())), HasSubstr("empty line found"));
  EXPECT_THAT(message(initialize("a\nb\n", -2, -1, 5, table())), HasSubstr("expected 5 but got 2"));
  EXPECT_THAT(message(initialize("a\nb\n", -1, -1, -1, table())),
              HasSubstr("Key index for line number requires table key dtype of int64, got string"));
  const auto twice = table();
  EXPECT_TRUE(absl::IsFailedPrecondition(initialize("a\na\n", -2, -1, -1, twice)));
  EXPECT_EQ(twice->size(), 0);
}

}  // namespace
}  // namespace millrace
