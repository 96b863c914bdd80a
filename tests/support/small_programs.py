"""Small programs that show what a program can see of how it is run, and how it ends."""

from __future__ import annotations

IDENTITY = """\
import sys
for name, value in list(globals().items()):
    print(name, "=", type(value) if name == "__builtins__" else value)
print(sys.argv, sys.path, sys.modules["__main__"].__dict__ is globals())
print(sys.flags, sys.excepthook is sys.__excepthook__, sys.exc_info(), sys.gettrace())
"""

ENDINGS = {
    "falls off the end": """\
print('end')
""",
    "exit code": """\
import sys; sys.exit(7)
""",
    "exit code that overflows": """\
import sys; sys.exit(256 + 3)
""",
    "exit with nothing": """\
import sys; sys.exit()
""",
    "exit with text": """\
import sys; sys.exit('why it ended')
""",
    "exit with an object": """\
import sys; sys.exit([1, 2])
""",
    "raise SystemExit": """\
raise SystemExit(3)
""",
    "exit builtin": """\
exit(4)
""",
    "exit without clean-up": """\
import os; print('lost?', flush=True); os._exit(9)
""",
    "killed": """\
import os, signal; os.kill(os.getpid(), signal.SIGTERM)
""",
    "uncaught exception": """\
def f():
    1 / 0
print('before')
f()
""",
    "uncaught with cause": """\
try:
    1 / 0
except ZeroDivisionError as e:
    raise KeyError(1) from e
""",
    "uncaught with context": """\
try:
    1 / 0
except ZeroDivisionError:
    raise KeyError(1)
""",
    "KeyboardInterrupt": """\
raise KeyboardInterrupt
""",
    "interrupts itself": """\
import signal
def work():
    signal.raise_signal(signal.SIGINT)
try:
    work()
finally:
    print('cleaned up')
""",
    "subclass of KeyboardInterrupt": """\
class K(KeyboardInterrupt): pass
raise K('k')
""",
    "BaseException": """\
class B(BaseException): pass
raise B('b')
""",
    "exception without str": """\
class E(Exception):
    def __str__(self): return 1 / 0
raise E
""",
    "missing import": """\
import no_such_module_anywhere
""",
    "recursion": """\
import sys; sys.setrecursionlimit(80)
def f(): f()
f()
""",
    "SyntaxError": """\
def f(:
    pass
""",
    "IndentationError": """\
def f():
pass
""",
    "TabError": """\
if 1:
	pass
        pass
""",
    "SyntaxError at run time": """\
exec('a b')
""",
    "assertion": """\
assert 1 == 2, 'text'
""",
    "failing atexit": """\
import atexit; atexit.register(lambda: 1 / 0); print('body')
""",
    "exit in atexit": """\
import atexit, sys; atexit.register(lambda: sys.exit(5)); print('body')
""",
    "unraisable": """\
class C:
    def __del__(self): 1 / 0
C()
print('after')
""",
    "closed stdout": """\
import sys; sys.stdout.close()
""",
    "no stderr": """\
import sys; sys.stderr = None; 1 / 0
""",
    "stderr replaced": """\
import sys, io; sys.stderr = s = io.StringIO()
import atexit; atexit.register(lambda: print(s.getvalue()))
1 / 0
""",
}

