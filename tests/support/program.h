// Runs the `boneage` program as a user does: another process, with its output in files.
#pragma once

#include "tests/support/folder.h"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace boneage::testing {

inline std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

struct Ran {
    int code = -1;   // exit code; -1 when a signal ended it
    int signal = 0;  // that signal
    std::string out;
    std::string err;
    int64_t peak_kib = 0;  // the most memory it had resident
};

class Program {
public:
    // Starts the program with these arguments.
    explicit Program(const std::vector<std::string>& arguments) {
        std::vector<char*> argv{const_cast<char*>(BONEAGE_PROGRAM)};
        for (const std::string& argument : arguments) {
            argv.push_back(const_cast<char*>(argument.c_str()));
        }
        argv.push_back(nullptr);
        const std::string out = out_path();
        const std::string err = err_path();
        pid_ = ::fork();
        if (pid_ < 0) {
            throw std::runtime_error("cannot fork");
        }
        if (pid_ == 0) {
            const int flags = O_WRONLY | O_CREAT | O_TRUNC;
            ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
            ::dup2(::open(out.c_str(), flags, 0600), STDOUT_FILENO);
            ::dup2(::open(err.c_str(), flags, 0600), STDERR_FILENO);
            ::execv(BONEAGE_PROGRAM, argv.data());
            ::_exit(127);
        }
    }
    ~Program() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void send(int signal) const { ::kill(pid_, signal); }
    // Waits for its end.
    Ran wait() {
        int status = 0;
        rusage usage{};
        ::wait4(pid_, &status, 0, &usage);
        pid_ = -1;
        Ran ran;
        ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        ran.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        ran.out = text_of(out_path());
        ran.err = text_of(err_path());
        ran.peak_kib = usage.ru_maxrss;
        return ran;
    }

private:
    [[nodiscard]] std::string out_path() const { return (folder_ / "out").string(); }
    [[nodiscard]] std::string err_path() const { return (folder_ / "err").string(); }

    Folder folder_;
    pid_t pid_ = -1;
};

inline Ran run_program(const std::vector<std::string>& arguments) {
    return Program(arguments).wait();
}

}  // namespace boneage::testing
