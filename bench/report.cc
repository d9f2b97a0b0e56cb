// bench-report FOLDER RESULTS.json...: turns what `ringside-bench --json` kept into a page with tables, results.md, and
// plots (SVG, drawn by gnuplot). Several runs become one page; a case that occurs twice is the later one's.
#include <fmt/format.h>
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "results.h"

namespace {

using namespace bench;

struct Family {
    const char* name;
    const char* title;
    std::vector<std::string> beginnings;  // of the cases' names
};

const std::vector<Family> families = {
    {"ring", "The ring itself, timers and readiness", {"nop", "link", "call", "poll", "timeout", "sqpoll"}},
    {"files", "Files", {"read", "write", "direct", "log", "statx", "open", "threads"}},
    {"sockets", "Sockets", {"pairs", "tcp", "udp", "accept", "latency"}},
    {"footprint", "Footprint", {"memory", "idle"}},
};

bool belongs(const CaseResult& result, const Family& family) {
    return std::any_of(family.beginnings.begin(), family.beginnings.end(),
                       [&](const std::string& beginning) { return result.name.starts_with(beginning); });
}

Results merge(const std::vector<std::string>& files) {
    Results merged;
    for (const auto& file : files) {
        std::ifstream stream(file);
        if (!stream) throw std::runtime_error(file + " cannot be read");
        auto results = from_json(nlohmann::json::parse(stream));
        merged.machine = results.machine;
        for (auto& each : results.cases) {
            std::erase_if(merged.cases, [&](const CaseResult& older) { return older.name == each.name; });
            merged.cases.push_back(std::move(each));
        }
    }
    std::sort(merged.cases.begin(), merged.cases.end(),
              [](const CaseResult& one, const CaseResult& other) { return one.name < other.name; });
    return merged;
}

// --- tables ---------------------------------------------------------------------------------------------------------

std::string cell(const CaseResult& result, const std::string& column) {
    const auto figure = result.figure(column);
    return figure ? fmt::format("{:.0f}", figure->median) : "";
}

std::string cell(const std::optional<Quartiles>& ratio) {
    return ratio ? fmt::format("{:.2f} ({:.2f}-{:.2f})", ratio->median, ratio->low, ratio->high) : "";
}

void write_table(std::ostream& page, const Results& results, const Family& family) {
    page << "\n## " << family.title << "\n\n";
    if (std::string(family.name) != "footprint") page << "![](" << family.name << ".svg)\n\n";
    page << "| case | work | engine | kernel | liburing | engine's rate | wanted | kernel provider's rate |\n"
            "| --- | --- | ---: | ---: | ---: | --- | --- | --- |\n";
    for (const auto& each : results.cases) {
        if (!belongs(each, family)) continue;
        page << fmt::format("| {} | {}{} | {} | {} | {} | {} | {} | {} |\n", each.name, each.what,
                            each.unit == "ns" ? "" : ", " + each.unit, cell(each, engine_column),
                            cell(each, kernel_column), cell(each, liburing_column), cell(each.engine_ratio()),
                            each.wanted > 0 ? fmt::format("{}", each.wanted) : "",
                            cell(each.ratio(kernel_column, liburing_column)));
    }
}

void write_peers(std::ostream& page, const Results& results) {
    page << "\n## Peers\n\n![](peers.svg)\n\n"
            "| case | peer | peer's ns | engine's ns | engine's rate, times the peer's |\n"
            "| --- | --- | ---: | ---: | --- |\n";
    for (const auto& each : results.cases) {
        for (const auto& peer : each.peers()) {
            page << fmt::format("| {} | {} | {} | {} | {} |\n", each.name, peer, cell(each, peer),
                                cell(each, engine_column), cell(each.ratio(engine_column, peer)));
        }
    }
}

void write_page(const std::filesystem::path& folder, const Results& results) {
    std::ofstream page(folder / "results.md");
    page << "# Results\n\nWritten by `make bench-report`. Medians in nanoseconds an operation, unless a row says "
            "otherwise; rates relative to\nthat of liburing on the kernel, or to a peer's, each as the median of the "
            "rounds' "
            "ratios (quartiles).\n\n";
    for (const auto& [what, value] : results.machine) page << "- " << what << ": " << value << "\n";
    for (const Family& family : families) write_table(page, results, family);
    write_peers(page, results);
}

// --- plots ----------------------------------------------------------------------------------------------------------

struct Mark {
    std::string label;
    Quartiles ratio;
    double wanted;
};

// Rates as dots with their quartiles, on a scale on which twice and half are as far from 1.
void plot(const std::filesystem::path& file, const std::string& title, std::vector<Mark> marks) {
    if (marks.empty()) return;
    std::reverse(marks.begin(), marks.end());  // gnuplot begins at the bottom
    FILE* const gnuplot = popen("gnuplot", "w");
    if (gnuplot == nullptr) throw std::system_error(errno, std::system_category(), "gnuplot");
    fmt::print(gnuplot, "$marks << END\n");
    for (const Mark& mark : marks) {
        fmt::print(gnuplot, "\"{}\" {} {} {} {}\n", mark.label, mark.ratio.median, mark.ratio.low, mark.ratio.high,
                   mark.wanted > 0 ? fmt::format("{}", mark.wanted) : "NaN");
    }
    fmt::print(gnuplot,
               "END\n"
               "set terminal svg size 900,{} font 'sans-serif,12' background 'white'\n"
               "set output '{}'\n"
               "set title \"{}\" noenhanced\n"
               "set logscale x 2\n"
               "set format x '%g'\n"
               "set grid x\n"
               "set yrange [-0.7:{}]\n"
               "set ytics noenhanced\n"
               "set key outside bottom center horizontal\n"
               "set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#555555'\n"
               "plot $marks using 2:0:3:4:ytic(1) with xerrorbars pt 7 ps 0.6 lc rgb '#0060a0' "
               "title 'engine, times the rate of the other (quartiles)'",
               90 + 18 * marks.size(), file.string(), title, static_cast<double>(marks.size()) - 0.3);
    if (std::any_of(marks.begin(), marks.end(), [](const Mark& mark) { return mark.wanted > 0; }))
        fmt::print(gnuplot, ", $marks using 5:0 with points pt 9 ps 0.7 lc rgb '#c06000' title 'wanted'");
    fmt::print(gnuplot, "\n");
    if (pclose(gnuplot) != 0) throw std::runtime_error("gnuplot failed");
}

void plot_all(const std::filesystem::path& folder, const Results& results) {
    for (const Family& family : families) {
        if (std::string(family.name) == "footprint") continue;
        std::vector<Mark> marks;
        for (const auto& each : results.cases) {
            const auto ratio = each.engine_ratio();
            if (belongs(each, family) && ratio) marks.push_back({each.name, *ratio, each.wanted});
        }
        plot(folder / (std::string(family.name) + ".svg"),
             std::string(family.title) + ": the engine against the kernel's io_uring", std::move(marks));
    }
    std::vector<Mark> peers;
    for (const auto& each : results.cases) {
        for (const auto& peer : each.peers()) {
            if (const auto ratio = each.ratio(engine_column, peer))
                peers.push_back({each.name + " / " + peer, *ratio, 0});
        }
    }
    plot(folder / "peers.svg", "The engine against other ways to do the same work", std::move(peers));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: bench-report FOLDER RESULTS.json...\n");
        return 2;
    }
    try {
        const auto results = merge({argv + 2, argv + argc});
        std::filesystem::create_directories(argv[1]);
        write_page(argv[1], results);
        plot_all(argv[1], results);
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench-report: {}\n", error.what());
        return 1;
    }
}
