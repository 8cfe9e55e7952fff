/* The compiled x86 engine: the same walk as decode/x86/engine.py over the same entries, handed in at run time.
 *
 * It never allocates, never reads outside the buffers it is given (bytes past the end of the code count as 0, indices
 * into the table are checked) and keeps no state of its own: what is left to do stands in struct bb_x86_pass, so the
 * caller can grow the table or empty the arrays and call again. Layout of an entry: decode/x86/states.py.
 *
 * The part between the cffi marks is what Python sees; decode/_engine_build.py reads it from here.
 */
#include <stddef.h>
#include <stdint.h>

/* cffi:begin */
struct bb_x86_pass {
    int mode;                /* 64 or 32 */
    const int32_t *table;    /* the automaton's entries */
    size_t table_size;       /* in entries */
    const int32_t *suffixes; /* 256 requirements of 3DNow! suffixes, negative where there is none */
    const uint8_t *code;
    size_t code_size;
    uint64_t base;        /* address of code[0] */
    const uint64_t *runs; /* pairs of offsets (start, limit), ascending */
    size_t run_count;
    size_t run;    /* the run at hand */
    uint64_t here; /* offset of the next instruction, or below the run's start: not yet begun */
    uint64_t instructions;
    size_t room; /* of every array below, in items */
    size_t marks, branches, references, gaps;
    uint64_t *mark_addresses;
    uint8_t *mark_lengths;
    uint16_t *mark_requirements;
    uint64_t *branch_addresses;
    uint8_t *branch_lengths;
    uint8_t *branch_flows;
    uint64_t *branch_targets;
    uint64_t *reference_addresses;
    uint64_t *reference_targets;
    uint64_t *gap_addresses;
    uint64_t *gap_lengths;
};

/* Goes on with the pass. 0: done; -1: an array is full; -2: the table is damaged; else the number of the entry to
 * build, then call again. */
int bb_x86_sweep(struct bb_x86_pass *pass);
/* cffi:end */

#define INVALID 0x7FFFFFF0
#define LONGEST 15
#define FLOW(entry) ((entry) >> 4 & 7)
#define TARGET(entry) ((entry) >> 7 & 15)
#define REFERENCE(entry) ((entry) >> 11 & 7)
#define SUFFIX_BIT (1 << 14)
#define LONG_FLAG (1 << 15)
#define REQUIREMENT(entry) ((entry) >> 16)
enum { TARGET_ABSOLUTE = 9, TARGET_16 = 10 };
enum { REFERENCE_RELATIVE = 1, REFERENCE_RELATIVE_32, REFERENCE_ABSOLUTE, REFERENCE_ABSOLUTE_64 };

static inline unsigned byte_at(const struct bb_x86_pass *pass, uint64_t offset)
{
    return offset < pass->code_size ? pass->code[offset] : 0;
}

static uint64_t number_at(const struct bb_x86_pass *pass, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    unsigned index;
    for (index = 0; index < size; index++)
        value |= (uint64_t)byte_at(pass, offset + index) << 8 * index;
    return value;
}

static uint64_t signed_at(const struct bb_x86_pass *pass, uint64_t offset, unsigned size)
{
    uint64_t value = number_at(pass, offset, size);
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    return size < 8 ? (value ^ sign) - sign : value;
}

static void skip(struct bb_x86_pass *pass, uint64_t offset, uint64_t length)
{
    uint64_t address = pass->base + offset;
    if (pass->gaps && pass->gap_addresses[pass->gaps - 1] + pass->gap_lengths[pass->gaps - 1] == address) {
        pass->gap_lengths[pass->gaps - 1] += length;
        return;
    }
    pass->gap_addresses[pass->gaps] = address;
    pass->gap_lengths[pass->gaps++] = length;
}

static uint64_t target_of(const struct bb_x86_pass *pass, uint64_t last, uint64_t end, int32_t entry)
{
    unsigned kind = TARGET(entry);
    uint64_t target;
    if (!kind)
        return 0;
    if (kind == TARGET_ABSOLUTE)
        return number_at(pass, last + 1, 8);
    target = pass->base + end + signed_at(pass, last + 1, kind == TARGET_16 ? 2 : kind);
    if (kind == TARGET_16)
        return target & 0xFFFF;
    return pass->mode == 64 ? target : target & 0xFFFFFFFF;
}

