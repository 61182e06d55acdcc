"""The servers of the story in Python, for the tests of `client check`.

Run: python3 webserver.py STAGE PORT SLEEP

STAGE is one of 3a, 3c, 3d, 3e, 3f, 3g, or one with a flaw: `once` (3c that takes one recv for a request), `copy` (3c
whose children keep the listener open), `fragile` (3a that dies of a client that resets); or `threads`.
"""

import errno
import os
import re
import signal
import socket
import sys
import threading
import time

STAGE, PORT, SLEEP = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, World!\n"


def read_request(connection):
    request = connection.recv(1024)
    while request and STAGE != "once":
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and len(body) >= int(length[1] if length else 0):
            break
        more = connection.recv(65536)
        if not more:
            break
        request += more


def handle_request(connection):
    read_request(connection)
    connection.sendall(RESPONSE)
    time.sleep(SLEEP)


def wait_once(signum, frame):
    os.wait()


def wait_for_all(signum, frame):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def serve_in_thread(connection):
    try:
        handle_request(connection)
    except OSError:
        pass
    connection.close()


def serve_in_child(listener, connection):
    if os.fork() == 0:
        if STAGE != "copy":
            listener.close()
        try:
            handle_request(connection)
        except OSError:
            pass
        os._exit(0)


def accept(listener):
    while True:
        try:
            return listener.accept()[0]
        except OSError as error:
            if STAGE != "3g" or error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            time.sleep(0.05)


def main():
    listener = socket.create_server(("127.0.0.1", PORT), backlog=1024)
    if STAGE in ("3e", "3f"):
        signal.signal(signal.SIGCHLD, wait_once)
    if STAGE == "3g":
        signal.signal(signal.SIGCHLD, wait_for_all)
    kept = []
    while True:
        connection = accept(listener)
        if STAGE == "threads":
            threading.Thread(target=serve_in_thread, args=[connection], daemon=True).start()
        elif STAGE == "fragile":
            handle_request(connection)
            connection.close()
        elif STAGE == "3a":
            try:
                handle_request(connection)
            except OSError:
                pass
            connection.close()
        else:
            serve_in_child(listener, connection)
            if STAGE == "3d":
                kept.append(connection)
            else:
                connection.close()


main()
