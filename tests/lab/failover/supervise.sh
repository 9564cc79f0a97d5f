#!/bin/sh
# supervise.sh FILE COMMAND...: runs rtpengine, and has keepalived know by FILE when it has ended, as a
# service manager would (systemd's ExecStopPost). The process id goes into FILE.pid.
file=$1
shift
# It has next to nothing to do, but at once, whatever else the machine does; rtpengine does not inherit it.
chrt --reset-on-fork --fifo --pid 40 $$
"$@" &
echo $! >"$file.pid"
echo 0 >"$file"
wait $!
echo 1 >"$file"