static uint64_t reference_of(const struct bb_x86_pass *pass, uint64_t last, uint64_t end, int32_t entry)
{
    uint64_t target;
    switch (REFERENCE(entry)) {
    case REFERENCE_ABSOLUTE_64:
        return number_at(pass, last + 1, 8);
    case REFERENCE_ABSOLUTE:
        return number_at(pass, last + 1, 4);
    default:
        target = pass->base + end + signed_at(pass, last + 1, 4);
        return REFERENCE(entry) == REFERENCE_RELATIVE ? target : target & 0xFFFFFFFF;
    }
}

/* Takes in the instruction start..end; 0 where it is none or would run over limit. */
static int note(struct bb_x86_pass *pass, uint64_t start, uint64_t last, uint64_t limit, int32_t entry)
{
    uint64_t end = last + (entry & 15);
    uint64_t address = pass->base + start;
    int32_t number = REQUIREMENT(entry);
    if (end > limit || (entry & LONG_FLAG && end - start > LONGEST))
        return 0;
    if (entry & SUFFIX_BIT) {
        number = pass->suffixes[byte_at(pass, end - 1)];
        if (number < 0)
            return 0;
    }
    if (number) {
        pass->mark_addresses[pass->marks] = address;
        pass->mark_lengths[pass->marks] = (uint8_t)(end - start);
        pass->mark_requirements[pass->marks++] = (uint16_t)number;
    }
    if (FLOW(entry)) {
        pass->branch_addresses[pass->branches] = address;
        pass->branch_lengths[pass->branches] = (uint8_t)(end - start);
        pass->branch_flows[pass->branches] = (uint8_t)FLOW(entry);
        pass->branch_targets[pass->branches++] = target_of(pass, last, end, entry);
    }
    if (REFERENCE(entry)) {
        pass->reference_addresses[pass->references] = address;
        pass->reference_targets[pass->references++] = reference_of(pass, last, end, entry);
    }
    return 1;
}

static int full(const struct bb_x86_pass *pass)
{
    return pass->marks >= pass->room || pass->branches >= pass->room || pass->references >= pass->room ||
           pass->gaps >= pass->room;
}

/* One run; the result as bb_x86_sweep, 0 where the run is done. */
static int sweep_run(struct bb_x86_pass *pass, uint64_t limit)
{
    const int32_t *table = pass->table;
    const uint8_t *code = pass->code;
    uint64_t safe = pass->code_size;
    uint64_t here = pass->here, place, length;
    uint64_t count = 0;
    int32_t entry;
    int result = 0;

    while (here < limit) {
        place = here;
        entry = table[code[place]];
        while (entry < 0) {
            size_t index;
            place++;
            index = (size_t)(-(int64_t)entry) + (place < safe ? code[place] : 0);
            if (index >= pass->table_size) {
                result = -2;
                goto out;
            }
            entry = table[index];
        }
        if (entry < 16 && entry) {
            if (place + entry > limit) {
                skip(pass, here, limit - here);
                here = limit;
                break;
            }
            here = place + entry;
            count++;
            continue;
        }
        if (full(pass)) {
            result = -1;
            break;
        }
        if (entry & 15) {
            if (note(pass, here, place, limit, entry)) {
                here = place + (entry & 15);
                count++;
            } else {
                length = place + (entry & 15) > limit ? limit - here : 1;
                skip(pass, here, length);
                here += length;
            }
        } else if (entry == INVALID) {
            skip(pass, here, 1);
            here++;
        } else {
            result = entry >> 4;
            if (!result)
                result = -2;
            break;
        }
    }
out:
    pass->here = here;
    pass->instructions += count;
    return result;
}

int bb_x86_sweep(struct bb_x86_pass *pass)
{
    if (pass->table_size < 256 || !pass->room)
        return -2;
    for (; pass->run < pass->run_count; pass->run++) {
        uint64_t start = pass->runs[2 * pass->run], limit = pass->runs[2 * pass->run + 1];
        int result;
        if (limit > pass->code_size)
            limit = pass->code_size;
        if (pass->here < start)
            pass->here = start;
        if (full(pass))
            return -1;
        result = sweep_run(pass, limit);
        if (result)
            return result;
    }
    return 0;
}
