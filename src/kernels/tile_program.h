#pragma once
// Several elementwise operations as one program over tiles that stay in the first cache: memory is read once and
// written once, whatever lies between. Each instruction is a loop of kernels/elementwise.h over floats, so that every
// value has the same bits as if its operation had run alone.
//
// All operands are matrices of rows x columns in four forms: full, one row for all rows, one column for all columns, or
// one number. What follows from rows alone is computed once per column, and so on.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/elementwise.h"

namespace millrace {

struct TileInstruction {
  UnaryLoop unary = nullptr;  // one of the two is set
  BinaryLoop binary = nullptr;
  int a = 0, b = 0;      // operands: inputs first, then the results of earlier instructions
  double cost_ns = 0.3;  // per element
};

class TileProgram {
 public:
  enum class Form : uint8_t { kNumber = 0, kRow = 1, kColumn = 2, kFull = 3 };  // joined by "or"

  TileProgram(int num_inputs, std::vector<TileInstruction> instructions);

  int num_inputs() const { return num_inputs_; }
  const std::vector<TileInstruction>& instructions() const { return instructions_; }

  // The forms of all values, inputs first: those of results follow from the inputs'.
  std::vector<Form> forms(std::span<const Form> inputs) const;

  // `forms`: of all values. `inputs` are read where the program uses them. `outputs` has a pointer per instruction,
  // null where the result is needed inside only; the last instruction's may be an input of full form, no other may.
  void run(std::span<const Form> forms, int64_t rows, int64_t columns, std::span<const float* const> inputs,
           std::span<float* const> outputs) const;

 private:
  struct Run;
  int num_inputs_;
  std::vector<TileInstruction> instructions_;
  std::vector<int> register_of_;  // by instruction
  int num_registers_ = 0;
};

}  // namespace millrace
