// What a kernel does to the gradient it writes.
#pragma once

namespace boneage {

// Where several gradients of one value meet, the first kernel assigns and the later ones add.
enum class Write {
    assign,      // whatever was there is lost, and need not have been initialised
    accumulate,  // added to what is there: one float32 addition, rounded to the value's type
};

}  // namespace boneage
