package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"rtpjet/tests/lab"
)

// The disk of one node is full. The log is written elsewhere, so that all nodes go on, that one too; with room again it
// agrees with the others.
func TestDiskFull(t *testing.T) {
	lab.Only(t, "fills a disk")
	disk := filepath.Join(t.TempDir(), "data") // the node's log file is beside it
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	c := assemble(t, newLoopback(), 3)
	poor := c.nodes[2]
	poor.dir = disk
	c.launch()
	ks := c.placeEverywhere(6)
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	// Until its part of the streams has noticed and somebody else leads them, a command may be refused.
	eventually(t, "calls cannot be placed through the node with the full disk", func() error {
		k, err := c.newCall(newID("try"))
		if err != nil {
			return err
		}
		defer k.close()
		err = k.setUp(poor, poor)
		c.nodes[0].ok(remove(k.id)) // what is left of it
		return err
	})
	for range 20 {
		ks = append(ks, c.place(poor, poor))
	}
	c.talkAll(ks)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.replicas(callsStream, 3)
	c.agree()
	for _, k := range ks {
		poor.ok(remove(k.id))
	}
	c.idle()
}

// fill writes until there is no room.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for chunk := bytes.Repeat([]byte{1}, 1<<16); err == nil; _, err = f.Write(chunk) {
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
