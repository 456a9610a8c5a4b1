#include "engine/stage_pictures.h"

#include "engine/io/png_write.h"
#include "kernels/base/error.h"

#include <set>

namespace boneage::session {

std::vector<std::string> stage_folders(const std::vector<std::filesystem::path>& paths) {
    std::vector<std::string> folders;
    folders.reserve(paths.size());
    std::set<std::string> used;
    for (const std::filesystem::path& path : paths) {
        const std::string stem = path.stem().empty() ? "image" : path.stem().string();
        std::string folder = stem;
        for (int again = 2; !used.insert(folder).second; ++again) {
            folder = stem + "-" + std::to_string(again);
        }
        folders.push_back(folder);
    }
    return folders;
}

pipeline::StageSink save_stages_in(const std::filesystem::path& folder) {
    return [folder](pipeline::Stage stage, const pipeline::StagePicture& picture) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (error) {
            throw Error(folder.string() + " cannot be made: " + error.message());
        }
        const auto number = std::to_string(static_cast<int>(stage));
        const std::string name =
            std::string(2 - number.size(), '0') + number + "-" + std::string(pipeline::name(stage));
        const std::filesystem::path path = folder / (name + ".png");
        std::visit([&](const auto& image) { io::write_png(path, image); }, picture);
    };
}

}  // namespace boneage::session
