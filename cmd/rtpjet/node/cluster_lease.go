package node

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// claim takes the node's lease at its start. A process that has the name already and answers is left alone, and so is a
// cluster whose events this build cannot read.
func (c *cluster) claim(ctx context.Context) error {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make an id for this process: %w", err)
	}
	mine := members.Lease{
		Format: events.Version, Level: events.Level, Node: c.n.id, Zone: c.n.cfg.Zone, State: members.Up, Instance: hex.EncodeToString(id[:]),
		Version: version.Short(), Started: c.n.now(), NG: c.n.Addrs(), UDP: c.udp.addr(), Keeper: c.n.floats.Addr(),
	}
	mine.Describe(c.n.cfg.Interfaces)
	if err := c.checkKey(ctx); err != nil {
		return err
	}
	for {
		have, err := c.link.GetLease(ctx, members.LeasePrefix+c.n.id)
		if err != nil {
			return fmt.Errorf("read the lease of node %s: %w", c.n.id, err)
		}
		mine.Epoch = 1
		if have.Revision > 0 {
			old, err := members.DecodeLease(have.Value)
			if err != nil {
				return fmt.Errorf("the lease of node %s cannot be read (%w); it is left alone: delete the key %s from the bucket of leases",
					c.n.id, err, have.Key)
			}
			if old.Format > events.Version {
				return fmt.Errorf("node %s was run by a release that writes events of version %d, and this one reads up to %d: "+
					"run that release (%s)", c.n.id, old.Format, events.Version, old.Version)
			}
			if old.State == members.Up && c.answers(ctx) {
				return nameTaken(c.n.id, fmt.Sprintf("is run by another process (since %s, NG on %v)",
					time.UnixMicro(old.Started).UTC().Format(time.RFC3339), old.NG))
			}
			mine.Epoch = old.Epoch + 1
		}
		mine.At = c.n.now()
		rev, err := c.link.PutLease(ctx, members.LeasePrefix+c.n.id, mine.Encode(), have.Revision)
		if errors.Is(err, embed.ErrConflict) {
			continue // a peer noted that we were gone, or another process of this name starts
		}
		if err != nil {
			return fmt.Errorf("claim the lease of node %s: %w", c.n.id, err)
		}
		c.mu.Lock()
		c.mine, c.rev = mine, rev
		c.mu.Unlock()
		c.epoch.Store(mine.Epoch)
		c.began = mine.Epoch
		return nil
	}
}

// keyLease is where the bucket has the fingerprint of the cluster key.
const keyLease = "cluster.key"

// checkKey refuses a node whose keys are not those of the log: it could not read the secrets there, its heartbeats would not
// be believed, and it would write what the others cannot read. A first key may come at any time; another one in its place
// comes as the first line of the file, with the one before below it, and becomes the log's when no other node runs.
func (c *cluster) checkKey(ctx context.Context) error {
	ours := []string{keyNone}
	for i, key := range c.n.cfg.SealKeys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("rtpjet cluster key fingerprint"))
		if i == 0 {
			ours = nil
		}
		ours = append(ours, hex.EncodeToString(h.Sum(nil)[:8]))
	}
	for {
		have, err := c.link.GetLease(ctx, keyLease)
		if err != nil {
			return fmt.Errorf("read the fingerprint of the cluster key: %w", err)
		}
		theirs := string(have.Value)
		if theirs == ours[0] {
			return nil
		}
		if have.Revision > 0 {
			if theirs != keyNone && !slices.Contains(ours, theirs) {
				return fmt.Errorf("the cluster key of this node is not the one that the log is sealed with (fingerprint %s, ours %s): "+
					"give it the file that the others have, or had, with --cluster-key-file; a new key goes above the old one", theirs, ours[0])
			}
			peer, err := c.anyPeer(ctx)
			if err != nil {
				return err
			}
			if peer != "" {
				if theirs == keyNone {
					return fmt.Errorf("node %s runs without a cluster key: stop all nodes, and start them with the same --cluster-key-file", peer)
				}
				return nil // the others have the key before in use
			}
			c.log.Warn("the cluster key is another one from now on", "before", theirs, "now", ours[0])
		}
		if _, err = c.link.PutLease(ctx, keyLease, []byte(ours[0]), have.Revision); !errors.Is(err, embed.ErrConflict) {
			return err
		}
	}
}

// keyNone is the fingerprint of a log without a key.
const keyNone = "none"

// anyPeer finds a node that runs; "" if there is none.
func (c *cluster) anyPeer(ctx context.Context) (string, error) {
	peers, err := admin.Leases(ctx, c.link)
	if err != nil {
		return "", err
	}
	for _, l := range peers {
		if l.Node != c.n.id && c.ping(ctx, l.Node, DefaultNodeTimeout) == nil {
			return l.Node, nil
		}
	}
	return "", nil
}

// answers tells whether a process of this node's name is there. If it is asleep or cut off, the claim's epoch keeps it from
// coming back unnoticed.
func (c *cluster) answers(ctx context.Context) bool {
	return c.ping(ctx, c.n.id, DefaultNodeTimeout) == nil
}

// followLeases keeps the view of the leases up to date.
func (c *cluster) followLeases(ctx context.Context) error {
	once := false
	return c.link.FollowLeases(ctx, c.leaseChanged, func() {
		if !once {
			once = true
			close(c.seen)
		}
	})
}

