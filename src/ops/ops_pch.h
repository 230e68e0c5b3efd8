#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "op/gradient_context.h"
#include "op/kernel.h"
#include "op/shape_context.h"
