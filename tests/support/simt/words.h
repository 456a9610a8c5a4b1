// How the runner calls threads, blocks and places in a kernel's source.
#pragma once

#include "cuda_runtime.h"

#include <string>

namespace simt {

inline std::string text(uint3 i) {
    return "(" + std::to_string(i.x) + "," + std::to_string(i.y) + "," + std::to_string(i.z) + ")";
}
inline std::string thread_text(uint3 i) {
    return "thread " + text(i);
}
// "__syncthreads at kernel.cu:12"
inline std::string place_text(const char* what, Site site) {
    return std::string(what) + " at " + site.file + ":" + std::to_string(site.line);
}
// "thread (0,0,0) calls __syncwarp at kernel.cu:12"
inline std::string call_text(uint3 thread, const char* what, Site site) {
    return thread_text(thread) + " calls " + place_text(what, site);
}

}  // namespace simt
