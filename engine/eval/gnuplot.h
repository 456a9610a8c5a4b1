// Drawings made by gnuplot, another process.
#pragma once

#include <string>
#include <vector>

namespace boneage::eval {

// Throws UsageError saying what to install when gnuplot cannot be started.
void require_gnuplot();

struct Drawing {
    std::string name;      // letters: begins every id inside of the SVG, so that several can stand in one page
    std::string commands;  // what to plot, with its data inline; terminal and output are set
    int width = 640;       // in CSS pixels
    int height = 480;
};

// Each as the text of one <svg> element, without any prologue. The same drawings give the same bytes with the same
// gnuplot. Throws Error with what gnuplot complains of.
std::vector<std::string> draw(const std::vector<Drawing>& drawings);

}  // namespace boneage::eval
