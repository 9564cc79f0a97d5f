package transact

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rtpjet/events"
	"rtpjet/ngserver/ng"
	"rtpjet/projection"
	"rtpjet/projection/members"
)

// Settings are those of the node that matter for commands.
type Settings struct {
	Node        string // who appends
	InstanceID  string // 12 hex digits, for "loop protect"
	SIPSource   bool   // use received-from unless told otherwise
	DeleteDelay int    // seconds
	Level       int    // of the events that may be written, see [events.Level]
	MaxReply    int    // bytes with the cookie; a client would never learn of ports in a longer reply
}

// Result is what became of a command.
type Result struct {
	Reply ng.Reply
	// Err says why the command failed, for the log; nil if it did not.
	Err error
	// Full is true if a new call was refused because nobody has room.
	Full bool
	// PassedOver counts the crypto lines of an offer or answer that could not be used.
	PassedOver int
	// Undone is what the command asked for and did not get; the reply has a warning about it.
	Undone ng.Undone
	// Misplaced counts the sections of an answer that were refused because they answer nothing that was offered.
	Misplaced int
}

// The reasons for refusals that are not a decision's.
const (
	ReasonLog    = "Event log unavailable"
	ReasonSilent = "Owner of the call does not answer"
)

// step is what a decision leads to. event is nil if nothing changes.
type step struct {
	event events.Event
	fresh bool // the event begins a new generation of the call
	reply ng.Reply
	// These go into the result.
	passedOver int
	misplaced  int
	undone     ng.Undone
}

// command is a command whose decision can be made any number of times, on the call as it is.
type command struct {
	m       ng.Message
	creates bool // the command may begin a call
	// named is true if its reply names sockets, so that a call whose owner is gone needs another one first.
	named  bool
	digest uint64 // of an offer or answer
	decide func(c *projection.Call, owner string, res projection.Resources, now int64) (step, error)
}

// maxAttempts bounds how often a decision is made anew because another writer was faster, or an owner went away.
const maxAttempts = 8

// maxLoggedReply is the longest reply that an entry of the log has beside its event, in bytes. What a delete tells of a call with
// hundreds of sections would not fit into an entry, and the call could not be deleted.
const maxLoggedReply = 1 << 18

// runner is one command under way.
type runner struct {
	fx     Effects
	set    Settings
	cmd    command
	tried  []string // nodes that had no room for a new call
	looked bool     // the log was asked whether it knows the call
}

func run(fx Effects, set Settings, cmd command) Result {
	r := runner{fx: fx, set: set, cmd: cmd}
	var last error
	for range maxAttempts {
		res, err, done := r.attempt()
		if done {
			return res
		}
		last = err
	}
	return failed(ReasonLog, fmt.Errorf("not carried out in %d attempts: %w", maxAttempts, last))
}

func failed(reason string, err error) Result { return Result{Reply: ng.Error(reason), Err: err} }

// attempt decides once, on the call as it is now. done is false if the decision has to be made anew, err says why.
func (r *runner) attempt() (out Result, why error, done bool) {
	c := r.fx.Call()
	if !c.Live() && !r.cmd.creates && !r.looked {
		r.looked = true // it may have been created elsewhere a moment ago
		if err := r.fx.CatchUp(); err != nil {
			return failed(ReasonLog, err), nil, true
		}
	}
	switch reply, ok, err := r.replyInLog(c); {
	case err != nil: // it may be in the log: not to be done again because that could not be read
		return failed(ReasonLog, err), nil, true
	case ok:
		return Result{Reply: reply}, nil, true
	}
	owner := c.Owner
	switch {
	case !c.Live() && !r.cmd.creates:
		owner = r.set.Node // the decision will refuse the command
	case !c.Live():
		var ok bool
		if owner, ok = r.fx.Place(r.wish()); !ok {
			return Result{Reply: ng.LoadLimit(r.cmd.m.Request, ng.ReasonSessionLimit), Full: true}, nil, true
		}
	case r.cmd.named && r.fx.Judge(owner) == members.Gone:
		if err := TakeOver(r.fx, r.set.Node, WhyGone); err != nil {
			return r.afterError(err)
		}
		return out, errors.New("the call had to be taken over first"), false
	}
	return r.decide(c, owner)
}

// wish is what the new call that the command begins asks for.
func (r *runner) wish() Wish {
	return Wish{Tried: r.tried, Interfaces: r.cmd.m.Direction[:], Turn: Turn(r.cmd.m.CallID)}
}

