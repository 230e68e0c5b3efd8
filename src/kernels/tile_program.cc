#include "kernels/tile_program.h"

#include <algorithm>
#include <memory>

#include "kernels/parallel.h"

namespace millrace {
namespace {

constexpr int64_t kTile = 512;  // floats: sixteen registers fill a first cache of 32 KiB

using Form = TileProgram::Form;
Form join(Form a, Form b) { return static_cast<Form>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b)); }

int64_t size_of(Form form, int64_t rows, int64_t columns) {
  switch (form) {
    case Form::kNumber: return 1;
    case Form::kRow: return columns;
    case Form::kColumn: return rows;
    case Form::kFull: break;
  }
  return rows * columns;
}

void apply(const TileInstruction& i, const float* a, const float* b, float* out, int64_t n) {
  if (i.unary != nullptr) i.unary(a, out, n);
  else i.binary(a, b, out, n);
}

}  // namespace

TileProgram::TileProgram(int num_inputs, std::vector<TileInstruction> instructions)
    : num_inputs_(num_inputs), instructions_(std::move(instructions)), register_of_(instructions_.size()) {
  std::vector<size_t> last_use(instructions_.size(), 0);
  for (size_t i = 0; i < instructions_.size(); ++i) {
    for (const int operand : {instructions_[i].a, instructions_[i].binary ? instructions_[i].b : instructions_[i].a})
      if (operand >= num_inputs_) last_use[static_cast<size_t>(operand - num_inputs_)] = i;
  }
  std::vector<int> free;
  for (size_t i = 0; i < instructions_.size(); ++i) {
    // Loops work in place: what is used for the last time gives its register to the result.
    for (size_t k = 0; k < i; ++k)
      if (last_use[k] == i) free.push_back(register_of_[k]);
    if (free.empty()) free.push_back(num_registers_++);
    register_of_[i] = free.back();
    free.pop_back();
  }
}

std::vector<Form> TileProgram::forms(std::span<const Form> inputs) const {
  std::vector<Form> all(inputs.begin(), inputs.end());
  for (const TileInstruction& i : instructions_) {
    const Form a = all[static_cast<size_t>(i.a)];
    all.push_back(i.binary ? join(a, all[static_cast<size_t>(i.b)]) : a);
  }
  return all;
}

// One call: where each value is found, tile by tile.
struct TileProgram::Run {
  const TileProgram& program;
  std::span<const Form> forms;
  int64_t rows, columns;
  std::span<float* const> outputs;
  std::vector<const float*> values = {};    // by value: the whole of it, null for full results that no output holds
  std::vector<float> small = {};            // results that are no full matrices
  std::vector<float> spread = {};           // rows repeated for tiles of several rows, and numbers
  std::vector<const float*> repeated = {};  // by value: in `spread`
  int64_t tile_rows = 1, tile_columns = 1;
  bool flat = true;  // no operand is a row or a column: the matrix is one long row

  const float* whole(int value) const { return values[static_cast<size_t>(value)]; }
  Form form(int value) const { return forms[static_cast<size_t>(value)]; }

