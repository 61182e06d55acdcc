"""A WSGI application that tries everything PEP 3333 allows, and much that it forbids: for tests of a server.

GET / lists the routes; each says in its docstring what a server has to do. Where the application itself can
tell, the body says so ("refused: ...", "accepted"); the rest shows on the wire. Query strings are percent-decoded."""
import gc
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import unquote_to_bytes

routes = {}
kept = []
kept_inputs = []
ticks = 0


def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1


threading.Thread(target=tick, daemon=True).start()


def plain(*more):
    """The headers of a plain text, in a new list each time: PEP 3333 lets the server change the one it is given."""
    return [("Content-Type", "text/plain"), *more]


def app(environ, start_response):
    path = environ.get("PATH_INFO", "")
    name = path.lstrip("/").partition("/")[0]
    if name not in routes:
        start_response("404 Not Found", plain())
        return [b"no such route\n"]
    return routes[name](environ, start_response)


def route(handler):
    routes[handler.__name__.strip("_").replace("_", "-")] = handler
    return handler


def query(environ):
    return unquote_to_bytes(environ.get("QUERY_STRING", "")).decode("latin-1")


def argument(environ):
    """What follows the route's name in the path, or ''."""
    return environ["PATH_INFO"].lstrip("/").partition("/")[2]


def text(start_response, *lines):
    start_response("200 OK", plain())
    return ["".join(f"{line}\n" for line in lines).encode("utf-8")]


def must_refuse(environ, start_response, status, headers):
    """Calls start_response with something wrong. The server answers 500; with ?caught the application tells instead."""
    caught = query(environ).endswith("caught")
    try:
        start_response(status, headers)
    except Exception as error:
        if not caught:
            raise
        start_response("200 OK", plain(), sys.exc_info())
        return [f"refused: {type(error).__name__}\n".encode()]
    return [b"accepted\n"]


@route
def _(environ, start_response):
    """Lists the routes."""
    return text(start_response, *(f"/{name}: {handler.__doc__}" for name, handler in routes.items()))


# What the server gives


@route
def environ(environ, start_response):
    """Every key of environ, sorted: key, type, value."""
    return text(start_response, *(f"{key} {type(environ[key]).__name__} {environ[key]!r}" for key in sorted(environ)))


@route
def required(environ, start_response):
    """'ok', or a line for each thing in environ that is missing or wrong."""
    wrong = [] if type(environ) is dict else [f"environ is a {type(environ)}"]
    for key in ("REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"):
        if not environ.get(key):
            wrong.append(f"{key} is missing or empty")
    for key, value in environ.items():
        if type(key) is not str:
            wrong.append(f"key {key!r} is not a str")
        elif "." not in key:
            if type(value) is not str:
                wrong.append(f"{key} is not a str: {value!r}")
            elif max(value, default="") > "\xff":
                wrong.append(f"{key} is not Latin-1: {value!r}")
    if environ.get("wsgi.version") != (1, 0) or type(environ["wsgi.version"]) is not tuple:
        wrong.append("wsgi.version is not (1, 0)")
    if environ.get("wsgi.url_scheme") not in ("http", "https"):
        wrong.append("wsgi.url_scheme is neither http nor https")
    wrong += [f"{key} is missing" for key in ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")
              if key not in environ]
    wrong += [f"wsgi.input has no {name}" for name in ("read", "readline", "readlines", "__iter__")
              if not hasattr(environ.get("wsgi.input"), name)]
    wrong += [f"wsgi.errors has no {name}" for name in ("write", "writelines", "flush")
              if not hasattr(environ.get("wsgi.errors"), name)]
    wrong += [f"{key} must not be there" for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH") if key in environ]
    if environ.get("SCRIPT_NAME") == "/" or not environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""):
        wrong.append("SCRIPT_NAME or PATH_INFO")
    if not environ.get("SERVER_PORT", "").isdigit():
        wrong.append("SERVER_PORT is not a number")
    environ["checkapp.mine"] = "an application may write into its environ"
    return text(start_response, *(wrong or ["ok"]))


