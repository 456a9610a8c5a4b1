#include "engine/io/file_list.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <utility>

namespace boneage::io {
namespace {

namespace fs = std::filesystem;

// Lists one named folder. Folders wait on a stack, not in recursion, so their depth does not matter.
class FolderWalk {
public:
    explicit FolderWalk(const Wanted& wanted) : wanted_(wanted) {}

    std::vector<Input> run(const fs::path& top) {
        enter(top);
        while (!waiting_.empty()) {
            const fs::path folder = std::move(waiting_.back());
            waiting_.pop_back();
            list(folder);
        }
        std::sort(found_.begin(), found_.end(),
                  [](const Input& a, const Input& b) { return a.source.native() < b.source.native(); });
        if (found_.empty()) {
            found_.push_back({top, InputError("empty", top.string() + " holds no " + wanted_.called)});
        }
        return std::move(found_);
    }

private:
    // A folder is known by its place on the disk, however many links lead to it.
    void enter(const fs::path& folder) {
        struct stat status {};
        if (::stat(folder.c_str(), &status) == 0 && visited_.emplace(status.st_dev, status.st_ino).second) {
            waiting_.push_back(folder);
        }
    }

    void list(const fs::path& folder) {
        std::error_code error;
        fs::directory_iterator entry(folder, error);
        for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
            // The listing tells files from folders without a look at each; only links are looked up. A link that leads
            // nowhere is reported when its name says that an image was meant.
            std::error_code ignored;
            if (entry->is_directory(ignored)) {
                enter(entry->path());
            } else if (wanted_.counts(entry->path())) {
                found_.push_back({entry->path(), std::nullopt});
            }
        }
        if (error) {
            found_.push_back(
                {folder, InputError("unreadable", folder.string() + " cannot be listed: " + error.message())});
        }
    }

    const Wanted& wanted_;
    std::vector<fs::path> waiting_;
    std::set<std::pair<dev_t, ino_t>> visited_;
    std::vector<Input> found_;
};

}  // namespace

bool has_image_extension(const fs::path& path) {
    const std::string_view whole = path.native();
    const std::string_view name = whole.substr(whole.rfind('/') + 1);  // npos + 1 is 0: a bare name
    const auto ends_with = [name](std::string_view extension) {
        const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; };
        return name.size() > extension.size() && std::equal(name.end() - static_cast<std::ptrdiff_t>(extension.size()),
                                                            name.end(), extension.begin(), same);
    };
    constexpr std::array<std::string_view, 4> kExtensions{".png", ".jpg", ".jpeg", ".bmp"};
    return std::any_of(kExtensions.begin(), kExtensions.end(), ends_with);
}

std::vector<Input> list_inputs(const std::vector<fs::path>& named, const Wanted& wanted) {
    std::vector<Input> inputs;
    for (const fs::path& path : named) {
        std::error_code error;
        const fs::file_status status = fs::status(path, error);
        if (fs::is_directory(status)) {
            for (Input& input : FolderWalk(wanted).run(path)) {
                inputs.push_back(std::move(input));
            }
        } else if (fs::exists(status)) {
            inputs.push_back({path, std::nullopt});
        } else {
            const std::string reason = error ? error.message() : "No such file or directory";
            inputs.push_back({path, InputError("unreadable", path.string() + " cannot be read: " + reason)});
        }
    }
    return inputs;
}

}  // namespace boneage::io
