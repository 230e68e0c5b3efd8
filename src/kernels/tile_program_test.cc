// Tile programs against the same loops one after another, at sizes around the tile's and in every form.

#include "kernels/tile_program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/vector_loops.h"

namespace millrace {
namespace {

using Form = TileProgram::Form;

std::vector<float> random_values(int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> between(-2.0f, 2.0f);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = between(generator);
  return values;
}

int64_t size_of(Form form, int64_t rows, int64_t columns) {
  return (form == Form::kFull || form == Form::kColumn ? rows : 1) *
         (form == Form::kFull || form == Form::kRow ? columns : 1);
}

// The value as a full matrix.
std::vector<float> spread(const std::vector<float>& values, Form form, int64_t rows, int64_t columns) {
  std::vector<float> full;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t at = form == Form::kFull ? r * columns + c : form == Form::kRow ? c : form == Form::kColumn ? r : 0;
      full.push_back(values[static_cast<size_t>(at)]);
    }
  return full;
}

// (a * b + tanh(c)) and (a * b): four inputs would not tell more than three.
TileProgram program() {
  return TileProgram(3, {{.binary = &vector_loops::mul, .a = 0, .b = 1},
                         {.unary = &vector_loops::tanh, .a = 2},
                         {.binary = &vector_loops::add, .a = 3, .b = 4},
                         {.binary = &vector_loops::maximum, .a = 5, .b = 2}});
}

void check(const std::vector<Form>& inputs, int64_t rows, int64_t columns, bool in_place) {
  SCOPED_TRACE(testing::Message() << rows << "x" << columns << " forms " << int(inputs[0]) << int(inputs[1])
                                  << int(inputs[2]));
  std::vector<std::vector<float>> values;
  std::vector<const float*> at;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(random_values(size_of(inputs[i], rows, columns), static_cast<unsigned>(i + 1)));
    at.push_back(values.back().data());
  }
  const int64_t n = rows * columns;
  std::vector<float> a = spread(values[0], inputs[0], rows, columns), b = spread(values[1], inputs[1], rows, columns),
                     c = spread(values[2], inputs[2], rows, columns), product(a.size()), wanted(a.size());
  vector_loops::mul(a.data(), b.data(), product.data(), n);
  vector_loops::tanh(c.data(), wanted.data(), n);
  vector_loops::add(product.data(), wanted.data(), wanted.data(), n);
  vector_loops::maximum(wanted.data(), c.data(), wanted.data(), n);

  const TileProgram p = program();
  const std::vector<Form> forms = p.forms(inputs);
  std::vector<float> first(static_cast<size_t>(size_of(forms[3], rows, columns))),
      last(static_cast<size_t>(size_of(forms[6], rows, columns)));
  float* const into = in_place && forms[6] == Form::kFull && inputs[2] == Form::kFull ? values[2].data() : last.data();
  p.run(forms, rows, columns, at, std::vector<float*>{first.data(), nullptr, nullptr, into});
  const std::vector<float> got(into, into + last.size());
  EXPECT_EQ(spread(first, forms[3], rows, columns), product);
  EXPECT_EQ(spread(got, forms[6], rows, columns), wanted);
}

TEST(TileProgram, gives_the_bits_of_the_loops_alone) {
  for (const Form a : {Form::kNumber, Form::kRow, Form::kColumn, Form::kFull})
    for (const Form b : {Form::kNumber, Form::kRow, Form::kColumn, Form::kFull})
      for (const Form c : {Form::kNumber, Form::kRow, Form::kColumn, Form::kFull})
        for (const auto& [rows, columns] :
             {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {7, 64}, {2, 511}, {5, 512}, {3, 513}, {2, 1500}, {300, 3}})
          check({a, b, c}, rows, columns, false);
}

TEST(TileProgram, may_end_in_an_operand) {
  check({Form::kFull, Form::kRow, Form::kFull}, 40, 300, true);
  check({Form::kFull, Form::kFull, Form::kFull}, 1, 100'000, true);  // more than one thread's work
}

TEST(TileProgram, nothing_is_nothing) {
  const TileProgram p = program();
  const std::vector<Form> forms = p.forms(std::vector<Form>{Form::kFull, Form::kFull, Form::kFull});
  const float* none = nullptr;
  p.run(forms, 0, 5, std::vector<const float*>{none, none, none},
        std::vector<float*>{nullptr, nullptr, nullptr, nullptr});
}

}  // namespace
}  // namespace millrace
