import os
import sys

if sys.version_info < (3, 8):
    sys.exit("Python 3.8 or newer is needed, this is %d.%d" % sys.version_info[:2])
if sys.path[:1] == [""]:
    del sys.path[0]


def dalsegno_start():
    import fcntl

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

    source = read(int.from_bytes(read(4), "big"))
    name = "<dalsegno describe.py>"
    space = {"__name__": "dalsegno_describe", "__file__": name}
    exec(compile(source, name, "exec"), space)
    os.write(answers, b"\0dalsegno-helper\0")
    space["main"](requests, answers)


dalsegno_start()
