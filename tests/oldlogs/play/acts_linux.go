package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// alone is a node by itself, which seals with a key that it has made.
func alone(s *stage) {
	n := s.add("n1", 1, "--timeout", "3600", "--delete-delay", "0")
	n.start()
	keyed := scenes(s, n)
	key, err := os.ReadFile(filepath.Join(n.dir, "data", "cluster.key"))
	must(err)
	n.writeEntries("alone", strings.TrimSpace(string(key)))
	n.export("alone-removed", false, append(keyed, "plain", "forks", "hidden", "fax")...)
}

// timers is a node whose calls end by themselves.
func timers(s *stage) {
	n := s.add("n1", 1, "--timeout", "4", "--silent-timeout", "6", "--offer-timeout", "5", "--final-timeout", "9", "--leg-silence", "2")
	n.start()
	var ids []string
	add := func(name string) *call {
		ids = append(ids, name)
		return s.call(name)
	}
	add("speaks").setUp(n, n).talk(1500 * time.Millisecond) // and then is silent
	k := add("one way").setUp(n, n)
	k.a.send(k.toA, false)
	k = add("never answered")
	n.do(k.offer(k.a.sdp(1))...)
	add("on hold").setUp(n, n, audio+"|a=inactive")
	talking := add("too long").setUp(n, n)
	talking.talk(9 * time.Second)
	n.gone(time.Minute, ids...)
	n.writeEntries("timers")
}

// cluster are three nodes without a key, one of which is killed: its calls are taken over, or end.
func cluster(s *stage) {
	var routes []string
	var nodes []*node
	for i := range 3 {
		n := s.add(fmt.Sprintf("n%d", i+1), i+1)
		nodes, routes = append(nodes, n), append(routes, n.at(6222))
	}
	for _, n := range nodes {
		n.more = []string{"--nats-cluster-listen", n.at(6222), "--nats-routes", strings.Join(routes, ","), "--timeout", "3600", "--delete-delay", "0"}
		n.launch()
	}
	for _, n := range nodes {
		n.ready()
	}
	a, b, c := nodes[0], nodes[1], nodes[2]
	plain := s.call("moved").setUp(a, b).talk(0)
	plain.reinvite(c, nil, nil)
	early := s.call("moved early")
	a.do(early.offer(early.a.sdp(1))...)
	fork := s.call("moved fork")
	a.do(fork.offer(fork.a.sdp(1, audio, video))...)
	b.do(append(fork.answer(fork.b.sdp(1, audio, video)), dict{"to-tag": "b1"})...)
	c.do(append(fork.answer(s.phone().sdp(1, audio, "m=video 0 RTP/AVP 96")), dict{"to-tag": "b2"})...)
	left := s.call("orphan").setUp(a, a)
	savp := "m=audio %p RTP/SAVP 0|"
	secure := s.call("moved with keys")
	secure.toB = first(a.do(secure.offer(secure.a.sdp(1, savp+cryptoLine(1, suite80, 'J')), dict{"transport-protocol": "RTP/AVP"})...))
	secure.toA = first(b.do(secure.answer(secure.b.sdp(1))...))
	secure.a.encrypts('J')
	secure.talk(0)
	asked := s.call("asked for").setUp(a, a)
	held := s.call("moved while it was leaving").setUp(a, a)
	a.do(held.cmd("delete", dict{"delete-delay": 3600})...)
	poll("not all calls are known", 20*time.Second, func() error {
		if live := c.live(); len(live) != 7 {
			return fmt.Errorf("%v", live)
		}
		return nil
	})
	a.proc.Kill()
	for _, k := range []*call{plain, secure} {
		k.version++
		more := dict{"to-tag": "b"}
		body := k.a.sdp(k.version)
		if k == secure {
			more["transport-protocol"], body = "RTP/AVP", k.a.sdp(k.version, savp+cryptoLine(1, suite80, 'J'))
		}
		k.toB = first(b.do(k.offer(body, more)...))
		k.toA = first(c.do(k.answer(k.b.sdp(k.version))...))
		k.talk(0)
	}
	b.do(early.answer(early.b.sdp(1))...)
	c.do(append(fork.offer(fork.a.sdp(2, audio, video)), dict{"to-tag": "b2"})...)
	_, err := b.tool("node", "takeover", "n1")
	must(err)
	b.do(asked.cmd("query")...)
	_ = left
	_ = held
	b.do(plain.cmd("delete", dict{"delete-delay": 0})...)
	b.writeEntries("cluster")
}

