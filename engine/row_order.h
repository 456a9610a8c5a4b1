// Puts rows that workers finish in any order back into the order of the inputs.
#pragma once

#include "engine/session.h"
#include "kernels/base/in_order.h"

namespace boneage::session {

using RowOrder = InOrder<Row>;

}  // namespace boneage::session
