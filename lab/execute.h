// Runs a program on one provider in this process and writes down what it could observe.
#pragma once

#include <functional>
#include <string>

#include "program.h"
#include "provider/provider.h"
#include "world.h"

namespace ringside::lab {

// Takes the trace a line at a time, so that lines written before a crash are not lost.
using TraceSink = std::function<void(const std::string& line)>;

void execute(provider::Kind kind, const Program& program, World& world, const TraceSink& sink);

// Whether a request's result is a descriptor of the process: such results differ between runs and are only named.
bool gives_descriptor(const Sqe& sqe);

}  // namespace ringside::lab