@route
def read(environ, start_response):
    """Echoes read(); /read/N: the lengths that read(N) returns until the end."""
    stream = environ["wsgi.input"]
    if argument(environ):
        size = int(argument(environ))
        return text(start_response, *(len(block) for block in iter(lambda: stream.read(size), b"")))
    body = stream.read()
    assert type(body) is bytes, type(body)
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]


@route
def readline(environ, start_response):
    """Each readline() until the end; /readline/N: each readline(N)."""
    size = [int(argument(environ))] if argument(environ) else []
    return text(start_response, *map(repr, iter(lambda: environ["wsgi.input"].readline(*size), b"")))


@route
def readlines(environ, start_response):
    """readlines(); /readlines/N: readlines(N), at least N bytes if there are as many."""
    hint = [int(argument(environ))] if argument(environ) else []
    lines = environ["wsgi.input"].readlines(*hint)
    assert type(lines) is list, type(lines)
    return text(start_response, *map(repr, lines))


@route
def iterate(environ, start_response):
    """The lines that iterating wsgi.input gives."""
    return text(start_response, *map(repr, environ["wsgi.input"]))


@route
def read_past_end(environ, start_response):
    """Reads the whole body, then more in every way: each must return nothing and none may block."""
    stream = environ["wsgi.input"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    got = len(stream.read(length))
    more = [stream.read(1), stream.read(0), stream.read(), stream.read(-1), stream.readline(), stream.readline(5)]
    more += [b"".join(stream.readlines()), b"".join(stream)]
    return text(start_response, f"{got} of {length}", "nothing more" if not any(more) else repr(more))


@route
def errors(environ, start_response):
    """Three lines on wsgi.errors."""
    errors = environ["wsgi.errors"]
    errors.write("checkapp: write\n")
    errors.writelines(["checkapp: writelines 1\n", "checkapp: writelines 2 caf\xe9\n"])
    errors.flush()
    return text(start_response, "written")


# start_response, write and the iterable


@route
def write(environ, start_response):
    """write() twice, then one more block: three lines in order, each write sent at once."""
    write = start_response("200 OK", plain())
    write(b"one\n")
    time.sleep(0.1)
    write(b"two\n")
    return [b"three\n"]


@route
def generator(environ, start_response):
    """Three blocks with 100 ms between; each has to be sent before the next is asked for."""
    start_response("200 OK", plain())
    def blocks():
        for number in (b"one\n", b"two\n", b"three\n"):
            if number != b"one\n":
                time.sleep(0.1)
            yield number
    return blocks()


def wait_for(path):
    """Waits until there is a file of that name, which the client makes."""
    deadline = time.monotonic() + 30
    while not os.path.exists(path):
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.01)


@route
def write_step(environ, start_response):
    """write() once, and the rest when the file that the query names is there: the client has to see the first."""
    start_response("200 OK", plain())(b"one\n")
    wait_for(query(environ))
    return [b"two\n"]


@route
def generator_step(environ, start_response):
    """The same as blocks of a generator."""
    start_response("200 OK", plain())
    yield b"one\n"
    wait_for(query(environ))
    yield b"two\n"


@route
def late_start(environ, start_response):
    """start_response is called in the first iteration, not before: allowed."""
    start_response("200 OK", plain())
    yield b"late but fine\n"


@route
def empty_first(environ, start_response):
    """b'' first, start_response after it: 500. PEP 3333 has it before the first block, also if that is empty."""
    yield b""
    start_response("200 OK", plain())
    yield b"after an empty block\n"


@route
def no_start(environ, start_response):
    """Never calls start_response: 500."""
    return [b"no status, no headers\n"]


@route
def double_start(environ, start_response):
    """Calls start_response twice without exc_info: the second call must raise. ?uncaught lets the error out: 500."""
    start_response("200 OK", plain())
    try:
        start_response("202 Accepted", plain())
    except Exception as error:
        if query(environ) == "uncaught":
            raise
        return [f"refused: {type(error).__name__}\n".encode()]
    return [b"accepted\n"]


