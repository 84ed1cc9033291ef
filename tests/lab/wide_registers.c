/* Preloaded into User-Mode Linux on processors with wider registers than it knows of (AMX).
 *
 * It hands the floating-point state of its processes back to the host in a buffer of its own size,
 * and the host takes whole ones only; so no process would ever start. Here what is missing at the
 * end is filled with zeros, which is the state of a register that nobody has used.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202
#define LARGEST 65536
#define IN_USE 512 /* where the state says which of its parts hold something */

static long (*next)(int, pid_t, void *, void *);

static size_t whole(pid_t pid)
{
	static size_t size;
	static char place[LARGEST];
	struct iovec all = {place, sizeof place};

	if (size == 0 && next(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all) == 0)
		size = all.iov_len;
	return size;
}

long ptrace(enum __ptrace_request request, ...)
{
	static char state[LARGEST];
	va_list list;
	va_start(list, request);
	pid_t pid = va_arg(list, pid_t);
	void *address = va_arg(list, void *);
	struct iovec *given = va_arg(list, void *);
	va_end(list);
	if (next == NULL)
		next = (long (*)(int, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
	if (request != PTRACE_SETREGSET || (long)address != NT_X86_XSTATE)
		return next(request, pid, address, given);
	size_t size = whole(pid);
	if (given->iov_len >= size || given->iov_len < IN_USE + 8)
		return next(request, pid, address, given);
	memset(state, 0, size);
	memcpy(state, given->iov_base, given->iov_len);
	state[IN_USE + 2] &= ~0x06; /* the tiles of AMX: their state is not in what was given */
	struct iovec all = {state, size};
	return next(request, pid, address, &all);
}
