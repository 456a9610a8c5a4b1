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

// What the kernel says of the NVIDIA driver in `file`, its version above all; empty where there is no such file. Two
// drivers can know the same CUDA, and compile for it differently.
std::string driver_release(const std::filesystem::path& file = "/proc/driver/nvidia/version");

// Everything that a plan depends on besides its graph.
struct Circumstances {
    int64_t cudnn = 0;     // the library's version
    int64_t frontend = 0;  // cudnn-frontend's
    int rules = 0;         // by which this program chooses among cuDNN's suggestions
    int cuda = 0;          // the newest that the driver knows
    std::string driver;    // driver_release()
    std::string device;    // its name
    int compute_capability = 0;
    int multiprocessors = 0;
    bool measured = false;                // whether the suggestions were measured
    std::optional<int64_t> engine_batch;  // the batch size that engines are chosen for; nothing: the graph's own
};

// What the cache keeps a plan under: `graph` is the graph's name, which holds everything that the graph depends on.
std::string key_of(const std::string& graph, const Circumstances& circumstances);

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
