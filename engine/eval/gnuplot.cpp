#include "engine/eval/gnuplot.h"

#include "kernels/base/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

extern char** environ;  // NOLINT(readability-redundant-declaration): not every unistd.h declares it

namespace boneage::eval {
namespace {

constexpr const char* kMissing =
    "gnuplot, which draws the plots, cannot be started; install it (on Debian: apt-get install gnuplot-nox) or pass "
    "--no-plots";

// A new folder for scratch files, removed with all in it at the end of the scope.
class ScratchFolder {
public:
    ScratchFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "boneage-plots-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw Error("a folder like " + pattern + " cannot be made: " + std::strerror(errno));
        }
        path_ = pattern;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// Runs gnuplot without the user's own settings (-d), its messages into `log`; its exit code.
int run_gnuplot(std::vector<std::string> arguments, const std::filesystem::path& log) {
    arguments.insert(arguments.begin(), {"gnuplot", "-d"});
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) {
        argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = 0;
    const int error = ::posix_spawnp(&child, "gnuplot", &files, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
        throw UsageError(kMissing);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string quoted(const std::string& text) {
    std::string all = "'";
    for (const char c : text) {
        all.append(c == '\'' ? 2 : 1, c);
    }
    return all + "'";
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

// Only the element itself, with ids of its own.
std::string element_of(std::string svg, const std::string& name) {
    const size_t begin = svg.find("<svg");
    const size_t end = svg.rfind("</svg>");
    if (begin == std::string::npos || end == std::string::npos) {
        throw Error("gnuplot made no SVG of the plot " + name);
    }
    svg = svg.substr(begin, end + 6 - begin);
    for (const char* quote : {"'", "\""}) {
        const std::string q = quote;
        replace_all(svg, " id=" + q, " id=" + q + name + "-");
        replace_all(svg, "href=" + q + "#", "href=" + q + "#" + name + "-");
    }
    replace_all(svg, "url(#", "url(#" + name + "-");
    return svg;
}

}  // namespace

void require_gnuplot() {
    const ScratchFolder folder;
    if (run_gnuplot({"--version"}, folder / "log") != 0) {
        throw UsageError(kMissing);
    }
}

std::vector<std::string> draw(const std::vector<Drawing>& drawings) {
    const ScratchFolder folder;
    const std::filesystem::path script = folder / "plots.gp";
    std::ofstream commands(script);
    commands << "set encoding utf8\n";
    for (const Drawing& drawing : drawings) {
        commands << "reset\n"
                 << "set terminal svg size " << drawing.width << "," << drawing.height
                 << " noenhanced font 'Helvetica,13' linewidth 1 name " << quoted(drawing.name) << "\n"
                 << "set output " << quoted((folder / (drawing.name + ".svg")).string()) << "\n"
                 << drawing.commands << "unset output\n";
    }
    commands.close();
    const std::filesystem::path log = folder / "log";
    const int code = run_gnuplot({script.string()}, log);
    if (code != 0 || !commands) {
        throw Error("gnuplot failed (exit code " + std::to_string(code) + "): " + text_of(log).substr(0, 500));
    }
    std::vector<std::string> elements;
    elements.reserve(drawings.size());
    for (const Drawing& drawing : drawings) {
        elements.push_back(element_of(text_of(folder / (drawing.name + ".svg")), drawing.name));
    }
    return elements;
}

}  // namespace boneage::eval
