/* A helper that is given its question, and gives its answers, on the stack: (leaf, subleaf) -> (eax, ebx, ecx, edx).
 *
 * RIGHT takes the bit of AVX2 of the second answer. HOW names the way to take something else for it.
 */
#include "common.h"

#define RIGHT 0
#define BIT 1
#define SLOT 2
#define LEAF 3
#define OVERWRITTEN 4
#define REPLACED 5
#define SPOILED 6
#define INVERTED 7
#define LATER 8

unsigned char has_wide;
void detect(void);

#if HOW == LEAF
#define LEAF_NUMBER "1"
#else
#define LEAF_NUMBER "7"
#endif
#if HOW == BIT
#define BIT_NUMBER "3"
#else
#define BIT_NUMBER "5"
#endif
#if HOW == SLOT
#define ANSWER "8"
#else
#define ANSWER "12"
#endif
#if HOW == OVERWRITTEN
#define BETWEEN "movl $-1, 12(%rsp)\n"
#elif HOW == REPLACED
#define BETWEEN "movb $-1, 12(%rsp)\n"
#elif HOW == SPOILED
#define BETWEEN "call spoil\n"
#elif HOW == LATER
#define BETWEEN "movl $1, (%rsp)\nmovl $0, 4(%rsp)\ncall ask\n"
#else
#define BETWEEN ""
#endif
#if HOW == INVERTED
#define SET "setnc"
#else
#define SET "setc"
#endif

__asm__(".text\n"
        ".type ask, @function\n"
        "ask:\n"
        "mov 8(%rsp), %eax\n"
        "mov 12(%rsp), %ecx\n"
        "mov %rbx, %r8\n"
        "cpuid\n"
        "mov %eax, 16(%rsp)\n"
        "mov %ebx, 20(%rsp)\n"
        "mov %ecx, 24(%rsp)\n"
        "mov %edx, 28(%rsp)\n"
        "mov %r8, %rbx\n"
        "ret\n"
        ".size ask, . - ask\n"
        ".type spoil, @function\n"
        "spoil:\n"
        "movl $-1, 20(%rsp)\n"
        "ret\n"
        ".size spoil, . - spoil\n"
        ".type detect, @function\n"
        "detect:\n"
        "sub $24, %rsp\n"
        "movl $" LEAF_NUMBER ", (%rsp)\n"
        "movl $0, 4(%rsp)\n"
        "call ask\n" BETWEEN
        "mov " ANSWER "(%rsp), %eax\n"
        "bt $" BIT_NUMBER ", %eax\n" SET " has_wide(%rip)\n"
        "add $24, %rsp\n"
        "ret\n"
        ".size detect, . - detect\n");

int main(void)
{
    int in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
    detect();
    if (has_wide)
        fast(out, in);
    else
        plain(out, in);
    return out[7] != 16;
}
