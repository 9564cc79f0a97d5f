package peers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/admin"
	"rtpjet/cmd/rtpjet/version"
	"rtpjet/embed"
	"rtpjet/events"
	"rtpjet/projection/members"
	"rtpjet/projection/transact"
)

// Claim takes the node's lease at its start. A process that has the name already and answers is left alone, and so is a
// cluster whose events this build cannot read, or whose log is sealed with another key. After an error the membership is of no use.
func (m *Membership) Claim(ctx context.Context) error {
	err := m.claim(ctx)
	if err != nil {
		m.udp.close()
	}
	return err
}

func (m *Membership) claim(ctx context.Context) error {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make an id for this process: %w", err)
	}
	mine := members.Lease{
		Format: events.Version, Level: events.Level, Node: m.id, Zone: m.cfg.Zone, State: members.Up, Instance: hex.EncodeToString(id[:]),
		Version: version.Short(), Started: m.wall(), NG: m.cfg.NG, UDP: m.udp.addr(), Keeper: m.cfg.Keeper,
	}
	mine.Describe(m.cfg.Interfaces)
	if err := m.checkKey(ctx); err != nil {
		return err
	}
	for {
		have, err := m.link.GetLease(ctx, members.LeasePrefix+m.id)
		if err != nil {
			return fmt.Errorf("read the lease of node %s: %w", m.id, err)
		}
		mine.Epoch = 1
		if have.Revision > 0 {
			old, err := members.DecodeLease(have.Value)
			if err != nil {
				return fmt.Errorf("the lease of node %s cannot be read (%w); it is left alone: delete the key %s from the bucket of leases",
					m.id, err, have.Key)
			}
			if old.Format > events.Version {
				return fmt.Errorf("node %s was run by a release that writes events of version %d, and this one reads up to %d: "+
					"run that release (%s)", m.id, old.Format, events.Version, old.Version)
			}
			if old.State == members.Up && m.answers(ctx) {
				return nameTaken(m.id, fmt.Sprintf("is run by another process (since %s, NG on %v)",
					time.UnixMicro(old.Started).UTC().Format(time.RFC3339), old.NG))
			}
			mine.Epoch = old.Epoch + 1
		}
		mine.At = m.wall()
		rev, err := m.link.PutLease(ctx, members.LeasePrefix+m.id, mine.Encode(), have.Revision)
		if errors.Is(err, embed.ErrConflict) {
			continue // a peer noted that we were gone, or another process of this name starts
		}
		if err != nil {
			return fmt.Errorf("claim the lease of node %s: %w", m.id, err)
		}
		m.setLease(mine, rev)
		return nil
	}
}

// setLease notes what this node has written into its lease.
func (m *Membership) setLease(mine members.Lease, rev uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mine, m.rev = mine, rev
	m.epoch.Store(mine.Epoch)
}

// Epoch is that of this node's lease; 0 before the claim.
func (m *Membership) Epoch() uint64 { return m.epoch.Load() }

// keyLease is where the bucket has the fingerprint of the cluster key.
const keyLease = "cluster.key"

// checkKey refuses a node whose keys are not those of the log: it could not read the secrets there, its heartbeats would not
// be believed, and it would write what the others cannot read. A first key may come at any time; another one in its place
// comes as the first line of the file, with the one before below it, and becomes the log's when no other node runs.
func (m *Membership) checkKey(ctx context.Context) error {
	ours := []string{keyNone}
	for i, key := range m.cfg.SealKeys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("rtpjet cluster key fingerprint"))
		if i == 0 {
			ours = nil
		}
		ours = append(ours, hex.EncodeToString(h.Sum(nil)[:8]))
	}
	for {
		have, err := m.link.GetLease(ctx, keyLease)
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
			peer, err := m.anyPeer(ctx)
			if err != nil {
				return err
			}
			if peer != "" {
				if theirs == keyNone {
					return fmt.Errorf("node %s runs without a cluster key: stop all nodes, and start them with the same --cluster-key-file", peer)
				}
				return nil // the others have the key before in use
			}
			m.log.Warn("the cluster key is another one from now on", "before", theirs, "now", ours[0])
		}
		if _, err = m.link.PutLease(ctx, keyLease, []byte(ours[0]), have.Revision); !errors.Is(err, embed.ErrConflict) {
			return err
		}
	}
}