WHAT_PROGRAMS_DO = {
    "future flags are not inherited": """\
def f(x: 1 + 1): pass
print(f.__annotations__)
""",
    "annotations": """\
x: int = 1
print(__annotations__)
""",
    "pickle of its own class": """\
import pickle
class C: pass
data = pickle.dumps(C())
print(data, type(pickle.loads(data)) is C)
""",
    "dataclass": """\
from __future__ import annotations
from dataclasses import dataclass, field
@dataclass
class D:
    x: int
    y: list[int] = field(default_factory=list)
print(D(1))
""",
    "named tuple": """\
from collections import namedtuple
T = namedtuple('T', 'a')
print(T.__module__)
""",
    "type hints": """\
import typing
class C:
    x: 'C'
print(typing.get_type_hints(C))
""",
    "import of itself": """\
import __main__
print(__main__.__dict__ is globals(), __main__)
""",
    "doc": """\
'''The doc.'''
print(__doc__)
""",
    "inspect": """\
import inspect
def f():
    return 1
print(inspect.getsource(f), inspect.getfile(f))
""",
    "warning": """\
import warnings
warnings.warn('here')
def f(): warnings.warn('there', stacklevel=2)
f()
""",
    "deprecation is shown for __main__": """\
import warnings
warnings.warn('old', DeprecationWarning)
""",
    "syntax warning": """\
x = 1 is 1
print(x)
""",
    "order at exit": """\
import atexit, threading, time, weakref
atexit.register(print, 'first registered')
atexit.register(print, 'last registered')
class C: pass
c = C(); weakref.finalize(c, print, 'finalized')
class D:
    def __del__(self): print('deleted')
d = D()
print('body')
""",
    "names of the file at exit": """\
import atexit
atexit.register(lambda: print('__file__' in globals(), '__cached__' in globals()))
""",
    "names of the file at exit by sys.exit": """\
import atexit, sys
atexit.register(lambda: print('__file__' in globals(), '__cached__' in globals()))
sys.exit()
""",
    "names of the file at exit by exception": """\
import atexit
atexit.register(lambda: print('__file__' in globals(), '__cached__' in globals()))
1 / 0
""",
    "threads alive at the end": """\
import threading
def late():
    threading.main_thread().join()
    print('late', __name__)
threading.Thread(target=late).start()
print(threading.current_thread(), threading.enumerate()[0])
""",
    "daemon thread": """\
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
print('body')
""",
    "exception in a thread": """\
import threading
t = threading.Thread(target=lambda: 1 / 0, name='T')
t.start()
t.join()
print('body')
""",
    "standard input": """\
import sys
print(sys.stdin.read(), input.__name__)
""",
    "own excepthook": """\
import sys, traceback
def hook(kind, value, tb):
    print('hook', kind, value, tb is value.__traceback__)
    print([f.name for f in traceback.extract_tb(tb)])
    print(sys.last_traceback is tb, sys.last_value is value)
sys.excepthook = hook
def f(): 1 / 0
f()
""",
    "own excepthook that fails": """\
import sys
def hook(*args): raise KeyError('in the hook')
sys.excepthook = hook
1 / 0
""",
    "own excepthook that exits": """\
import sys
def hook(*args): sys.exit(12)
sys.excepthook = hook
1 / 0
""",
    "own excepthook for KeyboardInterrupt": """\
import sys
sys.excepthook = lambda *args: print('hook', args[0])
raise KeyboardInterrupt
""",
    "excepthook None": """\
import sys
sys.excepthook = None
1 / 0
""",
    "excepthook deleted": """\
import sys
del sys.excepthook
1 / 0
""",
    "excepthook at exit": """\
import atexit, sys
atexit.register(lambda: print(sys.excepthook is sys.__excepthook__))
1 / 0
""",
    "traceback module": """\
import traceback
try:
    1 / 0
except Exception:
    traceback.print_exc()
""",
    "logged exception": """\
import logging
try:
    1 / 0
except Exception:
    logging.exception('x')
""",
    "fork": """\
import os
pid = os.fork()
if pid == 0:
    print('child', flush=True)
    raise KeyError(1)
print(os.waitpid(pid, 0)[1])
""",
    "asyncio": """\
import asyncio
async def main():
    await asyncio.sleep(0)
    raise KeyError(1)
asyncio.run(main())
""",
    "argparse": """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--number', type=int)
parser.parse_args()
""",
    "usage of sys.argv": """\
import sys
sys.argv.pop()
print(sys.argv)
""",
    "what children of multiprocessing are told": """\
from multiprocessing.spawn import get_preparation_data
data = get_preparation_data('x')
del data['authkey']
print(data)
""",
    "exec of text": """\
exec('raise KeyError(1)')
""",
    "interactive hook": """\
import sys
print(hasattr(sys, 'ps1'), sys.flags.interactive)
""",
}

GROUPS = {
    "exception group": """\
raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])
""",
    "notes": """\
e = ValueError(1)
e.add_note('a note')
raise e
""",
    "task group": """\
import asyncio
async def bad(): raise KeyError(1)
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(bad())
asyncio.run(main())
""",
}

INTERRUPTED = {
    "at work": """\
print('ready', flush=True)
import time
for _ in range(6000):
    time.sleep(0.01)
""",
    "in asyncio": """\
import asyncio
async def main():
    try:
        print('ready', flush=True)
        for _ in range(6000):
            await asyncio.sleep(0.01)
    finally:
        print('cleaned up')
asyncio.run(main())
""",
    "with a handler": """\
import signal, sys, time
signal.signal(signal.SIGINT, lambda *args: sys.exit(6))
print('ready', flush=True)
for _ in range(6000):
    time.sleep(0.01)
""",
    "caught": """\
import time
try:
    print('ready', flush=True)
    for _ in range(6000):
        time.sleep(0.01)
except KeyboardInterrupt:
    print('caught')
""",
    "with work at exit": """\
import atexit, time
atexit.register(print, 'at exit')
print('ready', flush=True)
for _ in range(6000):
    time.sleep(0.01)
""",
}
"""Programs that wait in short sleeps: a signal that comes just before one is seen after it."""

MODULES = """\
import sys
print(*sorted(set(sys.modules)), sep="\\n")
"""
