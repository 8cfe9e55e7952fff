DISPATCHER void dispatch(int *out, const int *in);

int main(int argc, char **argv)
{
    __builtin_cpu_init();
    dispatch(output, input);
    printf("%d %d %d\n", output[0], output[7], asks() * 0);
    return output[7] != 16;
}
