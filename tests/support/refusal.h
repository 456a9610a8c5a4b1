// How the program says no.
#pragma once

#include "tests/support/program.h"

#include <string>

namespace boneage::testing {

// Empty when the program refused as it should: with this exit code, nothing on standard output, and one line
// "boneage: ..." on standard error. Otherwise what is wrong.
inline std::string not_refused(const Ran& ran, int code) {
    std::string wrong;
    if (ran.code != code) {
        wrong += "exit code " + std::to_string(ran.code) + ", signal " + std::to_string(ran.signal) + "; ";
    }
    if (!ran.out.empty()) {
        wrong += "output \"" + ran.out.substr(0, 200) + "\"; ";
    }
    if (ran.err.rfind("boneage: ", 0) != 0 || ran.err.size() < 12 || ran.err.find('\n') != ran.err.size() - 1) {
        wrong += "not one sentence: \"" + ran.err.substr(0, 1000) + "\"";
    }
    return wrong;
}

}  // namespace boneage::testing
