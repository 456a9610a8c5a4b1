#include "engine/io/segmenter_mark.h"

#include "engine/net/parameters.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <filesystem>
#include <libdeflate.h>

namespace boneage::io {
namespace {

static_assert(std::endian::native == std::endian::little, "values are summed as they lie in memory");

std::string_view checksum_in(std::string_view mark) {
    return mark.substr(0, mark.find(' '));
}

}  // namespace

std::string segmenter_mark(const ModelFile& segmenter) {
    const plan::ParameterSource source = segmenter.parameters();
    uint32_t crc = 0;
    for (const net::Parameter& parameter : net::parameters(graph_of(segmenter.card().architecture))) {
        const std::vector<float> values = source(parameter.name);
        crc = libdeflate_crc32(crc, values.data(), values.size() * sizeof(float));
    }
    char text[9];
    std::snprintf(text, sizeof text, "%08x", crc);
    return std::string(text) + " " + std::filesystem::path(segmenter.file().path()).filename().string();
}

bool same_segmenter(std::string_view a, std::string_view b) {
    return checksum_in(a) == checksum_in(b);
}

std::string segmenter_text(std::string_view mark) {
    if (mark == kNoSegmenter) {
        return "without a segmenter";
    }
    const std::string_view checksum = checksum_in(mark);
    const std::string_view name = mark.substr(std::min(mark.size(), checksum.size() + 1));
    return "with the segmenter " + std::string(name) + " (" + std::string(checksum) + ")";
}

}  // namespace boneage::io
