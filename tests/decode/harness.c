/* Runs the compiled engine over buffers of exactly the size of the files given, for the sanitizers to watch:
 * harness MODE TABLE SUFFIXES CODE; prints instructions, marks, branches, references, undecoded bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "_engine_x86.c"

static void *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    long length;
    void *data;
    if (!file || fseek(file, 0, SEEK_END) || (length = ftell(file)) < 0)
        exit(3);
    rewind(file);
    data = malloc(length ? (size_t)length : 1);
    if (!data || fread(data, 1, (size_t)length, file) != (size_t)length)
        exit(3);
    fclose(file);
    *size = (size_t)length;
    return data;
}

int main(int count, char **words)
{
    struct bb_x86_pass pass;
    size_t size, marks = 0, branches = 0, references = 0, undecoded = 0, index;
    uint64_t runs[2];
    int result;
    if (count != 5)
        return 2;
    memset(&pass, 0, sizeof pass);
    pass.mode = atoi(words[1]);
    pass.table = contents(words[2], &size);
    pass.table_size = size / sizeof(int32_t);
    pass.suffixes = contents(words[3], &size);
    pass.code = contents(words[4], &pass.code_size);
    pass.base = 0x1000;
    runs[0] = 0;
    runs[1] = pass.code_size;
    pass.runs = runs;
    pass.run_count = 1;
    pass.room = 3; /* small, so that it stops and goes on often */
    pass.mark_addresses = calloc(pass.room, sizeof(uint64_t));
    pass.mark_lengths = calloc(pass.room, 1);
    pass.mark_requirements = calloc(pass.room, sizeof(uint16_t));
    pass.branch_addresses = calloc(pass.room, sizeof(uint64_t));
    pass.branch_lengths = calloc(pass.room, 1);
    pass.branch_flows = calloc(pass.room, 1);
    pass.branch_targets = calloc(pass.room, sizeof(uint64_t));
    pass.reference_addresses = calloc(pass.room, sizeof(uint64_t));
    pass.reference_targets = calloc(pass.room, sizeof(uint64_t));
    pass.gap_addresses = calloc(pass.room, sizeof(uint64_t));
    pass.gap_lengths = calloc(pass.room, sizeof(uint64_t));
    do {
        result = bb_x86_sweep(&pass);
        marks += pass.marks;
        branches += pass.branches;
        references += pass.references;
        for (index = 0; index < pass.gaps; index++)
            undecoded += pass.gap_lengths[index];
        pass.marks = pass.branches = pass.references = pass.gaps = 0;
    } while (result == -1);
    printf("%llu %zu %zu %zu %zu\n", (unsigned long long)pass.instructions, marks, branches, references, undecoded);
    return result ? 1 : 0;
}
