"""The native function that runs a list of commands: written in LLVM's language, compiled once and kept on disk.

A record is seven words: kind, function, first, second, third, number, and one that is not used.

    PRIMITIVE   function(first, second, int32(number), third): non-zero is a failure
    LOOP        function(first, chunk, number) for each chunk below number, in this thread
    PARALLEL    the same, chunks dealt out to the threads of the pool
    COPY        number bytes from second to first

A list is described by seven words too: its records, how many, ``GOMP_parallel``, ``omp_get_thread_num``,
``omp_get_num_threads``, the size of the team, and the status of the record that failed.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

PRIMITIVE, LOOP, PARALLEL, COPY = range(4)
WORDS = 7

_SOURCE = """
%record = type { i64, ptr, ptr, ptr, ptr, i64, i64 }
%team = type { ptr, ptr, ptr }

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define internal void @member(ptr %team) {
entry:
  %record.at = getelementptr %team, ptr %team, i64 0, i32 0
  %record = load ptr, ptr %record.at
  %thread.at = getelementptr %team, ptr %team, i64 0, i32 1
  %thread.f = load ptr, ptr %thread.at
  %threads.at = getelementptr %team, ptr %team, i64 0, i32 2
  %threads.f = load ptr, ptr %threads.at
  %thread = call i32 %thread.f()
  %threads = call i32 %threads.f()
  %first = sext i32 %thread to i64
  %step = sext i32 %threads to i64
  %f.at = getelementptr %record, ptr %record, i64 0, i32 1
  %f = load ptr, ptr %f.at
  %args.at = getelementptr %record, ptr %record, i64 0, i32 2
  %args = load ptr, ptr %args.at
  %count.at = getelementptr %record, ptr %record, i64 0, i32 5
  %count = load i64, ptr %count.at
  br label %head
head:
  %chunk = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp slt i64 %chunk, %count
  br i1 %more, label %body, label %done
body:
  call void %f(ptr %args, i64 %chunk, i64 %count)
  %next = add i64 %chunk, %step
  br label %head
done:
  ret void
}

; the number of the record that failed, or -1
define i64 @NAME(ptr %list) {
entry:
  %records = load ptr, ptr %list
  %length.at = getelementptr i64, ptr %list, i64 1
  %length = load i64, ptr %length.at
  %parallel.at = getelementptr i64, ptr %list, i64 2
  %parallel = load ptr, ptr %parallel.at
  %one.at = getelementptr i64, ptr %list, i64 3
  %thread.f = load ptr, ptr %one.at
  %all.at = getelementptr i64, ptr %list, i64 4
  %threads.f = load ptr, ptr %all.at
  %size.at = getelementptr i64, ptr %list, i64 5
  %size = load i64, ptr %size.at
  %team.size = trunc i64 %size to i32
  %status = getelementptr i64, ptr %list, i64 6
  %team = alloca %team
  %thread.at = getelementptr %team, ptr %team, i64 0, i32 1
  store ptr %thread.f, ptr %thread.at
  %threads.at = getelementptr %team, ptr %team, i64 0, i32 2
  store ptr %threads.f, ptr %threads.at
  br label %head
head:
  %number = phi i64 [ 0, %entry ], [ %following, %next ]
  %more = icmp slt i64 %number, %length
  br i1 %more, label %body, label %done
body:
  %record = getelementptr %record, ptr %records, i64 %number
  %kind = load i64, ptr %record
  %f.at = getelementptr %record, ptr %record, i64 0, i32 1
  %f = load ptr, ptr %f.at
  %a.at = getelementptr %record, ptr %record, i64 0, i32 2
  %a = load ptr, ptr %a.at
  %b.at = getelementptr %record, ptr %record, i64 0, i32 3
  %b = load ptr, ptr %b.at
  %c.at = getelementptr %record, ptr %record, i64 0, i32 4
  %c = load ptr, ptr %c.at
  %n.at = getelementptr %record, ptr %record, i64 0, i32 5
  %n = load i64, ptr %n.at
  switch i64 %kind, label %copy [ i64 0, label %primitive
                                  i64 1, label %loop
                                  i64 2, label %parallel.loop ]
primitive:
  %n32 = trunc i64 %n to i32
  %code = call i32 %f(ptr %a, ptr %b, i32 %n32, ptr %c)
  %failed = icmp ne i32 %code, 0
  br i1 %failed, label %failure, label %next
loop:
  %chunk = phi i64 [ 0, %body ], [ %chunk.next, %loop.body ]
  %loop.more = icmp slt i64 %chunk, %n
  br i1 %loop.more, label %loop.body, label %next
loop.body:
  call void %f(ptr %a, i64 %chunk, i64 %n)
  %chunk.next = add i64 %chunk, 1
  br label %loop
parallel.loop:
  store ptr %record, ptr %team
  call void %parallel(ptr @member, ptr %team, i32 %team.size, i32 0)
  br label %next
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  br label %next
next:
  %following = add i64 %number, 1
  br label %head
failure:
  %code64 = sext i32 %code to i64
  store i64 %code64, ptr %status
  ret i64 %number
done:
  ret i64 -1
}
"""


@functools.cache
def driver() -> Any:
    """The function of the address of a list's description; returns the number of the record that failed, or -1."""
    from corenn_onednn.loops.compiling import key_of, native_code

    address = native_code(key_of(_SOURCE), lambda name: _SOURCE.replace("@NAME", f"@{name}"))
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
