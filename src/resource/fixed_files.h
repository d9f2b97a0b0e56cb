// Registered files: the slots that IOSQE_FIXED_FILE and direct descriptors name.
//
// A slot holds the file by a descriptor of our own, at a high number that the program never sees, so what the program
// does with its own descriptor does not matter; nor does emptying the slot to the program's record locks on the file
// (os/record_locks.h). A request that outlives its first attempt holds the file too: emptying the slot, or
// unregistering the whole table, takes effect for it only when it is done.
//
// All of it is guarded by the ring's lock. Completions that tell of tags are posted, not published: that is the
// caller's.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "state/tables.h"

namespace ringside::engine {

struct Ring;
struct Request;
struct KeptFile;

// --- The table ------------------------------------------------------------------------------------------------------

// Makes a table of empty slots. Returns 0 or -ENOMEM. There must be none.
int make_table(FixedFiles& files, uint32_t count);

// Empties all slots and forgets the table.
void drop_table(Ring& ring);

void set_allocation_range(FixedFiles& files, uint32_t begin, uint32_t end);

// --- Slots ----------------------------------------------------------------------------------------------------------

// Puts a file of the program's into the slot with this index, in place of what may be there. Returns 0, -EBADF for what
// is no file or a ring, -EMFILE when this process has no descriptor left for it, or -ENOMEM.
int fill_slot(Ring& ring, uint32_t index, int fd, uint64_t tag);

// Returns whether there was a file in it.
bool empty_slot(Ring& ring, uint32_t index);

// --- Direct descriptors ---------------------------------------------------------------------------------------------

// Moves a descriptor that an operation has just opened into a slot, named as in an SQE: the index plus 1, or
// IORING_FILE_INDEX_ALLOC for any empty one. `fd` is used up, whatever the answer. Returns the index of a slot found by
// allocation, else 0; -ENXIO without a table, -EINVAL beyond its end, -ENFILE when no slot is empty. `on_disk` is false
// of a file that is known not to be: no system call then asks for record locks on it.
int install_direct(Ring& ring, int fd, uint32_t file_index, bool on_disk);

// The same with a second descriptor of a file of the program's. Also -EBADF and -EMFILE, as fill_slot() does.
int install_copy(Ring& ring, int fd, uint32_t file_index);

// Closes a slot named in the same way. Returns 0, -ENXIO, -EINVAL, or -EBADF if it is empty.
int remove_direct(Ring& ring, uint32_t file_index);

// Has the request's result, a new descriptor, moved into a slot when the request is done, wherever that happens: for an
// operation's prep. Its issue and work then need not know.
void open_into_slot(Request& request, uint32_t file_index);

// --- Requests that share a file -------------------------------------------------------------------------------------

// A file of the program's for several requests to hold, in no slot: it goes with the last of them. Null when there is
// no descriptor left or no memory.
FixedFile* share_file(int fd);

// The same in the engine's own table (service/keeper.h). Requests of a batch that hold the same descriptor in a row
// share it.
KeptFile* share_kept(Ring& ring, int fd, const struct stat& status);

// What requests of the batch hold of this descriptor of the program's: it is known without a system call. Null for
// none.
const FixedFile* held_by_batch(const Ring& ring, int fd);

// Has the request hold the file that the one before it in the same batch holds, and work on that. Returns false when
// there is none to share: it has to hold one of its own.
bool hold_with_batch(Request& request);

void end_holding_with_batch(Ring& ring);

// --- Requests -------------------------------------------------------------------------------------------------------

// Holds on to the file that a request works on, until let_go() when it is done.
void hold(Request& request);
void let_go(Request& request);

// The same for a file that a request holds beside that one.
void let_go(Ring& ring, FixedFile& file);

// Lets go of a descriptor in the program's table, of our own and of a file of the program's. Where the program has
// record locks on the file it stays open (os/record_locks.h), and the helper looks at it again.
void let_go_of_descriptor(int own);

}  // namespace ringside::engine
