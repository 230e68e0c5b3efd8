// docs/porting.md, "Input pipelines".
#include <millrace/millrace.h>

#include "expect.h"
namespace tf = millrace;

void one_shot() {
  auto as_default = tf::Graph().as_default();
  // [one_shot]
  auto dataset = tf::data::Dataset::from_tensor_slices({tf::Tensor({4, 2}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}),
                                                        tf::Tensor(std::vector<int64_t>{0, 1, 0, 1})})
                     .map([](const tf::Output& x, const tf::Output& label) { return std::vector<tf::Output>{x * 0.5f, label}; })
                     .shuffle(4, {.seed = 7}).repeat(2).batch(4);
  auto [x, label] = dataset.make_one_shot_iterator().get_next<2>();
  // [/one_shot]
  tf::Session session;
  expect(session.run(x).shape() == tf::TensorShape({4, 2}));
}

int until_the_end() {
  auto as_default = tf::Graph().as_default();
  int batches = 0;
  // [initializable]
  tf::Output limit = tf::placeholder(tf::int64, tf::TensorShape());
  auto iterator = tf::data::Dataset::range(100).take(limit).batch(4).make_initializable_iterator();
  tf::Output next = iterator.get_next()[0];
  tf::Session session;
  for (int epoch = 0; epoch < 2; ++epoch) {
    session.run(iterator.initializer(), {{limit, int64_t{10}}});
    try {
      while (true) {
        session.run(next);
        ++batches;
      }
    } catch (const tf::errors::OutOfRangeError&) {
    }
  }
  // [/initializable]
  return batches;
}

void switches() {
  auto as_default = tf::Graph().as_default();
  // [feedable]
  auto training = tf::data::Dataset::range(0, 100).repeat().make_one_shot_iterator();
  auto validation = tf::data::Dataset::range(1000, 1100).make_one_shot_iterator();
  tf::Output handle = tf::placeholder(tf::string, tf::TensorShape());
  auto iterator = tf::data::Iterator::from_string_handle(handle, training.element_spec());
  tf::Output next = iterator.get_next()[0];
  tf::Session session;
  tf::Tensor training_handle = session.run(training.string_handle());
  tf::Tensor validation_handle = session.run(validation.string_handle());
  int64_t first = session.run(next, {{handle, training_handle}}).scalar<int64_t>();
  int64_t other = session.run(next, {{handle, validation_handle}}).scalar<int64_t>();
  // [/feedable]
  expect(first == 0 && other == 1000);
}

int main() {
  one_shot();
  expect(until_the_end() == 6);
  switches();
}
