// How 3x3 convolutions of stride 1 in float32 are computed on processors.
#pragma once

namespace boneage::onednn {

enum class Convolutions {
    direct,    // by oneDNN
    winograd,  // by minimal filtering where channels come in sixteens (winograd.h): two to four times fewer products,
               // whose sums are rounded about ten times as coarsely
};

}  // namespace boneage::onednn
