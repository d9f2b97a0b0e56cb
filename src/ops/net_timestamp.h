#pragma once

#include "state/request.h"

namespace ringside::engine {

// The issue of a SOCKET_URING_OP_TX_TIMESTAMP command, whose file is a socket.
Outcome timestamp_issue(Request& request);

}  // namespace ringside::engine