@route
def exc_info_before(environ, start_response):
    """start_response again, with exc_info, before anything was sent: the new status and headers replace the old."""
    start_response("200 OK", plain(("X-First", "yes")))
    try:
        raise KeyError("early")
    except KeyError:
        start_response("500 Replaced", plain(("X-Second", "yes")), sys.exc_info())
    return [b"replaced\n"]


@route
def exc_info_empty(environ, start_response):
    """The same after an empty block, which does not send the headers either: replaced."""
    start_response("200 OK", plain(("X-First", "yes")))
    yield b""
    try:
        raise KeyError("early")
    except KeyError:
        start_response("500 Replaced", plain(("X-Second", "yes")), sys.exc_info())
    yield b"replaced\n"


@route
def exc_info_after(environ, start_response):
    """start_response with exc_info after a block was sent must raise that exception. ?uncaught lets it out: cut off."""
    start_response("200 OK", plain())
    yield b"first\n"
    try:
        raise KeyError("late")
    except KeyError as late:
        try:
            start_response("500 Too Late", plain(), sys.exc_info())
        except BaseException as error:
            if query(environ) == "uncaught":
                raise
            yield b"raised again\n" if error is late else f"raised {error!r} instead\n".encode()
        else:
            yield b"accepted\n"


@route
def raise_(environ, start_response):
    """An exception before start_response: 500, and the traceback on wsgi.errors, not in the answer."""
    raise RuntimeError("checkapp raises")


@route
def raise_started(environ, start_response):
    """An exception after start_response, before a block: 500, and none of the application's headers."""
    start_response("200 OK", plain(("X-First", "yes")))
    raise RuntimeError("checkapp raises once started")


@route
def raise_late(environ, start_response):
    """An exception after the first block: it was sent with a 200; the connection ends, nothing is added to it."""
    start_response("200 OK", plain(("Content-Length", "1000")))
    yield b"first\n"
    raise RuntimeError("checkapp raises late")


@route
def exit_(environ, start_response):
    """sys.exit(3): the server may answer 500; it may not end."""
    sys.exit(3)


@route
def interrupt(environ, start_response):
    """KeyboardInterrupt: an application may not end the server with that either."""
    raise KeyboardInterrupt


class Closing:
    """An iterable that appends a line to a file when it is closed."""

    def __init__(self, path, blocks):
        self.path, self.blocks = path, blocks

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        with open(self.path, "a") as log:
            log.write("closed\n")


@route
def close(environ, start_response):
    """close() of the iterable is called exactly once: it appends 'closed' to the file that the query names."""
    start_response("200 OK", plain())
    return Closing(query(environ), [b"one\n", b"two\n"])


@route
def close_unread(environ, start_response):
    """start_response is never called: 500, and close() is called as well."""
    return Closing(query(environ), [b"never seen\n"])


@route
def close_raise(environ, start_response):
    """The iteration fails after a block; close() is called all the same."""
    def blocks():
        yield b"one\n"
        raise RuntimeError("checkapp raises while it is iterated")
    start_response("200 OK", plain())
    return Closing(query(environ), blocks())


@route
def close_fails(environ, start_response):
    """close() itself raises: the answer was complete and stays so; the server goes on."""
    class Fails(Closing):
        def close(self):
            raise RuntimeError("checkapp raises in close()")
    start_response("200 OK", plain())
    return Fails(None, [b"whole\n"])


@route
def close_hangup(environ, start_response):
    """100 MB, for a client that goes away in the middle: the iteration stops and close() is called."""
    start_response("200 OK", plain())
    return Closing(query(environ), (b"x" * 100_000 for _ in range(1000)))


@route
def keep(environ, start_response):
    """Keeps start_response and write for ever: the client must see the end all the same. The body tells what the
    write of the request before did when it was called now: it must not reach any client."""
    said = "first"
    if kept:
        try:
            kept[-1][1](b"written after the end\n")
            said = "accepted"
        except BaseException as error:
            said = f"refused: {type(error).__name__}"
    kept.append((start_response, start_response("200 OK", plain())))
    return [f"{said}\n".encode()]


