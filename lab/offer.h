// What the two providers of a run offer, asked of them before programs are made.
#pragma once

#include <string>

#include "builder.h"
#include "provider/provider.h"

namespace ringside::lab {

// What both offer. `notes` gets a line for whatever only the first offers, since programs will not use it.
Offer common_offer(provider::Kind first, provider::Kind second, const std::string& scratch, std::string& notes);

}  // namespace ringside::lab
