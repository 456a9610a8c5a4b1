#include "tools/version.h"

#include "engine/onednn/backend.h"

namespace boneage::tools {
namespace {

std::string compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#else
    return "GCC " __VERSION__;
#endif
}

std::string build() {
    std::string text = BONEAGE_BUILD_TYPE;
    text += BONEAGE_IS_NATIVE ? ", for the processor of the machine that built it" : ", portable x86-64";
    if constexpr (sizeof BONEAGE_SANITIZERS > 1) {
        text += ", sanitizers " BONEAGE_SANITIZERS;
    }
    return text;
}

}  // namespace

std::string version_text() {
    std::string text = "boneage " BONEAGE_VERSION "\n";
    text += "compiler  " + compiler() + "\n";
    text += "build     " + build() + "\n";
    text += std::string("CUDA      ") + (BONEAGE_HAS_CUDA ? "built; networks by cuDNN" : "not built") + "\n";
    text += "networks  " + onednn::describe(plan::Precision::f32);
    return text;
}

}  // namespace boneage::tools
