#include <stdio.h>

static float numbers[4096];

int main(int count, char **arguments)
{
    float sum = 0;
    for (int i = 0; i < 4096; i++)
        numbers[i] = (float)(i * count) * 1.5f + numbers[i];
    for (int i = 0; i < 4096; i++)
        sum += numbers[i] > 10 ? 1 : 0;
    printf("%s %f\n", arguments[0], (double)sum);
    return 0;
}
