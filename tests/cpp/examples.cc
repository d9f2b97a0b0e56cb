// The examples do what they say, on the provider that this run is about: they inherit the environment.
#include <arpa/inet.h>
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "support/files.h"

namespace ringside::test {
namespace {

struct Outcome {
    std::string output;  // both streams, as far as the command does not redirect them
    int status;
};

Outcome run(const std::string& command) {
    FILE* const stream = popen((std::string(RINGSIDE_BIN) + "/" + command).c_str(), "r");
    if (stream == nullptr) return {"", -1};
    Outcome result;
    char block[4096];
    while (const size_t size = fread(block, 1, sizeof(block), stream)) result.output.append(block, size);
    result.status = pclose(stream);
    return result;
}

std::string lines(unsigned count) {
    std::string text;
    for (unsigned i = 0; i < count; i++) text += "line " + std::to_string(i) + "\n";
    return text;
}

TEST(CatExample, prints_files_one_after_the_other) {
    const TemporaryDirectory directory;
    const std::string large = lines(50'000);
    const std::string first = directory.add("first", large), second = directory.add("second", "the end\n");
    const Outcome cat = run("example-cat " + first + " " + second);
    EXPECT_EQ(cat.status, 0);
    EXPECT_TRUE(cat.output == large + "the end\n") << cat.output.size() << " bytes";
}

TEST(CatExample, goes_on_after_a_file_that_is_not_there) {
    const TemporaryDirectory directory;
    const std::string file = directory.add("file", "here\n");
    const Outcome cat = run("example-cat /nonexistent/file " + file + " 2>&1");
    EXPECT_NE(cat.status, 0);
    EXPECT_THAT(cat.output, testing::HasSubstr("No such file or directory"));
    EXPECT_THAT(cat.output, testing::HasSubstr("here\n"));
}

TEST(CountLinesExample, counts_many_files_at_once) {
    const TemporaryDirectory directory;
    std::string arguments, expected;
    for (unsigned i = 0; i < 100; i++) {
        const std::string path = directory.add("file" + std::to_string(i), lines(i * 37));
        arguments += " " + path;
        expected += std::to_string(i * 37) + " " + path + "\n";
    }
    const Outcome count = run("example-count-lines" + arguments + " 2>/dev/null");
    EXPECT_EQ(count.status, 0);
    EXPECT_EQ(count.output, expected);
}

TEST(CountLinesExample, tells_who_runs_its_ring) {
    const Outcome count = run("example-count-lines 2>&1");
    EXPECT_EQ(count.status, 0);
    EXPECT_THAT(count.output, testing::HasSubstr("count-lines: on the "));
}

// A program that runs until the test ends, and whose output is read meanwhile.
class Running {
  public:
    explicit Running(const char* name) {
        Pipe output;
        pid_ = fork();
        if (pid_ == 0) {
            dup2(output.write_end, STDOUT_FILENO);
            execl((std::string(RINGSIDE_BIN) + "/" + name).c_str(), name, nullptr);
            _exit(127);
        }
        output.write_end.reset();
        stream_ = fdopen(output.read_end.release(), "r");
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        fclose(stream_);
    }

    FILE* output() { return stream_; }

  private:
    pid_t pid_;
    FILE* stream_;
};

Fd connection_to(int port) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<in_port_t>(port));
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
}

// The kernel interrupts a thread for a ring that an earlier test closed, and a receive with a limit is not restarted
// then.
std::string received(int fd, size_t size) {
    std::string text(size, '\0');
    size_t filled = 0;
    while (filled < size) {
        const ssize_t got = recv(fd, text.data() + filled, size - filled, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        filled += static_cast<size_t>(got);
    }
    text.resize(filled);
    return text;
}

TEST(EchoCoroutinesExample, sends_back_what_comes_on_many_connections_at_once) {
    Running server("example-echo-coroutines");
    int port = 0;
    ASSERT_EQ(fscanf(server.output(), "port %d", &port), 1);
    std::vector<Fd> connections;
    for (int i = 0; i < 50; i++) connections.push_back(connection_to(port));
    for (int round = 0; round < 3; round++) {
        const auto text = [&](size_t i) { return "round " + std::to_string(round) + " of " + std::to_string(i); };
        for (size_t i = 0; i < connections.size(); i++) {
            ASSERT_GT(send(connections[i], text(i).data(), text(i).size(), MSG_NOSIGNAL), 0);
        }
        for (size_t i = connections.size(); i-- > 0;) EXPECT_EQ(received(connections[i], text(i).size()), text(i));
    }
    connections.resize(1);
    const std::string large(300'000, 'x');
    std::thread sender([&] { EXPECT_EQ(send(connections[0], large.data(), large.size(), MSG_NOSIGNAL), 300'000); });
    EXPECT_TRUE(received(connections[0], large.size()) == large);
    sender.join();
    shutdown(connections[0], SHUT_WR);
    EXPECT_EQ(received(connections[0], 1), "") << "the server closes when the client has said goodbye";
}

}  // namespace
}  // namespace ringside::test
