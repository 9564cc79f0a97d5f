package keeper

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// dying is set in the process that TestLife kills.
const dying = "RTPJET_TEST_DYING_KEEPER"

func TestMain(m *testing.M) {
	if os.Getenv(dying) != "" {
		runtime.LockOSThread()
		mem, err := unix.Mmap(4, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err == nil {
			err = (&Deadlines{mem: mem}).live()
		}
		if err != nil {
			panic(err)
		}
		_, _ = os.NewFile(3, "up").Write([]byte{1})
		select {} // until it is killed
	}
	if len(os.Args) == 2 && os.Args[1] == Arg { // of TestKeeperLeavesNothingBehind: a keeper is this very program
		os.Exit(Run(os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// ownerDied is FUTEX_OWNER_DIED.
const ownerDied = 0x40000000

// TestLife kills a keeper: whoever sees that its files are closed sees the mark, too.
func TestLife(t *testing.T) {
	shared, err := NewDeadlines()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		shared.At(0).Store(1)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.FcntlInt(uintptr(shared.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		mem := os.NewFile(uintptr(fd), "deadlines")
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), dying+"=1")
		cmd.ExtraFiles = []*os.File{w, mem}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Close(), mem.Close()
		var b [1]byte
		if n, err := r.Read(b[:]); n != 1 {
			t.Fatalf("the process does not come up: %v", err)
		}
		if life := shared.Life().Load(); life == 0 || life&ownerDied != 0 || shared.At(0).Load() != 0 {
			t.Fatalf("sign of life %x, and a deadline of the keeper before: %d", life, shared.At(0).Load())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if n, _ := r.Read(b[:]); n != 0 {
			t.Fatal("more came from the process")
		}
		if life := shared.Life().Load(); life&ownerDied == 0 {
			t.Errorf("the process is gone, and its sign of life is %x", life)
		}
		_, _ = cmd.Wait(), r.Close()
	}
}
