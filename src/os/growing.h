// Arrays that grow to twice their size when they are full.
#pragma once

#include <stdlib.h>
#include <string.h>

namespace ringside::engine {

// Makes room for the item `index`, which is not in the array yet. New items are zero. Returns false if memory is out:
// the array is then unchanged.
template <typename T>
__attribute__((noinline)) bool grow(T*& items, unsigned& capacity, unsigned index) {
    unsigned wanted = capacity == 0 ? 16 : capacity;
    while (wanted <= index) wanted *= 2;
    auto* larger = static_cast<T*>(realloc(items, wanted * sizeof(T)));
    if (larger == nullptr) return false;
    memset(static_cast<void*>(larger + capacity), 0, (wanted - capacity) * sizeof(T));
    items = larger;
    capacity = wanted;
    return true;
}

// Sees to it that an array of `capacity` items has room for the item `index`.
template <typename T>
bool make_room(T*& items, unsigned& capacity, unsigned index) {
    return index < capacity || grow(items, capacity, index);
}

}  // namespace ringside::engine
