// What this program is and how it was built.
#pragma once

#include <string>

namespace boneage::tools {

// Several lines, for people and for reports of defects.
std::string version_text();

}  // namespace boneage::tools
