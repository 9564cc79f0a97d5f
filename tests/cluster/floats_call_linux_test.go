package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/zeebo/bencode"

	"rtpjet/ngserver/ngtest"
	"rtpjet/tests/procs"
)

// placeFloating sets calls up at the floats, one after the other.
func (f *floating) placeFloating(n int) []*call {
	f.t.Helper()
	list := make([]*call, n)
	procs.Each(f.t, n, 4, func(i int) error {
		at := f.ng(f.addrs[i%len(f.addrs)])
		k, err := f.newCall(newID("float"))
		if err != nil {
			return err
		}
		list[i] = k
		if err := k.setUp(at, at); err != nil {
			return err
		}
		if !slices.Contains(f.addrs, k.atA.Addr()) || k.atA.Addr() != k.atB.Addr() {
			return fmt.Errorf("call %s is at %v and %v, which do not float", k.id, k.atA, k.atB)
		}
		return k.talk()
	})
	for _, k := range list {
		f.t.Cleanup(k.close)
	}
	return list
}

// commands has the float's address answer for a call that is known, without another address in any answer, and for a new one.
func (f *floating) commands(k *call) {
	f.t.Helper()
	at := f.ng(k.atA.Addr())
	before := [2]netip.AddrPort{k.atA, k.atB}
	eventually(f.t, "query", func() error { // while the log elects a leader, the reply says that it may be out of date
		r, err := at.good(query(k.id))
		if err == nil && r.dict["warning"] != nil {
			err = fmt.Errorf("warning %v", r.dict["warning"])
		}
		return err
	})
	if err := k.reinvite(at, at); err != nil {
		f.t.Fatal(err)
	}
	if got := [2]netip.AddrPort{k.atA, k.atB}; got != before {
		f.t.Errorf("a re-offer of %s has moved it from %v to %v", k.id, before, got)
	}
	fresh := f.placeFloating(1)[0]
	at.ok(remove(fresh.id))
}

// post sends commands to a float's address and waits for nothing.
func (f *floating) post(a netip.Addr, reqs ...dict) error {
	var c *ngtest.Client
	if err := f.s.do(func() (err error) { c, err = ngtest.Dial(netip.AddrPortFrom(a, 2223).String()); return err }); err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for _, req := range reqs {
		payload, err := bencode.EncodeBytes(req)
		if err == nil {
			err = c.Send(ngtest.NextCookie(), payload)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