@route
def keep_input(environ, start_response):
    """Keeps wsgi.input, unread, for ever. The body tells what the one of the request before has left to read."""
    said = repr(kept_inputs[-1].read()) if kept_inputs else "first"
    kept_inputs.append(environ["wsgi.input"])
    return text(start_response, said)


@route
def cycle(environ, start_response):
    """All of the request stays in a traceback that refers to itself, and nothing collects it: the client sees the
    end all the same."""
    gc.disable()
    write = start_response("200 OK", plain())
    try:
        raise RuntimeError("checkapp makes a cycle")
    except RuntimeError:
        cycle = sys.exc_info()
    return [f"{cycle[0].__name__} {write is not None}\n".encode()]


# Iterables that are odd, or hostile


@route
def len_fails(environ, start_response):
    """__len__ raises: the server does without (as wsgiref does); ?FILE: and close() is called."""
    class Fails(Closing):
        def __len__(self):
            raise TypeError("checkapp has no length")
    start_response("200 OK", plain())
    return Fails(query(environ), [b"one\n", b"two\n"])


@route
def iter_fails(environ, start_response):
    """__iter__ raises: 500, and close() is called."""
    class Fails(Closing):
        def __iter__(self):
            raise RuntimeError("checkapp can't be iterated")
    start_response("200 OK", plain())
    return Fails(query(environ), None)


@route
def iter_missing(environ, start_response):
    """No __iter__ at all: 500, and close() is called."""
    class Missing:
        close = Closing(query(environ), None).close
    start_response("200 OK", plain())
    return Missing()


@route
def close_missing(environ, start_response):
    """Asking for close raises something else than AttributeError: the answer is whole, the error reported."""
    class Property(Closing):
        @property
        def close(self):
            raise RuntimeError("checkapp has no close today")
    start_response("200 OK", plain())
    return Property(None, [b"whole\n"])


@route
def list_subclass(environ, start_response):
    """A list with a close() and an iterator of its own: they are used."""
    class List(list):
        def __iter__(self):
            return iter([b"iterated\n"])

        def close(self):
            Closing(query(environ), None).close()
    start_response("200 OK", plain())
    return List([b"stored\n"])


@route
def str_subclass(environ, start_response):
    """Status, names and values of a subclass of str with its own ideas: taken for the text that they are."""
    class Text(str):
        def encode(self, *_):
            return b"encoded"

        def __str__(self):
            return "shown"
    start_response(Text("200 OK"), [(Text("X-Text"), Text("as it is")), ("Content-Type", Text("text/plain"))])
    return [b"fine\n"]


@route
def bytes_subclass(environ, start_response):
    """A block of a subclass of bytes with its own ideas: its bytes are sent."""
    class Block(bytes):
        def __len__(self):
            return 1000

        def __bytes__(self):
            return b"other bytes"
    start_response("200 OK", plain())
    return [Block(b"fine\n")]


@route
def headers_changed(environ, start_response):
    """The list of headers is emptied, or given what is forbidden, once start_response has it: no effect."""
    headers = plain(("X-First", "yes"))
    start_response("200 OK", headers)
    headers[:] = [("X-Bad", "one\r\nX-Injected: two")]
    return [b"fine\n"]


@route
def generator_returns(environ, start_response):
    """A generator that returns a value: the value is nobody's."""
    start_response("200 OK", plain())
    yield b"fine\n"
    return [b"not sent\n"]


@route
def string(environ, start_response):
    """bytes instead of a list of them, whose items are ints: 500."""
    start_response("200 OK", plain())
    return b"no list\n"


@route
def bytearray_(environ, start_response):
    """A bytearray where bytes have to be: 500."""
    start_response("200 OK", plain())
    return [bytearray(b"no bytes\n")]


@route
def error_without_text(environ, start_response):
    """An exception whose text can't be had: 500, and its class on wsgi.errors."""
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("checkapp does not tell")
    raise Mute


