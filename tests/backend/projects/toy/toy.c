float toy_numbers[256];

void toy_scale(float by)
{
    for (int i = 0; i < 256; i++)
        toy_numbers[i] = toy_numbers[i] * by + 1.0f;
}
