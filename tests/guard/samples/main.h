/* Keeps a question to the CPU in every twin, so that "nothing ever asks" is not what decides. */
NOINLINE int asks(void) { return HAS(5) != 0; }

static int input[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static int output[8];
DISPATCHER void dispatch(int *out, const int *in);

int main(int argc, char **argv)
{
    BEGIN_ASKING();
    dispatch(output, input);
    printf("%d %d %d\n", output[0], output[7], asks() * 0);
    return output[7] != 16;
}
