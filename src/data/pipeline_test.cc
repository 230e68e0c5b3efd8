// Sequences that pipelines give. Expected random orders are TensorFlow 2.21's.

#include <atomic>
#include <chrono>
#include <fstream>

#include "data/background.h"
#include "data/batch.h"
#include "data/files.h"
#include "data/iterator_resource.h"
#include "data/map.h"
#include "data/shuffle.h"
#include "data/sources.h"
#include "data/testing.h"
#include "data/transforms.h"
#include "gtest/gtest.h"
#include "io/record_writer.h"

namespace millrace {
namespace {

using Ints = std::vector<int64_t>;

const ElementSpec kInt{{DataType::kInt64}, {PartialTensorShape::scalar()}};
const ElementSpec kAnyInts{{DataType::kInt64}, {PartialTensorShape()}};

DatasetPtr range(int64_t stop) { return range_dataset(0, stop, 1, kInt).value(); }
DatasetPtr range(int64_t start, int64_t stop, int64_t step) { return range_dataset(start, stop, step, kInt).value(); }

// What get_next says, at most `limit` times: all integers of each element in a row, or the error.
std::vector<Ints> take(DatasetIterator& it, size_t limit = 100, absl::Status* error = nullptr) {
  CancellationScope scope;
  IterationContext ctx{&scope};
  std::vector<Ints> out;
  while (out.size() < limit) {
    Element element;
    bool end = false;
    const absl::Status status = it.get_next(ctx, &element, &end);
    if (!status.ok()) {
      if (error) *error = status;
      else ADD_FAILURE() << status;
      break;
    }
    if (end) break;
    Ints values;
    for (const Tensor& t : element) {
      const auto part = t.to_vector<int64_t>();
      values.insert(values.end(), part.begin(), part.end());
    }
    out.push_back(values);
  }
  return out;
}

Ints flat(const std::vector<Ints>& elements) {
  Ints all;
  for (const Ints& e : elements) all.insert(all.end(), e.begin(), e.end());
  return all;
}

std::vector<Ints> elements(const DatasetPtr& dataset, size_t limit = 100) {
  return take(*dataset->iterate().value(), limit);
}
Ints values(const DatasetPtr& dataset, size_t limit = 100) { return flat(elements(dataset, limit)); }
template <class T> Ints values(const absl::StatusOr<T>& dataset) {
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? values(*dataset) : Ints{};
}

std::shared_ptr<SeedGenerator> seeds(bool reshuffle = true, int64_t seed = 87654321, int64_t seed2 = 7) {
  return std::make_shared<SeedGenerator>(seed, seed2, reshuffle);
}

class Pipeline : public testing::Test {
 protected:
  Pipeline() {
    functions_.add("square", [](int64_t x) { return x * x; });
    functions_.add("is_even", {DataType::kInt64}, {DataType::kBool},
                   [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
                     return std::vector<Tensor>{Tensor(a[0].scalar<int64_t>() % 2 == 0)};
                   });
    functions_.add("range", {DataType::kInt64}, {DataType::kVariant},
                   [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
                     return std::vector<Tensor>{dataset_to_tensor(range(a[0].scalar<int64_t>())).value()};
                   });
    functions_.add(
        "repeat_mod_3", {DataType::kInt64}, {DataType::kVariant},
        [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
          const int64_t x = a[0].scalar<int64_t>();
          return std::vector<Tensor>{
              dataset_to_tensor(repeat_dataset(tensor_dataset({Tensor(x)}, kInt).value(), x % 3 + 1)).value()};
        });
    functions_.add("fails_at_3", {DataType::kInt64}, {DataType::kInt64},
                   [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
                     if (a[0].scalar<int64_t>() == 3) return invalid_argument("three");
                     return a;
                   });
    functions_.add("wait", {DataType::kInt64}, {DataType::kInt64},
                   [](std::vector<Tensor> a, CancellationScope* scope) -> absl::StatusOr<std::vector<Tensor>> {
                     while (!scope->is_cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                     return scope->status();
                   });
  }
  LambdaFunctions functions_;
};

TEST_F(Pipeline, sources) {
  EXPECT_EQ(values(range(3, 20, 4)), (Ints{3, 7, 11, 15, 19}));
  EXPECT_EQ(values(range(5, -5, -3)), (Ints{5, 2, -1, -4}));
  EXPECT_EQ(values(range(0)), Ints());
  EXPECT_EQ(values(range(INT64_MAX - 1, INT64_MAX, 5)), Ints{INT64_MAX - 1});
  EXPECT_EQ(range(INT64_MIN, INT64_MAX, 1)->cardinality(), INT64_MAX);
  EXPECT_FALSE(range_dataset(0, 3, 0, kInt).ok());
  const Tensor matrix({3, 2}, Ints{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(elements(tensor_slice_dataset({matrix}, kAnyInts).value()), (std::vector<Ints>{{1, 2}, {3, 4}, {5, 6}}));
  EXPECT_EQ(elements(tensor_dataset({matrix}, kAnyInts).value()), (std::vector<Ints>{{1, 2, 3, 4, 5, 6}}));
  EXPECT_FALSE(tensor_slice_dataset({Tensor(int64_t{1})}, kAnyInts).ok());
  EXPECT_EQ(values(take_dataset(random_dataset(87654321, 7, kInt), 3)), (Ints{1992159687, 3200305987, 237021325}));
}

TEST_F(Pipeline, order_and_number) {
  EXPECT_EQ(values(take_dataset(skip_dataset(range(10), 3), 4)), (Ints{3, 4, 5, 6}));
  EXPECT_EQ(values(take_dataset(range(3), -1)), (Ints{0, 1, 2}));
  EXPECT_EQ(values(skip_dataset(range(3), -1)), Ints());
  EXPECT_EQ(values(repeat_dataset(range(3), 2)), (Ints{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(values(repeat_dataset(range(0), -1)), Ints());
  EXPECT_EQ(values(repeat_dataset(range(2), -1), 5), (Ints{0, 1, 0, 1, 0}));
  EXPECT_EQ(values(shard_dataset(range(10), 3, 1)), (Ints{1, 4, 7}));
  EXPECT_EQ(values(concatenate_dataset(range(2), range(3), kInt)), (Ints{0, 1, 0, 1, 2}));
  EXPECT_EQ(
      elements(zip_dataset({range(3), range(10, 20, 5)}, {{DataType::kInt64, DataType::kInt64}, {{}, {}}}).value()),
      (std::vector<Ints>{{0, 10}, {1, 15}}));
  EXPECT_EQ(values(unique_dataset(concatenate_dataset(range(2), range(3), kInt).value())), (Ints{0, 1, 2}));
  EXPECT_EQ(repeat_dataset(range(3), 4)->cardinality(), 12);
}

TEST_F(Pipeline, shuffles_as_tensorflow_does) {
  EXPECT_EQ(values(shuffle_dataset(range(10), 1, seeds())), (Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(values(shuffle_dataset(range(10), 3, seeds())), (Ints{1, 2, 0, 3, 6, 4, 8, 5, 7, 9}));
  EXPECT_EQ(values(shuffle_dataset(range(10), 100, seeds())), (Ints{2, 8, 6, 5, 9, 1, 0, 3, 7, 4}));
  EXPECT_EQ(values(shuffle_dataset(range(10), 5, seeds(true, 3, 0))), (Ints{2, 4, 5, 6, 1, 7, 8, 9, 0, 3}));
  EXPECT_EQ(values(repeat_dataset(shuffle_dataset(range(6), 4, seeds()).value(), 3)),
            (Ints{0, 4, 2, 3, 5, 1, 1, 3, 0, 2, 4, 5, 3, 2, 4, 0, 1, 5}));
  EXPECT_EQ(values(repeat_dataset(shuffle_dataset(range(6), 6, seeds(false)).value(), 2)),
            (Ints{3, 0, 1, 4, 2, 5, 3, 0, 1, 4, 2, 5}));
  EXPECT_EQ(values(shuffle_dataset(repeat_dataset(range(5), 2), 3, seeds())), (Ints{1, 2, 0, 3, 1, 4, 3, 0, 2, 4}));
  EXPECT_FALSE(shuffle_dataset(range(3), 0, seeds()).ok());
}

TEST_F(Pipeline, batches) {
  EXPECT_EQ(elements(batch_dataset(range(5), 2, false, kAnyInts).value()), (std::vector<Ints>{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(elements(batch_dataset(range(5), 2, true, kAnyInts).value()), (std::vector<Ints>{{0, 1}, {2, 3}}));
  EXPECT_EQ(values(unbatch_dataset(batch_dataset(range(5), 2, false, kAnyInts).value(), kInt)), (Ints{0, 1, 2, 3, 4}));
  EXPECT_FALSE(batch_dataset(range(5), 0, true, kAnyInts).ok());
  const DatasetPtr ragged =
      concatenate_dataset(tensor_dataset({Tensor({1}, Ints{1})}, kAnyInts).value(),
                          tensor_dataset({Tensor({3}, Ints{2, 3, 4})}, kAnyInts).value(), kAnyInts)
          .value();
  absl::Status error;
  take(*batch_dataset(ragged, 2, false, kAnyInts).value()->iterate().value(), 9, &error);
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  Padding padding{{PartialTensorShape({-1})}, {Tensor(int64_t{-9})}};
  EXPECT_EQ(elements(padded_batch_dataset(ragged, 2, padding, false, kAnyInts).value()),
            (std::vector<Ints>{{1, -9, -9, 2, 3, 4}}));
  padding.shapes = {PartialTensorShape({2})};
  take(*padded_batch_dataset(ragged, 2, padding, false, kAnyInts).value()->iterate().value(), 9, &error);
  EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss);
}

TEST_F(Pipeline, windows_are_datasets) {
  const ElementSpec handles{{DataType::kVariant}, {PartialTensorShape::scalar()}};
  functions_.add(
      "batch", {DataType::kVariant}, {DataType::kVariant},
      [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
        return std::vector<Tensor>{
            dataset_to_tensor(batch_dataset(dataset_from_tensor(a[0]).value(), 100, false, kAnyInts).value()).value()};
      });
  const auto windows = [&](int64_t size, int64_t shift, int64_t stride, bool drop) {
    return elements(flat_map_dataset(window_dataset(range(7), size, shift, stride, drop, handles).value(),
                                     functions_.captured("batch"), kAnyInts));
  };
  EXPECT_EQ(windows(3, 3, 1, false), (std::vector<Ints>{{0, 1, 2}, {3, 4, 5}, {6}}));
  EXPECT_EQ(windows(3, 2, 1, true), (std::vector<Ints>{{0, 1, 2}, {2, 3, 4}, {4, 5, 6}}));
  EXPECT_EQ(windows(2, 3, 2, false), (std::vector<Ints>{{0, 2}, {3, 5}, {6}}));
}

TEST_F(Pipeline, functions) {
  EXPECT_EQ(values(map_dataset(range(4), functions_.captured("square"), {}, kInt)), (Ints{0, 1, 4, 9}));
  EXPECT_EQ(values(filter_dataset(range(7), functions_.captured("is_even"))), (Ints{0, 2, 4, 6}));
  EXPECT_EQ(values(take_while_dataset(range(7), functions_.captured("is_even"))), (Ints{0}));
  EXPECT_EQ(values(flat_map_dataset(range(4), functions_.captured("range"), kInt)), (Ints{0, 0, 1, 0, 1, 2}));
  for (const bool parallel : {false, true}) {
    EXPECT_EQ(values(interleave_dataset(range(1, 7, 1), functions_.captured("repeat_mod_3"), {3, 2, parallel}, kInt)),
              (Ints{1, 1, 2, 2, 3, 2, 4, 4, 5, 5, 6, 5}));
  }
  functions_.add("sum", {DataType::kInt64, DataType::kInt64}, {DataType::kInt64, DataType::kInt64},
                 [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
                   const int64_t sum = a[0].scalar<int64_t>() + a[1].scalar<int64_t>();
                   return std::vector<Tensor>{Tensor(sum), Tensor(sum)};
                 });
  EXPECT_EQ(values(scan_dataset(range(5), {Tensor(int64_t{0})}, functions_.captured("sum"), kInt)),
            (Ints{0, 1, 3, 6, 10}));
  functions_.add("add", {DataType::kInt64, DataType::kInt64}, {DataType::kInt64},
                 [](std::vector<Tensor> a, CancellationScope*) -> absl::StatusOr<std::vector<Tensor>> {
                   return std::vector<Tensor>{Tensor(a[0].scalar<int64_t>() + a[1].scalar<int64_t>())};
                 });
  EXPECT_EQ(values(map_dataset(range(3), functions_.captured("add", {Tensor(int64_t{100})}), {}, kInt)),
            (Ints{100, 101, 102}));
  CancellationScope scope;
  EXPECT_EQ(reduce_dataset(*range(10), {Tensor(int64_t{0})}, *functions_.captured("add"), &scope)
                .value()[0]
                .scalar<int64_t>(),
            45);
}

TEST_F(Pipeline, goes_on_behind_an_element_that_fails) {
  for (const int64_t parallel : {0, 3}) {
    const DatasetPtr mapped =
        map_dataset(range(6), functions_.captured("fails_at_3"), {.num_parallel_calls = parallel}, kInt).value();
    EXPECT_EQ(values(ignore_errors_dataset(mapped, false)), (Ints{0, 1, 2, 4, 5}));
    const IteratorPtr it = mapped->iterate().value();
    absl::Status error;
    EXPECT_EQ(flat(take(*it, 9, &error)), (Ints{0, 1, 2}));
    EXPECT_EQ(error.message(), "three");
    EXPECT_EQ(flat(take(*it)), (Ints{4, 5}));
  }
}

TEST_F(Pipeline, parallel_map_keeps_the_order) {
  std::atomic<int> running{0}, most{0};
  functions_.add("slow", [&](int64_t x) {
    most = std::max<int>(most, ++running);
    std::this_thread::sleep_for(std::chrono::milliseconds(x % 3));
    --running;
    return x;
  });
  Ints expected;
  for (int64_t i = 0; i < 90; ++i) expected.push_back(i);
  EXPECT_EQ(values(map_dataset(range(90), functions_.captured("slow"), {.num_parallel_calls = 4}, kInt)), expected);
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 4);
  Ints sloppy = values(
      map_dataset(range(90), functions_.captured("slow"), {.num_parallel_calls = 4, .deterministic = false}, kInt));
  std::sort(sloppy.begin(), sloppy.end());
  EXPECT_EQ(sloppy, expected);
}

TEST_F(Pipeline, prefetch_gives_all_elements_and_the_end) {
  for (const int64_t buffer : {1, 2, 7, -1}) EXPECT_EQ(values(prefetch_dataset(range(20), buffer)), values(range(20)));
  EXPECT_FALSE(prefetch_dataset(range(3), -2).ok());
}

TEST_F(Pipeline, waits_end_with_their_scope) {
  for (const bool prefetch : {false, true}) {
    DatasetPtr dataset =
        map_dataset(range(6), functions_.captured("wait"), {.num_parallel_calls = prefetch ? 2 : 0}, kInt).value();
    if (prefetch) dataset = prefetch_dataset(dataset, 1).value();
    const IteratorPtr it = dataset->iterate().value();
    CancellationScope scope;
    IterationContext ctx{&scope};
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      scope.cancel();
    });
    Element element;
    bool end = false;
    EXPECT_EQ(it->get_next(ctx, &element, &end).code(), absl::StatusCode::kCancelled);
    canceller.join();
  }  // and destroying a pipeline ends what still waits inside it
}

TEST_F(Pipeline, depth_is_bounded) {
  DatasetPtr deep = range(3);
  for (int i = 0; i < Dataset::kMaxDepth; ++i) deep = take_dataset(deep, 1);
  EXPECT_FALSE(dataset_to_tensor(deep).ok());
}

TEST_F(Pipeline, state_is_saved_and_restored_anywhere) {
  const std::vector<std::pair<const char*, DatasetPtr>> cases = {
      {"range", range(10)},
      {"take_skip", take_dataset(skip_dataset(range(10), 2), 5)},
      {"repeat", repeat_dataset(range(3), 3)},
      {"concatenate", concatenate_dataset(range(3), range(4), kInt).value()},
      {"zip", zip_dataset({range(8), range(9)}, {{DataType::kInt64, DataType::kInt64}, {{}, {}}}).value()},
      {"shuffle_repeat", repeat_dataset(shuffle_dataset(range(6), 4, seeds()).value(), 3)},
      {"batch", batch_dataset(range(9), 2, false, kAnyInts).value()},
      {"unbatch", unbatch_dataset(batch_dataset(range(9), 4, false, kAnyInts).value(), kInt)},
      {"map", map_dataset(range(9), functions_.captured("square"), {}, kInt).value()},
      {"parallel_map", map_dataset(range(40), functions_.captured("square"), {.num_parallel_calls = 2}, kInt).value()},
      {"prefetch", prefetch_dataset(range(9), 2).value()},
      {"filter", filter_dataset(range(9), functions_.captured("is_even"))},
      {"flat_map", flat_map_dataset(range(5), functions_.captured("range"), kInt)},
      {"interleave",
       interleave_dataset(range(1, 7, 1), functions_.captured("repeat_mod_3"), {3, 2, false}, kInt).value()},
      {"cache", repeat_dataset(cache_dataset(range(4)), 2)},
      {"pipeline",
       prefetch_dataset(
           repeat_dataset(
               batch_dataset(
                   shuffle_dataset(
                       map_dataset(range(20), functions_.captured("square"), {.num_parallel_calls = 2}, kInt).value(),
                       8, seeds(false))
                       .value(),
                   3, false, kAnyInts)
                   .value(),
               2),
           2)
           .value()},
  };
  for (const auto& [name, dataset] : cases) {
    SCOPED_TRACE(name);
    for (size_t at = 0; at < 14; at += 3) {
      const IteratorPtr original = dataset->iterate().value();
      take(*original, at);
      IteratorState state;
      ASSERT_TRUE(original->save(StateWriter(&state)).ok());
      const std::vector<Ints> rest = take(*original);
      const IteratorPtr copy = dataset->iterate().value();
      CancellationScope scope;
      IterationContext ctx{&scope};
      const absl::Status restored = copy->restore(ctx, StateReader(&state));
      ASSERT_TRUE(restored.ok()) << restored;
      EXPECT_EQ(take(*copy), rest) << "behind " << at;
    }
  }
}

TEST_F(Pipeline, state_of_another_pipeline_is_refused) {
  IteratorState state;
  ASSERT_TRUE(range(5)->iterate().value()->save(StateWriter(&state)).ok());
  CancellationScope scope;
  IterationContext ctx{&scope};
  EXPECT_EQ(repeat_dataset(range(5), 2)->iterate().value()->restore(ctx, StateReader(&state)).code(),
            absl::StatusCode::kInvalidArgument);
}

class Files : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& contents) {
    const std::string path = testing::TempDir() + "/millrace_files_test_" + name;
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }
  static std::vector<std::string> lines(const DatasetPtr& dataset, absl::Status* error = nullptr) {
    const IteratorPtr it = dataset->iterate().value();
    CancellationScope scope;
    IterationContext ctx{&scope};
    std::vector<std::string> out;
    while (true) {
      Element element;
      bool end = false;
      const absl::Status status = it->get_next(ctx, &element, &end);
      if (!status.ok()) {
        if (error) *error = status;
        else ADD_FAILURE() << status;
        return out;
      }
      if (end) return out;
      out.push_back(element[0].scalar<std::string>());
    }
  }
};

TEST_F(Files, text_lines) {
  const std::string a = write("a", "one\r\ntwo\n\nlast"), b = write("b", "x\n"), empty = write("empty", "");
  for (const int64_t buffer : {0, 1, 3}) {
    EXPECT_EQ(lines(text_line_dataset({.files = {a, empty, b}, .buffer_bytes = buffer})),
              (std::vector<std::string>{"one", "two", "", "last", "x"}));
  }
  absl::Status error;
  EXPECT_EQ(lines(text_line_dataset({.files = {b, a + ".none"}}), &error), std::vector<std::string>{"x"});
  EXPECT_EQ(error.code(), absl::StatusCode::kNotFound);
}

TEST_F(Files, fixed_length_records) {
  const std::string path = write("fixed", "HHaaabbbcccF");
  EXPECT_EQ(lines(fixed_length_record_dataset({.files = {path}}, {3, 2, 1}).value()),
            (std::vector<std::string>{"aaa", "bbb", "ccc"}));
  absl::Status error;
  lines(fixed_length_record_dataset({.files = {path}}, {4, 2, 1}).value(), &error);
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fixed_length_record_dataset({.files = {path}}, {0, 2, 1}).ok());
}

TEST_F(Files, records_and_damage) {
  const std::string no_records = write("no_records", "this is no record file, but it is long enough to look at");
  absl::Status error;
  EXPECT_TRUE(lines(tf_record_dataset({.files = {no_records}}), &error).empty());
  EXPECT_EQ(error.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(lines(tf_record_dataset({.files = {MILLRACE_SOURCE_DIR "/data/digits-test.tfrecord"}})).size(), 360u);
  // Behind a broken file comes the next one.
  EXPECT_EQ(
      lines(ignore_errors_dataset(
                tf_record_dataset({.files = {no_records, MILLRACE_SOURCE_DIR "/data/digits-test.tfrecord"}}), false))
          .size(),
      360u);
}

TEST(IteratorResource, serves_requests) {
  IteratorResource iterator(kInt);
  CancellationScope scope;
  const auto next = [&]() -> absl::StatusOr<int64_t> {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    absl::StatusOr<int64_t> result = -1;
    iterator.get_next(&scope, [&](absl::Status status, Element element, bool end) {
      std::lock_guard lock(mutex);
      if (!status.ok()) result = status;
      else if (!end) result = element[0].scalar<int64_t>();
      done = true;
      changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return done; });
    return result;
  };
  EXPECT_EQ(next().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(
      iterator.set_dataset(batch_dataset(range(3), 2, false, {{DataType::kInt64}, {PartialTensorShape({-1})}}).value())
          .ok());
  ASSERT_TRUE(iterator.set_dataset(range(2)).ok());
  EXPECT_EQ(next().value(), 0);
  EXPECT_EQ(next().value(), 1);
  EXPECT_EQ(next().value(), -1);
  ASSERT_TRUE(iterator.set_dataset(prefetch_dataset(range(3), 1).value()).ok());
  EXPECT_EQ(next().value(), 0);
  IteratorState state;
  ASSERT_TRUE(iterator.save(&state).ok());
  EXPECT_EQ(next().value(), 1);
  ASSERT_TRUE(iterator.restore(state, &scope).ok());
  EXPECT_EQ(next().value(), 1);
  EXPECT_EQ(next().value(), 2);
  EXPECT_EQ(next().value(), -1);
}

}  // namespace
}  // namespace millrace
