#include "engine/train/course.h"

namespace boneage::train {

std::string text_of(const AugmentParams& p) {
    std::string text;
    for (const float value :
         {p.rotation_degrees, p.shift, p.zoom, p.shear, p.flip, p.brightness, p.contrast, p.noise, p.erase,
          p.erase_smallest_area, p.erase_largest_area, p.erase_stretch, p.erase_level, p.background}) {
        text += std::to_string(value);
        text += '/';
    }
    return text;
}

}  // namespace boneage::train
