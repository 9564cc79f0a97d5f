package floats

import (
	"context"

	"rtpjet/cmd/rtpjet/keeper"
)

// Leave gives all floats of a node that ends to others, and waits a moment for that.
func (d *Driver) Leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	d.HandOver(ctx)
}

// HandOver gives all floats of this node to others; calls go on there. It returns when it holds none, or ctx ends.
func (d *Driver) HandOver(ctx context.Context) (left int) {
	d.Drain(true)
	for _, f := range d.Held() {
		if _, err := d.Move(ctx, f.id, ""); err != nil && f.Holding() {
			d.log.Warn("a float cannot be given to another node", "float", f.id, "err", err)
			return len(d.Held())
		}
	}
	d.Wait(ctx, func() bool { return len(d.Held()) == 0 })
	return len(d.Held())
}

// Drain has this node want no floats, or want them again.
func (d *Driver) Drain(on bool) {
	d.mu.Lock()
	d.drain = on
	d.mu.Unlock()
	d.toKeeper(func(k Keeper) error { return k.Drain(on) })
}

// Move begins to give a float to another node, the one with the least to do if to is empty, and returns to which.
func (d *Driver) Move(ctx context.Context, id, to string) (target string, err error) {
	k := d.current()
	if k == nil {
		return "", keeper.ErrEnded
	}
	return k.Move(ctx, id, to)
}
