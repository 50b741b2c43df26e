/* fiber_x86_64.S: the switch between two stacks, for the System V calling convention.
 *
 * A stack that is not running ends in six registers and the address at which to go on:
 *     stack pointer -> r15 r14 r13 r12 rbx rbp address
 * Those registers are all that a function must keep, besides mxcsr and the x87 control word, which are left alone:
 * saving them would double the cost.
 *
 * The switch ends in a jump, because a processor predicts that "ret" goes back to the last call, and that was made
 * on the other stack. The jump is exempt from branch tracking ("notrack"), as a compiler's jump tables are, since it
 * lands behind a call. So the file claims branch tracking (IBT), and no shadow stack.
 */
#if defined(__x86_64__) && defined(__LP64__)

#if defined(__APPLE__)
#define SYMBOL(name) _##name
#define GLOBAL(name) .globl _##name; .private_extern _##name
#define SIZE(name)
#else
#define SYMBOL(name) name
#define GLOBAL(name) .globl name; .hidden name; .type name, @function
#define SIZE(name) .size name, . - name
#endif

    .text

/* bool pl__fiber_switch(void **save, void *load, bool parked) */
    GLOBAL(pl__fiber_switch)
    .p2align 4
SYMBOL(pl__fiber_switch):
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0

    movq %rsp, (%rdi)
    movq %rsi, %rsp
    movzbl %dl, %eax

    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    notrack jmp *%rcx
    .cfi_endproc
    SIZE(pl__fiber_switch)

/* Where a new stack begins: rbx is the argument of the function in r12, which never returns. Nothing called this:
 * the return address is undefined, which is how unwinding ends. */
    GLOBAL(pl__fiber_bottom)
    GLOBAL(pl__fiber_entry)
    .p2align 4
SYMBOL(pl__fiber_bottom):
    .cfi_startproc
    .cfi_undefined %rip
    nop /* unwinders look up the byte before an address */
SYMBOL(pl__fiber_entry):
    endbr64
    movq %rbx, %rdi
    callq *%r12
    ud2
    .cfi_endproc
    SIZE(pl__fiber_bottom)
    SIZE(pl__fiber_entry)

/* uintptr_t pl__fiber_shadow_stack(void): the shadow stack's pointer; rdsspq does nothing when there is none. */
    GLOBAL(pl__fiber_shadow_stack)
    .p2align 4
SYMBOL(pl__fiber_shadow_stack):
    .cfi_startproc
    endbr64
    xorl %eax, %eax
    .byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8 /* rdsspq %rax */
    ret
    .cfi_endproc
    SIZE(pl__fiber_shadow_stack)

#if defined(__ELF__)
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4          /* size of the name */
    .long 16         /* size of the description */
    .long 5          /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000002 /* GNU_PROPERTY_X86_FEATURE_1_AND */
    .long 4
    .long 1          /* IBT */
    .long 0
#endif

#endif

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
