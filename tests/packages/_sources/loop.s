# Legacy SSE in the source; -msse2avx turns it into VEX.
	.text
	.globl	work_add
	.type	work_add, @function
work_add:
	addps	%xmm1, %xmm0
	mulps	%xmm1, %xmm0
	ret
	.size	work_add, .-work_add
	.section	.note.GNU-stack,"",@progbits