func (r *runner) decide(c *projection.Call, owner string) (out Result, why error, done bool) {
	res := &reservation{fx: r.fx, owner: owner, turn: Turn(r.cmd.m.CallID)}
	now := r.fx.Now()
	st, err := r.cmd.decide(c, owner, res, now)
	if err != nil || st.event == nil {
		res.release()
		if !errors.Is(err, ErrSilent) {
			switch more, look := r.look(); {
			case look != nil:
				return failed(ReasonLog, look), nil, true
			case more:
				return out, errors.New("the log had more of the call"), false
			}
		}
		if err != nil {
			return r.refused(c, owner, err)
		}
		return Result{Reply: st.reply, Undone: st.undone}, nil, true
	}
	m := r.cmd.m
	raw := st.reply.Append(nil, m.Encoding)
	if r.cmd.named && len(m.Cookie)+1+len(raw) > r.set.MaxReply {
		res.release()
		return failed(ng.ReasonReplyTooLarge, errors.New("the reply is too large")), nil, true
	}
	env := events.Envelope{
		Call: strings.Clone(m.CallID), Gen: c.Gen, Node: r.set.Node, At: now, Event: st.event,
		Cause: &events.Cause{Cookie: m.Cookie, From: m.Source, Request: m.Raw, Reply: raw, Via: m.Via},
	}
	if len(raw) > maxLoggedReply {
		env.Cause.Reply = nil
	}
	if !m.Received.IsZero() {
		env.Cause.Took = max(0, now-m.Received.UnixMicro())
	}
	if st.fresh {
		env.Gen++
	}
	err = r.fx.Append(env)
	res.settle(err)
	if err == nil {
		return Result{Reply: st.reply.Encoded(raw), PassedOver: st.passedOver, Misplaced: st.misplaced, Undone: st.undone}, nil, true
	}
	return r.afterError(err)
}

// look asks the log, once, whether it has more of the call, before a command is refused or found to change nothing: a
// projection may be behind, and nothing is appended that would show it.
func (r *runner) look() (more bool, err error) {
	if r.looked {
		return false, nil
	}
	r.looked = true
	before := r.fx.Call().Seq
	err = r.fx.CatchUp()
	return r.fx.Call().Seq != before, err
}

// afterError sorts the error of an append: a conflict leads to another decision, on what the log has by now.
func (r *runner) afterError(err error) (out Result, why error, done bool) {
	var refusal *projection.Refusal
	switch {
	case errors.As(err, &refusal):
		return failed(refusal.Reason, err), nil, true
	case !errors.Is(err, ErrConflict):
		return failed(ReasonLog, err), nil, true
	}
	if err := r.fx.CatchUp(); err != nil {
		return failed(ReasonLog, err), nil, true
	}
	return out, err, false
}

// refused sorts the error of a decision. A new call that finds no room is tried elsewhere; an owner that does not answer is
// waited for until it is known what became of it.
func (r *runner) refused(c *projection.Call, owner string, err error) (out Result, why error, done bool) {
	var refusal *projection.Refusal
	var reason *ng.ReasonError
	switch {
	case errors.Is(err, ErrSilent) && !c.Live():
		r.tried = append(r.tried, owner)
		return out, err, false
	case errors.Is(err, ErrSilent):
		if r.fx.Await(owner) == members.Silent {
			return failed(ReasonSilent, err), nil, true
		}
		return out, err, false
	case !c.Live() && (errors.Is(err, ErrNoRoom) || errors.As(err, &refusal) && refusal.Reason == ng.ReasonOutOfPorts):
		if slices.Contains(r.tried, owner) {
			break
		}
		r.tried = append(r.tried, owner)
		if _, ok := r.fx.Place(r.wish()); ok {
			return out, err, false
		}
		if errors.Is(err, ErrNoRoom) { // a peer that seemed to have room a moment ago
			return Result{Reply: ng.LoadLimit(r.cmd.m.Request, ng.ReasonSessionLimit), Full: true}, nil, true
		}
	}
	switch {
	case errors.As(err, &refusal):
		return failed(refusal.Reason, err), nil, true
	case errors.As(err, &reason):
		return failed(reason.Reason, err), nil, true
	}
	return failed(ng.ReasonInternal, err), nil, true
}

// Turn says which member of a group of interfaces serves a call.
func Turn(callID string) uint64 { return events.Digest([]byte(callID)) }
