// A context switch between stacks. Defines symbols: for scheduler.cpp only.
#pragma once

#include <cstddef>
#if !defined(__x86_64__) || defined(SIMT_UCONTEXT)
#include <ucontext.h>
#endif

namespace simt {

// swapcontext would do, at the price of a system call a switch: 20 times slower.
#if defined(__x86_64__) && !defined(SIMT_UCONTEXT)
extern "C" void simt_switch(void** save, void* load);
asm(R"(
.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size simt_switch,.-simt_switch
)");
using Context = void*;
inline void make_context(Context& c, char* top, std::size_t, void (*entry)()) {
    auto** sp = reinterpret_cast<void**>(top) - 1;  // as after a call: rsp % 16 == 8
    *--sp = reinterpret_cast<void*>(entry);
    c = sp - 6;  // the registers that simt_switch() pops
}
inline void swap_to(Context& from, Context& to) {
    simt_switch(&from, to);
}
#else
using Context = ucontext_t;
inline void make_context(Context& c, char* top, std::size_t size, void (*entry)()) {
    getcontext(&c);
    c.uc_stack.ss_sp = top - size;
    c.uc_stack.ss_size = size;
    c.uc_link = nullptr;
    makecontext(&c, entry, 0);
}
inline void swap_to(Context& from, Context& to) {
    swapcontext(&from, &to);
}
#endif

}  // namespace simt
