/* The compiled ARM64 engine: the same pass as decode/aarch64/sweeping.py over the same table, handed in at run time.
 *
 * It never allocates and never reads outside the buffers it is given. What is left to do stands in struct
 * bb_aarch64_pass, so the caller can empty full arrays and call again.
 *
 * The part between the cffi marks is what Python sees; decode/_engine_build.py reads it from here.
 */
#include <stddef.h>
#include <stdint.h>

/* cffi:begin */
struct bb_aarch64_table {
    size_t rows;
    const uint32_t *masks;
    const uint32_t *values;
    const uint16_t *requirements;
    const uint8_t *flows;
    const uint8_t *operands;  /* table.Operand; 255: the row stands for unallocated encodings */
    const uint32_t *starts;   /* 2,049: where the candidates of each value of the top eleven bits begin */
    const uint16_t *candidates; /* numbers of rows, in the table's order */
    uint8_t *plain;           /* for each upper half: 0 not known yet, 1 nothing of note in any such word, 2 look */
};
struct bb_aarch64_pass {
    const uint8_t *code; /* little-endian words */
    size_t words;
    size_t here;         /* the next word */
    uint64_t base;       /* address of word 0, a multiple of 4 */
    uint64_t instructions;
    size_t room; /* of every array below, in items */
    size_t marks, branches, references, gaps;
    uint64_t *mark_addresses;
    uint16_t *mark_requirements;
    uint64_t *branch_addresses;
    uint8_t *branch_flows;
    uint64_t *branch_targets;
    uint64_t *reference_addresses;
    uint64_t *reference_targets;
    uint64_t *gap_addresses; /* each of one word */
};

/* Goes on with the pass. 1: done; 0: an array is full, empty them all and call again. */
int bb_aarch64_sweep(const struct bb_aarch64_table *table, struct bb_aarch64_pass *pass);
/* The number of the row each word belongs to, table->rows where none matches. */
void bb_aarch64_rows(const struct bb_aarch64_table *table, const uint8_t *code, size_t words, uint16_t *rows);
/* cffi:end */

enum { A64_NONE, A64_IMM26, A64_IMM19, A64_IMM14, A64_IMM9, A64_ADR, A64_ADRP, A64_LITERAL, A64_INVALID = 255 };
enum { A64_PLAIN = 1, A64_LOOK = 2, A64_WINDOW = 4 };

