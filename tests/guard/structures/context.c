/* A flag in a large structure, kept rightly, and one of the ways in which it gets another value than the CPU's answer.
 *
 * HOW names the way: what write_otherwise() does, and which structure work() is given.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"

#ifndef FLAG
#define FLAG int
#endif

struct part {
    int numbers[64];
    FLAG wide;
};

struct context {
    char window[4096];
    int level;
    FLAG wide;
    struct part part;
    long count;
};

struct owner {
    long names[32];
    struct context context;
};

enum { RIGHT, MEMBER, ADDRESS, FILLED, COPIED, PART, OWNER, VARIABLE, STACK, LOWER, BYTES, LENT, CHOSEN, LOST, TAIL, SENT, REPEATED, KEPT, STORED, INDEXED, PAIR, VECTOR, STRUCTURES };

static int numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static int doubled[8];
static struct context fixed;
static const struct context other = {.wide = 1, .part.wide = 1};
static struct context ready = {.wide = 1};
static struct context *list[2] = {0, HOW == KEPT ? &ready : 0};

NOINLINE static struct context *create(void)
{
    struct context *context = calloc(1, sizeof *context);
    if (!context)
        abort();
    context->level = 3;
    context->wide = HOW == LOWER ? HAS(3) != 0 : TEST != 0;
    context->part.wide = context->wide;
    return context;
}

NOINLINE static void run(int *out, const int *in, int wide)
{
    if (wide)
        fast(out, in);
    else
        plain(out, in);
}

#ifdef CHOOSING
struct options {
    long names[600];
    FLAG forced;
};

NOINLINE static void choose(struct context *context, struct options *options, int *out, const int *in, int which)
{
    FLAG *flag = which ? &context->wide : &options->forced;
    run(out, in, *flag);
}
#endif

NOINLINE static void work(struct context *context, int *out, const int *in)
{
    context->count++;
    run(out, in, HOW == PART ? context->part.wide : context->wide);
}

NOINLINE static void put(FLAG *flag, int value) { *flag = value; }
NOINLINE static void widen(struct part *part, int value) { part->wide = value; }
NOINLINE static void own(struct owner *owner, int value) { owner->context.wide = value; }

NOINLINE static void fill(char *bytes, size_t size, int value)
{
    for (volatile char *end = bytes + size; bytes < end; bytes++)
        *(volatile char *)bytes = (char)value;
}

/* The structure is met only as a word of another object from here on. */
NOINLINE static void replace(struct context **all, int at)
{
    memcpy(all[at], &other, sizeof other);
}

NOINLINE static void replace_tail(struct context **all, int at)
{
    memcpy(all[at]->window + 2048, other.window + 2048, offsetof(struct context, part) - 2048);
}

NOINLINE static void copy(struct context *to, const struct context *from) { memcpy(to, from, sizeof *to); }
NOINLINE static void copy_to(struct context **all, int at, const struct context *from) { copy(all[at], from); }

#ifdef __x86_64__
NOINLINE static void repeat(struct context **all, int at)
{
    void *to = all[at];
    const void *from = &other;
    size_t count = sizeof other / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
#else
#define repeat replace
#endif

NOINLINE static void keep(struct context **all, int at) { all[at] = &ready; }

NOINLINE static void write_otherwise(struct context *context, int value)
{
    if (HOW == MEMBER)
        context->wide = value;
    if (HOW == ADDRESS)
        put(&context->wide, value);
    if (HOW == FILLED)
        memset(context, value, sizeof *context);
    if (HOW == COPIED)
        memcpy(context, &other, sizeof *context);
    if (HOW == PART)
        widen(&context->part, value);
    if (HOW == BYTES)
        for (size_t at = 0; at < sizeof *context; at++)
            ((volatile char *)context)[at] = (char)value;
    if (HOW == LENT)
        fill((char *)context, sizeof *context, value);
    if (HOW == LOST)
        replace(list, value);
    if (HOW == TAIL)
        replace_tail(list, value);
    if (HOW == SENT)
        copy_to(list, value, &other);
    if (HOW == REPEATED)
        repeat(list, value);
    if (HOW == STORED)
        keep(list, value);
#ifdef __aarch64__
    if (HOW == INDEXED)
        __asm__ volatile("strb %w1, [%0, %2]" : : "r"(context), "r"(value), "r"(offsetof(struct context, wide)) : "memory");
    if (HOW == PAIR)
        __asm__ volatile("stp %w1, %w1, [%0]" : : "r"(&context->level), "r"(value) : "memory");
    if (HOW == VECTOR)
        __asm__ volatile("dup v0.4s, %w1\n\tstp q0, q0, [%0]" : : "r"(context->window + 4080), "r"(value) : "v0", "memory");
    if (HOW == STRUCTURES)
        __asm__ volatile("dup v0.4s, %w1\n\tst1 {v0.4s}, [%0]" : : "r"(&context->level), "r"(value) : "v0", "memory");
#endif
}

NOINLINE void dispatch(int *out, const int *in, int value)
{
    struct context *context = create();
    struct owner *owner = calloc(1, sizeof *owner);
    struct context local;
    if (HOW == LOST || HOW == TAIL || HOW == SENT || HOW == REPEATED)
        list[value] = context;
    write_otherwise(context, value);
#ifdef CHOOSING
    struct options *options = calloc(1, sizeof *options);
    if (!options)
        abort();
    options->forced = value;
    choose(context, options, out, in, value - 1);
    free(options);
#endif
    if (HOW == OWNER && owner) {
        own(owner, value);
        work(&owner->context, out, in);
    } else if (HOW == VARIABLE) {
        fixed.wide = value;
        work(&fixed, out, in);
    } else if (HOW == STACK) {
        memset(&local, 0, sizeof local);
        local.wide = value;
        work(&local, out, in);
    } else if (HOW == KEPT || HOW == STORED)
        work(list[value], out, in);
    else
        work(context, out, in);
    free(owner);
    free(context);
}

int main(int argc, char **argv)
{
    BEGIN_ASKING();
    dispatch(doubled, numbers, argc);
    return doubled[7] != 16;
}
