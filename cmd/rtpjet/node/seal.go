package node

import "rtpjet/events"

// encode makes the bytes of an event as the log gets them: with its secrets sealed.
func (n *Node) encode(env events.Envelope) ([]byte, error) { return events.Encode(n.sealer.Seal(env)) }

// decode reads what encode wrote.
func (n *Node) decode(data []byte) (events.Envelope, error) {
	env, err := events.Decode(data)
	if err != nil {
		return env, err
	}
	return n.opened(env), nil
}

// opened opens the secrets of an event. One whose secrets cannot be opened is of use all the same: everything but the
// encrypted media of its call works.
func (n *Node) opened(env events.Envelope) events.Envelope {
	env, err := n.sealer.Open(env)
	if err != nil && n.warnSealed() {
		n.log.Error("the keys of an encrypted call cannot be read; its media does not get through here: "+
			"give this node the --cluster-key-file of the others", "call-id", env.Call, "err", err)
	}
	return env
}

// warnSealed tells whether it is time to complain again.
func (n *Node) warnSealed() bool {
	n.unsealed.Add(1)
	due := false
	n.sealWarning.Do(func() { due = true })
	return due
}
