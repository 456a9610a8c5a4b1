#include "engine/io/file_list.h"

#include "tests/support/folder.h"

#include <gtest/gtest.h>

namespace boneage::io {
namespace {

namespace fs = std::filesystem;
using boneage::testing::Folder;

// "code: path" for errors, the path relative to the folder otherwise.
std::vector<std::string> listed(const Folder& folder, const std::vector<fs::path>& named) {
    std::vector<std::string> texts;
    for (const Input& input : list_inputs(named)) {
        const std::string path = input.source.lexically_relative(folder.path()).string();
        texts.push_back(input.error ? input.error->code() + ": " + path : path);
    }
    return texts;
}
using Texts = std::vector<std::string>;

TEST(file_list, folders_give_their_images_in_byte_order) {
    const Folder folder;
    for (const char* name : {"b.png", "a/z.JPG", "a/deep/er/1.bmp", "a/deep/er/10.Jpeg", "B.PNG", "a.png", "notes.txt",
                             "png", ".png", "a/archive.png.zip", "a/\xff.png"}) {
        folder.write(name, "");
    }
    EXPECT_EQ(listed(folder, {folder.path()}),
              (Texts{"B.PNG", "a.png", "a/deep/er/1.bmp", "a/deep/er/10.Jpeg", "a/z.JPG", "a/\xff.png", "b.png"}));
}

TEST(file_list, files_named_are_taken_whatever_their_name_and_in_the_order_named) {
    const Folder folder;
    folder.write("z.dat", "");
    folder.write("a/1.png", "");
    EXPECT_EQ(listed(folder, {folder / "z.dat", folder / "a", folder / "z.dat"}), (Texts{"z.dat", "a/1.png", "z.dat"}));
}

TEST(file_list, what_is_missing_or_empty_is_an_entry) {
    const Folder folder;
    folder.write("1.png", "");
    folder.write("empty/readme.txt", "");
    EXPECT_EQ(listed(folder, {folder / "none.png", folder / "empty", folder / "1.png", folder / "1.png/below"}),
              (Texts{"unreadable: none.png", "empty: empty", "1.png", "unreadable: 1.png/below"}));
    const Input missing = list_inputs({folder / "none.png"}).front();
    EXPECT_EQ(missing.error->what(), (folder / "none.png").string() + " cannot be read: No such file or directory");
    const Input empty = list_inputs({folder / "empty"}).front();
    EXPECT_EQ(empty.error->what(), (folder / "empty").string() + " holds no PNG, JPEG or BMP image");
}

TEST(file_list, loops_of_links_end) {
    const Folder folder;
    folder.write("a/1.png", "");
    folder.write("far/2.png", "");
    fs::create_directory_symlink(folder.path(), folder / "a/loop");
    fs::create_directory_symlink(folder / "far", folder / "a/linked");
    fs::create_symlink("1.png", folder / "a/link.png");
    fs::create_symlink("nowhere", folder / "a/dangling.png");
    fs::create_symlink("self.png", folder / "a/self.png");
    EXPECT_EQ(listed(folder, {folder / "a"}),
              (Texts{"a/1.png", "a/dangling.png", "a/link.png", "a/linked/2.png", "a/self.png"}));
}

// Root reads everything, so the case is made as another user would meet it: a folder that cannot be entered.
TEST(file_list, a_folder_that_may_not_be_listed_is_an_entry_and_the_rest_goes_on) {
    const Folder folder;
    folder.write("a/1.png", "");
    folder.write("b/hidden.png", "");
    folder.write("c/3.png", "");
    fs::permissions(folder / "b", fs::perms::none);
    fs::permissions(folder.path(), fs::perms::all);
    const bool root = ::geteuid() == 0;
    if (root && ::seteuid(65534) != 0) {
        FAIL() << "cannot become another user to meet a folder without permission";
    }
    const Texts got = listed(folder, {folder.path()});
    if (root) {
        ASSERT_EQ(::seteuid(0), 0);
    }
    fs::permissions(folder / "b", fs::perms::all);
    EXPECT_EQ(got, (Texts{"a/1.png", "unreadable: b", "c/3.png"}));
}

TEST(file_list, deep_folders_do_not_use_up_the_stack) {
    const Folder folder;
    fs::path deep = folder.path();
    for (int i = 0; i < 100; ++i) {
        deep /= "d";
    }
    fs::create_directories(deep);
    std::ofstream(deep / "1.png") << "";
    EXPECT_EQ(list_inputs({folder.path()}).size(), 1U);
}

}  // namespace
}  // namespace boneage::io