func (c *cluster) leaseChanged(in embed.Lease, deleted bool) {
	if name, ok := cutRegion(in.Key); ok {
		if deleted {
			in.Value = nil
		}
		c.n.regions.noteLease(name, in.Value, in.Revision)
		return
	}
	id, ok := cutLease(in.Key)
	if !ok {
		c.n.floats.Recorded(in, deleted)
		return
	}
	defer c.n.floats.NodesChanged()
	var l members.Lease
	if !deleted {
		var err error
		if l, err = members.DecodeLease(in.Value); err != nil {
			c.log.Error("a lease cannot be read; it is left alone", "key", in.Key, "err", err)
			return
		}
	}
	if id == c.n.id {
		c.ownLeaseChanged(l, in.Revision, deleted)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if deleted {
		// Its addresses stay known: a bucket that somebody deleted must not make calls fail.
		if p, ok := c.leases[id]; ok {
			p.rev = 0
			c.leases[id] = p
		}
		return
	}
	p := peerLease{Lease: l, rev: in.Revision}
	if len(l.Interfaces) > 0 {
		table, err := l.Table()
		if err != nil {
			c.log.Error("the media addresses of a peer cannot be used; it gets no calls from here", "peer", id, "err", err)
		}
		p.table = table
	}
	if l.Format > events.Version && c.warnLocked("format "+id) {
		c.log.Error("a peer writes events that this build cannot read: update this node",
			"peer", id, "its version", l.Format, "ours", events.Version)
	}
	before, known := c.leases[id]
	c.leases[id] = p
	c.table.Locate(id, p.Zone, p.table)
	c.announcedLocked(id, l)
	switch {
	case l.State == members.Lost && (!known || before.State != members.Lost):
		c.log.Warn("a node is gone; its calls get other owners as they are asked for", "peer", id, "declared by", l.By)
	case l.State == members.Up && known && before.Epoch != l.Epoch:
		c.log.Info("a node is back", "peer", id, "epoch", l.Epoch)
	}
}

// ownLeaseChanged notes what happened to our own lease. If peers took us for gone, because we were asleep or cut off, we
// claim it anew: the calls that they took over are theirs by the log, the others are still ours.
func (c *cluster) ownLeaseChanged(l members.Lease, rev uint64, deleted bool) {
	c.mu.Lock()
	mine := c.mine
	if mine.Epoch == 0 || rev <= c.rev && !deleted {
		c.mu.Unlock()
		return
	}
	if !deleted && l.Epoch == mine.Epoch && l.Instance == mine.Instance {
		c.rev = rev // our own write
		c.mu.Unlock()
		return
	}
	if !deleted && l.State == members.Up && l.Instance != mine.Instance {
		c.endLocked(nameTaken(c.n.id, fmt.Sprintf("was claimed by another process with NG on %v", l.NG)))
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	if !c.reclaiming.CompareAndSwap(false, true) {
		return // it is under way
	}
	if deleted {
		c.log.Warn("the lease of this node was deleted; it is written again")
	} else {
		c.log.Warn("peers took this node for gone; it claims its lease anew, and gives up the calls that they took over", "declared by", l.By)
	}
	go c.reclaim()
}

// reclaim writes our lease again, with the next epoch.
func (c *cluster) reclaim() {
	defer c.reclaiming.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := c.update(ctx, func(l *members.Lease, have uint64) { l.Epoch = max(l.Epoch, have) + 1 })
	if err != nil {
		c.log.Error("the lease of this node cannot be claimed anew; its next restart will", "err", err)
	}
}

// update changes our lease. have is the epoch that the bucket has.
func (c *cluster) update(ctx context.Context, change func(l *members.Lease, have uint64)) error {
	for {
		have, err := c.link.GetLease(ctx, members.LeasePrefix+c.n.id)
		if err != nil {
			return err
		}
		var old members.Lease
		if have.Revision > 0 {
			if old, err = members.DecodeLease(have.Value); err != nil {
				return err
			}
		}
		c.mu.Lock()
		mine := c.mine
		c.mu.Unlock()
		if old.State == members.Up && old.Instance != mine.Instance {
			err := nameTaken(c.n.id, fmt.Sprintf("was claimed by another process with NG on %v", old.NG))
			c.end(err)
			return err
		}
		mine.State, mine.By, mine.At = members.Up, "", c.n.now()
		change(&mine, old.Epoch)
		rev, err := c.link.PutLease(ctx, members.LeasePrefix+c.n.id, mine.Encode(), have.Revision)
		if errors.Is(err, embed.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.mine, c.rev = mine, rev
		c.mu.Unlock()
		c.epoch.Store(mine.Epoch)
		return nil
	}
}

// fence claims the lease of a node that is gone.
func (c *cluster) fence(ctx context.Context, id string) error {
	c.mu.Lock()
	known := c.leases[id]
	c.mu.Unlock()
	if known.rev > 0 && known.State != members.Up {
		return nil // a peer was faster, or it ended as it should
	}
	have, err := c.link.GetLease(ctx, members.LeasePrefix+id)
	if err != nil {
		return appendError(err)
	}
	l := known.Lease // what is left if somebody deleted it
	if have.Revision > 0 {
		if l, err = members.DecodeLease(have.Value); err != nil {
			return fmt.Errorf("fence node %s: %w", id, err)
		}
	}
	if l.State == members.Lost || l.State == members.Down {
		return nil
	}
	if l.Epoch > known.Epoch && known.rev > 0 {
		return fmt.Errorf("node %s is back: %w", id, transact.ErrConflict)
	}
	l.Node, l.State, l.By, l.At = id, members.Lost, c.n.id, c.n.now()
	l.Epoch++
	rev, err := c.link.PutLease(ctx, members.LeasePrefix+id, l.Encode(), have.Revision)
	if err != nil {
		return appendError(err)
	}
	c.leaseChanged(embed.Lease{Key: members.LeasePrefix + id, Value: l.Encode(), Revision: rev}, false)
	return nil
}

func cutLease(key string) (node string, ok bool) {
	const p = members.LeasePrefix
	if len(key) <= len(p) || key[:len(p)] != p {
		return "", false
	}
	return key[len(p):], true
}
