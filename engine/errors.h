// The errors that the engine throws, for programs that use it.
#pragma once

#include "kernels/base/error.h"  // IWYU pragma: export
