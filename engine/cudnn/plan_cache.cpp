#include "engine/cudnn/plan_cache.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace boneage::cudnn {
namespace {

constexpr char kMagic[] = "boneage plan 1\n";
constexpr uint64_t kLargest = uint64_t{64} << 20;  // no plan comes near this; a damaged length might

// FNV-1a.
uint64_t hash_of(const void* data, size_t size) {
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < size; ++i) {
        hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3U;
    }
    return hash;
}

struct Header {
    char magic[sizeof kMagic];
    uint64_t key_bytes;
    uint64_t plan_bytes;
    uint64_t plan_hash;
};

const char* variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

std::filesystem::path cache_folder() {
    if (const char* own = variable("BONEAGE_CACHE")) {
        return own;
    }
    if (const char* xdg = variable("XDG_CACHE_HOME")) {
        return std::filesystem::path(xdg) / "boneage";
    }
    if (const char* home = variable("HOME")) {
        return std::filesystem::path(home) / ".cache" / "boneage";
    }
    return {};
}

std::string driver_release(const std::filesystem::path& file) {
    std::ifstream text(file);
    std::string line;
    std::getline(text, line);
    return line;
}

std::string key_of(const std::string& graph, const Circumstances& c) {
    std::string key = graph;
    key.append(", cudnn ").append(std::to_string(c.cudnn));
    key.append(", frontend ").append(std::to_string(c.frontend));
    key.append(", rules ").append(std::to_string(c.rules));
    key.append(", cuda ").append(std::to_string(c.cuda));
    key.append(", driver ").append(c.driver);
    key.append(", ").append(c.device);
    key.append(", sm_").append(std::to_string(c.compute_capability));
    key.append(", ").append(std::to_string(c.multiprocessors)).append(" multiprocessors");
    key.append(c.measured ? ", measured" : ", heuristics");
    if (c.engine_batch) {
        key.append(" for batch ").append(std::to_string(*c.engine_batch));
    }
    return key;
}

std::filesystem::path PlanCache::file_of(const std::string& key) const {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "%016llx.plan",
                  static_cast<unsigned long long>(hash_of(key.data(), key.size())));
    return folder_ / name.data();
}

std::optional<std::vector<uint8_t>> PlanCache::find(const std::string& key) const {
    if (folder_.empty()) {
        return std::nullopt;
    }
    std::ifstream file(file_of(key), std::ios::binary);
    Header header{};
    if (!file.read(reinterpret_cast<char*>(&header), sizeof header) ||
        std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.key_bytes != key.size() ||
        header.plan_bytes > kLargest) {
        return std::nullopt;
    }
    std::string stored(key.size(), '\0');
    std::vector<uint8_t> plan(header.plan_bytes);
    if (!file.read(stored.data(), static_cast<std::streamsize>(stored.size())) || stored != key ||
        !file.read(reinterpret_cast<char*>(plan.data()), static_cast<std::streamsize>(plan.size())) ||
        hash_of(plan.data(), plan.size()) != header.plan_hash) {
        return std::nullopt;
    }
    return plan;
}

void PlanCache::store(const std::string& key, const std::vector<uint8_t>& bytes) const {
    if (folder_.empty()) {
        return;
    }
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    const std::filesystem::path target = file_of(key);
    static std::atomic<int> writers = 0;
    const std::filesystem::path aside =
        target.string() + "." + std::to_string(::getpid()) + "." + std::to_string(++writers);
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.key_bytes = key.size();
    header.plan_bytes = bytes.size();
    header.plan_hash = hash_of(bytes.data(), bytes.size());
    {
        std::ofstream file(aside, std::ios::binary);
        file.write(reinterpret_cast<const char*>(&header), sizeof header);
        file.write(key.data(), static_cast<std::streamsize>(key.size()));
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (!file.flush()) {
            std::filesystem::remove(aside, failed);
            return;
        }
    }
    std::filesystem::rename(aside, target, failed);
    if (failed) {
        std::filesystem::remove(aside, failed);
    }
}

void PlanCache::remove(const std::string& key) const {
    std::error_code failed;
    if (!folder_.empty()) {
        std::filesystem::remove(file_of(key), failed);
    }
}

}  // namespace boneage::cudnn
