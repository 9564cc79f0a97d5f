package bench

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of /proc/PID/stat and /proc/stat on Linux (USER_HZ).
const clockTick = 10 * time.Millisecond

// processCPU returns the CPU time that all threads of a process have used so far,
// ended ones included. It reads the process's CPU clock, which counts in
// nanoseconds, and falls back to /proc/PID/stat, which counts in 10 ms.
func processCPU(pid int) (time.Duration, error) {
	var ts unix.Timespec
	// The id of another process's clock, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err == nil {
		return time.Duration(ts.Nano()), nil
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	ticks, err := parseStatCPU(stat)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ticks) * clockTick, nil
}

// machineCPU returns the time that all processors together have been busy since
// some fixed moment; only differences mean anything.
func machineCPU() (time.Duration, error) {
	now := time.Since(processStart)
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	idle, processors, err := parseIdle(stat)
	return time.Duration(processors)*now - time.Duration(idle)*clockTick, err
}

// processStart is the moment that machineCPU counts from.
var processStart = time.Now()

// processRSS returns the memory that a process has resident, in bytes.
func processRSS(pid int) (uint64, error) {
	file, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	name := "Rss"
	if err != nil {
		file, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		name = "VmRSS"
	}
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return parseKB(file, name)
}

// processFDs returns the number of open file descriptors of a process.
func processFDs(pid int) (int, error) {
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		return 0, fmt.Errorf("count the descriptors of process %d: %w", pid, err)
	}
	return len(names), nil
}

// udpErrors returns the datagrams lost to full socket buffers in this network
// namespace, for all its sockets.
func udpErrors() uint64 {
	snmp, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		return 0
	}
	n, err := parseUDPErrors(snmp)
	if err != nil {
		return 0
	}
	return n
}

// usage is what the watched processes have used up to a moment.
type usage struct {
	cpu     map[int]time.Duration
	rss     map[int]uint64
	fds     map[int]int
	machine time.Duration
}

// usageOf reads what the processes have used. Its memory reading walks their page
// tables, so it stays out of measured stretches: full says whether to read it.
func usageOf(pids []int, full bool) (usage, error) {
	u := usage{cpu: map[int]time.Duration{}, rss: map[int]uint64{}, fds: map[int]int{}}
	var err error
	for _, pid := range pids {
		if u.cpu[pid], err = processCPU(pid); err != nil {
			return u, err
		}
		if !full {
			continue
		}
		if u.rss[pid], err = processRSS(pid); err != nil {
			return u, err
		}
		if u.fds[pid], err = processFDs(pid); err != nil {
			return u, err
		}
	}
	if u.machine, err = machineCPU(); err != nil {
		return u, err
	}
	return u, nil
}

// raiseFileLimit lets this process open at least n files, if it may.
func raiseFileLimit(n uint64) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if lim.Cur >= n {
		return nil
	}
	lim.Cur, lim.Max = n, max(n, lim.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("raise the limit of open files to %d (one socket a leg): %w; set 'ulimit -n'", n, err)
	}
	return nil
}
