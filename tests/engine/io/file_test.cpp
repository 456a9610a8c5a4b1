#include "engine/io/file.h"

#include "tests/support/folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace boneage::io {
namespace {

using testing::Folder;

// The number of a process that has ended.
pid_t ended_process() {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    return child;
}

TEST(AtomicFile, removes_what_killed_writers_of_its_path_left_and_nothing_else) {
    const Folder folder;
    const std::string path = (folder / "model").string();
    const std::string killed = folder.write("model.partial-" + std::to_string(ended_process()), "half");
    const std::string running = folder.write("model.partial-" + std::to_string(::getppid()), "half");
    const std::string of_another = folder.write("model2.partial-" + std::to_string(ended_process()), "half");
    const std::string no_number = folder.write("model.partial-1x", "somebody's");
    {
        const AtomicFile file(path);
        EXPECT_FALSE(std::filesystem::exists(killed));
    }
    for (const std::string& kept : {running, of_another, no_number}) {
        EXPECT_TRUE(std::filesystem::exists(kept)) << kept;
    }
    remove_abandoned((folder / "model2").string());
    EXPECT_FALSE(std::filesystem::exists(of_another));
    EXPECT_FALSE(std::filesystem::exists(path)) << "it was not committed";
}

}  // namespace
}  // namespace boneage::io
