#include "ops/fused_elementwise.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "base/errors.h"
#include "kernels/broadcast.h"
#include "kernels/tile_program.h"
#include "kernels/vector_loops.h"
#include "op/shape_context.h"
#include "tensor/shape.h"

namespace millrace {
namespace {

namespace loops = vector_loops;
using Form = TileProgram::Form;

struct Fusible {
  std::string_view op;
  UnaryLoop unary;
  BinaryLoop binary;
  double cost_ns;
};
// The loops and costs that the ops have alone.
constexpr Fusible kFusible[] = {
    {"Abs", &loops::abs, nullptr, 0.3},
    {"Neg", &loops::neg, nullptr, 0.3},
    {"Reciprocal", &loops::reciprocal, nullptr, 0.4},
    {"Inv", &loops::reciprocal, nullptr, 0.4},
    {"Square", &loops::square, nullptr, 0.3},
    {"Sqrt", &loops::sqrt, nullptr, 0.4},
    {"Rsqrt", &loops::rsqrt, nullptr, 0.4},
    {"Exp", &loops::exp, nullptr, 0.4},
    {"Log", &loops::log, nullptr, 0.4},
    {"Tanh", &loops::tanh, nullptr, 0.4},
    {"Sigmoid", &loops::sigmoid, nullptr, 0.4},
    {"Add", nullptr, &loops::add, 0.3},
    {"AddV2", nullptr, &loops::add, 0.3},
    {"AddN", nullptr, &loops::add, 0.3},
    {"Sub", nullptr, &loops::sub, 0.3},
    {"Mul", nullptr, &loops::mul, 0.3},
    {"RealDiv", nullptr, &loops::div, 0.4},
    {"Div", nullptr, &loops::div, 0.4},
    {"DivNoNan", nullptr, &loops::div_no_nan, 0.4},
    {"Maximum", nullptr, &loops::maximum, 0.3},
    {"Minimum", nullptr, &loops::minimum, 0.3},
    {"SquaredDifference", nullptr, &loops::squared_difference, 0.3},
    {"SigmoidGrad", nullptr, &loops::sigmoid_grad, 0.3},
    {"TanhGrad", nullptr, &loops::tanh_grad, 0.3},
    {"SqrtGrad", nullptr, &loops::sqrt_grad, 0.4},
    {"RsqrtGrad", nullptr, &loops::rsqrt_grad, 0.4},
};

const Fusible* find(std::string_view op) {
  const auto* at = std::ranges::find(kFusible, op, &Fusible::op);
  return at == std::end(kFusible) ? nullptr : at;
}

// AddN's operands must have one shape; it is a row of additions.
constexpr std::string_view kAddN = "AddN";

class FusedElementwise final : public Kernel {
 public:
  FusedElementwise(int num_inputs, std::vector<FusedMember> members)
      : members_(std::move(members)), num_inputs_(num_inputs), program_(num_inputs, instructions()) {}

  absl::Status compute(KernelContext& ctx) override {
    Shapes shapes;
    for (int i = 0; i < num_inputs_; ++i) {
      MR_RETURN_IF_ERROR(ctx.flat<float>(i).status());
      shapes.push_back(ctx.shape(i));
    }
    MR_RETURN_IF_ERROR(infer(shapes));
    Matrix matrix;
    if (!as_matrix(shapes, &matrix)) return run_one_by_one(ctx, shapes);
    return run_tiles(ctx, shapes, matrix);
  }
  bool is_cheap() const override { return true; }

 private:
  using Shapes = absl::InlinedVector<TensorShape, 8>;  // of all values: inputs, then members
  struct Matrix {
    int64_t rows = 1, columns = 1;
    absl::InlinedVector<Form, 16> inputs;
  };

  std::vector<TileInstruction> instructions() {
    std::vector<TileInstruction> all;
    last_.clear();
    for (const FusedMember& m : members_) {
      const Fusible& op = *find(m.op);
      const auto value = [&](int operand) {
        return operand < num_inputs_ ? operand : num_inputs_ + last_[static_cast<size_t>(operand - num_inputs_)];
      };
      TileInstruction instruction{
          .unary = op.unary, .binary = op.binary, .a = value(m.operands[0]), .cost_ns = op.cost_ns};
      for (size_t k = 1; k < m.operands.size(); ++k) {
        instruction.b = value(m.operands[k]);
        all.push_back(instruction);
        instruction.a = num_inputs_ + static_cast<int>(all.size()) - 1;
      }
      if (m.operands.size() == 1) all.push_back(instruction);
      last_.push_back(static_cast<int>(all.size()) - 1);
    }
    return all;
  }

  // ---- shapes