// keyNone is the fingerprint of a log without a key.
const keyNone = "none"

// anyPeer finds a node that runs; "" if there is none.
func (m *Membership) anyPeer(ctx context.Context) (string, error) {
	peers, err := admin.Leases(ctx, m.link)
	if err != nil {
		return "", err
	}
	for _, l := range peers {
		if l.Node != m.id && m.ping(ctx, l.Node, DefaultTimeout) == nil {
			return l.Node, nil
		}
	}
	return "", nil
}

// answers tells whether a process of this node's name is there. If it is asleep or cut off, the claim's epoch keeps it from
// coming back unnoticed.
func (m *Membership) answers(ctx context.Context) bool {
	return m.ping(ctx, m.id, DefaultTimeout) == nil
}

// followLeases keeps the view of the leases up to date.
func (m *Membership) followLeases(ctx context.Context) error {
	once := false
	return m.link.FollowLeases(ctx, m.leaseChanged, func() {
		if !once {
			once = true
			close(m.seen)
		}
	})
}

// leaseChanged notes what has become of any lease.
func (m *Membership) leaseChanged(in embed.Lease, deleted bool) {
	id, ok := strings.CutPrefix(in.Key, members.LeasePrefix)
	if !ok || id == "" {
		m.host.OtherLease(in, deleted)
		return
	}
	defer m.host.NodesChanged()
	var l members.Lease
	if !deleted {
		var err error
		if l, err = members.DecodeLease(in.Value); err != nil {
			m.log.Error("a lease cannot be read; it is left alone", "key", in.Key, "err", err)
			return
		}
	}
	switch {
	case id == m.id:
		m.ownLeaseChanged(l, in.Revision, deleted)
	case deleted:
		m.peerLeaseDeleted(id)
	default:
		m.peerLeaseChanged(id, l, in.Revision)
	}
}

// peerLeaseDeleted notes that somebody deleted a peer's lease. Its addresses stay known: a bucket that somebody deleted must not make
// calls fail.
func (m *Membership) peerLeaseDeleted(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.leases[id]; ok {
		p.rev = 0
		m.leases[id] = p
	}
}

func (m *Membership) peerLeaseChanged(id string, l members.Lease, rev uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.leases[id]
	if rev < before.rev {
		return // a write of this node, of which it hears after a change that came later
	}
	p := peerLease{Lease: l, rev: rev}
	if len(l.Interfaces) > 0 {
		table, err := l.Table()
		if err != nil {
			m.log.Error("the media addresses of a peer cannot be used; it gets no calls from here", "peer", id, "err", err)
		}
		p.table = table
	}
	if l.Format > events.Version && m.warnLocked("format "+id) {
		m.log.Error("a peer writes events that this build cannot read: update this node",
			"peer", id, "its version", l.Format, "ours", events.Version)
	}
	m.leases[id] = p
	m.table.Locate(id, p.Zone, p.table)
	m.table.Announced(id, l.Level, l.State == members.Up)
	switch {
	case l.State == members.Lost && (!known || before.State != members.Lost):
		m.log.Warn("a node is gone; its calls get other owners as they are asked for", "peer", id, "declared by", l.By)
	case l.State == members.Up && known && before.Epoch != l.Epoch:
		m.log.Info("a node is back", "peer", id, "epoch", l.Epoch)
	}
}

