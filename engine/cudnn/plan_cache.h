// Built plans on disk, so that a second start takes milliseconds instead of a minute.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::cudnn {

// $BONEAGE_CACHE, else $XDG_CACHE_HOME/boneage, else ~/.cache/boneage; empty when none of them is set.
std::filesystem::path cache_folder();

// One file a plan, called by a hash of its key; the whole key and a checksum stand in the file, so that a stale, cut or
// damaged one is never used. Files are written aside and renamed: a reader sees a whole file or none. A cache that
// cannot be written is no error, it only costs time again.
class PlanCache {
public:
    // An empty folder: nothing is kept.
    explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

    [[nodiscard]] std::optional<std::vector<uint8_t>> find(const std::string& key) const;
    void store(const std::string& key, const std::vector<uint8_t>& bytes) const;
    // For entries that turned out to be of no use.
    void remove(const std::string& key) const;

private:
    [[nodiscard]] std::filesystem::path file_of(const std::string& key) const;
    std::filesystem::path folder_;
};

}  // namespace boneage::cudnn