@route
def error_with_surrogate(environ, start_response):
    """An exception whose text is no UTF-8: 500, and the traceback on wsgi.errors."""
    raise RuntimeError("checkapp raises \udcff")


@route
def recursion(environ, start_response):
    """Calls itself without end: 500."""
    return recursion(environ, start_response)


# Statuses and headers that must not go out


@route
def bad_header_newline(environ, start_response):
    """A line break in a header's value: refused."""
    return must_refuse(environ, start_response, "200 OK", plain(("X-Bad", "one\r\nX-Injected: two")))


@route
def bad_header_name(environ, start_response):
    """'X Bad:' as a header's name: refused."""
    return must_refuse(environ, start_response, "200 OK", plain(("X Bad:", "value")))


@route
def bad_header_type(environ, start_response):
    """bytes in a header's value, ?name: in its name, ?pair: a list for a tuple, ?list: a tuple of headers: refused."""
    wrong = {"name": [(b"X-Bad", "v")], "pair": [["X-Bad", "v"]], "list": (("X-Bad", "v"),)}
    kind = query(environ).partition("&")[0]
    return must_refuse(environ, start_response, "200 OK", wrong.get(kind, [("X-Bad", b"v")]))


@route
def wide_header(environ, start_response):
    """A snowman in a header, which Latin-1 has not: refused."""
    return must_refuse(environ, start_response, "200 OK", plain(("X-Bad", "\u2603")))


@route
def hop(environ, start_response):
    """Connection: keep-alive belongs to the server: refused."""
    return must_refuse(environ, start_response, "200 OK", plain(("Connection", "keep-alive")))


@route
def bad_status(environ, start_response):
    """The query is the status: ?200, ?abc, ?200%20OK%0D%0AX:%20y, ... (&caught after it): refused."""
    return must_refuse(environ, start_response, query(environ).removesuffix("&caught"), plain())


@route
def latin1(environ, start_response):
    """A header with a Latin-1 letter, one byte on the wire; the body is PATH_INFO, one character per byte that came."""
    start_response("200 OK", plain(("X-Latin1", "caf\xe9")))
    return [f"{ascii(environ['PATH_INFO'])}\n".encode()]


# Bodies


@route
def length_short(environ, start_response):
    """Content-Length 5 and 11 bytes in two blocks: no more than 5 go out."""
    start_response("200 OK", plain(("Content-Length", "5")))
    return [b"123", b"45678901"]


@route
def length_long(environ, start_response):
    """Content-Length 20 and 11 bytes: the connection is closed after them, and the error reported."""
    start_response("200 OK", plain(("Content-Length", "20")))
    return [b"123", b"45678901"]


@route
def length_write(environ, start_response):
    """Content-Length 5 and write() of more: the write must raise; wsgi.errors gets a line about it."""
    write = start_response("200 OK", plain(("Content-Length", "5")))
    try:
        write(b"123")
        write(b"45678901")
        said = "accepted"
    except Exception as error:
        said = f"refused: {type(error).__name__}"
    environ["wsgi.errors"].write(f"checkapp: write beyond Content-Length {said}\n")
    environ["wsgi.errors"].flush()
    return []


def without_body(environ, start_response, status):
    start_response(status, [("X-Empty", "yes")])
    return [b"this must not be sent\n"] if query(environ) == "body" else []


routes["204"] = lambda environ, start_response: without_body(environ, start_response, "204 No Content")
routes["204"].__doc__ = "No body and no Content-Length; ?body: the application gives a body, which must not be sent."
routes["304"] = lambda environ, start_response: without_body(environ, start_response, "304 Not Modified")
routes["304"].__doc__ = routes["204"].__doc__


@route
def head(environ, start_response):
    """The same for every method; to HEAD the server sends the headers alone."""
    start_response("200 OK", plain(("Content-Length", "13"), ("X-Method", environ["REQUEST_METHOD"])))
    return [b"not for HEAD\n"]