// ownLeaseChanged notes what happened to our own lease. If peers took us for gone, because we were asleep or cut off, we
// claim it anew: the calls that they took over are theirs by the log, the others are still ours.
func (m *Membership) ownLeaseChanged(l members.Lease, rev uint64, deleted bool) {
	m.mu.Lock()
	mine := m.mine
	if mine.Epoch == 0 || rev <= m.rev && !deleted {
		m.mu.Unlock()
		return
	}
	if !deleted && l.Epoch == mine.Epoch && l.Instance == mine.Instance {
		m.rev = rev // our own write
		m.mu.Unlock()
		return
	}
	if !deleted && l.State == members.Up && l.Instance != mine.Instance {
		m.endLocked(nameTaken(m.id, fmt.Sprintf("was claimed by another process with NG on %v", l.NG)))
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	if !m.reclaiming.CompareAndSwap(false, true) {
		return // it is under way
	}
	if deleted {
		m.log.Warn("the lease of this node was deleted; it is written again")
	} else {
		m.log.Warn("peers took this node for gone; it claims its lease anew, and gives up the calls that they took over", "declared by", l.By)
	}
	m.reclaims <- struct{}{} // has room: one at a time
}

// reclaimer claims our lease anew whenever peers took this node for gone, until ctx ends.
func (m *Membership) reclaimer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.reclaims:
			m.reclaim(ctx)
		}
	}
}

// reclaim writes our lease again, with the next epoch.
func (m *Membership) reclaim(parent context.Context) {
	defer m.reclaiming.Store(false)
	ctx, cancel := context.WithTimeout(parent, reclaimTime)
	defer cancel()
	err := m.update(ctx, func(l *members.Lease, have uint64) { l.Epoch = max(l.Epoch, have) + 1 })
	if err != nil && parent.Err() == nil {
		m.log.Error("the lease of this node cannot be claimed anew; its next restart will", "err", err)
	}
}

// Update changes our lease. Its epoch stays.
func (m *Membership) Update(ctx context.Context, change func(l *members.Lease)) error {
	return m.update(ctx, func(l *members.Lease, _ uint64) { change(l) })
}

// update changes our lease. have is the epoch that the bucket has.
func (m *Membership) update(ctx context.Context, change func(l *members.Lease, have uint64)) error {
	for {
		have, err := m.link.GetLease(ctx, members.LeasePrefix+m.id)
		if err != nil {
			return err
		}
		var old members.Lease
		if have.Revision > 0 {
			if old, err = members.DecodeLease(have.Value); err != nil {
				return err
			}
		}
		m.mu.Lock()
		mine := m.mine
		m.mu.Unlock()
		if old.State == members.Up && old.Instance != mine.Instance {
			err := nameTaken(m.id, fmt.Sprintf("was claimed by another process with NG on %v", old.NG))
			m.End(err)
			return err
		}
		mine.At = m.wall() // and it is up, whatever others have made of it
		change(&mine, old.Epoch)
		rev, err := m.link.PutLease(ctx, members.LeasePrefix+m.id, mine.Encode(), have.Revision)
		if errors.Is(err, embed.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		m.setLease(mine, rev)
		return nil
	}
}

// Fence claims the lease of a node that is gone, unless somebody has. An error matches transact.ErrConflict if the node is back; those
// of the bucket are as they are.
func (m *Membership) Fence(ctx context.Context, id string) error {
	m.mu.Lock()
	known := m.leases[id]
	m.mu.Unlock()
	if known.rev > 0 && known.State != members.Up {
		return nil // a peer was faster, or it ended as it should
	}
	have, err := m.link.GetLease(ctx, members.LeasePrefix+id)
	if err != nil {
		return err
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
	l.Node, l.State, l.By, l.At = id, members.Lost, m.id, m.wall()
	l.Epoch++
	rev, err := m.link.PutLease(ctx, members.LeasePrefix+id, l.Encode(), have.Revision)
	if err != nil {
		return err
	}
	m.leaseChanged(embed.Lease{Key: members.LeasePrefix + id, Value: l.Encode(), Revision: rev}, false)
	return nil
}

var errNameTaken = errors.New("the node id is in use")

func nameTaken(id, what string) error {
	return fmt.Errorf("%w: %s %s; give this node another --node-id, or stop the other one", errNameTaken, id, what)
}
