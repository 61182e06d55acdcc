#!/bin/sh
# A server by nc: one connection after the other, each with the answer before the request.
# Run: sh nc.sh PORT
while printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHello, World!\n' | nc -N -l 127.0.0.1 "$1" > /dev/null; do
    :
done