@route
def one_of_one(environ, start_response):
    """A tuple of one block, ?object: an iterable whose len() is 1: gets a Content-Length."""
    class One:
        def __len__(self):
            return 1

        def __iter__(self):
            yield b"alone\n"
    start_response("200 OK", plain())
    return One() if query(environ) == "object" else (b"alone\n",)


@route
def empty(environ, start_response):
    """An empty body: the headers are sent at the end."""
    start_response("200 OK", plain())
    return []


@route
def non_bytes(environ, start_response):
    """A str where bytes have to be: 500."""
    start_response("200 OK", plain())
    return ["text, not bytes\n"]


@route
def non_bytes_late(environ, start_response):
    """A str after a good block: the answer is cut off."""
    start_response("200 OK", plain())
    return [b"first\n", "text, not bytes\n"]


@route
def non_iterable(environ, start_response):
    """Returns 5: 500."""
    start_response("200 OK", plain())
    return 5


@route
def none(environ, start_response):
    """Returns None: 500."""
    start_response("200 OK", plain())


@route
def big(environ, start_response):
    """?N: N blocks of 1 MB (1048576 bytes), with Content-Length."""
    count = int(query(environ) or 1)
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(count << 20))])
    return (bytes([65 + number % 26]) * (1 << 20) for number in range(count))


@route
def file(environ, start_response):
    """A file of 100000 bytes from byte 10 on, in wsgi.file_wrapper if there is one; ?object: it has no descriptor."""
    content = b"0123456789" * 10_000
    if query(environ) == "object":
        stream = io.BytesIO(content)
    else:
        stream = tempfile.TemporaryFile()
        stream.write(content)
        stream.flush()
    stream.seek(10)
    wrapper = environ.get("wsgi.file_wrapper")
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("X-Wrapper", "yes" if wrapper else "no")])
    return wrapper(stream, 8192) if wrapper else iter(lambda: stream.read(8192), b"")


# Python inside a server's process


@route
def subprocess_(environ, start_response):
    """3: the status of a child that the application started, not lost to the server's SIGCHLD."""
    return text(start_response, subprocess.run(["sh", "-c", "exit 3"]).returncode)


@route
def random_(environ, start_response):
    """A random number: children of a forking server must not all have the same."""
    return text(start_response, random.random())


@route
def thread(environ, start_response):
    """A count that a thread started at import raises every 10 ms (in a forked child it stands still)."""
    return text(start_response, ticks)


def count_during(work):
    """How often another thread runs, every 10 ms, while `work` is done."""
    count, done = 0, threading.Event()
    def run():
        nonlocal count
        while not done.wait(0.01):
            count += 1
    thread = threading.Thread(target=run)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    return count


@route
def thread_reading(environ, start_response):
    """How often another thread runs while the body is read, for which the client takes its time."""
    return text(start_response, count_during(environ["wsgi.input"].read))


@route
def thread_writing(environ, start_response):
    """30 MB by write(), for a client that takes its time; then how often another thread ran meanwhile."""
    write = start_response("200 OK", plain())
    return [b"\n%d\n" % count_during(lambda: write(b"x" * 30_000_000))]


@route
def thread_sending(environ, start_response):
    """The same as blocks of a generator."""
    start_response("200 OK", plain())
    sent = threading.Event()
    counts = []
    thread = threading.Thread(target=lambda: counts.append(count_during(sent.wait)))
    thread.start()
    yield b"x" * 30_000_000
    sent.set()
    thread.join()
    yield b"\n%d\n" % counts[0]


@route
def print_(environ, start_response):
    """A line on standard output and one that does not end there, which have to be seen, also by those who wait for
    the output of a child that is gone."""
    print("checkapp: printed")
    print("checkapp: without an end", end="")
    return text(start_response, "printed")


@route
def allocated(environ, start_response):
    """How many blocks of memory Python has in use: what requests leave behind."""
    gc.collect()
    return text(start_response, sys.getallocatedblocks())


@route
def pid(environ, start_response):
    """The process that answers."""
    return text(start_response, os.getpid())
