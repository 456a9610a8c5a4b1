#include "engine/train/images_by_id.h"

#include "engine/io/file_list.h"

#include <algorithm>
#include <system_error>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;

// Whether `path` lies in the canonical `folder` or below, by the places that links lead to.
bool is_within(const fs::path& path, const fs::path& folder) {
    std::error_code ignored;
    const fs::path inner = fs::weakly_canonical(path, ignored);
    return std::mismatch(folder.begin(), folder.end(), inner.begin(), inner.end()).first == folder.end();
}

}  // namespace

ImagesById find_images(const std::vector<fs::path>& data, const std::vector<fs::path>& aside, Exclusions& exclusions) {
    std::vector<fs::path> folders;
    for (const fs::path& folder : aside) {
        // Without the empty last part that a slash at the end leaves.
        const fs::path canonical = fs::weakly_canonical(folder);
        folders.push_back(canonical.has_filename() ? canonical : canonical.parent_path());
    }
    ImagesById images;
    for (const io::Input& input : io::list_inputs(data)) {
        if (std::ranges::any_of(folders, [&](const fs::path& each) { return is_within(input.source, each); })) {
            continue;
        }
        const std::string id = input.source.stem().string();
        if (input.error) {
            exclusions.add({"", input.source.string(), input.error->code(), input.error->what(), true});
        } else if (const auto [first, added] = images.emplace(id, input.source); !added) {
            exclusions.add({id, input.source.string(), "duplicate_image",
                            input.source.string() + " has the id of " + first->second.string() + ", which is used",
                            false});
        }
    }
    return images;
}

}  // namespace boneage::train
