import os
import sys
from importlib.machinery import ModuleSpec

if sys.version_info < (3, 8):
    sys.exit("Python 3.8 or newer is needed, this is %d.%d" % sys.version_info[:2])
if sys.path[:1] == [""]:
    del sys.path[0]


class DalsegnoFinder:
    # Imports the package `dalsegno_describe` from texts: no file of it lies on this machine.

    def __init__(self, texts):
        self.texts = texts

    def find_spec(self, name, path=None, target=None):
        package, _, module = name.partition(".")
        if package != "dalsegno_describe" or (module or "__init__") not in self.texts:
            return None
        return ModuleSpec(name, self, is_package=not module)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__.partition(".")[2] or "__init__"
        module.__file__ = "<dalsegno describe/" + name + ".py>"
        exec(compile(self.texts[name], module.__file__, "exec"), module.__dict__)


def dalsegno_start():
    import fcntl
    import json

    # High numbers, so that a site that fills low descriptors by number does not meet them.
    def taken(number):
        try:
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100)
        except OSError:
            return os.dup(number)

    requests, answers = taken(0), taken(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)

    def read(length):
        data = b""
        while len(data) < length:
            part = os.read(requests, length - len(data))
            if not part:
                os._exit(1)
            data += part
        return data

    texts = json.loads(read(int.from_bytes(read(4), "big")).decode("utf-8"))
    finder = DalsegnoFinder(texts)
    sys.meta_path.insert(0, finder)
    import dalsegno_describe

    # Every module is there now: the site meets no finder of ours.
    sys.meta_path.remove(finder)
    os.write(answers, b"\0dalsegno-helper\0")
    dalsegno_describe.main(requests, answers)


dalsegno_start()