// floats is a node with a floating address and a cluster key.
func floats(s *stage) {
	key := s.secret("floats")
	n := s.add("n1", 1, "--float", "default/"+s.addr(100).String()+"/32@lo", "--float-provider", "none", "--cluster-key-file", key,
		"--timeout", "3600", "--delete-delay", "0")
	n.args = []string{"--cluster-key-file", key}
	n.start()
	poll("nobody holds the float", time.Minute, func() error {
		k := s.call("try")
		r, err := n.try(merge(k.offer(k.a.sdp(1))))
		if err == nil && r["result"] != "ok" {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	k := s.call("float").setUp(n, n).talk(0)
	k.reinvite(n, nil, nil)
	savp := "m=audio %p RTP/SAVP 0|"
	k = s.call("float with keys")
	k.toB = first(n.do(k.offer(k.a.sdp(1, savp+cryptoLine(1, suite80, 'K')), dict{"transport-protocol": "RTP/AVP"})...))
	k.toA = first(n.do(k.answer(k.b.sdp(1))...))
	k.a.encrypts('K')
	k.talk(0)
	n.export("floats-sealed", true, "float", "float with keys")
	n.export("floats-removed", false, "float with keys")
}

// secret makes a cluster key and keeps it in the corpus.
func (s *stage) secret(name string) (file string) {
	text := "a key for test logs: " + name
	file = filepath.Join(s.work, name+".key")
	must(os.WriteFile(file, []byte(text+"\n"), 0o600))
	s.keepKey(filepath.Join("bundles", name+"-sealed"), text)
	return file
}

func merge(parts []dict) dict {
	out := dict{}
	for _, p := range parts {
		for k, v := range p {
			out[k] = v
		}
	}
	return out
}

// regions are two regions, one of which is lost, adopted, and back.
func regions(s *stage) {
	key := s.secret("regions")
	make := func(name, other string, last, otherLast int) *node {
		n := s.add("n1", last, "--cluster-key-file", key, "--region", name, "--region-listen", s.addr(last).String()+":7422",
			"--region-peer", other+"="+s.addr(otherLast).String()+":7422", "--timeout", "3600", "--delete-delay", "0")
		n.args = []string{"--cluster-key-file", key, "--region", name}
		return n
	}
	eu, us := make("eu", "us", 11, 21), make("us", "eu", 21, 11)
	eu.launch()
	us.launch()
	eu.ready()
	us.ready()
	poll("the regions do not hear each other", time.Minute, func() error {
		for _, n := range []*node{eu, us} {
			if out, err := n.tool("region", "list"); err != nil || !strings.Contains(out, " up ") {
				return fmt.Errorf("%w %s", err, out)
			}
		}
		return nil
	})
	k := s.call("through eu").setUp(us, us).talk(0)
	mirrored := func(k *call) {
		poll("the mirror is behind", time.Minute, func() error {
			r, err := eu.try(dict{"command": "query", "call-id": k.id})
			if err == nil && r["result"] != "ok" {
				err = fmt.Errorf("%v", r)
			}
			return err
		})
	}
	mirrored(k)
	k.reinvite(eu, nil, nil) // carried out in us
	held := s.call("adopted on hold").setUp(us, us)
	held.reinvite(us, []string{audio + "|a=sendonly"}, []string{audio + "|a=recvonly"})
	early := s.call("adopted early")
	us.do(early.offer(early.a.sdp(1))...)
	savp := "m=audio %p RTP/SAVP 0|"
	secure := s.call("adopted with keys")
	secure.toB = first(us.do(secure.offer(secure.a.sdp(1, savp+cryptoLine(1, suite80, 'L')), dict{"transport-protocol": "RTP/AVP"})...))
	secure.toA = first(us.do(secure.answer(secure.b.sdp(1))...))
	secure.a.encrypts('L')
	secure.talk(0)
	ids := []string{k.id, held.id, early.id, secure.id}
	mirrored(secure)
	us.proc.Kill()
	poll("us cannot be adopted", time.Minute, func() error {
		_, err := eu.tool("region", "adopt", "us")
		return err
	})
	eu.do(early.answer(early.b.sdp(1))...)
	k.reinvite(eu, nil, nil).talk(0)
	eu.export("regions-sealed", true, ids...)
	eu.do(held.cmd("delete", dict{"delete-delay": 0})...)
	us.start()
	us.gone(time.Minute, ids...) // ended as adopted
	us.export("regions-sealed-back", true, k.id, secure.id)
	s.keepKey(filepath.Join("bundles", "regions-sealed-back"), "a key for test logs: regions")
}
