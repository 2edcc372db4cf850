"""The import of the package, in threads and beside other finders."""

from __future__ import annotations

import subprocess
import sys

IN_THREADS = """
import threading
import mini_dl

statements = [
    "import mini_dl.nn as nn; nn.Linear", "from mini_dl import nn; nn.Linear", "import mini_dl.nn.functional as F; F.relu",
    "from mini_dl.optim import SGD", "from mini_dl.nn import Linear", "from mini_dl.utils.data import DataLoader",
    "import mini_dl.nn.utils.rnn", "from mini_dl.linalg import inv", "import mini_dl.fft; mini_dl.fft.fft",
]
barrier, done = threading.Barrier(len(statements)), []

def run(statement):
    barrier.wait()
    exec(statement, {})
    done.append(statement)

threads = [threading.Thread(target=run, args=(statement,)) for statement in statements]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(done) == len(statements))
"""


def test_threads_import_parts_at_the_same_time() -> None:
    for _ in range(3):
        run = subprocess.run([sys.executable, "-c", IN_THREADS], capture_output=True, text=True, timeout=60)
        assert run.stdout == "True\n", run.stderr


HOOKED = """
import sys

class Hook:
    seen = set()

    def find_spec(self, name, path=None, target=None):
        self.seen.add(name)

sys.meta_path.insert(0, Hook())
import mini_dl
print({name for name in sys.modules if name.startswith("mini_dl")} <= Hook.seen)
"""


def test_finders_before_pythons_own_see_each_file_of_the_package() -> None:
    run = subprocess.run([sys.executable, "-c", HOOKED], capture_output=True, text=True, timeout=60)
    assert run.stdout == "True\n", run.stderr
