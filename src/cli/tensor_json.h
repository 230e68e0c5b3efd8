#pragma once
// Tensors as JSON: a number, string or boolean, or lists of them nested as the shape says. NaN and infinities are
// written as NaN, Infinity and -Infinity, as Python's json module writes and reads them; complex numbers as [real,
// imaginary]; bytes that are no UTF-8 are replaced.

#include <string>

#include "millrace/tensor.h"

namespace millrace {

std::string tensor_json(const Tensor& tensor);
std::string number_json(double value);
std::string string_json(const std::string& text);

}  // namespace millrace