  void compute_small() {
    const auto inputs = static_cast<size_t>(program.num_inputs_);
    size_t needed = 0;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (forms[inputs + i] != Form::kFull && outputs[i] == nullptr)
        needed += static_cast<size_t>(size_of(forms[inputs + i], rows, columns));
    }
    small.resize(needed);
    float* next = small.data();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Form f = forms[inputs + i];
      if (f == Form::kFull) continue;
      const int64_t n = size_of(f, rows, columns);
      float* out = outputs[i];
      if (out == nullptr) {
        out = next;
        next += n;
      }
      values[inputs + i] = out;
      const TileInstruction& instruction = program.instructions_[i];
      const auto operand = [&](int value, std::vector<float>& room) {
        if (form(value) == f) return whole(value);
        room.assign(static_cast<size_t>(n), *whole(value));  // a number
        return static_cast<const float*>(room.data());
      };
      std::vector<float> room_a, room_b;
      const float* a = operand(instruction.a, room_a);
      apply(instruction, a, instruction.binary ? operand(instruction.b, room_b) : nullptr, out, n);
    }
  }

  // Which values the full results read, as tiles want them.
  void spread_operands() {
    std::vector<bool> wanted(values.size());
    for (size_t i = 0; i < program.instructions_.size(); ++i) {
      if (forms[static_cast<size_t>(program.num_inputs_) + i] != Form::kFull) continue;
      const TileInstruction& instruction = program.instructions_[i];
      wanted[static_cast<size_t>(instruction.a)] = true;
      if (instruction.binary) wanted[static_cast<size_t>(instruction.b)] = true;
    }
    for (size_t v = 0; v < values.size(); ++v)
      if (wanted[v] && (forms[v] == Form::kRow || forms[v] == Form::kColumn)) flat = false;
    if (flat) {
      columns *= rows;
      rows = 1;
    }
    tile_rows = std::max<int64_t>(1, std::min(rows, kTile / std::max<int64_t>(columns, 1)));
    tile_columns = std::min(columns, kTile);
    const auto tile = static_cast<size_t>(tile_rows * tile_columns);
    size_t count = 0;
    for (size_t v = 0; v < values.size(); ++v) count += wanted[v] && is_spread(forms[v]);
    spread.resize(count * tile);
    repeated.assign(values.size(), nullptr);
    float* next = spread.data();
    for (size_t v = 0; v < values.size(); ++v) {
      if (!wanted[v] || !is_spread(forms[v])) continue;
      repeated[v] = next;
      if (forms[v] == Form::kNumber) std::fill_n(next, tile, *values[v]);
      else
        for (int64_t r = 0; r < tile_rows; ++r) std::copy_n(values[v], columns, next + r * columns);
      next += tile;
    }
  }
  // A row longer than a tile, or alone in it, is read where it is.
  bool is_spread(Form f) const { return f == Form::kNumber || (f == Form::kRow && tile_rows > 1); }

  // Tiles [begin, end) of the matrix, which is cut into bands of tile_rows rows and those into pieces.
  void tiles(int64_t begin, int64_t end) const {
    const int64_t pieces = (columns + tile_columns - 1) / tile_columns;
    const auto tile = static_cast<size_t>(tile_rows * tile_columns);
    // Room for registers, and for two columns spread along their rows.
    const auto room = std::make_unique_for_overwrite<float[]>(tile * static_cast<size_t>(program.num_registers_ + 2));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t / pieces * tile_rows, column = t % pieces * tile_columns;
      one_tile(row, std::min(tile_rows, rows - row), column, std::min(tile_columns, columns - column), room.get(),
               tile);
    }
  }

  void one_tile(int64_t row, int64_t height, int64_t column, int64_t width, float* room, size_t tile) const {
    const int64_t at = row * columns + column, n = height * width;
    float* const columns_room = room + static_cast<size_t>(program.num_registers_) * tile;
    const auto where = [&](size_t i) {
      return outputs[i] != nullptr ? outputs[i] + at : room + static_cast<size_t>(program.register_of_[i]) * tile;
    };
    const auto operand = [&](int value, int which) -> const float* {
      switch (form(value)) {
        case Form::kNumber: return repeated[static_cast<size_t>(value)];
        case Form::kRow: {
          const float* r = repeated[static_cast<size_t>(value)];
          return r != nullptr ? r : whole(value) + column;
        }
        case Form::kColumn: {
          float* to = columns_room + static_cast<size_t>(which) * tile;
          for (int64_t r = 0; r < height; ++r) std::fill_n(to + r * width, width, whole(value)[row + r]);
          return to;
        }
        case Form::kFull: break;
      }
      if (value < program.num_inputs_) return whole(value) + at;
      return where(static_cast<size_t>(value - program.num_inputs_));
    };
    for (size_t i = 0; i < program.instructions_.size(); ++i) {
      if (forms[static_cast<size_t>(program.num_inputs_) + i] != Form::kFull) continue;
      const TileInstruction& instruction = program.instructions_[i];
      const float* a = operand(instruction.a, 0);
      apply(instruction, a, instruction.binary ? operand(instruction.b, 1) : nullptr, where(i), n);
    }
  }
};

void TileProgram::run(std::span<const Form> forms, int64_t rows, int64_t columns, std::span<const float* const> inputs,
                      std::span<float* const> outputs) const {
  if (rows <= 0 || columns <= 0) return;
  Run run{.program = *this, .forms = forms, .rows = rows, .columns = columns, .outputs = outputs};
  run.values.assign(inputs.begin(), inputs.end());
  run.values.resize(forms.size(), nullptr);
  run.compute_small();
  run.spread_operands();
  double cost_ns = 0;
  for (size_t i = 0; i < instructions_.size(); ++i)
    if (forms[static_cast<size_t>(num_inputs_) + i] == Form::kFull) cost_ns += instructions_[i].cost_ns;
  if (cost_ns == 0) return;  // nothing is full
  const int64_t bands = (run.rows + run.tile_rows - 1) / run.tile_rows;
  const int64_t pieces = (run.columns + run.tile_columns - 1) / run.tile_columns;
  parallel_for(bands * pieces, cost_ns * static_cast<double>(run.tile_rows * run.tile_columns),
               [&](int64_t begin, int64_t end) { run.tiles(begin, end); });
}

}  // namespace millrace
