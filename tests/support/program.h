// Runs the `boneage` program as a user does: another process, with its output in files.
#pragma once

#include "tests/support/folder.h"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <linux/capability.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
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

// What execv() takes, for as long as `arguments` lives.
inline std::vector<char*> argv_of(const std::vector<std::string>& arguments) {
    std::vector<char*> argv{const_cast<char*>(BONEAGE_PROGRAM)};
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    return argv;
}

enum class Rights {
    of_the_tests,
    bound_by_modes,  // the modes of files and folders bind it, even where the tests run as root
};

class Program {
public:
    // Starts the program with these arguments.
    explicit Program(const std::vector<std::string>& arguments, Rights rights = Rights::of_the_tests) {
        const std::vector<char*> argv = argv_of(arguments);
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
            if (rights == Rights::bound_by_modes && ::geteuid() == 0 && !give_up_roots_passage()) {
                ::_exit(126);
            }
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
    // Root passes modes by two capabilities; what is dropped here, the program that is executed does not get.
    static bool give_up_roots_passage() {
        return ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0 &&
               ::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0) == 0;
    }

    [[nodiscard]] std::string out_path() const { return (folder_ / "out").string(); }
    [[nodiscard]] std::string err_path() const { return (folder_ / "err").string(); }

    Folder folder_;
    pid_t pid_ = -1;
};

inline Ran run_program(const std::vector<std::string>& arguments, Rights rights = Rights::of_the_tests) {
    return Program(arguments, rights).wait();
}

}  // namespace boneage::testing
