// Arrays that grow to twice their size when they are full.
#pragma once

#include <stdlib.h>
#include <string.h>

namespace ringside::engine {

// Sees to it that an array of `capacity` items has room for the item `index`; what is new in it is zero. Returns false
// when memory is out, and the array is what it was.
template <typename T>
bool make_room(T*& items, unsigned& capacity, unsigned index) {
    if (index < capacity) return true;
    unsigned wanted = capacity == 0 ? 16 : capacity;
    while (wanted <= index) wanted *= 2;
    auto* larger = static_cast<T*>(realloc(items, wanted * sizeof(T)));
    if (larger == nullptr) return false;
    memset(static_cast<void*>(larger + capacity), 0, (wanted - capacity) * sizeof(T));
    items = larger;
    capacity = wanted;
    return true;
}

}  // namespace ringside::engine