  absl::Status infer(Shapes& shapes) const {
    for (const FusedMember& m : members_) {
      TensorShape shape = shapes[static_cast<size_t>(m.operands[0])];
      for (size_t k = 1; k < m.operands.size(); ++k) {
        const TensorShape& other = shapes[static_cast<size_t>(m.operands[k])];
        if (shape == other) continue;
        if (m.op == kAddN)
          return named(m, invalid_argument("Inputs to operation ", m.name,
                                           " of type AddN must have the same size and "
                                           "shape.  Input 0: ",
                                           shape, " != input ", k, ": ", other));
        absl::StatusOr<TensorShape> joined = broadcast(shape, other);
        if (!joined.ok()) return named(m, joined.status());
        shape = *std::move(joined);
      }
      shapes.push_back(std::move(shape));
    }
    return absl::OkStatus();
  }

  static absl::Status named(const FusedMember& m, const absl::Status& status) {
    return with_where(status, {m.name, m.op, m.device, m.source});
  }

  // All values as matrices of one size, in the forms that tiles know; false where there is no such size.
  bool as_matrix(const Shapes& shapes, Matrix* matrix) const {
    const TensorShape* whole = &shapes[0];
    for (const TensorShape& s : shapes)
      if (s.num_elements() > whole->num_elements() ||
          (s.num_elements() == whole->num_elements() && s.rank() > whole->rank()))
        whole = &s;
    matrix->columns = -1;
    for (int i = 0; i < num_inputs_; ++i) {
      Form form;
      if (!form_of(shapes[static_cast<size_t>(i)], *whole, &matrix->columns, &form)) return false;
      matrix->inputs.push_back(form);
    }
    if (matrix->columns < 0) matrix->columns = whole->num_elements();
    matrix->rows = matrix->columns == 0 ? 0 : whole->num_elements() / matrix->columns;
    return true;
  }

  static bool form_of(const TensorShape& shape, const TensorShape& whole, int64_t* columns, Form* form) {
    const int64_t n = shape.num_elements();
    if (n == 1 && whole.num_elements() != 1) return *form = Form::kNumber, true;
    const int missing = whole.rank() - shape.rank();
    if (missing < 0) return false;
    const auto dim = [&](int d) { return d < missing ? 1 : shape.dim(d - missing); };
    int first = 0, last = whole.rank();  // outside of [first, last) all dimensions are 1
    while (first < last && dim(first) == 1) ++first;
    while (last > first && dim(last - 1) == 1) --last;
    int64_t before = 1, inside = 1, after = 1;
    for (int d = 0; d < whole.rank(); ++d) {
      if (d >= first && d < last) {
        if (dim(d) != whole.dim(d)) return false;
        inside *= whole.dim(d);
      } else {
        (d < first ? before : after) *= whole.dim(d);
      }
    }
    if (before == 1 && after == 1) return *form = Form::kFull, true;
    if (before != 1 && after != 1) return false;
    const int64_t wanted = before != 1 ? inside : after;
    if (*columns >= 0 && *columns != wanted) return false;
    *columns = wanted;
    *form = before != 1 ? Form::kRow : Form::kColumn;
    return true;
  }

  // ---- both ways to run

  absl::Status run_tiles(KernelContext& ctx, const Shapes& shapes, const Matrix& matrix) const {
    const std::vector<Form> forms = program_.forms(matrix.inputs);
    absl::InlinedVector<const float*, 16> inputs;
    absl::InlinedVector<float*, 16> outputs(program_.instructions().size(), nullptr);
    int output = 0;
    for (size_t m = 0; m < members_.size(); ++m) {
      if (!members_[m].is_output) continue;
      const TensorShape& shape = shapes[static_cast<size_t>(num_inputs_) + m];
      const bool is_last = m + 1 == members_.size();
      Tensor* out = nullptr;
      if (is_last && forms.back() == Form::kFull) {
        MR_ASSIGN_OR_RETURN(out, last_output(ctx, matrix, output, shape));
      } else {
        MR_ASSIGN_OR_RETURN(out, ctx.allocate_output(output, shape));
      }
      outputs[static_cast<size_t>(last_[m])] = static_cast<float*>(out->raw_mutable_data());
      ++output;
    }
    for (int i = 0; i < num_inputs_; ++i) inputs.push_back(static_cast<const float*>(ctx.input(i).raw_data()));
    program_.run(forms, matrix.rows, matrix.columns, inputs, outputs);
    return absl::OkStatus();
  }

