/* Flags whose addresses stand in a list on the heap, by which a person switches features off, and ways to get it wrong.
 *
 * RIGHT only ever weakens a flag. HOW names what else happens to the flag that guards fast().
 */
#include <stdlib.h>
#include "common.h"

enum { RIGHT, UNTESTED, INVERTED, OTHER, HANDED, DEEPER, SECOND, DIRECT, WRONG, COUNTED, LOWER };

struct option {
    const char *name;
    unsigned char *flag;
    unsigned char specified, enable;
};

static unsigned char has_wide, has_narrow, has_none;
static struct option *options, *spare;
static unsigned char *direct;

NOINLINE static struct option *create(void)
{
    struct option *list = calloc(3, sizeof *list);
    if (!list)
        abort();
    return list;
}

NOINLINE static void detect(void)
{
    struct option *list = create();
    list[0].name = "wide";
    list[0].flag = &has_wide;
    list[1].name = "narrow";
    list[1].flag = &has_narrow;
    list[2].name = "none";
    list[2].flag = &has_none;
    options = list;
    if (HOW == SECOND)
        spare = list;
    if (HOW == DIRECT)
        direct = &has_wide;
    has_wide = HOW == LOWER ? HAS(3) != 0 : TEST != 0;
    has_narrow = HAS(1) != 0;
    has_none = 1;
}

NOINLINE static void apply(void)
{
    for (struct option *o = options, *end = o + 3; o != end; o++) {
        if (!o->specified)
            continue;
        if (HOW == INVERTED ? o->enable && *o->flag : HOW == WRONG ? o->enable && !has_none : o->enable && !*o->flag)
            if (HOW != UNTESTED)
                continue;
        if (HOW == COUNTED)
            o->flag[o->enable - 1] = o->enable;
        *o->flag = o->enable;
    }
}

NOINLINE static void set(struct option *list) { *list->flag = 1; }
NOINLINE static void hand_on(struct option *list, int *count)
{
    ++*count;
    set(list);
}
NOINLINE static void set_all(void) { *options[0].flag = 1; }
NOINLINE static void set_spare(void) { *spare->flag = 1; }
NOINLINE static void set_direct(void) { *direct = 1; }

NOINLINE void dispatch(int *out, const int *in, int count)
{
    detect();
    for (int i = 0; i < 3; i++)
        options[i].specified = options[i].enable = count != 0;
    apply();
    if (HOW == OTHER)
        set_all();
    if (HOW == HANDED)
        set(options);
    if (HOW == DEEPER)
        hand_on(options, &count);
    if (HOW == SECOND)
        set_spare();
    if (HOW == DIRECT)
        set_direct();
    if (has_wide)
        fast(out, in);
    else
        plain(out, in);
}

int main(int argc, char **argv)
{
    int in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    (void)argv;
    dispatch(out, in, argc);
    return out[7] != 16;
}
