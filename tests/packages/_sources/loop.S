/* Preprocessed: the branch taken depends on what the options define. */
	.text
	.globl	work_clear
	.type	work_clear, @function
work_clear:
#ifdef __AVX2__
	vpxor	%ymm0, %ymm0, %ymm0
	vzeroupper
#else
	pxor	%xmm0, %xmm0
#endif
	ret
	.size	work_clear, .-work_clear
	.section	.note.GNU-stack,"",@progbits
