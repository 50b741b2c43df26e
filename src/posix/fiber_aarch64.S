/* fiber_aarch64.S: the switch between two stacks, for the AAPCS64 calling convention.
 *
 * A stack that is not running ends in the registers that a function must keep, d8 to d15 among them, and in x30, the
 * address at which to go on. The floating-point control register is left alone.
 *
 * The switch ends in a jump, because a processor predicts that "ret" goes back to the last call, and that was made
 * on the other stack. Branch tracking (BTI) forbids such a jump to land behind a call, and has no exemption but
 * "ret": so a build with branch tracking uses that, and only then the file claims it. No claim of a guarded control
 * stack (GCS).
 */
#if defined(__aarch64__) && defined(__LP64__)

#if defined(__APPLE__)
#define SYMBOL(name) _##name
#define GLOBAL(name) .globl _##name %% .private_extern _##name
#define SIZE(name)
#else
#define SYMBOL(name) name
#define GLOBAL(name) .globl name; .hidden name; .type name, %function
#define SIZE(name) .size name, . - name
#endif

#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define GO_ON ret
#else
#define GO_ON br x30
#endif

#define LANDING_PAD hint #34 /* bti c */

    .text

/* bool pl__fiber_switch(void **save, void *load, bool parked) */
    GLOBAL(pl__fiber_switch)
    .p2align 4
SYMBOL(pl__fiber_switch):
    .cfi_startproc
    LANDING_PAD
    stp x29, x30, [sp, #-160]!
    .cfi_def_cfa_offset 160
    .cfi_offset 29, -160
    .cfi_offset 30, -152
    stp x19, x20, [sp, #16]
    .cfi_offset 19, -144
    .cfi_offset 20, -136
    stp x21, x22, [sp, #32]
    .cfi_offset 21, -128
    .cfi_offset 22, -120
    stp x23, x24, [sp, #48]
    .cfi_offset 23, -112
    .cfi_offset 24, -104
    stp x25, x26, [sp, #64]
    .cfi_offset 25, -96
    .cfi_offset 26, -88
    stp x27, x28, [sp, #80]
    .cfi_offset 27, -80
    .cfi_offset 28, -72
    stp d8, d9, [sp, #96]
    .cfi_offset 72, -64
    .cfi_offset 73, -56
    stp d10, d11, [sp, #112]
    .cfi_offset 74, -48
    .cfi_offset 75, -40
    stp d12, d13, [sp, #128]
    .cfi_offset 76, -32
    .cfi_offset 77, -24
    stp d14, d15, [sp, #144]
    .cfi_offset 78, -16
    .cfi_offset 79, -8

    mov x9, sp
    str x9, [x0]
    mov sp, x1
    and w0, w2, #255

    ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #160
    .cfi_def_cfa_offset 0
    .cfi_restore 29
    .cfi_restore 30
    .cfi_restore 19
    .cfi_restore 20
    .cfi_restore 21
    .cfi_restore 22
    .cfi_restore 23
    .cfi_restore 24
    .cfi_restore 25
    .cfi_restore 26
    .cfi_restore 27
    .cfi_restore 28
    .cfi_restore 72
    .cfi_restore 73
    .cfi_restore 74
    .cfi_restore 75
    .cfi_restore 76
    .cfi_restore 77
    .cfi_restore 78
    .cfi_restore 79
    GO_ON
    .cfi_endproc
    SIZE(pl__fiber_switch)

/* Where a new stack begins: x19 is the argument of the function in x20, which never returns. Nothing called this:
 * the return address is undefined, which is how unwinding ends. */
    GLOBAL(pl__fiber_bottom)
    GLOBAL(pl__fiber_entry)
    .p2align 4
SYMBOL(pl__fiber_bottom):
    .cfi_startproc
    .cfi_undefined 30
    nop /* unwinders look up the byte before an address */
SYMBOL(pl__fiber_entry):
    hint #38 /* bti jc */
    mov x0, x19
    blr x20
    brk #1
    .cfi_endproc
    SIZE(pl__fiber_bottom)
    SIZE(pl__fiber_entry)

/* uintptr_t pl__fiber_shadow_stack(void): "chkfeat" clears the bit of a feature that is on; elsewhere it is a nop. */
    GLOBAL(pl__fiber_shadow_stack)
    .p2align 4
SYMBOL(pl__fiber_shadow_stack):
    .cfi_startproc
    LANDING_PAD
    mov x16, #1
    hint #40 /* chkfeat x16 */
    eor x0, x16, #1
    ret
    .cfi_endproc
    SIZE(pl__fiber_shadow_stack)

#if defined(__ELF__) && defined(__ARM_FEATURE_BTI_DEFAULT)
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4          /* size of the name */
    .long 16         /* size of the description */
    .long 5          /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
    .long 4
    .long 1          /* BTI */
    .long 0
#endif

#endif

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
