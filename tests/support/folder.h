// Scratch folders and thrown sentences, for tests that touch files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace boneage::testing {

// An empty folder that is removed, with all in it, at the end of the scope.
class Folder {
public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "boneage-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("cannot make a folder like " + pattern);
        }
        path_ = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

    // Makes a file, and the folders it lies in.
    std::filesystem::path write(std::string_view name, std::string_view text) const {
        std::filesystem::path path = path_ / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    std::filesystem::path write(std::string_view name, std::span<const uint8_t> bytes) const {
        return write(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }

private:
    std::filesystem::path path_;
};

// All bytes of a file; none when it cannot be read.
inline std::string read_text(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// What `call` throws as an E says; a note that it threw none otherwise.
template <class E>
std::string error_of(const auto& call) {
    try {
        call();
    } catch (const E& error) {
        return error.what();
    }
    return "(no error)";
}

}  // namespace boneage::testing