static inline uint32_t a64_word(const uint8_t *code, size_t index)
{
    const uint8_t *at = code + 4 * index;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static size_t a64_row(const struct bb_aarch64_table *table, uint32_t word)
{
    uint32_t at = table->starts[word >> 21], end = table->starts[(word >> 21) + 1];
    for (; at < end; at++) {
        size_t row = table->candidates[at];
        if ((word & table->masks[row]) == table->values[row])
            return row;
    }
    return table->rows;
}

static int a64_of_note(const struct bb_aarch64_table *table, size_t row)
{
    return table->operands[row] != A64_NONE || table->flows[row] || table->requirements[row];
}

/* Whether no word with that upper half is of note: true when a row that the lower half does not matter to is met
 * before any row of note. */
static uint8_t a64_learn(const struct bb_aarch64_table *table, uint32_t half)
{
    uint32_t word = half << 16;
    uint32_t at = table->starts[word >> 21], end = table->starts[(word >> 21) + 1];
    for (; at < end; at++) {
        size_t row = table->candidates[at];
        if ((word ^ table->values[row]) & table->masks[row] & 0xFFFF0000)
            continue;
        if (a64_of_note(table, row))
            return A64_LOOK;
        if (!(table->masks[row] & 0xFFFF))
            return A64_PLAIN;
    }
    return A64_LOOK;
}

static inline uint64_t a64_signed(uint64_t value, unsigned bits)
{
    uint64_t sign = (uint64_t)1 << (bits - 1);
    return ((value & (2 * sign - 1)) ^ sign) - sign;
}

static uint64_t a64_named(unsigned operand, uint32_t word, uint64_t address)
{
    uint64_t split = (uint64_t)(word >> 5 & 0x7FFFF) << 2 | (word >> 29 & 3);
    switch (operand) {
    case A64_IMM26:
        return address + 4 * a64_signed(word, 26);
    case A64_IMM19:
    case A64_LITERAL:
        return address + 4 * a64_signed(word >> 5, 19);
    case A64_IMM14:
        return address + 4 * a64_signed(word >> 5, 14);
    case A64_IMM9:
        return address + 4 * a64_signed(word >> 5, 9);
    case A64_ADR:
        return address + a64_signed(split, 21);
    default:
        return (address & ~(uint64_t)0xFFF) + (a64_signed(split, 21) << 12);
    }
}

/* Whether the word adds low bits to the page in the register of its bits 9:5, and which. */
static inline int a64_low(uint32_t word, uint32_t *low)
{
    if ((word & 0xFFC00000) == 0x91000000) {
        *low = word >> 10 & 0xFFF;
        return 1;
    }
    if ((word & 0x3B000000) == 0x39000000) {
        *low = (word >> 10 & 0xFFF) << ((word & 0x04800000) == 0x04800000 ? 4 : word >> 30);
        return 1;
    }
    return 0;
}

/* The full address that word *here* makes of the page of an adrp at most A64_WINDOW words before, with no word between
 * that writes the same register. */
static int a64_pair(const struct bb_aarch64_pass *pass, size_t here, uint32_t word, uint32_t low, uint64_t *target)
{
    uint32_t wanted = word >> 5 & 31;
    for (size_t back = 1; back <= A64_WINDOW && back <= here; back++) {
        uint32_t before = a64_word(pass->code, here - back);
        if ((before & 31) != wanted)
            continue;
        if ((before & 0x9F000000) != 0x90000000)
            return 0;
        *target = a64_named(A64_ADRP, before, pass->base + 4 * (here - back)) + low;
        return 1;
    }
    return 0;
}

static void a64_refer(struct bb_aarch64_pass *pass, uint64_t address, uint64_t target)
{
    pass->reference_addresses[pass->references] = address;
    pass->reference_targets[pass->references++] = target;
}

static void a64_note(const struct bb_aarch64_table *table, struct bb_aarch64_pass *pass, uint32_t word, size_t row)
{
    uint64_t address = pass->base + 4 * pass->here;
    unsigned operand = row < table->rows ? table->operands[row] : A64_INVALID;
    if (operand == A64_INVALID) {
        pass->instructions--;
        pass->gap_addresses[pass->gaps++] = address;
        return;
    }
    if (table->requirements[row]) {
        pass->mark_addresses[pass->marks] = address;
        pass->mark_requirements[pass->marks++] = table->requirements[row];
    }
    if (table->flows[row]) {
        pass->branch_addresses[pass->branches] = address;
        pass->branch_flows[pass->branches] = table->flows[row];
        pass->branch_targets[pass->branches++] = operand ? a64_named(operand, word, address) : 0;
    } else if (operand) {
        a64_refer(pass, address, a64_named(operand, word, address));
    }
}

int bb_aarch64_sweep(const struct bb_aarch64_table *table, struct bb_aarch64_pass *pass)
{
    for (; pass->here < pass->words; pass->here++) {
        if (pass->marks == pass->room || pass->branches == pass->room || pass->references == pass->room ||
            pass->gaps == pass->room)
            return 0;
        uint32_t word = a64_word(pass->code, pass->here), low;
        uint64_t target;
        uint8_t *plain = &table->plain[word >> 16];
        pass->instructions++;
        if (!*plain)
            *plain = a64_learn(table, word >> 16);
        if (*plain == A64_LOOK) {
            size_t row = a64_row(table, word);
            if (row == table->rows || a64_of_note(table, row))
                a64_note(table, pass, word, row);
            if (row == table->rows || table->operands[row])
                continue;
        }
        if (a64_low(word, &low) && a64_pair(pass, pass->here, word, low, &target))
            a64_refer(pass, pass->base + 4 * pass->here, target);
    }
    return 1;
}

void bb_aarch64_rows(const struct bb_aarch64_table *table, const uint8_t *code, size_t words, uint16_t *rows)
{
    for (size_t index = 0; index < words; index++)
        rows[index] = (uint16_t)a64_row(table, a64_word(code, index));
}
