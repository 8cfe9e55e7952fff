/* Sorts the instructions of code into distinct encodings with a count of each, by the compiled engine's walk; a shared
 * library that tests/decode/encodings.py builds and loads.
 *
 * Two instructions count as one encoding when they differ in nothing but the distance of a branch or of an operand
 * relative to the instruction pointer: fields whose place the automaton knows, and whose value nothing depends on.
 * Bytes that are no instruction are collected with the 15 bytes from there on.
 */
#include <string.h>

#include "_engine_x86.c"

/* cffi:begin */
struct bb_encoding {
    uint8_t key[15];      /* the bytes, distances as zero */
    uint8_t length;       /* 0: no instruction */
    uint8_t bytes[15];    /* as they were met first, with what stood behind them */
    uint8_t mode;
    uint32_t requirement;
    uint32_t count;       /* 0: a free place */
};
struct bb_collection {
    int mode;
    const int32_t *table;
    size_t table_size;
    const int32_t *suffixes;
    const uint8_t *code;
    size_t code_size;
    size_t here;
    uint64_t instructions, undecoded;
    struct bb_encoding *places;
    size_t room; /* a power of two */
    size_t used;
};

/* Goes on with the code. 0: done; -1: three quarters of the places are used; -2: the table is damaged; else the number
 * of the entry to build, then call again. */
int bb_collect(struct bb_collection *found);
/* Puts the encodings of *from* into *to*, which is empty and larger. */
void bb_move(const struct bb_encoding *from, size_t room, struct bb_collection *to);
/* cffi:end */

static struct bb_encoding *place_of(struct bb_collection *found, const struct bb_encoding *wanted)
{
    uint64_t parts[2], hash;
    size_t index;
    memcpy(parts, wanted->key, sizeof parts); /* the length is its last byte */
    hash = (parts[0] ^ (parts[1] * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u;
    hash ^= (hash >> 29) + wanted->mode;
    for (index = (size_t)hash & (found->room - 1);; index = (index + 1) & (found->room - 1)) {
        struct bb_encoding *place = &found->places[index];
        if (!place->count || (!memcmp(place->key, wanted->key, sizeof parts) && place->mode == wanted->mode))
            return place;
    }
}

static void add(struct bb_collection *found, const struct bb_encoding *one)
{
    struct bb_encoding *place = place_of(found, one);
    if (place->count) {
        place->count += one->count;
    } else {
        *place = *one;
        found->used++;
    }
}

void bb_move(const struct bb_encoding *from, size_t room, struct bb_collection *to)
{
    for (size_t index = 0; index < room; index++)
        if (from[index].count)
            add(to, &from[index]);
}

/* The leaf at *here*, its last byte looked at in *last*; below 0: the table is damaged. */
static int32_t leaf_at(const struct bb_collection *found, size_t here, size_t *last)
{
    int32_t entry = found->table[found->code[here]];
    *last = here;
    while (entry < 0) {
        size_t index = (size_t)(-(int64_t)entry);
        ++*last;
        index += *last < found->code_size ? found->code[*last] : 0;
        if (index >= found->table_size)
            return -1;
        entry = found->table[index];
    }
    return entry;
}

/* How many bytes behind the one looked at last are a distance. */
static size_t distance_of(int32_t entry)
{
    size_t kind = TARGET(entry);
    if (kind == TARGET_16)
        return 2;
    if (kind == TARGET_ABSOLUTE)
        return 0;
    if (REFERENCE(entry) == REFERENCE_RELATIVE || REFERENCE(entry) == REFERENCE_RELATIVE_32)
        return 4;
    return kind;
}

static void describe(const struct bb_collection *found, size_t here, size_t last, int32_t entry,
                     struct bb_encoding *one)
{
    size_t left = found->code_size - here, length = last - here + (entry & 15), at;
    int32_t number = REQUIREMENT(entry);
    memset(one, 0, sizeof *one);
    memcpy(one->bytes, found->code + here, left < LONGEST ? left : LONGEST);
    one->mode = (uint8_t)found->mode;
    one->count = 1;
    if (entry != INVALID && length <= LONGEST && entry & SUFFIX_BIT)
        number = found->suffixes[here + length <= found->code_size ? found->code[here + length - 1] : 0];
    if (entry == INVALID || length > LONGEST || number < 0) {
        memcpy(one->key, one->bytes, LONGEST);
        return;
    }
    one->length = (uint8_t)length;
    one->requirement = (uint32_t)number;
    memcpy(one->key, one->bytes, length);
    for (at = last + 1 - here; at < last + 1 - here + distance_of(entry) && at < length; at++)
        one->key[at] = 0;
}

int bb_collect(struct bb_collection *found)
{
    while (found->here < found->code_size) {
        size_t last;
        struct bb_encoding one;
        int32_t entry = leaf_at(found, found->here, &last);
        if (entry < 0)
            return -2;
        if (!(entry & 15) && entry != INVALID)
            return entry >> 4 ? entry >> 4 : -2;
        if (4 * found->used >= 3 * found->room)
            return -1;
        describe(found, found->here, last, entry, &one);
        if (found->here + one.length > found->code_size)
            break; /* cut off by the end of the code */
        if (one.length)
            found->instructions++;
        else
            found->undecoded++;
        add(found, &one);
        found->here += one.length ? one.length : 1;
    }
    return 0;
}
