package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// parsePIDs reads a comma-separated list of process ids.
func parsePIDs(s string) ([]int, error) {
	var pids []int
	for field := range strings.SplitSeq(s, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		pid, err := strconv.Atoi(field)
		if err != nil || pid <= 0 {
			return nil, fmt.Errorf("read process id %q: not a positive number", field)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// parseStatCPU reads the user and system ticks out of /proc/PID/stat. The second
// field is the command in parentheses and may hold anything, parentheses too.
func parseStatCPU(stat []byte) (ticks uint64, err error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, fmt.Errorf("read stat: no command name in %q", stat)
	}
	fields := bytes.Fields(stat[end+1:]) // fields[0] is field 3 of proc(5)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read stat: only %d fields", len(fields)+2)
	}
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read stat: %w", err)
		}
		ticks += n
	}
	return ticks, nil
}

// parseKB returns the value in bytes of a line "Name:   123 kB", as in
// /proc/PID/smaps_rollup and /proc/PID/status.
func parseKB(file []byte, name string) (uint64, error) {
	for line := range bytes.Lines(file) {
		rest, found := bytes.CutPrefix(line, []byte(name+":"))
		if !found {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("read %s: not a number of kB: %q", name, rest)
		}
		n, err := strconv.ParseUint(string(fields[0]), 10, 54)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", name, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("find the line %s", name)
}

// parseIdle returns the time in ticks that all processors together have had
// nothing to do, out of /proc/stat, and their number. The kernel knows idle time
// to the microsecond; its other columns come from samples at the timer tick, and a
// load that runs in step with the tick is not seen by them.
func parseIdle(stat []byte) (idle uint64, processors int, err error) {
	for line := range bytes.Lines(stat) {
		fields := bytes.Fields(line)
		if len(fields) == 0 || !bytes.HasPrefix(fields[0], []byte("cpu")) {
			break
		}
		if len(fields[0]) > len("cpu") {
			processors++
			continue
		}
		if len(fields) < 6 {
			return 0, 0, fmt.Errorf("read /proc/stat: first line is %q", line)
		}
		for _, f := range fields[4:6] { // idle, waiting for the disk
			n, err := strconv.ParseUint(string(f), 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
			}
			idle += n
		}
	}
	if processors == 0 {
		return 0, 0, fmt.Errorf("read /proc/stat: it names no processor")
	}
	return idle, processors, nil
}

// parseUDPErrors returns the datagrams that this network namespace threw away
// because a socket's buffer was full, out of /proc/net/snmp.
func parseUDPErrors(snmp []byte) (uint64, error) {
	var names [][]byte
	for line := range bytes.Lines(snmp) {
		rest, found := bytes.CutPrefix(line, []byte("Udp:"))
		if !found {
			continue
		}
		fields := bytes.Fields(rest)
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if string(name) == "RcvbufErrors" && i < len(fields) {
				return strconv.ParseUint(string(fields[i]), 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("find RcvbufErrors of Udp in /proc/net/snmp")
}
