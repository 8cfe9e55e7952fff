/* The compiler writes the versions and the resolver that chooses between them. */
#include <stdio.h>

__attribute__((target_clones("avx2", "sse4.2", "default"))) void twice(int *out, const int *in, int count)
{
    for (int i = 0; i < count; i++)
        out[i] = in[i] * 2;
}

int main(int argc, char **argv)
{
    static int in[64] = {1, 2, 3, 4, 5, 6, 7, 8}, out[64];
    twice(out, in, 64 * argc);
    printf("%d %d\n", out[0], out[7]);
    return out[7] != 16;
}
