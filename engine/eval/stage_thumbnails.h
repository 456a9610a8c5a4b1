// Small pictures of what the stages made of one radiograph, from the folder of `boneage score --stages`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace boneage::eval {

struct Thumbnail {
    std::string stage;         // "clahe"
    std::vector<uint8_t> png;  // 8-bit grey
    int64_t width = 0;
    int64_t height = 0;
};

struct Thumbnails {
    std::vector<Thumbnail> pictures;    // in the stages' order
    std::vector<std::string> problems;  // a sentence for each picture that is missing or cannot be read
};

// The files NN-stage.png in stages/id, each scaled down so that its longer side is at most `max_side`.
Thumbnails stage_thumbnails(const std::filesystem::path& stages, const std::string& id, int64_t max_side);

}  // namespace boneage::eval