  // The last result may take the place of an operand: within a tile it is written after all reads.
  absl::StatusOr<Tensor*> last_output(KernelContext& ctx, const Matrix& matrix, int output,
                                      const TensorShape& shape) const {
    for (int i = 0; i < num_inputs_; ++i) {
      if (matrix.inputs[static_cast<size_t>(i)] != Form::kFull || !ctx.input(i).owns_buffer_alone()) continue;
      return ctx.forward_or_allocate_output({i}, output, shape);
    }
    return ctx.allocate_output(output, shape);
  }

  absl::Status run_one_by_one(KernelContext& ctx, const Shapes& shapes) const {
    std::vector<Tensor> values;
    for (int i = 0; i < num_inputs_; ++i) values.push_back(ctx.input(i));
    int output = 0;
    for (size_t m = 0; m < members_.size(); ++m) {
      const FusedMember& member = members_[m];
      const Fusible& op = *find(member.op);
      Tensor value = values[static_cast<size_t>(member.operands[0])];
      for (size_t k = member.operands.size() == 1 ? 0 : 1; k < member.operands.size(); ++k) {
        const Tensor& other = values[static_cast<size_t>(member.operands[k])];
        MR_ASSIGN_OR_RETURN(const TensorShape shape, broadcast(value.shape(), other.shape()));
        MR_ASSIGN_OR_RETURN(Tensor result, ctx.allocate_temp(DataType::kFloat, shape));
        if (shape.num_elements() > 0) {
          if (op.unary != nullptr) op.unary(value.raw_data(), result.raw_mutable_data(), shape.num_elements());
          else
            binary_broadcast({.loop = op.binary, .cost_ns = op.cost_ns}, value.raw_data(), value.shape().dims(),
                             other.raw_data(), other.shape().dims(), result.raw_mutable_data(), shape.dims());
        }
        value = std::move(result);
      }
      if (member.is_output) MR_RETURN_IF_ERROR(ctx.set_output(output++, value));
      values.push_back(std::move(value));
    }
    return absl::OkStatus();
  }

  const std::vector<FusedMember> members_;
  const int num_inputs_;
  std::vector<int> last_;  // by member: the instruction that gives its value
  const TileProgram program_;
};

// ---- what static inference sees of the node

absl::Status fused_shape(ShapeContext& c) {
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> operands, c.attr<std::vector<int64_t>>("operands"));
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, c.attr<std::vector<int64_t>>("counts"));
  MR_ASSIGN_OR_RETURN(const std::vector<int64_t> outputs, c.attr<std::vector<int64_t>>("outputs"));
  std::vector<PartialTensorShape> shapes;
  for (int i = 0; i < c.num_inputs(); ++i) shapes.push_back(c.input(i));
  size_t at = 0;
  for (const int64_t count : counts) {
    PartialTensorShape shape = shapes.at(static_cast<size_t>(operands.at(at)));
    for (int64_t k = 1; k < count; ++k) {
      absl::StatusOr<PartialTensorShape> joined =
          broadcast(shape, shapes.at(static_cast<size_t>(operands.at(at + static_cast<size_t>(k)))));
      shape = joined.ok() ? *std::move(joined) : PartialTensorShape();  // the kernel says what is wrong
    }
    at += static_cast<size_t>(count);
    shapes.push_back(std::move(shape));
  }
  for (size_t o = 0; o < outputs.size(); ++o)
    MR_RETURN_IF_ERROR(c.set_output(static_cast<int>(o), shapes.at(static_cast<size_t>(c.num_inputs() + outputs[o]))));
  return absl::OkStatus();
}

}  // namespace

bool is_fusible_elementwise(std::string_view op) { return find(op) != nullptr; }

const OpEntry& fused_elementwise_entry() {
  static const OpEntry* const entry = [] {
    auto* made = new OpEntry;
    made->def.name = "_FusedElementwise";
    made->shape = fused_shape;
    return made;
  }();
  return *entry;
}

AttrMap fused_elementwise_attrs(const std::vector<FusedMember>& members) {
  std::vector<int64_t> operands, counts, outputs;
  std::vector<std::string> ops;
  for (size_t m = 0; m < members.size(); ++m) {
    operands.insert(operands.end(), members[m].operands.begin(), members[m].operands.end());
    counts.push_back(static_cast<int64_t>(members[m].operands.size()));
    ops.push_back(members[m].op);
    if (members[m].is_output) outputs.push_back(static_cast<int64_t>(m));
  }
  return {{"operands", operands}, {"counts", counts}, {"outputs", outputs}, {"ops", ops}};
}

std::unique_ptr<Kernel> make_fused_elementwise(int num_inputs, std::vector<FusedMember> members) {
  return std::make_unique<FusedElementwise>(num_inputs, std::move(members));
}

}  // namespace millrace
