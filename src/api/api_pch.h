#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/op_builder.h"
#include "millrace/array_ops.h"
#include "millrace/math_ops.h"
